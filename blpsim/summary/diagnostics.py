"""What estimations cost and how they ended: evaluations, failures, time, with Monte Carlo standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from blpsim.arrays import Matrix
from blpsim.summary.failures import NOT_ATTEMPTED, is_used, status_counts, status_meanings
from blpsim.summary.influence import Measured, mean, measured, proportion, quiet
from blpsim.summary.quantiles import median
from blpsim.summary.summarize import HasResults, convergence, labelled, labels

_CELL = ("scenario", "estimator", "statistic", "diagnostic")
_CONVERGED = "converged"
_TEST_SIZE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """A number that every attempted replication of an estimator has."""

    name: str
    """How tables of numbers call it."""
    label: str
    """How tables for people call it; a line break where its head may be broken."""
    is_proportion: bool = False
    """Whether it is one or zero, whose mean is a share."""


DIAGNOSTICS = (
    Diagnostic(name="converged", label="converged\n%", is_proportion=True),
    Diagnostic(name="positive_hessian", label="Hessian\n>= 0, %", is_proportion=True),
    Diagnostic(name="hansen_rejection", label="J test\nrejects, %", is_proportion=True),
    Diagnostic(name="seconds", label="seconds"),
    Diagnostic(name="objective_evaluations", label="objective\nevaluations"),
    Diagnostic(name="inversion_evaluations", label="inversion\nevaluations"),
    Diagnostic(name="inversion_evaluations_each", label="per objective\nevaluation"),
    Diagnostic(name="inversion_failures", label="inversions\nfailed"),
    Diagnostic(name="objective", label="objective"),
    Diagnostic(name="gradient_norm", label="projected\ngradient"),
)
STATISTICS = ("mean", "median")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diagnosis:
    """Means and medians of every estimator's diagnostics, each with its Monte Carlo standard error."""

    dataset: xr.Dataset
    """``value, mcse, used`` (scenario, estimator, statistic, diagnostic); ``attempted, usable, convergence,
    convergence_mcse, convergence_lower, convergence_upper`` (scenario, estimator); ``count`` (scenario,
    estimator, status)."""
    table: pd.DataFrame
    """One row a number: scenario, estimator, diagnostic, statistic, value, mcse, used."""


def diagnose(study: HasResults | xr.Dataset) -> Diagnosis:
    """Return means and medians of what the estimations took, over all that were attempted, failed or not.

    study  a study, or the dataset of its published store

    A diagnostic that a replication lacks, as one that raised an exception does, is left out of it alone.
    Shares have a mean: how many converged, by gradient, Hessian and inversion, and how many Hessians that
    were computed have no negative eigenvalue. Hansen's test is at 5 %, over usable replications.

    Raises
    ------
    StoreError
        If the dataset lacks statuses, or a status has no meaning.
    """
    results = labelled(study, ("status",))
    counts = status_counts(results["status"])
    dataset = _statistics(results).merge(convergence(counts))
    dataset.attrs = {**results.attrs, "replications": results.sizes["replication"]}
    return Diagnosis(dataset=dataset, table=_table(dataset))


def _statistics(results: xr.Dataset) -> xr.Dataset:
    names = [diagnostic.name for diagnostic in DIAGNOSTICS]
    coordinates = {name: labels(results, name) for name in _CELL[:2]}
    coordinates |= {"statistic": list(STATISTICS), "diagnostic": names}
    shape = tuple(len(along) for along in coordinates.values())
    value, mcse, used = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    for place, diagnostic in enumerate(DIAGNOSTICS):
        values = _values(results, diagnostic.name)
        functions: tuple[Callable[[Matrix], Measured], ...] = (proportion,)
        if not diagnostic.is_proportion:
            functions = (lambda cells: measured(mean(cells)), median)
        for row, function in enumerate(functions):
            cells = (..., row, place)
            value[cells], mcse[cells], used[cells] = function(values)
    variables = {"value": value, "mcse": mcse, "used": used}
    return xr.Dataset({name: (_CELL, array) for name, array in variables.items()}, coords=coordinates)


def _values(results: xr.Dataset, name: str) -> Matrix:
    """Return a diagnostic, (scenario, estimator, replication); NaN where there is none."""
    dims = (*_CELL[:2], "replication")
    status = results["status"].transpose(*dims)
    meanings = status_meanings(status)
    tried = ~np.isin(status, [code for code, meaning in meanings.items() if meaning in NOT_ATTEMPTED])
    if name == "converged":
        converged = [code for code, meaning in meanings.items() if meaning == _CONVERGED]
        values = np.isin(status, converged).astype(np.float64)
    elif name == "positive_hessian":
        eigenvalue = _stored(results, "hessian_min_eigenvalue", dims)
        values = np.where(np.isnan(eigenvalue), np.nan, eigenvalue >= 0)
    elif name == "hansen_rejection":
        p, known = _stored(results, "hansen_p", dims), is_used(status).to_numpy()
        values = np.where(known & ~np.isnan(p), p < _TEST_SIZE, np.nan)
    elif name == "inversion_evaluations_each":
        total, each = (_stored(results, f"{what}_evaluations", dims) for what in ("inversion", "objective"))
        with quiet():
            values = np.where(each > 0, total / each, np.nan)
    else:
        values = _stored(results, name, dims)
    return np.where(tried, values, np.nan)


def _stored(results: xr.Dataset, name: str, dims: tuple[str, ...]) -> Matrix:
    """Return a variable; NaN where an older or a made dataset has none."""
    if name not in results:
        return np.full([results.sizes[dim] for dim in dims], np.nan)
    return np.asarray(results[name].transpose(*dims), np.float64)


def _table(dataset: xr.Dataset) -> pd.DataFrame:
    """Return the long form, in the dataset's order."""
    order = ("scenario", "estimator", "diagnostic", "statistic")
    numbers = dataset[["value", "mcse", "used"]].to_dataframe(order).reset_index()
    return numbers[numbers["used"] > 0].reset_index(drop=True)
