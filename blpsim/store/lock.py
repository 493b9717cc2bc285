"""The lock that keeps a second driver from repeating the first one's work."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from blpsim.store.holder import Holder, this_process
from blpsim.store.refusal import refused, unwritable


class Lock:
    """A file that names its holder; the file stays, its content says whether the lock is held."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is touched yet."""
        self.path = path

    def acquire(self) -> None:
        """Take the lock, over from a dead holder if need be.

        Raises StoreError when another process holds it, or when the path cannot be written.
        """
        with self._guarded() as descriptor:
            holder = _read(descriptor)
            if holder is not None and holder.is_alive():
                why = f"{holder} does; wait for it, or delete {self.path} if it is gone"
                raise refused(self.path.parent, "a store that no other command writes to", why)
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            _rewrite(descriptor, json.dumps(this_process().as_dict() | {"since": since}).encode())

    def release(self) -> None:
        """Give the lock back if this process has it."""
        with self._guarded() as descriptor:
            if _read(descriptor) == this_process():
                _rewrite(descriptor, b"")

    def holder(self) -> Holder | None:
        """Return the living process that holds the lock, None when there is none."""
        try:
            holder = _parsed(self.path.read_bytes())
        except OSError:
            return None
        return holder if holder is not None and holder.is_alive() else None

    @contextmanager
    def _guarded(self) -> Iterator[int]:
        """Yield the open file while no other process on the machine reads or writes it."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(self.path, error) from error
        try:
            # Some network file systems have no such locks; the content alone then decides.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def _read(descriptor: int) -> Holder | None:
    return _parsed(os.pread(descriptor, 4096, 0))


def _parsed(content: bytes) -> Holder | None:
    """Return the holder; None when the file is empty or its writer died while writing it."""
    try:
        fields: dict[str, Any] = json.loads(content)
        return Holder(host=str(fields["host"]), pid=int(fields["pid"]), started=int(fields["started"]))
    except (ValueError, KeyError, TypeError):
        return None


def _rewrite(descriptor: int, content: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content, 0)
    os.fsync(descriptor)
