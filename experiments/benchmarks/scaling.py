"""How an evaluation grows with the problem: ``python -m experiments.benchmarks.scaling``.

An evaluation of the objective with its gradient is timed over a decade of markets, consumers, products and
random coefficients, each alone. The exponent is the slope of the logarithm of seconds in that of the size;
sizes are timed in turns, in seconds of the processor, so that other programs hardly matter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import threadpoolctl

import blpsim as bs
from blpsim.estimate.objective import Objective
from blpsim.estimate.solve import first_step
from blpsim.model.layout import layout

FIRM = 5
"""Products of a firm."""
BASE = {"markets": 20, "consumers": 200, "products": 20, "coefficients": 2}
DECADE = (1, 2, 5, 10)
"""Of markets from 100 on: caches that hold a few dozen hold no hundred."""


class Scaling(NamedTuple):
    """What grows from which size on, with which sides, and the largest exponent that is accepted."""

    what: str
    start: int
    supply: bool
    most: float


SCALINGS = (
    Scaling("markets", 100, True, 1.05),
    Scaling("consumers", 100, True, 1.05),
    Scaling("products", 10, False, 1.2),
    Scaling("products", 10, True, 2.0),
    Scaling("coefficients", 1, True, 0.5),
)


def main() -> int:
    """Print milliseconds by size and exponents; return 1 when one is above what is accepted."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.scaling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="how often each size is timed")
    rounds = parser.parse_args().rounds
    accepted = True
    with threadpoolctl.threadpool_limits(1):
        for scaling in SCALINGS:
            sizes = [scaling.start * step for step in DECADE]
            seconds = timed([problem({scaling.what: size}, scaling.supply) for size in sizes], rounds)
            exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
            cells = ", ".join(f"{size}: {1e3 * s:.3f} ms" for size, s in zip(sizes, seconds, strict=True))
            side = "demand and supply" if scaling.supply else "demand"
            print(
                f"{scaling.what}, {side}: exponent {exponent:.2f} (most {scaling.most:g}); {cells}",
                flush=True,
            )
            accepted = accepted and exponent <= scaling.most
    return int(not accepted)


def timed(evaluations: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Return the median seconds of the processor for each evaluation."""
    found: list[list[float]] = [[] for _ in evaluations]
    for _ in range(rounds):
        for times, evaluate in zip(found, evaluations, strict=True):
            evaluate()
            start = time.thread_time()
            evaluate()
            times.append(time.thread_time() - start)
    return [float(np.median(times)) for times in found]


def problem(changed: Mapping[str, int], supply: bool) -> Callable[[], object]:
    """Return a function that evaluates a problem of these sizes, others as in the base, at its truth."""
    size = BASE | dict(changed)
    markets, number, k2 = size["markets"], size["products"], size["coefficients"]
    generator = np.random.default_rng(2020)
    names = [f"x{k}" for k in range(k2)]
    model = bs.Model(
        linear=f"1 + prices + {' + '.join(names)}",
        nonlinear=f"0 + {' + '.join(names)}",
        supply="1 + w" if supply else None,
    )
    products = {
        "market_ids": np.repeat(np.arange(markets), number),
        "firm_ids": np.tile(np.arange(number) // FIRM, markets),
        "prices": generator.uniform(2, 4, markets * number),
        "w": generator.uniform(size=markets * number),
    } | {name: generator.uniform(size=markets * number) for name in names}
    columns = {f"demand_instruments{k}": generator.uniform(size=markets * number) for k in range(k2 + 1)}
    columns |= {f"supply_instruments{k}": generator.uniform(size=markets * number) for k in range(k2 + 1)}
    agents = {
        "market_ids": np.repeat(np.arange(markets), size["consumers"]),
        "weights": np.full(markets * size["consumers"], 1 / size["consumers"]),
    }
    nodes = generator.normal(size=(k2, markets, size["consumers"]))
    agents |= {f"nodes{k}": nodes[k].ravel() for k in range(k2)}
    products["shares"] = shares(products, names, nodes, np.log(number))
    start = bs.Parameters(
        beta=[np.nan, -1, *np.full(k2, np.nan)],
        sigma=np.diag(np.full(k2, 1 / np.sqrt(k2))),
        gamma=[np.nan, np.nan] if supply else None,
    )
    built = bs.Problem(model, products | columns, agents)
    theta = layout(start, built.setting.columns, built.setting.supply)
    return evaluation(first_step(built.setting, theta, bs.GMM(method="1s")))


def evaluation(objective: Objective) -> Callable[[], object]:
    """Return a function that evaluates the objective and its gradient at the start, or just beside it."""
    near = [objective.layout.theta0 * (1 + step) for step in (0, 1e-9)]

    def evaluate() -> object:
        near.reverse()
        return objective(near[0])

    return evaluate


def shares(
    products: Mapping[str, np.ndarray], names: Sequence[str], nodes: np.ndarray, level: float
) -> np.ndarray:
    """Return the shares of drawn mean utilities, (N,), for nodes (K2, T, I); half of all buy nothing."""
    k2, markets, _ = nodes.shape
    x = np.array([products[name] for name in names]).reshape(k2, markets, -1)
    delta = np.random.default_rng(2021).normal(-level, 0.5, size=x.shape[1:])
    utilities = delta[..., None] + np.einsum("ktj,kti->tji", x, nodes) / np.sqrt(k2)
    odds = np.exp(utilities)
    return np.asarray((odds / (1 + odds.sum(axis=1, keepdims=True))).mean(axis=2).ravel())


if __name__ == "__main__":
    sys.exit(main())
