"""What functions return of surveys and parts: whole arrays by agent and choices, as rows of agents.

An array v_ijk is a sum of products: of a term of agents, v_ijk at fixed j and k, and of two indicators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Vector
from blpsim.errors import DataError
from blpsim.model.panel import Agents, Products
from blpsim.model.survey_terms import agent_columns, term_values
from blpsim.model.surveys import ArrayFunction, Everyone, Inside, MicroDataset, MicroPart, Product

Array = NDArray[np.float64]


class Market(NamedTuple):
    """A market's name, its columns of products and agents, and how many there are of each."""

    name: Any
    products: dict[str, NDArray[Any]]
    agents: dict[str, NDArray[Any]]
    sizes: tuple[int, int]
    """J and I."""
    rows: slice
    """Its agents."""


class ArrayRow(NamedTuple):
    """An array at fixed choices, of all agents."""

    values: Vector
    """(I,) zero where the market has no such choices."""
    first: int
    """The first choice's place in its market, 0 for the outside option; so is the second."""
    second: int


def is_whole(dataset: MicroDataset, parts: Sequence[MicroPart]) -> bool:
    """Return whether a survey's weights or one of the parts are whole arrays."""
    has_function = not isinstance(dataset.weights, Inside | Everyone)
    return has_function or any(not part.products for part in parts)


def array_rows(
    dataset: MicroDataset, parts: Sequence[MicroPart], data: tuple[Products, Agents], asked: Integers
) -> Iterator[ArrayRow]:
    """Return survey weights times parts times integration weights, at choices where some are not zero.

    asked  the places of the markets with the survey

    Raises
    ------
    DataError
        When a function returns an array of another shape, one that is not finite, or negative weights.
    """
    markets = [_market(int(t), data) for t in asked]
    arrays = [_array(dataset, parts, market) for market in markets]
    size = 1 + max(market.sizes[0] for market in markets)
    for first in range(size):
        for second in range(size if dataset.second_choices else 1):
            values = np.zeros(data[1].number)
            for market, array in zip(markets, arrays, strict=True):
                if max(first, second) < array.shape[1]:
                    values[market.rows] = array[:, first, second]
            if values.any() and not (dataset.second_choices and first == second):
                yield ArrayRow(values * data[1].weights, first, second)


def _market(t: int, data: tuple[Products, Agents]) -> Market:
    products, agents = data
    first, last = (int(row) for row in products.market_offsets[t : t + 2])
    agent, last_agent = (int(row) for row in agents.market_offsets[t : t + 2])
    columns, people = products.columns, agent_columns(agents)
    return Market(
        columns["market_ids"][first],
        {name: column[first:last] for name, column in columns.items()},
        {name: column[agent:last_agent] for name, column in people.items()},
        (last - first, last_agent - agent),
        slice(agent, last_agent),
    )


def _array(dataset: MicroDataset, parts: Sequence[MicroPart], market: Market) -> Array:
    """Return weights times parts, (I, 1 + J, 1 + J), or (I, 1 + J, 1) of first choices."""
    array = _weights(dataset, market)
    for part in parts:
        field = f"MicroPart({part.name!r}).values"
        if part.products:
            array = array * sum(_product(each, dataset, market) for each in part.products)
        elif callable(part.values):
            array = array * _returned(part.values, field, dataset, market)
    return array


def _weights(dataset: MicroDataset, market: Market) -> Array:
    seconds, weights = dataset.second_choices, dataset.weights
    if not isinstance(weights, Inside | Everyone):
        field = f"MicroDataset({dataset.name!r}).weights"
        found = _returned(weights, field, dataset, market)
        if (found < 0).any():
            why = "they are proportional to probabilities of being asked"
            raise DataError(field, float(found.min()), "no weight below zero", why)
        return found
    products, agents = market.sizes
    array = np.ones((agents, 1 + products, 1 + products if seconds else 1))
    if isinstance(weights, Inside):
        array[:, 0] = 0.0
        if seconds and not weights.second_outside:
            array[:, :, 0] = 0.0
    return array


def _product(product: Product, dataset: MicroDataset, market: Market) -> Array:
    (products, agents), (first, second) = market.sizes, product.outside
    y = term_values(product.agent, market.agents, agents, "MicroPart.agent")
    x = np.append(first, term_values(product.first, market.products, products, "MicroPart.first"))
    if not dataset.second_choices:
        return np.asarray(np.einsum("i,j->ij", y, x)[:, :, None])
    z = np.append(second, term_values(product.second, market.products, products, "MicroPart.second"))
    return np.asarray(np.einsum("i,j,k->ijk", y, x, z))


def _returned(function: ArrayFunction, field: str, dataset: MicroDataset, market: Market) -> Array:
    """Return what a function returns, with zeros for the outside option where that is left out."""
    products, agents = market.sizes
    found = np.asarray(function(market.name, market.products, market.agents), np.float64)
    choices = found.shape[1:]
    dimensions = 2 if dataset.second_choices else 1
    if (
        found.shape[:1] != (agents,)
        or len(choices) != dimensions
        or not {*choices} <= {products, products + 1}
    ):
        shape = ", ".join([str(agents), *[f"{products} or {products + 1}"] * dimensions])
        why = f"in market {market.name} it has a value an agent and choice"
        raise DataError(field, f"shape {found.shape}", f"shape ({shape})", why)
    if not np.isfinite(found).all():
        got = float(found[~np.isfinite(found)][0])
        raise DataError(field, got, "finite numbers", f"in market {market.name} respondents are summed")
    padded = np.pad(found, [(0, 0), *((1 + products - size, 0) for size in choices)])
    return padded if dataset.second_choices else padded[:, :, None]
