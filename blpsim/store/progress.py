"""How far a study has come: counts from the journal's headers, no results are read."""

from __future__ import annotations

import calendar
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blpsim.status import Status
from blpsim.store.content import Content, read_content
from blpsim.store.holder import Holder
from blpsim.store.journal import Journal
from blpsim.store.lock import Lock
from blpsim.store.provenance import read_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of a study; one unit is one replication of one scenario by one estimator."""

    name: str
    """The study's name."""
    counts: Mapping[str, Mapping[str, Mapping[Status, int]]]
    """By scenario and estimator, how many replications have which status, pending ones too."""
    data_counts: Mapping[str, Mapping[Status, int]]
    """By scenario, how many datasets have which status."""
    core_seconds: float
    """Processor seconds that all blocks took."""
    rate: float | None
    """Units a second of the run that goes on; None when none does."""
    holder: Holder | None
    """The process that computes now."""
    corrupt: int
    """Blocks that cannot be read; they count as pending."""

    @property
    def done(self) -> int:
        """Number of units that ended, however they did."""
        return self._number(lambda status: status not in (Status.PENDING, Status.NOT_PLANNED))

    @property
    def failed(self) -> int:
        """Number of units that gave no usable estimate."""
        return self._number(lambda status: status.is_failure)

    @property
    def pending(self) -> int:
        """Number of units that are planned and not there."""
        return self._number(lambda status: status is Status.PENDING)

    @property
    def remaining_seconds(self) -> float | None:
        """How long the rest takes at the present rate; None when nothing runs."""
        return self.pending / self.rate if self.rate else None

    def as_json(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "name": self.name,
            "done": self.done,
            "failed": self.failed,
            "pending": self.pending,
            "rate": self.rate,
            "remaining_seconds": self.remaining_seconds,
            "core_hours": self.core_seconds / 3600,
            "running": None if self.holder is None else self.holder.as_dict(),
            "corrupt_blocks": self.corrupt,
            "counts": {
                scenario: {estimator: _named(counts) for estimator, counts in row.items()}
                for scenario, row in self.counts.items()
            },
            "data_counts": {scenario: _named(counts) for scenario, counts in self.data_counts.items()},
        }

    def _number(self, counted: Callable[[Status], bool]) -> int:
        rows = (counts for row in self.counts.values() for counts in row.values())
        return sum(number for counts in rows for status, number in counts.items() if counted(status))


def progress(path: str | Path) -> Progress:
    """Return how far the study in a store's folder has come.

    Raises StoreError when the path is no store.
    """
    folder = Path(path)
    content, journal = read_content(folder), Journal(folder / "journal")
    holder = Lock(folder / "lock").holder()
    counts, data_counts = {}, {}
    for scenario in content.scenarios:
        counts[scenario], data_counts[scenario] = _counted(journal, content, scenario)
    return Progress(
        name=content.name,
        counts=counts,
        data_counts=data_counts,
        core_seconds=journal.seconds(),
        rate=None if holder is None else _rate(journal, folder),
        holder=holder,
        corrupt=len(journal.corrupt),
    )


def _counted(
    journal: Journal, content: Content, scenario: str
) -> tuple[dict[str, Counter[Status]], Counter[Status]]:
    estimators = tuple(content.estimators)
    planned = {name: content.planned(scenario, name) for name in estimators}
    cover = journal.done(scenario, estimators, max(journal.extent(), *planned.values(), 0))
    rows = {}
    for row, name in enumerate(estimators):
        statuses = cover.statuses[row]
        beyond = np.arange(statuses.size) >= planned[name]
        rows[name] = _tally(np.where(beyond & (statuses == Status.PENDING), Status.NOT_PLANNED, statuses))
    return rows, _tally(cover.data_statuses[cover.data_statuses != Status.PENDING])


def _tally(statuses: NDArray[Any]) -> Counter[Status]:
    values, numbers = np.unique(statuses, return_counts=True)
    return Counter({Status(int(value)): int(number) for value, number in zip(values, numbers, strict=True)})


def _rate(journal: Journal, folder: Path) -> float | None:
    """Return the units a second that the last run has written, None before its first block."""
    runs = read_runs(folder / "provenance.json")
    if not runs:
        return None
    began = calendar.timegm(time.strptime(runs[-1]["started"], "%Y-%m-%dT%H:%M:%SZ"))
    units = sum(
        (header.stop - header.start) * len(header.estimators)
        for header in journal.headers()
        if (journal.folder / header.name).stat().st_mtime >= began
    )
    return units / max(time.time() - began, 1.0) or None


def _named(counts: Mapping[Status, int]) -> dict[str, int]:
    return {status.meaning: number for status, number in counts.items()}
