"""From a study's labelled dataset to measures of performance with Monte Carlo standard errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import pandas as pd
import xarray as xr

from blpsim.arrays import Matrix
from blpsim.checks import check
from blpsim.errors import StoreError
from blpsim.summary.failures import attempted, is_used, status_counts, usable
from blpsim.summary.influence import quiet
from blpsim.summary.measures import MEASURES, Sample, sample, wilson

_NEEDED = ("estimate", "standard_error", "truth", "status")
_CELL = ("scenario", "estimator", "parameter", "measure")
_PAIR = ("scenario", "estimator")


class HasResults(Protocol):
    """A study: anything that carries its labelled dataset."""

    @property
    def results(self) -> xr.Dataset:
        """The dataset of a published store."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Summary:
    """Measures of every estimator's performance, each with its Monte Carlo standard error."""

    dataset: xr.Dataset
    """``value, mcse, used, lower, upper`` (scenario, estimator, parameter, measure); ``attempted, usable,
    convergence, convergence_mcse, convergence_lower, convergence_upper`` (scenario, estimator); ``count``
    (scenario, estimator, status); ``estimated`` (scenario, estimator, parameter); ``truth, truth_varies``
    (scenario, parameter). ``lower, upper`` are Wilson's 95 % interval and there for proportions only."""
    table: pd.DataFrame
    """One row a number: scenario, estimator, parameter, measure, value, mcse, attempted, used, lower, upper.
    The measure "convergence" belongs to no parameter; its parameter is empty."""


def summarize(study: HasResults | xr.Dataset, level: float = 0.95) -> Summary:
    """Return the performance of every estimator for every parameter in every scenario.

    study   a study, or the dataset of its published store
    level   of the confidence intervals whose coverage is measured

    An estimate enters when its status is converged, evaluated or precision_limited; one without a
    standard error enters bias and RMSE but not coverage, so every measure counts its own replications.

    Raises
    ------
    StoreError
        If the dataset lacks a variable, or a status has no meaning.
    ConfigurationError
        If the level is not between 0 and 1.
    """
    results = labelled(study, _NEEDED)
    check("level", level, float)
    counts = status_counts(results["status"])
    dataset = _measures(results, level).merge(convergence(counts)).merge(_truths(results))
    tried = (dataset["usable"] == 0) & dataset["truth"].notnull() & (dataset["attempted"] > 0)
    dataset["estimated"] = ((dataset["used"] > 0).any("measure") | tried).transpose(*_CELL[:3])
    factors = {name: factor for name, factor in results.coords.items() if factor.dims == ("scenario",)}
    dataset = dataset.assign_coords({name: factors[name] for name in factors if name != "scenario"})
    dataset.attrs = {**results.attrs, "level": level, "replications": results.sizes["replication"]}
    return Summary(dataset=dataset, table=_table(dataset))


def labelled(study: HasResults | xr.Dataset, needed: Iterable[str]) -> xr.Dataset:
    """Return a study's dataset; raises StoreError if it lacks a variable that is needed."""
    found = study if isinstance(study, xr.Dataset) else getattr(study, "results", study)
    check("study", found, xr.Dataset)
    results = cast(xr.Dataset, found)
    for name in needed:
        if name not in results:
            found = ", ".join(sorted(map(str, results.data_vars)))
            raise StoreError("dataset", found, f"a variable {name}", "every summary is made from it")
    return results


def _measures(results: xr.Dataset, level: float) -> xr.Dataset:
    names = [measure.name for measure in MEASURES]
    coordinates = {name: labels(results, name) for name in _CELL[:3]} | {"measure": names}
    shape = tuple(len(names) for names in coordinates.values())
    value, mcse, used = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    for scenario, estimator, cells in _samples(results, level):
        for k, measure in enumerate(MEASURES):
            cell = (scenario, estimator, slice(None), k)
            value[cell], mcse[cell], used[cell] = measure.function(cells)
    lower, upper = wilson(value, used)
    shares = np.array([measure.is_proportion for measure in MEASURES])
    variables = {
        "value": value,
        "mcse": mcse,
        "used": used,
        "lower": np.where(shares, lower, np.nan),
        "upper": np.where(shares, upper, np.nan),
    }
    return xr.Dataset({name: (_CELL, array) for name, array in variables.items()}, coords=coordinates)


def _samples(results: xr.Dataset, level: float) -> Iterator[tuple[int, int, Sample]]:
    """Yield scenario, estimator and their replications, one at a time so that arrays stay in cache."""
    used = is_used(results["status"])
    for scenario in range(results.sizes["scenario"]):
        here = results[["estimate", "standard_error", "truth"]].assign(used=used).isel(scenario=scenario)
        truth = _rows(here["truth"].broadcast_like(here["replication"]))
        usable_here = here["used"].transpose("estimator", "replication").to_numpy()
        estimates, errors = _rows(here["estimate"]), _rows(here["standard_error"])
        for estimator, enters in enumerate(usable_here):
            estimate = np.where(enters, estimates[estimator], np.nan)
            yield scenario, estimator, sample(estimate, errors[estimator], truth, level)


def _rows(variable: xr.DataArray) -> Matrix:
    """Return the variable with replications last and contiguous, (..., parameter, replication)."""
    ordered = variable.transpose(..., "parameter", "replication").to_numpy()
    return np.ascontiguousarray(ordered, dtype=np.float64)


def convergence(counts: xr.DataArray) -> xr.Dataset:
    """Return how many replications were attempted and usable, their share and its error, from counts."""
    tried, succeeded = attempted(counts), usable(counts)
    with quiet():
        rate = (succeeded / tried).to_numpy()
        mcse = np.sqrt(rate * (1 - rate) / tried.to_numpy())
    lower, upper = wilson(rate, tried.to_numpy())
    return xr.Dataset(
        {
            "count": counts,
            "attempted": tried,
            "usable": succeeded,
            "convergence": (_PAIR, rate),
            "convergence_mcse": (_PAIR, np.where(tried.to_numpy() > 1, mcse, np.nan)),
            "convergence_lower": (_PAIR, lower),
            "convergence_upper": (_PAIR, upper),
        }
    )


def _truths(results: xr.Dataset) -> xr.Dataset:
    truth = results["truth"].broadcast_like(results["replication"])
    values = _rows(truth.transpose("scenario", ...))
    known = ~np.isnan(values)
    with quiet():
        mean = np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1)
    low = np.where(known, values, np.inf).min(axis=-1, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=-1, initial=-np.inf)
    one = low == high
    dims = ("scenario", "parameter")
    return xr.Dataset({"truth": (dims, np.where(one, low, mean)), "truth_varies": (dims, low < high)})


def labels(results: xr.Dataset, name: str) -> list[str]:
    """Return the names along a dimension."""
    return [str(label) for label in results[name].to_numpy()]


def _table(dataset: xr.Dataset) -> pd.DataFrame:
    """Return the long form, in the dataset's order, convergence before an estimator's parameters."""
    columns = ["value", "mcse", "attempted", "used", "lower", "upper"]
    numbers = dataset[[*columns, "estimated"]].to_dataframe(_CELL).reset_index()
    numbers = numbers[numbers["estimated"]]
    names = {"convergence": "value", "convergence_mcse": "mcse"}
    names |= {"convergence_lower": "lower", "convergence_upper": "upper"}
    rates = dataset[[*names, "attempted"]].to_dataframe(_PAIR).reset_index().rename(columns=names)
    rates = rates.assign(parameter="", measure="convergence", used=rates["attempted"])
    rank = {name: {label: k for k, label in enumerate(dataset[name].to_numpy())} for name in _PAIR}
    together = pd.concat([rates, numbers])[[*_CELL, *columns]]
    places = together[list(_PAIR)].apply(lambda labels: labels.map(rank[str(labels.name)]))
    ordered = together.iloc[np.lexsort(places.to_numpy().T[::-1])]
    return ordered.reset_index(drop=True)
