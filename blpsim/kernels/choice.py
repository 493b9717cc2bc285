"""Choice probabilities of one market, agents innermost: coefficients, exponentiated utilities, slopes.

Matrices with a row a product have rows that may be longer than the market's number of agents; vectors
have the market's length, and say it.
"""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Matrix, Vector
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.elementary import exp


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
        row = utilities[j]
        constant = delta[j]
        for i in range(agents):
            row[i] = constant
        for k in range(x2.shape[1]):
            x = x2[j, k]
            if x != 0.0:
                coefficient = coefficients[k]
                for i in range(agents):
                    row[i] += x * coefficient[i]


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
    shares: Vector, growth: Vector, odds: Matrix, outside: Vector, scaled: Vector, weights: Vector
) -> float:
    """Fill shares (J,) at odds (J, I*) times growth (J,), scaled (I,) with w / D; return s0."""
    agents = weights.size
    for i in range(agents):
        scaled[i] = outside[i]
    for j in range(shares.size):
        row = odds[j]
        factor = growth[j]
        for i in range(agents):
            scaled[i] += factor * row[i]
    outside_share = 0.0
    for i in range(agents):
        scaled[i] = weights[i] / scaled[i]
        outside_share += scaled[i] * outside[i]
    for j in range(shares.size):
        row = odds[j]
        total = 0.0
        for i in range(agents):
            total += scaled[i] * row[i]
        shares[j] = growth[j] * total
    return outside_share


@inner_kernel
def normalize(odds: Matrix, growth: Vector, outside: Vector, scratch: Vector) -> None:
    """Replace odds (J, I*), times growth (J,), by choice probabilities."""
    agents = outside.size
    for i in range(agents):
        scratch[i] = outside[i]
    for j in range(growth.size):
        row = odds[j]
        factor = growth[j]
        for i in range(agents):
            row[i] *= factor
            scratch[i] += row[i]
    for i in range(agents):
        scratch[i] = 1.0 / scratch[i]
    for j in range(growth.size):
        row = odds[j]
        for i in range(agents):
            row[i] *= scratch[i]


@inner_kernel
def weighted_sums(sums: Vector, matrix: Matrix, weights: Vector) -> None:
    """Fill sums (J,) with matrix (J, I*) times weights (I,)."""
    for j in range(sums.size):
        row = matrix[j]
        total = 0.0
        for i in range(weights.size):
            total += row[i] * weights[i]
        sums[j] = total


@inner_kernel
def combine_rows(combined: Vector, matrix: Matrix, factors: Vector) -> None:
    """Fill combined (I,) with factors (J,) times matrix (J, I*)."""
    for i in range(combined.size):
        combined[i] = 0.0
    for j in range(factors.size):
        row = matrix[j]
        factor = factors[j]
        for i in range(combined.size):
            combined[i] += factor * row[i]


@inner_kernel
def is_finite(value: float) -> bool:
    """Return whether the value is neither NaN nor infinite."""
    return bool(np.isfinite(value))
