"""Influence values: the one rule that gives a measure its Monte Carlo standard error.

A measure g of n replications has influence values psi_i with mean zero, and its error is
sd(psi) / sqrt(n). A smooth function h(g_1, ..., g_k) has psi = sum_k dh/dg_k psi_k. Values stay at their
replication's place, so measures of two estimators on the same replications combine by the same rule.
Nothing here assumes normality, as the textbook errors of a standard deviation or of a ratio do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from blpsim.arrays import Integers, Matrix, Vector


def quiet() -> np.errstate:
    """Return a context in which no replications, constants and overflow become NaN or infinity, unwarned."""
    return np.errstate(divide="ignore", invalid="ignore", over="ignore")


class Measured(NamedTuple):
    """A measure in each cell, with its Monte Carlo standard error."""

    value: Vector
    """(...,) NaN with fewer than two replications."""
    error: Vector
    """(...,) the Monte Carlo standard error."""
    used: Integers
    """(...,) how many replications entered."""


class Influence(NamedTuple):
    """A measure in each cell, with what every replication contributes to its error."""

    value: Vector
    """(...,) the measure."""
    psi: Matrix
    """(..., n) influence values in the order of replications; 0 where a replication did not enter."""
    used: Integers
    """(...,) how many replications entered."""


def mean(values: Matrix) -> Influence:
    """Return the mean of what is not NaN, over the last axis."""
    missing = np.isnan(values)
    psi = np.where(missing, 0.0, values)
    used = np.asarray(values.shape[-1] - np.count_nonzero(missing, axis=-1), dtype=np.int64)
    with quiet():
        value = psi.sum(axis=-1) / used
        psi -= value[..., None]
    psi[missing] = 0.0
    return Influence(value, psi, used)


def standard_deviation(values: Matrix) -> Influence:
    """Return the standard deviation (divisor n - 1) of what is not NaN, over the last axis."""
    _, psi, used = mean(values)
    with quiet():
        psi *= psi
        total = psi.sum(axis=-1)
        value = np.sqrt(total / (used - 1))
        psi -= (total / used)[..., None]
        psi /= 2 * value[..., None]
    psi[np.isnan(values)] = 0.0
    return Influence(value, psi, used)


def smooth(value: Vector, *terms: tuple[Vector, Influence]) -> Influence:
    """Return a smooth function of measures from its value and (derivative, measure) pairs.

    The measures must have entered on the same replications.
    """
    psi = np.zeros_like(terms[0][1].psi)
    with quiet():
        for slope, part in terms:
            psi += slope[..., None] * part.psi
    return Influence(value, psi, terms[0][1].used)


def root(square: Influence) -> Influence:
    """Return the square root of a measure."""
    with quiet():
        value = np.sqrt(square.value)
        return smooth(value, (0.5 / value, square))


def ratio(top: Influence, bottom: Influence) -> Influence:
    """Return one measure over another that entered on the same replications."""
    with quiet():
        value = top.value / bottom.value
        return smooth(value, (1 / bottom.value, top), (-value / bottom.value, bottom))


def measured(influence: Influence) -> Measured:
    """Return the measure with the error sd(psi) / sqrt(n)."""
    used = influence.used
    with quiet():
        squares = np.einsum("...i,...i->...", influence.psi, influence.psi)
        error = np.sqrt(squares / (used * (used - 1.0)))
    return _enough(influence.value, error, used)


def proportion(happened: Matrix) -> Measured:
    """Return the share of ones among what is not NaN, with the error sqrt(p (1 - p) / n).

    This is the same rule with divisor n for the variance of psi, as everyone writes it for proportions.
    """
    share = mean(happened)
    with quiet():
        error = np.sqrt(share.value * (1 - share.value) / share.used)
    return _enough(share.value, error, share.used)


def share(happened: Matrix) -> Influence:
    """Return the share of ones among what is not NaN; its error by the rule is sqrt(p (1 - p) / n)."""
    found = mean(happened)
    with quiet():
        shrink = np.sqrt(np.maximum(found.used - 1.0, 0.0) / found.used)
        return Influence(
            found.value, np.where(np.isnan(happened), 0.0, found.psi * shrink[..., None]), found.used
        )


def trimmed_mean(values: Matrix, proportion: float = 0.1) -> Influence:
    """Return the mean of what is not NaN without a proportion at either end, over the last axis.

    Influence values are those of Tukey and McLaughlin (1963): winsorized values about their mean.
    """
    ordered = np.sort(values, axis=-1)
    used = np.int64(values.shape[-1]) - np.isnan(values).sum(axis=-1)
    cut = np.floor(proportion * used).astype(np.int64)
    place = np.arange(values.shape[-1])
    kept = (place >= cut[..., None]) & (place < (used - cut)[..., None])
    with quiet():
        value = np.where(kept, ordered, 0.0).sum(axis=-1) / kept.sum(axis=-1)
    if values.shape[-1] == 0:
        return Influence(value, np.zeros_like(values), used)
    ends = [np.take_along_axis(ordered, np.maximum(end, 0)[..., None], -1) for end in (cut, used - cut - 1)]
    winsorized = mean(np.where(np.isnan(values), np.nan, np.clip(values, *ends)))
    return Influence(value, winsorized.psi / (1 - 2 * proportion), used)


def correlation(first: Matrix, second: Matrix) -> Influence:
    """Return the correlation over replications where neither is NaN, over the last axis."""
    lacking = np.isnan(first) | np.isnan(second)
    one, other = (mean(np.where(lacking, np.nan, values)) for values in (first, second))
    with quiet():
        first, second = (
            each.psi / np.sqrt((each.psi**2).sum(axis=-1) / each.used)[..., None] for each in (one, other)
        )
        value = (first * second).sum(axis=-1) / one.used
        psi = first * second - value[..., None] * (first**2 + second**2) / 2
    return Influence(value, np.where(lacking, 0.0, psi), one.used)


def jackknife(function: Callable[[Matrix], Vector], values: Matrix) -> Influence:
    """Return any function of replications with influence from leaving out one at a time, over the last axis.

    function  from values (..., n) to a number a cell (...,), such that it uses what is not NaN
    values    (..., n) replications

    It is for smooth functions: the jackknife is wrong for medians and other quantiles.
    """
    n = values.shape[-1]
    used = np.int64(n) - np.isnan(values).sum(axis=-1)
    left_out = np.empty_like(values)
    for place in range(n):
        left_out[..., place] = function(np.delete(values, place, axis=-1))
    left_out[np.isnan(values)] = np.nan
    pseudo = mean(left_out)
    return Influence(function(values), -pseudo.psi * (used - 1.0)[..., None], used)


def _enough(value: Vector, error: Vector, used: Integers) -> Measured:
    enough = used > 1
    return Measured(np.where(enough, value, np.nan), np.where(enough, error, np.nan), used)
