"""Coordinates of the published store: names along its dimensions, and what varies between scenarios."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blpsim.store.assembly import Axes
from blpsim.store.content import Content, Factor
from blpsim.study.records import FIELDS

if TYPE_CHECKING:
    import zarr


def aligned_factors(content: Content, scenarios: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return each factor's values along the scenarios; none hides a variable, none has spaces or slashes."""
    taken = {*FIELDS, "scenario", "estimator", "replication", "parameter", "start", "micro_moment"}
    names = dict.fromkeys(name for scenario in scenarios for name in content.factors.get(scenario, ()))
    rows = [content.factors.get(scenario, {}) for scenario in scenarios]
    labels = {name: f"factor_{name}" if name in taken else re.sub(r"[\s/]", "_", name) for name in names}
    return {label: _aligned([row.get(name) for row in rows]) for name, label in labels.items()}


def _aligned(values: list[Factor | None]) -> NDArray[Any]:
    """Return values as numbers if all are, missing ones NaN; else as text, missing ones empty."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in values):
        return np.array(values, np.bool_)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.array(values, np.int64)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return np.array([math.nan if value is None else value for value in values], np.float64)
    return _strings(tuple("" if value is None else str(value) for value in values))


def write_coordinates(group: zarr.Group, along: Axes, factors: Mapping[str, NDArray[Any]]) -> None:
    """Write the names along every dimension, and the factors along the scenarios."""
    named = {"scenario": along.scenarios, "estimator": along.estimators, "parameter": along.parameters}
    if along.micro_moments:
        named["micro_moment"] = along.micro_moments
    for name, labels in named.items():
        _coordinate(group, name, name, _strings(labels))
    _coordinate(group, "replication", "replication", np.arange(along.replications))
    _coordinate(group, "start", "start", np.arange(along.starts))
    for name, values in factors.items():
        _coordinate(group, name, "scenario", values)


def _coordinate(group: zarr.Group, name: str, dim: str, values: NDArray[Any]) -> None:
    is_text = values.dtype == object
    array = group.create_array(
        name,
        shape=values.shape,
        dtype="string" if is_text else values.dtype,
        chunks=(max(values.size, 1),),
        dimension_names=(dim,),
        fill_value="" if is_text else _fill(values.dtype),
    )
    if values.size:
        array[...] = values


def _strings(labels: tuple[str, ...]) -> NDArray[Any]:
    strings = np.empty(len(labels), object)
    strings[:] = labels
    return strings


def _fill(dtype: np.dtype[Any]) -> float | int | bool:
    return math.nan if dtype.kind == "f" else dtype.type(0).item()
