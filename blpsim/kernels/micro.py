"""Averages over the respondents of surveys: their sums, and what these say of choice probabilities.

A product y_i x_j z_k of terms is summed over i, j and k with the probability that i chooses j, and k when j
is away, which is s_ij s_ik / (1 - s_ij) without nests. Sums over k are differences of sums over all, so
that no array is larger than J x I.

Source: Conlon and Gortmaker (2025).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix, Panel, State, Vector
from blpsim.kernels.choice import dot, fill
from blpsim.kernels.compile import driver_kernel, inner_kernel
from blpsim.kernels.micro_groups import ROUNDING, add_group_seeds, fill_group_sums, group_total

Places: TypeAlias = NDArray[np.int64]

FIRST, SECOND, GROUP = 0, 1, 2
"""Kinds of products: of first choices, and of second choices without the first, or without its group."""


class Surveyed(NamedTuple):
    """Products of terms, R of them, summed into Q totals; and scratch."""

    kind: Integers
    """(R,)."""
    total: Integers
    """(R,) the total that each product is summed into."""
    agent: Integers
    """(R,) row of ``agents``; so are first and second of ``terms`` and ``outside``."""
    first: Integers
    second: Integers
    agents: Matrix
    """(A, I) terms of agents times integration weights, zero in markets without the survey."""
    terms: Matrix
    """(X, N) terms of products."""
    outside: Vector
    """(X,) the same at the outside option."""
    totals: Vector
    """(Q,)."""
    factors: Vector
    """(Q,) derivatives of what is differentiated by the totals."""
    slopes: Matrix
    """(MM, Q) derivatives of the values of moments by the totals."""
    alone: Vector
    """(I,) probabilities of the outside option."""
    sums: Matrix
    """(2 R, I) of second choices: sum_k z_k s_ik and sum_j x_j s_ij / (1 - s_ij)."""
    odds: Matrix
    """(1 + J*, I*) s_ij / (1 - s_ij), the outside option first."""
    seeds: Matrix
    """(J* + 1, I*) derivatives by probabilities, and scratch."""
    has_seconds: bool
    grouping: Integers
    """(R,) row of ``groups``."""
    groups: Places
    """(L, N) each product's group, from 0 in every market."""
    group_numbers: Places
    """(L, T) how many there are."""
    grouped: Matrix
    """(4 J*, I*) scratch."""
    nested: Matrix
    """(3 J*, I*) scratch of nests."""
    whole: Places
    """(3, J*) scratch."""


@inner_kernel
def first_total(
    probabilities: Matrix, alone: Vector, agents: Vector, x: Vector, outside: float, room: Vector
) -> float:
    """Return sum_i y_i (x_0 s_i0 + sum_j x_j s_ij); room (I,) is scratch."""
    for i in range(agents.size):
        room[i] = outside * alone[i]
    for j in range(x.size):
        row, factor = probabilities[j], x[j]
        if factor != 0.0:
            for i in range(agents.size):
                room[i] += factor * row[i]
    return dot(agents, room)


@inner_kernel
def second_total(
    probabilities: Matrix,
    agents: Vector,
    terms: tuple[Vector, Vector],
    outside: tuple[float, float],
    odds: tuple[Vector, Matrix],
    sums: tuple[Vector, Vector, Vector],
) -> float:
    """Return sum_i y_i sum_j r_ij (Z_i - z_j s_ij), r_ij = x_j odds_ij, and fill Z and R = sum_j r_ij.

    odds  (I,) of the outside option, and (J, I*)
    sums  Z and R, (I,) each; the third is scratch, which holds s_i0 at first
    """
    x, z = terms
    all_second, all_first, own = sums
    for i in range(agents.size):
        alone, r = own[i], outside[0] * odds[0][i]
        all_second[i] = outside[1] * alone
        all_first[i] = r
        own[i] = outside[1] * alone * r
    for j in range(x.size):
        row, ratio, first, second = probabilities[j], odds[1][j], x[j], z[j]
        both = first * second
        if first != 0.0 or second != 0.0:
            for i in range(agents.size):
                all_second[i] += second * row[i]
                all_first[i] += first * ratio[i]
                own[i] += both * (row[i] * ratio[i])
    for i in range(agents.size):
        own[i] = all_second[i] * all_first[i] - own[i]
    return dot(agents, own)


@inner_kernel
def add_first_seeds(seeds: Matrix, agents: Vector, x: Vector, outside: float, factor: float) -> None:
    """Add to seeds (J, I*) the factor times y_i (x_j - x_0)."""
    for j in range(x.size):
        row, scaled = seeds[j], factor * (x[j] - outside)
        if scaled != 0.0:
            for i in range(agents.size):
                row[i] += scaled * agents[i]


@inner_kernel
def add_second_seeds(
    seeds: Matrix,
    probabilities: Matrix,
    agents: Vector,
    terms: tuple[Vector, Vector],
    outside: tuple[float, float],
    odds: tuple[Vector, Matrix],
    sums: tuple[Vector, Vector, Vector],
) -> None:
    """Add to seeds (J, I*) y_i (D_ij - D_i0), D the derivatives by s_ij, s_i0.

    D_ij = x_j (Z_i - z_j s_ij) / (1 - s_ij)^2 + z_j (R_i - r_ij).

    agents  (I,) y_i
    sums    Z and R, (I,) each; the third is scratch, which holds s_i0 at first
    """
    all_second, all_first, at_outside = sums
    is_outside = outside[0] != 0.0 or outside[1] != 0.0
    for i in range(agents.size):
        grown = 1.0 + odds[0][i]
        direct = outside[0] * (all_second[i] - outside[1] * at_outside[i]) * (grown * grown)
        at_outside[i] = direct + outside[1] * (all_first[i] - outside[0] * odds[0][i])
    for j in range(terms[0].size):
        row, chosen, ratio, x, z = seeds[j], probabilities[j], odds[1][j], terms[0][j], terms[1][j]
        if is_outside or x != 0.0 or z != 0.0:
            for i in range(agents.size):
                grown = 1.0 + ratio[i]
                direct = x * (all_second[i] - z * chosen[i]) * (grown * grown)
                derivative = direct + z * (all_first[i] - x * ratio[i]) - at_outside[i]
                row[i] += agents[i] * derivative


@inner_kernel
def fill_odds(odds: Matrix, probabilities: Matrix, alone: Vector, products: int) -> None:
    """Fill odds (1 + J, I*) with s / (1 - s) of the outside option and of products."""
    outside = odds[0]
    for i in range(alone.size):
        outside[i] = alone[i] / max(1.0 - alone[i], ROUNDING)
    for j in range(products):
        ratio, row = odds[1 + j], probabilities[j]
        for i in range(alone.size):
            ratio[i] = row[i] / max(1.0 - row[i], ROUNDING)


@inner_kernel
def fill_alone(alone: Vector, probabilities: Matrix, products: int) -> None:
    """Fill alone (I,) with probabilities of the outside option."""
    fill(alone, 1.0)
    for j in range(products):
        row = probabilities[j]
        for i in range(alone.size):
            alone[i] -= row[i]


@driver_kernel
def add_market_totals(t: int, panel: Panel, state: State, room: Vector, surveyed: Surveyed) -> None:
    """Add market t's respondents to the totals, after its choice probabilities are there.

    room  (I*,) scratch
    """
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    probabilities, alone = state.probabilities[first:last], surveyed.alone[agent:last_agent]
    fill_alone(alone, probabilities, last - first)
    odds = surveyed.odds
    if surveyed.has_seconds:
        fill_odds(odds, probabilities, alone, last - first)
    for r in range(surveyed.kind.size):
        y = surveyed.agents[surveyed.agent[r], agent:last_agent]
        x = surveyed.terms[surveyed.first[r], first:last]
        x_outside, scratch = surveyed.outside[surveyed.first[r]], room[: last_agent - agent]
        if surveyed.kind[r] == FIRST:
            total = first_total(probabilities, alone, y, x, x_outside, scratch)
        else:
            z = surveyed.terms[surveyed.second[r], first:last]
            outside = (x_outside, surveyed.outside[surveyed.second[r]])
            for i in range(alone.size):
                scratch[i] = alone[i]
            sums = (
                surveyed.sums[2 * r, agent:last_agent],
                surveyed.sums[2 * r + 1, agent:last_agent],
                scratch,
            )
            if surveyed.kind[r] == SECOND:
                total = second_total(probabilities, y, (x, z), outside, (odds[0], odds[1:]), sums)
            else:
                groups = surveyed.groups[surveyed.grouping[r], first:last]
                number = surveyed.group_numbers[surveyed.grouping[r], t]
                fill_group_sums(surveyed.grouped, number, probabilities, groups, (x, z), alone.size)
                total = group_total(surveyed.grouped, number, y, outside, sums)
        surveyed.totals[surveyed.total[r]] += total


@driver_kernel
def fill_market_seeds(t: int, panel: Panel, state: State, room: Vector, surveyed: Surveyed) -> None:
    """Fill the seeds with derivatives by market t's probabilities, at the totals' factors."""
    first, last = panel.offsets.products[t], panel.offsets.products[t + 1]
    agent, last_agent = panel.offsets.agents[t], panel.offsets.agents[t + 1]
    probabilities, alone = state.probabilities[first:last], surveyed.alone[agent:last_agent]
    odds, seeds = surveyed.odds, surveyed.seeds
    for j in range(last - first):
        fill(seeds[j][: alone.size], 0.0)
    if surveyed.has_seconds:
        fill_odds(odds, probabilities, alone, last - first)
    for r in range(surveyed.kind.size):
        factor = surveyed.factors[surveyed.total[r]]
        if factor != 0.0:
            y = surveyed.agents[surveyed.agent[r], agent:last_agent]
            x = surveyed.terms[surveyed.first[r], first:last]
            x_outside, scratch = surveyed.outside[surveyed.first[r]], room[: last_agent - agent]
            if surveyed.kind[r] == FIRST:
                add_first_seeds(seeds, y, x, x_outside, factor)
            else:
                z = surveyed.terms[surveyed.second[r], first:last]
                outside = (x_outside, surveyed.outside[surveyed.second[r]])
                for i in range(alone.size):
                    scratch[i] = alone[i]
                scaled = surveyed.seeds[last - first][: alone.size]
                for i in range(alone.size):
                    scaled[i] = factor * y[i]
                sums = (
                    surveyed.sums[2 * r, agent:last_agent],
                    surveyed.sums[2 * r + 1, agent:last_agent],
                    scratch,
                )
                if surveyed.kind[r] == SECOND:
                    both = (odds[0], odds[1:])
                    add_second_seeds(seeds, probabilities, scaled, (x, z), outside, both, sums)
                else:
                    groups = surveyed.groups[surveyed.grouping[r], first:last]
                    number = surveyed.group_numbers[surveyed.grouping[r], t]
                    fill_group_sums(surveyed.grouped, number, probabilities, groups, (x, z), alone.size)
                    grouped = (surveyed.grouped, number, groups)
                    add_group_seeds(seeds, scaled, grouped, (x, z), outside, sums)
