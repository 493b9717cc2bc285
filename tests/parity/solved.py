"""An estimator of a study on one dataset, as both packages solve it."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pyblp
from numpy.typing import NDArray

import blpsim as bs
from blpsim.economy.dataset import Dataset
from blpsim.estimate.result import Result
from blpsim.estimate.setting import Setting
from blpsim.estimate.solution import Solution
from blpsim.model.layout import Layout

from .case import Case
from .peer import peer_optimal_problem, peer_problem, peer_solve

Array = NDArray[Any]
Block = NDArray[np.float64]

TOLERANCE = 1e-5
"""Largest difference of estimates, relative to PyBLP's largest, where optimizers end at a tight tolerance."""


class Theirs(NamedTuple):
    """What PyBLP found; parameters in the order of blpsim's names."""

    values: Block
    errors: Block
    objective: float
    gradient_norm: float
    """Largest element of the projected gradient."""


ZERO = 1e-12
"""Below this a sigma is zero for PyBLP: rounding is all that blpsim would make of its optimal instrument."""


def solved_by_both(
    estimator: bs.Estimator, dataset: Dataset, streams: bs.Streams
) -> tuple[Result, Theirs] | None:
    """Return blpsim's result and PyBLP's from the start that led to it; None where blpsim has none.

    Optimal instruments are computed by each package, at blpsim's first estimate. A sigma that is zero there
    up to rounding is zero for PyBLP, which keeps it so, and makes no instrument for it.
    """
    solution = estimator.solution(dataset, streams)
    if not solution.results:
        return None
    return solution.best, _solved_by_peer(estimator, dataset, streams, best_start(solution))


class Beside(NamedTuple):
    """What PyBLP finds when each of its steps starts beside where blpsim's ended."""

    theirs: Theirs
    own_first: float
    """The objective where blpsim's first step ended, from the start that led to its result."""
    peer_first: float
    """The objective where PyBLP's first step ends from that start."""


def solved_beside(estimator: bs.Estimator, dataset: Dataset, streams: bs.Streams) -> Beside:
    """Return PyBLP's result when each step starts a twentieth from where blpsim's ended.

    Only for a dataset on which blpsim has results. Both packages then search the same basin, whichever way
    their first evaluations would send them.
    """
    solution = estimator.solution(dataset, streams)
    one_step = dataclasses.replace(estimator, gmm=dataclasses.replace(estimator.gmm, method="1s"))
    ended = one_step.solution(dataset, streams).results[solution.results.index(solution.best)]
    case = solved_case(estimator, solution, best_start(solution))
    problem = _peer_problem(estimator, dataset, streams, case)
    step = dataclasses.replace(case, options={"method": "1s"})
    begun = peer_solve(step, problem)
    found = peer_solve(_moved(step, estimator, solution, ended), problem)
    if estimator.gmm.method == "2s":
        second = dataclasses.replace(
            step, options={"method": "1s", "W": found.updated_W, "delta": found.delta}
        )
        found = peer_solve(_moved(second, estimator, solution, solution.best), problem)
    return Beside(_theirs(found, solution.layout), ended.objective, float(begun.objective))


def _moved(case: Case, estimator: bs.Estimator, solution: Solution, ended: Result) -> Case:
    """Return the case with a start a twentieth from an end, within bounds."""
    theta = ended.values[solution.layout.theta_positions]
    moved = np.where(theta == 0, 1 / 20, theta * (1 + 1 / 20))
    inside = np.clip(moved, *_limits(estimator, solution))
    return dataclasses.replace(case, parameters=_blocks(solution, inside))


def _solved_by_peer(estimator: bs.Estimator, dataset: Dataset, streams: bs.Streams, start: Block) -> Theirs:
    solution = estimator.solution(dataset, streams)
    case = solved_case(estimator, solution, start)
    return _theirs(peer_solve(case, _peer_problem(estimator, dataset, streams, case)), solution.layout)


def _peer_problem(
    estimator: bs.Estimator, dataset: Dataset, streams: bs.Streams, case: Case
) -> pyblp.Problem:
    if not isinstance(estimator.instruments, bs.instruments.Optimal):
        return peer_problem(case)
    begun = estimator.instruments.first
    first = begun.solution(dataset, streams)
    return peer_optimal_problem(solved_case(begun, first, best_theta(first)))


def _theirs(found: pyblp.ProblemResults, bound: Layout) -> Theirs:
    place = bound.sigma_rows, bound.sigma_cols
    rho = bound.rho_moved
    values = found.beta.ravel(), found.sigma[place], found.rho.ravel()[rho], found.gamma.ravel()
    errors = found.beta_se.ravel(), found.sigma_se[place], found.rho_se.ravel()[rho], found.gamma_se.ravel()
    norm = float(np.max(np.abs(found.projected_gradient), initial=0))
    return Theirs(np.concatenate(values), np.concatenate(errors), float(found.objective), norm)


def solved_case(estimator: bs.Estimator, solution: Solution, theta: Block) -> Case:
    """Return the problem of a solution that starts at theta, (P,): same data, instruments and bounds."""
    setting, optimizer = solution.setting, estimator.gmm.optimizer
    assert setting is not None
    assert estimator.integration is not None
    return Case(
        name="estimator",
        model=_model(setting),
        products=_products(setting),
        nodes=estimator.integration.size,
        parameters=_blocks(solution, theta),
        options={"method": estimator.gmm.method},
        bounds=_bounds(estimator, solution),
        optimizer=optimizer.method,
        gtol=optimizer.gtol,
    )


def best_start(solution: Solution) -> Block:
    """Return the start, (P,), that led to the best result."""
    return np.asarray(solution.starts)[solution.results.index(solution.best)]


def best_theta(solution: Solution) -> Block:
    """Return what the optimizer moves, (P,), at the best result."""
    return np.asarray(solution.best.values[solution.layout.theta_positions])


def _model(setting: Setting) -> dict[str, Any]:
    model = setting.model
    parts = {name: getattr(model, name) for name in ("linear", "nonlinear", "rc_types", "nests")}
    parts |= {"supply": model.supply, "costs": model.costs} if setting.supply else {}
    return {name: part for name, part in parts.items() if part is not None}


def _products(setting: Setting) -> dict[str, Array]:
    """Return products with the excluded instruments, which exogenous columns of X1 and X3 follow."""
    exogenous = int((~setting.columns.x1.depends_on_prices).sum())
    demand = setting.demand_instruments[: len(setting.demand_instruments) - exogenous]
    supply = setting.supply_instruments[: len(setting.supply_instruments) - len(setting.x3)]
    products = dict(setting.products.columns)
    products |= {f"demand_instruments{i}": row for i, row in enumerate(demand)}
    return products | {f"supply_instruments{i}": row for i, row in enumerate(supply)}


def _blocks(solution: Solution, theta: Block) -> dict[str, Block]:
    bound, sigma = solution.layout, solution.layout.sigma(theta)
    blocks = {"beta": bound.beta(theta), "sigma": np.where(np.abs(sigma) < ZERO, 0.0, sigma)}
    blocks |= {"rho": bound.rho(theta).squeeze()} if bound.rho0.size else {}
    return blocks | ({"gamma": bound.gamma(theta)} if bound.gamma0.size else {})


def _limits(estimator: bs.Estimator, solution: Solution) -> tuple[Block, Block]:
    bound, gmm = solution.layout, estimator.gmm
    if isinstance(estimator.bounds, bs.Bounds):
        names = [name for name in bound.theta_names if name == "beta[prices]" or name.startswith("rho")]
        named = estimator.bounds.by_name(bound, names)
        gmm = dataclasses.replace(gmm, bounds=named)
    return gmm.theta_bounds(bound)


def _bounds(estimator: bs.Estimator, solution: Solution) -> dict[str, tuple[Block, Block]]:
    lower, upper = (_blocks(solution, limit) for limit in _limits(estimator, solution))
    pairs = {block: (lower[block], upper[block]) for block in ("sigma", "rho") if block in lower}
    if (~np.isnan(lower["beta"])).any():
        ends = np.nan_to_num(lower["beta"], nan=-np.inf), np.nan_to_num(upper["beta"], nan=np.inf)
        pairs["beta"] = ends
    return pairs
