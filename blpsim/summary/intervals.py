"""Measures of confidence intervals and of the tests that go with them.

An interval is the estimate plus and minus ``critical`` standard errors; a test rejects a value outside of
it. Replications need an estimate and a standard error.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.summary.influence import Influence, mean, quiet, share, smooth, standard_deviation
from blpsim.summary.quantiles import quantile
from blpsim.summary.sample import Sample


def coverage(cells: Sample) -> Influence:
    """Return the share of confidence intervals that contain the truth."""
    return _share(cells, cells.error, lambda error, half: np.abs(error) <= half)


def lower_miss(cells: Sample) -> Influence:
    """Return the share of intervals that lie above the truth, which is below their lower end."""
    return _share(cells, cells.error, lambda error, half: error > half)


def upper_miss(cells: Sample) -> Influence:
    """Return the share of intervals that lie below the truth, which is above their upper end."""
    return _share(cells, cells.error, lambda error, half: error < -half)


def size(cells: Sample) -> Influence:
    """Return the share of tests that reject the truth."""
    return _share(cells, cells.error, lambda error, half: np.abs(error) > half)


def power(cells: Sample) -> Influence:
    """Return the share of tests that reject zero; where the truth is zero, this is their size."""
    return _share(cells, cells.estimate, lambda estimate, half: np.abs(estimate) > half)


def interval_width(cells: Sample) -> Influence:
    """Return the mean width of confidence intervals."""
    return mean(2 * cells.critical * _of_both(cells, cells.standard_error))


def bias_eliminated_coverage(cells: Sample) -> Influence:
    """Return the share of intervals that contain the truth once they are moved by minus the bias.

    Morris, White and Crowther (2019), Table 6. The bias is estimated, too, so that its influence enters by
    the slope of coverage in it, a central difference over S n^(-1/5).
    """
    error = _of_both(cells, cells.error)
    half = cells.critical * _of_both(cells, cells.standard_error)
    center, step = mean(error), _step(error)

    def covered(value: Vector) -> Influence:
        inside = np.abs(error - value[..., None]) <= half
        return share(np.where(np.isnan(error), np.nan, inside))

    found, one = covered(center.value), np.ones_like(center.value)
    with quiet():
        slope = (covered(center.value + step).value - covered(center.value - step).value) / (2 * step)
        slope = np.where(step > 0, slope, 0.0)
    return smooth(found.value, (one, found), (slope, center))


def size_adjusted_power(cells: Sample) -> Influence:
    """Return the share of tests that reject zero with the critical value of which their size is exact.

    That critical value is the quantile of the t statistics of the truth; its influence enters by the slope
    of power in it, a central difference over S n^(-1/5).
    """
    with quiet():
        errors = _of_both(cells, cells.standard_error)
        under, statistic = np.abs(cells.error / errors), np.abs(cells.estimate / errors)
    statistic = np.where(np.isnan(under), np.nan, statistic)
    level = 2 * NormalDist().cdf(cells.critical) - 1
    limit, step = quantile(under, level), _step(statistic)

    def rejected(value: Vector) -> Influence:
        return share(np.where(np.isnan(statistic), np.nan, statistic > value[..., None]))

    found, one = rejected(limit.value), np.ones_like(limit.value)
    with quiet():
        slope = (rejected(limit.value + step).value - rejected(limit.value - step).value) / (2 * step)
        slope = np.where(step > 0, slope, 0.0)
    return smooth(found.value, (one, found), (slope, limit))


def _share(cells: Sample, values: Matrix, happens: Callable[[Matrix, Matrix], Booleans]) -> Influence:
    lacking = np.isnan(values) | np.isnan(cells.standard_error)
    with quiet():
        happened = happens(values, cells.critical * cells.standard_error)
    return share(np.where(lacking, np.nan, happened))


def _of_both(cells: Sample, values: Matrix) -> Matrix:
    """Return values where a replication has an error and a standard error, else NaN."""
    return np.where(np.isnan(cells.error) | np.isnan(cells.standard_error), np.nan, values)


def _step(values: Matrix) -> Vector:
    deviation = standard_deviation(values)
    with quiet():
        step: Vector = deviation.value * np.maximum(deviation.used, 1) ** -0.2
    return step
