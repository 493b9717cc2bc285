"""``results.zarr``: what people open; rebuilt from the journal in replication order and swapped in whole."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blpsim.status import Status
from blpsim.store import swap
from blpsim.store.assembly import Axes, assembled, axes
from blpsim.store.content import Content
from blpsim.store.coordinates import aligned_factors, write_coordinates
from blpsim.store.journal import Journal
from blpsim.store.refusal import unwritable
from blpsim.study.records import FIELDS, Failure

if TYPE_CHECKING:
    import xarray as xr
    import zarr
    from zarr.storage import MemoryStore

_CHUNK_BYTES = 4 * 2**20
_SHARD_BYTES = 64 * 2**20
_DESCRIPTIONS = {
    "estimate": "estimate of each parameter",
    "standard_error": "estimated standard error",
    "at_bound": "1 where the estimate is at a bound, 0 where not",
    "truth": "value in the economy that drew the data",
    "status": "how the estimation ended",
    "objective": "GMM objective at the estimate",
    "gradient_norm": "largest element of the projected gradient",
    "hessian_min_eigenvalue": "smallest eigenvalue of the reduced Hessian",
    "objective_evaluations": "number of evaluations of the objective",
    "inversion_evaluations": "number of evaluations of the inversion's mapping",
    "inversion_failures": "number of inversions of a market that missed their tolerance",
    "inversion_residual": "largest difference of log shares after the inversion",
    "clipped_costs": "number of marginal costs that were clipped",
    "hansen_j": "Hansen's test of overidentification",
    "hansen_p": "its p-value",
    "start_value": "starting value",
    "start_estimate": "where the optimizer went from there",
    "start_objective": "objective there",
    "start_status": "how that optimization ended",
    "micro_observed": "value of each micro moment in the micro data",
    "micro_fitted": "value that it is expected to have at the estimate",
    "data_status": "how the drawing of the data ended",
    "equilibrium_residual": "largest residual of the first-order conditions",
    "outside_share": "mean share of the outside option",
    "seconds": "time that the estimation took",
    "data_seconds": "time that the drawing of the data took",
}


def publish(
    folder: Path, journal: Journal, content: Content, attributes: Mapping[str, Any]
) -> tuple[Failure, ...]:
    """Rebuild ``results.zarr`` in a store's folder; return all failures, in the order of the scenarios.

    Only for the holder of the store's lock. Raises StoreError when the file system refuses.
    """
    target = folder / "results.zarr"
    try:
        swap.finish(target)
        found = _write(str(swap.building(target)), journal, content, attributes)
        swap.replace(target)
    except OSError as error:
        raise unwritable(target, error) from error
    return found


def preview(journal: Journal, content: Content) -> xr.Dataset:
    """Return what ``results.zarr`` would hold now, in memory."""
    import xarray as xr
    from zarr.storage import MemoryStore

    store = MemoryStore()
    _write(store, journal, content, {"title": content.name})
    results: xr.Dataset = xr.open_zarr(store, chunks=None, consolidated=True)
    return results


def failures(journal: Journal, content: Content) -> tuple[Failure, ...]:
    """Return all failures that the journal holds, in the order of scenarios, replications and estimators."""
    along = axes(journal, content)
    return tuple(
        failure for name in along.scenarios for failure in assembled(journal, content, along, name).failures
    )


def _write(
    store: str | MemoryStore, journal: Journal, content: Content, attributes: Mapping[str, Any]
) -> tuple[Failure, ...]:
    import zarr

    along = axes(journal, content)
    group = zarr.create_group(store=store, zarr_format=3, attributes=dict(attributes))
    factors = aligned_factors(content, along.scenarios)
    write_coordinates(group, along, factors)
    grouped = _scenarios_together(along)
    variables = {name: _variable(group, name, along, grouped, tuple(factors)) for name in _recorded(along)}
    found: list[Failure] = []
    for first in range(0, len(along.scenarios), grouped):
        names = along.scenarios[first : first + grouped]
        parts = [assembled(journal, content, along, name) for name in names]
        for name, variable in variables.items():
            variable[first : first + grouped] = np.stack([part.arrays[name] for part in parts])
        found += [failure for part in parts for failure in part.failures]
    with warnings.catch_warnings():
        # What zarr warns of, other readers not using it, costs those readers only speed.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(store)
    return tuple(found)


def _recorded(along: Axes) -> list[str]:
    """Return the names of the variables, those of micro moments where there are some."""
    return [name for name, field in FIELDS.items() if "micro_moment" not in field.dims or along.micro_moments]


def _variable(
    group: zarr.Group, name: str, along: Axes, grouped: int, factors: tuple[str, ...]
) -> zarr.Array[Any]:
    field = FIELDS[name]
    shape = len(along.scenarios), *(along.sizes()[dim] for dim in field.dims)
    chunks, shards = _tiles(shape, grouped, np.dtype(field.dtype).itemsize)
    return group.create_array(
        name,
        shape=shape,
        dtype=field.dtype,
        chunks=chunks,
        shards=None if shards == chunks else shards,
        dimension_names=("scenario", *field.dims),
        fill_value=field.fill,
        attributes=_attributes(name, factors),
    )


def _attributes(name: str, factors: tuple[str, ...]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"long_name": _DESCRIPTIONS.get(name, name.replace("_", " "))}
    if name.endswith("seconds"):
        attributes["units"] = "s"
    if name.endswith("status"):
        attributes["flag_values"] = [int(status) for status in Status]
        attributes["flag_meanings"] = " ".join(status.meaning for status in Status)
    if factors:
        attributes["coordinates"] = " ".join(factors)
    return attributes


def _scenarios_together(along: Axes) -> int:
    """Return how many scenarios share a shard, and are in memory at once."""
    sizes = along.sizes()
    largest = max(8 * math.prod(sizes[dim] for dim in field.dims) for field in FIELDS.values())
    return max(1, min(len(along.scenarios), _SHARD_BYTES // max(largest, 1)))


def _tiles(shape: tuple[int, ...], grouped: int, itemsize: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of chunks, a few megabytes, and of the shards that hold whole scenarios."""
    left, chunks = _CHUNK_BYTES // itemsize, []
    for size in reversed((grouped, *shape[1:])):
        chunks.append(max(1, min(size, left)))
        left //= chunks[-1]
    chunks.reverse()
    chunks[0] = grouped if chunks[0] == grouped else 1
    covered = (chunk * -(-max(size, 1) // chunk) for chunk, size in zip(chunks[1:], shape[1:], strict=True))
    return tuple(chunks), (max(grouped, 1), *covered)
