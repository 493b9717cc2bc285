"""What is missing of a study, cut into tasks that last long enough to be worth sending."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from blpsim.arrays import Booleans
from blpsim.study.records import Block
from blpsim.study.task import Task

_BLOCK_SECONDS: Final = 10.0
_SHORTEST_SECONDS: Final = 0.5
_ROUNDS: Final = 3


def gaps(whole: Task, missing: Booleans) -> Iterator[Task]:
    """Yield the runs of replications in which the same estimators are missing.

    whole    the scenario with all its estimators and replications
    missing  (E, R) whether an estimator's replication is missing
    """
    edges = [0, *(1 + np.flatnonzero((missing[:, 1:] != missing[:, :-1]).any(axis=0))), missing.shape[1]]
    for start, stop in itertools.pairwise(edges):
        if start < stop and missing[:, start].any():
            names = tuple(
                name
                for name, is_missing in zip(whole.estimators, missing[:, start], strict=True)
                if is_missing
            )
            yield replace(
                whole, estimators=names, start=whole.start + int(start), stop=whole.start + int(stop)
            )


class Plan:
    """Cuts gaps into tasks: single replications until their time is known, then blocks of some seconds.

    Blocks shrink towards the end, so that all workers end together.
    """

    def __init__(self, missing: Sequence[Task], slots: int, block_size: int | None = None) -> None:
        """Take the gaps.

        slots       how many tasks are carried out at once
        block_size  replications of every block; None to go by their measured time
        """
        self._gaps = deque(missing)
        self._slots, self._block_size = slots, block_size
        self._seconds: dict[tuple[str, tuple[str, ...]], float] = {}

    @property
    def units(self) -> int:
        """How many estimates have not been handed out; one is one estimator's on one replication."""
        return sum(gap.replications * len(gap.estimators) for gap in self._gaps)

    def next_task(self) -> Task | None:
        """Return the next task, None when all have been handed out."""
        if not self._gaps:
            return None
        gap = self._gaps.popleft()
        size = min(self._size(gap), gap.replications)
        if size < gap.replications:
            self._gaps.appendleft(replace(gap, start=gap.start + size))
        return replace(gap, stop=gap.start + size)

    def observe(self, block: Block) -> None:
        """Learn from a block how long its replications take."""
        seconds = np.nansum(block.arrays["seconds"]) + np.nansum(block.arrays["data_seconds"])
        self._seconds[block.scenario, block.estimators] = float(seconds) / max(block.stop - block.start, 1)

    def _size(self, gap: Task) -> int:
        if self._block_size is not None:
            return self._block_size
        each = self._seconds.get((gap.scenario, gap.estimators))
        if each is None:
            return 1
        rest = each * gap.replications + sum(self._lasts(other, each) for other in self._gaps)
        seconds = min(_BLOCK_SECONDS, max(rest / (_ROUNDS * self._slots), _SHORTEST_SECONDS))
        return max(int(seconds / max(each, 1e-6)), 1)

    def _lasts(self, gap: Task, otherwise: float) -> float:
        return self._seconds.get((gap.scenario, gap.estimators), otherwise) * gap.replications
