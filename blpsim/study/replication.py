"""One replication: a dataset, every estimator on it, and whatever went wrong, as values."""

from __future__ import annotations

import re
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from blpsim.arrays import Vector
from blpsim.checks import numbers
from blpsim.status import Status
from blpsim.study.design import Design
from blpsim.study.estimated import Estimated, estimated
from blpsim.study.records import Failure

_NUMBER = re.compile(r"(?<![\w.])[-+]?(0x[0-9a-f]+|(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)(?!\w)", re.IGNORECASE)
_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """A dataset, or why there is none."""

    dataset: object = None
    """What the scenario generated; None when that raised an exception."""
    status: Status
    """How the drawing ended."""
    truth: Vector
    """The true value of everything that the scenario records, (P,); NaN where there is none."""
    equilibrium_residual: float = _NAN
    """The residual of the equilibrium, NaN where the dataset has none."""
    outside_share: float = _NAN
    """The mean share of the outside option, NaN where the dataset has none."""
    seconds: float = _NAN
    """How long it took."""
    failure: Failure | None = None
    """What went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """An estimator's estimate on one dataset, or why there is none."""

    estimate: Estimated | None = None
    """What the estimator returned."""
    estimands: tuple[float, ...] = ()
    """The estimands' values at the estimate."""
    estimand_errors: tuple[float, ...] = ()
    """Their standard errors; NaN where the estimator gives none."""
    status: Status
    """How it ended."""
    seconds: float = _NAN
    """How long it took."""
    failure: Failure | None = None
    """What went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replication:
    """What one replication leaves."""

    drawing: Drawing
    """Its dataset."""
    outcomes: tuple[Outcome, ...]
    """One for each estimator."""

    @property
    def failures(self) -> Iterator[Failure]:
        """What went wrong: with the dataset first, then with the estimators in their order."""
        failures = [self.drawing.failure, *(outcome.failure for outcome in self.outcomes)]
        return (failure for failure in failures if failure is not None)


class Captured:
    """Keeps the exception that its body raises, if any, and lets the program go on.

    An interrupt from the keyboard is not kept.
    """

    def __init__(self) -> None:
        """Begin with no exception."""
        self.exception: BaseException | None = None

    def __enter__(self) -> Captured:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, frames: TracebackType | None
    ) -> bool:
        """Keep the exception, and say that it is dealt with."""
        if isinstance(exception, Exception | SystemExit):
            self.exception = exception
            return True
        return False


def run_replication(design: Design, scenario: str, number: int, estimators: Sequence[str]) -> Replication:
    """Return the dataset and the estimates of one replication; nothing that fails in it raises."""
    with _quiet():
        drawing = _drawn(design, scenario, number)
        outcomes = [_estimated(design, scenario, number, name, drawing) for name in estimators]
    return Replication(drawing=drawing, outcomes=tuple(outcomes))


def lost_replication(
    design: Design, scenario: str, number: int, estimators: Sequence[str], failed: tuple[Status, str]
) -> Replication:
    """Return what is known of a replication that took its worker with it: how it ended, and a message."""
    status, message = failed
    drawing = Drawing(status=status, truth=_constants(design, scenario))
    outcomes = [
        Outcome(status=status, failure=_failure((scenario, name, number), status, message=message))
        for name in estimators
    ]
    return Replication(drawing=drawing, outcomes=tuple(outcomes))


def masked(message: str) -> str:
    """Return a message with its numbers masked, so that equal failures count together."""
    return _NUMBER.sub("#", message)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let no warning reach a worker's terminal: what it warns of is in the status and the diagnostics."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _drawn(design: Design, scenario: str, number: int) -> Drawing:
    truth = _constants(design, scenario)
    dataset: object = None
    status, residual, outside = Status.ERROR, _NAN, _NAN
    began = time.perf_counter()
    with Captured() as captured:
        dataset = design.scenario(scenario).generate(design.streams(scenario, number))
        residual = float(getattr(dataset, "equilibrium_residual", _NAN))
        outside = float(getattr(dataset, "outside_share", _NAN))
        drawn = Status(getattr(dataset, "status", Status.CONVERGED))
        if drawn.is_usable:
            truth[len(truth) - len(design.estimands) :] = _estimands(design, dataset)
        status = drawn
    return Drawing(
        dataset=dataset,
        status=status,
        truth=truth,
        equilibrium_residual=residual,
        outside_share=outside,
        seconds=time.perf_counter() - began,
        failure=_failure((scenario, None, number), status, captured.exception) if status.is_failure else None,
    )


def _estimated(design: Design, scenario: str, number: int, name: str, drawing: Drawing) -> Outcome:
    if not drawing.status.is_usable:
        return Outcome(status=Status.NO_DATA)
    kept: Estimated | None = None
    estimands: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    status = Status.ERROR
    began = time.perf_counter()
    with Captured() as captured:
        estimate = design.estimator(name).estimate(drawing.dataset, design.streams(scenario, number))
        kept = estimated(estimate, len(design.names[scenario, name]), len(design.micro_moments[name]))
        estimands = _estimands(design, estimate)
        errors = _estimand_errors(design, estimate)
        status = kept.status
    seconds = time.perf_counter() - began
    failure = _failure((scenario, name, number), status, captured.exception) if status.is_failure else None
    return Outcome(
        estimate=kept,
        estimands=estimands,
        estimand_errors=errors,
        status=status,
        seconds=seconds,
        failure=failure,
    )


def _estimands(design: Design, holder: object) -> tuple[float, ...]:
    """Return the estimands at a dataset's or an estimate's economy, NaN where it has none."""
    economy = getattr(holder, "economy", None)
    if economy is None:
        return (_NAN,) * len(design.estimands)
    return tuple(float(estimand(economy)) for estimand in design.estimands.values())


def _estimand_errors(design: Design, estimate: object) -> tuple[float, ...]:
    """Return the estimands' standard errors by the estimate's delta method, NaN where it has none."""
    method = getattr(estimate, "delta_method", None)
    if not design.estimands or getattr(estimate, "economy", None) is None or not callable(method):
        return (_NAN,) * len(design.estimands)
    found = method(lambda economy: [float(each(economy)) for each in design.estimands.values()])
    errors = numbers("Estimate.delta_method(...).standard_errors", found.standard_errors)
    return tuple(errors.tolist())


def _constants(design: Design, scenario: str) -> Vector:
    truth = design.truth(scenario)
    return np.array([truth.get(name, _NAN) for name in design.parameters[scenario]])


def _failure(
    where: tuple[str, str | None, int],
    status: Status,
    exception: BaseException | None = None,
    message: str = "",
) -> Failure:
    scenario, estimator, number = where
    text = message if exception is None else str(exception)
    return Failure(
        scenario=scenario,
        estimator=estimator,
        replication=number,
        status=status,
        exception="" if exception is None else type(exception).__name__,
        message=text,
        masked=masked(text),
        traceback="" if exception is None else "".join(traceback.format_exception(exception)),
    )
