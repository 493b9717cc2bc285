"""Tests of a specification."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaincc

from blpsim.arrays import Matrix, Vector


class Hansen(NamedTuple):
    """Hansen's J and the probability of a larger one when all moments are zero."""

    j: float
    p: float


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
