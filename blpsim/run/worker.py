"""The worker's side of a run: the design that it keeps, and the tasks that it carries out."""

from __future__ import annotations

import functools
import pickle
import signal
import threading
from dataclasses import dataclass
from typing import Final, cast

from blpsim.errors import ConfigurationError
from blpsim.study.code import code_hash
from blpsim.study.design import Design, Source
from blpsim.study.load import design_from
from blpsim.study.records import Block
from blpsim.study.task import Task, run_task
from blpsim.threads import limit_this_process

_CARGO: Final[dict[str, Cargo]] = {}
_STOP: Final[set[str]] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """A design on its way to a worker: once, and known there by its fingerprint."""

    fingerprint: str
    """The design's fingerprint."""
    code: str
    """The hash of the driver's code that computes numbers."""
    source: Source | None = None
    """The design file's text, which the worker runs."""
    pickled: bytes = b""
    """The design itself, by cloudpickle, when it was built in a session and has no file."""


def unload(cargo: Cargo) -> None:
    """Keep a design in this process, which leaves interrupts to the driver and has one thread."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_this_process()
    _STOP.discard(cargo.fingerprint)
    _CARGO[cargo.fingerprint] = cargo


def carry_out(task: Task) -> Block | None:
    """Return a task's block, None when the worker has been asked to stop before."""
    if task.design in _STOP:
        return None
    return run_task(_design(task.design), task, lambda: task.design in _STOP)


def request_stop(fingerprint: str) -> None:
    """Ask this worker to end its tasks of a design after the replication it is at."""
    _STOP.add(fingerprint)


@functools.lru_cache(maxsize=4)
def _design(fingerprint: str) -> Design:
    cargo = _CARGO[fingerprint]
    if cargo.code != code_hash():
        why = "they may give other bits: install the same version where the workers are"
        raise ConfigurationError("a worker's blpsim", code_hash()[:12], f"{cargo.code[:12]}, as here", why)
    if cargo.source is None:
        return cast(Design, pickle.loads(cargo.pickled))
    design = design_from(cargo.source)
    if design.fingerprint != fingerprint:
        raise ConfigurationError(
            f"DESIGN {cargo.source.path}",
            f"hash {design.fingerprint[:12]}",
            f"{fingerprint[:12]}, as the driver found",
            "a design file must define the same design each time it is run",
        )
    return design
