"""Linear systems of one market: small dense ones, and the derivative of shares with respect to delta.

With P = (s_ij), J x I, that derivative is J_delta = diag(P w) - P diag(w) P'. It is symmetric.
"""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Bench, Integers, Matrix, Vector
from blpsim.kernels.choice import combine_rows, copy, dot, sum_over, weighted_sums
from blpsim.kernels.compile import driver_kernel, inner_kernel

CONJUGATE_TOLERANCE = 1e-26
CONJUGATE_STEPS = 60


@inner_kernel
def factorize(matrix: Matrix, pivots: Integers) -> bool:
    """Replace n rows of a matrix, n = pivots.size, by their LU factors; return whether it is regular."""
    size = pivots.size
    for k in range(size):
        best, pivot = k, abs(matrix[k, k])
        for row in range(k + 1, size):
            if abs(matrix[row, k]) > pivot:
                best, pivot = row, abs(matrix[row, k])
        pivots[k] = best
        if not (pivot > 0.0 and np.isfinite(pivot)):
            return False
        if best != k:
            for column in range(size):
                swapped = matrix[k, column]
                matrix[k, column] = matrix[best, column]
                matrix[best, column] = swapped
        for row in range(k + 1, size):
            factor = matrix[row, k] / matrix[k, k]
            matrix[row, k] = factor
            upper, lower = matrix[k, k + 1 : size], matrix[row, k + 1 : size]
            for column in range(upper.size):
                lower[column] -= factor * upper[column]
    return True


@inner_kernel
def solve_factorized(right: Vector, factors: Matrix, pivots: Integers) -> None:
    """Replace right (n,) by the solution of the factorized system."""
    size = right.size
    for k in range(size):
        swapped = right[k]
        right[k] = right[pivots[k]]
        right[pivots[k]] = swapped
    for k in range(size):
        for column in range(k):
            right[k] -= factors[k, column] * right[column]
    for k in range(size - 1, -1, -1):
        for column in range(k + 1, size):
            right[k] -= factors[k, column] * right[column]
        right[k] /= factors[k, k]


@inner_kernel
def solve_factorized_transposed(right: Vector, factors: Matrix, pivots: Integers) -> None:
    """Replace right (n,) by the solution of the transposed factorized system."""
    size = right.size
    for k in range(size):
        for row in range(k):
            right[k] -= factors[row, k] * right[row]
        right[k] /= factors[k, k]
    for k in range(size - 1, -1, -1):
        for row in range(k + 1, size):
            right[k] -= factors[row, k] * right[row]
    for k in range(size - 1, -1, -1):
        swapped = right[k]
        right[k] = right[pivots[k]]
        right[pivots[k]] = swapped


@inner_kernel
def fill_delta_derivative(
    derivative: Matrix, probabilities: Matrix, products: int, weights: Vector, scratch: Vector
) -> None:
    """Fill (J, J) of a larger matrix with J_delta, from probabilities (J, I*)."""
    for j in range(products):
        row = probabilities[j]
        for i in range(weights.size):
            scratch[i] = row[i] * weights[i]
        share = sum_over(scratch[: weights.size])
        for k in range(j + 1):
            other = probabilities[k]
            derivative[j, k] = derivative[k, j] = -dot(scratch[: weights.size], other)
        derivative[j, j] += share


@inner_kernel
def solve_by_conjugate_gradients(
    solution: Vector, probabilities: Matrix, shares: Vector, weights: Vector, work: Matrix, agents: Vector
) -> bool:
    """Replace solution (J,) by J_delta^{-1} of it, preconditioned by the shares; weights must be positive.

    Returns False, with the solution spoiled, when that took too many steps.
    work (4, J*) and agents (I,) are scratch; every step costs O(IJ).
    """
    products = solution.size
    remainder, direction, image = work[0, :products], work[1, :products], work[2, :products]
    inverse = work[3, :products]
    for j in range(products):
        inverse[j] = 1.0 / shares[j]
        remainder[j] = solution[j]
        direction[j] = remainder[j] * inverse[j]
        solution[j] = 0.0
    progress = dot(remainder, direction)
    goal = progress * CONJUGATE_TOLERANCE
    for _ in range(CONJUGATE_STEPS):
        if progress <= goal:
            return True
        combine_rows(agents, probabilities, direction)
        for i in range(weights.size):
            agents[i] *= weights[i]
        weighted_sums(image, probabilities, agents)
        for j in range(products):
            image[j] = shares[j] * direction[j] - image[j]
        curvature = dot(direction, image)
        if not curvature > 0.0:
            return False
        length = progress / curvature
        for j in range(products):
            solution[j] += length * direction[j]
            remainder[j] -= length * image[j]
        new_progress = 0.0
        for j in range(products):
            new_progress += remainder[j] * remainder[j] * inverse[j]
        ratio = new_progress / progress
        progress = new_progress
        for j in range(products):
            direction[j] = remainder[j] * inverse[j] + ratio * direction[j]
    return False


@driver_kernel
def solve_delta_derivative(
    solution: Vector, shares: Vector, probabilities: Matrix, weights: Vector, positive: bool, bench: Bench
) -> bool:
    """Replace solution (J,) by J_delta^{-1} of it; return whether J_delta is regular.

    Conjugate gradients where they converge, as they do unless hardly anybody buys nothing; else densely.
    """
    products, scratch = solution.size, bench.agents[0, : weights.size]
    right = bench.products[7, :products]
    copy(right, solution)
    if positive:
        work = bench.products[8:]
        if solve_by_conjugate_gradients(solution, probabilities, shares, weights, work, scratch):
            return True
        copy(solution, right)
    pivots = bench.pivots[:products]
    fill_delta_derivative(bench.square, probabilities, products, weights, scratch)
    if not factorize(bench.square, pivots):
        return False
    solve_factorized(solution, bench.square, pivots)
    return True
