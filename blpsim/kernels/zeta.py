"""The zeta-markup map of Morrow and Skerlos (2011) in one market, and its derivatives of profit.

With markups n = p - c and A_ij the derivative of agent i's utility of j with respect to p_j,

    zeta_j = (own_j - s_j) / Lambda_j,   own_j = sum_i w_i A_ij s_ij sum_{k of j's firm} n_k s_ik,

and Lambda_j = sum_i w_i A_ij s_ij, so a step costs O(I J) and no J x J array exists. The derivative of
profit with respect to p_j is Lambda_j (n_j - zeta_j).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blpsim.arrays import Consumers, Integers, Matrix, Offsets, Slopes, Tastes, Vector, rows_on_lines
from blpsim.kernels.choice import copy, fill, fill_coefficients, fill_utilities
from blpsim.kernels.compile import driver_kernel, inner_kernel
from blpsim.kernels.elementary import exp
from blpsim.kernels.inversion import MEMORY
from blpsim.kernels.links import apply_links

_REBASING = 50.0
_PRODUCT_ROWS = 7
HISTORY_ROWS = 2 + 2 * MEMORY
"""What the acceleration remembers of a market."""


class PricedUtilities(NamedTuple):
    """Utilities affine in a product's own price: V_ij = delta_j + x2_j' C_i + A_ij p_j."""

    delta: Vector
    """(N,) mean utilities at prices of zero."""
    x2: Matrix
    """(N, K2) nonlinear characteristics at prices of zero."""
    slopes: Slopes
    """Derivatives of the characteristics: A_ij = x1_j' alpha + x2_j' C_i of these."""
    tastes: Tastes
    consumers: Consumers


class PricingBench(NamedTuple):
    """Scratch space for one market; rows may be longer than a market has agents or products."""

    base: Matrix
    """(J, I) utilities at prices of zero."""
    odds: Matrix
    """(J, I) exp(V_ij - M_i), at the reference prices if agents share slopes, else at current prices."""
    slopes: Matrix
    """(J, I) derivatives of utility, in one row if products share them; not used if agents do."""
    firm_sums: Matrix
    """(F, I) odds times markups, summed over a firm's products."""
    agents: Matrix
    """(3, I) largest utility M_i at the reference prices, outside odds exp(-M_i), denominators."""
    coefficients: Matrix
    """(K2, I)."""
    products: Matrix
    """(7, J) steepest slope, reference price, price, move, zeta, Lambda, own."""
    history: Matrix
    """(R, J) of the acceleration."""
    small: Matrix
    """(M + 1, M) of the acceleration."""


class PricedMarket(NamedTuple):
    """One market: whose utilities and firms, in which space."""

    agents_share_slopes: bool
    """Whether a price multiplies a product's odds by one factor for all agents."""
    products_share_slopes: bool
    """Whether one row of slopes serves all products."""
    firms: Integers
    """(F + 1,) firm f holds products firms[f] to firms[f + 1] - 1, less firms[0]."""
    weights: Vector
    """(I,) integration weights."""
    largest: Vector
    """(I,) M_i."""
    outside: Vector
    """(I,) exp(-M_i)."""
    denominators: Vector
    """(I,) sums of odds, then weights over them."""
    steepest: Vector
    """(J,) slopes that agents share, or the largest absolute slopes."""
    reference: Vector
    """(J,) prices at which M_i was taken."""
    prices: Vector
    """(J,) where the map is evaluated."""
    move: Vector
    """(J,) zeta less the markups."""
    zeta: Vector
    """(J,) the map's value."""
    capital: Vector
    """(J,) Lambda."""
    own: Vector
    """(J,)."""
    bench: PricingBench


def pricing_bench(offsets: Offsets, coefficients: int) -> PricingBench:
    """Return space for the largest market, with so many coefficients an agent."""
    products, agents = int(np.diff(offsets.products).max()), int(np.diff(offsets.agents).max())
    return PricingBench(
        base=rows_on_lines(products, agents),
        odds=rows_on_lines(products, agents),
        slopes=rows_on_lines(products, agents),
        firm_sums=rows_on_lines(int(np.diff(offsets.firms).max()), agents),
        agents=rows_on_lines(3, agents),
        coefficients=rows_on_lines(coefficients, agents),
        products=np.empty((_PRODUCT_ROWS, products)),
        history=np.empty((HISTORY_ROWS, products)),
        small=np.empty((MEMORY + 1, MEMORY)),
    )


@inner_kernel
def agents_share_slopes(slopes: Slopes) -> bool:
    """Return whether no nonlinear characteristic depends on prices."""
    for j in range(slopes.x2.shape[0]):
        for k in range(slopes.x2.shape[1]):
            if slopes.x2[j, k] != 0.0:
                return False
    return True


@driver_kernel
def fill_market(market: PricedMarket, utilities: PricedUtilities, first: int, agent: int) -> None:
    """Fill in the utilities of the products and agents from the given ones on."""
    last, last_agent = first + market.steepest.size, agent + market.weights.size
    slopes, coefficients, steepest = utilities.slopes, market.bench.coefficients, market.steepest
    tastes, consumers, agents = utilities.tastes, utilities.consumers, market.weights.size
    for k in range(coefficients.shape[0]):
        fill(coefficients[k], 0.0)
    fill_coefficients(coefficients, tastes.sigma, consumers.nodes, agent, last_agent)
    fill_coefficients(coefficients, tastes.pi, consumers.demographics, agent, last_agent)
    apply_links(coefficients, tastes.links, agents)
    base = market.bench.base
    fill_utilities(base, utilities.delta[first:last], utilities.x2[first:last], coefficients, agents)
    fill(market.reference, np.inf)
    for j in range(steepest.size):
        steepest[j] = 0.0
        for e in range(tastes.alpha.size):
            steepest[j] += slopes.x1[first + j, e] * tastes.alpha[e]
    if market.agents_share_slopes:
        return
    rows = 1 if market.products_share_slopes else steepest.size
    fill_utilities(market.bench.slopes, steepest[:rows], slopes.x2[first:last], coefficients, agents)
    for j in range(steepest.size):
        row = market.bench.slopes[min(j, rows - 1)]
        largest = 0.0
        for i in range(agents):
            largest = max(largest, abs(row[i]))
        steepest[j] = largest


@inner_kernel
def _is_far(market: PricedMarket, prices: Vector) -> bool:
    """Return whether a utility may have moved too far from where M_i was taken; NaN counts as far."""
    steepest, reference, near = market.steepest, market.reference, True
    for j in range(prices.size):
        near &= abs(steepest[j] * (prices[j] - reference[j])) < _REBASING
    return not near


@inner_kernel
def _rebase(market: PricedMarket, prices: Vector) -> None:
    """Take M_i, and the odds if agents share slopes, at these prices."""
    largest, outside, bench = market.largest, market.outside, market.bench
    fill(largest, 0.0)
    for j in range(prices.size):
        base, odds, price = bench.base[j], bench.odds[j], prices[j]
        if market.agents_share_slopes:
            move = market.steepest[j] * price
            for i in range(largest.size):
                odds[i] = base[i] + move
        else:
            slopes = bench.slopes[0 if market.products_share_slopes else j]
            for i in range(largest.size):
                odds[i] = base[i] + slopes[i] * price
        for i in range(largest.size):
            largest[i] = max(largest[i], odds[i])
    for i in range(largest.size):
        outside[i] = exp(-largest[i])
    copy(market.reference, prices)
    if market.agents_share_slopes:
        for j in range(prices.size):
            odds = bench.odds[j]
            for i in range(largest.size):
                odds[i] = exp(odds[i] - largest[i])


@driver_kernel
def _set_growth(market: PricedMarket, prices: Vector, growth: Vector) -> None:
    """Take the odds at these prices up to growth (J,), the factor that agents share."""
    if _is_far(market, prices):
        _rebase(market, prices)
    if market.agents_share_slopes:
        steepest, reference = market.steepest, market.reference
        for j in range(prices.size):
            growth[j] = exp(steepest[j] * (prices[j] - reference[j]))
        return
    largest, bench = market.largest, market.bench
    fill(growth, 1.0)
    for j in range(prices.size):
        base, odds, price = bench.base[j], bench.odds[j], prices[j]
        slopes = bench.slopes[0 if market.products_share_slopes else j]
        for i in range(largest.size):
            odds[i] = exp(base[i] + slopes[i] * price - largest[i])


@inner_kernel
def _accumulate(market: PricedMarket, growth: Vector, markups: Vector) -> None:
    """Sum odds over alternatives, and odds times markups over each firm's products."""
    bench, denominators, firms, start = market.bench, market.denominators, market.firms, market.firms[0]
    copy(denominators, market.outside)
    for f in range(firms.size - 1):
        firm_sum = bench.firm_sums[f]
        fill(firm_sum, 0.0)
        for j in range(firms[f] - start, firms[f + 1] - start):
            row = bench.odds[j]
            factor, markup = growth[j], growth[j] * markups[j]
            for i in range(denominators.size):
                denominators[i] += factor * row[i]
                firm_sum[i] += markup * row[i]


@inner_kernel
def _weigh(market: PricedMarket) -> None:
    """Turn denominators D into w / D, and each firm's sums into w / D times its mean markup."""
    denominators, weights = market.denominators, market.weights
    for i in range(weights.size):
        denominators[i] = 1.0 / denominators[i]
    for f in range(market.firms.size - 1):
        firm_sum = market.bench.firm_sums[f]
        for i in range(weights.size):
            firm_sum[i] *= weights[i] * denominators[i] * denominators[i]
    for i in range(weights.size):
        denominators[i] *= weights[i]


@inner_kernel
def _sum_shared(market: PricedMarket, shares: Vector) -> None:
    """Fill shares, and s_ij times the firm's mean markup summed over agents, both without growth."""
    bench, weights, firms, start = market.bench, market.denominators, market.firms, market.firms[0]
    for f in range(firms.size - 1):
        firm_weights = bench.firm_sums[f]
        for j in range(firms[f] - start, firms[f + 1] - start):
            row = bench.odds[j]
            share, own = 0.0, 0.0
            for i in range(weights.size):
                share += row[i] * weights[i]
                own += row[i] * firm_weights[i]
            shares[j] = share
            market.own[j] = own


@inner_kernel
def _sum_sloped(market: PricedMarket, shares: Vector) -> None:
    """Fill shares, Lambda and own, where agents differ in their slopes."""
    bench, weights, firms, start = market.bench, market.denominators, market.firms, market.firms[0]
    for f in range(firms.size - 1):
        firm_weights = bench.firm_sums[f]
        for j in range(firms[f] - start, firms[f + 1] - start):
            row, slopes = bench.odds[j], bench.slopes[0 if market.products_share_slopes else j]
            share, capital, own = 0.0, 0.0, 0.0
            for i in range(weights.size):
                sloped = slopes[i] * row[i]
                share += row[i] * weights[i]
                capital += sloped * weights[i]
                own += sloped * firm_weights[i]
            shares[j] = share
            market.capital[j] = capital
            market.own[j] = own


@driver_kernel
def evaluate_zeta(
    market: PricedMarket, prices: Vector, markups: Vector, shares: Vector
) -> tuple[float, float]:
    """Fill in the zeta map and shares; return the largest derivative of profit and the longest move.

    Moves are in utils. Both are infinite where something is not finite or demand does not slope down.
    """
    zeta, steepest, capital, own = market.zeta, market.steepest, market.capital, market.own
    growth = zeta
    _set_growth(market, prices, growth)
    _accumulate(market, growth, markups)
    _weigh(market)
    if market.agents_share_slopes:
        _sum_shared(market, shares)
        for j in range(prices.size):
            shares[j] *= growth[j]
            capital[j] = steepest[j] * shares[j]
            own[j] *= steepest[j] * growth[j]
    else:
        _sum_sloped(market, shares)
    residual, move, slopes_down = 0.0, 0.0, True
    for j in range(prices.size):
        gradient = capital[j] * markups[j] - own[j] + shares[j]
        zeta[j] = (own[j] - shares[j]) / capital[j]
        residual = max(residual, abs(gradient))
        move = max(move, abs(steepest[j] * (zeta[j] - markups[j])))
        slopes_down &= capital[j] < 0.0
    total = 0.0
    for j in range(prices.size):
        total += zeta[j] + capital[j] * markups[j]
    if np.isfinite(total) and slopes_down:
        return residual, move
    return np.inf, np.inf
