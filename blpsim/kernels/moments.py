"""The linear side of the objective: concentrated coefficients, residuals, moments, adjoint seeds.

Residuals are formed before moments: moments from a projection of the dependent variables would carry
fifty times more rounding noise, which line searches notice.
"""

from __future__ import annotations

from blpsim.arrays import Matrix, Moments, State, Vector
from blpsim.kernels.choice import fill
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.elementary import log


@inner_kernel
def subtract_rows(values: Vector, rows: Matrix, factors: Vector) -> None:
    """Subtract factors (K,) times rows (K, N) from values (N,)."""
    for k in range(rows.shape[0]):
        row, factor = rows[k], factors[k]
        for n in range(values.size):
            values[n] -= factor * row[n]


@inner_kernel
def fill_averages(averages: Vector, rows: Matrix, values: Vector) -> None:
    """Fill averages (M,) with rows (M, N) times values (N,) over N."""
    number = values.size
    for m in range(rows.shape[0]):
        row = rows[m]
        total = 0.0
        for n in range(number):
            total += row[n] * values[n]
        averages[m] = total / number


@inner_kernel
def fill_costs(state: State, prices: Vector, moments: Moments) -> int:
    """Fill costs and omega with p - eta, clipped, and its transformation; return how many were clipped."""
    clipped = 0
    lower, upper = moments.cost_bounds[0], moments.cost_bounds[1]
    for n in range(prices.size):
        cost = prices[n] - state.eta[n]
        if cost < lower or cost > upper:
            clipped += 1
            cost = min(max(cost, lower), upper)
        state.costs[n] = cost
        state.omega[n] = (log(cost) if moments.log_costs else cost) - moments.supply_offset[n]
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
    subtract_rows(state.xi, moments.given_demand, given_beta)
    fill_averages(averages[:instruments], moments.demand_instruments, state.xi)
    if supply:
        subtract_rows(state.omega, moments.given_supply, given_gamma)
        fill_averages(averages[instruments:], moments.supply_instruments, state.omega)
    multiply(state.linear, moments.concentration, averages)
    free = moments.free_demand.shape[0]
    subtract_rows(state.xi, moments.free_demand, state.linear[:free])
    fill_averages(state.moments[:instruments], moments.demand_instruments, state.xi)
    if supply:
        subtract_rows(state.omega, moments.free_supply, state.linear[free:])
        fill_averages(state.moments[instruments:], moments.supply_instruments, state.omega)
    multiply(state.weighted, moments.weighting, state.moments)
    objective = 0.0
    for m in range(state.moments.size):
        objective += state.moments[m] * state.weighted[m]
    return moments.scale * objective


@inner_kernel
def multiply(product: Vector, matrix: Matrix, vector: Vector) -> None:
    """Fill product (R,) with matrix (R, C) times vector (C,)."""
    for r in range(product.size):
        row = matrix[r]
        total = 0.0
        for c in range(vector.size):
            total += row[c] * vector[c]
        product[r] = total


@inner_kernel
def fill_seed(seed: Vector, instruments: Matrix, weighted: Vector, scale: float) -> None:
    """Fill seed (N,) with 2 scale / N times weighted (M,) times instruments (M, N)."""
    fill(seed, 0.0)
    for m in range(instruments.shape[0]):
        row = instruments[m]
        factor = 2.0 * scale * weighted[m] / seed.size
        for n in range(seed.size):
            seed[n] += factor * row[n]


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
    for k in range(rows.shape[0]):
        row = rows[k]
        total = 0.0
        for n in range(seed.size):
            total -= row[n] * seed[n]
        gradient[k] = total


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
