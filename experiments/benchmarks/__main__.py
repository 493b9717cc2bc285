"""Time blpsim against PyBLP: ``python -m experiments.benchmarks``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from statistics import median
from typing import NamedTuple

import numba
import threadpoolctl

from tests.parity.real import blp, nevo

from .designs import complex_, simple, simple_draws
from .richer import fixed_effects, large, lognormal, rcnl
from .timing import Timing, time_prices, time_solve


class Benchmark(NamedTuple):
    """A problem, how often it is drawn and timed, and the ratio that it must reach."""

    name: str
    time: Callable[[int, bool], Timing]
    seeds: int
    floor: float


BENCHMARKS = {
    "simple": Benchmark("Simple, 9 nodes", lambda s, h: time_solve(simple(s), 3, h), 5, 130),
    "complex": Benchmark("Complex, 81 nodes", lambda s, h: time_solve(complex_(s), 1, h), 5, 95),
    "draws": Benchmark("Simple, 1,000 draws", lambda s, h: time_solve(simple_draws(s), 1, h), 3, 25),
    "nevo": Benchmark("Nevo, BFGS", lambda _, h: time_solve(nevo("bfgs"), 1, h), 1, 170),
    "blp": Benchmark("BLP automobiles", lambda _, h: time_solve(blp("l-bfgs-b", "2s"), 1, h), 1, 75),
    "rcnl": Benchmark("RCNL with supply", lambda s, h: time_solve(rcnl(s), 1, h), 5, 110),
    "lognormal": Benchmark("Lognormal price, 81 nodes", lambda s, h: time_solve(lognormal(s), 1, h), 5, 90),
    "effects": Benchmark("Two-way fixed effects", lambda s, h: time_solve(fixed_effects(s), 1, h), 5, 40),
    "large": Benchmark("J=250, I=1000, T=10", lambda s, h: time_solve(large(s), 1, h), 1, 40),
    "prices": Benchmark("Equilibrium prices, 9 nodes", lambda s, h: time_prices(s, 3, h), 5, 85),
}

HEADER = (
    f"{'':28} {'PyBLP':>9} {'blpsim':>9} {'ratio':>6} {'range':>13} {'floor':>6}"
    f" {'evaluations':>15} {'objective':>10} {'estimates':>10} {'errors':>8}"
)


def main() -> int:
    """Print one table without and one with Hessians; return 1 when a ratio is below its floor."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--hessian", choices=("off", "on", "both"), default="both")
    parser.add_argument("--seeds", type=int, help="datasets of each design (default: 5, 1,000 draws: 3)")
    chosen = parser.parse_args()
    numba.set_num_threads(1)
    reached = True
    with threadpoolctl.threadpool_limits(1):
        if chosen.hessian != "on":
            print("Without Hessians, one thread. PyBLP and blpsim in ms: medians over datasets.")
            reached = print_table(chosen.only, chosen.seeds, hessian=False)
        if chosen.hessian != "off":
            print("\nWith Hessians (prices: PyBLP's gradients and Hessians of profits), one thread.")
            print_table(chosen.only, chosen.seeds, hessian=True)
    return int(not reached)


def print_table(names: Iterable[str], seeds: int | None, hessian: bool) -> bool:
    """Print a row for each problem; return whether all ratios reach their floors."""
    print(HEADER, flush=True)
    reached = True
    for name in names:
        benchmark = BENCHMARKS[name]
        number = 1 if benchmark.seeds == 1 else seeds or benchmark.seeds
        timings = [benchmark.time(seed, hessian) for seed in range(number)]
        same = [timing for timing in timings if timing.is_same_optimum]
        if len(same) < number:
            others = ", ".join(str(seed) for seed in range(number) if not timings[seed].is_same_optimum)
            print(f"{benchmark.name}: left out, as the packages end at different optima: seeds {others}")
        if same:
            print(row(benchmark, same, hessian), flush=True)
        reached = reached and bool(same) and median(t.ratio for t in same) >= benchmark.floor
    return reached


def row(benchmark: Benchmark, timings: list[Timing], hessian: bool) -> str:
    """Return one line: medians of seconds and of ratios, and the worst differences."""
    ratios = sorted(timing.ratio for timing in timings)
    peer, own = (1e3 * median(getattr(t, f"{side}_seconds") for t in timings) for side in ("peer", "own"))
    evaluations = "/".join(
        f"{median(getattr(t, f'{side}_evaluations') for t in timings):.0f}" for side in ("peer", "own")
    )
    objective, estimates, errors = (
        max(getattr(t, f"{name}_difference") for t in timings)
        for name in ("objective", "estimates", "errors")
    )
    floor = "" if hessian else f"{benchmark.floor:.0f}"
    return (
        f"{benchmark.name:28} {peer:9.1f} {own:9.2f} {median(ratios):6.0f}"
        f" {f'{ratios[0]:.0f}-{ratios[-1]:.0f}':>13} {floor:>6} {evaluations:>15}"
        f" {objective:10.1e} {estimates:10.1e} {errors:8.1e}"
    )


if __name__ == "__main__":
    sys.exit(main())
