"""Hashes of content: the same value gives the same hash in every process and on every machine."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import textwrap
import types
from collections.abc import Callable, Mapping, Set
from enum import Enum

import numpy as np
import pandas as pd


def fingerprint(value: object) -> str:
    """Return the SHA-256, 64 hexadecimal digits, of a value's content; functions count by their source."""
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return ["float", value.hex()]
    if isinstance(value, Enum):
        return [type(value).__qualname__, value.name]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, pd.DataFrame):
        return ["frame", [[str(name), _plain_array(value[name].to_numpy())] for name in value.columns]]
    return _plain_composite(value)


def _plain_array(array: np.ndarray) -> object:
    if array.dtype.kind not in "biuf":
        return ["array", list(array.shape), [str(element) for element in array.ravel()]]
    array = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return ["array", array.dtype.str, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def _plain_composite(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.compare]
        return [type(value).__qualname__, {name: _plain(getattr(value, name)) for name in fields}]
    if isinstance(value, Mapping):
        return ["mapping", [[str(key), _plain(item)] for key, item in value.items()]]
    if isinstance(value, Set):
        return ["set", sorted(json.dumps(_plain(item), sort_keys=True) for item in value)]
    if isinstance(value, tuple | list):
        return ["sequence", [_plain(item) for item in value]]
    if isinstance(value, functools.partial):
        return ["partial", _plain(value.func), _plain(value.args), _plain(value.keywords)]
    if callable(value):
        return _plain_callable(value)
    return [type(value).__qualname__, _plain(vars(value))]


def _plain_callable(function: Callable[..., object]) -> object:
    if isinstance(function, type) or not isinstance(function, types.FunctionType | types.MethodType):
        return ["callable", f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"]
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        source = function.__code__.co_code.hex()
    closure = [cell.cell_contents for cell in function.__closure__ or ()]
    return ["function", function.__qualname__, source, _plain(closure), _plain(function.__defaults__)]
