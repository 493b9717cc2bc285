"""The population that consumers are drawn from: unobserved tastes, and demographics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix
from blpsim.checks import check
from blpsim.errors import ConfigurationError
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products
from blpsim.model.specific import characteristics
from blpsim.simulate.distributions import AnyDistribution, Distribution, draw
from blpsim.simulate.generate import priced
from blpsim.simulate.pairs import Meeting, PairDistribution, PerAgentAndProduct, check_pairs, draw_pairs
from blpsim.streams import Streams

Demographics = Mapping[str, AnyDistribution | PairDistribution] | pd.DataFrame
Availability = Distribution | PairDistribution
CONSUMERS = "consumers"
"""The role of the streams that those are drawn with whose choices make the shares."""
_STRATA, _AVAILABILITY = "market_ids", ""


class Shape(NamedTuple):
    """How many agents are needed."""

    markets: int
    """T."""
    coefficients: int
    """K2, the number of X2 columns."""
    products: Products
    """Those that agents choose among."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Whom a market's consumers are drawn from."""

    demographics: Demographics | None = field(default=None, repr=False)
    """A distribution by name, of which some may draw for each agent and product; or a data frame whose rows
    are resampled with replacement.

    With a column ``market_ids`` in the frame, each market is given one of these at random, and its rows.
    """
    placed: Streams | None = None
    """What the markets' consumers were drawn with, so that others who live there have in common with them
    what a market's people share; None for consumers themselves."""

    availability: Availability | None = field(default=None, repr=False)
    """What multiplies each agent's odds of each product; None: everybody chooses among all."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if self.availability is not None:
            check_pairs("Scenario.availability", self.availability)
        if isinstance(self.demographics, pd.DataFrame):
            if self.demographics.empty:
                why = "rows are resampled"
                raise ConfigurationError("Scenario.demographics", "an empty frame", "one or more rows", why)
            return
        if self.demographics is not None:
            check("Scenario.demographics", self.demographics, Mapping[str, object])
            for name, distribution in self.demographics.items():
                check_pairs(f"Scenario.demographics[{name!r}]", distribution)

    @property
    def differs_by_product(self) -> bool:
        """Whether something about an agent differs by product."""
        return self.availability is not None or self.has_pairs

    @property
    def has_pairs(self) -> bool:
        """Whether some demographic differs by product."""
        given = {} if isinstance(self.demographics, pd.DataFrame) else self.demographics or {}
        return any(isinstance(d, PairDistribution) for d in given.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the demographics."""
        if isinstance(self.demographics, pd.DataFrame):
            return tuple(str(name) for name in self.demographics.columns if name != _STRATA)
        return tuple(self.demographics or ())

    def draw_agents(
        self, model: Model, integration: Integration | None, products: Products, streams: Streams, role: str
    ) -> Agents:
        """Return agents for the markets that the products are in.

        integration  None for a model without X2, whose agents are alike
        role         begins the names of the streams that are used
        """
        shape = Shape(products.markets, len(model.bind(priced(products)).x2.names), products)
        return self.draw(model, integration, shape, streams, role)

    def draw(
        self, model: Model, integration: Integration | None, shape: Shape, streams: Streams, role: str
    ) -> Agents:
        """Return agents with a row of nodes for each X2 column of the model.

        integration  None for a model without X2, whose agents are alike
        shape        how many markets and X2 columns there are
        role         begins the names of the streams that are used; each demographic has one of its own

        Raises
        ------
        FormulaError
            When the model names demographics that the population does not have.
        """
        if integration is None or not shape.coefficients:
            return _representative(shape.markets)
        generator = streams.generator(role) if integration.is_random else None
        rule = integration.build(shape.coefficients, shape.markets, generator)
        drawn = self.draw_demographics(np.diff(rule.offsets), streams, f"{role}/demographics")
        drawn = drawn or {"": np.ones(rule.weights.size)}
        pairs = self._draw_pairs(drawn, Meeting(rule.offsets, shape.products), streams, role)
        availability = pairs.pop(_AVAILABILITY, None)
        found = characteristics(model, drawn, pairs, availability)
        return Agents(
            market_offsets=rule.offsets,
            nodes=rule.nodes,
            demographics=found.common,
            weights=rule.weights,
            demographic_names=found.names,
            specific=found.specific,
        )

    def _draw_pairs(
        self, drawn: Mapping[str, NDArray[Any]], meeting: Meeting, streams: Streams, role: str
    ) -> dict[str, Matrix]:
        """Return what differs by agent and product, (J*, I) each; availability by a name of its own."""
        pairs: dict[str, Matrix] = {}
        given = {} if isinstance(self.demographics, pd.DataFrame) else self.demographics or {}
        for name, distribution in given.items():
            if isinstance(distribution, PairDistribution):
                generator = streams.generator(f"{role}/demographics/{name}")
                known, where = {**drawn, **pairs}, f"Scenario.demographics[{name!r}]"
                pairs[name] = draw_pairs(where, distribution, generator, meeting, known)
        if self.availability is None:
            return pairs
        how, where = self.availability, "Scenario.availability"
        how = how if isinstance(how, PairDistribution) else PerAgentAndProduct(how)
        known, generator = {**drawn, **pairs}, streams.generator(f"{role}/availability")
        available = draw_pairs(where, how, generator, meeting, known)
        if (available < 0).any():
            got, why = float(available.min()), "it multiplies odds"
            raise ConfigurationError(where, got, "zero, one or another number above zero", why)
        return pairs | {_AVAILABILITY: available}

    def draw_demographics(self, counts: Integers, streams: Streams, role: str) -> dict[str, NDArray[Any]]:
        """Return each demographic that all products have in common, (sum of counts,), by name.

        counts  (T,) how many there are for each market
        """
        if isinstance(self.demographics, pd.DataFrame):
            rows = _resampled(self.demographics, counts, streams.generator(role), self._placing(""))
            return {name: self.demographics[name].to_numpy()[rows] for name in self.names}
        given = (self.demographics or {}).items()
        common = {name: d for name, d in given if not isinstance(d, PairDistribution)}
        return {
            name: draw(d, streams.generator(f"{role}/{name}"), counts, self._placing(f"/{name}"))
            for name, d in common.items()
        }

    def _placing(self, name: str) -> np.random.Generator | None:
        """Return the generator that consumers' demographics began with."""
        return None if self.placed is None else self.placed.generator(f"{CONSUMERS}/demographics{name}")


def _representative(markets: int) -> Agents:
    empty = np.empty((0, markets))
    return Agents(
        market_offsets=np.arange(markets + 1), nodes=empty, demographics=empty, weights=np.ones(markets)
    )


def _resampled(
    frame: pd.DataFrame,
    counts: Integers,
    generator: np.random.Generator,
    placing: np.random.Generator | None,
) -> Integers:
    if _STRATA not in frame:
        return generator.integers(len(frame), size=int(counts.sum()))
    strata = list(frame.groupby(_STRATA, sort=True).indices.values())
    given = generator.integers(len(strata), size=counts.size)
    if placing is not None:
        given = placing.integers(len(strata), size=counts.size)
    parts = [
        strata[which][generator.integers(strata[which].size, size=int(count))]
        for which, count in zip(given, counts, strict=True)
    ]
    return np.concatenate(parts)
