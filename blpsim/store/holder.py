"""Processes that hold something in a store: who they are, and whether they still live."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process, told apart from a later one with the same number by when it started."""

    host: str
    """The machine's name."""
    pid: int
    """The process's number there."""
    started: int
    """Clock ticks from the machine's boot to the process's start; 0 where the system does not say."""

    def is_alive(self) -> bool:
        """Return whether the process runs; a process on another machine is taken to run."""
        if self.host != socket.gethostname():
            return True
        if not _exists(self.pid):
            return False
        started = _started(self.pid)
        return started is None or self.started in (0, started)

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return how a person would name the process."""
        return f"process {self.pid} on {self.host}"


def this_process() -> Holder:
    """Return the holder that this process is."""
    return Holder(host=socket.gethostname(), pid=os.getpid(), started=_started(os.getpid()) or 0)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> int | None:
    """Return the start in clock ticks, -1 for a zombie, None where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return -1 if fields[0] == "Z" else int(fields[19])
