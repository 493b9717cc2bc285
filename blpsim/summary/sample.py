"""The replications that a measure sees."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from blpsim.arrays import Matrix
from blpsim.errors import ConfigurationError


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
    estimate: Matrix
    """(..., n) estimates."""
    truth: Matrix
    """(..., n) true values, NaN also where the estimate is not used."""
    at_bound: Matrix
    """(..., n) whether the estimate is at a bound, as a number."""


def sample(
    estimate: Matrix,
    standard_error: Matrix,
    truth: Matrix,
    level: float = 0.95,
    at_bound: Matrix | None = None,
) -> Sample:
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
    unused = np.isnan(estimate)
    bound = np.full(estimate.shape, np.nan) if at_bound is None else np.where(unused, np.nan, at_bound)
    return Sample(
        error,
        spread,
        np.where(unused, np.nan, standard_error),
        NormalDist().inv_cdf((1 + level) / 2),
        estimate,
        np.where(unused, np.nan, truth),
        bound,
    )


def both(first: Sample, second: Sample) -> tuple[Sample, Sample]:
    """Return two samples of the same replications, each without what the other one lacks."""
    return _without(first, second), _without(second, first)


def _without(one: Sample, other: Sample) -> Sample:
    def kept(values: Matrix, others: Matrix) -> Matrix:
        return np.where(np.isnan(others), np.nan, values)

    return Sample(
        kept(one.error, other.error),
        kept(one.spread, other.spread),
        kept(one.standard_error, other.standard_error),
        one.critical,
        kept(one.estimate, other.estimate),
        kept(one.truth, other.truth),
        kept(one.at_bound, other.at_bound),
    )
