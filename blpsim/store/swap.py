"""A folder replaced by another as one step; what an interruption leaves is put right by the next command.

Where the system can exchange two names, it does, and the target always exists. Elsewhere the successor is
renamed when it is complete, and then takes the target's place: what carries that name is always the newer.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

from blpsim.store.atomic import flush_folder

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def building(target: Path) -> Path:
    """Return the empty place where the target's successor is built."""
    path = target.with_name(f".{target.name}.building")
    shutil.rmtree(path, ignore_errors=True)
    return path


def replace(target: Path) -> None:
    """Let the complete folder at ``building(target)`` take the target's place."""
    successor, complete = _named(target, "building"), _named(target, "complete")
    _flush(successor)
    if not (target.exists() and _exchange(successor, target)):
        os.rename(successor, complete)
    flush_folder(target.parent)
    finish(target)


def finish(target: Path) -> None:
    """Finish a swap that was interrupted, and remove what is neither the target nor its successor."""
    complete, discarded = _named(target, "complete"), _named(target, "discarded")
    if complete.exists():
        shutil.rmtree(discarded, ignore_errors=True)
        if target.exists():
            os.rename(target, discarded)
        os.rename(complete, target)
        flush_folder(target.parent)
    for leftover in (_named(target, "building"), discarded):
        shutil.rmtree(leftover, ignore_errors=True)


def _named(target: Path, stage: str) -> Path:
    return target.with_name(f".{target.name}.{stage}")


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step and return True; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _flush(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                os.fsync(file.fileno())
        flush_folder(Path(place))
