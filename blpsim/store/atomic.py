"""Files that are there whole or not at all, whatever kills the writer."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from pathlib import Path

from blpsim.store.holder import Holder, this_process
from blpsim.store.refusal import unwritable

_TEMPORARY = re.compile(r"^\..+\.(?P<host>[^/]+)~(?P<pid>\d+)~(?P<started>\d+)\.tmp$")
_ABANDONED_SECONDS = 3600.0


def write_file(path: Path, content: bytes) -> None:
    """Put the content at a path: written beside it, flushed to disk, then renamed.

    Raises StoreError when the file system refuses.
    """
    holder = this_process()
    temporary = path.with_name(f".{path.name}.{holder.host}~{holder.pid}~{holder.started}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Put a value at a path as indented JSON."""
    write_file(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def flush_folder(folder: Path) -> None:
    """Make the names in a folder as durable as the files' contents."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_orphans(folder: Path) -> int:
    """Remove temporary files whose writer is gone; return how many there were."""
    orphans = [path for path in folder.glob(".*.tmp") if _is_orphan(path)]
    for path in orphans:
        path.unlink(missing_ok=True)
    return len(orphans)


def _is_orphan(path: Path) -> bool:
    named = _TEMPORARY.match(path.name)
    if named is None:
        return False
    if named["host"] == socket.gethostname():
        return not Holder(host=named["host"], pid=int(named["pid"]), started=int(named["started"])).is_alive()
    try:
        return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
    except FileNotFoundError:
        return False
