"""The measures of an estimator's performance, each with its Monte Carlo standard error.

Sources of the definitions: Morris, White and Crowther (2019), Table 6; medians by order statistics. A
measure gives influence values, from which its error and those of differences and ratios come by one rule;
the errors of standard deviations and of ratios hold without normality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import numpy as np

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.checks import check, check_fields
from blpsim.errors import ConfigurationError
from blpsim.summary import intervals
from blpsim.summary.influence import (
    Influence,
    Measured,
    correlation,
    mean,
    measured,
    quiet,
    ratio,
    root,
    share,
    smooth,
    standard_deviation,
    trimmed_mean,
)
from blpsim.summary.quantiles import median_influence, quantile
from blpsim.summary.sample import Sample


def bias(cells: Sample) -> Influence:
    """Return the mean error."""
    return mean(cells.error)


def relative_bias(cells: Sample) -> Influence:
    """Return the mean of errors over the truth, which keeps its sign: a half less is -0.5 of any truth."""
    with quiet():
        return mean(np.where(cells.truth == 0, np.nan, cells.error / cells.truth))


def median_bias(cells: Sample) -> Influence:
    """Return the median error."""
    return median_influence(cells.error)


def trimmed_bias(cells: Sample) -> Influence:
    """Return the mean error without the lowest and the highest tenth."""
    return trimmed_mean(cells.error, 0.1)


def error_quantile(cells: Sample, probability: float) -> Influence:
    """Return a quantile of the errors."""
    return quantile(cells.error, probability)


def mse(cells: Sample) -> Influence:
    """Return the mean squared error."""
    with quiet():
        return mean(cells.error**2)


def rmse(cells: Sample) -> Influence:
    """Return the root mean squared error."""
    return root(mse(cells))


def relative_rmse(cells: Sample) -> Influence:
    """Return the root mean square of errors over the truth."""
    with quiet():
        return root(mean(np.where(cells.truth == 0, np.nan, cells.error / cells.truth) ** 2))


def mae(cells: Sample) -> Influence:
    """Return the mean of the errors' absolute values."""
    return mean(np.abs(cells.error))


def median_absolute_error(cells: Sample) -> Influence:
    """Return the median of the errors' absolute values."""
    return median_influence(np.abs(cells.error))


def empirical_se(cells: Sample) -> Influence:
    """Return the standard deviation of the errors, which is the estimates' when the truth is one value."""
    return standard_deviation(cells.spread)


def mean_se(cells: Sample) -> Influence:
    """Return the mean of the estimated standard errors."""
    return mean(cells.standard_error)


def rms_se(cells: Sample) -> Influence:
    """Return the root mean square of the estimated standard errors: the root of the mean variance."""
    with quiet():
        return root(mean(cells.standard_error**2))


def se_ratio(cells: Sample) -> Influence:
    """Return the mean estimated standard error over the empirical one, where replications have both.

    Estimate and standard error of a replication may depend on each other, which the error of this ratio
    takes into account.
    """
    errors, spread = _paired(cells)
    return ratio(mean(errors), standard_deviation(spread))


def relative_se_error(cells: Sample) -> Influence:
    """Return the root mean square standard error over the empirical one, minus one, where there are both."""
    errors, spread = _paired(cells)
    with quiet():
        found = ratio(root(mean(errors**2)), standard_deviation(spread))
    return smooth(found.value - 1, (np.ones_like(found.value), found))


def at_bound(cells: Sample) -> Influence:
    """Return the share of estimates at a bound."""
    return share(cells.at_bound)


def recovery(cells: Sample) -> Influence:
    """Return the correlation of estimates with the truth, which says something where the truth varies."""
    varies = np.nanmax(cells.truth, -1, initial=-np.inf) > np.nanmin(cells.truth, -1, initial=np.inf)
    return correlation(np.where(varies[..., None], cells.estimate, np.nan), cells.truth)


def _paired(cells: Sample) -> tuple[Matrix, Matrix]:
    lacking = np.isnan(cells.spread) | np.isnan(cells.standard_error)
    return np.where(lacking, np.nan, cells.standard_error), np.where(lacking, np.nan, cells.spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A named measure of performance; write your own and give it to ``summarize``.

    ``Measure(name="worse", function=lambda cells: abs(cells.error) > 1, is_proportion=True)`` is one.
    """

    name: str
    """How tables of numbers call it."""
    function: Callable[[Sample], Influence | Matrix]
    """From a sample to influence values, or to numbers of replications, (..., n), whose mean is meant."""
    label: str = ""
    """How tables for people call it; a line break where its head may be broken. Left empty, its name."""
    is_proportion: bool = False
    """Whether it is a share of replications, shown in percent and with a Wilson interval."""
    ideal: float | None = None
    """What it is for a perfect estimator, if that is a number; figures draw a line there."""

    def __post_init__(self) -> None:
        """Refuse fields of wrong types, and use the name where there is no label."""
        check_fields(self)
        if not self.name:
            raise ConfigurationError("Measure.name", self.name, "a name", "tables and selections need it")
        object.__setattr__(self, "label", self.label or self.name)

    def influence(self, cells: Sample) -> Influence:
        """Return the measure of each cell with its influence values."""
        found = self.function(cells)
        if isinstance(found, Influence):
            return found
        values = np.asarray(found, dtype=np.float64)
        if values.shape != cells.estimate.shape:
            why = "a measure that is no mean of such numbers returns an Influence"
            raise ConfigurationError(
                f"Measure {self.name}", f"shape {values.shape}", "one number a replication", why
            )
        return (share if self.is_proportion else mean)(np.where(np.isnan(cells.estimate), np.nan, values))

    def __call__(self, cells: Sample) -> Measured:
        """Return the measure of each cell with its Monte Carlo standard error."""
        return measured(self.influence(cells))


MEASURES = (
    Measure(name="bias", label="bias", function=bias, ideal=0.0),
    Measure(name="median_bias", label="median\nbias", function=median_bias, ideal=0.0),
    Measure(name="rmse", label="RMSE", function=rmse),
    Measure(name="median_absolute_error", label="median\n|error|", function=median_absolute_error),
    Measure(name="empirical_se", label="emp.\nSE", function=empirical_se),
    Measure(name="mean_se", label="mean\nSE", function=mean_se),
    Measure(name="se_ratio", label="mean/\nemp. SE", function=se_ratio, ideal=1.0),
    Measure(name="coverage", label="coverage\n%", function=intervals.coverage, is_proportion=True),
)
"""Those that tables show unless others are asked for."""

EVERY_MEASURE = (
    *MEASURES,
    Measure(name="relative_bias", label="relative\nbias", function=relative_bias, ideal=0.0),
    Measure(name="trimmed_bias", label="trimmed\nbias", function=trimmed_bias, ideal=0.0),
    Measure(name="mse", label="MSE", function=mse),
    Measure(name="relative_rmse", label="relative\nRMSE", function=relative_rmse),
    Measure(name="mae", label="mean\n|error|", function=mae),
    *(
        Measure(
            name=f"quantile_{p}",
            label=f"error's\n{p} %",
            function=partial(error_quantile, probability=p / 100),
        )
        for p in (5, 25, 75, 95)
    ),
    Measure(name="rms_se", label="rms\nSE", function=rms_se),
    Measure(name="relative_se_error", label="SE's rel.\nerror", function=relative_se_error, ideal=0.0),
    Measure(
        name="bias_eliminated_coverage",
        label="bias-elim.\ncoverage %",
        function=intervals.bias_eliminated_coverage,
        is_proportion=True,
    ),
    Measure(name="lower_miss", label="truth\nbelow %", function=intervals.lower_miss, is_proportion=True),
    Measure(name="upper_miss", label="truth\nabove %", function=intervals.upper_miss, is_proportion=True),
    Measure(name="interval_width", label="interval\nwidth", function=intervals.interval_width),
    Measure(name="size", label="size\n%", function=intervals.size, is_proportion=True),
    Measure(name="power", label="power\n%", function=intervals.power, is_proportion=True),
    Measure(
        name="size_adjusted_power",
        label="size-adj.\npower %",
        function=intervals.size_adjusted_power,
        is_proportion=True,
    ),
    Measure(name="at_bound", label="at bound\n%", function=at_bound, is_proportion=True),
    Measure(name="recovery", label="corr. with\ntruth", function=recovery, ideal=1.0),
)
"""All there are, by the names that ``summarize`` and ``compare`` take."""


def chosen(measures: Sequence[str | Measure]) -> tuple[Measure, ...]:
    """Return measures from their names, "all", or themselves.

    Raises
    ------
    ConfigurationError
        If a name is unknown or two measures have one name.
    """
    check("measures", measures, Sequence[str | Measure])
    known = {measure.name: measure for measure in EVERY_MEASURE}
    found: list[Measure] = []
    for measure in [measures] if isinstance(measures, str) else measures:
        if isinstance(measure, Measure):
            found.append(measure)
        elif measure == "all":
            found.extend(EVERY_MEASURE)
        elif measure in known:
            found.append(known[measure])
        else:
            raise ConfigurationError(
                "measures", measure, f"one of all, {', '.join(known)}", "or a Measure of yours"
            )
    names = [measure.name for measure in found]
    if not found or len(set(names)) < len(names):
        why = "a table's columns are told apart by them"
        raise ConfigurationError("measures", ", ".join(names) or "none", "different names, at least one", why)
    return tuple(found)


def wilson(share: Vector, used: Integers) -> tuple[Vector, Vector]:
    """Return the ends of Wilson's 95 % interval for a share of replications, NaN where there are none."""
    z = NormalDist().inv_cdf(0.975)
    with quiet():
        shrink = 1 + z**2 / used
        center = (share + z**2 / (2 * used)) / shrink
        half = z / shrink * np.sqrt(share * (1 - share) / used + z**2 / (4 * used**2))
        return np.maximum(center - half, 0.0), np.minimum(center + half, 1.0)
