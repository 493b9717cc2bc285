"""Which code computes the numbers, as a hash: results of different code are never put together."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

_COMPUTES_NOTHING = ("__init__.py", "run", "store", "workflow.py", "summary", "report", "cli.py")


@functools.cache
def code_hash() -> str:
    """Return the SHA-256 of the sources that compute numbers, not of those that run, store or show."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] not in _COMPUTES_NOTHING:
            digest.update(f"{name.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
