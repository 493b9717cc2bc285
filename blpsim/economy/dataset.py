"""A dataset: the economy that was drawn, how well its prices are an equilibrium, and its population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from blpsim.arrays import Booleans, Vector
from blpsim.economy.economy import Economy
from blpsim.economy.respondents import Respondents, observed
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products
from blpsim.model.specific import without_products
from blpsim.model.surveys import MicroMoment
from blpsim.status import Status
from blpsim.streams import Streams


class AgentSource(Protocol):
    """What draws agents from the population that a dataset's consumers were drawn from."""

    def draw_agents(
        self, model: Model, integration: Integration | None, products: Products, streams: Streams, role: str
    ) -> Agents:
        """Return fresh agents for the markets that the products are in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """One draw from a scenario."""

    economy: Economy
    """The truth: parameters, consumers, unobserved characteristics and costs."""
    status: Status
    """CONVERGED; EQUILIBRIUM_FAILED, then prices and shares mean nothing; SHARES_BELOW_FLOOR; or
    NO_RESPONDENTS."""
    residuals: Vector = field(repr=False)
    """(T,) largest derivative of profit with respect to a price in each market."""
    source: AgentSource = field(repr=False)
    """Draws agents of an estimator, which are not the generator's consumers."""
    observed: Products | None = field(default=None, repr=False)
    """The products with their shares as measured, some of them perhaps left out; None: as they truly are."""
    kept: Booleans | None = field(default=None, repr=False)
    """(N,) which of the economy's products are left in the data; None: all."""
    attempts: int = 1
    """How often a dataset was drawn; those before this one had shares that were too small."""
    surveys: Mapping[str, Respondents] = field(default_factory=dict, repr=False)
    """The respondents of each survey by its name."""

    @property
    def measured(self) -> Products:
        """The products as an econometrician sees them, in internal order."""
        return self.economy.products if self.observed is None else self.observed

    @property
    def products(self) -> pd.DataFrame:
        """The products, a row each, as an econometrician sees them."""
        return self.measured.frame()

    @property
    def dropped(self) -> int:
        """How many products are left out of the data because their share, as measured, is too small."""
        return self.economy.products.number - self.measured.number

    def micro_values(self, moments: Sequence[MicroMoment]) -> Vector:
        """Return the values of micro moments, (M,), as surveys have them, but those that are given.

        Raises
        ------
        ConfigurationError
            When there is no survey of a name, or it did not ask for second choices.
        FormulaError, DataError
            When terms have no finite values on the data.
        """
        return observed(moments, self.surveys).values

    @property
    def agents(self) -> pd.DataFrame:
        """The consumers who made the shares, I rows; estimators ask for them by name or draw their own."""
        return self._for_products(self.economy.agents).frame()

    @property
    def equilibrium_residual(self) -> float:
        """The largest derivative of profit with respect to a price; infinite when prices are not finite."""
        return float(self.residuals.max())

    @property
    def outside_share(self) -> float:
        """The mean over markets of the outside good's share; NaN without an equilibrium."""
        if self.status is not Status.CONVERGED:
            return float("nan")
        offsets = self.economy.offsets
        inside = np.add.reduceat(self.economy.products.shares, offsets.products[:-1])
        weights = np.add.reduceat(self.economy.agents.weights, offsets.agents[:-1])
        return float(np.mean(weights - inside))

    @property
    def negative_costs(self) -> int:
        """How many products have a marginal cost below zero; they are kept as drawn."""
        costs = self.economy.costs
        return 0 if costs is None else int((costs < 0).sum())

    def draw_agents(
        self, model: Model, integration: Integration | None, streams: Streams, role: str
    ) -> Agents:
        """Return agents that an estimator integrates over, drawn from the scenario's population.

        model        the estimator's, which says how many nodes and which demographics an agent has
        integration  the estimator's; None for a model without X2
        role         begins the names of the streams that are used
        """
        return self.left(self.source.draw_agents(model, integration, self.economy.products, streams, role))

    def left(self, agents: Agents) -> Agents:
        """Return the agents for the markets and products that are left in the data."""
        agents = self._for_products(agents)
        if self.measured.markets == self.economy.products.markets:
            return agents
        left = self.measured.columns["market_ids"][self.measured.market_offsets[:-1]]
        return agents.kept(np.isin(self.economy.market_ids, left))

    def _for_products(self, agents: Agents) -> Agents:
        """Return the agents with what differs by product for the products that are left in the data."""
        if self.kept is None:
            return agents
        return without_products(agents, self.kept, self.economy.products.market_offsets)
