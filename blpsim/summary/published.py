"""Published numbers beside reproduced ones, with the difference in standard errors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from blpsim.checks import check
from blpsim.errors import DataError
from blpsim.summary.summarize import Summary

_KEYS = ["scenario", "estimator", "parameter", "measure"]
_GIVEN = [*_KEYS, "published"]


def beside(summary: Summary, published: pd.DataFrame) -> pd.DataFrame:
    """Return published numbers beside a summary's, one row each, in the published order.

    summary    made with the measures that were published
    published  columns scenario, estimator, parameter, measure and published, and where it is known
               published_mcse, its Monte Carlo standard error, or replications, how many it is made from

    Columns published, published_mcse, value, mcse, difference, z, attempted, used are added. ``z`` is the
    difference over the root of the sum of both squared errors. A published number without an error gets
    the reproduction's, scaled to its replications, or as it is where these are not known, either. A number
    that the study does not have is NaN.

    Raises
    ------
    DataError
        If a column is missing, a number is not finite, or no row is one of the study's.
    """
    check("summary", summary, Summary)
    check("published", published, pd.DataFrame)
    for name in _GIVEN:
        if name not in published:
            found = ", ".join(map(str, published.columns))
            raise DataError("published", found, f"a column {name}", "numbers are found by their names")
    given = published.assign(published=pd.to_numeric(published["published"], errors="coerce"))
    if not np.isfinite(given["published"]).all():
        row = int(np.flatnonzero(~np.isfinite(given["published"]))[0])
        got = published["published"].iloc[row]
        raise DataError(f"published, row {row}", got, "a number", "the difference is taken from it")
    ours = summary.table[[*_KEYS, "value", "mcse", "attempted", "used"]]
    table = given.drop(columns=["value", "mcse", "attempted", "used"], errors="ignore").merge(
        ours, on=_KEYS, how="left"
    )
    if table["value"].isna().all():
        got = ", ".join(map(str, given[_KEYS].iloc[0])) if len(given) else "no row"
        expected = "rows whose scenario, estimator, parameter and measure are in the study"
        raise DataError("published", got, expected, "nothing else can be compared")
    table["published_mcse"] = _error(table)
    table["difference"] = table["value"] - table["published"]
    with np.errstate(divide="ignore", invalid="ignore"):
        table["z"] = table["difference"] / np.hypot(table["mcse"], table["published_mcse"])
    columns = ["published", "published_mcse", "value", "mcse", "difference", "z", "attempted", "used"]
    return table[[*_KEYS, *columns]]


def _error(table: pd.DataFrame) -> pd.Series[float]:
    """Return the published number's error: as given, else the reproduction's scaled to its replications."""
    error = table["mcse"].astype(float)
    if "replications" in table:
        replications = pd.to_numeric(table["replications"], errors="coerce")
        scaled: pd.Series[float] = error * np.sqrt(table["used"] / replications)
        error = scaled.fillna(error)
    if "published_mcse" in table:
        error = pd.to_numeric(table["published_mcse"], errors="coerce").fillna(error)
    return error
