"""What is missing of a study, dealt to processes that do not talk to each other."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from blpsim.arrays import Integers
from blpsim.study.task import Task

_SHORTEST_SECONDS: Final = 0.5


def deal(gaps: Sequence[Task], seconds: Sequence[float], number: int) -> list[list[Task]]:
    """Return each process's tasks, (number,): about equally long in sum, a part of every gap for each.

    gaps     what is missing
    seconds  what a replication of each gap is predicted to take; where it is wrong, parts still balance
    number   how many processes share the work
    """
    shares: list[list[Task]] = [[] for _ in range(number)]
    extra = [(0.0, share) for share in range(number)]
    for gap, each in sorted(zip(gaps, seconds, strict=True), key=lambda pair: -pair[1]):
        size = max(int(_SHORTEST_SECONDS / max(each, 1e-6)), 1)
        equal, rest = divmod(-(-gap.replications // size), number)
        pieces = [equal] * number
        # What cannot be cut equally goes, the longest first, to whoever has had least of such.
        for _ in range(rest):
            load, share = heapq.heappop(extra)
            pieces[share] += 1
            heapq.heappush(extra, (load + size * each, share))
        for share, task in enumerate(_cut(gap, np.array(pieces) * size)):
            if task.replications:
                shares[share].append(task)
    return shares


def within(share: Sequence[Task], gaps: Sequence[Task]) -> list[Task]:
    """Return the parts of a share that are still missing.

    gaps  what is missing now; a gap lacks some of its scenario's estimators for some replications
    """
    found = []
    for task in share:
        for gap in gaps:
            names = tuple(name for name in task.estimators if name in gap.estimators)
            start, stop = max(task.start, gap.start), min(task.stop, gap.stop)
            if gap.scenario == task.scenario and names and start < stop:
                found.append(replace(task, estimators=names, start=start, stop=stop))
    return found


def _cut(gap: Task, sizes: Integers) -> list[Task]:
    """Return consecutive parts of a gap, which may end before the last of them does."""
    edges = np.minimum(gap.start + np.concatenate([[0], np.cumsum(sizes)]), gap.stop).tolist()
    return [replace(gap, start=start, stop=stop) for start, stop in itertools.pairwise(edges)]
