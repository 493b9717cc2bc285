"""From a study's labelled dataset to measures of performance with Monte Carlo standard errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import pandas as pd
import xarray as xr

from blpsim.arrays import Matrix
from blpsim.checks import check
from blpsim.errors import StoreError
from blpsim.summary.failures import attempted, is_used, status_counts, usable
from blpsim.summary.influence import mean, quiet
from blpsim.summary.measures import MEASURES, Measure, chosen, wilson
from blpsim.summary.sample import Sample, sample

_NEEDED = ("estimate", "standard_error", "truth", "status")
_CELL = ("scenario", "estimator", "parameter", "measure")
_PAIR = ("scenario", "estimator")
_FEWEST, _SHARE, _TIMES = 50, 0.1, 25


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
    (scenario, parameter). ``lower, upper`` are Wilson's 95 % interval and there for proportions only.
    ``dominance, doubtful`` (scenario, estimator, parameter): the largest squared error's share of all, and
    whether it is so large that means and squares may not have a limit."""
    table: pd.DataFrame
    """One row a number: scenario, estimator, parameter, measure, value, mcse, attempted, used, lower, upper.
    The measure "convergence" belongs to no parameter; its parameter is empty."""
    measures: tuple[Measure, ...] = MEASURES
    """What was measured."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should doubt: estimates that may have no moments, one line each."""
        return tuple(
            f"{scenario}, {estimator}, {parameter}: one replication makes up {100 * value:.0f} % of squared "
            "errors; bias, RMSE and their errors may not exist, medians do"
            for (scenario, estimator, parameter), value in self._doubtful()
        )

    def _doubtful(self) -> Iterator[tuple[tuple[str, str, str], float]]:
        dataset = self.dataset
        for place in np.argwhere(dataset["doubtful"].transpose(*_CELL[:3]).to_numpy()):
            here = dict(zip(_CELL[:3], place.tolist(), strict=True))
            cell = dataset["dominance"].isel(here)
            names = (str(cell[name].item()) for name in _CELL[:3])
            yield (next(names), next(names), next(names)), float(cell)


def summarize(
    study: HasResults | xr.Dataset,
    level: float = 0.95,
    measures: Sequence[str | Measure] = MEASURES,
    *,
    common: bool = False,
) -> Summary:
    """Return the performance of every estimator for every parameter in every scenario.

    study     a study, or the dataset of its published store
    level     of the confidence intervals whose coverage is measured; tests are at one minus it
    measures  names, "all", or measures of your own; the table's eight by default
    common    whether only replications enter of which all of a scenario's estimators are usable

    An estimate enters when its status is converged, evaluated or precision_limited; one without a
    standard error enters bias and RMSE but not coverage, so every measure counts its own replications.

    Raises
    ------
    StoreError
        If the dataset lacks a variable, or a status has no meaning.
    ConfigurationError
        If the level is not between 0 and 1, or a measure is unknown.
    """
    results = labelled(study, _NEEDED)
    check("level", level, float)
    check("common", common, bool)
    found = chosen(measures)
    counts = status_counts(results["status"])
    dataset = (
        _measures(results, level, found, common=common).merge(convergence(counts)).merge(_truths(results))
    )
    tried = (dataset["usable"] == 0) & dataset["truth"].notnull() & (dataset["attempted"] > 0)
    dataset["entering"] = dataset["usable"] if not common else _common(results)
    dataset["estimated"] = ((dataset["estimates"] > 0) | tried).transpose(*_CELL[:3])
    factors = {name: factor for name, factor in results.coords.items() if factor.dims == ("scenario",)}
    dataset = dataset.assign_coords({name: factors[name] for name in factors if name != "scenario"})
    said = {"level": level, "replications": results.sizes["replication"], "common": common}
    dataset.attrs = {**results.attrs, **said}
    return Summary(dataset=dataset, table=_table(dataset), measures=found)


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


def _measures(
    results: xr.Dataset, level: float, measures: tuple[Measure, ...], *, common: bool
) -> xr.Dataset:
    names = [measure.name for measure in measures]
    coordinates = {name: labels(results, name) for name in _CELL[:3]} | {"measure": names}
    shape = tuple(len(names) for names in coordinates.values())
    value, mcse, used = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    dominance, estimates, errors = np.full(shape[:3], np.nan), used[..., 0].copy(), used[..., 0].copy()
    for scenario, estimator, cells in samples(results, level, common=common):
        for k, measure in enumerate(measures):
            cell = (scenario, estimator, slice(None), k)
            value[cell], mcse[cell], used[cell] = measure(cells)
        here = (scenario, estimator)
        dominance[here] = _dominance(cells)
        estimates[here] = (~np.isnan(cells.estimate)).sum(axis=-1)
        errors[here] = (~np.isnan(cells.standard_error)).sum(axis=-1)
    lower, upper = wilson(value, used)
    shares = np.array([measure.is_proportion for measure in measures])
    variables = {
        "value": value,
        "mcse": mcse,
        "used": used,
        "lower": np.where(shares, lower, np.nan),
        "upper": np.where(shares, upper, np.nan),
    }
    large = np.maximum(_SHARE, _TIMES / np.maximum(estimates, 1))
    doubtful = (estimates >= _FEWEST) & (dominance > large)
    parts = {"dominance": dominance, "doubtful": doubtful, "estimates": estimates, "standard_errors": errors}
    together = {name: (_CELL, array) for name, array in variables.items()}
    return xr.Dataset(
        {**together, **{name: (_CELL[:3], array) for name, array in parts.items()}}, coords=coordinates
    )


def _common(results: xr.Dataset) -> xr.DataArray:
    """Return how many replications all of a scenario's estimators share, (scenario, estimator)."""
    used = is_used(results["status"])
    asked = used.any("replication")
    return (used & (used | ~asked).all("estimator")).sum("replication").transpose(*_PAIR)


def _dominance(cells: Sample) -> Matrix:
    """Return the largest squared error's share of all; from the mean where there is no truth."""
    with quiet():
        center = np.where(np.isnan(cells.error).all(axis=-1), mean(cells.spread).value, 0.0)
        squares = (cells.spread - center[..., None]) ** 2
        squares = np.where(np.isnan(squares), 0.0, squares)
        largest: Matrix = squares.max(axis=-1, initial=0.0) / squares.sum(axis=-1)
    return largest


def samples(results: xr.Dataset, level: float, *, common: bool = False) -> Iterator[tuple[int, int, Sample]]:
    """Yield scenario, estimator and their replications, one at a time so that arrays stay in cache.

    common  whether only replications enter of which all of the scenario's estimators are usable; estimators
            that never are do not count
    """
    used = is_used(results["status"])
    names = [name for name in ("estimate", "standard_error", "truth", "at_bound") if name in results]
    for scenario in range(results.sizes["scenario"]):
        here = results[names].assign(used=used).isel(scenario=scenario)
        truth = _rows(here["truth"].broadcast_like(here["replication"]))
        usable_here = here["used"].transpose("estimator", "replication").to_numpy()
        if common:
            usable_here = usable_here & usable_here[usable_here.any(axis=-1)].all(axis=0)
        estimates, errors = _rows(here["estimate"]), _rows(here["standard_error"])
        bounds = _rows(here["at_bound"]) if "at_bound" in names else np.full(estimates.shape, np.nan)
        for estimator, enters in enumerate(usable_here):
            estimate = np.where(enters, estimates[estimator], np.nan)
            yield scenario, estimator, sample(estimate, errors[estimator], truth, level, bounds[estimator])


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
