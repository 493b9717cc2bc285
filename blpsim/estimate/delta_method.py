"""Standard errors of functions of an economy by the delta method."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Matrix, Vector
from blpsim.economy.economy import Economy
from blpsim.estimate.evaluation import economy_with
from blpsim.estimate.objective import Objective

Function = Callable[[Economy], ArrayLike]
"""Of an economy; a number or an array."""

_STEP, _LONGEST, _SHORTEST = 1e-3, 1e-4, 1e-6


class DeltaMethod(NamedTuple):
    """Functions of the estimated economy and their standard errors."""

    values: NDArray[np.float64]
    """In the function's shape."""
    standard_errors: NDArray[np.float64]
    """In the same shape; NaN where an economy nearby gives no numbers."""


def delta_method(
    function: Function, economy: Economy, objective: Objective, estimates: tuple[Vector, Matrix]
) -> DeltaMethod:
    """Return a function's values at an economy and their standard errors.

    economy    at the estimates
    objective  of the estimation
    estimates  (P,) and their covariance (P, P); parameters whose variance is NaN are held fixed

    Derivatives are central differences between economies a thousandth of a standard error to either side,
    whose mean utilities reproduce the same shares.
    """
    values = np.asarray(function(economy), np.float64)
    layout, variances = objective.layout, np.diag(estimates[1])
    # Where theta stays, mean utilities do too, so that these take one inversion together.
    order = np.array([*layout.theta_positions, *layout.concentrated_positions], np.int64)
    order = order[np.isfinite(variances[order])]
    slopes = [_slope(function, objective, estimates, k).ravel() for k in order]
    jacobian = np.array(slopes, np.float64).reshape(order.size, values.size)
    covariance = estimates[1][np.ix_(order, order)]
    found = np.sqrt(np.einsum("pk,pq,qk->k", jacobian, covariance, jacobian))
    return DeltaMethod(values, found.reshape(values.shape))


def _slope(
    function: Function, objective: Objective, estimates: tuple[Vector, Matrix], k: int
) -> NDArray[np.float64]:
    """Return the derivative of a function by the estimate k; NaN where it cannot be evaluated nearby."""
    values, error = estimates[0], float(np.sqrt(estimates[1][k, k]))
    size = abs(values[k])
    step = max(min(_STEP * error, _LONGEST * max(1.0, size)), _SHORTEST * size)
    sides: list[NDArray[np.float64]] = []
    for sign in (1, -1):
        moved = values.copy()
        moved[k] += sign * step
        economy = economy_with(objective, moved)
        sides.append(np.asarray(np.nan if economy is None else function(economy), np.float64))
    return np.asarray((sides[0] - sides[1]) / (2 * step), np.float64)
