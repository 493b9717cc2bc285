"""Which block holds which replication, where blocks overlap: from headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Booleans, Integers
from blpsim.status import Status
from blpsim.store.blocks import Header

_IS_LOST = np.array([status in (Status.CRASHED, Status.TIMED_OUT) for status in Status])
_IS_RESULT = ~_IS_LOST & [status not in (Status.PENDING, Status.NOT_PLANNED) for status in Status]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """What one scenario's blocks hold of E estimators and R replications."""

    estimators: tuple[str, ...]
    """Names along the first axis."""
    statuses: NDArray[np.int8]
    """(E, R) status of each estimate, pending where no block has it."""
    sources: Integers
    """(E, R) position among the headers of the block that counts, -1 where there is none."""
    data_statuses: NDArray[np.int8]
    """(R,) status of each dataset."""
    data_sources: Integers
    """(R,) position among the headers of the block that counts, -1 where there is none."""

    def done(self, estimator: str) -> Booleans:
        """Return which replications of an estimator some block has, (R,)."""
        done: Booleans = self.statuses[self.estimators.index(estimator)] != Status.PENDING
        return done


def coverage(headers: Sequence[Header], estimators: tuple[str, ...], replications: int) -> Coverage:
    """Return what blocks of one scenario hold of the estimators' first replications.

    headers  from the first to count to the last: a later block supersedes an earlier one
    """
    shape = len(estimators), replications
    statuses, sources = np.zeros(shape, np.int8), np.full(shape, -1)
    data_statuses, data_sources = np.zeros(replications, np.int8), np.full(replications, -1)
    rows = {name: row for row, name in enumerate(estimators)}
    for position, header in enumerate(headers):
        here = slice(header.start, min(header.stop, replications))
        _place(header.data_statuses, position, data_statuses[here], data_sources[here])
        for name, new in zip(header.estimators, header.statuses, strict=True):
            if name in rows:
                _place(new, position, statuses[rows[name], here], sources[rows[name], here])
    return Coverage(
        estimators=estimators,
        statuses=statuses,
        sources=sources,
        data_statuses=data_statuses,
        data_sources=data_sources,
    )


def _place(values: tuple[int, ...], position: int, statuses: NDArray[np.int8], sources: Integers) -> None:
    """Let a block's replications take their places, in place; a lost worker never replaces a result."""
    new = np.array(values[: statuses.size], np.int8)
    taken = (new != Status.PENDING) & ~(_IS_LOST[new] & _IS_RESULT[statuses])
    statuses[taken] = new[taken]
    sources[taken] = position
