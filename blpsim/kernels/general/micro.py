"""Second choices with nests, when the first's group, which is within a nest, is gone.

The probability of j, then k, is (s_ij / s_iG) (s_ik(-G) - s_ik): those leave G for k whom its removal moves.
With c_G a group's probability given its nest, phi = (1 - c_G)^(1 - rho) and chi = (1 - c_G)^(-rho),
alternatives sum to D_G = 1 - q_h (1 - phi) without G, and those of its nest grow by chi.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.kernels.choice import fill, sum_over
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.general.choice import NestedMarket
from blpsim.kernels.micro_groups import ROUNDING

LARGE = 0.9
"""Probability of a group, given its nest, from which one minus it is summed."""
LEAST = 1e-300
"""The least probability that is divided by."""
FIRSTS, SECONDS, SIZES, OUTER, BLOCKS = 0, 1, 2, 3, 4
"""Blocks of rows of groups: sums of x_j s_ij, of z_j s_ij, and of c_ij; what is passed on to r_G."""
GROUP_OF_NEST, PRODUCTS_OF_GROUP, PRODUCTS_OF_NEST = 0, 1, 2
"""Rows of whole numbers: a group's nest, and how many products groups and nests have."""


class Removal(NamedTuple):
    """What one product of terms sums over in a market with nests."""

    groups: Integers
    """(J,) the group of each product, from 0."""
    number: int
    """G."""
    rows: Matrix
    """(4 G, I*)."""
    nests: Matrix
    """(3 H, I*) Z_h; what works through q_h, and through Z_h."""
    whole: Integers
    """(3, J*)."""
    x: Vector
    """(J,)."""
    z: Vector
    """(J,)."""
    outside: tuple[float, float]
    """x and z at the outside option."""


class Gone(NamedTuple):
    """What the removal of a group means to one agent."""

    left: float
    """D_G."""
    lost: float
    """1 - phi."""
    grown: float
    """chi - 1, or -1 where the whole nest is gone."""
    logarithm: float
    """log(1 - c_G), 0 where the whole nest is gone."""


@inner_kernel
def gone(size: float, rest: float, nest: float, rho: float, is_nest: bool) -> Gone:
    """Return what the removal means, from c_G, 1 - c_G, q_h and rho."""
    if is_nest:
        return Gone(max(1.0 - nest, ROUNDING), 1.0, -1.0, 0.0)
    logarithm = np.log1p(-size) if size < LARGE else np.log(rest)
    lost = size if rho == 0.0 else -np.expm1((1.0 - rho) * logarithm)
    grown = 0.0 if rho == 0.0 else np.expm1(-rho * logarithm)
    return Gone(max(1.0 - nest * lost, ROUNDING), lost, grown, logarithm)


@inner_kernel
def fill_removal(removal: Removal, market: NestedMarket, probabilities: Matrix, total: Vector) -> None:
    """Fill the sums over groups and nests, and total (I,), s_i0 on entry, with Z."""
    agents, number, whole = market.weights.size, removal.number, removal.whole
    for g in range(BLOCKS * number):
        fill(removal.rows[g][:agents], 0.0)
    for h in range(market.kappa.size):
        fill(removal.nests[h][:agents], 0.0)
        whole[PRODUCTS_OF_NEST, h] = 0
    for g in range(number):
        whole[PRODUCTS_OF_GROUP, g] = 0
    for i in range(agents):
        total[i] *= removal.outside[1]
    for j in range(removal.groups.size):
        g, h, x, z = removal.groups[j], market.nest[j], removal.x[j], removal.z[j]
        whole[GROUP_OF_NEST, g] = h
        whole[PRODUCTS_OF_GROUP, g] += 1
        whole[PRODUCTS_OF_NEST, h] += 1
        row, inner, nest = probabilities[j], market.odds[j], removal.nests[h]
        first, second, size = removal.rows[g], removal.rows[number + g], removal.rows[2 * number + g]
        for i in range(agents):
            first[i] += x * row[i]
            second[i] += z * row[i]
            size[i] += inner[i]
            nest[i] += z * row[i]
            total[i] += z * row[i]


@inner_kernel
def is_whole_nest(removal: Removal, g: int) -> bool:
    """Return whether a group is all of its nest."""
    h = removal.whole[GROUP_OF_NEST, g]
    return bool(removal.whole[PRODUCTS_OF_GROUP, g] == removal.whole[PRODUCTS_OF_NEST, h])


@inner_kernel
def rest_of_nest(
    removal: Removal, market: NestedMarket, place: tuple[int, int], size: float, difference: float
) -> tuple[float, float]:
    """Return 1 - c_G and the sum of z_k s_ik over the nest without G, which is their difference.

    Where hardly anything else is left of the nest, both are summed, since their powers magnify rounding.

    place  group and agent
    """
    g, i = place
    if size < LARGE:
        return 1.0 - size, difference
    h, rest, near = removal.whole[GROUP_OF_NEST, g], 0.0, 0.0
    for j in range(removal.groups.size):
        if market.nest[j] == h and removal.groups[j] != g:
            rest += market.odds[j, i]
            near += removal.z[j] * market.odds[j, i]
    return max(rest, LEAST), near * market.nests[h, i]


@inner_kernel
def removal_total(
    removal: Removal, market: NestedMarket, probabilities: Matrix, agents: Vector, room: tuple[Vector, Vector]
) -> float:
    """Return sum_i y_i sum_jk x_j z_k P(j, then k).

    room  s_i0 (I,), and scratch (I,)
    """
    alone, total = room
    for i in range(agents.size):
        total[i] = alone[i]
    fill_removal(removal, market, probabilities, total)
    summed, number = 0.0, removal.number
    for i in range(agents.size):
        left = total[i] - removal.outside[1] * alone[i]
        summed += agents[i] * removal.outside[0] * alone[i] * left / max(1.0 - alone[i], ROUNDING)
    for g in range(number):
        h, is_nest = removal.whole[GROUP_OF_NEST, g], is_whole_nest(removal, g)
        first, second, size = removal.rows[g], removal.rows[number + g], removal.rows[2 * number + g]
        nest, own, rho = market.nests[h], removal.nests[h], 1.0 - 1.0 / market.kappa[h]
        for i in range(agents.size):
            if agents[i] != 0.0:
                rest, near = 0.0, 0.0
                if not is_nest:
                    rest, near = rest_of_nest(removal, market, (g, i), size[i], own[i] - second[i])
                went = gone(size[i], rest, nest[i], rho, is_nest)
                more = nest[i] * went.lost
                gained = ((total[i] - own[i]) * more + near * (went.grown + more)) / went.left
                summed += agents[i] * first[i] / max(size[i] * nest[i], LEAST) * gained
    return summed


@inner_kernel
def add_removal_seeds(
    seeds: Matrix,
    d_kappa: Vector,
    removal: Removal,
    market: NestedMarket,
    probabilities: Matrix,
    agents: Vector,
    room: tuple[Vector, Vector, Vector, Vector],
) -> None:
    """Add to seeds (2 J, I*) derivatives by s_ij, less those by s_i0, and by c_ij, and to d_kappa (H,).

    agents  (I,) y_i, times what their sum is multiplied by
    room    s_i0 (I,), and scratch (I,) three times
    """
    alone, total, spread, by_kappa = room
    number, nests, products = removal.number, market.kappa.size, removal.groups.size
    for i in range(agents.size):
        total[i] = alone[i]
    fill_removal(removal, market, probabilities, total)
    fill(spread[: agents.size], 0.0)
    for h in range(nests):
        fill(removal.nests[nests + h][: agents.size], 0.0)
        fill(removal.nests[2 * nests + h][: agents.size], 0.0)
    for g in range(number):
        d_kappa[removal.whole[GROUP_OF_NEST, g]] += pass_group(
            g, removal, market, agents, (total, spread, by_kappa)
        )
    for i in range(agents.size):
        odds = 1.0 / max(1.0 - alone[i], ROUNDING)
        left = total[i] - removal.outside[1] * alone[i]
        direct = removal.outside[0] * left * odds * odds + removal.outside[1] * spread[i]
        total[i] = -direct
        spread[i] += removal.outside[0] * alone[i] * odds
    for j in range(products):
        g, h, x, z = removal.groups[j], market.nest[j], removal.x[j], removal.z[j]
        row, inner = seeds[j], seeds[products + j]
        by_first, constant = removal.rows[g], removal.rows[number + g]
        by_inner, by_second = removal.rows[2 * number + g], removal.rows[OUTER * number + g]
        through_nest, less = removal.nests[nests + h], removal.nests[2 * nests + h]
        for i in range(agents.size):
            shared = through_nest[i] + total[i] + z * (spread[i] - less[i] + by_second[i])
            row[i] += agents[i] * (x * by_first[i] + constant[i] + shared)
            inner[i] += agents[i] * by_inner[i]


@inner_kernel
def pass_group(
    g: int, removal: Removal, market: NestedMarket, agents: Vector, room: tuple[Vector, Vector, Vector]
) -> float:
    """Turn a group's sums into derivatives, add to its nest's, and return the derivative by kappa.

    room  Z (I,); the sum over groups of r_G (1 / D_G - 1), (I,), to which is added; and scratch
    """
    total, spread, by_kappa = room
    number, nests, h = removal.number, market.kappa.size, removal.whole[GROUP_OF_NEST, g]
    is_nest, kappa = is_whole_nest(removal, g), market.kappa[h]
    first, second, size = removal.rows[g], removal.rows[number + g], removal.rows[2 * number + g]
    outer, nest, own, rho = removal.rows[OUTER * number + g], market.nests[h], removal.nests[h], 1 - 1 / kappa
    through_nest, less = removal.nests[nests + h], removal.nests[2 * nests + h]
    fill(by_kappa, 0.0)
    for i in range(agents.size):
        if agents[i] == 0.0:
            continue
        rest, near = 0.0, 0.0
        if not is_nest:
            rest, near = rest_of_nest(removal, market, (g, i), size[i], own[i] - second[i])
        went = gone(size[i], rest, nest[i], rho, is_nest)
        chosen = max(size[i] * nest[i], LEAST)
        far, chi = total[i] - own[i], 1.0 + went.grown
        more, r = nest[i] * went.lost, first[i] / chosen
        gained = (far * more + near * (went.grown + more)) / went.left
        kept = r / went.left
        moved = kept * (far + chi * near) / went.left
        first[i] = gained / chosen
        second[i] = -r * gained / chosen
        outer[i] = r - kept * chi
        size[i] = 0.0
        if not is_nest:
            size[i] = moved * nest[i] * (1.0 - rho) * chi + kept * rho * chi / rest * near
            by_rho = went.logarithm * (moved * nest[i] * (1.0 - went.lost) - kept * chi * near)
            by_kappa[i] = agents[i] * by_rho / (kappa * kappa)
        spread[i] += kept - r
        through_nest[i] += moved * went.lost
        less[i] -= kept * went.grown
    return sum_over(by_kappa)
