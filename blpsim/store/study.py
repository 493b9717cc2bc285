"""A finished or running study, opened for reading: data only, nothing is run or unpickled."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blpsim.checks import check
from blpsim.errors import StoreError
from blpsim.store import published
from blpsim.store.content import Content, read_content
from blpsim.store.failures import COLUMNS, line_of, read_failures
from blpsim.store.journal import Journal
from blpsim.store.provenance import read_runs
from blpsim.store.refusal import refused

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Study:
    """The results and failures of a study, by name.

    They come from ``results.zarr`` and ``failures.jsonl`` when those are up to date, from the journal
    itself while a run goes on or after one that was killed.
    """

    def __init__(self, path: str | Path) -> None:
        """Read what the study is; results are read when they are asked for."""
        check("store", path, str | os.PathLike, StoreError)
        self.path = Path(path)
        self.design: Content = read_content(self.path)

    def __repr__(self) -> str:
        """Return the study's name and place."""
        return f"Study({self.design.name!r}, {str(self.path)!r})"

    @cached_property
    def results(self) -> xr.Dataset:
        """Every variable of every replication, (scenario, estimator, replication, ...)."""
        import xarray as xr

        if self.is_published:
            results: xr.Dataset = xr.open_zarr(self.path / "results.zarr", chunks=None, consolidated=True)
            return results
        return published.preview(self._journal(), self.design)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """One row a failure: what failed, how, and the command that replays it."""
        import pandas as pd

        if self.is_published:
            lines = read_failures(self.path / "failures.jsonl")
        else:
            found = published.failures(self._journal(), self.design)
            lines = [line_of(failure, self.design.source) for failure in found]
        return pd.DataFrame(lines, columns=list(COLUMNS))

    @cached_property
    def provenance(self) -> list[dict[str, Any]]:
        """Every run that computed a part of the results: software, processor, commit, times."""
        return read_runs(self.path / "provenance.json")

    @cached_property
    def is_published(self) -> bool:
        """Whether ``results.zarr`` holds all that the journal does; a store without a journal always does."""
        try:
            metadata: dict[str, Any] = json.loads((self.path / "results.zarr" / "zarr.json").read_bytes())
            blocks = metadata["attributes"].get("blocks")
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return False
        folder = self.path / "journal"
        return not folder.is_dir() or blocks == sum(1 for _ in folder.glob("*.block"))

    def _journal(self) -> Journal:
        journal = Journal(self.path / "journal")
        if not len(journal):
            raise refused(self.path, "a study with results", "nothing of it has been computed yet")
        return journal


def open_study(path: str | Path) -> Study:
    """Return the study in a store's folder.

    Raises StoreError when the path is no store.
    """
    return Study(path)
