"""A store as the one command that writes to it holds it."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from blpsim.errors import BlpsimWarning
from blpsim.store import provenance, published, swap
from blpsim.store.atomic import remove_orphans, write_json
from blpsim.store.beginning import begun, make_folder
from blpsim.store.content import Content, read_content
from blpsim.store.failures import write_failures
from blpsim.store.joint import array_runs
from blpsim.store.journal import Journal
from blpsim.store.lock import Lock
from blpsim.store.refusal import refused, unwritable
from blpsim.study.records import Block


class Store:
    """A store's folder, locked from ``with`` to its end: blocks go in, results come out.

    Entering puts right what an interruption left, and raises StoreError when the folder cannot be
    written, is no store, is another command's, or holds numbers from other content or code.
    """

    def __init__(self, path: str | Path, content: Content | None = None) -> None:
        """Name the folder; nothing is touched yet.

        content  what is going to be computed; None to publish what is there
        """
        self.path = Path(path)
        self.content = read_content(self.path) if content is None else content
        self._computes = content is not None
        self.journal = Journal(self.path / "journal")
        self._lock = Lock(self.path / "lock")
        self._runs: list[dict[str, Any]] = []
        self._has_begun = False
        self._begun = time.monotonic()
        self._seconds_before = 0.0

    def __enter__(self) -> Self:
        """Lock the folder, making it if need be, and check what is there."""
        make_folder(self.path)
        self._lock.acquire()
        try:
            self._put_right()
            self._runs = provenance.read_runs(self.path / "provenance.json")
            self._take_array_runs()
            if self._computes or not self._runs:
                self._continue()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise unwritable(self.path, error) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Note when the run ended, and give the lock back."""
        try:
            self._note_end()
        finally:
            self._lock.release()

    def write(self, block: Block, *, revision: int = 0) -> None:
        """Put a block into the journal, durably.

        revision  of blocks that overlap, the one with the largest counts; ``journal.next_revision()`` retries
        """
        self.journal.write(block, self.content, revision=revision)

    def publish(self) -> None:
        """Rebuild ``results.zarr`` and ``failures.jsonl`` from the journal."""
        self.journal.refresh()
        self._set_corrupt_aside()
        self._refuse_to_empty()
        self._take_array_runs()
        self._note_end()
        failures = published.publish(self.path, self.journal, self.content, self._attributes())
        write_failures(self.path / "failures.jsonl", failures, self.content.source)
        self._set_corrupt_aside()

    def _refuse_to_empty(self) -> None:
        if not self._computes and not len(self.journal) and (self.path / "results.zarr").exists():
            why = "there are none, and publishing would replace results.zarr by an empty dataset"
            raise refused(self.path / "journal", "the blocks that results.zarr was made from", why)

    def _put_right(self) -> None:
        for folder in (self.path, *self.path.glob("array/*")):
            remove_orphans(folder)
        swap.finish(self.path / "results.zarr")
        self.journal.refresh()
        self.journal.verify()
        self._set_corrupt_aside()

    def _set_corrupt_aside(self) -> None:
        moved = self.journal.repair()
        if moved:
            text = f"{moved} corrupt blocks moved to {self.journal.folder / 'corrupt'}; they count as not run"
            warnings.warn(text, BlpsimWarning, stacklevel=4)

    def _continue(self) -> None:
        """Check what is there against the content, join the two, and begin a run."""
        self.content = begun(self.path, self.journal, self.content)
        source = None if self.content.source is None else Path(self.content.source)
        self._begin_run(provenance.provenance(source))

    def _begin_run(self, run: dict[str, Any]) -> None:
        self._begun, self._seconds_before = time.monotonic(), self.journal.seconds()
        changed = provenance.differences(self._runs[-1], run) if self._runs and len(self.journal) else []
        if changed:
            text = f"{self.path} goes on with {', '.join(changed)}: bits may differ from those already there"
            warnings.warn(text, BlpsimWarning, stacklevel=5)
        self._runs.append(run)
        self._has_begun = True
        self._write_runs()

    def _take_array_runs(self) -> None:
        """List what tasks of job arrays noted since the last look, before the run that goes on."""
        found = array_runs(self.path)
        fresh = {run["array"]["job"] for run in found}
        if not fresh:
            return
        own = [self._runs.pop()] if self._has_begun else []
        kept = [run for run in self._runs if run.get("array", {}).get("job") not in fresh]
        self._runs = sorted(kept + found, key=lambda run: str(run["started"])) + own
        self._write_runs()

    def _note_end(self) -> None:
        if not self._has_begun:
            return
        self._runs[-1] |= {
            "ended": provenance.timestamp(),
            "wall_seconds": round(time.monotonic() - self._begun, 3),
            "core_seconds": round(self.journal.seconds() - self._seconds_before, 3),
        }
        self._write_runs()

    def _write_runs(self) -> None:
        write_json(self.path / "provenance.json", {"runs": self._runs})

    def _attributes(self) -> dict[str, Any]:
        return {
            "title": self.content.name,
            "design": json.dumps(self.content.as_json(), ensure_ascii=False),
            "design_hash": self.content.hash,
            "code_hash": self.content.code,
            "seed": self.content.seed,
            "blocks": len(self.journal),
            **provenance.attributes(self._runs),
            "core_hours": self.journal.seconds() / 3600,
        }
