"""Quadrature for a standard normal distribution: rules on a line, their products, and sparse grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from math import comb, prod
from typing import NamedTuple

import numpy as np

from blpsim.arrays import Matrix, Vector

LARGEST_GAUSS = 100
"""NumPy's points of Gauss-Hermite rules are tested up to here."""
LARGEST_NESTED = 25
"""Genz and Keister's rules end here."""

# The positive points of Genz and Keister's (1996) rules, each rule's before those that the next ones add:
# 1 + 2 + 6 + 10 + 16 points, and the rules between them that Heiss and Winschel (2008) use.
_NESTED_POINTS = (
    0.0,
    1.7320508075688772,
    0.74109534999454085,
    4.1849560176727323,
    2.8612795760570582,
    1.2304236340273060,
    2.5960831150492023,
    5.1870160399136562,
    6.3633944943363696,
    3.2053337944991944,
    0.24899229757996061,
    2.2336260616769419,
    3.6353185190372783,
    7.1221067008046166,
    7.9807717985905606,
    9.0169397898903032,
    5.6981777684881099,
    4.7364330859522967,
)
_NESTED_COUNTS = (1, 2, 2, 4, *[5] * 4, 9, *[10] * 6, 16, 17, *[18] * 8)


class Rule(NamedTuple):
    """Nodes and weights for one market."""

    nodes: Matrix
    """(I, K)."""
    weights: Vector
    """(I,)."""


class Line(NamedTuple):
    """A rule in one dimension."""

    points: Vector
    """(M,) ascending and symmetric around zero."""
    masses: Vector
    """(M,) summing to one."""


Family = Callable[[int], Line]
"""Rules on a line by level; the one of level L is exact for polynomials of degree 2 L - 1."""


@cache
def gauss_hermite(level: int) -> Line:
    """Return the Gauss-Hermite rule, ``level`` points.

    Source: Golub and Welsch (1969); NumPy's ``hermegauss``.
    """
    points, masses = np.polynomial.hermite_e.hermegauss(level)
    return Line(points, masses / masses.sum())


@cache
def kronrod_patterson(level: int) -> Line:
    """Return the nested rule, whose points are among those of every higher level; masses can be negative.

    Source: Genz and Keister (1996), in the sequence of Heiss and Winschel (2008).
    """
    halves = sorted(_NESTED_POINTS[: _NESTED_COUNTS[level - 1]])
    positive, masses = np.array(halves[1:]), _interpolatory_masses(halves)
    both = masses[1:] / 2
    points = np.concatenate((-positive[::-1], [0.0], positive))
    return Line(points, np.concatenate((both[::-1], masses[:1], both)))


def _interpolatory_masses(halves: list[float]) -> Vector:
    """Return the mass, (H,), at each +-x that makes a rule exact for even polynomials of degree 2 H - 2.

    Each is the integral of Lagrange's polynomial in x^2, in rational numbers, as the smallest need.
    """
    squares = [Fraction(x) ** 2 for x in halves]
    moments = [prod(range(1, 2 * k, 2)) for k in range(len(squares))]
    masses = []
    for own in squares:
        others = [square for square in squares if square != own]
        coefficients = [Fraction(1)]
        for other in others:
            shifted, scaled = [Fraction(0), *coefficients], [*coefficients, Fraction(0)]
            coefficients = [a - other * b for a, b in zip(shifted, scaled, strict=True)]
        integral = sum(c * m for c, m in zip(coefficients, moments, strict=True))
        masses.append(float(integral / prod(own - other for other in others)))
    return np.array(masses)


def product(lines: list[Line]) -> Rule:
    """Return the tensor product of one rule a dimension."""
    nodes: Matrix = np.empty((1, 0))
    weights: Vector = np.ones(1)
    for points, masses in lines:
        added = np.tile(points, weights.size)
        nodes = np.column_stack((np.repeat(nodes, points.size, axis=0), added))
        weights = np.asarray(np.kron(weights, masses), np.float64)
    return Rule(nodes, weights)


def sparse_grid(family: Family, dimensions: int, level: int) -> Rule:
    """Return Smolyak's combination of products, exact for polynomials of total degree 2 L - 1.

    Nodes are in lexicographic order; weights can be negative.

    Source: Smolyak (1963); Heiss and Winschel (2008), equation 12.
    """
    nodes, weights = [], []
    for total in _totals(dimensions, level):
        missing = level + dimensions - 1 - total
        sign = (-1) ** missing * comb(dimensions - 1, missing)
        for levels in _levels(total, dimensions):
            part = product([family(each) for each in levels])
            nodes.append(part.nodes)
            weights.append(sign * part.weights)
    distinct, inverse = np.unique(np.concatenate(nodes), axis=0, return_inverse=True)
    merged = np.bincount(inverse.reshape(-1), np.concatenate(weights))
    return Rule(distinct, merged / merged.sum())


def sparse_grid_size(family: Family, dimensions: int, level: int) -> int:
    """Return how many nodes the products of a sparse grid have together, without making them."""
    sizes = [0, *(family(each).points.size for each in range(1, level + 1))]
    counts = [1]
    for _ in range(dimensions):
        longest = min(len(counts) + level, level + dimensions)
        counts = [_convolved(counts, sizes, at) for at in range(longest)]
    return sum(counts[total] for total in _totals(dimensions, level))


def _convolved(counts: list[int], sizes: list[int], at: int) -> int:
    first, last = max(0, at - len(sizes) + 1), min(at, len(counts) - 1)
    return sum(counts[k] * sizes[at - k] for k in range(first, last + 1))


def _totals(dimensions: int, level: int) -> range:
    """Return the sums of levels over dimensions of the products that Smolyak's combination has."""
    return range(max(dimensions, level), level + dimensions)


def _levels(total: int, dimensions: int) -> Iterator[tuple[int, ...]]:
    """Yield all levels of one or more in each dimension that sum to the total."""
    if dimensions == 1:
        yield (total,)
        return
    for first in range(1, total - dimensions + 2):
        for rest in _levels(total - first, dimensions - 1):
            yield (first, *rest)
