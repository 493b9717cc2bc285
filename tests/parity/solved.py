"""An estimator of a study on one dataset, as both packages solve it."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pyblp
from numpy.typing import NDArray

import blpsim as bs
from blpsim.economy.dataset import Dataset
from blpsim.estimate.estimator import Solution
from blpsim.estimate.result import Result
from blpsim.estimate.setting import Setting
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


_BESIDE = 1e-2
"""From where PyBLP begins again when it has come to a sigma of zero."""

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


def solved_by_released_peer(estimator: bs.Estimator, dataset: Dataset, streams: bs.Streams) -> Theirs:
    """Return PyBLP's result, for which each step that ends at a sigma of zero is begun again beside it.

    Only for a dataset on which blpsim has results. The objective is even in a sigma, so that its derivative
    at zero is zero, and PyBLP stays there though the objective may be lower elsewhere. Of both ends of a
    step that with the lower objective counts, as in blpsim.
    """
    solution = estimator.solution(dataset, streams)
    case = solved_case(estimator, solution, best_start(solution))
    problem = _peer_problem(estimator, dataset, streams, case)
    step = dataclasses.replace(case, options=dict(case.options) | {"method": "1s"})
    found = _released(step, problem)
    if estimator.gmm.method == "2s":
        options = dict(step.options) | {"W": found.updated_W, "delta": found.delta}
        found = _released(
            dataclasses.replace(step, options=options, parameters=_beside(found, step)), problem
        )
    return _theirs(found, solution.layout)


def _released(case: Case, problem: pyblp.Problem) -> pyblp.ProblemResults:
    found = peer_solve(case, problem)
    if not ((found.sigma == 0) & (np.array(case.parameters["sigma"]) != 0)).any():
        return found
    again = peer_solve(dataclasses.replace(case, parameters=_beside(found, case)), problem)
    return min(found, again, key=lambda end: float(end.objective))


def _beside(found: pyblp.ProblemResults, case: Case) -> dict[str, Block]:
    """Return the parameters where PyBLP ended, beside zero what came to it, without the concentrated ones."""
    ended = {name: np.array(getattr(found, name)) for name in case.parameters}
    came = (ended["sigma"] == 0) & (np.array(case.parameters["sigma"]) != 0)
    ended["sigma"] = np.where(came, _BESIDE, ended["sigma"])
    for name in ended.keys() & {"beta", "gamma"}:
        ended[name] = np.where(np.isnan(case.parameters[name]), np.nan, ended[name].ravel())
    return ended


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
    values = found.beta.ravel(), found.sigma[place], found.gamma.ravel()
    errors = found.beta_se.ravel(), found.sigma_se[place], found.gamma_se.ravel()
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


def _model(setting: Setting) -> dict[str, str]:
    model = setting.model
    formulas = {"linear": model.linear, "nonlinear": model.nonlinear}
    formulas |= {"supply": model.supply, "costs": model.costs} if setting.supply else {}
    return {name: formula for name, formula in formulas.items() if formula is not None}


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
    return blocks | ({"gamma": bound.gamma(theta)} if bound.gamma0.size else {})


def _bounds(estimator: bs.Estimator, solution: Solution) -> dict[str, tuple[Block, Block]]:
    bound, gmm = solution.layout, estimator.gmm
    if isinstance(estimator.bounds, bs.Bounds):
        named = estimator.bounds.by_name(bound, [n for n in bound.theta_names if n == "beta[prices]"])
        gmm = dataclasses.replace(gmm, bounds=named)
    lower, upper = (_blocks(solution, limit) for limit in gmm.theta_bounds(bound))
    pairs = {"sigma": (lower["sigma"], upper["sigma"])}
    if (~np.isnan(lower["beta"])).any():
        ends = np.nan_to_num(lower["beta"], nan=-np.inf), np.nan_to_num(upper["beta"], nan=np.inf)
        pairs["beta"] = ends
    return pairs
