"""Inversion of market shares for mean utilities: one loop, small mappings, three accelerations.

Mappings: ``delta + log S - log s`` (Berry, Levinsohn and Pakes 1995) and the same less
``log S0 - log s0`` (Fukasawa 2024). Accelerations: none, SQUAREM (Varadhan and Roland 2008) and
Anderson with a memory of three. Every one is certified on max |log S - log s|.
"""

from __future__ import annotations

import math

import numpy as np

from blpsim.arrays import Bench, InversionRule, Matrix, Target, Vector
from blpsim.kernels.choice import copy, dot, exponentiate, fill, fill_utilities, shares_at
from blpsim.kernels.compile import driver_kernel, inner_kernel
from blpsim.kernels.elementary import exp, log

SIMPLE, SQUAREM, ANDERSON = 0, 1, 2
CONTRACTION, OUTSIDE_CORRECTED = 0, 1
MEMORY = 3
REBASING = 50.0
LONGEST_STEP = 5.0
WORK_ROWS = 8 + 2 * MEMORY
_LANES = 8


@driver_kernel
def rebase(delta: Vector, base: Vector, odds: Matrix, outside: Vector, target: Target) -> None:
    """Recompute odds (J, I*) and outside (I,) at delta (J*,), which becomes the base growth refers to."""
    products = odds.shape[0]
    copy(base, delta)
    fill_utilities(odds, delta[:products], target.x2, target.coefficients, outside.size)
    exponentiate(odds, outside, products)


@inner_kernel
def limited_log_ratio(log_share: float, share: float) -> float:
    """Return log S - log s, or a long step where negative weights made s negative."""
    return LONGEST_STEP if share < 0.0 else log_share - log(share)


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
def remember(delta: Vector, step: Vector, work: Matrix, slot: int) -> None:
    """Move delta (J,) by the step, and keep in work how step and image differ from the last ones.

    slot  where the differences go; negative at the start, which forgets everything
    """
    last_image, last_step = work[0], work[1]
    if slot < 0:
        for row in range(2, 2 + 2 * MEMORY):
            fill(work[row, : delta.size], 0.0)
    steps, images = work[2 + max(slot, 0)], work[2 + MEMORY + max(slot, 0)]
    for j in range(delta.size):
        image = delta[j] + step[j]
        steps[j] = step[j] - last_step[j] if slot >= 0 else 0.0
        images[j] = image - last_image[j] if slot >= 0 else 0.0
        last_step[j] = step[j]
        last_image[j] = image
        delta[j] = image


@inner_kernel
def fill_normal_equations(small: Matrix, differences: Matrix, step: Vector) -> None:
    """Fill small (4, 3) with the normal equations of the weights of three differences, in one pass."""
    a, b, c = differences[0], differences[1], differences[2]
    aa, ab, ac, bb, bc, cc, ar, br, cr = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(step.size):
        x, y, z, r = a[j], b[j], c[j], step[j]
        aa += x * x
        ab += x * y
        ac += x * z
        bb += y * y
        bc += y * z
        cc += z * z
        ar += x * r
        br += y * r
        cr += z * r
    ridge = 1.0 + 1e-14
    small[0, 0], small[1, 1], small[2, 2] = aa * ridge, bb * ridge, cc * ridge
    small[1, 0], small[2, 0], small[2, 1] = ab, ac, bc
    small[0, 1], small[0, 2], small[1, 2] = ab, ac, bc
    small[3, 0], small[3, 1], small[3, 2] = ar, br, cr


@inner_kernel
def anderson_step(delta: Vector, step: Vector, work: Matrix, small: Matrix, evaluation: int) -> None:
    """Move delta (J,) by Anderson's extrapolation over the last three differences of steps.

    work   (2 + 2 MEMORY, J*)  the last image and step, then differences of steps and of images
    small  (MEMORY + 1, MEMORY)  scratch
    """
    depth = min(MEMORY, delta.size)
    remember(delta, step, work, (evaluation - 1) % depth if evaluation > 0 else -1)
    size = min(evaluation, depth)
    if size == 0:
        return
    fill_normal_equations(small, work[2:], step)
    right = small[MEMORY]
    for k in range(size, MEMORY):
        right[k] = 0.0
    if solve_normal_equations(small, right, size):
        a, b, c = work[2 + MEMORY], work[3 + MEMORY], work[4 + MEMORY]
        x, y, z = right[0], right[1], right[2]
        for j in range(delta.size):
            delta[j] -= x * a[j] + y * b[j] + z * c[j]


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


@driver_kernel
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
def padded(products: int) -> int:
    """Return how long vectors are that have no remainder to be done one by one; short ones stay as they are.

    The acceleration remembers no more differences than there are products.
    """
    return products if products < MEMORY else (products + _LANES - 1) // _LANES * _LANES


@driver_kernel
def iterate_inversion(
    delta: Vector, odds: Matrix, outside: Vector, bench: Bench, target: Target, rule: InversionRule
) -> tuple[int, float]:
    """Move delta (J*,) until the log shares agree; return evaluations used and the residual reached.

    Products that only fill up vectors have delta and log shares of zero, shares of one, and never move.

    On return the shares in the bench's fifth row of products, the growth in its first, the odds (J, I*) and
    the inverse denominators in its second row of agents are those of the last delta that was evaluated.
    """
    products, size = odds.shape[0], delta.size
    growth, base = bench.products[0, :size], bench.products[1, :size]
    log_ratio, step = bench.products[2, :size], bench.products[3, :size]
    shares, history = bench.products[4, :size], bench.products[5:]
    inverse, scaled = bench.agents[1, : outside.size], bench.agents[2, : outside.size]
    own_shares, own_growth = shares[:products], growth[:products]
    fill(shares[products:], 1.0)
    residual = np.inf
    for evaluation in range(rule.max_evaluations):
        distance = np.inf
        if evaluation > 0:
            distance = fill_growth(growth, delta, base)
            if not np.isfinite(distance):
                return evaluation, np.inf
        if distance > REBASING:
            rebase(delta, base, odds, outside, target)
            fill(growth, 1.0)
        outside_share = shares_at(own_shares, own_growth, odds, outside, inverse, scaled, target.weights)
        residual = fill_log_ratio(log_ratio, shares, target.log_shares, rule.tolerance)
        if not residual >= rule.tolerance:
            return evaluation + 1, residual if residual < rule.tolerance else np.inf
        outside_ratio = limited_log_ratio(target.log_outside, outside_share)
        mapping_step(rule.mapping, step, log_ratio, outside_ratio)
        fill(step[products:], 0.0)
        accelerated_step(rule.acceleration, delta, step, history, bench.small, evaluation)
    return rule.max_evaluations, residual


@inner_kernel
def fill_growth(growth: Vector, delta: Vector, base: Vector) -> float:
    """Fill growth (J,) with exp(delta - base), and return the length of delta - base."""
    total = 0.0
    for j in range(growth.size):
        total += (delta[j] - base[j]) ** 2
    for j in range(growth.size):
        growth[j] = exp(delta[j] - base[j])
    return math.sqrt(total)


@inner_kernel
def fill_log_ratio(log_ratio: Vector, shares: Vector, log_shares: Vector, tolerance: float) -> float:
    """Fill log_ratio (J,) with log S - log s, and return its largest size where that may be within tolerance.

    Elsewhere its length stands in, which is no smaller and vectorizes; NaN if an element is not finite,
    unless that is for a negative share, from which a long step leads away.
    """
    for j in range(log_ratio.size):
        log_ratio[j] = log_shares[j] - log(shares[j])
    total = dot(log_ratio, log_ratio)
    if not np.isfinite(total):
        return np.inf if lengthen_steps(log_ratio, shares) else np.nan
    if total > log_ratio.size * tolerance * tolerance:
        return max(math.sqrt(total), tolerance)
    largest = 0.0
    for j in range(log_ratio.size):
        largest = max(largest, abs(log_ratio[j]))
    return largest


@inner_kernel
def lengthen_steps(log_ratio: Vector, shares: Vector) -> bool:
    """Replace log S - log s, (J,), where s is negative; return whether all are finite then."""
    finite = True
    for j in range(log_ratio.size):
        if shares[j] < 0.0:
            log_ratio[j] = LONGEST_STEP
        finite = finite and np.isfinite(log_ratio[j])
    return finite


@driver_kernel
def invert_shares(
    delta: Vector, odds: Matrix, outside: Vector, bench: Bench, target: Target, rule: InversionRule
) -> tuple[int, float]:
    """Return evaluations and residual after the rule, and if it fails SQUAREM and the plain contraction.

    delta    (J,)    the start, replaced by the solution; on failure by the last iterate
    odds     (J, I*), filled; probabilities are odds times bench.products[0] times bench.agents[1]
    outside  (I,), filled
    """
    products, size = delta.size, padded(delta.size)
    moving, log_shares = bench.products[WORK_ROWS, :size], bench.products[WORK_ROWS + 1, :size]
    fill(log_shares, 0.0)
    copy(log_shares[:products], target.log_shares)
    wide = Target(log_shares, target.log_outside, target.x2, target.coefficients, target.weights)
    acceleration, mapping, evaluations, residual = rule.acceleration, rule.mapping, 0, np.inf
    for attempt in range(3):
        fill(moving, 0.0)
        copy(moving[:products], delta)
        attempted = InversionRule(acceleration, mapping, rule.tolerance, rule.max_evaluations)
        more, residual = iterate_inversion(moving, odds, outside, bench, wide, attempted)
        evaluations += more
        if residual < rule.tolerance or attempt == 2 or rule.acceleration != ANDERSON:
            break
        acceleration, mapping = (SQUAREM, OUTSIDE_CORRECTED) if attempt == 0 else (SIMPLE, CONTRACTION)
    copy(delta, moving[:products])
    return evaluations, residual
