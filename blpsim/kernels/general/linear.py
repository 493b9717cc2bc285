"""The derivative of shares with respect to delta with nests, J_delta, and its systems.

With C = (s_ij given the nest), s_ij = c_ij q_ih and u_h = sum_{k in h} s_ik x_k,

    (J_delta x)_j = kappa s_j x_j - sum_i w_i c_ij ((kappa - 1) u_ih + q_ih sum_g u_ig).
"""

from __future__ import annotations

from blpsim.arrays import Bench, Matrix, Vector
from blpsim.kernels.choice import copy, fill
from blpsim.kernels.compile import driver_kernel, inner_kernel
from blpsim.kernels.general.choice import NestedMarket
from blpsim.kernels.linear import CONJUGATE_STEPS, CONJUGATE_TOLERANCE, factorize, solve_factorized


@inner_kernel
def multiply_nested(image: Vector, direction: Vector, shares: Vector, market: NestedMarket) -> None:
    """Fill image (J,) with J_delta times direction (J,)."""
    weights, total = market.weights, market.total
    fill(total, 0.0)
    for h in range(market.kappa.size):
        fill(market.pull[h][: weights.size], 0.0)
    for j in range(direction.size):
        pull, row, factor = market.pull[market.nest[j]], market.odds[j], direction[j]
        for i in range(weights.size):
            pull[i] += factor * row[i]
    for h in range(market.kappa.size):
        pull, nest = market.pull[h], market.nests[h]
        for i in range(weights.size):
            pull[i] *= nest[i]
            total[i] += pull[i]
    for h in range(market.kappa.size):
        pull, nest, steep = market.pull[h], market.nests[h], market.kappa[h] - 1.0
        for i in range(weights.size):
            pull[i] = weights[i] * (steep * pull[i] + nest[i] * total[i])
    for j in range(direction.size):
        h, row = market.nest[j], market.odds[j]
        pull = market.pull[h]
        lost = 0.0
        for i in range(weights.size):
            lost += row[i] * pull[i]
        image[j] = market.kappa[h] * shares[j] * direction[j] - lost


@inner_kernel
def precondition(direction: Vector, remainder: Vector, shares: Vector, market: NestedMarket) -> None:
    """Fill direction (J,) with the inverse of J_delta times remainder, as if agents were alike in a nest.

    Two numbers a nest are kept in the first columns of the market's scratch.
    """
    nest_remainders, nest_shares = market.pull[:, 0], market.pull[:, 1]
    for h in range(market.kappa.size):
        nest_remainders[h] = 0.0
        nest_shares[h] = 0.0
    for j in range(remainder.size):
        nest_remainders[market.nest[j]] += remainder[j]
        nest_shares[market.nest[j]] += shares[j]
    for j in range(remainder.size):
        h = market.nest[j]
        share = 1.0 / market.kappa[h]
        mean = nest_remainders[h] / nest_shares[h]
        direction[j] = share * remainder[j] / shares[j] + (1.0 - share) * mean


@inner_kernel
def solve_nested_by_conjugate_gradients(
    solution: Vector, shares: Vector, market: NestedMarket, work: Matrix
) -> bool:
    """Replace solution (J,) by J_delta^{-1} of it; weights must be positive.

    Returns False, with the solution spoiled, when that took too many steps. work (4, J*) is scratch.
    """
    products = solution.size
    remainder, direction = work[0, :products], work[1, :products]
    image, improved = work[2, :products], work[3, :products]
    copy(remainder, solution)
    fill(solution, 0.0)
    precondition(direction, remainder, shares, market)
    progress = 0.0
    for j in range(products):
        progress += remainder[j] * direction[j]
    goal = progress * CONJUGATE_TOLERANCE
    for _ in range(CONJUGATE_STEPS):
        if progress <= goal:
            return True
        multiply_nested(image, direction, shares, market)
        curvature = 0.0
        for j in range(products):
            curvature += direction[j] * image[j]
        if not curvature > 0.0:
            return False
        length = progress / curvature
        for j in range(products):
            solution[j] += length * direction[j]
            remainder[j] -= length * image[j]
        precondition(improved, remainder, shares, market)
        new_progress = 0.0
        for j in range(products):
            new_progress += remainder[j] * improved[j]
        ratio = new_progress / progress
        progress = new_progress
        for j in range(products):
            direction[j] = improved[j] + ratio * direction[j]
    return False


@inner_kernel
def fill_nested_derivative(derivative: Matrix, shares: Vector, market: NestedMarket, scratch: Vector) -> None:
    """Fill (J, J) of a larger matrix with J_delta."""
    products, agents = shares.size, market.weights.size
    for j in range(products):
        h, row = market.nest[j], market.odds[j]
        nest = market.nests[h]
        for k in range(j + 1):
            g, other = market.nest[k], market.odds[k]
            steep, chosen = (market.kappa[h] - 1.0 if g == h else 0.0), market.nests[g]
            for i in range(agents):
                scratch[i] = row[i] * chosen[i] * other[i] * market.weights[i] * (steep + nest[i])
            total = 0.0
            for i in range(agents):
                total += scratch[i]
            derivative[j, k] = derivative[k, j] = -total
        derivative[j, j] += market.kappa[h] * shares[j]


@driver_kernel
def solve_nested_derivative(
    solution: Vector, shares: Vector, market: NestedMarket, positive: bool, bench: Bench
) -> bool:
    """Replace solution (J,) by J_delta^{-1} of it; return whether J_delta is regular.

    Conjugate gradients where they converge, else densely.
    """
    products = solution.size
    right = bench.products[7, :products]
    copy(right, solution)
    if positive:
        if solve_nested_by_conjugate_gradients(solution, shares, market, bench.products[8:]):
            return True
        copy(solution, right)
    pivots = bench.pivots[:products]
    fill_nested_derivative(bench.square, shares, market, bench.agents[0])
    if not factorize(bench.square, pivots):
        return False
    solve_factorized(solution, bench.square, pivots)
    return True
