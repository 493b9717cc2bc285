"""Derivatives of xi and omega with respect to parameters, direction by direction, for standard errors.

From s(delta(theta), theta) = S: d_delta = -J_delta^{-1} sum_i w_i ds_i at fixed delta. With ds_i along
both, d_eta = -Delta^{-1} (dDelta eta) and d_omega = -f'(c) d_eta.
"""

from __future__ import annotations

from blpsim.arrays import Bench, Directions, Matrix, Panel, State, Vector
from blpsim.kernels.choice import fill
from blpsim.kernels.compile import driver_kernel, inner_kernel, kernel
from blpsim.kernels.evaluation import FINE, NO_DERIVATIVE
from blpsim.kernels.linear import solve_delta_derivative, solve_factorized

SIGMA, PI, ALPHA = 0, 1, 2


@inner_kernel
def fill_draw(
    draw: Vector, p: int, first: int, panel: Panel, directions: Directions, link_slopes: Matrix
) -> None:
    """Fill draw (I,) with what direction p changes coefficients by: nodes or demographics, times dC/dz."""
    row = directions.draw[p]
    if directions.kind[p] == ALPHA:
        fill(draw, 1.0)
        return
    source = panel.consumers.nodes[row] if directions.kind[p] == SIGMA else panel.consumers.demographics[row]
    for i in range(draw.size):
        draw[i] = source[first + i]
    if link_slopes.shape[0] > 0:
        slopes = link_slopes[directions.characteristic[p], first : first + draw.size]
        for i in range(draw.size):
            draw[i] *= slopes[i]


@inner_kernel
def fill_level(level: Vector, probabilities: Matrix, x: Vector, draw: Vector, d_delta: Vector) -> None:
    """Fill level (I,) with sum_j s_ij (x_j draw_i + d_delta_j)."""
    fill(level, 0.0)
    for j in range(x.size):
        row, slope, shift = probabilities[j], x[j], d_delta[j]
        for i in range(level.size):
            level[i] += row[i] * (slope * draw[i] + shift)


@inner_kernel
def d_shares_at_fixed_delta(
    d_shares: Vector, probabilities: Matrix, x: Vector, draw: Vector, level: Vector, weights: Vector
) -> None:
    """Fill d_shares (J,) with minus sum_i w_i s_ij (x_j draw_i - level_i)."""
    for j in range(x.size):
        row, slope = probabilities[j], x[j]
        total = 0.0
        for i in range(weights.size):
            total += weights[i] * row[i] * (slope * draw[i] - level[i])
        d_shares[j] = -total


@inner_kernel
def d_firm_markups(
    right: Vector,
    probabilities: Matrix,
    utilities: tuple[Vector, Vector, Vector, Vector],
    slopes: tuple[Matrix, int, Vector],
    eta: Vector,
    weights: Vector,
    sums: Matrix,
) -> None:
    """Fill right (n,) with minus a firm's dDelta eta.

    utilities  x (n,), d_delta (n,), draw (I,) and level (I,)
    slopes     A (n, I*) or (1, I*), its step, and the firm's d_slope (n,), which multiplies draw
    sums       (3, I*) scratch
    """
    x, d_delta, draw, level = utilities
    matrix, step, d_slope = slopes
    agents = weights.size
    total, d_total, d_row = sums[0], sums[1], sums[2]
    for i in range(agents):
        total[i] = 0.0
        d_total[i] = 0.0
    for j in range(eta.size):
        row = probabilities[j]
        for i in range(agents):
            total[i] += eta[j] * row[i]
            d_total[i] += eta[j] * row[i] * (x[j] * draw[i] + d_delta[j] - level[i])
    for j in range(eta.size):
        row, slope = probabilities[j], matrix[j * step]
        for i in range(agents):
            d_row[i] = row[i] * (x[j] * draw[i] + d_delta[j] - level[i])
        result = 0.0
        for i in range(agents):
            gap = eta[j] - total[i]
            change = d_slope[j] * draw[i] * row[i] * gap
            result += weights[i] * (change + slope[i] * (d_row[i] * gap - row[i] * d_total[i]))
        right[j] = result


@driver_kernel
def d_market_markups(
    t: int,
    panel: Panel,
    state: State,
    bench: Bench,
    d_slope: Vector,
    d_delta: Vector,
    d_eta: Vector,
) -> None:
    """Fill d_eta (J,) along the direction whose x, draw and level the bench holds."""
    first = panel.offsets.products[t]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    weights = panel.consumers.weights[agent:last_agent]
    x = bench.products[0, : d_eta.size]
    draw, level = bench.agents[1, : weights.size], bench.agents[2, : weights.size]
    step = 1 if panel.slopes.varies else 0
    slopes = state.slopes[first if panel.slopes.varies else t :]
    for f in range(panel.offsets.firms[t], panel.offsets.firms[t + 1]):
        start, stop = panel.offsets.firm_products[f], panel.offsets.firm_products[f + 1]
        a, b = start - first, stop - first
        d_firm_markups(
            d_eta[a:b],
            state.probabilities[start:stop],
            (x[a:b], d_delta[a:b], draw, level),
            (slopes[a * step :], step, d_slope[a:b]),
            state.eta[start:stop],
            weights,
            bench.agents[3:6],
        )
        solve_factorized(d_eta[a:b], state.factors[start:stop], state.pivots[start:stop])


@inner_kernel
def prepare_direction(
    p: int, first: int, panel: Panel, directions: Directions, x: Vector, d_slope: Vector
) -> None:
    """Fill x (J,) and d_slope (J,), which multiply a direction's draw in utilities and in their slopes."""
    k = directions.characteristic[p]
    for j in range(x.size):
        if directions.kind[p] == ALPHA:
            x[j] = 0.0
            d_slope[j] = panel.slopes.x1[first + j, k]
        else:
            x[j] = panel.x2[first + j, k]
            d_slope[j] = panel.slopes.x2[first + j, k]


@driver_kernel
def d_market(
    t: int, panel: Panel, state: State, bench: Bench, directions: Directions, d_xi: Matrix, d_eta: Matrix
) -> bool:
    """Fill market t's columns of d_xi and d_eta (P, N); return whether J_delta is regular."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    products, agents = last - first, last_agent - agent
    weights = panel.consumers.weights[agent:last_agent]
    probabilities, shares = state.probabilities[first:last], state.shares[first:last]
    x, d_slope, zero = (
        bench.products[0, :products],
        bench.products[1, :products],
        bench.products[2, :products],
    )
    draw, level = bench.agents[1, :agents], bench.agents[2, :agents]
    fill(zero, 0.0)
    for p in range(directions.kind.size):
        prepare_direction(p, first, panel, directions, x, d_slope)
        fill_draw(draw, p, agent, panel, directions, state.link_slopes)
        fill_level(level, probabilities, x, draw, zero)
        d_delta = d_xi[p, first:last]
        d_shares_at_fixed_delta(d_delta, probabilities, x, draw, level, weights)
        if not solve_delta_derivative(d_delta, shares, probabilities, weights, panel.positive_weights, bench):
            return False
        if d_eta.shape[0] > 0:
            fill_level(level, probabilities, x, draw, d_delta)
            d_market_markups(t, panel, state, bench, d_slope, d_delta, d_eta[p, first:last])
    return True


@kernel
def jacobians(
    panel: Panel, state: State, bench: Bench, directions: Directions, d_xi: Matrix, d_eta: Matrix
) -> int:
    """Return how it ended, after an evaluation; fill the derivatives of delta and of markups.

    d_xi   (P, N)  d delta / d theta, which is d xi / d theta but for the linear part
    d_eta  (P, N), or (0, N) without a supply side
    """
    for t in range(panel.log_outside.size):
        if not d_market(t, panel, state, bench, directions, d_xi, d_eta):
            return NO_DERIVATIVE
    return FINE
