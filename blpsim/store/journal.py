"""The journal, a heap of immutable blocks: how a run remembers, and the only thing it must not lose."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blpsim.store.atomic import flush_folder, remove_orphans, write_file
from blpsim.store.blocks import CorruptBlockError, Header, check_block, encoded, read_block, read_header
from blpsim.store.content import Content
from blpsim.store.coverage import Coverage, coverage
from blpsim.store.refusal import refused
from blpsim.study.records import Block

_SUFFIX = ".block"


class Journal:
    """The blocks in a folder, known by their headers.

    Reading needs no lock and changes nothing. Any number of processes may write, each its own blocks.
    """

    def __init__(self, folder: Path) -> None:
        """Read the headers of the blocks in a folder; one that does not exist has none."""
        self.folder = folder
        self.corrupt: dict[str, str] = {}
        self._headers: dict[str, Header] = {}
        self.refresh()

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self._headers)

    def refresh(self) -> None:
        """Read the headers of blocks that were written since the last look, by whomever."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if entry.name.endswith(_SUFFIX))
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            if name not in self._headers and name not in self.corrupt:
                try:
                    self._headers[name] = read_header(self.folder / name)
                except CorruptBlockError as error:
                    self.corrupt[name] = error.why

    def headers(self, scenario: str | None = None) -> tuple[Header, ...]:
        """Return the headers, of one scenario if named, from the first to count to the last."""
        chosen = (item for item in self._headers.items() if scenario in (None, item[1].scenario))
        return tuple(header for _, header in sorted(chosen, key=lambda item: (item[1].revision, item[0])))

    def header(self, name: str) -> Header:
        """Return the header of the block in a file."""
        return self._headers[name]

    def done(self, scenario: str, estimators: tuple[str, ...], replications: int) -> Coverage:
        """Return what is there of a scenario's first replications: statuses, pending where missing."""
        return coverage(self.headers(scenario), estimators, replications)

    def next_revision(self) -> int:
        """Return the revision with which a block supersedes all that are there."""
        return 1 + max((header.revision for header in self._headers.values()), default=-1)

    def write(self, block: Block, content: Content, *, revision: int = 0) -> Path:
        """Put a block on disk, durably and whole; return its path.

        Raises StoreError when the file system refuses.
        """
        header, text = encoded(block, content, revision)
        path = self.folder / header.name
        write_file(path, text)
        self._headers[header.name] = header
        self.corrupt.pop(header.name, None)
        return path

    def read(self, header: Header) -> Block:
        """Return a block, checked.

        Raises CorruptBlockError.
        """
        return read_block(self.folder / header.name)

    def verify(self) -> dict[str, str]:
        """Check every byte of every block; return what is wrong, by file name, and count those as missing."""
        for name in list(self._headers):
            try:
                check_block(self.folder / name)
            except CorruptBlockError as error:
                self.reject(name, error.why)
        return dict(self.corrupt)

    def reject(self, name: str, why: str) -> None:
        """Count a block as missing from now on."""
        del self._headers[name]
        self.corrupt[name] = why

    def repair(self) -> int:
        """Remove what dead writers left, move corrupt blocks to ``corrupt/``; return how many were moved.

        Only for the holder of the store's lock.
        """
        remove_orphans(self.folder)
        aside = self.folder / "corrupt"
        for name in self.corrupt:
            aside.mkdir(exist_ok=True)
            os.replace(self.folder / name, aside / name)
        if self.corrupt:
            flush_folder(self.folder)
        moved = len(self.corrupt)
        self.corrupt.clear()
        return moved

    def extent(self) -> int:
        """Return one past the last replication of any block."""
        return max((header.stop for header in self._headers.values()), default=0)

    def seconds(self) -> float:
        """Return the processor seconds that all blocks took."""
        return float(np.sum([header.seconds for header in self._headers.values()]))

    def refuse_other_content(self, content: Content, path: Path) -> None:
        """Raise StoreError when a block came from another seed, scenario, estimator or code."""
        for header in self._headers.values():
            for what, there, here in _origins(header, content):
                if there != here:
                    why = f"{what} is {here} now, but was {there} when {header.scenario!r} was computed there"
                    raise refused(
                        path, "results of the same content and code", f"{why}; choose another store"
                    )


def _origins(header: Header, content: Content) -> Iterator[tuple[str, str, str]]:
    yield "the study's seed", str(header.seed), str(content.seed)
    if header.scenario in content.scenarios:
        yield (
            f"scenario {header.scenario!r}",
            header.scenario_hash[:12],
            content.scenarios[header.scenario][:12],
        )
    for name, there in zip(header.estimators, header.estimator_hashes, strict=True):
        if name in content.estimators:
            yield f"estimator {name!r}", there[:12], content.estimators[name][:12]
    yield "blpsim's code", header.code[:12], content.code[:12]
