"""Where the time of a whole replication goes: ``python -m experiments.benchmarks.replication``."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numba
import scipy.optimize
import threadpoolctl
from numba.core.dispatcher import Dispatcher

import blpsim as bs
from blpsim.estimate import objective
from blpsim.study.task import Task, run_task

LIMIT = 1.5
"""A replication takes at most this many times the seconds inside compiled kernels and SciPy's optimizer."""


class Clock:
    """Seconds by where they are spent, each counted once: a callee's are not its caller's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self.places = ["elsewhere"]
        self.since = time.perf_counter()

    def move(self) -> None:
        """Charge the seconds since the last move to the current place."""
        now = time.perf_counter()
        self.seconds[self.places[-1]] += now - self.since
        self.since = now

    def inside(self, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its seconds charged to a place."""

        @wraps(function)
        def charged(*values: object, **named: object) -> object:
            self.move()
            self.places.append(place)
            self.calls[place] += 1
            try:
                return function(*values, **named)
            finally:
                self.move()
                self.places.pop()

        return charged

    def minimize(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return SciPy's minimize, charged to it but for the objective that it calls."""

        def charged(value: Callable[..., Any], *values: object, **named: object) -> object:
            return function(self.inside("objective", value), *values, **named)

        return self.inside("SciPy's optimizer", charged)

    def specialized(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return what gives a kernel's machine code, charged as the kernel is."""
        return lambda kernel: self.inside(f"kernel {kernel.__name__}", function(kernel))


@contextmanager
def watched() -> Iterator[Clock]:
    """Yield a clock that kernels and SciPy's minimize report to as long as the context lasts."""
    clock, replaced = Clock(), []
    for module in [m for name, m in sys.modules.items() if name.startswith("blpsim.") and m]:
        for name, value in list(vars(module).items()):
            if isinstance(value, Dispatcher) and not module.__name__.startswith("blpsim.kernels"):
                replaced.append((module, name, value))
                setattr(module, name, clock.inside(f"kernel {value.__name__}", value))
    replaced.append((objective, "specialized", objective.specialized))
    objective.specialized = clock.specialized(objective.specialized)
    minimize = scipy.optimize.minimize
    scipy.optimize.minimize = clock.minimize(minimize)
    try:
        yield clock
    finally:
        scipy.optimize.minimize = minimize
        for module, name, value in replaced:
            setattr(module, name, value)


def simple_design(replications: int) -> bs.Design:
    """Return the paper's Simple design with supply and sums of characteristics, one start."""
    scenario = bs.Scenario(
        model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
        truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
        markets=bs.Markets(number=20, firms=bs.Choice(2, 5, 10), products_per_firm=bs.Choice(3, 4, 5)),
        characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
        errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
        consumers=bs.Integration("monte_carlo", 1_000),
    )
    estimator = bs.Estimator(
        instruments=bs.instruments.Sums(),
        supply=True,
        integration=bs.Integration("product", 9),
        starts=bs.Starts(3, around="truth", width=0.5),
        gmm=bs.GMM(method="2s", optimizer=bs.Optimizer("l-bfgs-b", gtol=1e-5)),
    )
    return bs.Design(
        name="replication",
        seed=2020,
        replications=replications,
        scenarios={"simple": scenario},
        estimators={"supply/sums": estimator},
    )


def main() -> int:
    """Print seconds by place; return 1 when a replication takes too long outside kernels and SciPy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=50)
    number = parser.parse_args().replications
    design = simple_design(number)
    numba.set_num_threads(1)
    with threadpoolctl.threadpool_limits(1):
        run_task(design, task_of(design, 0, 3))
        start = time.perf_counter()
        run_task(design, task_of(design, 0, number))
        plain = time.perf_counter() - start
        with watched() as clock:
            run_task(design, task_of(design, 0, number))
            clock.move()
    print_places(clock, number)
    inside = sum(value for place, value in clock.seconds.items() if is_inside(place))
    ratio = plain / inside
    milliseconds = 1e3 * plain / number
    print(f"\n{milliseconds:.2f} ms a replication, {milliseconds / ratio:.2f} inside: {ratio:.2f} times")
    return int(ratio > LIMIT)


def task_of(design: bs.Design, start: int, stop: int) -> Task:
    """Return a task of the only scenario."""
    return Task(
        design=design.fingerprint, scenario="simple", estimators=("supply/sums",), start=start, stop=stop
    )


def is_inside(place: str) -> bool:
    """Return whether the place is a compiled kernel or SciPy's optimizer."""
    return place.startswith("kernel") or place == "SciPy's optimizer"


def print_places(clock: Clock, number: int) -> None:
    """Print milliseconds and calls of a replication by place, the longest first."""
    total = sum(clock.seconds.values())
    print(f"{'':40} {'ms':>8} {'calls':>8} {'share':>6}")
    for place, seconds in sorted(clock.seconds.items(), key=lambda pair: -pair[1]):
        calls = clock.calls[place] / number
        print(f"{place:40} {1e3 * seconds / number:8.3f} {calls:8.1f} {seconds / total:6.1%}")


if __name__ == "__main__":
    sys.exit(main())
