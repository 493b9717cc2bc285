"""Tests of a specification, and of restrictions on its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.checks import numbers
from blpsim.errors import ParameterError

_COLLINEAR = 1e-10
_DIFFERENCE = 6e-6

Restrictions = ArrayLike | Callable[[Vector], ArrayLike]
"""(R,) what is zero when restrictions hold, at the estimates or as a function of parameters (P,)."""


class Hansen(NamedTuple):
    """Hansen's J and the probability of a larger one when all moments are zero."""

    j: float
    p: float


class HypothesisTest(NamedTuple):
    """A statistic that is asymptotically chi-squared when what is tested holds."""

    statistic: float
    degrees_of_freedom: int
    p_value: float
    """The probability of a larger statistic; NaN without a degree of freedom, or without estimates."""


NOT_TESTED = Hansen(np.nan, np.nan)


def hansen_test(moments: Vector, weighting: Matrix, number: int, parameters: int) -> Hansen:
    """Return J = N g'Wg with its chi-squared probability; NaN without overidentifying moments.

    moments    (M,) averages at the estimate
    weighting  (M, M) the inverse of their covariance; a moment whose row is zero does not count

    Source: Hansen (1982).
    """
    excess = int(weighting.any(axis=0).sum()) - parameters
    if excess <= 0:
        return NOT_TESTED
    statistic = float(number * (moments @ weighting @ moments))
    return Hansen(statistic, float(gammaincc(excess / 2, statistic / 2)))


def chi_squared(statistic: float, degrees: int) -> HypothesisTest:
    """Return a statistic with its chi-squared probability; below zero it is as good as zero."""
    if degrees <= 0:
        return HypothesisTest(float(statistic), degrees, float("nan"))
    return HypothesisTest(float(statistic), degrees, float(gammaincc(degrees / 2, max(statistic, 0.0) / 2)))


def lm_test(gradient: Vector, covariance: Matrix, number: int, degrees: int) -> HypothesisTest:
    """Return N (G'Wg)'V(G'Wg), V = N times the covariance of estimates.

    gradient    (P,) G'Wg
    covariance  (P, P) of the estimates
    degrees     how many restrictions there are

    Source: Newey and West (1987).
    """
    return chi_squared(number**2 * float(gradient @ covariance @ gradient), degrees)


def wald_test(restricted: Vector, jacobian: Matrix, covariance: Matrix) -> HypothesisTest:
    """Return r'(R C R')^{-1}r with a degree of freedom for each restriction.

    restricted  (R,) what is zero when the restrictions hold
    jacobian    (R, P)
    covariance  (P, P) C, of the estimates

    Raises
    ------
    ParameterError
        When a restriction follows from others.

    Source: Newey and West (1987).
    """
    scales = np.sqrt((jacobian**2).sum(axis=1))
    diagonal = np.abs(np.diag(np.linalg.qr(jacobian.T, mode="r")))
    if diagonal.size < restricted.size or (diagonal <= _COLLINEAR * scales).any():
        got, why = f"{restricted.size} of them", "none may follow from the others"
        raise ParameterError("restrictions", got, "independent restrictions", why)
    explained = np.linalg.solve(jacobian @ covariance @ jacobian.T, restricted)
    return chi_squared(float(restricted @ explained), restricted.size)


def restrictions_at(
    restrictions: Restrictions, jacobian: ArrayLike | None, values: Vector
) -> tuple[Vector, Matrix]:
    """Return restrictions, (R,), and their Jacobian, (R, P), which is differenced when it is not given.

    values  (P,) the estimates

    Raises
    ------
    ParameterError
        When there are no restrictions, or the Jacobian is missing or has another shape.
    """
    found = _restricted(restrictions, values)
    if jacobian is None:
        if not callable(restrictions):
            expected = "a matrix, or restrictions that are a function of the parameters"
            why = "the variance of restrictions follows from it"
            raise ParameterError("restrictions_jacobian", None, expected, why)
        return found, _differenced(restrictions, values)
    matrix = np.atleast_2d(numbers("restrictions_jacobian", jacobian, ParameterError))
    if matrix.shape != (found.size, values.size) or not np.isfinite(matrix).all():
        expected = f"finite numbers of shape ({found.size}, {values.size})"
        why = "it has a row a restriction and a column a parameter"
        raise ParameterError("restrictions_jacobian", f"shape {matrix.shape}", expected, why)
    return found, matrix


def check_inside(field: str, at_bound: Booleans, names: tuple[str, ...]) -> None:
    """Refuse to test parameters that are at a bound.

    at_bound  (P,) which of the tested ones are
    """
    if at_bound.any():
        why = "an estimate at a bound is not asymptotically normal"
        raise ParameterError(field, names[int(np.argmax(at_bound))], "parameters inside their bounds", why)


def _restricted(restrictions: Restrictions, values: Vector) -> Vector:
    found = restrictions(values.copy()) if callable(restrictions) else restrictions
    array = np.atleast_1d(np.squeeze(numbers("restrictions", found, ParameterError)))
    if array.ndim != 1 or not array.size:
        expected, why = "one number a restriction", "each is tested to be zero"
        raise ParameterError("restrictions", f"shape {array.shape}", expected, why)
    return array


def _differenced(restrictions: Restrictions, values: Vector) -> Matrix:
    columns = []
    for k in range(values.size):
        step = np.zeros(values.size)
        step[k] = _DIFFERENCE * max(1.0, abs(values[k]))
        difference = _restricted(restrictions, values + step) - _restricted(restrictions, values - step)
        columns.append(difference / (2 * step[k]))
    return np.array(columns, np.float64).T
