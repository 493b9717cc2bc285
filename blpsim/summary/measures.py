"""The measures of an estimator's performance, each with its Monte Carlo standard error.

Sources of the definitions: Morris, White and Crowther (2019), Table 6; medians by order statistics. The
standard errors of the empirical standard error and of ratios hold without normality.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.errors import ConfigurationError
from blpsim.summary.influence import (
    Measured,
    mean,
    measured,
    proportion,
    quiet,
    ratio,
    root,
    standard_deviation,
)
from blpsim.summary.median import median


class Sample(NamedTuple):
    """The replications of some cells, NaN where a replication has nothing to use."""

    error: Matrix
    """(..., n) estimates minus truth."""
    spread: Matrix
    """(..., n) what has the estimator's dispersion: errors, or the estimates of what has no truth."""
    standard_error: Matrix
    """(..., n) standard errors of the estimates."""
    critical: float
    """Half-width of a confidence interval in standard errors."""


def sample(estimate: Matrix, standard_error: Matrix, truth: Matrix, level: float = 0.95) -> Sample:
    """Return replications ready to be measured, from arrays (..., n) with NaN for what is not used.

    The truth may differ by replication.

    Raises
    ------
    ConfigurationError
        If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        why = "it is the share of confidence intervals that should cover the truth"
        raise ConfigurationError("level", level, "between 0 and 1", why)
    error = estimate - truth
    if (untold := np.isnan(truth).all(axis=-1, keepdims=True)).any():
        spread = np.where(untold, estimate, error)
    else:
        spread = error
    standard_error = np.where(np.isnan(estimate), np.nan, standard_error)
    return Sample(error, spread, standard_error, NormalDist().inv_cdf((1 + level) / 2))


def bias(cells: Sample) -> Measured:
    """Return the mean error."""
    return measured(mean(cells.error))


def median_bias(cells: Sample) -> Measured:
    """Return the median error."""
    return median(cells.error)


def rmse(cells: Sample) -> Measured:
    """Return the root mean squared error."""
    with quiet():
        return measured(root(mean(cells.error**2)))


def median_absolute_error(cells: Sample) -> Measured:
    """Return the median of the errors' absolute values."""
    return median(np.abs(cells.error))


def empirical_se(cells: Sample) -> Measured:
    """Return the standard deviation of the errors, which is the estimates' when the truth is one value."""
    return measured(standard_deviation(cells.spread))


def mean_se(cells: Sample) -> Measured:
    """Return the mean of the estimated standard errors."""
    return measured(mean(cells.standard_error))


def se_ratio(cells: Sample) -> Measured:
    """Return the mean estimated standard error over the empirical one, where replications have both.

    Its relative error is the ratio minus one. Estimate and standard error of a replication may depend on
    each other, which the error of this ratio takes into account.
    """
    lacking = np.isnan(cells.spread) | np.isnan(cells.standard_error)
    errors, spread = (np.where(lacking, np.nan, values) for values in (cells.standard_error, cells.spread))
    return measured(ratio(mean(errors), standard_deviation(spread)))


def coverage(cells: Sample) -> Measured:
    """Return the share of confidence intervals that contain the truth."""
    lacking = np.isnan(cells.error) | np.isnan(cells.standard_error)
    inside = np.abs(cells.error) <= cells.critical * cells.standard_error
    return proportion(np.where(lacking, np.nan, inside))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A named measure of performance."""

    name: str
    """How tables of numbers call it."""
    label: str
    """How tables for people call it; a line break where its head may be broken."""
    function: Callable[[Sample], Measured]
    """From a sample to the measure of each of its cells."""
    is_proportion: bool = False
    """Whether it is a share of replications, shown in percent and with a Wilson interval."""


MEASURES = (
    Measure(name="bias", label="bias", function=bias),
    Measure(name="median_bias", label="median\nbias", function=median_bias),
    Measure(name="rmse", label="RMSE", function=rmse),
    Measure(name="median_absolute_error", label="median\n|error|", function=median_absolute_error),
    Measure(name="empirical_se", label="emp.\nSE", function=empirical_se),
    Measure(name="mean_se", label="mean\nSE", function=mean_se),
    Measure(name="se_ratio", label="mean/\nemp. SE", function=se_ratio),
    Measure(name="coverage", label="coverage\n%", function=coverage, is_proportion=True),
)


def wilson(share: Vector, used: Integers) -> tuple[Vector, Vector]:
    """Return the ends of Wilson's 95 % interval for a share of replications, NaN where there are none."""
    z = NormalDist().inv_cdf(0.975)
    with quiet():
        shrink = 1 + z**2 / used
        center = (share + z**2 / (2 * used)) / shrink
        half = z / shrink * np.sqrt(share * (1 - share) / used + z**2 / (4 * used**2))
        return np.maximum(center - half, 0.0), np.minimum(center + half, 1.0)
