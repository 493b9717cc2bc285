"""When a run must end, early enough that what it is at is finished and on disk."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from blpsim.study.records import Block

_MARGIN_SECONDS: Final = 60.0
_MARGIN_SHARE: Final = 0.1
_REPLICATIONS: Final = 2.0


class Deadline:
    """Asks a run to stop before its time is over: by a minute, or by twice what a replication takes."""

    def __init__(self, seconds: float | None) -> None:
        """Begin to count.

        seconds  how long the run may take; None for ever
        """
        self._seconds = seconds
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._longest = 0.0

    def observe(self, block: Block) -> None:
        """Learn from a block how long its longest replication took."""
        seconds = np.nansum(block.arrays["seconds"], axis=0) + np.nan_to_num(block.arrays["data_seconds"])
        self._longest = max(self._longest, float(seconds.max(initial=0.0)))

    def is_reached(self) -> bool:
        """Return whether a replication that begins now may not be finished in time."""
        if self._ends is None or self._seconds is None:
            return False
        margin = min(_MARGIN_SECONDS, _MARGIN_SHARE * self._seconds)
        return time.monotonic() >= self._ends - max(margin, _REPLICATIONS * self._longest)
