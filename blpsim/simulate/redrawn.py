"""A scenario made of an economy and its data: errors, markets, or both are drawn anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

from blpsim.arrays import Integers, Vector
from blpsim.checks import check, check_count, check_fields
from blpsim.economy.dataset import Dataset
from blpsim.economy.economy import Economy
from blpsim.economy.equilibrium import PriceIteration
from blpsim.errors import ConfigurationError
from blpsim.fingerprint import LATER, fingerprint
from blpsim.model.conduct import Conduct
from blpsim.model.integration import Integration
from blpsim.model.model import Model, ModelColumns, ModelNames
from blpsim.model.ownership import OwnershipMatrix
from blpsim.model.panel import Agents, Products
from blpsim.model.parameters import Parameters
from blpsim.model.specific import in_internal_order
from blpsim.model.tables import group_codes
from blpsim.simulate.generate import Shocks, true_blocks
from blpsim.simulate.markets import Errors
from blpsim.simulate.resampling import People, drawn_rows, taken, taken_agents, taken_products
from blpsim.simulate.residuals import Draw, Residuals, wild
from blpsim.simulate.surveys import AnySurvey, read_surveys, surveyed
from blpsim.streams import Streams

Redraw = Literal["errors", "markets", "both"]
_CLUSTERS = "clustering_ids"
_DATA = "data:"


class Held(NamedTuple):
    """What every replication starts from, rows sorted by market and firm."""

    names: ModelNames
    products: Products
    agents: Agents
    utilities: Vector
    """(N,) X1 beta and fixed effects at the observed prices: mean utilities less xi."""
    costs: Vector
    """(N,) X3 gamma and fixed effects, of costs or of their logs; without supply, costs themselves."""
    residuals: Residuals
    nested_clusters: bool
    """Whether each cluster is within a market, and so comes with it."""


class Drawn(NamedTuple):
    """The markets of one replication."""

    products: Products
    agents: Agents
    rows: Integers
    """(N,) the products' rows among those held."""
    clusters: Integers
    """(N,) each product's cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrawn:
    """One data-generating process: an economy, as one estimated on real data, whose chances are drawn anew.

    Made by ``Scenario.from_economy``, which says what it does. The stream key is by default a hash of the
    model and the data, so that what is redrawn from the same data, whatever the truth, is comparable.
    """

    economy: Economy
    """Whose fixed effects, costs and residuals are taken."""
    truth: Parameters
    """The true parameters: the economy's, unless they are varied. Fixed effects and costs stay."""
    errors: Errors | Draw
    """The distribution of xi and omega; residuals themselves, ``"resampled"`` or ``"wild"``."""
    redraw: Redraw = "errors"
    """What is drawn anew."""
    markets: int | None = None
    """How many markets are drawn; None for as many as there are."""
    consumers: Integration | None = None
    """Whose choices make the shares; None for the economy's agents."""
    prices: PriceIteration = field(default_factory=PriceIteration)
    """How equilibrium prices are solved for."""
    surveys: tuple[AnySurvey, ...] = field(default=(), metadata=LATER)
    """Micro data that a dataset has besides; markets that are drawn are named 0, 1, .."""
    stream_key: str = field(default="", compare=False)
    """The key of the random streams."""
    _held: Held = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse an economy that lacks what is needed to draw from it."""
        check_fields(self)
        check_economy(self.economy)
        self._check_markets()
        held = _held(self.economy, self.truth)
        if self.redraw != "errors":
            _check_levels(self.model, held.products, self.truth)
        self._check_consumers(held)
        self._check_surveys(held)
        object.__setattr__(self, "_held", held)
        if not self.stream_key or self.stream_key.startswith(_DATA):
            content = [self.model, self.economy.products, self.economy.agents]
            object.__setattr__(self, "stream_key", _DATA + fingerprint(content))

    @property
    def model(self) -> Model:
        """The economy's model."""
        return self.economy.model

    @property
    def names(self) -> ModelNames:
        """The labels of the model's columns, which parameters are named after."""
        return self._held.names

    @property
    def differs_by_product(self) -> bool:
        """Whether something about an agent differs by product."""
        return self.economy.agents.specific is not None

    def columns_of(self, model: Model) -> ModelColumns:
        """Return the columns that another model, as an estimator's, has on the economy's data.

        Raises
        ------
        FormulaError
            When a formula names what the data do not have.
        """
        labels = People(model=self.model, agents=self._held.agents).labels(model)
        return model.bind(self._held.products.columns, labels)

    def truth_by_name(self) -> dict[str, float]:
        """Return the true values of what was estimated by name, as ``beta[prices]``."""
        return self.truth.by_name(self.names)

    def generate(self, streams: Streams) -> Dataset:
        """Return the dataset of one replication; an equilibrium that is not found is its status.

        Rows are sorted by market and by firm within a market. Streams without a key take the scenario's.
        """
        check("streams", streams, Streams)
        streams = streams if streams.stream_key else streams.keyed(self.stream_key)
        markets = self._drawn_markets(streams)
        products, agents, rows, clusters = self._taken(markets)
        shocks = self._shocks(rows, clusters, streams)
        source = People(model=self.model, agents=agents)
        if self.consumers is not None:
            agents = source.draw_agents(self.model, self.consumers, products, streams, "consumers")
        supply, costs = self.model.supply is not None, self._held.costs[rows]
        transformed = costs + shocks.omega if supply else costs
        with np.errstate(over="ignore"):
            costs = np.exp(transformed) if supply and self.model.costs == "log" else transformed
        economy = replace(
            self.economy,
            products=products,
            agents=agents,
            parameters=self.truth,
            delta=self._held.utilities[rows] + shocks.xi,
            xi=shocks.xi,
            omega=shocks.omega if supply else None,
            costs=costs,
        )
        found = economy.equilibrium(iteration=self.prices)
        solved = economy.at(found.prices, found.shares)
        dataset = Dataset(economy=solved, status=found.status, residuals=found.residuals, source=source)
        return surveyed(dataset, read_surveys(self.surveys), streams)

    def _drawn_markets(self, streams: Streams) -> Integers | None:
        if self.redraw == "errors":
            return None
        size = self._held.products.markets
        return streams.generator("markets").integers(size, size=self.markets or size)

    def _taken(self, markets: Integers | None) -> Drawn:
        """Return what is in these markets, (T,) places of those held, or in all."""
        held, clusters = self._held, self._held.residuals.clusters
        if markets is None:
            return Drawn(held.products, held.agents, np.arange(held.products.number), clusters)
        rows = taken(held.products.market_offsets, markets).places
        products, clusters = taken_products(held.products, markets), clusters[rows]
        if held.nested_clusters:
            copies = products.columns["market_ids"] * (int(held.residuals.clusters.max()) + 1)
            clusters = np.unique(copies + clusters, return_inverse=True)[1]
            if _CLUSTERS in products.columns:
                products = products.replaced(clustering_ids=clusters)
        return Drawn(products, taken_agents(held.agents, markets), rows, clusters)

    def _shocks(self, rows: Integers, clusters: Integers, streams: Streams) -> Shocks:
        residuals = self._held.residuals
        if self.redraw == "markets":
            return residuals.rows(rows)
        generator = streams.generator("errors")
        if isinstance(self.errors, Errors):
            return Shocks(*self.errors.draw(generator, rows.size))
        if self.errors == "resampled":
            return residuals.resampled(rows.size, generator)
        return wild(residuals.rows(rows), clusters, generator)

    def _check_markets(self) -> None:
        if self.markets is None:
            return
        check_count("Redrawn.markets", self.markets, "a dataset has at least one market")
        if self.redraw == "errors":
            why = "all markets stay when errors alone are redrawn"
            raise ConfigurationError("Redrawn.markets", self.markets, "None", why)

    def _check_surveys(self, held: Held) -> None:
        object.__setattr__(self, "surveys", read_surveys(self.surveys))
        products = held.products
        if self.redraw != "errors":
            products = taken_products(
                products, np.arange(self.markets or products.markets) % products.markets
            )
        weights = held.agents.weights if self.consumers is None else np.ones(1)
        if self.consumers is not None and not self.consumers.is_random:
            weights = self.consumers.rule(len(held.names.x2)).weights
        for survey in read_surveys(self.surveys):
            survey.check(self.model, products, held.names.demographics, weights)

    def _check_consumers(self, held: Held) -> None:
        if self.consumers is None:
            return
        if self.model.nonlinear is None:
            why = "without random coefficients consumers are alike"
            raise ConfigurationError("Redrawn.consumers", self.consumers, "None for a model without X2", why)
        self.consumers.check(len(held.names.x2))
        if self.model.demographics is not None or held.agents.specific is not None:
            drawn_rows(held.agents, np.zeros(held.products.markets, np.int64), np.random.default_rng(0))


def _held(economy: Economy, truth: Parameters) -> Held:
    """Return what an economy's replications start from; rows of the economy are those of its user."""
    products = economy.products
    columns = economy.model.bind(products.columns, economy.agents.demographic_names)
    old, new = economy.parameters.blocks(columns.names), true_blocks(truth, columns)
    xi, delta, costs, omega = _sorted(economy)
    shift = columns.x1.values(products.columns) @ (new.beta - old.beta)
    if economy.model.supply is not None:
        costs = (np.log(costs) if economy.model.costs == "log" else costs) - omega
        costs = costs + columns.x3.values(products.columns) @ (new.gamma - old.gamma)
    clusters = _clusters(products)
    return Held(
        names=columns.names,
        products=replace(products, order=None),
        agents=in_internal_order(economy.agents, products),
        utilities=delta - xi + shift,
        costs=costs,
        residuals=Residuals(xi, omega, clusters),
        nested_clusters=_are_within(clusters, products),
    )


def _sorted(economy: Economy) -> tuple[Vector, Vector, Vector, Vector]:
    """Return xi, delta, costs and omega, (N,) each, sorted by market and firm; omega is zero without supply.

    Without a supply side costs are those that prices imply.
    """
    order, omega, costs = economy.products.order, economy.omega, economy.costs
    if costs is None:
        costs = economy.implied_costs()
        _check_finite("costs", costs)
    found = economy.xi, economy.delta, costs, np.zeros(costs.size) if omega is None else omega
    xi, delta, costs, omega = (values if order is None else values[order] for values in found)
    return xi, delta, costs, omega


def _clusters(products: Products) -> Integers:
    """Return each product's cluster, (N,); without any, each is alone."""
    if _CLUSTERS not in products.columns:
        return np.arange(products.number)
    return group_codes(products.columns[_CLUSTERS])[0]


def _are_within(clusters: Integers, products: Products) -> bool:
    markets = np.repeat(np.arange(products.markets), np.diff(products.market_offsets))
    first = np.full(int(clusters.max()) + 1, products.markets)
    np.minimum.at(first, clusters, markets)
    return bool(np.array_equal(first[clusters], markets))


def check_economy(economy: Economy) -> None:
    """Refuse an economy that lacks what is needed to draw from it.

    Raises
    ------
    ConfigurationError
        With a matrix of ownership, without firms, without estimates of the supply side that its model has,
        and with numbers that are not finite.
    """
    check("Redrawn.economy", economy, Economy)
    for name in ("xi", "delta", "costs", "omega"):
        if getattr(economy, name) is not None:
            _check_finite(name, getattr(economy, name))
    if economy.model.supply is not None and economy.omega is None:
        why = "the model has a supply side that was not estimated"
        raise ConfigurationError(
            "Redrawn.economy.omega", None, "an economy estimated with supply, or a model without", why
        )
    if isinstance(economy.conduct, OwnershipMatrix):
        why = "rows of a matrix do not move with markets that are drawn again"
        raise ConfigurationError(
            "Redrawn.economy.conduct", "a matrix", "a conduct or a rule of Ownership", why
        )
    if "firm_ids" not in economy.products.columns and economy.conduct is Conduct.BERTRAND:
        why = "prices are set by the firms that own the products"
        raise ConfigurationError("Redrawn.economy.products['firm_ids']", "no such column", "one column", why)


def _check_finite(name: str, values: Vector) -> None:
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        got, why = f"{values[row]} in row {row}", "data are drawn from it"
        raise ConfigurationError(f"Redrawn.economy.{name}", got, "finite numbers", why)


def _check_levels(model: Model, products: Products, truth: Parameters) -> None:
    """Refuse to resample markets when parameters belong to levels that some markets lack."""
    columns = model.bind(products.columns, ())
    variables = {
        indicator.variable
        for part in columns[:3]
        for column in part.columns
        for indicator in column.indicators
    }
    if model.nests is not None and np.size(np.asarray(truth.blocks(columns.names).rho)) > 1:
        variables.add(model.nests)
    for variable in sorted(variables):
        codes = group_codes(products.columns[variable])[0]
        markets = np.repeat(np.arange(products.markets), np.diff(products.market_offsets))
        pairs = np.unique(markets * (int(codes.max()) + 1) + codes)
        counts = np.bincount(pairs // (int(codes.max()) + 1))
        if (counts <= codes.max()).any():
            market = products.columns["market_ids"][products.market_offsets[int(np.argmin(counts))]]
            got, why = f"'{variable}', of which market {market} lacks a level", "a parameter may have no data"
            expected = 'redraw="errors", or absorbed fixed effects'
            raise ConfigurationError("Redrawn.redraw", got, expected, why)
