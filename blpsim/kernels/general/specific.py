"""Utilities that have parts by agent and product: coefficients C_ijk = link(z_ik + sum_d pi_kd d_ijd)."""

from __future__ import annotations

from blpsim.arrays import Directions, Matrix, Specific, Tastes, Vector
from blpsim.kernels.adjoint import add_rows
from blpsim.kernels.choice import copy, dot, fill, fill_utilities
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.forward import ALPHA, PI
from blpsim.kernels.general.choice import NestedMarket
from blpsim.kernels.links import apply_links, fill_link_slopes


@inner_kernel
def fill_product_coefficient(
    row: Matrix, k: int, n: int, common: Vector, tastes: Tastes, specific: Specific
) -> None:
    """Fill row (1, I*) with the coefficient k of product n, from what products have in common, z (I,).

    Where the coefficient's slopes are kept, they are filled in, too.
    """
    agents, products = common.size, specific.demographics.shape[0] // specific.places.size
    copy(row[0][:agents], common)
    for s in range(specific.places.size):
        loading, demographic = tastes.pi[k, specific.places[s]], specific.demographics[s * products + n]
        for i in range(agents):
            row[0, i] += loading * demographic[i]
    apply_links(row, tastes.links[k : k + 1], agents)
    if specific.ranks[k] >= 0:
        place = specific.ranks[k] * products + n
        fill_link_slopes(specific.curves[place : place + 1], row, tastes.links[k : k + 1], 0, agents)


@inner_kernel
def fill_specific_utilities(
    utilities: Matrix,
    constants: Vector,
    x: Matrix,
    common: Matrix,
    tastes: Tastes,
    specific: Specific,
    place: tuple[int, int],
) -> None:
    """Fill utilities (J, I*), or their slopes, with constants (J,) plus x (J, K2) times coefficients.

    common  (K2, I*) z without what differs by product
    place   that of the market's first product, and its number of agents
    """
    first, agents = place
    row = specific.draws[0:1]
    for j in range(constants.size):
        total = utilities[j]
        fill(total[:agents], constants[j])
        for k in range(x.shape[1]):
            if x[j, k] != 0.0 or specific.ranks[k] >= 0:
                fill_product_coefficient(row, k, first + j, common[k][:agents], tastes, specific)
                for i in range(agents):
                    total[i] += x[j, k] * row[0, i]


@inner_kernel
def fill_market_utilities(
    utilities: Matrix, delta: Vector, x2: Matrix, coefficients: Matrix, market: NestedMarket
) -> None:
    """Fill (J, I*) with V = delta + mu, where mu is X2 C unless it has parts by agent and product."""
    if market.deviations.shape[0] == 0:
        fill_utilities(utilities, delta, x2, coefficients, market.weights.size)
        return
    for j in range(delta.size):
        row, deviation = utilities[j], market.deviations[j]
        for i in range(market.weights.size):
            row[i] = delta[j] + deviation[i]


@inner_kernel
def add_product_rows(
    derivatives: Matrix, d_pi: Matrix, factors: Vector, row: Vector, n: int, specific: Specific, agents: int
) -> None:
    """Add to derivatives (K2, I*) the factors (K2,) times row (I,), of product n.

    With parts by agent and product they are derivatives by z, and those of pi (K2, D) are added to, too.
    """
    if specific.places.size == 0:
        add_rows(derivatives, factors, row, agents)
        return
    products = specific.demographics.shape[0] // specific.places.size
    scaled = specific.draws[0][:agents]
    for k in range(factors.size):
        factor, total = factors[k], derivatives[k]
        if factor == 0.0:
            continue
        for i in range(agents):
            scaled[i] = factor * row[i]
        if specific.ranks[k] >= 0:
            curve = specific.curves[specific.ranks[k] * products + n]
            for i in range(agents):
                scaled[i] *= curve[i]
        for i in range(agents):
            total[i] += scaled[i]
        for s in range(specific.places.size):
            d_pi[k, specific.places[s]] += dot(scaled, specific.demographics[s * products + n])


@inner_kernel
def fill_product_draws(
    p: int, draw: Vector, market: tuple[int, int], directions: Directions, specific: Specific
) -> None:
    """Fill the first J rows of draws, (J*, I*), with what a direction moves z by, times dC/dz.

    draw    (I,) of the direction, where products have it in common
    market  places of its first product and of the next market's
    """
    first, last = market
    products, agents = specific.demographics.shape[0] // specific.places.size, draw.size
    for j in range(last - first):
        row = specific.draws[j]
        copy(row[:agents], draw)
        if directions.kind[p] == PI:
            for s in range(specific.places.size):
                if specific.places[s] == directions.draw[p]:
                    copy(row[:agents], specific.demographics[s * products + first + j][:agents])
        if directions.kind[p] != ALPHA:
            rank = specific.ranks[directions.characteristic[p]]
            if rank >= 0:
                curve = specific.curves[rank * products + first + j]
                for i in range(agents):
                    row[i] *= curve[i]
