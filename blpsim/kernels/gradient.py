"""The gradient of the objective, all markets in one call, after an evaluation."""

from __future__ import annotations

from blpsim.arrays import Bench, Moments, Panel, State, Vector
from blpsim.kernels.adjoint import (
    add_loadings,
    add_rows,
    fill_demand_product,
    fill_firm_sums,
    fill_supply_product,
    supply_seeds,
)
from blpsim.kernels.choice import combine_rows, copy, fill, weighted_sums
from blpsim.kernels.compile import driver_kernel
from blpsim.kernels.evaluation import COEFFICIENTS, FINE, NO_DERIVATIVE
from blpsim.kernels.linear import solve_delta_derivative, solve_factorized_transposed
from blpsim.kernels.links import multiply_by_link_slopes
from blpsim.kernels.moments import fill_seeds


@driver_kernel
def seed_market_supply(
    t: int, panel: Panel, state: State, bench: Bench, adjoint: Vector, common: Vector
) -> None:
    """Turn market t's supply seed into m, add to adjoint (J,), and fill common (I,) with sum_k s_ik B_ik."""
    first = panel.offsets.products[t]
    step = 1 if panel.slopes.varies else 0
    slopes = state.slopes[first if panel.slopes.varies else t :]
    first_firm = panel.offsets.firms[t]
    for f in range(first_firm, panel.offsets.firms[t + 1]):
        start, stop = panel.offsets.firm_products[f], panel.offsets.firm_products[f + 1]
        m, eta, gamma = state.supply_seed[start:stop], state.eta[start:stop], state.gamma[start:stop]
        solve_factorized_transposed(m, state.factors[start:stop], state.pivots[start:stop])
        supply_seeds(adjoint[start - first : stop - first], m, eta, gamma, state.own[start:stop])
        sums = bench.firms[2 * (f - first_firm) :]
        firm_slopes = slopes[(start - first) * step :]
        fill_firm_sums(sums, common, state.probabilities[start:stop], firm_slopes, step, m, eta)
    weights = panel.consumers.weights[panel.offsets.agents[t] : panel.offsets.agents[t + 1]]
    for i in range(weights.size):
        common[i] *= weights[i]


@driver_kernel
def collect_market_demand(
    t: int, panel: Panel, state: State, bench: Bench, adjoint: Vector, common: Vector
) -> None:
    """Add market t's X2 v to the bench's derivatives with respect to coefficients, (K2, I*)."""
    first = panel.offsets.products[t]
    weights = panel.consumers.weights[panel.offsets.agents[t] : panel.offsets.agents[t + 1]]
    derivatives, v = bench.agents[COEFFICIENTS:], bench.agents[2, : weights.size]
    for j in range(adjoint.size):
        fill_demand_product(v, state.probabilities[first + j], common, weights, adjoint[j])
        add_rows(derivatives, panel.x2[first + j], v, weights.size)


@driver_kernel
def collect_market_supply(
    t: int, panel: Panel, state: State, bench: Bench, adjoint: Vector, common: Vector
) -> None:
    """Add market t's X2 v + D2 Q to the bench's derivatives, and D1 Q to the state's d_alpha."""
    first = panel.offsets.products[t]
    weights = panel.consumers.weights[panel.offsets.agents[t] : panel.offsets.agents[t + 1]]
    step = 1 if panel.slopes.varies else 0
    slopes = state.slopes[first if panel.slopes.varies else t :]
    derivatives, values = bench.agents[COEFFICIENTS:], bench.agents[2:4]
    first_firm = panel.offsets.firms[t]
    for f in range(first_firm, panel.offsets.firms[t + 1]):
        sums = bench.firms[2 * (f - first_firm) :]
        for n in range(panel.offsets.firm_products[f], panel.offsets.firm_products[f + 1]):
            j = n - first
            scalars = (adjoint[j], state.supply_seed[n], state.eta[n])
            row, slope = state.probabilities[n], slopes[j * step]
            total = fill_supply_product(values, row, common, weights, sums, slope, scalars)
            add_rows(derivatives, panel.x2[n], values[0], weights.size)
            add_rows(derivatives, panel.slopes.x2[n], values[1], weights.size)
            for e in range(state.d_alpha.size):
                state.d_alpha[e] += panel.slopes.x1[n, e] * total


@driver_kernel
def differentiate_market(t: int, panel: Panel, state: State, bench: Bench, supply: bool) -> bool:
    """Add market t's part of the gradient to the state's; return whether J_delta was regular."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    products, agents = last - first, last_agent - agent
    weights = panel.consumers.weights[agent:last_agent]
    probabilities = state.probabilities[first:last]
    shares, adjoint = state.shares[first:last], bench.products[1, :products]
    level, common = bench.agents[0, :agents], bench.agents[1, :agents]
    copy(adjoint, state.demand_seed[first:last])
    fill(common, 0.0)
    if supply:
        seed_market_supply(t, panel, state, bench, adjoint, common)
        remove = bench.products[2, :products]
        weighted_sums(remove, probabilities, common)
        for j in range(products):
            adjoint[j] -= remove[j]
    if not solve_delta_derivative(adjoint, shares, probabilities, weights, panel.positive_weights, bench):
        return False
    combine_rows(level, probabilities, adjoint)
    for i in range(agents):
        common[i] = weights[i] * level[i] - common[i]
    derivatives = bench.agents[COEFFICIENTS:]
    for k in range(panel.x2.shape[1]):
        fill(derivatives[k], 0.0)
    if supply:
        collect_market_supply(t, panel, state, bench, adjoint, common)
    else:
        collect_market_demand(t, panel, state, bench, adjoint, common)
    multiply_by_link_slopes(derivatives, state.link_slopes, agent, last_agent)
    add_loadings(state.d_sigma, derivatives, panel.consumers.nodes, agent, last_agent)
    add_loadings(state.d_pi, derivatives, panel.consumers.demographics, agent, last_agent)
    return True


@driver_kernel
def differentiate(
    panel: Panel, moments: Moments, state: State, bench: Bench, given: tuple[Vector, Vector]
) -> int:
    """Return how it ended; fill the state's derivatives and those of the coefficients that are in theta.

    given  (G1,) and (G3,), filled with derivatives with respect to given beta and gamma; the part of a
           price coefficient that works through slopes is in ``state.d_alpha``
    """
    supply = moments.supply_instruments.shape[0] > 0
    fill_seeds(state, moments, given)
    for k in range(state.d_sigma.shape[0]):
        fill(state.d_sigma[k], 0.0)
        fill(state.d_pi[k], 0.0)
    fill(state.d_alpha, 0.0)
    for t in range(panel.log_outside.size):
        if not differentiate_market(t, panel, state, bench, supply):
            return NO_DERIVATIVE
    return FINE
