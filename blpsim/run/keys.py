"""A folder for the keys of encrypted connections: the user's alone, gone when the run is."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from blpsim.errors import ConfigurationError

_NAME: Final = re.compile(r"keys-(?P<host>[^/]+)~(?P<pid>\d+)")


@contextmanager
def key_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder that only the user can enter; it is removed, as are those of killed runs.

    Raises ConfigurationError when it cannot be made.
    """
    parent = parent.expanduser()
    folder = parent / f"keys-{socket.gethostname()}~{os.getpid()}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        why = error.strerror or str(error)
        expected = "a folder that can be made, shared by all machines"
        raise ConfigurationError("Profile.keys", str(parent), expected, why) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove what killed runs on this machine left."""
    for path in parent.glob("keys-*"):
        named = _NAME.fullmatch(path.name)
        if named is not None and named["host"] == socket.gethostname() and not _runs(int(named["pid"])):
            shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
