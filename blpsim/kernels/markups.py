"""Bertrand markups of one market, firm by firm (Berry, Levinsohn and Pakes 1995; Morrow and Skerlos 2011).

Delta_jk = -H_jk ds_k/dp_j = Gamma_jk - 1{j = k} Lambda_j within a firm, with
Lambda_j = sum_i w_i A_ij s_ij and Gamma_jk = sum_i w_i A_ij s_ij s_ik; eta solves Delta eta = s.
"""

from __future__ import annotations

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.kernels.choice import sum_over, weighted_sums
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.linear import factorize, solve_factorized


@inner_kernel
def fill_firm_block(
    gamma: Matrix,
    own: Vector,
    probabilities: Matrix,
    slopes: Matrix,
    slope_step: int,
    weights: Vector,
    scratch: Vector,
) -> None:
    """Fill gamma (n, n*) and own (n,), a firm's Gamma and Lambda, from its probabilities (n, I*).

    slopes  (n, I*), or (1, I*) with a slope step of 0 when products do not differ: then Gamma is symmetric
    """
    products, agents = own.size, weights.size
    scaled = scratch[:agents]
    for j in range(products):
        row, slope = probabilities[j], slopes[j * slope_step]
        for i in range(agents):
            scaled[i] = weights[i] * slope[i] * row[i]
        own[j] = sum_over(scaled)
        first = j * (1 - slope_step)
        weighted_sums(gamma[j, first:products], probabilities[first:], scaled)
        if slope_step == 0:
            for k in range(j + 1, products):
                gamma[k, j] = gamma[j, k]


@inner_kernel
def solve_firm_markups(
    eta: Vector, factors: Matrix, pivots: Integers, gamma: Matrix, own: Vector, shares: Vector
) -> bool:
    """Fill eta (n,) with a firm's markups and factors (n, n*) with the LU factors of its Delta."""
    size = eta.size
    for j in range(size):
        for k in range(size):
            factors[j, k] = gamma[j, k]
        factors[j, j] -= own[j]
        eta[j] = shares[j]
    if not factorize(factors, pivots):
        return False
    solve_factorized(eta, factors, pivots)
    return True
