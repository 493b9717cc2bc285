"""Time micro moments against PyBLP: ``python -m experiments.benchmarks.micro``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np
import pyblp
import threadpoolctl
from numpy.typing import NDArray

import blpsim as bs
from blpsim.estimate.solve import first_step
from blpsim.model.layout import layout
from tests.parity.peer import formulations, stacked

from .designs import sums_instruments

Array = NDArray[Any]
Theirs: TypeAlias = Any
"""What PyBLP hands over."""

MODEL = {
    "linear": "1 + prices + x",
    "nonlinear": "0 + x",
    "demographics": "0 + income",
    "supply": "1 + x + w",
}
PARAMETERS = {
    "beta": np.array([np.nan, -1.1, np.nan]),
    "sigma": np.array([[2.5]]),
    "pi": np.array([[0.8]]),
    "gamma": np.full(3, np.nan),
}
FLOORS = {"first": 60.0, "second": 150.0}
PART_FLOOR = 1_000.0
SLOWEST = 1.1


class Data(NamedTuple):
    """Products and agents."""

    products: dict[str, Array]
    agents: dict[str, Array]


class Seconds(NamedTuple):
    """Of one evaluation of the objective with its gradient, and its value."""

    seconds: float
    objective: float
    gradient: Array


def data(markets: int, products: int, agents: int, seed: int = 0) -> Data:
    """Return markets of products, a fifth of them a firm's; shares are not an equilibrium's."""
    generator = np.random.default_rng([2032, seed])
    number = markets * products
    columns: dict[str, Array] = {
        "market_ids": np.repeat(np.arange(markets), products),
        "firm_ids": np.tile(np.arange(products) // max(1, products // 5), markets),
        "x": generator.uniform(size=number),
        "w": generator.uniform(size=number),
    }
    columns["prices"] = 2 + columns["x"] + columns["w"] + generator.uniform(size=number)
    columns["shares"] = 0.8 / products * generator.uniform(0.5, 1.0, number)
    columns |= sums_instruments(columns)
    for side, kept in (("demand", (0, 1, 2, 3, 6)), ("supply", (0, 1, 2, 5))):
        excluded = [
            columns.pop(f"{side}_instruments{k}") for k in range(20) if f"{side}_instruments{k}" in columns
        ]
        columns |= {f"{side}_instruments{i}": excluded[k] for i, k in enumerate(kept)}
    people = {
        "market_ids": np.repeat(np.arange(markets), agents),
        "weights": np.full(markets * agents, 1 / agents),
        "nodes0": generator.normal(size=markets * agents),
        "income": generator.lognormal(0.0, 0.5, markets * agents),
    }
    return Data(columns, people)


def own_moments(kind: str) -> list[bs.MicroMoment]:
    """Return two micro moments: of first choices, or of second choices."""
    second = kind == "second"
    survey = bs.MicroDataset("survey", observations=1_000, second_choices=second)
    one = bs.MicroPart("income * x", survey, agent="income", first="x")
    other = bs.MicroPart("x * x", survey, first="x", second="x") if second else None
    if other is None:
        other = bs.MicroPart("income * prices", survey, agent="income", first="prices")
    return [bs.MicroMoment("one", 0.7, parts=one), bs.MicroMoment("other", 0.3, parts=other)]


def peer_moments(kind: str) -> list[pyblp.MicroMoment]:
    """Return the same in PyBLP's words."""

    def weights(_: object, products: Theirs, agents: Theirs) -> Array:
        size = products.shares.size
        return np.ones((agents.weights.size, size, size)[: 3 if kind == "second" else 2])

    def income_x(_: object, products: Theirs, agents: Theirs) -> Array:
        found = agents.demographics[:, [0]] * products.X2[:, 0]
        return np.repeat(found[:, :, None], products.shares.size, 2) if kind == "second" else found

    def other(_: object, products: Theirs, agents: Theirs) -> Array:
        if kind == "first":
            return agents.demographics[:, [0]] * products.prices.ravel()
        x, ones = products.X2[:, 0], np.ones(agents.weights.size)
        return np.einsum("i,j,k->ijk", ones, x, x)

    survey = pyblp.MicroDataset("survey", 1_000, weights)
    parts = [pyblp.MicroPart("one", survey, income_x), pyblp.MicroPart("other", survey, other)]
    return [pyblp.MicroMoment(part.name, value, part) for part, value in zip(parts, (0.7, 0.3), strict=True)]


def own_seconds(found: Data, kind: str, repeats: int = 30) -> Seconds:
    """Return blpsim's time of an evaluation beside the start."""
    problem = bs.Problem(bs.Model(**MODEL), found.products, found.agents)
    moments = [] if kind == "none" else own_moments(kind)
    bound = layout(bs.Parameters(**PARAMETERS), problem.setting.columns, True)
    objective = first_step(problem.setting, bound, bs.GMM(micro_moments=moments, initial_update=True))
    theta, times = bound.theta0 * 1.02, []
    for _ in range(repeats):
        objective(bound.theta0)
        began = time.perf_counter()
        value, gradient = objective(theta)
        times.append(time.perf_counter() - began)
    return Seconds(median(times), value, gradient)


def peer_seconds(found: Data, kind: str, repeats: int = 3) -> Seconds:
    """Return PyBLP's."""
    times: list[float] = []
    last: list[Any] = []

    def timed(
        initial: Array, _: object, objective: Callable[..., Theirs], *__: object, **___: object
    ) -> tuple[Array, bool]:
        for _ in range(repeats):
            began = time.perf_counter()
            last[:] = objective(initial * 1.02)[:2]
            times.append(time.perf_counter() - began)
        return initial, True

    demographics = pyblp.Formulation(MODEL["demographics"])
    people = stacked(found.agents, "nodes")
    products = stacked(found.products, "demand_instruments", "supply_instruments")
    problem = pyblp.Problem(formulations(MODEL), products, demographics, people)
    moments = [] if kind == "none" else peer_moments(kind)
    problem.solve(
        **PARAMETERS,
        method="1s",
        initial_update=True,
        micro_moments=moments,
        optimization=pyblp.Optimization(timed),
        check_optimality="gradient",
    )
    return Seconds(median(times), float(last[0]), np.asarray(last[1]).ravel())


def main() -> int:
    """Print a table of times, and how blpsim's grows with J; return 1 when a floor is missed."""
    pyblp.options.verbose = False
    numba.set_num_threads(1)
    reached = True
    with threadpoolctl.threadpool_limits(1):
        found = data(20, 20, 200)
        print("One evaluation with its gradient, T = 20, J = 20, I = 200, supply; ms, one thread.")
        print(f"{'':10}{'PyBLP':>9}{'blpsim':>9}{'ratio':>8}{'floor':>8}{'objective':>11}{'gradient':>10}")
        both: dict[str, tuple[Seconds, Seconds]] = {}
        for kind in ("none", "first", "second"):
            theirs, ours = peer_seconds(found, kind), own_seconds(found, kind)
            both[kind] = theirs, ours
            ratio, floor = theirs.seconds / ours.seconds, FLOORS.get(kind, 0.0)
            value = abs(ours.objective / theirs.objective - 1)
            slope = np.abs(ours.gradient - theirs.gradient).max() / np.abs(theirs.gradient).max()
            print(
                f"{kind:10}{1e3 * theirs.seconds:9.1f}{1e3 * ours.seconds:9.2f}{ratio:8.0f}{floor:8.0f}"
                f"{value:11.1e}{slope:10.1e}",
                flush=True,
            )
            reached = reached and ratio >= floor
        for kind in FLOORS:
            their, our = (both[kind][k].seconds - both["none"][k].seconds for k in (0, 1))
            print(f"{kind} choices alone: {1e3 * their:.1f} / {1e3 * our:.3f} ms = {their / our:.0f}")
            reached = reached and (kind == "first" or their / our >= PART_FLOOR)
        sizes = (20, 100, 500)
        added = [
            own_seconds(large, "second", 9).seconds - own_seconds(large, "none", 9).seconds
            for large in (data(4, size, 200) for size in sizes)
        ]
        exponent = np.polyfit(np.log(sizes), np.log(added), 1)[0]
        print(
            f"second choices, J = {sizes}: {', '.join(f'{1e3 * s:.2f}' for s in added)} ms,"
            f" exponent {exponent:.2f}"
        )
        reached = reached and exponent <= SLOWEST
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
