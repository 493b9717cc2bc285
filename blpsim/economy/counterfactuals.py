"""What follows from demand in one market: choices, derivatives of shares, markups; and who owns what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from blpsim.arrays import Consumers, Integers, Matrix, Tastes, Vector
from blpsim.economy.equilibrium import PricedDemand
from blpsim.kernels.links import LOG, LOGIT
from blpsim.model.panel import Products
from blpsim.model.tables import group_codes


class Choices(NamedTuple):
    """How the agents of one market choose at the prices where demand is written."""

    probabilities: Matrix
    """(J, I)."""
    slopes: Matrix
    """(J, I) derivatives of an agent's utility from a product with respect to its price."""
    curvatures: Matrix
    """(J, I) second derivatives."""
    inclusive: Vector
    """(I,) log(1 + sum_j exp V_ij)."""
    weights: Vector
    """(I,)."""

    @property
    def shares(self) -> Vector:
        """The products' shares, (J,)."""
        return np.asarray(self.probabilities @ self.weights, np.float64)

    @property
    def d_shares_d_prices(self) -> Matrix:
        """The derivatives of shares with respect to prices, (J, J)."""
        sloped = self.probabilities * self.slopes * self.weights
        return np.asarray(np.diag(sloped.sum(axis=1)) - self.probabilities @ sloped.T, np.float64)

    @property
    def own_derivatives(self) -> Vector:
        """The derivative of each share with respect to the product's own price, (J,)."""
        own = self.probabilities * (1 - self.probabilities) * self.slopes
        return np.asarray(own @ self.weights, np.float64)


def choices_by_market(demand: PricedDemand) -> Iterator[Choices]:
    """Yield the choices in each market at the prices where demand is written."""
    x1, x2_slopes, _ = demand.tangent().slopes
    depends, alpha = demand.x1.depends_on_prices, demand.tastes.alpha
    bends, x2_bends = demand.x1.price_curvature(demand.data), demand.x2.price_curvature(demand.data)
    steepness, curvature, x2 = x1 @ alpha, bends[:, depends] @ alpha, demand.x2.values(demand.data)
    consumers, tastes, offsets = demand.consumers, demand.tastes, demand.offsets
    for market in range(offsets.products.size - 1):
        rows = slice(*offsets.products[market : market + 2])
        agents = slice(*offsets.agents[market : market + 2])
        coefficients = _coefficients(tastes, consumers, agents)
        utilities = demand.delta[rows, None] + x2[rows] @ coefficients
        slopes = steepness[rows, None] + x2_slopes[rows] @ coefficients
        curvatures = curvature[rows, None] + x2_bends[rows] @ coefficients
        yield _choices(utilities, slopes, curvatures, consumers.weights[agents])


def _coefficients(tastes: Tastes, consumers: Consumers, agents: slice) -> Matrix:
    """Return the random coefficients of some agents, (K2, I)."""
    coefficients = tastes.sigma @ consumers.nodes[:, agents]
    coefficients = coefficients + tastes.pi @ consumers.demographics[:, agents]
    log, logit = tastes.links == LOG, tastes.links == LOGIT
    coefficients[log] = np.exp(coefficients[log])
    coefficients[logit] = expit(coefficients[logit])
    return coefficients


def _choices(utilities: Matrix, slopes: Matrix, curvatures: Matrix, weights: Vector) -> Choices:
    largest = utilities.max(axis=0, initial=0.0)
    odds = np.exp(utilities - largest)
    total = np.exp(-largest) + odds.sum(axis=0)
    return Choices(odds / total, slopes, curvatures, largest + np.log(total), weights)


def elasticities(choices: Choices, prices: Vector) -> Matrix:
    """Return elasticities of shares (rows) with respect to prices (columns), (J, J)."""
    return choices.d_shares_d_prices * prices / choices.shares[:, None]


def diversion_ratios(choices: Choices) -> Matrix:
    """Return the fraction of those leaving j (row) as its price rises who go to k (column), (J, J).

    The diagonal has the diversion to the outside good, as PyBLP's does.

    Source: Conlon and Mortimer (2021).
    """
    derivatives = choices.d_shares_d_prices
    diversion = -derivatives.T
    np.fill_diagonal(diversion, derivatives.sum(axis=0))
    return diversion / np.diag(derivatives)[:, None]


def long_run_diversion_ratios(choices: Choices) -> Matrix:
    """Return the fraction of j's buyers (row) who buy k (column) when j is not offered, (J, J).

    The diagonal has the diversion to the outside good, as PyBLP's does.
    """
    probabilities = choices.probabilities
    leaving = probabilities / (1 - probabilities) * choices.weights
    diversion = leaving @ probabilities.T
    np.fill_diagonal(diversion, leaving @ (1 - probabilities.sum(axis=0)))
    return diversion / choices.shares[:, None]


def margins(choices: Choices, setters: Integers) -> Vector:
    """Return prices less marginal costs, (J,), that maximize profits; NaN where no solution exists.

    setters  (J,) who sets each price
    """
    own = np.where(setters[:, None] == setters, choices.d_shares_d_prices.T, 0.0)
    try:
        return np.asarray(np.linalg.solve(-own, choices.shares), np.float64)
    except np.linalg.LinAlgError:
        return np.full(setters.size, np.nan)


def passthrough(choices: Choices, setters: Integers, margin: Vector) -> Matrix:
    """Return derivatives of equilibrium prices (rows) with respect to marginal costs (columns), (J, J).

    setters  (J,) who sets each price
    margin   (J,) prices less marginal costs

    The implicit function theorem at s_j + sum_k H_jk (p_k - c_k) ds_k/dp_j = 0, where the derivatives of
    agents' terms A_ij s_ij (m_j - M_ij) are taken, M_ij the mean margin that j's firm earns on agent i.
    """
    probabilities, slopes, curvatures, _, weights = choices
    owned = (setters[:, None] == setters).astype(np.float64)
    sloped, derivatives = slopes * probabilities, choices.d_shares_d_prices
    mean = owned @ (margin[:, None] * probabilities)
    gains = margin[:, None] - mean
    own = (curvatures * probabilities + slopes * sloped) * gains
    second = np.diag(own @ weights) - (sloped * (gains - mean) * weights) @ sloped.T
    second -= owned * margin * ((sloped * weights) @ sloped.T)
    d_costs = owned * derivatives.T
    try:
        return np.asarray(np.linalg.solve(derivatives + d_costs + second, d_costs), np.float64)
    except np.linalg.LinAlgError:
        return np.full(d_costs.shape, np.nan)


def reassigned(products: Products, firm_ids: NDArray[Any]) -> Products:
    """Return the products with other owners, sorted again; the user's rows stay where they are.

    firm_ids  (N,) in the order of the user's rows
    """
    previous = np.arange(products.number) if products.order is None else products.order
    firms = group_codes(firm_ids)[0][previous]
    markets = np.repeat(np.arange(products.markets), np.diff(products.market_offsets))
    keys = markets * (int(firms.max()) + 1) + firms
    moves = np.argsort(keys, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(keys[moves])) + 1)
    counts = np.bincount(markets[starts], minlength=products.markets)
    order = previous[moves]
    columns = {name: column[moves] for name, column in products.columns.items()}
    return Products(
        columns={**columns, "firm_ids": firm_ids[order]},
        market_offsets=products.market_offsets,
        firm_offsets=np.append(starts, products.number),
        market_firms=np.append(0, np.cumsum(counts)),
        order=None if np.array_equal(order, np.arange(order.size)) else order,
    )
