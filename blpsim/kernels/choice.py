"""Choice probabilities of one market, agents innermost: coefficients, exponentiated utilities, slopes.

Matrices with a row a product have rows that may be longer than the market's number of agents; vectors
have the market's length, and say it.
"""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Matrix, Vector
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.elementary import exp

FOUR = 4


@inner_kernel
def fill(values: Vector, value: float) -> None:
    """Fill a vector with one value."""
    for n in range(values.size):
        values[n] = value


@inner_kernel
def copy(values: Vector, source: Vector) -> None:
    """Copy source into values, both of one length."""
    for n in range(values.size):
        values[n] = source[n]


@inner_kernel
def sum_over(values: Vector) -> float:
    """Return the sum of the values.

    A loop that also stores may run one by one where arrays lie side by side, else in vectors, which adds in
    another order; so what is summed is stored before.
    """
    total = 0.0
    for n in range(values.size):
        total += values[n]
    return total


@inner_kernel
def dot(left: Vector, right: Vector) -> float:
    """Return the sum of the products of two vectors of one length."""
    total = 0.0
    for n in range(left.size):
        total += left[n] * right[n]
    return total


@inner_kernel
def fill_coefficients(coefficients: Matrix, loadings: Matrix, draws: Matrix, first: int, last: int) -> None:
    """Add loadings (K, L) times the market's draws, columns first to last of (L, I), to (K, I*)."""
    agents = last - first
    for k in range(loadings.shape[0]):
        row = coefficients[k]
        for level in range(loadings.shape[1]):
            loading = loadings[k, level]
            if loading != 0.0:
                draw = draws[level, first:last]
                for i in range(agents):
                    row[i] += loading * draw[i]


@inner_kernel
def fill_utilities(utilities: Matrix, delta: Vector, x2: Matrix, coefficients: Matrix, agents: int) -> None:
    """Fill (J, I*) with V = delta + X2 C, from x2 (J, K2) and coefficients (K2, I*)."""
    for j in range(delta.size):
        row, constant = utilities[j][:agents], delta[j]
        if x2.shape[1] == 0:
            fill(row, constant)
            continue
        x, coefficient = x2[j, 0], coefficients[0]
        for i in range(agents):
            row[i] = constant + x * coefficient[i]
        add_combination(row, coefficients[1:], x2[j, 1:], 1.0)


@inner_kernel
def exponentiate(utilities: Matrix, outside: Vector, products: int) -> None:
    """Replace (J, I*) utilities by exp(V - M) and fill outside (I,) with exp(-M), M = max(0, max_j V)."""
    agents = outside.size
    fill(outside, 0.0)
    for j in range(products):
        row = utilities[j]
        for i in range(agents):
            outside[i] = max(outside[i], row[i])
    for j in range(products):
        row = utilities[j]
        for i in range(agents):
            row[i] = exp(row[i] - outside[i])
    for i in range(agents):
        outside[i] = exp(-outside[i])


@inner_kernel
def shares_at(
    shares: Vector,
    growth: Vector,
    odds: Matrix,
    outside: Vector,
    inverse: Vector,
    scaled: Vector,
    weights: Vector,
) -> float:
    """Fill shares (J,) at odds (J, I*) times growth (J,), inverse (I,) with 1 / D; return s0."""
    copy(inverse, outside)
    add_combination(inverse, odds, growth, 1.0)
    for i in range(weights.size):
        inverse[i] = 1.0 / inverse[i]
        scaled[i] = weights[i] * inverse[i]
    outside_share = dot(scaled, outside)
    weighted_sums(shares, odds, scaled)
    for j in range(shares.size):
        shares[j] *= growth[j]
    return outside_share


@inner_kernel
def normalize(odds: Matrix, growth: Vector, inverse: Vector) -> None:
    """Replace odds (J, I*), times growth (J,), by choice probabilities; inverse (I,) holds 1 / D."""
    for j in range(growth.size):
        row = odds[j]
        factor = growth[j]
        for i in range(inverse.size):
            row[i] *= factor * inverse[i]


@inner_kernel
def weighted_sums(sums: Vector, matrix: Matrix, weights: Vector) -> None:
    """Fill sums (J,) with matrix (J, I*) times weights (I,), four rows at a time, which spares loads."""
    rows = sums.size
    for j in range(0, rows - FOUR + 1, FOUR):
        row_0, row_1, row_2, row_3 = matrix[j], matrix[j + 1], matrix[j + 2], matrix[j + 3]
        total_0, total_1, total_2, total_3 = 0.0, 0.0, 0.0, 0.0
        for i in range(weights.size):
            weight = weights[i]
            total_0 += weight * row_0[i]
            total_1 += weight * row_1[i]
            total_2 += weight * row_2[i]
            total_3 += weight * row_3[i]
        sums[j], sums[j + 1] = total_0, total_1
        sums[j + 2], sums[j + 3] = total_2, total_3
    for j in range(rows - rows % FOUR, rows):
        row = matrix[j]
        total = 0.0
        for i in range(weights.size):
            total += weights[i] * row[i]
        sums[j] = total


@inner_kernel
def add_combination(combined: Vector, matrix: Matrix, factors: Vector, scale: float) -> None:
    """Add to combined (I,) scale times factors (J,) times matrix (J, I*), by four rows to spare loads."""
    rows = factors.size
    for j in range(0, rows - FOUR + 1, FOUR):
        row_0, row_1, row_2, row_3 = matrix[j], matrix[j + 1], matrix[j + 2], matrix[j + 3]
        factor_0, factor_1 = scale * factors[j], scale * factors[j + 1]
        factor_2, factor_3 = scale * factors[j + 2], scale * factors[j + 3]
        for i in range(combined.size):
            first = factor_0 * row_0[i] + factor_1 * row_1[i]
            combined[i] += first + (factor_2 * row_2[i] + factor_3 * row_3[i])
    for j in range(rows - rows % FOUR, rows):
        row, factor = matrix[j], scale * factors[j]
        for i in range(combined.size):
            combined[i] += factor * row[i]


@inner_kernel
def combine_rows(combined: Vector, matrix: Matrix, factors: Vector) -> None:
    """Fill combined (I,) with factors (J,) times matrix (J, I*)."""
    fill(combined, 0.0)
    add_combination(combined, matrix, factors, 1.0)


@inner_kernel
def is_finite(value: float) -> bool:
    """Return whether the value is neither NaN nor infinite."""
    return bool(np.isfinite(value))
