"""The population that consumers are drawn from: unobserved tastes, and demographics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from blpsim.arrays import Integers
from blpsim.errors import ConfigurationError
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.panel import Agents
from blpsim.simulate.distributions import AnyDistribution, check_distributions, draw
from blpsim.streams import Streams

Demographics = Mapping[str, AnyDistribution] | pd.DataFrame
_STRATA = "market_ids"


class Shape(NamedTuple):
    """How many agents are needed."""

    markets: int
    """T."""
    coefficients: int
    """K2, the number of X2 columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Whom a market's consumers are drawn from."""

    demographics: Demographics | None = field(default=None, repr=False)
    """A distribution by name, or a data frame whose rows are resampled with replacement.

    With a column ``market_ids`` in the frame, each market is given one of these at random, and its rows.
    """

    def __post_init__(self) -> None:
        """Refuse demographics that cannot be drawn."""
        if isinstance(self.demographics, pd.DataFrame):
            if self.demographics.empty:
                why = "rows are resampled"
                raise ConfigurationError("Scenario.demographics", "an empty frame", "one or more rows", why)
            return
        if self.demographics is not None:
            check_distributions("Scenario.demographics", self.demographics)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the demographics."""
        if isinstance(self.demographics, pd.DataFrame):
            return tuple(str(name) for name in self.demographics.columns if name != _STRATA)
        return tuple(self.demographics or ())

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
        columns = model.bind_demographics(drawn)
        return Agents(
            market_offsets=rule.offsets,
            nodes=rule.nodes,
            demographics=np.ascontiguousarray(columns.values(drawn).T),
            weights=rule.weights,
            demographic_names=columns.names,
        )

    def draw_demographics(self, counts: Integers, streams: Streams, role: str) -> dict[str, NDArray[Any]]:
        """Return each demographic, (sum of counts,), ``counts[t]`` of them for market t."""
        if isinstance(self.demographics, pd.DataFrame):
            rows = _resampled(self.demographics, counts, streams.generator(role))
            return {name: self.demographics[name].to_numpy()[rows] for name in self.names}
        given = self.demographics or {}
        return {name: draw(d, streams.generator(f"{role}/{name}"), counts) for name, d in given.items()}


def _representative(markets: int) -> Agents:
    empty = np.empty((0, markets))
    return Agents(
        market_offsets=np.arange(markets + 1), nodes=empty, demographics=empty, weights=np.ones(markets)
    )


def _resampled(frame: pd.DataFrame, counts: Integers, generator: np.random.Generator) -> Integers:
    if _STRATA not in frame:
        return generator.integers(len(frame), size=int(counts.sum()))
    strata = list(frame.groupby(_STRATA, sort=True).indices.values())
    given = generator.integers(len(strata), size=counts.size)
    parts = [
        strata[which][generator.integers(strata[which].size, size=int(count))]
        for which, count in zip(given, counts, strict=True)
    ]
    return np.concatenate(parts)
