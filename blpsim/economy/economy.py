"""An economy: what is observed, who the consumers are, and the parameters that explain it.

Methods have PyBLP's names and conventions. Arrays of products, given or returned, are in the order of the
user's rows; arrays of markets in that of ``market_ids``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Matrix, Offsets, Tastes, Vector
from blpsim.checks import check, numbers
from blpsim.economy import counterfactuals
from blpsim.economy.choices import Choices, choices_by_market
from blpsim.economy.costs import CostCurve, cost_curve_through
from blpsim.economy.counterfactuals import margins, reassigned, responsive
from blpsim.economy.equilibrium import PricedDemand, PriceIteration, Prices
from blpsim.economy.second_order import certified_prices
from blpsim.errors import ConfigurationError, DataError
from blpsim.model.conduct import Conduct, Ownership, read_conduct
from blpsim.model.model import Model, ModelNames
from blpsim.model.nests import nested
from blpsim.model.ownership import OwnershipMatrix, PriceSetters, PriceSetting, price_setters, read_ownership
from blpsim.model.panel import Agents, Products, offsets
from blpsim.model.parameters import Parameters
from blpsim.model.specific import specific_rows

Owners: TypeAlias = ArrayLike | Ownership | Conduct | str
"""Who sets prices: a stacked matrix, a rule, or a name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Economy:
    """Demand and supply with known parameters, at the truth of a scenario or at an estimate."""

    model: Model
    products: Products
    """Their prices and shares are the economy's."""
    agents: Agents
    parameters: Parameters
    """A value for every coefficient."""
    delta: Vector
    """(N,) mean utilities at the products' prices."""
    xi: Vector
    """(N,) unobserved demand characteristics."""
    omega: Vector | None = None
    """(N,) unobserved cost characteristics; None without a supply side."""
    costs: Vector | None = None
    """(N,) marginal costs at these shares; None without a supply side, where methods imply them."""
    conduct: PriceSetting = Conduct.BERTRAND
    """How prices are set: by a conduct, a rule of ownership, or a matrix of it."""

    @property
    def offsets(self) -> Offsets:
        """Where each market's products, agents and firms stand."""
        return offsets(self.products, self.agents)

    @property
    def names(self) -> ModelNames:
        """The labels of the model's columns, which parameters are named after."""
        return self.model.bind(self.products.columns, self.agents.demographic_names).names

    @property
    def market_ids(self) -> NDArray[Any]:
        """The names of the markets, (T,), sorted."""
        ids: NDArray[Any] = self.products.columns["market_ids"][self.products.market_offsets[:-1]]
        return ids

    def shares(self, prices: ArrayLike | None = None) -> Vector:
        """Return the shares, (N,), that demand has at prices (N,), by default the economy's.

        Raises
        ------
        DataError
            When there is not one price a product; the other methods raise it alike.
        """
        return self._joined([choices.shares for choices in self._choices(prices)])

    def elasticities(self, prices: ArrayLike | None = None) -> dict[Any, Matrix]:
        """Return each market's elasticities of shares (rows) with respect to prices (columns), (J, J)."""
        at = self._by_market(self._prices(prices))
        return self._matrices(lambda t, choices: counterfactuals.elasticities(choices, at[t]), prices)

    def own_elasticities(self, prices: ArrayLike | None = None) -> Vector:
        """Return the elasticity of each share with respect to the product's own price, (N,)."""
        derivatives = [choices.own_derivatives / choices.shares for choices in self._choices(prices)]
        return self._joined(derivatives) * self._restored(self._prices(prices))

    def diversion_ratios(self, prices: ArrayLike | None = None) -> dict[Any, Matrix]:
        """Return each market's diversion from products (rows) to others (columns), (J, J).

        The diagonal has the diversion to the outside good, so that rows sum to one.
        """
        return self._matrices(lambda _, choices: counterfactuals.diversion_ratios(choices), prices)

    def long_run_diversion_ratios(self, prices: ArrayLike | None = None) -> dict[Any, Matrix]:
        """Return each market's diversion, (J, J), when the product (row) is no longer offered.

        The diagonal has the diversion to the outside good, so that rows sum to one.
        """
        return self._matrices(lambda _, choices: counterfactuals.long_run_diversion_ratios(choices), prices)

    def implied_costs(self, firm_ids: ArrayLike | None = None, ownership: Owners | None = None) -> Vector:
        """Return the marginal costs, (N,), at which prices are the best for those who set them.

        firm_ids   (N,) owners, by default the products'
        ownership  as in ``equilibrium``
        """
        economy = self._priced_by(firm_ids, ownership)
        if economy.conduct is Conduct.PERFECT_COMPETITION:
            return economy._restored(economy.products.prices)
        return economy._restored(economy.products.prices) - economy._joined(economy._margins())

    def markups(
        self,
        prices: ArrayLike | None = None,
        costs: ArrayLike | None = None,
        firm_ids: ArrayLike | None = None,
        ownership: Owners | None = None,
    ) -> Vector:
        """Return the Lerner indices (p - c) / p, (N,), as PyBLP's ``compute_markups`` does.

        costs                (N,) marginal costs, by default the economy's
        firm_ids, ownership  instead of costs: those that the economy's prices imply under these owners

        Raises
        ------
        ConfigurationError
            When both are given.
        """
        if firm_ids is not None or ownership is not None:
            if costs is not None:
                why = "owners and prices imply them"
                raise ConfigurationError("costs", costs, "None beside firm_ids or ownership", why)
            costs = self.implied_costs(firm_ids, ownership)
        at = self._restored(self._prices(prices))
        return (at - self._costs_at(prices, costs)) / at

    def profits(self, prices: ArrayLike | None = None, costs: ArrayLike | None = None) -> Vector:
        """Return each product's profits per consumer, (p - c) s(p), (N,).

        costs  (N,) marginal costs, by default the economy's, at the shares that prices lead to

        As in PyBLP, all of a product's units are taken to cost its marginal costs, which is not so where
        these depend on quantities: then it is no profit, only margins times quantities.
        """
        at = self._restored(self._prices(prices))
        return (at - self._costs_at(prices, costs)) * self.shares(prices)

    def consumer_surplus(self, prices: ArrayLike | None = None) -> Vector:
        """Return the mean surplus per consumer in each market, (T,), in units of prices.

        Raises
        ------
        ConfigurationError
            When an agent's utility is not linear in prices with one slope, so that income matters.

        Source: Small and Rosen (1981).
        """
        demand = self.demand(prices)
        if not demand.has_one_slope:
            formulas = f"{self.model.linear!r}, {self.model.nonlinear!r}"
            why = "with income effects the inclusive value is no measure in money"
            raise ConfigurationError("Economy.model", formulas, "utility linear in prices", why)
        return np.array([c.weights @ (c.inclusive / -c.slopes[0]) for c in choices_by_market(demand)])

    def hhi(self, firm_ids: ArrayLike | None = None, shares: ArrayLike | None = None) -> Vector:
        """Return the Herfindahl-Hirschman index of each market, (T,): 10,000 times the sum of squared shares.

        firm_ids  (N,) owners, by default the products'
        shares    (N,) by default the economy's; a firm's counts as a fraction of all that is bought inside
        """
        products = self._owned(firm_ids).products
        given = self.shares() if shares is None else self._numbers("shares", shares)
        ordered = given if products.order is None else given[products.order]
        owned = np.add.reduceat(ordered, products.firm_offsets[:-1])
        bought = np.add.reduceat(ordered, products.market_offsets[:-1])
        return np.asarray(1e4 * np.add.reduceat(owned**2, products.market_firms[:-1]) / bought**2, np.float64)

    def equilibrium(
        self,
        firm_ids: ArrayLike | None = None,
        ownership: Owners | None = None,
        costs: ArrayLike | None = None,
        conduct: Conduct | Ownership | str | None = None,
        iteration: PriceIteration | None = None,
    ) -> Prices:
        """Return equilibrium prices and shares, (N,) each, with other owners, costs or conduct.

        They are NaN in markets without an equilibrium; the status says whether there are any.

        firm_ids   (N,) owners, as after a merger; by default the products'. A rule applies to them; a matrix
                   that the economy has does not: then each of them owns its products, as in PyBLP
        ownership  (N, J*) as ``build_ownership`` returns it, an ``Ownership``, or a name as in ``conduct``
        costs      (N,) marginal costs, by default the economy's, under its own owners, at its shares; they
                   move from there if they depend on quantities, as in PyBLP's ``constant_costs=False``
        conduct    by default the economy's

        Raises
        ------
        ConfigurationError
            When both ownership and conduct, or firm_ids and a matrix, say who sets prices.
        DataError
            For arrays of other shapes.
        """
        economy, known = self._priced_by(firm_ids, ownership, conduct), self._known_costs(costs)
        known = economy._sorted(known)
        check("iteration", iteration, PriceIteration | None)
        iteration = iteration or PriceIteration()
        curve = economy._curve(known)
        found = certified_prices(economy.demand(), known, economy._setters(), iteration, curve)
        prices, shares = found.prices, found.shares
        if not found.status.is_usable:
            failed = ~(found.residuals < iteration.tolerance)
            lost = np.repeat(failed | (not failed.any()), np.diff(self.products.market_offsets))
            prices, shares = (np.where(lost, np.nan, values) for values in (prices, shares))
        return found._replace(prices=economy._restored(prices), shares=economy._restored(shares))

    def at(self, prices: ArrayLike, shares: ArrayLike) -> Economy:
        """Return the economy at other prices, (N,), and the shares, (N,), that demand has there.

        Mean utilities move with the prices, and costs with the shares if they depend on them. Nothing is
        solved for, and NaN stays: prices and shares are those of ``equilibrium()``, or prices and
        ``shares(prices)``.
        """
        columns = self.model.bind(self.products.columns, self.agents.demographic_names)
        priced, bought = (
            self._sorted(self._numbers(name, values))
            for name, values in (("prices", prices), ("shares", shares))
        )
        moved = self.products.replaced(prices=priced, shares=bought)
        change = columns.x1.values(moved.columns) - columns.x1.values(self.products.columns)
        delta = self.delta + self._restored(change @ self.parameters.blocks(columns.names).beta)
        costs, curve = self.costs, None if self.costs is None else self._curve(self._sorted(self.costs))
        if curve is not None:
            costs = self._restored(curve.at(bought))
        return replace(self, products=moved, delta=delta, costs=costs)

    def passthrough(
        self, firm_ids: ArrayLike | None = None, ownership: Owners | None = None
    ) -> dict[Any, Matrix]:
        """Return derivatives of a market's prices (rows) with respect to marginal costs (columns), (J, J).

        firm_ids, ownership  as in ``equilibrium``; at costs that the economy's prices imply under them

        Where marginal costs depend on quantities, derivatives are by what shifts them at given quantities,
        and costs' own response is taken into account, which PyBLP does not do.
        """
        economy = self._priced_by(firm_ids, ownership)
        if economy.conduct is Conduct.PERFECT_COMPETITION:
            slopes = economy._cost_slopes(economy.products.prices)
            return economy._matrices(lambda t, c: responsive(c, np.eye(c.shares.size), slopes[t]), None)
        if firm_ids is None and ownership is None:
            margin = self.products.prices - self._sorted(self._known_costs(None))
        else:
            margin = np.concatenate(economy._margins())
        owned, at = economy._owned_matrices(), economy._by_market(margin)
        slopes = economy._cost_slopes(economy.products.prices - margin)

        def solved(t: int, choices: Choices) -> Matrix:
            return responsive(choices, counterfactuals.passthrough(choices, owned[t], at[t]), slopes[t])

        return economy._matrices(solved, None)

    def _priced_by(
        self,
        firm_ids: ArrayLike | None,
        ownership: Owners | None,
        conduct: Conduct | Ownership | str | None = None,
    ) -> Economy:
        """Return the economy with others who set its prices."""
        economy, how = self._owned(firm_ids), self.conduct
        if ownership is not None and conduct is not None:
            raise ConfigurationError("conduct", conduct, "None beside ownership", "both say who sets prices")
        if conduct is not None:
            how = read_conduct("conduct", conduct)
        elif ownership is not None:
            how = read_ownership("ownership", ownership, economy.products)
            if firm_ids is not None and isinstance(how, OwnershipMatrix):
                why = "a matrix says who sets prices, whoever owns products"
                raise ConfigurationError("firm_ids", firm_ids, "None beside a matrix of ownership", why)
        elif firm_ids is not None and isinstance(how, OwnershipMatrix):
            how = Conduct.BERTRAND
        return replace(economy, conduct=how)

    def _owned(self, firm_ids: ArrayLike | None) -> Economy:
        """Return the economy with other owners; arrays in the user's order stay as they are."""
        if firm_ids is None:
            return self
        owners = np.asarray(firm_ids)
        self._check("firm_ids", owners.shape)
        if pd.isna(owners).any():
            raise DataError(
                "firm_ids", "a missing value", "an owner of each product", "somebody sets its price"
            )
        return replace(self, products=reassigned(self.products, owners))

    def demand(self, prices: ArrayLike | None = None) -> PricedDemand:
        """Return demand as it is written at prices, (N,), by default the economy's, in internal order."""
        columns = self.model.bind(self.products.columns, self.agents.demographic_names)
        blocks = self.parameters.blocks(columns.names)
        demand = PricedDemand(
            data=self.products.columns,
            delta=self._sorted(self.delta),
            x1=columns.x1,
            x2=columns.x2,
            tastes=Tastes(blocks.sigma, blocks.pi, blocks.beta[columns.x1.depends_on_prices], columns.links),
            consumers=self.agents.consumers((blocks.sigma != 0).any(axis=0) if columns.x2.names else None),
            offsets=self.offsets,
            nested=nested(self.model, self.products, blocks.rho),
            epsilon_scale=self.model.epsilon_scale,
            specific=specific_rows(self.agents, self.products, columns.links),
        )
        return demand if prices is None else demand.written_at(self._prices(prices))

    def _choices(self, prices: ArrayLike | None = None) -> Iterator[Choices]:
        return choices_by_market(self.demand(prices))

    def _matrices(
        self, function: Callable[[int, Choices], Matrix], prices: ArrayLike | None
    ) -> dict[Any, Matrix]:
        """Return a matrix a market, rows and columns in the order of the user's rows."""
        matrices = [function(t, choices) for t, choices in enumerate(self._choices(prices))]
        if self.products.order is not None:
            ranks = [np.argsort(rows) for rows in self._by_market(self.products.order)]
            matrices = [matrix[np.ix_(r, r)] for matrix, r in zip(matrices, ranks, strict=True)]
        return dict(zip(self.market_ids.tolist(), matrices, strict=True))

    def _setters(self) -> PriceSetters:
        return price_setters(self.conduct, self.products)

    def _owned_matrices(self) -> list[Matrix]:
        return self._setters().matrices(self.products.market_offsets)

    def _margins(self) -> list[Vector]:
        """Return the margins that are the best for those who set prices, (J,) a market, in internal order."""
        owned = self._owned_matrices()
        return [margins(choices, owned[t]) for t, choices in enumerate(self._choices())]

    def _known_costs(self, costs: ArrayLike | None) -> Vector:
        if costs is not None:
            return self._numbers("costs", costs)
        return self.implied_costs() if self.costs is None else self.costs

    def _costs_at(self, prices: ArrayLike | None, costs: ArrayLike | None) -> Vector:
        """Return costs (N,) that are given, or the economy's at the shares that prices lead to."""
        known = self._known_costs(costs)
        if costs is not None or prices is None or (curve := self._curve(self._sorted(known))) is None:
            return known
        return self._restored(curve.at(self._sorted(self.shares(prices))))

    def _curve(self, costs: Vector) -> CostCurve | None:
        """Return how costs, (N,) in internal order, depend on quantities; None where they do not."""
        x3 = self.model.bind(self.products.columns, self.agents.demographic_names).x3
        if not x3.depends_on_shares.any():
            return None
        gamma = self.parameters.blocks(self.names).gamma
        return cost_curve_through(x3, self.products.columns, gamma, costs, self.model.costs)

    def _cost_slopes(self, costs: Vector) -> list[Vector | None]:
        """Return derivatives of costs, (N,) in internal order, by shares, (J,) a market; None: constant."""
        curve = self._curve(costs)
        if curve is None:
            return [None] * self.products.markets
        return [*self._by_market(curve.slopes(costs, self.products.shares))]

    def _prices(self, prices: ArrayLike | None) -> Vector:
        return self.products.prices if prices is None else self._sorted(self._numbers("prices", prices))

    def _numbers(self, name: str, values: ArrayLike) -> Vector:
        array = numbers(name, values, DataError)
        self._check(name, array.shape)
        if np.isinf(array).any():
            row = int(np.flatnonzero(np.isinf(array))[0])
            why = "only NaN says that there is none, as in a market without an equilibrium"
            raise DataError(name, f"{array[row]} in row {row}", "finite numbers", why)
        return array

    def _check(self, name: str, shape: tuple[int, ...]) -> None:
        if shape != (self.products.number,):
            expected = f"shape ({self.products.number},)"
            raise DataError(name, f"shape {shape}", expected, "there is one for each product")

    def _by_market(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        return np.split(values, self.products.market_offsets[1:-1])

    def _joined(self, parts: list[Vector]) -> Vector:
        return self._restored(np.concatenate(parts))

    def _sorted(self, values: Vector) -> Vector:
        return values if self.products.order is None else values[self.products.order]

    def _restored(self, values: Vector) -> Vector:
        return self.products.restored(values)
