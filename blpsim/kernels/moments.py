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

    On entry omega holds transformed costs, when there is a supply side.
    """
    instruments, supply = moments.demand_instruments.shape[0], moments.supply_instruments.shape[0] > 0
    averages = state.weighted
    for n in range(state.xi.size):
        state.xi[n] = state.delta[n] - moments.demand_offset[n]
    add_combination(state.xi, moments.given_demand, given_beta, -1.0)
    fill_averages(averages[:instruments], moments.demand_instruments, state.xi)
    if supply:
        add_combination(state.omega, moments.given_supply, given_gamma, -1.0)
        fill_averages(averages[instruments:], moments.supply_instruments, state.omega)
    weighted_sums(state.linear, moments.concentration, averages)
    free = moments.free_demand.shape[0]
    add_combination(state.xi, moments.free_demand, state.linear[:free], -1.0)
    fill_averages(state.moments[:instruments], moments.demand_instruments, state.xi)
    if supply:
        add_combination(state.omega, moments.free_supply, state.linear[free:], -1.0)
        fill_averages(state.moments[instruments:], moments.supply_instruments, state.omega)
    weighted_sums(state.weighted, moments.weighting, state.moments)
    objective = 0.0
    for m in range(state.moments.size):
        objective += state.moments[m] * state.weighted[m]
    return moments.scale * objective


@inner_kernel
def fill_seed(seed: Vector, instruments: Matrix, weighted: Vector, scale: float) -> None:
    """Fill seed (N,) with 2 scale / N times weighted (M,) times instruments (M, N)."""
    fill(seed, 0.0)
    add_combination(seed, instruments, weighted, 2.0 * scale / seed.size)


@inner_kernel
def fill_seeds(state: State, moments: Moments) -> None:
    """Fill the derivatives of the objective with respect to xi and, through omega, to costs."""
    instruments = moments.demand_instruments.shape[0]
    fill_seed(state.demand_seed, moments.demand_instruments, state.weighted[:instruments], moments.scale)
    if moments.supply_instruments.shape[0] == 0:
        return
    fill_seed(state.supply_seed, moments.supply_instruments, state.weighted[instruments:], moments.scale)


@inner_kernel
def fill_given_gradient(gradient: Vector, rows: Matrix, seed: Vector) -> None:
    """Fill gradient (G,) with minus rows (G, N) times seed (N,), for coefficients that are in theta."""
    weighted_sums(gradient, rows, seed)
    for k in range(gradient.size):
        gradient[k] *= -1.0


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
