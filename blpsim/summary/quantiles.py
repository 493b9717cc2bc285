"""Medians and other quantiles with their Monte Carlo standard errors, from order statistics.

Medians: from 20 replications on by the distance between two order statistics (McKean and Schrader 1984);
below, by the bootstrap's exact variance (Hutson and Ernst 2000), which needs no random numbers.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
from scipy.special import betainc

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.summary.influence import Influence, Measured, mean, quiet

_FEW = 20
_TWO_SIDED = 1.96


def median(values: Matrix) -> Measured:
    """Return the median of what is not NaN, over the last axis, with its error."""
    ordered = np.sort(values, axis=-1)
    used = np.int64(values.shape[-1]) - np.isnan(values).sum(axis=-1)
    with quiet():
        value = (_ranked(ordered, (used + 1) // 2) + _ranked(ordered, used // 2 + 1)) / 2
        error = _order_statistic_error(ordered, used)
    for few in range(2, _FEW):
        if np.any(here := used == few):
            error[here] = _bootstrap_error(ordered[here][:, :few])
    return Measured(np.where(used > 1, value, np.nan), np.where(used > 1, error, np.nan), used)


def median_influence(values: Matrix) -> Influence:
    """Return the median with influence values: whether a replication is above it, scaled to its error.

    So a median enters differences and ratios by the one rule, and paired medians get a paired error.
    """
    value, error, used = median(values)
    return Influence(value, above(values, value, error, used), used)


def quantile(values: Matrix, probability: float) -> Influence:
    """Return a quantile of what is not NaN, over the last axis, interpolated between order statistics.

    Its error is the exact one of the bootstrap of the nearest order statistic (Maritz and Jarrett 1978).
    """
    ordered = np.sort(values, axis=-1)
    used = np.int64(values.shape[-1]) - np.isnan(values).sum(axis=-1)
    place = probability * np.maximum(used - 1, 0)
    below = np.floor(place).astype(np.int64)
    low = _ranked(ordered, below + 1)
    with quiet():
        step = np.where(place > below, (place - below) * (_ranked(ordered, below + 2) - low), 0.0)
    value, error = low + step, np.full(used.shape, np.nan)
    for count in np.unique(used[used > 1]).tolist():
        here = used == count
        rank = min(max(round(probability * (count - 1)) + 1, 1), count)
        weights = np.diff(betainc(rank, count - rank + 1, np.arange(count + 1) / count))
        rows = ordered[here][..., :count]
        center = (rows @ weights)[..., None]
        error[here] = np.sqrt((rows - center) ** 2 @ weights)
    value = np.where(used > 1, value, np.nan)
    return Influence(value, above(values, value, error, used), used)


def above(values: Matrix, value: Vector, error: Vector, used: Integers) -> Matrix:
    """Return influence values of an order statistic that give it its error, of the values' shape."""
    missing = np.isnan(values)
    side = mean(np.where(missing, np.nan, np.sign(values - value[..., None]))).psi
    with quiet():
        size = np.sqrt(np.einsum("...i,...i->...", side, side) / (used * (used - 1.0)))
        scale = np.where(size > 0, error / size, 0.0)
        psi: Matrix = side * np.where(used > 1, scale, 0.0)[..., None]
    return psi


def _ranked(ordered: Matrix, rank: Integers) -> Vector:
    if ordered.shape[-1] == 0:
        return np.full(ordered.shape[:-1], np.nan)
    place = np.clip(rank - 1, 0, ordered.shape[-1] - 1)
    return np.take_along_axis(ordered, place[..., None], axis=-1)[..., 0]


def _order_statistic_error(ordered: Matrix, used: Integers) -> Vector:
    """Return half the width of the distribution-free interval for the median over 1.96."""
    rank = np.rint((used + 1) / 2 - _TWO_SIDED * np.sqrt(used / 4)).astype(np.int64)
    return (_ranked(ordered, used + 1 - rank) - _ranked(ordered, rank)) / (2 * _TWO_SIDED)


def _bootstrap_error(ordered: Matrix) -> Vector:
    """Return the standard deviation of the median of a resample, (cells,), from sorted rows (cells, n)."""
    middles = (ordered[:, :, None] + ordered[:, None, :]) / 2
    weights = _middle_probabilities(ordered.shape[1])
    center = (weights * middles).sum(axis=(1, 2), keepdims=True)
    variance: Vector = (weights * (middles - center) ** 2).sum(axis=(1, 2))
    return np.sqrt(variance)


@lru_cache(maxsize=_FEW)
def _middle_probabilities(n: int) -> Matrix:
    """Return the probability that a resample's two middle values are the i-th and j-th smallest, (n, n).

    The two are one value when n is odd. When n = 2r is even and i < j, r draws have maximum i and r have
    minimum j.
    """
    lower = (n + 1) // 2
    ranks = np.arange(n + 1) / n
    reached = sum(comb(n, k) * ranks**k * (1 - ranks) ** (n - k) for k in range(lower, n + 1))
    weights = np.diag(np.diff(reached))
    if n % 2 == 0:
        maximum = np.diff(ranks**lower)
        apart = np.triu(comb(n, lower) * np.outer(maximum, maximum[::-1]), 1)
        weights = weights - np.diag(apart.sum(axis=1)) + apart
    return weights
