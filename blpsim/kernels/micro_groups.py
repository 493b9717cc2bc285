"""Second choices when the whole group of the first is gone, without nests.

With sums X_G, Z_G and s_G over a group, the outside option being one, r_G = X_G / (1 - s_G) and
T_G = Z - Z_G: sum_jk x_j z_k P(j, then k) = sum_G r_G T_G.
"""

from __future__ import annotations

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.kernels.choice import dot, fill
from blpsim.kernels.compile import inner_kernel

ROUNDING = 2.0**-53
"""The least probability of all else, where one choice is certain but for rounding."""
BLOCKS = 3
"""Rows of scratch a group: X_G, Z_G and s_G."""


@inner_kernel
def fill_group_sums(
    rows: Matrix,
    number: int,
    probabilities: Matrix,
    groups: Integers,
    terms: tuple[Vector, Vector],
    agents: int,
) -> None:
    """Fill rows (3 G, I*) with sums over groups of x_j s_ij, of z_j s_ij and of s_ij."""
    for g in range(BLOCKS * number):
        fill(rows[g][:agents], 0.0)
    for j in range(groups.size):
        g, row, x, z = groups[j], probabilities[j], terms[0][j], terms[1][j]
        first, second, size = rows[g], rows[number + g], rows[2 * number + g]
        for i in range(agents):
            first[i] += x * row[i]
            second[i] += z * row[i]
            size[i] += row[i]


@inner_kernel
def group_total(
    rows: Matrix,
    number: int,
    agents: Vector,
    outside: tuple[float, float],
    sums: tuple[Vector, Vector, Vector],
) -> float:
    """Return sum_i y_i sum_G r_iG T_iG, and fill Z and R = sum_G r_G.

    rows  (3 G, I*) as above
    sums  Z and R, (I,) each; the third is scratch, which holds s_i0 at first
    """
    all_second, all_first, own = sums
    for i in range(agents.size):
        alone = own[i]
        r = outside[0] * alone / max(1.0 - alone, ROUNDING)
        all_second[i] = outside[1] * alone
        all_first[i] = r
        own[i] = outside[1] * alone * r
    for g in range(number):
        first, second, size = rows[g], rows[number + g], rows[2 * number + g]
        for i in range(agents.size):
            r = first[i] / max(1.0 - size[i], ROUNDING)
            all_second[i] += second[i]
            all_first[i] += r
            own[i] += r * second[i]
    for i in range(agents.size):
        own[i] = all_second[i] * all_first[i] - own[i]
    return dot(agents, own)


@inner_kernel
def add_group_seeds(
    seeds: Matrix,
    agents: Vector,
    grouped: tuple[Matrix, int, Integers],
    terms: tuple[Vector, Vector],
    outside: tuple[float, float],
    sums: tuple[Vector, Vector, Vector],
) -> None:
    """Add to seeds (J, I*) y_i (D_ij - D_i0), D the derivatives by s_ij, s_i0; overwrites the rows.

    D_ij = x_j T_G / (1 - s_G) + X_G T_G / (1 - s_G)^2 + z_j (R - r_G).

    grouped  rows (3 G, I*) as above, G, and each product's group (J,)
    sums     Z and R, (I,) each; the third is scratch, which holds s_i0 at first
    """
    rows, number, groups = grouped
    all_second, all_first, at_outside = sums
    for i in range(agents.size):
        alone, odds = at_outside[i], 1.0 / max(1.0 - at_outside[i], ROUNDING)
        direct = outside[0] * (all_second[i] - outside[1] * alone) * (odds * odds)
        at_outside[i] = direct + outside[1] * (all_first[i] - outside[0] * alone * odds)
    for g in range(number):
        first, second, size = rows[g], rows[number + g], rows[2 * number + g]
        for i in range(agents.size):
            odds = 1.0 / max(1.0 - size[i], ROUNDING)
            direct, r = (all_second[i] - second[i]) * odds, first[i] * odds
            first[i] = agents[i] * direct
            second[i] = agents[i] * (r * direct - at_outside[i])
            size[i] = agents[i] * (all_first[i] - r)
    for j in range(groups.size):
        g, row, x, z = groups[j], seeds[j], terms[0][j], terms[1][j]
        by_first, constant, by_second = rows[g], rows[number + g], rows[2 * number + g]
        for i in range(agents.size):
            row[i] += x * by_first[i] + constant[i] + z * by_second[i]
