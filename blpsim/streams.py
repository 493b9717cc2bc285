"""Random streams: pure functions of (study seed, role, the scenario's stream key, replication)."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np

from blpsim.checks import check_count, check_fields


def _words(text: str) -> tuple[int, ...]:
    digest = hashlib.sha256(text.encode()).digest()
    return tuple(int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The random streams of one replication of one scenario.

    A stream never depends on the worker, the order of work, the block size, the number of
    estimators or the place in a grid: only on the three values below and on its role.
    """

    seed: int
    """The study's seed, 0 or larger."""
    replication: int
    """The replication's number, 0 or larger."""
    stream_key: str = ""
    """The scenario's stream key; scenarios that share one share their random numbers."""

    def __post_init__(self) -> None:
        """Raise ConfigurationError for anything but integers from 0 on, and a key that is no text."""
        for name in ("seed", "replication"):
            check_count(f"Streams.{name}", getattr(self, name), "random streams are numbered from 0 on", 0)
        check_fields(self)

    def keyed(self, stream_key: str) -> Streams:
        """Return the same replication's streams under a scenario's key."""
        return dataclasses.replace(self, stream_key=stream_key)

    def generator(self, role: str) -> np.random.Generator:
        """Return a fresh generator at the start of the stream with this role."""
        key = (*_words(self.stream_key), *_words(role), int(self.replication))
        return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(int(self.seed), spawn_key=key)))
