"""The objective with micro moments, nests and any ownership, in two calls from Python."""

from __future__ import annotations

from blpsim.arrays import Bench, InversionRule, Moments, Nesting, Panel, State, Unknowns
from blpsim.kernels.adjoint import add_loadings, add_rows
from blpsim.kernels.choice import copy, fill, is_finite
from blpsim.kernels.compile import driver_kernel, kernel
from blpsim.kernels.evaluation import COEFFICIENTS, FINE, NO_DERIVATIVE, NO_MARKUPS, NOT_FINITE
from blpsim.kernels.general.evaluation import market_nests, solve_nested_demand, solve_nested_supply
from blpsim.kernels.general.gradient import (
    CHOSEN,
    WITHIN,
    add_d_kappa,
    fill_back_row,
    fill_back_sums,
    seed_nested_supply,
)
from blpsim.kernels.general.linear import solve_nested_derivative
from blpsim.kernels.general.micro import Removal, add_removal_seeds, removal_total
from blpsim.kernels.general.objective import fill_kappa
from blpsim.kernels.links import multiply_by_link_slopes
from blpsim.kernels.micro import FIRST, Surveyed, add_first_seeds, fill_alone, first_total
from blpsim.kernels.micro_objective import fill_factors
from blpsim.kernels.moments import fill_costs, fill_residuals, fill_seeds
from blpsim.kernels.objective import inversions
from blpsim.kernels.unknowns import put_together, take_apart


@driver_kernel
def removal_of(r: int, t: int, panel: Panel, surveyed: Surveyed) -> Removal:
    """Return what product r of terms sums over in market t."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    return Removal(
        surveyed.groups[surveyed.grouping[r], first:last],
        surveyed.group_numbers[surveyed.grouping[r], t],
        surveyed.grouped,
        surveyed.nested,
        surveyed.whole,
        surveyed.terms[surveyed.first[r], first:last],
        surveyed.terms[surveyed.second[r], first:last],
        (surveyed.outside[surveyed.first[r]], surveyed.outside[surveyed.second[r]]),
    )


@driver_kernel
def add_nested_totals(
    t: int, panel: Panel, nesting: Nesting, state: State, bench: Bench, surveyed: Surveyed
) -> None:
    """Add market t's respondents to the totals, after its choice probabilities are there."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    probabilities, alone = state.probabilities[first:last], surveyed.alone[agent:last_agent]
    fill_alone(alone, probabilities, last - first)
    market, room = market_nests(t, panel, nesting, bench), bench.agents[2, : last_agent - agent]
    for r in range(surveyed.kind.size):
        y = surveyed.agents[surveyed.agent[r], agent:last_agent]
        if surveyed.kind[r] == FIRST:
            x, outside = surveyed.terms[surveyed.first[r], first:last], surveyed.outside[surveyed.first[r]]
            total = first_total(probabilities, alone, y, x, outside, room)
        else:
            total = removal_total(removal_of(r, t, panel, surveyed), market, probabilities, y, (alone, room))
        surveyed.totals[surveyed.total[r]] += total


@driver_kernel
def add_nested_seeds(
    t: int, panel: Panel, nesting: Nesting, state: State, bench: Bench, surveyed: Surveyed
) -> None:
    """Add derivatives by market t's probabilities, at the totals' factors, to the nesting's seeds."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    probabilities, alone = state.probabilities[first:last], surveyed.alone[agent:last_agent]
    market = market_nests(t, panel, nesting, bench)
    d_kappa = nesting.d_kappa[nesting.offsets[t] : nesting.offsets[t + 1]]
    scratch, people = bench.agents, alone.size
    rooms = (alone, scratch[2, :people], scratch[3, :people], scratch[5, :people])
    scaled = scratch[4, :people]
    for r in range(surveyed.kind.size):
        factor = surveyed.factors[surveyed.total[r]]
        if factor != 0.0:
            y = surveyed.agents[surveyed.agent[r], agent:last_agent]
            if surveyed.kind[r] == FIRST:
                x = surveyed.terms[surveyed.first[r], first:last]
                add_first_seeds(nesting.seeds, y, x, surveyed.outside[surveyed.first[r]], factor)
            else:
                for i in range(alone.size):
                    scaled[i] = factor * y[i]
                removal = removal_of(r, t, panel, surveyed)
                add_removal_seeds(nesting.seeds, d_kappa, removal, market, probabilities, scaled, rooms)


@kernel
def solve_nested_markets(
    panel: Panel,
    unknowns: Unknowns,
    moments: Moments,
    worked: tuple[Nesting, State, Bench],
    rule: InversionRule,
    surveyed: Surveyed,
) -> tuple[int, int, int]:
    """Return how it ended, the inversion's evaluations and its failures; fill probabilities and totals."""
    nesting, state, bench = worked
    if not (take_apart(unknowns) and fill_kappa(unknowns, nesting)):
        return NOT_FINITE, 0, 0
    supply = moments.supply_instruments.shape[0] > 0
    fill(surveyed.totals, 0.0)
    code = FINE
    for t in range(panel.log_outside.size):
        if not solve_nested_demand(t, panel, unknowns.tastes, nesting, state, bench, rule):
            code = NOT_FINITE
            break
        if supply and not solve_nested_supply(t, panel, unknowns.tastes, nesting, state, bench):
            code = NO_MARKUPS
            break
        add_nested_totals(t, panel, nesting, state, bench, surveyed)
    evaluations, failures = inversions(state, rule)
    return code, evaluations, failures


@driver_kernel
def differentiate_nested_micro_market(
    t: int, panel: Panel, worked: tuple[Nesting, State, Bench], supply: bool, surveyed: Surveyed
) -> bool:
    """Add market t's part of the gradient to the state's; return whether J_delta was regular."""
    nesting, state, bench = worked
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    nest, last_nest = nesting.offsets[t], nesting.offsets[t + 1]
    products, agents, size = last - first, last_agent - agent, last_nest - nest
    market = market_nests(t, panel, nesting, bench)
    probabilities, seeds = state.probabilities[first:last], nesting.seeds
    adjoint, v = bench.products[1, :products], bench.agents[2, :agents]
    chosen = nesting.scratch[CHOSEN * size : (CHOSEN + 1) * size]
    within = nesting.scratch[WITHIN * size : (WITHIN + 1) * size]
    total, derivatives = bench.agents[0, :agents], bench.agents[COEFFICIENTS:]
    for k in range(panel.x2.shape[1]):
        fill(derivatives[k], 0.0)
    for j in range(2 * products):
        fill(seeds[j], 0.0)
    fill(nesting.d_kappa[nest:last_nest], 0.0)
    copy(adjoint, state.demand_seed[first:last])
    if supply:
        seed_nested_supply(t, panel, nesting, state, bench)
    add_nested_seeds(t, panel, nesting, state, bench, surveyed)
    fill_back_sums(chosen, within, total, probabilities, market, seeds)
    for j in range(products):
        h = market.nest[j]
        sums = (chosen[h], within[h], total)
        adjoint[j] += fill_back_row(v, j, probabilities[j], market, seeds, sums)
    if not solve_nested_derivative(adjoint, state.shares[first:last], market, panel.positive_weights, bench):
        return False
    for j in range(products):
        seed = seeds[j]
        for i in range(agents):
            seed[i] -= adjoint[j] * market.weights[i]
    fill_back_sums(chosen, within, total, probabilities, market, seeds)
    for j in range(products):
        h = market.nest[j]
        fill_back_row(v, j, probabilities[j], market, seeds, (chosen[h], within[h], total))
        add_rows(derivatives, panel.x2[first + j], v, agents)
    multiply_by_link_slopes(derivatives, state.link_slopes, agent, last_agent)
    add_loadings(state.d_sigma, derivatives, panel.consumers.nodes, agent, last_agent)
    add_loadings(state.d_pi, derivatives, panel.consumers.demographics, agent, last_agent)
    utilities, inclusive = nesting.utilities[first:last], nesting.inclusive[nest:last_nest]
    d_kappa = nesting.d_kappa[nest:last_nest]
    add_d_kappa(d_kappa, market, probabilities, utilities, inclusive, seeds, (chosen, within, total))
    return True


@kernel
def differentiate_nested_micro(
    panel: Panel,
    unknowns: Unknowns,
    moments: Moments,
    worked: tuple[Nesting, State, Bench],
    surveyed: Surveyed,
    alone: bool,
) -> tuple[int, float, int]:
    """Return how it ended, the objective, and the number of clipped costs; fill the gradient.

    As ``differentiate_micro``, with nests and any ownership.
    """
    nesting, state, _ = worked
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
    fill(unknowns.d_rho, 0.0)
    for t in range(panel.log_outside.size):
        if not differentiate_nested_micro_market(t, panel, worked, supply, surveyed):
            return NO_DERIVATIVE, objective, clipped
    for b in range(nesting.kappa.size):
        if nesting.parameters[b] >= 0:
            slope = nesting.kappa[b] * nesting.kappa[b] * nesting.d_kappa[b]
            unknowns.d_rho[nesting.parameters[b]] += slope
    if not put_together(unknowns, state):
        return NO_DERIVATIVE, objective, clipped
    return FINE, objective, clipped


@kernel
def sum_nested_respondents(panel: Panel, worked: tuple[Nesting, State, Bench], surveyed: Surveyed) -> None:
    """Fill the totals at the state's choice probabilities."""
    nesting, state, bench = worked
    fill(surveyed.totals, 0.0)
    for t in range(panel.log_outside.size):
        add_nested_totals(t, panel, nesting, state, bench, surveyed)
