"""Derivatives of xi and omega with nests and any ownership, direction by direction, for standard errors.

A direction moves utilities by x_j draw_i, slopes by d_slope_j draw_i, and kappa. From
s(delta(theta), theta) = S: d_delta = -J_delta^{-1} sum_i w_i ds_i at fixed delta; with ds_i and dc_i along
both, d_eta = -Delta^{-1} (dDelta eta).
"""

from __future__ import annotations

from typing import NamedTuple

from blpsim.arrays import Bench, Directions, Matrix, Nesting, Panel, State, Vector
from blpsim.kernels.choice import fill
from blpsim.kernels.compile import driver_kernel, inner_kernel, kernel
from blpsim.kernels.evaluation import FINE, NO_DERIVATIVE
from blpsim.kernels.forward import fill_draw, prepare_direction
from blpsim.kernels.general.choice import NestedMarket
from blpsim.kernels.general.evaluation import market_nests
from blpsim.kernels.general.gradient import Firm, fill_markup_sums, fill_owned_sums
from blpsim.kernels.general.linear import solve_nested_derivative
from blpsim.kernels.general.specific import fill_product_draws
from blpsim.kernels.linear import solve_factorized

RHO = 3
"""The kind of direction that moves an element of rho."""
MEAN, GAP = 4, 5
"""Blocks of rows in the scratch of nests: means of the moves of utility, and of V_ij - IV_ih."""


class Move(NamedTuple):
    """What a direction moves in one market."""

    x: Vector
    """(J,) what multiplies the draw in utilities."""
    d_delta: Vector
    """(J,) moves of mean utilities."""
    d_slope: Vector
    """(J,) what multiplies the draw in slopes."""
    draws: Matrix
    """(J, I*), or (1, I*) with a step of 0."""
    step: int
    parameter: int
    """The element of rho, or -1."""


@inner_kernel
def d_kappa_of(h: int, nest: int, nesting: Nesting, move: Move) -> float:
    """Return how a move changes kappa of the nest h of the market whose first nest is given."""
    if move.parameter < 0 or nesting.parameters[nest + h] != move.parameter:
        return 0.0
    return float(nesting.kappa[nest + h] * nesting.kappa[nest + h])


@inner_kernel
def fill_d_probabilities(
    t: int, panel: Panel, nesting: Nesting, market: NestedMarket, move: Move, d_probabilities: Matrix
) -> None:
    """Fill (2J, I*) with the derivatives of s_ij and of c_ij along a move."""
    first, nest, products = panel.offsets.products[t], nesting.offsets[t], market.nest.size
    agents, size = market.weights.size, market.kappa.size
    means = nesting.scratch[MEAN * size : (MEAN + 1) * size]
    gaps = nesting.scratch[GAP * size : (GAP + 1) * size]
    for h in range(size):
        fill(means[h][:agents], 0.0)
        fill(gaps[h][:agents], 0.0)
    for j in range(products):
        h, inner, utility = market.nest[j], market.odds[j], nesting.utilities[first + j]
        mean, gap, value = means[h], gaps[h], nesting.inclusive[nest + h]
        draw = move.draws[j * move.step]
        for i in range(agents):
            mean[i] += inner[i] * (move.x[j] * draw[i] + move.d_delta[j])
            gap[i] += inner[i] * (utility[i] - value[i])
    total = market.total
    fill(total, 0.0)
    for h in range(size):
        d_kappa, mean, gap = d_kappa_of(h, nest, nesting, move), means[h], gaps[h]
        factor, chosen, d_value = d_kappa / market.kappa[h], market.nests[h], market.pull[h]
        for i in range(agents):
            d_value[i] = mean[i] + factor * gap[i]
            total[i] += chosen[i] * d_value[i]
    for j in range(products):
        h, inner, utility = market.nest[j], market.odds[j], nesting.utilities[first + j]
        kappa, d_kappa, value = (
            market.kappa[h],
            d_kappa_of(h, nest, nesting, move),
            nesting.inclusive[nest + h],
        )
        mean, gap, chosen, d_value = means[h], gaps[h], market.nests[h], market.pull[h]
        d_row, d_inner, draw = d_probabilities[j], d_probabilities[products + j], move.draws[j * move.step]
        for i in range(agents):
            moved = move.x[j] * draw[i] + move.d_delta[j] - mean[i]
            d_inner[i] = inner[i] * (kappa * moved + d_kappa * (utility[i] - value[i] - gap[i]))
            d_row[i] = d_inner[i] * chosen[i] + inner[i] * chosen[i] * (d_value[i] - total[i])


@inner_kernel
def d_owned_product(
    j: int,
    market: NestedMarket,
    firm: Firm,
    move: Move,
    d_kappa: float,
    d_probabilities: Matrix,
    sums: tuple[Matrix, Matrix],
) -> float:
    """Return minus the element of dDelta eta of a firm's product j.

    sums  (3, I*) of ``fill_owned_sums`` and (2, I*) of ``fill_markup_sums`` at the derivatives
    """
    place = firm.start + j
    row, inner, slope = firm.probabilities[j], market.odds[place], firm.slopes[j * firm.step]
    d_row, d_inner = d_probabilities[place], d_probabilities[market.nest.size + place]
    markup, near, d_markup, d_near = sums[0][0], sums[0][1], sums[1][0], sums[1][1]
    kappa, held = market.kappa[market.nest[place]], firm.ownership[j, j] * firm.eta[j]
    total, steep, draw = 0.0, kappa - 1.0, move.draws[place * move.step]
    for i in range(market.weights.size):
        level = row[i] * (kappa * held - markup[i]) - steep * inner[i] * near[i]
        change = d_row[i] * (kappa * held - markup[i]) - row[i] * d_markup[i]
        change -= steep * (d_inner[i] * near[i] + inner[i] * d_near[i])
        change += d_kappa * (held * row[i] - inner[i] * near[i])
        total += market.weights[i] * (move.d_slope[j + firm.start] * draw[i] * level + slope[i] * change)
    return total


@driver_kernel
def d_nested_markups(
    t: int, panel: Panel, nesting: Nesting, state: State, bench: Bench, move: Move, d_eta: Vector
) -> None:
    """Fill d_eta (J,) along a move, whose derivatives of probabilities the seeds hold."""
    first = panel.offsets.products[t]
    market = market_nests(t, panel, nesting, bench)
    step = 1 if panel.slopes.varies else 0
    slopes = state.slopes[first if panel.slopes.varies else t :]
    for f in range(panel.offsets.firms[t], panel.offsets.firms[t + 1]):
        start, stop = panel.offsets.firm_products[f], panel.offsets.firm_products[f + 1]
        right = d_eta[start - first : stop - first]
        firm = Firm(
            start - first,
            state.probabilities[start:stop],
            slopes[(start - first) * step :],
            step,
            nesting.ownership[start:stop],
            state.eta[start:stop],
            state.eta[start:stop],
        )
        for j in range(stop - start):
            sums = (bench.agents[3:6], nesting.owned)
            fill_owned_sums(sums[0], j, market, firm)
            fill_markup_sums(sums[1], j, market, firm, nesting.seeds)
            d_kappa = d_kappa_of(market.nest[firm.start + j], nesting.offsets[t], nesting, move)
            right[j] = d_owned_product(j, market, firm, move, d_kappa, nesting.seeds, sums)
        solve_factorized(right, state.factors[start:stop], state.pivots[start:stop])


@inner_kernel
def negative_sums(sums: Vector, rows: Matrix, weights: Vector) -> None:
    """Fill sums (J,) with minus rows (J, I*) times weights (I,)."""
    for j in range(sums.size):
        row, total = rows[j], 0.0
        for i in range(weights.size):
            total += weights[i] * row[i]
        sums[j] = -total


@driver_kernel
def d_nested_market(
    t: int,
    panel: Panel,
    worked: tuple[Nesting, State, Bench],
    directions: Directions,
    d_xi: Matrix,
    d_eta: Matrix,
) -> bool:
    """Fill market t's columns of d_xi and d_eta (P, N); return whether J_delta is regular."""
    nesting, state, bench = worked
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, products = panel.offsets.agents[t], last - first
    market = market_nests(t, panel, nesting, bench)
    x, d_slope, zero = (
        bench.products[0, :products],
        bench.products[1, :products],
        bench.products[2, :products],
    )
    draw, draws, step = bench.agents[2, : market.weights.size], bench.agents[2:3], 0
    if nesting.specific.places.size > 0:
        draws, step = nesting.specific.draws, 1
    fill(zero, 0.0)
    for p in range(directions.kind.size):
        parameter = directions.characteristic[p] if directions.kind[p] == RHO else -1
        if directions.kind[p] == RHO:
            fill(x, 0.0)
            fill(d_slope, 0.0)
            fill(draw, 0.0)
        else:
            prepare_direction(p, first, panel, directions, x, d_slope)
            fill_draw(draw, p, agent, panel, directions, state.link_slopes)
            if step == 1:
                fill_product_draws(p, draw, (first, last), directions, nesting.specific)
        d_delta = d_xi[p, first:last]
        move = Move(x, zero, d_slope, draws, step, parameter)
        fill_d_probabilities(t, panel, nesting, market, move, nesting.seeds)
        negative_sums(d_delta, nesting.seeds, market.weights)
        shares = state.shares[first:last]
        if not solve_nested_derivative(d_delta, shares, market, panel.positive_weights, bench):
            return False
        if d_eta.shape[0] > 0:
            move = Move(x, d_delta, d_slope, draws, step, parameter)
            fill_d_probabilities(t, panel, nesting, market, move, nesting.seeds)
            d_nested_markups(t, panel, nesting, state, bench, move, d_eta[p, first:last])
    return True


@kernel
def nested_jacobians(
    panel: Panel,
    nesting: Nesting,
    state: State,
    bench: Bench,
    directions: Directions,
    d_xi: Matrix,
    d_eta: Matrix,
) -> int:
    """Return how it ended, after an evaluation; fill the derivatives of delta and of markups.

    d_xi   (P, N)  d delta / d theta, which is d xi / d theta but for the linear part
    d_eta  (P, N), or (0, N) without a supply side
    """
    for t in range(panel.log_outside.size):
        if not d_nested_market(t, panel, (nesting, state, bench), directions, d_xi, d_eta):
            return NO_DERIVATIVE
    return FINE
