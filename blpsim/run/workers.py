"""Where a study's tasks are carried out, how many at once, and for how long."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Final

from blpsim.checks import check_count, check_fields
from blpsim.errors import ConfigurationError
from blpsim.run.array import duration, remaining_seconds

LOCAL: Final = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Who carries out a study; no number depends on it."""

    on: str = LOCAL
    """``"local"``: processes on this machine. Or an existing Dask scheduler's address, ``tcp://HOST:PORT`` or
    ``tls://HOST:PORT``, or its scheduler file (``.json``); or a cluster's profile (``.toml``)."""
    number: int | None = None
    """How many processes here: by default one a processor, 0 for this process; or a profile's jobs."""
    walltime_seconds: float | None = None
    """How long the run may take: it stops cleanly some time before; None for ever."""

    def __post_init__(self) -> None:
        """Check the record once."""
        check_fields(self)
        if self.number is not None:
            check_count("workers", self.number, "0 computes in this process", 0)
        limit = self.walltime_seconds
        if limit is not None and not (limit > 0 and math.isfinite(limit)):
            why = "the run stops before it is over"
            raise ConfigurationError("Workers.walltime_seconds", limit, "seconds above 0", why)


def workers_of(given: int | Workers | None) -> Workers:
    """Return who is meant by a number of processes on this machine, or by None."""
    return given if isinstance(given, Workers) else Workers(number=given)


def local_number(workers: Workers) -> int:
    """Return how many processes on this machine are meant: one a processor when nothing was said."""
    if workers.number is not None:
        return workers.number
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allowed(on: str, number: int | None, walltime: str | None) -> Workers:
    """Return who carries out a study, for as long as was said or the batch system lets this process go on."""
    seconds = remaining_seconds(os.environ) if walltime is None else duration(walltime)
    if walltime is not None and not seconds:
        why = "the run stops before it is over"
        raise ConfigurationError("--walltime", walltime, "a time such as 3:55:00 or 1-12:00:00", why)
    return Workers(on=on, number=number, walltime_seconds=None if seconds is None else max(seconds, 1.0))
