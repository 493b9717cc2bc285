"""What an estimator returned, checked and as arrays: users' own estimators promise little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

import numpy as np

from blpsim.arrays import Matrix, Vector
from blpsim.checks import check, numbers
from blpsim.errors import ConfigurationError
from blpsim.status import Status
from blpsim.study.protocols import EstimateProtocol
from blpsim.study.records import DIAGNOSTICS


class Estimated(NamedTuple):
    """An estimate of P parameters from S recorded starts."""

    values: Vector
    """(P,) the estimates."""
    standard_errors: Vector
    """(P,) their standard errors."""
    at_bound: Vector
    """(P,) 1 where an estimate is at a bound, 0 where not."""
    status: Status
    """How the estimation ended."""
    diagnostics: Vector
    """(10,) in the order of ``DIAGNOSTICS``."""
    start_values: Matrix
    """(S, P) where the optimizer started."""
    start_estimates: Matrix
    """(S, P) where it ended."""
    start_objectives: Vector
    """(S,) the objective there."""
    start_statuses: Vector
    """(S,) how it ended."""
    micro_observed: Vector
    """(MM,) values of micro moments in the micro data."""
    micro_fitted: Vector
    """(MM,) what they are expected to be at the estimate."""


def estimated(estimate: EstimateProtocol, parameters: int, micro_moments: int = 0) -> Estimated:
    """Return an estimate of so many parameters as arrays; NaN where it says nothing.

    micro_moments  how many of these it matches

    Raises ConfigurationError for another number of values.
    """
    check("an estimate", estimate, EstimateProtocol)
    diagnostics: Mapping[str, float] = getattr(estimate, "diagnostics", {})
    check("Estimate.diagnostics", diagnostics, Mapping[str, object])
    listed = getattr(estimate, "starts", ())
    check("Estimate.starts", listed, Iterable[object])
    starts = tuple(listed)
    return Estimated(
        values=_row("values", estimate.values, parameters),
        standard_errors=_row("standard_errors", estimate.standard_errors, parameters),
        at_bound=_row("at_bound", getattr(estimate, "at_bound", ()), parameters),
        status=_status("status", estimate.status),
        diagnostics=numbers("Estimate.diagnostics", [diagnostics.get(name, np.nan) for name in DIAGNOSTICS]),
        start_values=_rows("starts.value", [start.value for start in starts], parameters),
        start_estimates=_rows("starts.estimate", [start.estimate for start in starts], parameters),
        start_objectives=numbers("Estimate.starts.objective", [start.objective for start in starts]),
        start_statuses=np.array([_status("starts.status", start.status) for start in starts], np.float64),
        micro_observed=_row("micro_observed", getattr(estimate, "micro_observed", ()), micro_moments),
        micro_fitted=_row("micro_fitted", getattr(estimate, "micro_fitted", ()), micro_moments),
    )


def _status(field: str, value: object) -> Status:
    if value not in list(Status):
        raise ConfigurationError(f"Estimate.{field}", value, "a Status", "it says how the estimation ended")
    return Status(cast(int, value))


def _rows(field: str, rows: list[object], parameters: int) -> Matrix:
    return np.array([_row(field, row, parameters) for row in rows]).reshape(len(rows), parameters)


def _row(field: str, values: object, parameters: int) -> Vector:
    row = numbers(f"Estimate.{field}", values)
    if row.shape == (0,) and field != "values":
        return np.full(parameters, np.nan)
    if row.shape != (parameters,):
        why = "the estimator's names(scenario), or micro_names, gives as many"
        raise ConfigurationError(f"Estimate.{field}", f"shape {row.shape}", f"shape ({parameters},)", why)
    return row
