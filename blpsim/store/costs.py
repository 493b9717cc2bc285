"""What replications are predicted to take, from what blocks say that others took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from blpsim.store.blocks import Header
from blpsim.study.task import Task


def predicted_seconds(headers: Iterable[Header], tasks: Sequence[Task]) -> list[float]:
    """Return what a replication of each task is predicted to take.

    It is the mean of blocks with the same scenario and estimators, or else, for each of the estimators,
    the mean of the scenario's blocks, or of all; one second where nothing is known.
    """
    taken: dict[object, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for header in headers:
        replications = header.stop - header.start
        units = replications * len(header.estimators)
        exact = (header.scenario, header.estimators)
        for key, number in ((exact, replications), (header.scenario, units), (None, units)):
            taken[key][0] += header.seconds
            taken[key][1] += number
    means = {key: seconds / number for key, (seconds, number) in taken.items()}
    return [
        means.get(
            (task.scenario, task.estimators),
            len(task.estimators) * means.get(task.scenario, means.get(None, 1.0)),
        )
        for task in tasks
    ]
