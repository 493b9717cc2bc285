"""The gradient of the objective with nests and any ownership, by its adjoint form, after an evaluation.

With m = Delta^{-T} b, everything enters through derivatives: B_ij with respect to s_ij, B^c_ij with respect
to c_ij, the probability given the nest, and Q_ij with respect to A_ij. Back-propagation turns them into v_ij,
the derivative with respect to V_ij. No array is larger than J x I.
"""

from __future__ import annotations

from typing import NamedTuple

from blpsim.arrays import Bench, Matrix, Moments, Nesting, Panel, State, Vector
from blpsim.kernels.adjoint import add_loadings
from blpsim.kernels.choice import copy, fill, sum_over
from blpsim.kernels.compile import driver_kernel, inner_kernel
from blpsim.kernels.evaluation import COEFFICIENTS, FINE, NO_DERIVATIVE
from blpsim.kernels.general.choice import NestedMarket
from blpsim.kernels.general.evaluation import market_nests
from blpsim.kernels.general.linear import solve_nested_derivative
from blpsim.kernels.general.specific import add_product_rows
from blpsim.kernels.linear import solve_factorized_transposed
from blpsim.kernels.links import multiply_by_link_slopes
from blpsim.kernels.moments import fill_seeds

CHOSEN, WITHIN = 4, 5
"""Blocks of rows in the scratch of nests: sums over a nest of s_ij B_ij and of c_ij B^c_ij."""


class Firm(NamedTuple):
    """A firm's products in one market, n of them."""

    start: int
    """Place of the first among the market's products."""
    probabilities: Matrix
    """(n, I*)."""
    slopes: Matrix
    """(n, I*), or (1, I*) with a step of 0."""
    step: int
    ownership: Matrix
    """(n, n*)."""
    m: Vector
    """(n,)."""
    eta: Vector
    """(n,)."""


@inner_kernel
def has_the_same_sums(j: int, market: NestedMarket, firm: Firm) -> bool:
    """Return whether the sums over a firm's products are for its product j what they are for the one before.

    They are when both are in one nest and are owned alike, so that sums are taken once an owner and nest.
    """
    if j == 0 or market.nest[firm.start + j] != market.nest[firm.start + j - 1]:
        return False
    for k in range(firm.eta.size):
        rows_differ = firm.ownership[j, k] != firm.ownership[j - 1, k]
        if rows_differ or firm.ownership[k, j] != firm.ownership[k, j - 1]:
            return False
    return True


@inner_kernel
def fill_owned_sums(sums: Matrix, j: int, market: NestedMarket, firm: Firm) -> None:
    """Fill sums (3, I*) over the products k of a firm, for its product j, with those of j - 1 in them.

    They are sum_k H_jk eta_k s_ik, the same over j's nest, and sum_k H_kj m_k A_ik (s_ik + (kappa - 1) c_ik),
    whose last term is for j's nest alone.
    """
    if has_the_same_sums(j, market, firm):
        return
    agents, h = market.weights.size, market.nest[firm.start + j]
    markup, near, multiplier = sums[0], sums[1], sums[2]
    for i in range(agents):
        markup[i] = 0.0
        near[i] = 0.0
        multiplier[i] = 0.0
    steep = market.kappa[h] - 1.0
    for k in range(firm.eta.size):
        row, slope, inner = firm.probabilities[k], firm.slopes[k * firm.step], market.odds[firm.start + k]
        earned, weighted = firm.ownership[j, k] * firm.eta[k], firm.ownership[k, j] * firm.m[k]
        for i in range(agents):
            markup[i] += earned * row[i]
            multiplier[i] += weighted * slope[i] * row[i]
        if market.nest[firm.start + k] == h:
            for i in range(agents):
                near[i] += earned * row[i]
                multiplier[i] += weighted * steep * slope[i] * inner[i]


@inner_kernel
def fill_markup_sums(sums: Matrix, j: int, market: NestedMarket, firm: Firm, rows: Matrix) -> None:
    """Fill sums (2, I*) of a firm's product j from rows (J, I*): sum_k H_jk eta_k row_k, and in j's nest.

    On entry they are those of j - 1.
    """
    if has_the_same_sums(j, market, firm):
        return
    agents, h = market.weights.size, market.nest[firm.start + j]
    markup, near = sums[0], sums[1]
    for i in range(agents):
        markup[i] = 0.0
        near[i] = 0.0
    for k in range(firm.eta.size):
        row, earned = rows[firm.start + k], firm.ownership[j, k] * firm.eta[k]
        for i in range(agents):
            markup[i] += earned * row[i]
        if market.nest[firm.start + k] == h:
            for i in range(agents):
                near[i] += earned * row[i]


@inner_kernel
def fill_owned_product(
    seeds: tuple[Vector, Vector], q: Vector, j: int, market: NestedMarket, firm: Firm, sums: Matrix
) -> tuple[float, float]:
    """Fill B and B^c, (I,) each, and Q (I,), of a firm's product j; return the sum of Q and dpsi / dkappa."""
    markup, near, multiplier = sums[0], sums[1], sums[2]
    row, slope, inner = firm.probabilities[j], firm.slopes[j * firm.step], market.odds[firm.start + j]
    weights, kappa = market.weights, market.kappa[market.nest[firm.start + j]]
    m, eta, held = firm.m[j], firm.eta[j], firm.ownership[j, j] * firm.eta[j]
    for i in range(weights.size):
        w = weights[i]
        inside = inner[i] * near[i]
        q[i] = -w * m * (kappa * held * row[i] - (kappa - 1.0) * inside - row[i] * markup[i])
        seeds[0][i] = -w * (m * slope[i] * (kappa * held - markup[i]) - eta * multiplier[i])
        seeds[1][i] = w * (kappa - 1.0) * m * slope[i] * near[i]
    d_kappa = 0.0
    for i in range(weights.size):
        d_kappa -= weights[i] * m * slope[i] * (held * row[i] - inner[i] * near[i])
    return sum_over(q[: weights.size]), d_kappa


@driver_kernel
def seed_nested_supply(t: int, panel: Panel, nesting: Nesting, state: State, bench: Bench) -> None:
    """Turn market t's supply seed into m, fill the seeds B and B^c, and add what works through slopes.

    Adds D2 Q to the bench's derivatives with respect to coefficients, D1 Q to d_alpha, and to d_kappa.
    """
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    market = market_nests(t, panel, nesting, bench)
    step = 1 if panel.slopes.varies else 0
    slopes = state.slopes[first if panel.slopes.varies else t :]
    derivatives, q, sums = bench.agents[COEFFICIENTS:], bench.agents[2], bench.agents[3:6]
    d_kappa = nesting.d_kappa[nesting.offsets[t] : nesting.offsets[t + 1]]
    for f in range(panel.offsets.firms[t], panel.offsets.firms[t + 1]):
        start, stop = panel.offsets.firm_products[f], panel.offsets.firm_products[f + 1]
        m = state.supply_seed[start:stop]
        solve_factorized_transposed(m, state.factors[start:stop], state.pivots[start:stop])
        firm = Firm(
            start - first,
            state.probabilities[start:stop],
            slopes[(start - first) * step :],
            step,
            nesting.ownership[start:stop],
            m,
            state.eta[start:stop],
        )
        for n in range(start, stop):
            fill_owned_sums(sums, n - start, market, firm)
            seeds = (nesting.seeds[n - first], nesting.seeds[last - first + n - first])
            total, d_direct = fill_owned_product(seeds, q, n - start, market, firm, sums)
            d_kappa[market.nest[n - first]] += d_direct
            add_product_rows(
                derivatives, state.d_pi, panel.slopes.x2[n], q, n, nesting.specific, market.weights.size
            )
            for e in range(state.d_alpha.size):
                state.d_alpha[e] += panel.slopes.x1[n, e] * total


@inner_kernel
def fill_back_sums(
    chosen: Matrix, within: Matrix, total: Vector, probabilities: Matrix, market: NestedMarket, seeds: Matrix
) -> None:
    """Fill chosen and within (H, I*), nests' sums of s_ij B_ij and c_ij B^c_ij, total (I,) of chosen."""
    agents, products = market.weights.size, market.nest.size
    fill(total, 0.0)
    for h in range(market.kappa.size):
        fill(chosen[h][:agents], 0.0)
        fill(within[h][:agents], 0.0)
    for j in range(products):
        h, row, inner = market.nest[j], probabilities[j], market.odds[j]
        chosen_h, within_h, seed, inner_seed = chosen[h], within[h], seeds[j], seeds[products + j]
        for i in range(agents):
            product = row[i] * seed[i]
            chosen_h[i] += product
            total[i] += product
            within_h[i] += inner[i] * inner_seed[i]


@inner_kernel
def fill_back_row(
    v: Vector, j: int, row: Vector, market: NestedMarket, seeds: Matrix, sums: tuple[Vector, Vector, Vector]
) -> float:
    """Fill v (I,) of product j, whose probabilities are row (I,), and return its sum over agents."""
    kappa = market.kappa[market.nest[j]]
    inner, seed, inner_seed = market.odds[j], seeds[j], seeds[market.nest.size + j]
    chosen, within, total = sums
    for i in range(v.size):
        own = row[i] * (kappa * seed[i] - total[i])
        v[i] = own + inner[i] * (kappa * (inner_seed[i] - within[i]) - (kappa - 1.0) * chosen[i])
    return sum_over(v)


@inner_kernel
def add_d_kappa(
    d_kappa: Vector,
    market: NestedMarket,
    probabilities: Matrix,
    utilities: Matrix,
    inclusive: Matrix,
    seeds: Matrix,
    sums: tuple[Matrix, Matrix, Vector],
) -> None:
    """Add to d_kappa (H,) what the seeds say of kappa at fixed utilities; overwrites the market's pull."""
    chosen, within, total = sums
    agents, products = market.weights.size, market.nest.size
    for h in range(market.kappa.size):
        fill(market.pull[h][:agents], 0.0)
    for j in range(products):
        h, row, inner, utility = market.nest[j], probabilities[j], market.odds[j], utilities[j]
        value, mean, seed, inner_seed = inclusive[h], market.pull[h], seeds[j], seeds[products + j]
        for i in range(agents):
            mean[i] += inner[i] * (utility[i] - value[i])
        summed = 0.0
        for i in range(agents):
            summed += (row[i] * seed[i] + inner[i] * inner_seed[i]) * (utility[i] - value[i])
        d_kappa[h] += summed
    for h in range(market.kappa.size):
        mean, chosen_h, within_h, nest = market.pull[h], chosen[h], within[h], market.nests[h]
        share, summed = 1.0 / market.kappa[h], 0.0
        for i in range(agents):
            gained = share * (chosen_h[i] - nest[i] * total[i])
            summed += mean[i] * (gained - chosen_h[i] - within_h[i])
        d_kappa[h] += summed


@driver_kernel
def differentiate_nested_market(
    t: int, panel: Panel, nesting: Nesting, state: State, bench: Bench, supply: bool
) -> bool:
    """Add market t's part of the gradient to the state's; return whether J_delta was regular."""
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
        add_product_rows(derivatives, state.d_pi, panel.x2[first + j], v, first + j, nesting.specific, agents)
    multiply_by_link_slopes(derivatives, state.link_slopes, agent, last_agent)
    add_loadings(state.d_sigma, derivatives, panel.consumers.nodes, agent, last_agent)
    add_loadings(state.d_pi, derivatives, panel.consumers.demographics, agent, last_agent)
    utilities, inclusive = nesting.utilities[first:last], nesting.inclusive[nest:last_nest]
    d_kappa = nesting.d_kappa[nest:last_nest]
    add_d_kappa(d_kappa, market, probabilities, utilities, inclusive, seeds, (chosen, within, total))
    return True


@driver_kernel
def differentiate_nested(
    panel: Panel,
    moments: Moments,
    nesting: Nesting,
    state: State,
    bench: Bench,
    given: tuple[Vector, Vector],
    d_rho: Vector,
) -> int:
    """Return how it ended; fill the state's derivatives, those of what is in theta, and d_rho (H,).

    given  (G1,) and (G3,), as in the plain engine
    """
    supply = moments.supply_instruments.shape[0] > 0
    fill_seeds(state, moments, given)
    for k in range(state.d_sigma.shape[0]):
        fill(state.d_sigma[k], 0.0)
        fill(state.d_pi[k], 0.0)
    fill(state.d_alpha, 0.0)
    fill(d_rho, 0.0)
    for t in range(panel.log_outside.size):
        if not differentiate_nested_market(t, panel, nesting, state, bench, supply):
            return NO_DERIVATIVE
    for b in range(nesting.kappa.size):
        if nesting.parameters[b] >= 0:
            d_rho[nesting.parameters[b]] += nesting.kappa[b] * nesting.kappa[b] * nesting.d_kappa[b]
    return FINE
