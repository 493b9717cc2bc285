"""Bertrand prices: the zeta-markup fixed point, all markets in one call.

An equilibrium is certified by the largest derivative of profit with respect to a price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blpsim.arrays import Booleans, Integers, Matrix, Offsets, Tensor, Vector
from blpsim.kernels.choice import fill
from blpsim.kernels.compile import driver_kernel, kernel
from blpsim.kernels.inversion import anderson_step
from blpsim.kernels.zeta import (
    PricedMarket,
    PricedUtilities,
    PricingBench,
    agents_share_slopes,
    evaluate_zeta,
    fill_market,
)

LONGEST_MOVE = 1e-8
"""What a step may still move prices, in utils: small shares have small derivatives of profit at any price."""


class Equilibrium(NamedTuple):
    """Prices and shares of all markets, and how well they satisfy the first-order conditions."""

    markups: Vector
    """(N,) prices less marginal costs."""
    shares: Vector
    """(N,) shares at these prices."""
    residuals: Vector
    """(T,) largest derivative of profit in each market; infinite where something is not finite."""
    evaluations: Integers
    """(T,) evaluations of the zeta map."""


class Histories(NamedTuple):
    """What the acceleration remembers, where the markets take their steps together."""

    markets: Tensor
    """(T, R, J)."""
    small: Matrix
    """(M + 1, M)."""


@driver_kernel
def _iterate(
    market: PricedMarket,
    costs: Vector,
    markups: Vector,
    shares: Vector,
    tolerance: float,
    limits: tuple[int, int],
) -> tuple[float, int]:
    """Move markups until the first-order conditions hold; return the residual and the evaluations used."""
    prices, move, zeta = market.prices, market.move, market.zeta
    residual, evaluations = np.inf, 0
    for phase in range(2):
        if evaluations > 0:
            fill(markups, 0.0)
        for evaluation in range(limits[phase]):
            for j in range(costs.size):
                prices[j] = costs[j] + markups[j]
            residual, distance = evaluate_zeta(market, prices, markups, shares)
            evaluations += 1
            if residual < tolerance and distance < LONGEST_MOVE:
                return residual, evaluations
            if not residual < np.inf:
                break
            for j in range(costs.size):
                move[j] = zeta[j] - markups[j]
            if phase == 0:
                anderson_step(markups, move, market.bench.history, market.bench.small, evaluation)
            else:
                for j in range(costs.size):
                    markups[j] += move[j]
    return max(residual, tolerance), evaluations


@kernel
def solve_equilibrium(
    equilibrium: Equilibrium,
    utilities: PricedUtilities,
    offsets: Offsets,
    costs: Vector,
    tolerance: float,
    limits: tuple[int, int],
    bench: PricingBench,
) -> None:
    """Move the equilibrium's markups until the first-order conditions hold in each market.

    limits  evaluations of the zeta map allowed with Anderson acceleration, and if that fails without it,
            from markups of zero; (0, 1) makes one plain step, so that markups become zeta
    """
    shared, space = agents_share_slopes(utilities.slopes), bench.products
    for t in range(equilibrium.residuals.size):
        first, last = offsets.products[t], offsets.products[t + 1]
        agent, last_agent = offsets.agents[t], offsets.agents[t + 1]
        products, agents = last - first, last_agent - agent
        market = PricedMarket(
            shared,
            not utilities.slopes.varies,
            offsets.firm_products[offsets.firms[t] : offsets.firms[t + 1] + 1],
            utilities.consumers.weights[agent:last_agent],
            bench.agents[0, :agents],
            bench.agents[1, :agents],
            bench.agents[2, :agents],
            space[0, :products],
            space[1, :products],
            space[2, :products],
            space[3, :products],
            space[4, :products],
            space[5, :products],
            space[6, :products],
            bench,
        )
        fill_market(market, utilities, first, agent)
        equilibrium.residuals[t], equilibrium.evaluations[t] = _iterate(
            market,
            costs[first:last],
            equilibrium.markups[first:last],
            equilibrium.shares[first:last],
            tolerance,
            limits,
        )


@kernel
def accelerate_markets(
    markups: Vector,
    moves: Vector,
    products: Integers,
    active: Booleans,
    histories: Histories,
    evaluation: int,
) -> None:
    """Move the markups (N,) of active markets by Anderson's extrapolation, given zeta less the markups.

    products  (T + 1,)  offsets of the markets
    active    (T,)
    """
    for t in range(active.size):
        if active[t]:
            own = slice(products[t], products[t + 1])
            anderson_step(markups[own], moves[own], histories.markets[t], histories.small, evaluation)
