"""Arrays that users' functions return for surveys, by agent and choices, read at some of their elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.checks import numbers
from blpsim.errors import DataError
from blpsim.model.panel import Agents, Products
from blpsim.model.survey_terms import agent_columns
from blpsim.model.surveys import ArrayFunction

_AT_ONCE = 2_000_000
"""Numbers in the largest array that is asked for, unless a single agent's is larger."""
_FIRST, _BOTH = 2, 3


class Asked(NamedTuple):
    """A market whose agents are asked."""

    name: Any
    """The market's name."""
    products: Mapping[str, NDArray[Any]]
    """(J,) columns."""
    agents: Mapping[str, NDArray[Any]]
    """(I,) columns."""

    @property
    def number(self) -> int:
        """J."""
        return len(self.products["market_ids"])


def asked(products: Products, market: int, people: Agents) -> Asked:
    """Return one market of products, and people who live there."""
    rows = slice(*products.market_offsets[market : market + 2])
    columns = {name: column[rows] for name, column in products.columns.items()}
    return Asked(columns["market_ids"][0], columns, agent_columns(people))


def first_array(function: ArrayFunction, of: Asked, field: str) -> Matrix:
    """Return a function of first choices, (1 + J, I), zero at the outside good where it has none.

    Raises
    ------
    DataError
        For another shape, and numbers that are not finite.
    """
    return np.asarray(_called(function, of, field, _FIRST).T, np.float64)


def chosen_values(
    function: ArrayFunction, of: Asked, chosen: tuple[Integers, Integers | None], field: str
) -> Vector:
    """Return a function's values at choices, (I,) first ones and second ones; raises alike."""
    first, second = chosen
    size = (1 + of.number) ** (1 if second is None else 2)
    step, values = 1 + _AT_ONCE // size, np.empty(first.size)
    for k in range(0, first.size, step):
        some = slice(k, k + step)
        part = of._replace(agents={name: column[some] for name, column in of.agents.items()})
        array = _called(function, part, field, _FIRST if second is None else _BOTH)
        rows = np.arange(len(array))
        values[some] = array[rows, first[some]] if second is None else array[rows, first[some], second[some]]
    return values


def _called(function: ArrayFunction, of: Asked, field: str, dimensions: int) -> NDArray[np.float64]:
    """Return the array that a function returns, with the outside good."""
    array = numbers(field, function(of.name, of.products, of.agents), DataError)
    people, number = len(of.agents["weights"]), of.number
    known = (number, number + 1)
    fits = array.ndim == dimensions and array.shape[0] == people and set(array.shape[1:]) <= set(known)
    if not fits:
        expected = f"({people}, {number}) or ({people}, {1 + number})"
        expected += ", and as much for second choices" if dimensions == _BOTH else ""
        raise DataError(field, f"shape {array.shape}", f"shape {expected}", "each agent may make each choice")
    if not np.isfinite(array).all():
        raise DataError(field, "NaN or infinity", "finite numbers", "averages are taken of them")
    missing = [(0, 0)] + [(1 + number - size, 0) for size in array.shape[1:]]
    return np.pad(array, missing)
