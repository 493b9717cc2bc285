"""Bertrand prices with nests and any ownership: the zeta-markup fixed point of Morrow and Skerlos (2011).

With markups n = p - c and E_ij = sum_k H_jk n_k s_ik, E^h_ij the same over j's nest,

    zeta_j = (own_j - s_j) / (H_jj kappa_j Lambda_j),
    own_j = sum_i w_i A_ij (s_ij E_ij + (kappa_j - 1) c_ij E^h_ij).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blpsim.arrays import Integers, Matrix, Offsets, Specific, Vector, rows_on_lines
from blpsim.kernels.choice import fill, fill_coefficients, fill_utilities
from blpsim.kernels.compile import driver_kernel, inner_kernel, kernel
from blpsim.kernels.general.choice import (
    NestedMarket,
    exponentiate_nests,
    fill_nest_probabilities,
    finish_nests,
)
from blpsim.kernels.general.gradient import Firm, fill_markup_sums
from blpsim.kernels.general.specific import fill_specific_utilities
from blpsim.kernels.inversion import MEMORY, anderson_step
from blpsim.kernels.links import apply_links
from blpsim.kernels.pricing import LONGEST_MOVE, Equilibrium
from blpsim.kernels.zeta import HISTORY_ROWS, PricedUtilities

PRICE, MOVE, ZETA, STEEP, ONES = 0, 1, 2, 3, 4
"""Rows of products in the bench."""

BLOCK_ROWS = 5
"""Rows of agents a nest."""


class NestedPricing(NamedTuple):
    """Nests and ownership of all markets, and scratch space for one."""

    offsets: Integers
    """(T+1,) market t holds nests ``offsets[t]:offsets[t+1]``."""
    nests: Integers
    """(N,)."""
    kappa: Vector
    """(B,)."""
    ownership: Matrix
    """(N, n*) H_jk of the products k that j's price setter owns."""
    base: Matrix
    """(J*, I*) utilities at prices of zero."""
    slopes: Matrix
    """(J*, I*) derivatives of utility."""
    odds: Matrix
    """(J*, I*)."""
    probabilities: Matrix
    """(J*, I*)."""
    blocks: Matrix
    """(5 B*, I*)."""
    agents: Matrix
    """(4, I*) outside odds, their sum, and sums over a firm."""
    coefficients: Matrix
    """(K2, I*)."""
    products: Matrix
    """(5, J*) price, move, zeta, mean slope, ones."""
    history: Matrix
    """(R, J*) of the acceleration."""
    small: Matrix
    """(M + 1, M)."""
    specific: Specific


def nested_pricing(
    nests: tuple[Integers, Integers, Vector],
    offsets: Offsets,
    ownership: Matrix,
    coefficients: int,
    specific: Specific,
) -> NestedPricing:
    """Return nests (offsets, each product's, kappa) with scratch space for markets of these sizes."""
    agents, products = int(np.diff(offsets.agents).max()), int(np.diff(offsets.products).max())
    most = int(np.diff(nests[0]).max())
    return NestedPricing(
        *nests,
        ownership=ownership,
        base=rows_on_lines(products, agents),
        slopes=rows_on_lines(products, agents),
        odds=rows_on_lines(products, agents),
        probabilities=rows_on_lines(products, agents),
        blocks=rows_on_lines(BLOCK_ROWS * most, agents),
        agents=rows_on_lines(4, agents),
        coefficients=rows_on_lines(coefficients, agents),
        products=np.ones((ONES + 1, products)),
        history=np.empty((HISTORY_ROWS, products)),
        small=np.empty((MEMORY + 1, MEMORY)),
        specific=specific,
    )


@inner_kernel
def priced_market(t: int, pricing: NestedPricing, offsets: Offsets, weights: Vector) -> NestedMarket:
    """Return market t's nests, with space for one market."""
    nest, last_nest = pricing.offsets[t], pricing.offsets[t + 1]
    size, blocks = last_nest - nest, pricing.blocks
    return NestedMarket(
        pricing.nests[offsets.products[t] : offsets.products[t + 1]],
        pricing.kappa[nest:last_nest],
        weights[offsets.agents[t] : offsets.agents[t + 1]],
        pricing.odds,
        blocks[:size],
        blocks[size : 2 * size],
        blocks[2 * size : 3 * size],
        blocks[3 * size : 4 * size],
        blocks[4 * size : 5 * size],
        pricing.agents[0, : offsets.agents[t + 1] - offsets.agents[t]],
        pricing.agents[1, : offsets.agents[t + 1] - offsets.agents[t]],
        pricing.specific.available[offsets.products[t] : offsets.products[t + 1]],
        pricing.specific.deviations[:0],
    )


@driver_kernel
def fill_priced_market(t: int, pricing: NestedPricing, offsets: Offsets, utilities: PricedUtilities) -> None:
    """Fill market t's utilities at prices of zero, and their slopes."""
    first, last = offsets.products[t], offsets.products[t + 1]
    agent, last_agent = offsets.agents[t], offsets.agents[t + 1]
    coefficients, tastes, consumers = pricing.coefficients, utilities.tastes, utilities.consumers
    for k in range(coefficients.shape[0]):
        fill(coefficients[k], 0.0)
    fill_coefficients(coefficients, tastes.sigma, consumers.nodes, agent, last_agent)
    fill_coefficients(coefficients, tastes.pi, consumers.demographics, agent, last_agent)
    agents, specific = last_agent - agent, pricing.specific
    steep = pricing.products[STEEP, : last - first]
    for j in range(steep.size):
        steep[j] = 0.0
        for e in range(tastes.alpha.size):
            steep[j] += utilities.slopes.x1[first + j, e] * tastes.alpha[e]
    delta, x2, x2_slopes = (
        utilities.delta[first:last],
        utilities.x2[first:last],
        utilities.slopes.x2[first:last],
    )
    if specific.places.size == 0:
        apply_links(coefficients, tastes.links, agents)
        fill_utilities(pricing.base, delta, x2, coefficients, agents)
        fill_utilities(pricing.slopes, steep, x2_slopes, coefficients, agents)
    else:
        place = (first, agents)
        fill_specific_utilities(pricing.base, delta, x2, coefficients, tastes, specific, place)
        fill_specific_utilities(pricing.slopes, steep, x2_slopes, coefficients, tastes, specific, place)


@inner_kernel
def choose_at_prices(market: NestedMarket, pricing: NestedPricing, prices: Vector) -> None:
    """Fill probabilities, and odds with those given the nest, at prices (J,)."""
    for j in range(prices.size):
        row, base, slope, price = market.odds[j], pricing.base[j], pricing.slopes[j], prices[j]
        for i in range(market.weights.size):
            row[i] = base[i] + slope[i] * price
    ones = pricing.products[ONES, : prices.size]
    exponentiate_nests(market)
    fill_nest_probabilities(market, ones)
    finish_nests(market, pricing.probabilities, market.scale, ones)


@driver_kernel
def evaluate_nested_zeta(
    t: int,
    market: NestedMarket,
    pricing: NestedPricing,
    offsets: Offsets,
    prices: Vector,
    markups: Vector,
    shares: Vector,
) -> tuple[float, float]:
    """Fill in the zeta map and shares; return the largest derivative of profit and the longest move.

    Moves are in utils. Both are infinite where something is not finite or demand does not slope down.
    """
    choose_at_prices(market, pricing, prices)
    zeta, sums, first = pricing.products[ZETA], pricing.agents[2:4], offsets.products[t]
    residual, distance, checked, slopes_down = 0.0, 0.0, 0.0, True
    for f in range(offsets.firms[t], offsets.firms[t + 1]):
        start, stop = offsets.firm_products[f], offsets.firm_products[f + 1]
        held, earned = pricing.ownership[start:stop], markups[start - first : stop - first]
        firm = Firm(start - first, pricing.probabilities, pricing.slopes, 1, held, earned, earned)
        for j in range(start - first, stop - first):
            fill_markup_sums(sums, j - firm.start, market, firm, pricing.probabilities)
            kappa = market.kappa[market.nest[j]]
            row, inner, slope = pricing.probabilities[j], market.odds[j], pricing.slopes[j]
            share, own, sloped, steepest = 0.0, 0.0, 0.0, 0.0
            for i in range(market.weights.size):
                weighted = market.weights[i] * slope[i]
                share += market.weights[i] * row[i]
                sloped += weighted * row[i]
                own += weighted * (row[i] * sums[0, i] + (kappa - 1.0) * inner[i] * sums[1, i])
                steepest = max(steepest, abs(slope[i]))
            capital = held[j - firm.start, j - firm.start] * kappa * sloped
            gradient = capital * markups[j] - own + share
            shares[j] = share
            zeta[j] = (own - share) / capital
            residual = max(residual, abs(gradient))
            distance = max(distance, kappa * steepest * abs(zeta[j] - markups[j]))
            checked += zeta[j] + gradient
            slopes_down &= capital < 0.0
    if np.isfinite(checked) and slopes_down:
        return residual, distance
    return np.inf, np.inf


@driver_kernel
def iterate_nested_zeta(
    t: int,
    pricing: NestedPricing,
    offsets: Offsets,
    weights: Vector,
    costs: Vector,
    equilibrium: Equilibrium,
    rule: tuple[float, int, int],
) -> None:
    """Move market t's markups until the first-order conditions hold.

    rule  tolerance, and evaluations allowed with acceleration and, if that fails, without
    """
    first, last = offsets.products[t], offsets.products[t + 1]
    market = priced_market(t, pricing, offsets, weights)
    markups, shares = equilibrium.markups[first:last], equilibrium.shares[first:last]
    prices, move = pricing.products[PRICE, : last - first], pricing.products[MOVE, : last - first]
    zeta, tolerance = pricing.products[ZETA], rule[0]
    residual, evaluations = np.inf, 0
    for phase in range(2):
        if evaluations > 0:
            fill(markups, 0.0)
        for evaluation in range(rule[1] if phase == 0 else rule[2]):
            for j in range(markups.size):
                prices[j] = costs[first + j] + markups[j]
            residual, distance = evaluate_nested_zeta(t, market, pricing, offsets, prices, markups, shares)
            evaluations += 1
            if not (residual >= tolerance or distance >= LONGEST_MOVE) or not residual < np.inf:
                break
            for j in range(markups.size):
                move[j] = zeta[j] - markups[j]
            if phase == 0:
                anderson_step(markups, move, pricing.history, pricing.small, evaluation)
            else:
                for j in range(markups.size):
                    markups[j] += move[j]
            residual = max(residual, tolerance)
        if residual < tolerance:
            break
    equilibrium.residuals[t], equilibrium.evaluations[t] = residual, evaluations


@kernel
def solve_nested_equilibrium(
    equilibrium: Equilibrium,
    utilities: PricedUtilities,
    offsets: Offsets,
    costs: Vector,
    tolerance: float,
    limits: tuple[int, int],
    pricing: NestedPricing,
) -> None:
    """Move the equilibrium's markups until the first-order conditions hold in each market.

    As ``solve_equilibrium``, with nests and any ownership.
    """
    for t in range(equilibrium.residuals.size):
        fill_priced_market(t, pricing, offsets, utilities)
        weights, rule = utilities.consumers.weights, (tolerance, limits[0], limits[1])
        iterate_nested_zeta(t, pricing, offsets, weights, costs, equilibrium, rule)
