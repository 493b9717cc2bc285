"""The objective with micro moments, in two calls; between them Python turns averages into moments."""

from __future__ import annotations

from blpsim.arrays import Bench, InversionRule, Matrix, Moments, Panel, State, Unknowns, Vector
from blpsim.kernels.adjoint import add_loadings, add_rows
from blpsim.kernels.choice import combine_rows, copy, fill, is_finite, weighted_sums
from blpsim.kernels.compile import driver_kernel, inner_kernel, kernel
from blpsim.kernels.evaluation import (
    COEFFICIENTS,
    FINE,
    NO_DERIVATIVE,
    NO_MARKUPS,
    NOT_FINITE,
    solve_market_demand,
    solve_market_supply,
)
from blpsim.kernels.gradient import collect_market_demand, collect_market_supply, seed_market_supply
from blpsim.kernels.linear import solve_delta_derivative
from blpsim.kernels.links import multiply_by_link_slopes
from blpsim.kernels.micro import Surveyed, add_market_totals, fill_market_seeds
from blpsim.kernels.moments import fill_costs, fill_residuals, fill_seeds
from blpsim.kernels.objective import inversions
from blpsim.kernels.unknowns import put_together, take_apart


@kernel
def solve_markets(
    panel: Panel,
    unknowns: Unknowns,
    moments: Moments,
    state: State,
    bench: Bench,
    rule: InversionRule,
    surveyed: Surveyed,
) -> tuple[int, int, int]:
    """Return how it ended, the inversion's evaluations and its failures; fill probabilities and totals.

    ``state.delta`` holds the start of the inversion and is replaced by its solution.
    """
    if not take_apart(unknowns):
        return NOT_FINITE, 0, 0
    supply = moments.supply_instruments.shape[0] > 0
    fill(surveyed.totals, 0.0)
    code = FINE
    for t in range(panel.log_outside.size):
        if not solve_market_demand(t, panel, unknowns.tastes, state, bench, rule):
            code = NOT_FINITE
            break
        if supply and not solve_market_supply(t, panel, unknowns.tastes, state, bench):
            code = NO_MARKUPS
            break
        add_market_totals(t, panel, state, bench.agents[2], surveyed)
    evaluations, failures = inversions(state, rule)
    return code, evaluations, failures


@inner_kernel
def fill_factors(surveyed: Surveyed, weighted: Vector, scale: float) -> None:
    """Fill the totals' factors with -scale times the slopes' (MM, Q) combination by weighted (MM,)."""
    for q in range(surveyed.factors.size):
        total = 0.0
        for m in range(weighted.size):
            total += weighted[m] * surveyed.slopes[m, q]
        surveyed.factors[q] = -scale * total


@driver_kernel
def add_micro_rows(t: int, panel: Panel, state: State, bench: Bench, surveyed: Surveyed) -> None:
    """Add market t's X2 s B to the bench's derivatives with respect to coefficients, (K2, I*)."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agents = panel.offsets.agents[t + 1] - panel.offsets.agents[t]
    derivatives, v = bench.agents[COEFFICIENTS:], bench.agents[2, :agents]
    for j in range(last - first):
        row, seed = state.probabilities[first + j], surveyed.seeds[j]
        for i in range(agents):
            v[i] = row[i] * seed[i]
        add_rows(derivatives, panel.x2[first + j], v, agents)


@inner_kernel
def add_micro_seeds(adjoint: Vector, common: Vector, probabilities: Matrix, seeds: Matrix) -> None:
    """Add sum_i s_ij B_ij to adjoint (J,) and sum_k s_ik B_ik to common (I,)."""
    for j in range(adjoint.size):
        row, seed, total = probabilities[j], seeds[j], 0.0
        for i in range(common.size):
            common[i] += row[i] * seed[i]
        for i in range(common.size):
            total += row[i] * seed[i]
        adjoint[j] += total


@driver_kernel
def differentiate_micro_market(
    t: int, panel: Panel, state: State, bench: Bench, supply: bool, surveyed: Surveyed
) -> bool:
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
    fill_market_seeds(t, panel, state, bench.agents[2], surveyed)
    add_micro_seeds(adjoint, common, probabilities, surveyed.seeds)
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
    add_micro_rows(t, panel, state, bench, surveyed)
    if supply:
        collect_market_supply(t, panel, state, bench, adjoint, common)
    else:
        collect_market_demand(t, panel, state, bench, adjoint, common)
    multiply_by_link_slopes(derivatives, state.link_slopes, agent, last_agent)
    add_loadings(state.d_sigma, derivatives, panel.consumers.nodes, agent, last_agent)
    add_loadings(state.d_pi, derivatives, panel.consumers.demographics, agent, last_agent)
    return True


@kernel
def differentiate_micro(
    panel: Panel,
    unknowns: Unknowns,
    moments: Moments,
    state: State,
    bench: Bench,
    surveyed: Surveyed,
    alone: bool,
) -> tuple[int, float, int]:
    """Return how it ended, the objective, and the number of clipped costs; fill the gradient.

    On entry the last elements of ``state.weighted`` and ``state.moments`` are the micro moments.

    alone  whether what the totals' factors say is differentiated, instead of the objective
    """
    supply, given = moments.supply_instruments.shape[0] > 0, unknowns.given
    macro = moments.demand_instruments.shape[0] + moments.supply_instruments.shape[0]
    objective, clipped = 0.0, 0
    if alone:
        fill(state.demand_seed, 0.0)
        fill(state.supply_seed, 0.0)
        fill(given.d_beta, 0.0)
        fill(given.d_gamma, 0.0)
    else:
        clipped = fill_costs(state, panel.prices, moments) if supply else 0
        objective = fill_residuals(state, moments, given.beta, given.gamma)
        if not is_finite(objective):
            return NOT_FINITE, objective, clipped
        fill_seeds(state, moments, (given.d_beta, given.d_gamma))
        fill_factors(surveyed, state.weighted[macro:], 2.0 * moments.scale)
    for k in range(state.d_sigma.shape[0]):
        fill(state.d_sigma[k], 0.0)
        fill(state.d_pi[k], 0.0)
    fill(state.d_alpha, 0.0)
    for t in range(panel.log_outside.size):
        if not differentiate_micro_market(t, panel, state, bench, supply, surveyed):
            return NO_DERIVATIVE, objective, clipped
    if not put_together(unknowns, state):
        return NO_DERIVATIVE, objective, clipped
    return FINE, objective, clipped


@kernel
def sum_respondents(panel: Panel, state: State, bench: Bench, surveyed: Surveyed) -> None:
    """Fill the totals at the state's choice probabilities."""
    fill(surveyed.totals, 0.0)
    for t in range(panel.log_outside.size):
        add_market_totals(t, panel, state, bench.agents[2], surveyed)
