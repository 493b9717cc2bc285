"""What a store lacks of a design, and each array task's share of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from blpsim.status import Status
from blpsim.store.costs import predicted_seconds
from blpsim.store.joint import JointStore
from blpsim.store.journal import Journal
from blpsim.study.deal import deal, within
from blpsim.study.design import Design
from blpsim.study.plan import gaps
from blpsim.study.task import Task


def missing(design: Design, journal: Journal, retry: Iterable[Status] = ()) -> Iterator[Task]:
    """Yield what no block has of a design.

    retry  statuses that count as missing
    """
    for whole in wholes(design):
        statuses = journal.done(whole.scenario, whole.estimators, design.replications).statuses
        yield from gaps(whole, np.isin(statuses, [int(Status.PENDING), *map(int, retry)]))


def missing_share(design: Design, store: JointStore, rank: int, number: int) -> list[Task]:
    """Return what is missing of one task's share.

    The tasks of a job share what was missing when the first of them looked, by predicted seconds; tasks
    of no job, whose rounds nothing tells apart, always share the whole design.

    rank    the task's place, from 0
    number  how many tasks share the work
    """
    found = list(missing(design, store.journal))
    if store.job is None:
        everything = wholes(design)
        return within(deal(everything, [1.0] * len(everything), number)[rank], found)
    what = [design.fingerprint, design.replications, number]
    rows = store.agreed(what, lambda: _rows(found, predicted_seconds(store.journal.headers(), found)))
    tasks = [
        Task(design=design.fingerprint, scenario=name, estimators=tuple(estimators), start=start, stop=stop)
        for name, estimators, start, stop, _ in rows
    ]
    return within(deal(tasks, [float(row[-1]) for row in rows], number)[rank], found)


def wholes(design: Design) -> list[Task]:
    """Return all that a design asks for, a task for each scenario."""
    names, number, fingerprint = tuple(design.estimators), design.replications, design.fingerprint
    return [
        Task(design=fingerprint, scenario=scenario, estimators=names, start=0, stop=number)
        for scenario in design.scenarios
    ]


def units(tasks: Iterable[Task]) -> int:
    """Return how many estimates tasks give."""
    return sum(task.replications * len(task.estimators) for task in tasks)


def _rows(tasks: Sequence[Task], seconds: Sequence[float]) -> list[list[Any]]:
    return [
        [task.scenario, list(task.estimators), task.start, task.stop, each]
        for task, each in zip(tasks, seconds, strict=True)
    ]
