"""What users bring - data frames, record arrays, datasets, dicts of arrays - as checked arrays by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.errors import DataError
from blpsim.model.columns import Columns
from blpsim.model.expressions import Data

Table: TypeAlias = pd.DataFrame | xr.Dataset | Mapping[str, ArrayLike] | NDArray[np.void]


def read_table(data: Table, field: str) -> dict[str, NDArray[Any]]:
    """Return a table's columns by name, each (N,); a matrix named ``x`` becomes ``x0, x1, ..``.

    Raises
    ------
    DataError
        When the data are no table, or its columns have different lengths.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name, values in _arrays(data, field):
        if values.ndim == 2 and values.shape[1] != 1:
            columns |= {f"{name}{k}": values[:, k] for k in range(values.shape[1])}
        elif values.ndim in (1, 2):
            columns[name] = values.reshape(-1)
        else:
            why = "a table has a row a product or agent"
            raise DataError(f"{field}['{name}']", f"shape {values.shape}", "one or two dimensions", why)
    _check_lengths(columns, field)
    return columns


def _arrays(data: Table, field: str) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(data, pd.DataFrame):
        return ((str(name), _plain(data[name].to_numpy())) for name in data.columns)
    if isinstance(data, xr.Dataset):
        names = [name for name in data.variables if name not in data.dims]
        return ((str(name), np.asarray(data[name].values)) for name in names if data[name].ndim)
    if isinstance(data, np.ndarray) and data.dtype.names:
        return ((name, np.asarray(data[name])) for name in data.dtype.names if data[name].size)
    if isinstance(data, Mapping):
        return ((str(name), _plain(np.asarray(values))) for name, values in data.items())
    expected = "a data frame, a dict of arrays, an xarray dataset or a record array"
    raise DataError(field, type(data).__name__, expected, "columns are found by their names")


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    # Numbers that arrive as Python objects would pass for categories.
    if values.dtype.kind == "O" and all(isinstance(value, float | int) for value in values.flat[:1]):
        numbers = np.array([np.nan if value is pd.NA else value for value in values.flat])
        return numbers.reshape(values.shape) if numbers.dtype.kind in "iuf" else values
    return values


def _check_lengths(columns: dict[str, NDArray[Any]], field: str) -> None:
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(field, "no rows", "at least one row", "there is nothing to estimate on")
    first, expected = next((name, len(column)) for name, column in columns.items())
    for name, column in columns.items():
        if len(column) != expected:
            why = f"'{first}' has {expected}, and columns share their rows"
            raise DataError(f"{field}['{name}']", f"{len(column)} rows", f"{expected} rows", why)


def take_ids(columns: Mapping[str, NDArray[Any]], name: str, field: str) -> NDArray[Any]:
    """Return a column of identifiers, (N,), none of them missing.

    Raises
    ------
    DataError
        When the column is not there, is a matrix, or has missing values.
    """
    if name not in columns:
        got = "two dimensions" if f"{name}0" in columns else "no such column"
        raise DataError(f"{field}['{name}']", got, "one column", f"there are {', '.join(sorted(columns))}")
    values = columns[name]
    if (missing := np.flatnonzero(pd.isna(values))).size:
        got = f"{values[missing[0]]} in row {missing[0]}"
        raise DataError(f"{field}['{name}']", got, "no missing values", "each row belongs somewhere")
    return values


def take_numbers(columns: Mapping[str, NDArray[Any]], name: str, field: str) -> Vector:
    """Return a column of finite numbers, (N,).

    Raises
    ------
    DataError
        When the column is not there, or has anything but finite numbers.
    """
    if name not in columns:
        got = "two dimensions" if f"{name}0" in columns else "no such column"
        raise DataError(f"{field}['{name}']", got, "one column", f"there are {', '.join(sorted(columns))}")
    try:
        values = np.array(columns[name], np.float64)
    except (TypeError, ValueError) as error:
        why = "it holds what is not a number"
        raise DataError(f"{field}['{name}']", columns[name].dtype, "numbers", why) from error
    check_finite(values, f"{field}['{name}']")
    return values


def check_finite(values: Matrix, field: str) -> None:
    """Refuse NaN and infinite values.

    Raises
    ------
    DataError
        Naming the first row that has one.
    """
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        got = f"{values[row] if values.ndim == 1 else values[row][~np.isfinite(values[row])][0]} in row {row}"
        raise DataError(field, got, "finite numbers", "one NaN or infinite value spoils every estimate")


def group_codes(ids: NDArray[Any]) -> tuple[Integers, NDArray[Any]]:
    """Return each row's group as 0, 1, .., (N,), and the groups' sorted names."""
    if ids.dtype.kind != "O":
        names, codes = np.unique(ids, return_inverse=True)
        return codes.reshape(-1).astype(np.int64), names
    codes, names = pd.factorize(ids, sort=False)
    order = sorted(range(len(names)), key=lambda index: _sortable(names[index]))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks[codes], np.asarray(names)[order]


def _sortable(name: object) -> tuple[bool, float, str]:
    number = float(name) if isinstance(name, int | float | np.number) else None
    return (number is None, number or 0.0, str(name))


def market_offsets(codes: Integers, markets: int) -> Integers:
    """Return where each market's rows start and end, (T+1,), from sorted codes 0, 1, .."""
    return np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=markets))))


def check_columns(columns: Columns, data: Data, field: str) -> None:
    """Refuse data at which a formula's columns have NaN or infinite values, or categories are missing.

    Raises
    ------
    DataError
        Naming the column and the first row that has one.
    """
    for name in sorted({indicator.variable for column in columns.columns for indicator in column.indicators}):
        take_ids(data, name, field)
    with np.errstate(all="ignore"):
        matrix = columns.values(data)
    if np.isfinite(matrix).all():
        return
    for name, column in zip(columns.names, matrix.T, strict=True):
        check_finite(column, f"{field}[{name}]")
