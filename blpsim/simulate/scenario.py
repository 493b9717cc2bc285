"""A scenario: one data-generating process, checked once, from which any number of datasets is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, cast

import numpy as np

from blpsim.checks import check, check_fields
from blpsim.economy.dataset import Dataset
from blpsim.economy.economy import Economy
from blpsim.economy.equilibrium import PriceIteration, at_given_prices
from blpsim.economy.second_order import certified_prices
from blpsim.errors import ConfigurationError
from blpsim.fingerprint import LATER, fingerprint
from blpsim.model.blocks import Blocks
from blpsim.model.columns import PRICES, SHARES, Columns
from blpsim.model.conduct import Conduct, Ownership, read_conduct
from blpsim.model.integration import Integration
from blpsim.model.model import Model, ModelColumns, ModelNames
from blpsim.model.ownership import price_setters
from blpsim.model.panel import Agents, Products
from blpsim.model.parameters import Parameters
from blpsim.simulate.distributions import AnyDistribution, check_distributions
from blpsim.simulate.generate import (
    Shocks,
    demand_for,
    draw_products,
    drawn_curve,
    equal_shares,
    marginal_costs,
    priced,
    true_blocks,
)
from blpsim.simulate.markets import Assign, Errors, Markets
from blpsim.simulate.measurement import MeasuredShares
from blpsim.simulate.population import CONSUMERS, Availability, Demographics, Population
from blpsim.simulate.redrawn import Redraw, Redrawn, check_economy
from blpsim.simulate.residuals import Draw, residual_moments
from blpsim.simulate.surveys import AnySurvey, Survey, read_surveys, surveyed
from blpsim.status import Status
from blpsim.streams import Streams

_PROBE = Streams(seed=0, replication=0, stream_key="probe")
_COMPUTED = "content:"
_DRAWN = frozenset({"market_ids", "firm_ids"})
_PANEL = frozenset({"product_ids", "clustering_ids"})
_ENDOGENOUS = frozenset({"shares", "weights"})


class Bound(NamedTuple):
    """The truth, bound to the columns of the formulas."""

    names: ModelNames
    """Labels of the columns."""
    blocks: Blocks
    """Values as arrays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One data-generating process.

    Streams are separate by role: the structure of markets, each characteristic, the errors, consumers'
    nodes and each demographic, so that adding a characteristic changes no other number.
    """

    model: Model
    """Formulas of demand and, unless prices are drawn, of costs."""
    truth: Parameters
    """The true parameters: a value for every coefficient."""
    markets: Markets
    """How many markets, firms and products there are."""
    characteristics: Mapping[str, AnyDistribution]
    """A distribution for each variable of the formulas. Without supply, one of them is ``prices``."""
    errors: Errors
    """The distribution of xi and omega."""
    nests: Assign | None = field(default=None, metadata=LATER)
    """How products get into the nests of ``Model.nests``, unless a characteristic has its name."""
    consumers: Integration | None = None
    """Whose choices make the shares; None for a model without X2."""
    demographics: Demographics | None = None
    """A distribution for each variable of the demographics, or a data frame to resample.

    ``PerAgentAndProduct`` and ``Pairs`` make one differ by product, as the distance to a product.
    """
    availability: Availability | None = field(default=None, metadata=LATER)
    """What multiplies each agent's odds of each product, zero where it is not in the choice set, as
    ``Bernoulli(0.8)`` or ``Pairs``; None: everybody chooses among all. Agents of estimators have their own
    draws of it. Where nobody can choose a product, there is no equilibrium.
    """
    conduct: Conduct | Ownership | str = Conduct.BERTRAND
    """How firms set prices; with ``monopoly`` one decision maker sets all prices of a market, with an
    ``Ownership`` firms have each other's profits in mind."""
    prices: PriceIteration = field(default_factory=PriceIteration)
    """How equilibrium prices are solved for."""
    shares: MeasuredShares | None = field(default=None, metadata=LATER)
    """How the data's shares are measured; None: exactly. The economy of a dataset keeps the true ones."""
    surveys: tuple[AnySurvey, ...] = field(default=(), metadata=LATER)
    """Micro data that a dataset has besides: surveys whose respondents are drawn."""
    stream_key: str = field(default="", compare=False)
    """The key of the random streams: by default a hash of all of the above, but surveys."""
    _truth: Bound = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a process that could not be drawn, or whose parts contradict each other."""
        check_distributions("Scenario.characteristics", self.characteristics)
        self._population()
        check_fields(self)
        object.__setattr__(self, "conduct", read_conduct("Scenario.conduct", self.conduct))
        object.__setattr__(self, "characteristics", dict(self.characteristics))
        self._check_characteristics()
        self._check_panel()
        self._check_nests()
        self._check_consumers()
        self._check_supply()
        products = self._products(_PROBE)
        price_setters(read_conduct("Scenario.conduct", self.conduct), products)
        columns = self._columns(products)
        object.__setattr__(self, "_truth", Bound(columns.names, true_blocks(self.truth, columns)))
        self._check_phi()
        if self.consumers is not None:
            self.consumers.check(len(columns.names.x2))
        object.__setattr__(self, "surveys", read_surveys(self.surveys))
        self._check_surveys(products, columns.demographics)
        if not self.stream_key or self.stream_key.startswith(_COMPUTED):
            object.__setattr__(self, "stream_key", _COMPUTED + self._content_key())

    def _content_key(self) -> str:
        """Return the hash that streams depend on: no survey changes any other number."""
        if self.surveys:
            return replace(self, surveys=(), stream_key="").stream_key.removeprefix(_COMPUTED)
        return fingerprint(self)

    @property
    def _surveys(self) -> tuple[Survey, ...]:
        return cast(tuple[Survey, ...], self.surveys)

    @staticmethod
    def from_economy(
        economy: Economy,
        redraw: Redraw = "errors",
        *,
        errors: Errors | Literal["normal"] | Draw = "normal",
        markets: int | None = None,
        consumers: Integration | None = None,
        surveys: tuple[AnySurvey, ...] = (),
        stream_key: str = "",
    ) -> Redrawn:
        """Return a scenario made of an economy and its data, as of ``result.economy`` on real data.

        The truth are the economy's parameters. Its fixed effects, characteristics, instruments, firms, agents
        and conduct stay; prices and shares are those of a new equilibrium in every replication. Costs are
        the economy's: X3 gamma, fixed effects and omega with a supply side; without one, those that the
        markups at the estimate imply, the same in every replication.

        redraw     ``"errors"``: xi, and omega with a supply side, are drawn anew in the same markets;
                   ``"markets"``: whole markets, with products, agents, residuals and costs, are drawn with
                   replacement, each under a new name; ``"both"``: errors are new in markets so drawn
                   (residuals that come with their markets are as orthogonal to instruments as on the data:
                   nearly to those of the estimate, but to others they may not be)
        errors     ``"normal"`` with mean zero and the mean squares and products of the residuals;
                   ``"resampled"``: pairs of residuals, less their means; ``"wild"``: each product's own
                   residuals, whose sign is drawn, one a cluster where there are clustering_ids; or any Errors
        markets    how many are drawn, by default as many as there are
        consumers  whose choices make the shares, by default the economy's agents; else their tastes are
                   standard normal, and demographics those of the market's agents, resampled
        surveys    micro data that a dataset has besides; new people are drawn like these consumers

        An estimator that integrates over the very same agents says ``integration="generator"``; any other
        integration draws tastes, and demographics from the market's agents. ``instruments.Given`` are the
        data's own. ``bs.vary`` reaches ``truth``, ``errors.xi_variance``, ``markets``, ``redraw``.

        A design file that estimates the economy does so wherever it is read. If that takes long, or if the
        processors differ, and the last bits with them, pickle ``result.economy`` and let the file read it.

        Raises
        ------
        ConfigurationError
            For an economy without firms, or with numbers that are not finite; when markets without a level
            of a variable, that a parameter belongs to, might be drawn; and for parts of other kinds.
        """
        check_economy(economy)
        if isinstance(errors, str) and errors == "normal":
            errors = residual_moments(economy)
        return Redrawn(
            economy=economy,
            truth=economy.parameters,
            errors=errors,
            redraw=redraw,
            markets=markets,
            consumers=consumers,
            surveys=surveys,
            stream_key=stream_key,
        )

    @property
    def names(self) -> ModelNames:
        """The labels of the model's columns, which parameters are named after."""
        return self._truth.names

    @property
    def differs_by_product(self) -> bool:
        """Whether something about an agent differs by product."""
        return self._population().differs_by_product

    def truth_by_name(self) -> dict[str, float]:
        """Return the true values by name, as ``beta[prices]``; zeros that nobody frees are left out."""
        return self.truth.by_name(self.names)

    def generate(self, streams: Streams) -> Dataset:
        """Return the dataset of one replication; an equilibrium that is not found is its status.

        Streams without a key take the scenario's.
        """
        check("streams", streams, Streams)
        streams = streams if streams.stream_key else streams.keyed(self.stream_key)
        dataset, streams = self._measured(streams)
        return surveyed(dataset, self._surveys, streams)

    def _measured(self, streams: Streams) -> tuple[Dataset, Streams]:
        """Return a dataset with shares as they are measured, and the streams that drew it."""
        if self.shares is None:
            return self._drawn(streams), streams
        key = streams.stream_key
        for attempt in range(self.shares.most_attempts):
            again = streams.keyed(f"{key}/attempt {attempt}") if attempt else streams
            dataset = self.shares.measured(self._drawn(again), again.generator("shares"))
            if dataset.status is not Status.SHARES_BELOW_FLOOR:
                break
        return replace(dataset, attempts=attempt + 1), again

    def _drawn(self, streams: Streams) -> Dataset:
        """Return a dataset with the true shares."""
        products = self._products(streams)
        columns = self._columns(products)
        if columns.names != self.names:
            why = "levels of a categorical variable differ between replications"
            raise ConfigurationError("Scenario.model", columns.names, f"the columns {self.names}", why)
        shocks = self._shocks(streams.generator("errors"), products)
        people = replace(self._population(), placed=streams)
        agents = people.draw_agents(self.model, self.consumers, products, streams, CONSUMERS)
        return self._solved(products, columns, agents, shocks, people)

    def columns_of(self, model: Model) -> ModelColumns:
        """Return the columns that another model, as an estimator's, has on the scenario's data.

        Raises
        ------
        FormulaError
            When a formula names what the scenario does not draw.
        """
        return model.bind(priced(self._products(_PROBE)), self._demographics(model))

    def _shocks(self, generator: np.random.Generator, products: Products) -> Shocks:
        if not self.errors.needs_panel:
            return Shocks(*self.errors.draw(generator, products.number))
        each = products.number // products.markets
        return Shocks(*self.errors.draw_panel(generator, products.markets, each))

    def _population(self) -> Population:
        return Population(demographics=self.demographics, availability=self.availability)

    def _products(self, streams: Streams) -> Products:
        nests = None if self.nests is None else (cast(str, self.model.nests), self.nests)
        return draw_products(self.markets, self.characteristics, streams, nests)

    def _columns(self, products: Products) -> ModelColumns:
        return self.model.bind(priced(products), self._demographics(self.model))

    def _demographics(self, model: Model) -> Columns:
        names = self._population().names
        return model.bind_demographics({name: np.ones(1) for name in names})

    def _solved(
        self, products: Products, columns: ModelColumns, agents: Agents, shocks: Shocks, people: Population
    ) -> Dataset:
        """Return the dataset with the prices and shares that follow from what was drawn."""
        blocks, costs, conduct = self._truth.blocks, None, read_conduct("Scenario.conduct", self.conduct)
        if self.model.supply is None:
            demand = demand_for(self.model, columns, products, agents, blocks, shocks.xi)
            found = at_given_prices(demand)
        else:
            kind, curve = self.model.costs, None
            if columns.x3.depends_on_shares.any():
                curve = drawn_curve(columns.x3, products, blocks.gamma, shocks.omega, kind)
                costs = curve.at(equal_shares(products))
            else:
                costs = marginal_costs(columns.x3, products.columns, blocks.gamma, shocks.omega, kind)
            demand = demand_for(
                self.model, columns, products.replaced(prices=costs), agents, blocks, shocks.xi
            )
            found = certified_prices(demand, costs, price_setters(conduct, products), self.prices, curve)
            costs = costs if curve is None else curve.at(found.shares)
        products = products.replaced(prices=found.prices, shares=found.shares)
        economy = Economy(
            model=self.model,
            products=products,
            agents=agents,
            parameters=self.truth,
            delta=columns.x1.values(products.columns) @ blocks.beta + shocks.xi,
            xi=shocks.xi,
            omega=None if costs is None else shocks.omega,
            costs=costs,
            conduct=conduct,
        )
        return Dataset(economy=economy, status=found.status, residuals=found.residuals, source=people)

    def _check_characteristics(self) -> None:
        reserved = self._given | _ENDOGENOUS
        for name in self.characteristics:
            if name in reserved:
                why = f"'{name}' follows from the markets and the equilibrium"
                raise ConfigurationError("Scenario.characteristics", name, "another name", why)
        endogenous = {PRICES, SHARES} if self.model.supply is not None else set()
        for which, formula in _formulas(self.model).items():
            missing = formula - set(self.characteristics) - self._given - endogenous
            if missing:
                known = ", ".join(sorted({*self.characteristics, *self._given, *endogenous}))
                why = f"Model.{which} has a variable '{min(missing)}' that nothing draws"
                raise ConfigurationError("Scenario.characteristics", known, f"'{min(missing)}' too", why)

    def _check_phi(self) -> None:
        stated = self.truth.blocks(self.names).phi
        if not np.array_equal(stated, np.diag(self.errors.matrix)[: stated.size]):
            why = "the truth states what errors are drawn with"
            raise ConfigurationError(
                "Scenario.truth.phi", stated.tolist(), f"Scenario.errors.phi, {self.errors.phi}", why
            )

    def _check_surveys(self, products: Products, labels: tuple[str, ...]) -> None:
        rule, weights = self.consumers, np.ones(1)
        if self.surveys and self._population().has_pairs:
            got, why = "demographics that differ by product", "a respondent reports one value"
            raise ConfigurationError("Scenario.surveys", got, "no surveys, or other demographics", why)
        if self.surveys and rule is not None and not rule.is_random:
            weights = rule.rule(len(self.names.x2)).weights
        for survey in self._surveys:
            survey.check(self.model, products, labels, weights)

    def _check_panel(self) -> None:
        if self.errors.needs_panel and not self.markets.panel:
            why = "else products of different markets have nothing in common"
            for name in ("phi", "product_share"):
                if value := getattr(self.errors, name):
                    raise ConfigurationError(f"Scenario.errors.{name}", value, "0 without Markets.panel", why)

    @property
    def _given(self) -> frozenset[str]:
        return _DRAWN | (_PANEL if self.markets.panel else frozenset())

    def _check_nests(self) -> None:
        if self.nests is not None and self.model.nests is None:
            raise ConfigurationError("Scenario.nests", self.nests, "None", "Model.nests names no column")
        known = self.model.nests in (None, *self.characteristics, *self._given)
        if self.nests is None and not known:
            why = f"Model.nests has a column '{self.model.nests}' that nothing draws"
            raise ConfigurationError("Scenario.nests", None, "an Assign", why)
        if self.nests is not None and known:
            why = f"the column '{self.model.nests}' has another source"
            raise ConfigurationError("Scenario.nests", self.nests, "None", why)

    def _check_consumers(self) -> None:
        random = self.model.nonlinear is not None
        if random == (self.consumers is None):
            expected = "an Integration" if random else "None for a model without X2"
            why = "random coefficients are integrated over consumers"
            raise ConfigurationError("Scenario.consumers", self.consumers, expected, why)
        if self.availability is not None and not random:
            why = "consumers without random coefficients are alike"
            raise ConfigurationError("Scenario.availability", self.availability, "None without X2", why)
        if self.demographics is not None and self.model.demographics is None:
            why = "the model has no demographics"
            raise ConfigurationError("Scenario.demographics", list(self.demographics), "None", why)

    def _check_supply(self) -> None:
        drawn = PRICES in self.characteristics
        if self.model.supply is not None and drawn:
            why = "Model.supply makes prices an equilibrium"
            raise ConfigurationError("Scenario.characteristics", PRICES, "no distribution of prices", why)
        for name in ("absorb_demand", "absorb_supply"):
            if getattr(self.model, name) is not None:
                why = "a scenario's fixed effects have true values: write C(..) in the formula"
                raise ConfigurationError(f"Scenario.model.{name}", getattr(self.model, name), "None", why)
        if self.model.supply is None and self.conduct is not Conduct.BERTRAND:
            why = "without Model.supply prices are drawn, not set"
            raise ConfigurationError("Scenario.conduct", self.conduct, "left at its default", why)


def _formulas(model: Model) -> dict[str, frozenset[str]]:
    formulas = {
        "linear": model.linear_formula,
        "nonlinear": model.nonlinear_formula,
        "supply": model.supply_formula,
    }
    return {name: formula.variables for name, formula in formulas.items() if formula is not None}
