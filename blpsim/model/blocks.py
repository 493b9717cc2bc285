"""Blocks of parameters: arrays or values by name in, every element of a model's columns out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.errors import ParameterError
from blpsim.model.model import ModelNames

Block: TypeAlias = ArrayLike | Mapping[str, float] | None
Position: TypeAlias = tuple[int, ...]


_NOTHING = np.empty(0)


class Blocks(NamedTuple):
    """The parameters of a model's columns, every element with its value."""

    beta: Vector
    """(K1,) NaN where concentrated out."""
    sigma: Matrix
    """(K2, K2) lower-triangular."""
    pi: Matrix
    """(K2, D)."""
    rho: Vector
    """(H,) one a nest, (1,) one for all, or (0,) without nests."""
    gamma: Vector
    """(K3,) NaN where concentrated out."""
    phi: Vector = _NOTHING
    """(1,) or (2,) autocorrelations of xi and omega, or (0,)."""


CONCENTRATED = {"beta": True, "sigma": False, "pi": False, "rho": False, "gamma": True, "phi": False}
"""Whether elements without a value can be concentrated out."""
RHO = "rho"
_OWNERS = {
    "beta": "Model.linear",
    "sigma": "Model.nonlinear",
    "pi": "Model.demographics",
    "rho": "Model.nests",
    "gamma": "Model.supply",
    "phi": "Model.supply",
}
PHI: Mapping[str, Position] = {"phi[xi]": (0,), "phi[omega]": (1,)}
"""Names of autocorrelations."""


@lru_cache(maxsize=256)
def block_names(
    names: ModelNames, *, common_rho: bool = False, errors: int = 0
) -> Mapping[str, Mapping[str, Position]]:
    """Return each block's element names, as ``pi[x,income]``, with their positions in PyBLP's order.

    common_rho  whether all nests have one rho, which is named so
    errors      how many errors are autocorrelated: none, xi, or xi and omega
    """
    x1, x2, x3, demographics, nests = names
    apart: dict[str, Position] = {f"rho[{nest}]": (k,) for k, nest in enumerate(nests)}
    lower = ((row, column) for row in range(len(x2)) for column in range(row + 1))
    return {
        "beta": {f"beta[{label}]": (k,) for k, label in enumerate(x1)},
        "sigma": {f"sigma[{x2[row]},{x2[column]}]": (row, column) for row, column in lower},
        "pi": {f"pi[{x},{d}]": (k, m) for k, x in enumerate(x2) for m, d in enumerate(demographics)},
        "rho": {"rho": (0,)} if common_rho and nests else apart,
        "gamma": {f"gamma[{label}]": (k,) for k, label in enumerate(x3)},
        "phi": {name: place for name, place in PHI.items() if place[0] < errors},
    }


def full_name(key: str, block: str) -> str:
    """Return an element's name, as ``beta[x]``, from a name with or without its block."""
    key = key.replace(", ", ",")
    if key == block == RHO:
        return key
    inner = key.removeprefix(f"{block}[").removesuffix("]") if key.startswith(f"{block}[") else key
    return f"{block}[{inner}]"


def names_given(value: Block, block: str) -> set[str]:
    """Return the names of the elements that a mapping lists, none for an array."""
    if not isinstance(value, Mapping):
        return set()
    full = {full_name(key, block) for key in value}
    return full | {_on_diagonal(name) for name in full if block == "sigma"}


def _on_diagonal(name: str) -> str:
    inner = name.removeprefix("sigma[").removesuffix("]")
    return f"sigma[{inner},{inner}]"


def fill_block(
    value: Block, block: str, positions: Mapping[str, Position], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return every element of a block, from an array or from values by name.

    Raises
    ------
    ParameterError
        For names that do not exist, a wrong shape, values that are not finite, and a block that the model
        needs or does not have.
    """
    field = f"Parameters.{block}"
    missing = np.nan if CONCENTRATED[block] else 0.0
    if not all(shape):
        if value is not None and (len(value) if isinstance(value, Mapping) else np.size(value)):
            raise ParameterError(field, value, "None", f"{_OWNERS[block]} has no columns for it")
        return np.empty(shape)
    if value is None and not CONCENTRATED[block]:
        expected = f"an array {shape} or values by name"
        raise ParameterError(field, None, expected, f"only beta and gamma are concentrated out, not {block}")
    array = np.full(shape, missing)
    if isinstance(value, Mapping):
        _fill_named(array, value, block, positions)
    elif value is not None:
        array[...] = _shaped(np.asarray(value), shape, field)
    _check_values(array, field, missing)
    return array


def _fill_named(
    array: NDArray[np.float64], value: Mapping[str, float], block: str, positions: Mapping[str, Position]
) -> None:
    for key, number in value.items():
        name = full_name(key, block)
        if block == "sigma" and name not in positions:
            name = _on_diagonal(name)
        if name not in positions:
            why = "only the lower triangle of sigma counts" if block == "sigma" else "nothing has this name"
            raise ParameterError(f"Parameters.{block}", key, f"one of {', '.join(positions)}", why)
        array[positions[name]] = number


def _shaped(value: NDArray[np.float64], shape: tuple[int, ...], field: str) -> NDArray[np.float64]:
    fits = value.shape == shape or (len(shape) == 1 and value.shape == (*shape, 1))
    if not fits and not (shape[-1] == 1 and value.shape in (shape[:-1], ())):
        why = "a row or element belongs to a column of the model"
        raise ParameterError(field, f"shape {value.shape}", f"shape {shape}", why)
    return value.reshape(shape)


def _check_values(array: NDArray[np.float64], field: str, missing: float) -> None:
    bad: Booleans = np.isinf(array) if np.isnan(missing) else ~np.isfinite(array)
    if bad.any():
        expected = "finite numbers, or NaN to concentrate out" if np.isnan(missing) else "finite numbers"
        raise ParameterError(field, float(array[bad][0]), expected, "no utility or cost has such a value")
