"""A store as the tasks of a job array write to it: each its own blocks, none waiting for another."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from blpsim.store import provenance
from blpsim.store.atomic import flush_folder, write_file, write_json
from blpsim.store.beginning import begun, make_folder
from blpsim.store.content import Content
from blpsim.store.holder import this_process
from blpsim.store.journal import Journal
from blpsim.store.refusal import unreadable, unwritable
from blpsim.study.records import Block


class JointStore:
    """A store's folder, without its lock: any number of processes on any machines write blocks to it.

    Entering raises StoreError when the folder cannot be written, is no store, or holds numbers from
    other content or code. Publishing is another command's, later or meanwhile.
    """

    def __init__(self, path: str | Path, content: Content, job: str | None, task: int) -> None:
        """Name the folder; nothing is touched yet.

        content  what is going to be computed
        job      the array's name, the same in all its tasks; None outside of one
        task     the task's number in the array
        """
        self.path = Path(path)
        self.content = content
        self.journal = Journal(self.path / "journal")
        self.job = job
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", job or "").strip(".-") or "job"
        self._folder = self.path / "array" / name
        self._run: dict[str, Any] = {"array": {"job": job, "tasks": [task]}}
        self._began, self._seconds = time.monotonic(), 0.0

    def __enter__(self) -> Self:
        """Make the folder if need be, and check what is there."""
        make_folder(self.path)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.journal.refresh()
            self.content = begun(self.path, self.journal, self.content)
        except OSError as error:
            raise unwritable(self.path, error) from error
        source = None if self.content.source is None else Path(self.content.source)
        self._run |= provenance.provenance(source)
        self._write_run()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Note when the task ended."""
        seconds = time.monotonic() - self._began
        self._run |= {
            "ended": provenance.timestamp(),
            "wall_seconds": round(seconds, 3),
            "core_seconds": round(self._seconds, 3),
        }
        self._write_run()

    def write(self, block: Block, *, revision: int = 0) -> None:
        """Put a block into the journal, durably."""
        path = self.journal.write(block, self.content, revision=revision)
        self._seconds += self.journal.header(path.name).seconds

    def agreed(self, what: object, proposed: Callable[[], list[list[Any]]]) -> list[list[Any]]:
        """Return what the array's tasks agree on: what the first of them proposed.

        what      tells agreements apart
        proposed  called by those who find none; its result must be ready for JSON
        """
        digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
        path = self._folder / f"agreed-{digest}.json"
        if not path.exists():
            _write_once(path, json.dumps(proposed()).encode())
        try:
            rows: list[list[Any]] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from error
        return rows

    def _write_run(self) -> None:
        # A task that is started again, under the same number, leaves what it did before.
        holder = this_process()
        write_json(self._folder / f"run-{holder.host}~{holder.pid}~{holder.started}.json", self._run)


def array_runs(path: Path) -> list[dict[str, Any]]:
    """Return the runs of a store's job arrays: one for tasks of a job with the same surroundings.

    Raises StoreError when what a task noted cannot be read.
    """
    merged: dict[str, dict[str, Any]] = {}
    for file in sorted(path.glob("array/*/run-*.json")):
        try:
            run: dict[str, Any] = json.loads(file.read_bytes())
            same = {key: run[key] for key in ("versions", "python", "cpu", "blas", "threads", "commit")}
            key = json.dumps([run["array"]["job"], same], sort_keys=True)
            merged[key] = _merged(merged[key], run) if key in merged else run
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise unreadable(file, error) from error
    return sorted(merged.values(), key=lambda run: str(run["started"]))


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    ends = [run["ended"] for run in (one, other) if run["ended"] is not None]
    tasks = sorted({*one["array"]["tasks"], *other["array"]["tasks"]})
    return one | {
        "array": one["array"] | {"tasks": tasks},
        "started": min(one["started"], other["started"]),
        "ended": max(ends, default=None),
        "wall_seconds": max(one["wall_seconds"] or 0.0, other["wall_seconds"] or 0.0),
        "core_seconds": (one["core_seconds"] or 0.0) + (other["core_seconds"] or 0.0),
    }


def _write_once(path: Path, content: bytes) -> None:
    """Put the content at a path unless another process has been there first; it is whole at once."""
    holder = this_process()
    own = path.with_name(f".{path.name}.{holder.host}~{holder.pid}~{holder.started}.tmp")
    write_file(own, content)
    try:
        os.link(own, path)
    except FileExistsError:
        pass
    except OSError:
        # No hard links here: the last one wins, and who read before repeats some of another's blocks.
        os.replace(own, path)
    finally:
        own.unlink(missing_ok=True)
    flush_folder(path.parent)
