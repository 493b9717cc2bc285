"""Differences and ratios of measures between estimators, or between scenarios, with paired errors.

Both sides' measures are of the replications that both have, and their influence values are combined at
each replication: var(psi_A - psi_B) / n is the error of a difference. Estimators see the same datasets,
and scenarios of one ``vary`` the same random numbers, so these errors are smaller than those of separate
studies; where nothing is shared they are as large, and as right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from blpsim.arrays import Integers
from blpsim.checks import check
from blpsim.errors import ConfigurationError
from blpsim.summary.influence import Influence, Measured, measured, quiet, ratio, smooth
from blpsim.summary.measures import Measure, chosen
from blpsim.summary.sample import Sample, both
from blpsim.summary.summarize import HasResults, labelled, labels, samples

_NEEDED = ("estimate", "standard_error", "truth", "status")
_COLUMNS = [
    *("scenario", "estimator", "parameter", "measure", "value", "baseline", "difference"),
    *("difference_mcse", "ratio", "ratio_mcse", "used", "used_alone", "baseline_used_alone"),
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Differences and ratios to a baseline, each with its Monte Carlo standard error."""

    table: pd.DataFrame
    """One row a comparison: scenario, estimator, parameter, measure; value and baseline, both of the
    replications that both have; difference, difference_mcse, ratio, ratio_mcse; used, how many those are;
    used_alone and baseline_used_alone, how many each one has that the other one lacks."""
    along: str
    """Whether estimators or scenarios are compared."""
    baseline: str
    """The name of what all others are compared with."""
    measures: tuple[Measure, ...]
    """What was measured."""


def compare(
    study: HasResults | xr.Dataset,
    baseline: str,
    along: Literal["estimator", "scenario"] = "estimator",
    measures: Sequence[str | Measure] = ("bias", "rmse", "coverage"),
    level: float = 0.95,
) -> Comparison:
    """Return differences and ratios of all other estimators' or scenarios' measures to the baseline's.

    study     a study, or the dataset of its published store
    baseline  the name of an estimator, or of a scenario
    along     what is compared: estimators within every scenario, or scenarios for every estimator
    measures  names, "all", or measures of your own
    level     of confidence intervals

    Raises
    ------
    StoreError
        If the dataset lacks a variable, or a status has no meaning.
    ConfigurationError
        If there is no such baseline or measure, or the level is not between 0 and 1.
    """
    results = labelled(study, _NEEDED)
    check("baseline", baseline, str)
    check("along", along, Literal["estimator", "scenario"])
    check("level", level, float)
    found = chosen(measures)
    names = {name: labels(results, name) for name in ("scenario", "estimator", "parameter")}
    if baseline not in names[along]:
        expected = f"one of {', '.join(names[along])}"
        raise ConfigurationError(
            "baseline", baseline, expected, f"it is the name of the {along} to compare with"
        )
    cells = {(row, column): cell for row, column, cell in samples(results, level)}
    rows: list[dict[str, object]] = []
    for place, cell in cells.items():
        against = _baseline_of(place, names[along].index(baseline), along)
        if against != place:
            where = {"scenario": names["scenario"][place[0]], "estimator": names["estimator"][place[1]]}
            rows += [where | row for row in _rows(cell, cells[against], found, names["parameter"])]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return Comparison(table=table, along=along, baseline=baseline, measures=found)


def difference(first: Influence, second: Influence) -> Measured:
    """Return a measure minus another one of the same replications, with the paired error."""
    one = np.ones_like(first.value)
    with quiet():
        return measured(smooth(first.value - second.value, (one, first), (-one, second)))


def _baseline_of(place: tuple[int, int], baseline: int, along: str) -> tuple[int, int]:
    return (place[0], baseline) if along == "estimator" else (baseline, place[1])


def _rows(
    cell: Sample, baseline: Sample, measures: tuple[Measure, ...], parameters: list[str]
) -> Iterator[dict[str, object]]:
    """Yield a row a parameter and measure, where both have two replications in common at least."""
    ours, theirs = both(cell, baseline)
    shared = _count(ours)
    alone, baseline_alone = _count(cell) - shared, _count(baseline) - shared
    found = []
    for measure in measures:
        pair = measure.influence(ours), measure.influence(theirs)
        found.append((measure, *pair, difference(*pair), measured(ratio(*pair))))
    for k, parameter in enumerate(parameters):
        for measure, one, other, apart, times in found:
            if apart.used[k] > 1:
                yield {
                    "parameter": parameter,
                    "measure": measure.name,
                    "value": one.value[k],
                    "baseline": other.value[k],
                    "difference": apart.value[k],
                    "difference_mcse": apart.error[k],
                    "ratio": times.value[k],
                    "ratio_mcse": times.error[k],
                    "used": int(apart.used[k]),
                    "used_alone": int(alone[k]),
                    "baseline_used_alone": int(baseline_alone[k]),
                }


def _count(cells: Sample) -> Integers:
    used: Integers = (~np.isnan(cells.estimate)).sum(axis=-1)
    return used
