"""Markets taken whole from data, with their products and agents, and the people who live in them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers
from blpsim.errors import ConfigurationError
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products
from blpsim.model.specific import Characteristics, characteristics
from blpsim.streams import Streams


class Taken(NamedTuple):
    """Places of what some groups hold, in the groups' order."""

    places: Integers
    """(N,)."""
    offsets: Integers
    """(G+1,) group g holds ``places[offsets[g]:offsets[g+1]]``."""


def taken(offsets: Integers, groups: Integers) -> Taken:
    """Return the places that groups hold, (G,) of those with these offsets; a group may come often."""
    counts = np.diff(offsets)[groups]
    ends = np.append(0, np.cumsum(counts))
    return Taken(np.arange(ends[-1]) + np.repeat(offsets[groups] - ends[:-1], counts), ends)


def taken_products(products: Products, markets: Integers) -> Products:
    """Return the products of some markets, (T,) places of these, each under a new name: 0, 1, .. T-1."""
    rows = taken(products.market_offsets, markets)
    firms = taken(products.market_firms, markets)
    sizes = np.diff(products.firm_offsets)[firms.places]
    columns = {name: column[rows.places] for name, column in products.columns.items()}
    columns["market_ids"] = np.repeat(np.arange(markets.size), np.diff(rows.offsets))
    return Products(
        columns=columns,
        market_offsets=rows.offsets,
        firm_offsets=np.append(0, np.cumsum(sizes)),
        market_firms=firms.offsets,
    )


def taken_agents(agents: Agents, markets: Integers) -> Agents:
    """Return the agents of some markets, (T,) places of these, whose names are 0, 1, .. T-1."""
    rows = taken(agents.market_offsets, markets)
    return replace(
        agents,
        market_offsets=rows.offsets,
        nodes=np.ascontiguousarray(agents.nodes[:, rows.places]),
        demographics=np.ascontiguousarray(agents.demographics[:, rows.places]),
        weights=agents.weights[rows.places],
        market_ids=None,
        specific=None if agents.specific is None else agents.specific.taken(rows.places),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """Whom an estimator's agents are drawn from, market by market.

    Tastes are standard normal. Demographics are those of the market's agents, a whole row at a time, drawn
    with replacement and with probabilities in proportion to their weights.
    """

    model: Model
    agents: Agents = field(repr=False)

    def draw_agents(
        self, model: Model, integration: Integration | None, products: Products, streams: Streams, role: str
    ) -> Agents:
        """Return agents for the markets that the products are in.

        model        whose agents they are; its demographics are this model's, or made of them by name
        integration  None for a model without X2, whose agents are alike
        role         begins the names of the streams that are used

        Raises
        ------
        FormulaError
            When the model names demographics that the agents do not have.
        ConfigurationError
            When demographics are to be drawn from agents with weights below zero.
        """
        names, size = products.columns["market_ids"][products.market_offsets[:-1]], products.markets
        if integration is None or model.nonlinear_formula is None:
            empty, ones = np.empty((0, size)), np.ones(size)
            return Agents(market_offsets=np.arange(size + 1), nodes=empty, demographics=empty, weights=ones)
        generator = streams.generator(role) if integration.is_random else None
        rule = integration.build(len(model.bind(products.columns, ()).x2.names), size, generator)
        found = self._characteristics(model, np.diff(rule.offsets), streams, role)
        return Agents(
            market_offsets=rule.offsets,
            nodes=rule.nodes,
            demographics=found.common,
            weights=rule.weights,
            demographic_names=found.names,
            market_ids=names,
            specific=found.specific,
        )

    def labels(self, model: Model) -> tuple[str, ...]:
        """Return the labels of a model's demographics, made of the agents'."""
        everybody = np.arange(self.agents.number)
        return () if model.demographics_formula is None else self._made(model, everybody).names

    def _characteristics(
        self, model: Model, counts: Integers, streams: Streams, role: str
    ) -> Characteristics:
        """Return what so many agents a market are like, whole rows of these agents at a time."""
        if model.demographics_formula is None and not self._has_availability:
            return Characteristics((), np.empty((0, int(counts.sum()))), None)
        rows = drawn_rows(self.agents, counts, streams.generator(f"{role}/demographics"))
        return self._made(model, rows)

    @property
    def _has_availability(self) -> bool:
        return self.agents.specific is not None and self.agents.specific.availability is not None

    def _made(self, model: Model, rows: Integers) -> Characteristics:
        """Return some agents' characteristics, a model's demographics made of this model's."""
        names, specific = self.agents.demographic_names, self.agents.specific
        demographics = np.ascontiguousarray(self.agents.demographics[:, rows])
        specific = None if specific is None else specific.taken(rows)
        if model.demographics == self.model.demographics:
            return Characteristics(names, demographics, specific)
        named: dict[str, NDArray[Any]] = dict(zip(names, demographics, strict=True))
        if specific is None:
            return characteristics(model, named, {})
        pairs = {names[place]: specific.demographics[s] for s, place in enumerate(specific.places)}
        common = {name: values for name, values in named.items() if name not in pairs}
        return characteristics(model, common or {"": np.ones(rows.size)}, pairs, specific.availability)


def drawn_rows(agents: Agents, counts: Integers, generator: np.random.Generator) -> Integers:
    """Return places of agents, (sum of counts,), ``counts[t]`` of market t in proportion to their weights.

    Raises
    ------
    ConfigurationError
        When an agent's weight is below zero.
    """
    if (agents.weights < 0).any():
        why = "demographics are drawn in proportion to weights"
        raise ConfigurationError("Economy.agents.weights", float(agents.weights.min()), "0 or more", why)
    ends = np.append(0.0, np.cumsum(agents.weights))[agents.market_offsets]
    markets = np.repeat(np.arange(counts.size), counts)
    places = ends[markets] + np.diff(ends)[markets] * generator.random(markets.size)
    rows = np.searchsorted(np.cumsum(agents.weights), places, side="right")
    # Rounding may lead into the next market.
    return np.clip(rows, agents.market_offsets[markets], agents.market_offsets[markets + 1] - 1)
