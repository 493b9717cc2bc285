"""Agents from users' tables and integration rules, for the markets that products are in."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.errors import BlpsimWarning, DataError
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products, numbered
from blpsim.model.specific import (
    Characteristics,
    characteristics,
    check_available,
    read_availability,
    read_pairs,
)
from blpsim.model.tables import Table, market_offsets, read_table, take_ids, take_numbers

_AGENTS = "agents"
_WEIGHTS_TOLERANCE = 1e-10


def read_agents(
    data: Table | Agents | None,
    integration: Integration | None,
    products: Products,
    model: Model,
    generator: np.random.Generator | None = None,
) -> Agents:
    """Return the agents of all markets, from a table, from an integration rule, or from both.

    With both, as in PyBLP, the integration makes nodes and weights, and the table's first rows of each
    market give demographics. Without X2 there is one agent a market. What differs by agent and product has
    a column for each product of a market, in the order of its rows: ``distance0, distance1, ..`` for a
    ``distance`` of the demographics, and ``availability0, ..``, which multiply odds.

    Raises
    ------
    DataError
        When markets differ from the products', columns are missing or not finite, rows too few, or there is
        a product that nobody can choose.

    Warns
    -----
    BlpsimWarning
        When the weights of a market do not sum to one, and when there are weights below zero.
    """
    if isinstance(data, Agents):
        return data
    if model.nonlinear_formula is None:
        return _representative(data, products)
    names = products.columns["market_ids"][products.market_offsets[:-1]]
    if data is None:
        return _integrated(integration, products, model, generator)
    columns = read_table(data, _AGENTS)
    offsets, rows = _by_market(columns, names)
    dimensions = _dimensions(products, model)
    read = _characteristics(model, columns, products, (offsets, rows))
    if integration is None:
        nodes, weights = _nodes(columns, dimensions)
        nodes, weights = nodes[:, rows], weights[rows]
    else:
        nodes, weights, built = integration.build(dimensions, products.markets, generator)
        if read.names or read.specific is not None:
            rows = _first_rows(rows, offsets, built, names)
        offsets = built
    read = read.taken(rows)
    agents = Agents(
        market_offsets=offsets,
        nodes=np.ascontiguousarray(nodes),
        demographics=read.common,
        weights=weights,
        demographic_names=read.names,
        market_ids=names,
        specific=read.specific,
    )
    warn_of_weights(agents)
    check_available(agents, products)
    return agents


def _characteristics(
    model: Model, columns: dict[str, NDArray[Any]], products: Products, market: tuple[Integers, Integers]
) -> Characteristics:
    """Return what a table says of agents, (I,) rows of it in its order, with offsets and rows by market."""
    offsets, rows = market
    sizes = np.empty(rows.size, np.int64)
    sizes[rows] = np.repeat(np.diff(products.market_offsets), np.diff(offsets))
    pairs, availability = read_pairs(model, columns, sizes), read_availability(columns, sizes)
    return characteristics(model, columns, pairs, availability, check=True)


def read_candidates(
    data: Table | Agents | None,
    integration: Integration | None,
    products: Products,
    model: Model,
    generator: np.random.Generator,
) -> Agents:
    """Return agents of all markets who count alike, whatever weights they have; raises what others raise."""
    if isinstance(data, Agents):
        counts = np.diff(data.market_offsets)
        return replace(data, weights=np.repeat(1 / counts, counts))
    if data is None:
        return read_agents(None, integration, products, model, generator)
    columns = read_table(data, _AGENTS)
    ids = take_ids(columns, "market_ids", _AGENTS)
    _, codes, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return read_agents({**columns, "weights": 1 / counts[codes]}, integration, products, model, generator)


def _nodes(columns: dict[str, NDArray[Any]], dimensions: int) -> tuple[Matrix, Vector]:
    if "nodes" in columns:
        columns["nodes0"] = columns.pop("nodes")
    take_numbers(columns, "nodes0", _AGENTS)
    present = numbered(columns, "nodes")[:dimensions]
    nodes = np.array([take_numbers(columns, name, _AGENTS) for name in present])
    return nodes, take_numbers(columns, "weights", _AGENTS)


def _representative(data: object, products: Products) -> Agents:
    if data is not None:
        why = "without Model.nonlinear all agents are alike"
        raise DataError(_AGENTS, type(data).__name__, "None", why)
    ones = np.ones(products.markets)
    empty = np.empty((0, ones.size))
    return Agents(market_offsets=np.arange(ones.size + 1), nodes=empty, demographics=empty, weights=ones)


def _dimensions(products: Products, model: Model) -> int:
    return len(model.bind(products.columns, ()).x2.names)


def _integrated(
    integration: Integration | None,
    products: Products,
    model: Model,
    generator: np.random.Generator | None,
) -> Agents:
    if integration is None:
        why = "random coefficients are integrated over agents"
        raise DataError(_AGENTS, None, "agents, an integration, or both", why)
    if model.demographics is not None:
        why = f"demographics '{model.demographics}' come from agents' data"
        raise DataError(_AGENTS, None, "a table with demographics", why)
    rule = integration.build(_dimensions(products, model), products.markets, generator)
    names = products.columns["market_ids"][products.market_offsets[:-1]]
    agents = Agents(
        market_offsets=rule.offsets,
        nodes=rule.nodes,
        demographics=np.empty((0, rule.weights.size)),
        weights=rule.weights,
        market_ids=names,
    )
    warn_of_weights(agents)
    return agents


def _by_market(columns: dict[str, NDArray[Any]], names: NDArray[Any]) -> tuple[Integers, Integers]:
    ids = take_ids(columns, "market_ids", _AGENTS)
    positions = {name: market for market, name in enumerate(names.tolist())}
    codes = np.array([positions.get(name, -1) for name in ids.tolist()], np.int64)
    if (codes < 0).any():
        market = ids[np.argmax(codes < 0)]
        why = "a market is empty without products"
        raise DataError("agents['market_ids']", market, "markets that have products", why)
    offsets = market_offsets(codes, names.size)
    if (np.diff(offsets) == 0).any():
        market = names[np.argmax(np.diff(offsets) == 0)]
        why = f"market {market} has products but no agents"
        raise DataError("agents['market_ids']", f"no {market}", "agents in every market", why)
    return offsets, np.argsort(codes, kind="stable")


def _first_rows(rows: Integers, offsets: Integers, built: Integers, names: NDArray[Any]) -> Integers:
    wanted, found = np.diff(built), np.diff(offsets)
    if (wanted > found).any():
        market = int(np.argmax(wanted > found))
        expected = f"at least {wanted[market]} rows, one a node"
        got = f"{found[market]} rows in market {names[market]}"
        raise DataError(_AGENTS, got, expected, "each node takes the demographics of one row")
    first: Integers = rows[np.repeat(offsets[:-1] - built[:-1], wanted) + np.arange(built[-1])]
    return first


def warn_of_weights(agents: Agents) -> None:
    """Warn when the weights of a market do not sum to one, and when there are weights below zero."""
    totals: Vector = np.add.reduceat(agents.weights, agents.market_offsets[:-1])
    bad = np.flatnonzero(np.abs(totals - 1) > _WEIGHTS_TOLERANCE)
    if bad.size:
        got = f"a sum of {totals[bad[0]]} in {_named_markets(agents, bad)}"
        _warn(f"{got}: expected 1; this is right only for importance sampling")
    negative = agents.weights < 0
    if negative.any():
        markets = np.flatnonzero(np.add.reduceat(negative, agents.market_offsets[:-1]))
        got = f"{int(negative.sum())} of {agents.number} below zero, in {_named_markets(agents, markets)}"
        why = "far from the data shares can be negative, where the inversion fails"
        _warn(f"{got}: expected 0 or more, unless a sparse grid or nested rule is meant; {why}")


def _named_markets(agents: Agents, markets: Integers) -> str:
    first = markets[0] if agents.market_ids is None else agents.market_ids[markets[0]]
    others = f" and {markets.size - 1} others" if markets.size > 1 else ""
    return f"market {first}{others}"


def _warn(text: str) -> None:
    warnings.warn(f"agents['weights'] = {text}", BlpsimWarning, stacklevel=4)
