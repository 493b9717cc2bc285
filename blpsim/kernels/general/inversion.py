"""Inversion of market shares with nests: the plain engine's accelerations on nested mappings.

The outside-corrected mapping moves delta_j by

    (1 - rho) (log S_j - log s_j) + rho (log S_h - log s_h) - (log S0 - log s0),

the contraction by its first term alone (Brenkers and Verboven 2006). Both are certified on
max |log S_j - log s_j|.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from blpsim.arrays import Bench, InversionRule, Target, Vector
from blpsim.kernels.choice import copy, fill
from blpsim.kernels.compile import driver_kernel, inner_kernel
from blpsim.kernels.elementary import exp
from blpsim.kernels.general.choice import NestedMarket, exponentiate_nests, nested_shares_at
from blpsim.kernels.general.specific import fill_market_utilities
from blpsim.kernels.inversion import (
    ANDERSON,
    CONTRACTION,
    OUTSIDE_CORRECTED,
    REBASING,
    SIMPLE,
    SQUAREM,
    WORK_ROWS,
    accelerated_step,
    fill_log_ratio,
    limited_log_ratio,
)


class NestTarget(NamedTuple):
    """What nests must reproduce."""

    log_shares: Vector
    """(H,) logs of the nests' observed shares."""
    shares: Vector
    """(H,) scratch: the nests' shares, then log S_h - log s_h."""


@inner_kernel
def nested_step(
    mapping: int, step: Vector, log_ratio: Vector, market: NestedMarket, nests: NestTarget, outside: float
) -> None:
    """Fill step (J,) with the mapping less its argument; outside is log S0 - log s0."""
    for h in range(nests.shares.size):
        ratio = 0.0
        if mapping == OUTSIDE_CORRECTED:
            ratio = limited_log_ratio(nests.log_shares[h], nests.shares[h])
        nests.shares[h] = ratio
    correction = outside if mapping == OUTSIDE_CORRECTED else 0.0
    for j in range(step.size):
        h = market.nest[j]
        share = 1.0 / market.kappa[h]
        step[j] = share * log_ratio[j] + (1.0 - share) * nests.shares[h] - correction


@inner_kernel
def fill_nested_growth(growth: Vector, delta: Vector, base: Vector, market: NestedMarket) -> float:
    """Fill growth (J,) with exp(kappa (delta - base)), and return the length of the exponents."""
    total = 0.0
    for j in range(growth.size):
        total += (market.kappa[market.nest[j]] * (delta[j] - base[j])) ** 2
    for j in range(growth.size):
        growth[j] = exp(market.kappa[market.nest[j]] * (delta[j] - base[j]))
    return math.sqrt(total)


@driver_kernel
def iterate_nested_inversion(
    delta: Vector, market: NestedMarket, nests: NestTarget, bench: Bench, target: Target, rule: InversionRule
) -> tuple[int, float]:
    """Move delta (J,) until the log shares agree; return evaluations used and the residual reached.

    On return the shares in the bench's fifth row of products, the growth in its first, and the market's
    odds are those of the last delta that was evaluated.
    """
    products = delta.size
    growth, base = bench.products[0, :products], bench.products[1, :products]
    log_ratio, step = bench.products[2, :products], bench.products[3, :products]
    shares, history = bench.products[4, :products], bench.products[5:]
    residual = np.inf
    for evaluation in range(rule.max_evaluations):
        distance = np.inf
        if evaluation > 0:
            distance = fill_nested_growth(growth, delta, base, market)
            if not np.isfinite(distance):
                return evaluation, np.inf
        if distance > REBASING:
            copy(base, delta)
            fill_market_utilities(market.odds, delta, target.x2, target.coefficients, market)
            exponentiate_nests(market)
            fill(growth, 1.0)
        outside_share = nested_shares_at(market, shares, nests.shares, growth)
        residual = fill_log_ratio(log_ratio, shares, target.log_shares, rule.tolerance)
        if not residual >= rule.tolerance:
            return evaluation + 1, residual if residual < rule.tolerance else np.inf
        outside_ratio = limited_log_ratio(target.log_outside, outside_share)
        nested_step(rule.mapping, step, log_ratio, market, nests, outside_ratio)
        accelerated_step(rule.acceleration, delta, step, history, bench.small, evaluation)
    return rule.max_evaluations, residual


@driver_kernel
def invert_nested_shares(
    delta: Vector, market: NestedMarket, nests: NestTarget, bench: Bench, target: Target, rule: InversionRule
) -> tuple[int, float]:
    """Return evaluations and residual after the rule, and if it fails SQUAREM and the plain contraction.

    delta  (J,)  the start, replaced by the solution; on failure by the last iterate
    """
    start = bench.products[WORK_ROWS - 1, : delta.size]
    copy(start, delta)
    acceleration, mapping, evaluations, residual = rule.acceleration, rule.mapping, 0, np.inf
    for attempt in range(3):
        attempted = InversionRule(acceleration, mapping, rule.tolerance, rule.max_evaluations)
        more, residual = iterate_nested_inversion(delta, market, nests, bench, target, attempted)
        evaluations += more
        if residual < rule.tolerance or attempt == 2 or rule.acceleration != ANDERSON:
            break
        copy(delta, start)
        acceleration, mapping = (SQUAREM, OUTSIDE_CORRECTED) if attempt == 0 else (SIMPLE, CONTRACTION)
    return evaluations, residual
