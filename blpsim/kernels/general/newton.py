"""Inversion as a root: its equations with their derivative, for any root finder, and Newton's method.

The equations say that the mapping's step is zero. The outside-corrected ones,

    (1 - rho) log(S_j / s_j) + rho log(S_h / s_h) - log(S0 / s0) = 0,

are linear in delta where agents are alike, so that Newton's first step is the last one for nested logit.
A market without nests is one nest with a rho of zero. Each point costs one J x J matrix a market at most.
"""

from __future__ import annotations

import math

import numpy as np

from blpsim.arrays import Bench, InversionRule, Matrix, Nesting, Panel, State, Target, Unknowns, Vector
from blpsim.kernels.choice import copy, fill, sum_over
from blpsim.kernels.compile import driver_kernel, inner_kernel, kernel
from blpsim.kernels.general.choice import NestedMarket, exponentiate_nests, finish_nests, nested_shares_at
from blpsim.kernels.general.evaluation import nest_target, nested_market_target
from blpsim.kernels.general.inversion import NestTarget, nested_step
from blpsim.kernels.general.linear import fill_nested_derivative
from blpsim.kernels.general.objective import fill_kappa
from blpsim.kernels.general.specific import fill_market_utilities
from blpsim.kernels.inversion import OUTSIDE_CORRECTED, fill_log_ratio, limited_log_ratio
from blpsim.kernels.linear import factorize, solve_factorized
from blpsim.kernels.unknowns import take_apart

MARGIN = 0.5
"""Of the tolerance: another order of summation must certify the same point."""


@driver_kernel
def fill_equations(
    delta: Vector, market: NestedMarket, nests: NestTarget, bench: Bench, target: Target, mapping: int
) -> tuple[float, float]:
    """Return the residual max |log S - log s| at delta (J,), or a larger number, and the outside share.

    The mapping's step is left in the bench's fourth row of products, and the shares in its fifth.
    """
    growth, log_ratio = bench.products[0, : delta.size], bench.products[2, : delta.size]
    step, shares = bench.products[3, : delta.size], bench.products[4, : delta.size]
    fill(growth, 1.0)
    fill_market_utilities(market.odds, delta, target.x2, target.coefficients, market)
    exponentiate_nests(market)
    outside_share = nested_shares_at(market, shares, nests.shares, growth)
    residual = fill_log_ratio(log_ratio, shares, target.log_shares, 0.0)
    nested_step(mapping, step, log_ratio, market, nests, limited_log_ratio(target.log_outside, outside_share))
    largest = 0.0
    for j in range(delta.size):
        largest = max(largest, abs(log_ratio[j]))
    return (largest if np.isfinite(residual) else np.inf), outside_share


@inner_kernel
def combine_derivative(
    matrix: Matrix, shares: Vector, outside_share: float, market: NestedMarket, scratch: Matrix, mapping: int
) -> None:
    """Turn J_delta, (J, J) of a larger matrix, into minus the derivative of the mapping's step.

    scratch  (2, J*) sums over nests
    """
    nest_shares, sums = scratch[0], scratch[1]
    for h in range(market.kappa.size):
        nest_shares[h] = 0.0
    for j in range(shares.size):
        nest_shares[market.nest[j]] += shares[j]
    for k in range(shares.size):
        for h in range(market.kappa.size):
            sums[h] = 0.0
        for j in range(shares.size):
            sums[market.nest[j]] += matrix[j, k]
        total = sum_over(sums[: market.kappa.size])
        for j in range(shares.size):
            h = market.nest[j]
            share = 1.0 / market.kappa[h]
            matrix[j, k] *= share / shares[j]
            if mapping == OUTSIDE_CORRECTED:
                matrix[j, k] += (1.0 - share) * sums[h] / nest_shares[h] + total / outside_share


@driver_kernel
def fill_equations_derivative(
    matrix: Matrix,
    outside_share: float,
    market: NestedMarket,
    filled: tuple[Matrix, Matrix],
    bench: Bench,
    mapping: int,
) -> None:
    """Fill (J, J) of a larger matrix with minus the derivative of the mapping's step, where it was filled.

    filled  (J, I*) probabilities and (H, I*) inclusive values, which are filled on the way
    """
    products = market.nest.size
    shares = bench.products[4, :products]
    finish_nests(market, filled[0], filled[1], bench.products[0, :products])
    fill_nested_derivative(matrix, shares, market, bench.agents[2])
    combine_derivative(matrix, shares, outside_share, market, bench.products[5:7], mapping)


@driver_kernel
def newton_inversion(
    delta: Vector,
    market: NestedMarket,
    nests: NestTarget,
    filled: tuple[Matrix, Matrix],
    bench: Bench,
    target: Target,
    rule: InversionRule,
) -> int:
    """Move delta (J,) to the root by Newton's steps; return evaluations used.

    Where such a step does not shorten the mapping's, that one is taken instead, from where it began.
    """
    products, pivots = delta.size, bench.pivots[: delta.size]
    step, last, short = (
        bench.products[3, :products],
        bench.products[7, :products],
        bench.products[8, :products],
    )
    best, by_newton = np.inf, False
    for evaluation in range(rule.max_evaluations):
        residual, outside_share = fill_equations(delta, market, nests, bench, target, rule.mapping)
        if residual < MARGIN * rule.tolerance:
            return evaluation + 1
        norm = 0.0
        for j in range(products):
            norm += step[j] * step[j]
        norm = math.sqrt(norm)
        if by_newton and not norm < best:
            for j in range(products):
                delta[j] = last[j] + short[j]
            by_newton = False
            continue
        if not np.isfinite(norm):
            return evaluation + 1
        copy(last, delta)
        copy(short, step)
        best = norm
        fill_equations_derivative(bench.square, outside_share, market, filled, bench, rule.mapping)
        by_newton = factorize(bench.square, pivots)
        if by_newton:
            solve_factorized(step, bench.square, pivots)
        for j in range(products):
            delta[j] += step[j]
    return rule.max_evaluations


@kernel
def invert_by_newton(
    panel: Panel, unknowns: Unknowns, nesting: Nesting, state: State, bench: Bench, rule: InversionRule
) -> int:
    """Replace ``state.delta`` by the root in every market where one is found; return evaluations used."""
    if not (take_apart(unknowns) and fill_kappa(unknowns, nesting)):
        return 0
    evaluations = 0
    for t in range(panel.log_outside.size):
        first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
        nest, last_nest = nesting.offsets[t], nesting.offsets[t + 1]
        market, target = nested_market_target(t, panel, unknowns.tastes, nesting, state, bench)
        nests = nest_target(t, nesting)
        filled = state.probabilities[first:last], nesting.inclusive[nest:last_nest]
        start, delta = bench.products[9, : last - first], state.delta[first:last]
        copy(start, delta)
        evaluations += newton_inversion(delta, market, nests, filled, bench, target, rule)
        finite = True
        for j in range(delta.size):
            finite = finite and np.isfinite(delta[j])
        if not finite:
            copy(delta, start)
    return evaluations


@kernel
def equations_at(
    t: int,
    panel: Panel,
    unknowns: Unknowns,
    worked: tuple[Nesting, State, Bench],
    rule: InversionRule,
    point: tuple[Vector, Vector, Matrix],
) -> float:
    """Return the residual in market t at a point; infinity where there is none.

    point  delta (J,); the mapping's step (J,), filled; minus its derivative (J, J), filled unless (0, 0)
    """
    nesting, state, bench = worked
    delta, step, matrix = point
    if not (take_apart(unknowns) and fill_kappa(unknowns, nesting)):
        return np.inf
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    nest, last_nest = nesting.offsets[t], nesting.offsets[t + 1]
    market, target = nested_market_target(t, panel, unknowns.tastes, nesting, state, bench)
    nests = nest_target(t, nesting)
    residual, outside_share = fill_equations(delta, market, nests, bench, target, rule.mapping)
    copy(step, bench.products[3, : delta.size])
    if matrix.shape[0] > 0:
        filled = state.probabilities[first:last], nesting.inclusive[nest:last_nest]
        fill_equations_derivative(matrix, outside_share, market, filled, bench, rule.mapping)
    return residual
