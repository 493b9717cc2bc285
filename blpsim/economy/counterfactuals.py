"""What follows from choices in one market: substitution, markups, passthrough; and who owns what."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Matrix, Vector
from blpsim.economy.choices import Choices, choose
from blpsim.model.panel import Products
from blpsim.model.tables import group_codes

_STEP = 1e-30


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
    if choices.has_nests:
        return _nested_diversion(choices)
    probabilities = choices.probabilities
    leaving = probabilities / (1 - probabilities) * choices.weights
    diversion = leaving @ probabilities.T
    np.fill_diagonal(diversion, leaving @ (1 - probabilities.sum(axis=0)))
    return diversion / choices.shares[:, None]


def _nested_diversion(choices: Choices) -> Matrix:
    """Return long-run diversion: without j its nest shrinks, and the rest of the nest gains more."""
    probabilities, kappa, weights = choices.probabilities, choices.kappa, choices.weights
    outside = 1 - probabilities.sum(axis=0)
    diversion = np.empty((kappa.size, kappa.size))
    for j in range(kappa.size):
        near = choices.nest == choices.nest[j]
        inner, chosen = choices.conditionals[j], probabilities[near].sum(axis=0)
        rest = np.maximum(1 - inner, 0)
        shrunk = rest ** (1 / kappa[j])
        total = 1 - chosen * (1 - shrunk)
        grown = np.where(near[:, None], np.divide(shrunk, rest, where=rest > 0, out=0 * rest), 1.0) / total
        diversion[j] = (probabilities * (grown - 1)) @ weights
        diversion[j, j] = (outside * (1 / total - 1)) @ weights
    return diversion / choices.shares[:, None]


def margins(choices: Choices, owned: Matrix) -> Vector:
    """Return prices less marginal costs, (J,), that maximize profits; NaN where no solution exists.

    owned  (J, J) the weight on k's profit of who sets the price of j
    """
    try:
        return np.asarray(np.linalg.solve(-owned * choices.d_shares_d_prices.T, choices.shares), np.float64)
    except np.linalg.LinAlgError:
        return np.full(len(owned), np.nan)


def passthrough(choices: Choices, owned: Matrix, margin: Vector) -> Matrix:
    """Return derivatives of equilibrium prices (rows) with respect to marginal costs (columns), (J, J).

    owned   (J, J) the weight H_jk on k's profit of who sets the price of j
    margin  (J,) prices less marginal costs m

    The implicit function theorem at s_j + sum_k H_jk m_k ds_k/dp_j = 0.
    """
    return _solved(condition_slopes(choices, owned, margin), owned * choices.d_shares_d_prices.T)


def condition_slopes(choices: Choices, owned: Matrix, margin: Vector) -> Matrix:
    """Return derivatives of first-order conditions (rows) by prices (columns) at constant costs, (J, J).

    owned, margin  as in ``passthrough``

    Derivatives of agents' terms A_ij s_ij (H_jj m_j - M_ij) in s_j + sum_k H_jk m_k ds_k/dp_j are taken,
    M_ij = sum_k H_jk m_k s_ik what j's setter earns on agent i.
    """
    if choices.has_nests:
        return _nested_slopes(choices, owned, margin)
    probabilities, slopes, curvatures = choices.probabilities, choices.slopes, choices.curvatures
    weights = choices.weights
    sloped, derivatives = slopes * probabilities, choices.d_shares_d_prices
    mean = owned @ (margin[:, None] * probabilities)
    gains = (np.diag(owned) * margin)[:, None] - mean
    own = (curvatures * probabilities + slopes * sloped) * gains
    second = np.diag(own @ weights) - (sloped * (gains - mean) * weights) @ sloped.T
    second -= owned * margin * ((sloped * weights) @ sloped.T)
    d_costs = owned * derivatives.T
    return np.asarray(derivatives + d_costs + second, np.float64)


def _nested_slopes(choices: Choices, owned: Matrix, margin: Vector) -> Matrix:
    """Return first-order conditions differentiated by complex steps, exact to rounding."""
    products = margin.size
    d_conditions = np.empty((products, products))
    for k in range(products):
        step = np.zeros(products, np.complex128)
        step[k] = 1j * _STEP
        slopes = choices.slopes + step[:, None] * choices.curvatures
        utilities = choices.utilities + step[:, None] * choices.slopes
        chosen = choose(utilities, choices.nest, choices.kappa, choices.available)
        effects = owned * choices.derivatives(chosen, slopes).T
        conditions = chosen.probabilities @ choices.weights + effects @ (margin + step)
        d_conditions[:, k] = conditions.imag / _STEP
    return d_conditions


def responsive(choices: Choices, constant: Matrix, slopes: Vector | None) -> Matrix:
    """Return passthrough, (J, J), of shifts of marginal costs that depend on quantities.

    constant  (J, J) passthrough P at constant costs
    slopes    (J,) derivatives of marginal costs by shares; None where they are constant

    Prices move by dp = P (shift + diag(slopes) ds/dp dp).
    """
    if slopes is None:
        return constant
    response = constant @ (slopes[:, None] * choices.d_shares_d_prices)
    return _solved(np.eye(len(constant)) - response, constant)


def _solved(matrix: Matrix, right: Matrix) -> Matrix:
    try:
        return np.asarray(np.linalg.solve(matrix, right), np.float64)
    except np.linalg.LinAlgError:
        return np.full(right.shape, np.nan)


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
