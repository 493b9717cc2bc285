"""The file of one block: a checked header, the failures and plain arrays; nothing is ever pickled.

``blpsim-block 1 LENGTH SHA256`` and a line feed, a JSON header of that length and checksum, then the
body: a JSON list of the failures and of the arrays' names, types and shapes, then the arrays' bytes in
that order. The header has all that resuming and counting need, so that ten thousand are read in a second.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from blpsim.errors import StoreError
from blpsim.status import Status
from blpsim.store.content import Content
from blpsim.study.records import Block, Failure, empty_arrays

_FIRST_LINE = re.compile(rb"blpsim-block 1 (\d{10}) ([0-9a-f]{64})\n")
_FIRST_LENGTH = len("blpsim-block 1 ") + 10 + 1 + 64 + 1
_TYPES = frozenset({"<f8", "<i8", "|i1", "|b1"})


class CorruptBlockError(StoreError):
    """A block whose bytes are not those that were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a block says of itself before its arrays are read."""

    scenario: str
    """The scenario's name."""
    scenario_hash: str
    """The scenario's content."""
    estimators: tuple[str, ...]
    """Names along the axis ``estimator``."""
    estimator_hashes: tuple[str, ...]
    """The estimators' contents."""
    parameters: tuple[str, ...]
    """Names along the axis ``parameter``."""
    start: int
    """The first replication."""
    stop: int
    """One past the last replication."""
    revision: int
    """Where blocks overlap, the one with the largest revision counts."""
    seed: int
    """The study's seed."""
    code: str
    """The hash of the code that computed the block."""
    starts: int
    """Length of the axis ``start``."""
    statuses: tuple[tuple[int, ...], ...]
    """By estimator, the status of each replication."""
    data_statuses: tuple[int, ...]
    """The status of each replication's dataset."""
    failures: int
    """Number of failures."""
    seconds: float
    """Processor seconds that the block took."""
    body_size: int
    """Number of bytes of the body."""
    list_size: int
    """Number of bytes of the list at the body's beginning."""
    checksum: str
    """SHA-256 of the body."""
    micro_moments: tuple[str, ...] = ()
    """Names along the axis ``micro_moment``; headers of an earlier release do not have it."""

    @property
    def name(self) -> str:
        """The name of the block's file: a function of what the block is, never of when it was made."""
        what = [self.scenario, self.scenario_hash, self.estimators, self.estimator_hashes, self.parameters]
        which = [self.start, self.stop, self.revision, self.seed, self.code]
        digest = hashlib.sha256(json.dumps([what, which]).encode()).hexdigest()[:16]
        label = re.sub(r"[^A-Za-z0-9._-]+", "-", self.scenario)[:48].strip(".-") or "scenario"
        return f"{label}-{self.start:07d}-{self.stop:07d}-{digest}.block"


def encoded(block: Block, content: Content, revision: int) -> tuple[Header, bytes]:
    """Return a block's header and the bytes of its file."""
    arrays = {name: _portable(block.arrays[name]) for name in sorted(block.arrays)}
    listed = {
        "failures": [asdict(failure) for failure in block.failures],
        "arrays": [(name, array.dtype.str, array.shape) for name, array in arrays.items()],
    }
    beginning = json.dumps(listed).encode()
    body = beginning + b"".join(array.tobytes() for array in arrays.values())
    header = Header(
        scenario=block.scenario,
        scenario_hash=content.scenarios[block.scenario],
        estimators=block.estimators,
        estimator_hashes=tuple(content.estimators[name] for name in block.estimators),
        parameters=block.parameters,
        start=block.start,
        stop=block.stop,
        revision=revision,
        seed=content.seed,
        code=content.code,
        starts=block.starts,
        statuses=tuple(tuple(row) for row in arrays["status"].tolist()),
        data_statuses=tuple(arrays["data_status"].tolist()),
        failures=len(block.failures),
        seconds=float(np.nansum(arrays["seconds"]) + np.nansum(arrays["data_seconds"])),
        body_size=len(body),
        list_size=len(beginning),
        checksum=hashlib.sha256(body).hexdigest(),
        micro_moments=block.micro_moments,
    )
    text = json.dumps(asdict(header)).encode()
    first = f"blpsim-block 1 {len(text):010d} {hashlib.sha256(text).hexdigest()}\n".encode()
    return header, first + text + body


def read_header(path: Path) -> Header:
    """Return a block's header; the body is not read, only its length checked.

    Raises CorruptBlockError.
    """
    with open(path, "rb") as file:
        return _header(file, path)


def read_block(path: Path) -> Block:
    """Return a block, whole and checked; of variables younger than it nothing was computed.

    Raises CorruptBlockError.
    """
    with open(path, "rb") as file:
        header = _header(file, path)
        body = _body(file, header, path)
    listed = json.loads(body[: header.list_size])
    sizes = {
        "estimator": len(header.estimators),
        "replication": header.stop - header.start,
        "parameter": len(header.parameters),
        "start": header.starts,
        "micro_moment": len(header.micro_moments),
    }
    return Block(
        scenario=header.scenario,
        estimators=header.estimators,
        parameters=header.parameters,
        start=header.start,
        stop=header.stop,
        # Blocks that an earlier release wrote lack variables that were added.
        arrays=empty_arrays(sizes) | _arrays(listed["arrays"], body, header.list_size),
        micro_moments=header.micro_moments,
        failures=tuple(_failure(values) for values in listed["failures"]),
    )


def check_block(path: Path) -> None:
    """Raise CorruptBlockError unless every byte of a block's file is as it was written."""
    with open(path, "rb") as file:
        _body(file, _header(file, path), path)


def _portable(array: NDArray[Any]) -> NDArray[Any]:
    portable = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    if portable.dtype.str not in _TYPES:
        why = "a block holds nothing that needs pickle"
        raise StoreError("Block.arrays", str(array.dtype), "plain numbers", why)
    return portable


def _header(file: BinaryIO, path: Path) -> Header:
    first = file.read(_FIRST_LENGTH)
    found = _FIRST_LINE.fullmatch(first)
    if found is None:
        raise _corrupt(path, "it does not begin as a block does")
    text = file.read(int(found[1]))
    if hashlib.sha256(text).hexdigest().encode() != found[2]:
        raise _corrupt(path, "its header's checksum is wrong")
    header = _parsed(json.loads(text))
    if os.fstat(file.fileno()).st_size != _FIRST_LENGTH + len(text) + header.body_size:
        raise _corrupt(path, "its length is wrong")
    return header


def _parsed(values: dict[str, Any]) -> Header:
    for name in ("estimators", "estimator_hashes", "parameters", "data_statuses", "micro_moments"):
        values[name] = tuple(values.get(name, ()))
    values["statuses"] = tuple(tuple(row) for row in values["statuses"])
    return Header(**values)


def _body(file: BinaryIO, header: Header, path: Path) -> bytes:
    body = file.read()
    if hashlib.sha256(body).hexdigest() != header.checksum:
        raise _corrupt(path, "its checksum is wrong")
    return body


def _arrays(listed: list[tuple[str, str, list[int]]], body: bytes, offset: int) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name, dtype, shape in listed:
        array = np.frombuffer(body, dtype, count=math.prod(shape), offset=offset).reshape(shape)
        arrays[name] = array
        offset += array.nbytes
    return arrays


def _failure(values: dict[str, Any]) -> Failure:
    return Failure(**{**values, "status": Status(values["status"])})


def _corrupt(path: Path, why: str) -> CorruptBlockError:
    return CorruptBlockError("block", path.name, "the bytes that were written", why)
