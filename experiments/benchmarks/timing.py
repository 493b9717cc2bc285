"""Seconds of both packages on the same problem, and how far apart their optima are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from blpsim.economy.equilibrium import equilibrium_prices
from tests.parity.case import Case
from tests.parity.compare import distance, flat
from tests.parity.own import own_demand, own_problem, own_solve
from tests.parity.peer import peer_problem, peer_solve

from .designs import priced

Problem = TypeVar("Problem")
Value = TypeVar("Value")

SAME = 1e-5
"""Largest relative difference of objectives and of estimates at one optimum."""

OWN_REPEATS = 5
"""blpsim's timings before and after each of PyBLP's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One problem, timed."""

    peer_seconds: float
    own_seconds: float
    peer_evaluations: int
    """Of the objective; for prices, of the map of which they are the fixed point."""
    own_evaluations: int
    objective_difference: float
    """Relative."""
    estimates_difference: float
    """Largest difference of a parameter over the largest parameter; of prices, absolute."""
    errors_difference: float
    """Largest difference of a standard error over the largest one."""

    @property
    def is_same_optimum(self) -> bool:
        """Return whether both ended at one optimum, so that their times can be compared."""
        return max(self.objective_difference, self.estimates_difference) < SAME

    @property
    def ratio(self) -> float:
        """Return how many times PyBLP's seconds are blpsim's."""
        return self.peer_seconds / self.own_seconds


class Timed(Generic[Problem, Value]):
    """A computation that is timed again and again, each time on a problem made afresh outside the clock."""

    def __init__(self, make: Callable[[], Problem], solve: Callable[[Problem], Value]) -> None:
        self.make, self.solve = make, solve
        self.times: list[float] = []

    def run(self, repeats: int = 1) -> Value:
        """Return the last result, with the seconds of all noted."""
        for _ in range(repeats):
            problem = self.make()
            start = time.perf_counter()
            value = self.solve(problem)
            self.times.append(time.perf_counter() - start)
        return value

    @property
    def seconds(self) -> float:
        """Return the median over all runs but the first of several, which also compiled or warmed up."""
        return median(self.times[1:] or self.times)


def time_solve(case: Case, repeats: int, hessian: bool = False) -> Timing:
    """Return the timing of whole solves with standard errors; problems are built outside of it."""
    own = Timed(lambda: own_problem(case), lambda problem: own_solve(case, problem, hessian))
    peer = Timed(lambda: peer_problem(case), lambda problem: peer_solve(case, problem, hessian))
    ours, theirs = interleaved(own, peer, repeats)
    names = [
        name for name in ("beta", "sigma", "pi", "rho", "gamma") if name in case.parameters or name == "beta"
    ]
    return Timing(
        peer_seconds=peer.seconds,
        own_seconds=own.seconds,
        peer_evaluations=int(theirs.cumulative_objective_evaluations),
        own_evaluations=int(ours.objective_evaluations),
        objective_difference=distance(flat(ours.objective), flat(theirs.objective)),
        estimates_difference=distance(
            joined(getattr(ours.parameters, name) for name in names),
            joined(getattr(theirs, name) for name in names),
        ),
        errors_difference=shared_distance(
            joined(getattr(ours.standard_errors, name) for name in names),
            joined(getattr(theirs, f"{name}_se") for name in names),
        ),
    )


def time_prices(seed: int, repeats: int, derivatives: bool = False) -> Timing:
    """Return the timing of equilibrium prices from prices equal to costs, 9 nodes.

    derivatives  whether PyBLP also computes gradients and Hessians of profits, its default
    """
    drawn, case = priced(seed)
    options = {"compute_gradients": derivatives, "compute_hessians": derivatives}
    delta = own_solve(case, own_problem(case)).delta
    demand, _ = own_demand(case, delta, case.products["firm_ids"])
    own = Timed(lambda: demand, lambda demand: equilibrium_prices(demand, drawn.costs))
    peer = Timed(lambda: drawn.simulation, lambda s: s.replace_endogenous(costs=drawn.costs, **options))
    ours, theirs = interleaved(own, peer, repeats)
    return Timing(
        peer_seconds=peer.seconds,
        own_seconds=own.seconds,
        peer_evaluations=int(np.sum(theirs.contraction_evaluations)),
        own_evaluations=int(np.sum(ours.evaluations)),
        objective_difference=0.0,
        estimates_difference=float(np.max(np.abs(flat(ours.prices) - flat(theirs.product_data["prices"])))),
        errors_difference=0.0,
    )


def interleaved(own: Timed, peer: Timed, repeats: int) -> tuple:
    """Return the last results of both, timed in turns so that a busy machine slows both."""
    own.run()
    for _ in range(repeats):
        own.run(OWN_REPEATS)
        theirs = peer.run()
        ours = own.run(OWN_REPEATS)
    return ours, theirs


def shared_distance(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return the distance over elements that both have: at a bound, blpsim gives no standard error."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    return distance(ours[both], theirs[both])


def joined(blocks: Iterable[object]) -> NDArray[np.float64]:
    """Return blocks of parameters as one vector."""
    return np.concatenate([flat(block) for block in blocks])
