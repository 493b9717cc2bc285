"""How replications ended: what was attempted, what is used, and what failed in which way."""

from __future__ import annotations

import numpy as np
import xarray as xr

from blpsim.errors import StoreError
from blpsim.status import Status

USED = tuple(status.meaning for status in Status if status.is_usable)
"""Meanings of the statuses whose estimates enter measures."""
NOT_ATTEMPTED = (Status.PENDING.meaning, Status.NOT_PLANNED.meaning)
"""Meanings of the statuses of replications that nobody tried."""


def status_meanings(status: xr.DataArray) -> dict[int, str]:
    """Return what the stored integers mean, from the variable's own attributes.

    Raises
    ------
    StoreError
        If the attributes are missing or do not match.
    """
    values = np.atleast_1d(status.attrs.get("flag_values", ()))
    meanings = str(status.attrs.get("flag_meanings", "")).split()
    if len(values) == 0 or len(values) != len(meanings):
        got = f"{len(values)} values and {len(meanings)} meanings"
        why = "without them a status is only a number"
        raise StoreError("status.attrs", got, "as many flag_values as flag_meanings", why)
    return dict(zip((int(value) for value in values), meanings, strict=True))


def status_counts(status: xr.DataArray) -> xr.DataArray:
    """Return how many replications of each scenario and estimator ended how, (scenario, estimator, status).

    Raises
    ------
    StoreError
        If a status is not among the variable's flag_values.
    """
    meanings = status_meanings(status)
    codes = status.transpose("scenario", "estimator", "replication").to_numpy()
    counts = np.stack([(codes == code).sum(axis=-1) for code in meanings], axis=-1)
    if counts.sum() != codes.size:
        strange = sorted(set(np.unique(codes).tolist()) - set(meanings))
        why = "a status without a meaning cannot be counted"
        raise StoreError("status", strange, "one of its flag_values", why)
    labels = {name: [str(label) for label in status[name].to_numpy()] for name in ("scenario", "estimator")}
    return xr.DataArray(counts, coords={**labels, "status": list(meanings.values())})


def is_used(status: xr.DataArray) -> xr.DataArray:
    """Return whether estimates enter measures, of the status's shape."""
    return status.isin([code for code, meaning in status_meanings(status).items() if meaning in USED])


def attempted(counts: xr.DataArray) -> xr.DataArray:
    """Return how many replications were tried, (scenario, estimator)."""
    return counts.sel(status=~counts["status"].isin(NOT_ATTEMPTED)).sum("status")


def usable(counts: xr.DataArray) -> xr.DataArray:
    """Return how many replications gave usable estimates, (scenario, estimator)."""
    return counts.sel(status=counts["status"].isin(USED)).sum("status")


def failures(counts: xr.DataArray) -> dict[str, int]:
    """Return how many replications failed in which way, most frequent first; ways that occurred only."""
    totals = counts.sum([name for name in counts.dims if name != "status"])
    failed = totals.sel(status=~totals["status"].isin(USED + NOT_ATTEMPTED))
    found = {str(name): int(failed.sel(status=name)) for name in failed["status"].to_numpy()}
    return {name: found[name] for name in sorted(found, key=lambda name: (-found[name], name)) if found[name]}
