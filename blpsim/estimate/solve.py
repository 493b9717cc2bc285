"""One- and two-step GMM: minimize, judge the minimum, update the weighting matrix."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import ArrayLike

from blpsim.arrays import Matrix, Vector
from blpsim.errors import ConfigurationError
from blpsim.estimate.gmm import GMM
from blpsim.estimate.inference import inverted, objective_covariance, two_stage_weighting, with_block
from blpsim.estimate.objective import Objective
from blpsim.estimate.optimizer import ROUNDING, Optimum, projected_gradient
from blpsim.estimate.resampling import simulation_error
from blpsim.estimate.result import Counts, Minimum, Origin, Result, failed_result, make_result
from blpsim.estimate.setting import Setting
from blpsim.model.layout import Layout
from blpsim.status import Status

_NEAR, _CUSTOMARY = 10.0, 1e-5
_RESTARTS = 2
_DIFFERENCE = 6e-6
_ZERO, _BESIDE = 1e-8, 1e-2
_WITHOUT_NUMBERS = (Status.NON_FINITE, Status.SINGULAR)


def solve(setting: Setting, layout: Layout, gmm: GMM) -> Result:
    """Return the estimates of a setting by one- or two-step GMM; numerical failure is a status."""
    began = time.perf_counter()
    bounds = gmm.respected_bounds(layout)
    steps: list[Objective] = []
    try:
        with np.errstate(all="ignore"):
            minimum = _take_steps(steps, setting, layout, gmm, bounds)
            counts = _counts(steps, began)
            if minimum.status in _WITHOUT_NUMBERS:
                return failed_result(Origin(setting, layout, gmm), minimum.status, counts)
            return make_result(steps[-1], minimum, bounds, counts)
    except np.linalg.LinAlgError:
        return failed_result(Origin(setting, layout, gmm), Status.SINGULAR, _counts(steps, began))


def _counts(steps: list[Objective], began: float) -> Counts:
    evaluations = sum(step.evaluations for step in steps)
    inversions = sum(step.inversion_evaluations for step in steps)
    return Counts(evaluations, inversions, sum(step.inversion_failures for step in steps), began)


def _take_steps(
    steps: list[Objective], setting: Setting, layout: Layout, gmm: GMM, bounds: tuple[Vector, Vector]
) -> Minimum:
    """Return the last step's minimum, after adding every step's objective to steps."""
    steps.append(first_step(setting, layout, gmm))
    minimum = _minimize(steps[0], layout.theta0.copy(), bounds)
    if gmm.method == "2s" and minimum.status not in _WITHOUT_NUMBERS:
        second = steps[0].reweighted(_updated(steps[0]))
        steps.append(second)
        minimum = _minimize(second, minimum.theta, bounds)
    return minimum


def _given_weighting(setting: Setting, given: ArrayLike, micro: int) -> Matrix:
    """Return a user's weighting matrix, checked; micro is the number of micro moments."""
    size = setting.moments + micro
    weighting = np.array(given, np.float64)
    if weighting.shape != (size, size) or not np.isfinite(weighting).all():
        expected = f"finite numbers of shape ({size}, {size})"
        why = "it weights the moments of demand, of supply, exogenous columns last, and of covariances"
        why += ", then of micro data" if micro else ""
        raise ConfigurationError("GMM.W", f"shape {weighting.shape}", expected, why)
    return weighting


def first_step(setting: Setting, layout: Layout, gmm: GMM) -> Objective:
    """Return the objective of the first step, with W updated at the start where that is asked for."""
    micro = len(gmm.micro_moments)
    if gmm.W is None:
        weighting = with_block(two_stage_weighting(setting), np.zeros((micro, micro)))
    else:
        weighting = _given_weighting(setting, gmm.W, micro)
    objective = Objective(setting, layout, gmm, weighting)
    if gmm.updates_at_start:
        objective(layout.theta0)
        if objective.status is not Status.EVALUATED:
            return objective
        objective = Objective(setting, layout, gmm, _updated(objective))
    return objective


def _minimize(objective: Objective, start: Vector, bounds: tuple[Vector, Vector]) -> Minimum:
    gmm = objective.gmm
    optimum = _minimized(objective, start, bounds)
    theta = optimum.theta
    size = theta.size
    hessian = np.full((size, size), np.nan)
    if gmm.hessian and not gmm.optimizer.stays:
        hessian = _hessian(objective, theta)
    _, gradient = objective(theta)
    projected = projected_gradient(theta, gradient, *bounds)
    free = (theta > bounds[0]) & (theta < bounds[1])
    smallest = np.nan
    if free.any() and np.isfinite(hessian).all():
        smallest = float(np.linalg.eigvalsh(hessian[np.ix_(free, free)])[0])
    status = _status(objective, optimum, projected, smallest, hessian)
    return Minimum(theta, gradient, projected, hessian, smallest, status)


def _minimized(objective: Objective, start: Vector, bounds: tuple[Vector, Vector]) -> Optimum:
    """Return where the optimizer stops, started again beside a sigma of zero that is not the best."""
    optimum = _restarted(objective, start, bounds)
    for _ in range(_RESTARTS if objective.gmm.optimizer.uses_gradient else 0):
        lower = _beside_zero(objective, optimum, bounds)
        if lower is None:
            break
        optimum = _restarted(objective, lower, bounds)
    return optimum


def _beside_zero(objective: Objective, optimum: Optimum, bounds: tuple[Vector, Vector]) -> Vector | None:
    """Return where within bounds the objective is lower than at a sigma of zero, (P,), or None.

    With nodes that are symmetric the objective is even in a sigma, so zero is stationary, be it a minimum
    or a saddle, and an optimizer that has come to it stays.
    """
    layout, theta = objective.layout, optimum.theta
    diagonal = np.flatnonzero(layout.sigma_rows == layout.sigma_cols)
    zero = (np.abs(theta[diagonal]) <= _ZERO) & (np.abs(optimum.gradient[diagonal]) <= _near(objective))
    for k in diagonal[zero]:
        beside, began = theta.copy(), abs(layout.theta0[k])
        beside[k] = _BESIDE * (began if began > _ZERO else 1.0)
        beside = np.clip(beside, *bounds)
        if objective(beside)[0] < optimum.value - ROUNDING * abs(optimum.value):
            return beside
    return None


def _restarted(objective: Objective, start: Vector, bounds: tuple[Vector, Vector]) -> Optimum:
    """Return where the optimizer stops, started again where rounding noise broke off a line search."""
    optimizer = objective.gmm.optimizer
    optimum = optimizer.minimize(objective, start, *bounds)
    for _ in range(_RESTARTS if optimizer.uses_gradient else 0):
        norm = np.abs(projected_gradient(optimum.theta, optimum.gradient, *bounds)).max(initial=0.0)
        if optimum.reached_limit or norm <= _near(objective):
            break
        again = optimizer.minimize(objective, optimum.theta, *bounds)
        if not again.value < optimum.value:
            break
        optimum = again
    return optimum


def _near(objective: Objective) -> float:
    """Return the projected gradient at which rounding may end a search that did not reach its tolerance.

    Below the customary 1e-5 of an objective in units of N, a tighter tolerance may be out of reach.
    """
    scale = objective.moments.scale / objective.setting.number
    return max(_NEAR * objective.gmm.optimizer.gtol, _CUSTOMARY * scale)


def _hessian(objective: Objective, theta: Vector) -> Matrix:
    rows = []
    for k in range(theta.size):
        step = np.zeros(theta.size)
        step[k] = _DIFFERENCE * max(1.0, abs(theta[k]))
        rows.append((objective(theta + step)[1] - objective(theta - step)[1]) / (2 * step[k]))
    hessian = np.array(rows, np.float64).reshape(theta.size, theta.size)
    symmetric: Matrix = (hessian + hessian.T) / 2
    return symmetric


def _status(
    objective: Objective, optimum: Optimum, projected: Vector, smallest: float, hessian: Matrix
) -> Status:
    optimizer = objective.gmm.optimizer
    if objective.status is not Status.EVALUATED:
        return objective.status
    if not objective.state.residuals.max() < objective.gmm.iteration.tolerance:
        return Status.INVERSION_FAILED
    if optimizer.stays or projected.size == 0:
        return Status.EVALUATED
    norm = float(np.abs(projected).max())
    if norm > optimizer.gtol:
        stopped = Status.PRECISION_LIMITED if norm <= _near(objective) else Status.NOT_STATIONARY
        return Status.ITERATION_LIMIT if optimum.reached_limit else stopped
    if smallest < -1e-8 * float(np.abs(hessian).max(initial=0.0)):
        return Status.NOT_A_MINIMUM
    return Status.CONVERGED


def _updated(objective: Objective) -> Matrix:
    gmm = objective.gmm
    covariance = objective_covariance(objective, gmm.W_type)
    weighting = inverted(simulation_error(objective).added(covariance, objective.setting.number))
    return np.asarray((weighting + weighting.T) / 2, np.float64)
