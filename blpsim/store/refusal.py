"""How a store says no: which path, what was expected there, and why, on one line."""

from __future__ import annotations

from pathlib import Path

from blpsim.errors import StoreError


def refused(path: Path, expected: str, why: str) -> StoreError:
    """Return the error about a store's path."""
    return StoreError("store", str(path), expected, why)


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return the error about a path that the file system does not let us write."""
    return refused(path, "a path that can be written", error.strerror or str(error))


def unreadable(path: Path, error: Exception) -> StoreError:
    """Return the error about a path that is no store, or one that something else has written to."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return refused(path.parent, "the folder of a study", f"{path.name} cannot be read: {reason}")
