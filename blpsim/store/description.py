"""A design as plain JSON, for people to read years later; nothing is ever built from it."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None

_LARGEST = 1_000
"""Arrays with more elements are told by type and shape alone."""


def described(value: object) -> JSON:
    """Return a value as JSON: records by field, functions by name, large arrays and tables by shape."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, np.generic):
        return described(value.item())
    if isinstance(value, np.ndarray):
        return _described_array(value)
    return _described_composite(value)


def _described_array(array: NDArray[Any]) -> JSON:
    if array.size > _LARGEST:
        return f"{array.dtype} array {array.shape}"
    return described(array.tolist())


def _described_composite(value: object) -> JSON:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [
            field.name for field in dataclasses.fields(value) if field.repr and not field.name.startswith("_")
        ]
        return {"type": type(value).__name__, **{name: described(getattr(value, name)) for name in shown}}
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [described(item) for item in value]
    if isinstance(value, Set):
        return sorted((described(item) for item in value), key=repr)
    if isinstance(value, functools.partial):
        arguments = {"arguments": described(value.args), "keywords": described(value.keywords)}
        return {"type": "partial", "function": described(value.func), **arguments}
    return _named(value)


def _named(value: object) -> str:
    """Return the name of a function or type; of anything else its type, and its shape if it has one."""
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return f"{getattr(value, '__module__', '')}.{name}"
    shape = getattr(value, "shape", None)
    return type(value).__qualname__ if shape is None else f"{type(value).__qualname__} {shape}"
