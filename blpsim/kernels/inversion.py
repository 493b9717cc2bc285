"""Inversion of market shares for mean utilities: one loop, small mappings, three accelerations.

Mappings: ``delta + log S - log s`` (Berry, Levinsohn and Pakes 1995) and the same less
``log S0 - log s0`` (Fukasawa 2024). Accelerations: none, SQUAREM (Varadhan and Roland 2008) and
Anderson with a memory of three. Every one is certified on max |log S - log s|.
"""

from __future__ import annotations

import math

import numpy as np

from blpsim.arrays import Bench, InversionRule, Matrix, Target, Vector
from blpsim.kernels.choice import copy, exponentiate, fill, fill_utilities, shares_at
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.elementary import exp, log

SIMPLE, SQUAREM, ANDERSON = 0, 1, 2
CONTRACTION, OUTSIDE_CORRECTED = 0, 1
MEMORY = 3
REBASING = 50.0
WORK_ROWS = 8 + 2 * MEMORY


@inner_kernel
def rebase(delta: Vector, base: Vector, odds: Matrix, outside: Vector, target: Target) -> None:
    """Recompute odds (J, I*) and outside (I,) at delta, which becomes the base that growth refers to."""
    copy(base, delta)
    fill_utilities(odds, delta, target.x2, target.coefficients, outside.size)
    exponentiate(odds, outside, delta.size)


@inner_kernel
def mapping_step(mapping: int, step: Vector, log_ratio: Vector, outside_ratio: float) -> None:
    """Fill step (J,) with the mapping less its argument, from log S - log s and log S0 - log s0."""
    correction = outside_ratio if mapping == OUTSIDE_CORRECTED else 0.0
    for j in range(step.size):
        step[j] = log_ratio[j] - correction


@inner_kernel
def solve_normal_equations(gram: Matrix, right: Vector, size: int) -> bool:
    """Replace right (size,) by the solution of a small symmetric positive system, destroying gram."""
    for k in range(size):
        pivot = gram[k, k]
        if not pivot > 0.0:
            return False
        for row in range(k + 1, size):
            factor = gram[row, k] / pivot
            for column in range(k + 1, size):
                gram[row, column] -= factor * gram[k, column]
            right[row] -= factor * right[k]
    for k in range(size - 1, -1, -1):
        for column in range(k + 1, size):
            right[k] -= gram[k, column] * right[column]
        right[k] /= gram[k, k]
    return True


@inner_kernel
def fill_normal_equations(gram: Matrix, right: Vector, differences: Matrix, step: Vector, size: int) -> None:
    """Fill gram (size, size) and right (size,) for the least-squares weights of differences of steps."""
    for a in range(size):
        steps = differences[a]
        total = 0.0
        for j in range(step.size):
            total += steps[j] * step[j]
        right[a] = total
        for b in range(a + 1):
            others = differences[b]
            total = 0.0
            for j in range(step.size):
                total += steps[j] * others[j]
            gram[a, b] = gram[b, a] = total
        gram[a, a] *= 1.0 + 1e-14


@inner_kernel
def anderson_step(delta: Vector, step: Vector, work: Matrix, small: Matrix, evaluation: int) -> None:
    """Move delta (J,) by Anderson's extrapolation over the last three differences of steps.

    work  (2 + 2 MEMORY, J*)  the last delta and step, then differences of steps and of images
    """
    products = delta.size
    last_image, last_step = work[0], work[1]
    if evaluation > 0:
        slot = (evaluation - 1) % MEMORY
        steps, images = work[2 + slot], work[2 + MEMORY + slot]
        for j in range(products):
            steps[j] = step[j] - last_step[j]
            images[j] = delta[j] + step[j] - last_image[j]
    for j in range(products):
        last_step[j] = step[j]
        last_image[j] = delta[j] + step[j]
        delta[j] = last_image[j]
    size = min(evaluation, MEMORY)
    fill_normal_equations(small, small[MEMORY], work[2:], step, size)
    right = small[MEMORY]
    if size > 0 and solve_normal_equations(small, right, size):
        for a in range(size):
            images = work[2 + MEMORY + a]
            weight = right[a]
            for j in range(products):
                delta[j] -= weight * images[j]


@inner_kernel
def squarem_step(delta: Vector, step: Vector, work: Matrix, evaluation: int) -> None:
    """Move delta (J,) by one of the three evaluations of a SQUAREM cycle, scheme S3."""
    products = delta.size
    start, first = work[0], work[1]
    phase = evaluation % 3
    if phase == 0:
        copy(start[: delta.size], delta)
        copy(first[: delta.size], step)
    if phase != 1:
        for j in range(products):
            delta[j] += step[j]
        return
    squared_first, squared_change = 0.0, 0.0
    for j in range(products):
        squared_first += first[j] * first[j]
        squared_change += (step[j] - first[j]) ** 2
    length = math.sqrt(squared_first / squared_change) if squared_change > 0.0 else 1.0
    length = max(1.0, length)
    for j in range(products):
        delta[j] = start[j] + 2.0 * length * first[j] + length * length * (step[j] - first[j])


@inner_kernel
def accelerated_step(
    acceleration: int, delta: Vector, step: Vector, work: Matrix, small: Matrix, evaluation: int
) -> None:
    """Move delta (J,) given the mapping's step (J,) there."""
    if acceleration == ANDERSON:
        anderson_step(delta, step, work, small, evaluation)
    elif acceleration == SQUAREM:
        squarem_step(delta, step, work, evaluation)
    else:
        for j in range(delta.size):
            delta[j] += step[j]


@inner_kernel
def iterate_inversion(
    delta: Vector, odds: Matrix, outside: Vector, bench: Bench, target: Target, rule: InversionRule
) -> tuple[int, float]:
    """Move delta (J,) until the log shares agree; return evaluations used and the residual reached.

    On return odds (J, I*), outside (I,) and the growth in the bench's first row of products describe
    the last delta that was evaluated.
    """
    products = delta.size
    growth, base = bench.products[0, :products], bench.products[1, :products]
    log_ratio, step = bench.products[2, :products], bench.products[3, :products]
    shares, history = bench.products[4, :products], bench.products[5:]
    scratch = bench.agents[1, : outside.size]
    residual = np.inf
    for evaluation in range(rule.max_evaluations):
        distance = np.inf if evaluation == 0 else 0.0
        if evaluation > 0:
            for j in range(products):
                change = delta[j] - base[j]
                distance = max(distance, abs(change))
                growth[j] = exp(change)
            if not np.isfinite(distance):
                return evaluation, np.inf
        if distance > REBASING:
            rebase(delta, base, odds, outside, target)
            fill(growth, 1.0)
        outside_share = shares_at(shares, growth, odds, outside, scratch, target.weights)
        residual = fill_log_ratio(log_ratio, shares, target.log_shares)
        if not residual >= rule.tolerance:
            return evaluation + 1, residual if residual < rule.tolerance else np.inf
        mapping_step(rule.mapping, step, log_ratio, target.log_outside - log(outside_share))
        accelerated_step(rule.acceleration, delta, step, history, bench.small, evaluation)
    return rule.max_evaluations, residual


@inner_kernel
def fill_log_ratio(log_ratio: Vector, shares: Vector, log_shares: Vector) -> float:
    """Fill log_ratio (J,) with log S - log s and return its largest size, NaN if one is not finite."""
    largest, total = 0.0, 0.0
    for j in range(log_ratio.size):
        log_ratio[j] = log_shares[j] - log(shares[j])
        largest = max(largest, abs(log_ratio[j]))
        total += log_ratio[j]
    return largest if np.isfinite(total) else np.nan


@inner_kernel
def invert_shares(
    delta: Vector, odds: Matrix, outside: Vector, bench: Bench, target: Target, rule: InversionRule
) -> tuple[int, float]:
    """Return evaluations and residual after the rule, and if it fails SQUAREM and the plain contraction.

    delta    (J,)    the start, replaced by the solution; on failure by the last iterate
    odds     (J, I*) and outside (I,): filled; times the growth in bench.products[0] they give probabilities
    """
    start = bench.products[WORK_ROWS - 1, : delta.size]
    copy(start, delta)
    acceleration, mapping, evaluations, residual = rule.acceleration, rule.mapping, 0, np.inf
    for attempt in range(3):
        attempted = InversionRule(acceleration, mapping, rule.tolerance, rule.max_evaluations)
        more, residual = iterate_inversion(delta, odds, outside, bench, target, attempted)
        evaluations += more
        if residual < rule.tolerance or attempt == 2 or rule.acceleration != ANDERSON:
            break
        copy(delta, start)
        acceleration, mapping = (SQUAREM, OUTSIDE_CORRECTED) if attempt == 0 else (SIMPLE, CONTRACTION)
    return evaluations, residual
