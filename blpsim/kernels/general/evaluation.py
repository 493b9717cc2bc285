"""The objective with nests and any ownership, after theta is taken apart: inversion, markups, moments."""

from __future__ import annotations

from blpsim.arrays import Bench, InversionRule, Matrix, Moments, Nesting, Panel, State, Target, Tastes, Vector
from blpsim.kernels.choice import (
    copy,
    fill,
    fill_coefficients,
    fill_utilities,
    is_finite,
    weighted_sums,
)
from blpsim.kernels.compile import driver_kernel, inner_kernel
from blpsim.kernels.evaluation import COEFFICIENTS, FINE, NO_MARKUPS, NOT_FINITE
from blpsim.kernels.general.choice import NestedMarket, finish_nests
from blpsim.kernels.general.inversion import NestTarget, invert_nested_shares
from blpsim.kernels.general.specific import fill_market_utilities, fill_specific_utilities
from blpsim.kernels.linear import factorize, solve_factorized
from blpsim.kernels.links import apply_links, fill_link_slopes
from blpsim.kernels.moments import fill_costs, fill_residuals

HIGHEST, SCALE, INSIDE, PULL, BLOCKS = 0, 1, 2, 3, 6
"""Where a market's blocks of rows begin in the scratch of nests, in numbers of nests; and how many."""


@inner_kernel
def market_nests(t: int, panel: Panel, nesting: Nesting, bench: Bench) -> NestedMarket:
    """Return market t's nests and agents, and where what is said of them is kept."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    nest, last_nest = nesting.offsets[t], nesting.offsets[t + 1]
    size, agents = last_nest - nest, last_agent - agent
    return NestedMarket(
        nesting.nests[first:last],
        nesting.kappa[nest:last_nest],
        panel.consumers.weights[agent:last_agent],
        nesting.conditionals[first:last],
        nesting.scratch[HIGHEST * size : (HIGHEST + 1) * size],
        nesting.scratch[SCALE * size : (SCALE + 1) * size],
        nesting.scratch[INSIDE * size : (INSIDE + 1) * size],
        nesting.probabilities[nest:last_nest],
        nesting.scratch[PULL * size : (PULL + 1) * size],
        bench.agents[0, :agents],
        bench.agents[1, :agents],
        nesting.specific.available[first:last],
        nesting.specific.deviations[first:last],
    )


@inner_kernel
def nest_target(t: int, nesting: Nesting) -> NestTarget:
    """Return what market t's nests must reproduce."""
    nest, last_nest = nesting.offsets[t], nesting.offsets[t + 1]
    return NestTarget(nesting.log_shares[nest:last_nest], nesting.shares[: last_nest - nest])


@driver_kernel
def nested_market_target(
    t: int, panel: Panel, tastes: Tastes, nesting: Nesting, state: State, bench: Bench
) -> tuple[NestedMarket, Target]:
    """Return market t and what its mean utilities must reproduce, after its coefficients are filled."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    coefficients = bench.agents[COEFFICIENTS:]
    for k in range(panel.x2.shape[1]):
        fill(coefficients[k], 0.0)
    fill_coefficients(coefficients, tastes.sigma, panel.consumers.nodes, agent, last_agent)
    fill_coefficients(coefficients, tastes.pi, panel.consumers.demographics, agent, last_agent)
    market = market_nests(t, panel, nesting, bench)
    if nesting.specific.places.size == 0:
        apply_links(coefficients, tastes.links, market.weights.size)
        fill_link_slopes(state.link_slopes, coefficients, tastes.links, agent, last_agent)
    else:
        nothing, place = bench.products[0, : last - first], (first, last_agent - agent)
        fill(nothing, 0.0)
        fill_specific_utilities(
            market.deviations, nothing, panel.x2[first:last], coefficients, tastes, nesting.specific, place
        )
        for k in range(state.link_slopes.shape[0]):
            fill(state.link_slopes[k, agent:last_agent], 1.0)
    target = Target(
        panel.log_shares[first:last], panel.log_outside[t], panel.x2[first:last], coefficients, market.weights
    )
    return market, target


@driver_kernel
def solve_nested_demand(
    t: int, panel: Panel, tastes: Tastes, nesting: Nesting, state: State, bench: Bench, rule: InversionRule
) -> bool:
    """Invert market t's shares and fill its probabilities; return whether delta is finite."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    nest, last_nest = nesting.offsets[t], nesting.offsets[t + 1]
    market, target = nested_market_target(t, panel, tastes, nesting, state, bench)
    nests = nest_target(t, nesting)
    delta = state.delta[first:last]
    evaluations, residual = invert_nested_shares(delta, market, nests, bench, target, rule)
    state.evaluations[t] = evaluations
    state.residuals[t] = residual
    if not is_finite(residual):
        return False
    copy(state.shares[first:last], bench.products[4, : last - first])
    growth = bench.products[0, : last - first]
    finish_nests(market, state.probabilities[first:last], nesting.inclusive[nest:last_nest], growth)
    fill_market_utilities(nesting.utilities[first:last], delta, target.x2, target.coefficients, market)
    return True


@inner_kernel
def fill_nested_firm_block(
    gamma: Matrix,
    own: Vector,
    start: int,
    market: NestedMarket,
    probabilities: Matrix,
    slopes: tuple[Matrix, int],
    scaled: Vector,
) -> None:
    """Fill gamma (n, n*) and own (n,), a firm's Gamma and kappa Lambda; start is its first product's place.

    probabilities  (n, I*)
    slopes         (n, I*), or (1, I*) with a step of 0
    """
    weights, (matrix, step) = market.weights, slopes
    for j in range(own.size):
        h, slope, row, inner = (
            market.nest[start + j],
            matrix[j * step],
            probabilities[j],
            market.odds[start + j],
        )
        total, steep = 0.0, market.kappa[h] - 1.0
        for i in range(weights.size):
            total += weights[i] * slope[i] * row[i]
        own[j] = market.kappa[h] * total
        if steep == 0.0:
            for i in range(weights.size):
                scaled[i] = weights[i] * slope[i] * row[i]
            weighted_sums(gamma[j, : own.size], probabilities, scaled[: weights.size])
            continue
        for k in range(own.size):
            other, product = probabilities[k], 0.0
            for i in range(weights.size):
                scaled[i] = weights[i] * slope[i] * other[i]
            for i in range(weights.size):
                product += scaled[i] * row[i]
            if market.nest[start + k] == h:
                near = 0.0
                for i in range(weights.size):
                    near += scaled[i] * inner[i]
                product += steep * near
            gamma[j, k] = product


@driver_kernel
def solve_nested_supply(
    t: int, panel: Panel, tastes: Tastes, nesting: Nesting, state: State, bench: Bench
) -> bool:
    """Fill market t's slopes, firm blocks and markups; return whether every firm's Delta is regular."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    step = 1 if panel.slopes.varies else 0
    rows = 1 + (last - first - 1) * step
    row = first if panel.slopes.varies else t
    market = market_nests(t, panel, nesting, bench)
    fixed = bench.products[0, :rows]
    for r in range(rows):
        fixed[r] = 0.0
        for e in range(tastes.alpha.size):
            fixed[r] += panel.slopes.x1[first + r, e] * tastes.alpha[e]
    slopes, x2_slopes = state.slopes[row : row + rows], panel.slopes.x2[first : first + rows]
    if nesting.specific.places.size == 0:
        fill_utilities(slopes, fixed, x2_slopes, bench.agents[COEFFICIENTS:], market.weights.size)
    else:
        common, place = bench.agents[COEFFICIENTS:], (first, market.weights.size)
        fill_specific_utilities(slopes, fixed, x2_slopes, common, tastes, nesting.specific, place)
    for f in range(panel.offsets.firms[t], panel.offsets.firms[t + 1]):
        start, stop = panel.offsets.firm_products[f], panel.offsets.firm_products[f + 1]
        own, gamma, factors = state.own[start:stop], state.gamma[start:stop], state.factors[start:stop]
        firm_slopes = (slopes[(start - first) * step :], step)
        chosen = state.probabilities[start:stop]
        fill_nested_firm_block(gamma, own, start - first, market, chosen, firm_slopes, bench.agents[2])
        held = nesting.ownership[start:stop]
        for j in range(own.size):
            for k in range(own.size):
                factors[j, k] = held[j, k] * gamma[j, k]
            factors[j, j] -= held[j, j] * own[j]
            state.eta[start + j] = panel.shares[start + j]
        if not factorize(factors, state.pivots[start:stop]):
            return False
        solve_factorized(state.eta[start:stop], factors, state.pivots[start:stop])
    return True


@driver_kernel
def evaluate_nested(
    panel: Panel,
    tastes: Tastes,
    given: tuple[Vector, Vector],
    moments: Moments,
    worked: tuple[Nesting, State, Bench],
    rule: InversionRule,
) -> tuple[int, float, int]:
    """Return how it ended, the objective, and the number of clipped costs; fill the state and the nesting."""
    nesting, state, bench = worked
    supply = moments.supply_instruments.shape[0] > 0
    for t in range(panel.log_outside.size):
        if not solve_nested_demand(t, panel, tastes, nesting, state, bench, rule):
            return NOT_FINITE, 0.0, 0
        if supply and not solve_nested_supply(t, panel, tastes, nesting, state, bench):
            return NO_MARKUPS, 0.0, 0
    clipped = fill_costs(state, panel.prices, moments) if supply else 0
    objective = fill_residuals(state, moments, given[0], given[1])
    if not is_finite(objective):
        return NOT_FINITE, objective, clipped
    return FINE, objective, clipped
