"""The linear side of the objective: concentrated coefficients, residuals, moments, adjoint seeds.

Residuals are formed before moments: moments from a projection of the dependent variables would carry
fifty times more rounding noise, which line searches notice.
"""

from __future__ import annotations

from blpsim.arrays import Matrix, Moments, State, Vector
from blpsim.kernels.choice import add_combination, fill, weighted_sums
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.elementary import log


@inner_kernel
def fill_averages(averages: Vector, rows: Matrix, values: Vector) -> None:
    """Fill averages (M,) with rows (M, N) times values (N,) over N."""
    weighted_sums(averages, rows, values)
    for m in range(averages.size):
        averages[m] /= values.size


@inner_kernel
def fill_costs(state: State, prices: Vector, moments: Moments) -> int:
    """Fill costs and omega with p - eta, clipped, and its transformation; return how many were clipped."""
    clipped = 0
    lower, upper = moments.cost_bounds[0], moments.cost_bounds[1]
    for n in range(prices.size):
        cost = prices[n] - state.eta[n]
        inside = min(max(cost, lower), upper)
        clipped += 0 if inside == cost else 1
        state.costs[n] = inside
    for n in range(prices.size):
        state.omega[n] = state.costs[n] - moments.supply_offset[n]
    if moments.log_costs:
        for n in range(prices.size):
            state.omega[n] = log(state.costs[n]) - moments.supply_offset[n]
    return clipped


@inner_kernel
def fill_residuals(state: State, moments: Moments, given_beta: Vector, given_gamma: Vector) -> float:
    """Fill xi, omega, concentrated coefficients and moments, and return the objective.

    On entry omega holds transformed costs, when there is a supply side. The first pass takes away what is
    given, the second what is concentrated out; one loop over passes and sides compiles once, not four times.
    """
    supply, split = moments.supply_instruments.shape[0] > 0, moments.free_demand.shape[0]
    sides = 2 if supply else 1
    residuals = (state.xi, state.omega)
    instruments = (moments.demand_instruments, moments.supply_instruments)
    columns = (moments.given_demand, moments.given_supply, moments.free_demand, moments.free_supply)
    factors = (given_beta, given_gamma, state.linear[:split], state.linear[split:])
    for n in range(state.xi.size):
        state.xi[n] = state.delta[n] - moments.demand_offset[n]
    for part in range(2 * sides):
        side, second = part % sides, part // sides
        if part == sides:
            multiply(state.linear, moments.concentration, state.weighted)
        add_combination(residuals[side], columns[2 * second + side], factors[2 * second + side], -1.0)
        first = side * instruments[0].shape[0]
        averages = (state.weighted, state.moments)[second]
        fill_averages(
            averages[first : first + instruments[side].shape[0]], instruments[side], residuals[side]
        )
    multiply(state.weighted, moments.weighting, state.moments)
    objective = 0.0
    for m in range(state.moments.size):
        objective += state.moments[m] * state.weighted[m]
    return moments.scale * objective


@inner_kernel
def multiply(product: Vector, matrix: Matrix, vector: Vector) -> None:
    """Fill product (R,) with a small matrix (R, C) times vector (C,)."""
    for r in range(product.size):
        row = matrix[r]
        total = 0.0
        for c in range(vector.size):
            total += row[c] * vector[c]
        product[r] = total


@inner_kernel
def fill_seeds(state: State, moments: Moments, gradients: tuple[Vector, Vector]) -> None:
    """Fill the derivatives of the objective with respect to xi, through omega to costs, and to what is given.

    gradients  (G1,) and (G3,), filled with derivatives with respect to given beta and gamma
    """
    supply = moments.supply_instruments.shape[0] > 0
    instruments = (moments.demand_instruments, moments.supply_instruments)
    seeds = (state.demand_seed, state.supply_seed)
    columns = (moments.given_demand, moments.given_supply)
    for side in range(2 if supply else 1):
        seed, gradient = seeds[side], gradients[side]
        first = side * instruments[0].shape[0]
        weighted = state.weighted[first : first + instruments[side].shape[0]]
        fill(seed, 0.0)
        add_combination(seed, instruments[side], weighted, 2.0 * moments.scale / seed.size)
        weighted_sums(gradient, columns[side], seed)
        for k in range(gradient.size):
            gradient[k] *= -1.0
    if supply:
        chain_through_costs(state, moments)


@inner_kernel
def chain_through_costs(state: State, moments: Moments) -> None:
    """Turn the supply seed from a derivative with respect to omega into one with respect to costs."""
    lower, upper = moments.cost_bounds[0], moments.cost_bounds[1]
    for n in range(state.supply_seed.size):
        cost = state.costs[n]
        if cost <= lower or cost >= upper:
            state.supply_seed[n] = 0.0
        elif moments.log_costs:
            state.supply_seed[n] /= cost
