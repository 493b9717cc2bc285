"""The objective of all markets in one call: inversion, markups, costs, moments."""

from __future__ import annotations

from blpsim.arrays import Bench, InversionRule, Moments, Panel, State, Target, Tastes, Vector
from blpsim.kernels.choice import copy, fill, fill_coefficients, fill_utilities, is_finite, normalize
from blpsim.kernels.compile import driver_kernel
from blpsim.kernels.inversion import invert_shares
from blpsim.kernels.links import apply_links, fill_link_slopes
from blpsim.kernels.markups import fill_firm_block, solve_firm_markups
from blpsim.kernels.moments import fill_costs, fill_residuals

FINE, NOT_FINITE, NO_MARKUPS, NO_DERIVATIVE = 0, 1, 2, 3
"""How an evaluation ended."""

COEFFICIENTS = 6
"""The bench's row of agents at which the market's coefficients start."""


@driver_kernel
def solve_market_demand(
    t: int, panel: Panel, tastes: Tastes, state: State, bench: Bench, rule: InversionRule
) -> bool:
    """Invert market t's shares and fill its probabilities; return whether delta is finite."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    agents = last_agent - agent
    coefficients = bench.agents[COEFFICIENTS:]
    for k in range(panel.x2.shape[1]):
        fill(coefficients[k], 0.0)
    fill_coefficients(coefficients, tastes.sigma, panel.consumers.nodes, agent, last_agent)
    fill_coefficients(coefficients, tastes.pi, panel.consumers.demographics, agent, last_agent)
    apply_links(coefficients, tastes.links, agents)
    fill_link_slopes(state.link_slopes, coefficients, tastes.links, agent, last_agent)
    target = Target(
        panel.log_shares[first:last],
        panel.log_outside[t],
        panel.x2[first:last],
        coefficients,
        panel.consumers.weights[agent:last_agent],
    )
    odds, outside = state.probabilities[first:last], bench.agents[0, :agents]
    evaluations, residual = invert_shares(state.delta[first:last], odds, outside, bench, target, rule)
    state.evaluations[t] = evaluations
    state.residuals[t] = residual
    if not is_finite(residual):
        return False
    copy(state.shares[first:last], bench.products[4, : last - first])
    normalize(odds, bench.products[0, : last - first], bench.agents[1, :agents])
    return True


@driver_kernel
def solve_market_supply(t: int, panel: Panel, tastes: Tastes, state: State, bench: Bench) -> bool:
    """Fill market t's slopes, firm blocks and markups; return whether every firm's Delta is regular."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    step = 1 if panel.slopes.varies else 0
    rows = 1 + (last - first - 1) * step
    row = first if panel.slopes.varies else t
    fixed = bench.products[0, :rows]
    for r in range(rows):
        fixed[r] = 0.0
        for e in range(tastes.alpha.size):
            fixed[r] += panel.slopes.x1[first + r, e] * tastes.alpha[e]
    coefficients = bench.agents[COEFFICIENTS:]
    slopes, x2_slopes = state.slopes[row : row + rows], panel.slopes.x2[first : first + rows]
    fill_utilities(slopes, fixed, x2_slopes, coefficients, last_agent - agent)
    weights = panel.consumers.weights[agent:last_agent]
    for f in range(panel.offsets.firms[t], panel.offsets.firms[t + 1]):
        start, stop = panel.offsets.firm_products[f], panel.offsets.firm_products[f + 1]
        own, gamma = state.own[start:stop], state.gamma[start:stop]
        firm_slopes = slopes[(start - first) * step :]
        fill_firm_block(
            gamma, own, state.probabilities[start:stop], firm_slopes, step, weights, bench.agents[0]
        )
        eta, factors, pivots = state.eta[start:stop], state.factors[start:stop], state.pivots[start:stop]
        if not solve_firm_markups(eta, factors, pivots, gamma, own, panel.shares[start:stop]):
            return False
    return True


@driver_kernel
def evaluate(
    panel: Panel,
    tastes: Tastes,
    given: tuple[Vector, Vector],
    moments: Moments,
    state: State,
    bench: Bench,
    rule: InversionRule,
) -> tuple[int, float, int]:
    """Return how it ended, the objective, and the number of clipped costs; fill the state.

    ``state.delta`` holds the start of the inversion and is replaced by its solution. Given are the
    coefficients of X1 and X3 that are in theta, (G1,) and (G3,).
    """
    supply = moments.supply_instruments.shape[0] > 0
    for t in range(panel.log_outside.size):
        if not solve_market_demand(t, panel, tastes, state, bench, rule):
            return NOT_FINITE, 0.0, 0
        if supply and not solve_market_supply(t, panel, tastes, state, bench):
            return NO_MARKUPS, 0.0, 0
    clipped = fill_costs(state, panel.prices, moments) if supply else 0
    objective = fill_residuals(state, moments, given[0], given[1])
    if not is_finite(objective):
        return NOT_FINITE, objective, clipped
    return FINE, objective, clipped
