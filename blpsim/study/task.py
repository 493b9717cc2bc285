"""A task: some replications of one scenario, from the few words that travel to the block that comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from blpsim.status import Status
from blpsim.study.design import Design
from blpsim.study.records import DIAGNOSTICS, Block, empty_arrays
from blpsim.study.replication import Drawing, Outcome, Replication, lost_replication, run_replication


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Replications start..stop-1 of one scenario for some estimators: all that travels to a worker."""

    design: str
    """The design's fingerprint."""
    scenario: str
    """The scenario's name."""
    estimators: tuple[str, ...]
    """The estimators' names, in the design's order."""
    start: int
    """The first replication."""
    stop: int
    """One past the last replication."""

    @property
    def replications(self) -> int:
        """How many replications it holds."""
        return self.stop - self.start

    def parts(self) -> list[Task]:
        """Return the task by replication; when it is a single one, by estimator."""
        if self.replications > 1:
            return [replace(self, start=number, stop=number + 1) for number in range(self.start, self.stop)]
        return [replace(self, estimators=(name,)) for name in self.estimators]


def never() -> bool:
    """Return False: nobody asks the task to end early."""
    return False


def run_task(design: Design, task: Task, is_stopped: Callable[[], bool] = never) -> Block:
    """Return the records of a task's replications; one that fails is a status and a traceback.

    is_stopped  asked after each replication; once it says so, the block ends there
    """
    rows: list[Replication] = []
    for number in range(task.start, task.stop):
        rows.append(run_replication(design, task.scenario, number, task.estimators))
        if is_stopped():
            break
    return _block(design, task, rows)


def lost_block(design: Design, task: Task, status: Status, message: str) -> Block:
    """Return the records of a task that took its worker with it."""
    rows = [
        lost_replication(design, task.scenario, number, task.estimators, (status, message))
        for number in range(task.start, task.stop)
    ]
    return _block(design, task, rows)


def _block(design: Design, task: Task, rows: Sequence[Replication]) -> Block:
    parameters = design.parameters[task.scenario]
    matched = [design.micro_moments[name] for name in task.estimators]
    micro_moments = tuple(dict.fromkeys(name for names in matched for name in names))
    sizes = {
        "estimator": len(task.estimators),
        "replication": len(rows),
        "parameter": len(parameters),
        "start": max((_starts(outcome) for row in rows for outcome in row.outcomes), default=0),
        "micro_moment": len(micro_moments),
    }
    arrays = empty_arrays(sizes)
    columns = [
        [parameters.index(name) for name in design.names[task.scenario, estimator]]
        for estimator in task.estimators
    ]
    places = [[micro_moments.index(name) for name in names] for names in matched]
    for position, row in enumerate(rows):
        _put_drawing(arrays, position, row.drawing)
        for estimator, outcome in enumerate(row.outcomes):
            _put_outcome(arrays, (estimator, position), outcome, columns[estimator])
            _put_micro(arrays, (estimator, position), outcome, places[estimator])
    return Block(
        scenario=task.scenario,
        estimators=task.estimators,
        parameters=parameters,
        start=task.start,
        stop=task.start + len(rows),
        arrays=arrays,
        micro_moments=micro_moments,
        failures=tuple(failure for row in rows for failure in row.failures),
    )


def _put_drawing(arrays: dict[str, NDArray[Any]], at: int, drawing: Drawing) -> None:
    arrays["truth"][at] = drawing.truth
    arrays["data_status"][at] = drawing.status
    arrays["equilibrium_residual"][at] = drawing.equilibrium_residual
    arrays["outside_share"][at] = drawing.outside_share
    arrays["data_seconds"][at] = drawing.seconds


def _put_outcome(
    arrays: dict[str, NDArray[Any]], at: tuple[int, int], outcome: Outcome, columns: list[int]
) -> None:
    arrays["status"][at] = outcome.status
    arrays["seconds"][at] = outcome.seconds
    estimate = outcome.estimate
    if estimate is None:
        return
    arrays["estimate"][*at, columns] = estimate.values
    arrays["standard_error"][*at, columns] = estimate.standard_errors
    arrays["at_bound"][*at, columns] = estimate.at_bound
    if outcome.estimands:
        arrays["estimate"][*at, -len(outcome.estimands) :] = outcome.estimands
    if outcome.estimand_errors:
        arrays["standard_error"][*at, -len(outcome.estimand_errors) :] = outcome.estimand_errors
    for name, value in zip(DIAGNOSTICS, estimate.diagnostics, strict=True):
        arrays[name][at] = value
    starts = slice(len(estimate.start_statuses))
    arrays["start_value"][*at, starts, columns] = estimate.start_values.T
    arrays["start_estimate"][*at, starts, columns] = estimate.start_estimates.T
    arrays["start_objective"][*at, starts] = estimate.start_objectives
    arrays["start_status"][*at, starts] = estimate.start_statuses


def _put_micro(
    arrays: dict[str, NDArray[Any]], at: tuple[int, int], outcome: Outcome, places: list[int]
) -> None:
    if outcome.estimate is not None:
        arrays["micro_observed"][*at, places] = outcome.estimate.micro_observed
        arrays["micro_fitted"][*at, places] = outcome.estimate.micro_fitted


def _starts(outcome: Outcome) -> int:
    return 0 if outcome.estimate is None else len(outcome.estimate.start_statuses)
