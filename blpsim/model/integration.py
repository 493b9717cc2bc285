"""Integration over unobserved tastes: nodes and weights for a standard normal distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.checks import check_count, check_fields
from blpsim.errors import ConfigurationError
from blpsim.model.draws import (
    MOST_SOBOL_DIMENSIONS,
    DrawShape,
    antithetic,
    halton,
    latin_hypercube,
    modified_latin_hypercube,
    monte_carlo,
    sobol,
)
from blpsim.model.quadrature import (
    LARGEST_GAUSS,
    LARGEST_NESTED,
    Family,
    Rule,
    gauss_hermite,
    kronrod_patterson,
    product,
    sparse_grid,
    sparse_grid_size,
)

Specification = Literal[
    "product",
    "nested_product",
    "grid",
    "nested_grid",
    "monte_carlo",
    "antithetic",
    "halton",
    "sobol",
    "lhs",
    "mlhs",
]
MOST_NODES = 1_000_000
"""Of a quadrature rule in each market."""

_DRAWS: Mapping[str, Callable[[DrawShape, np.random.Generator], Matrix]] = {
    "monte_carlo": monte_carlo,
    "antithetic": antithetic,
    "halton": halton,
    "sobol": sobol,
    "lhs": latin_hypercube,
    "mlhs": modified_latin_hypercube,
}


class MarketRules(NamedTuple):
    """Nodes and weights for all markets, an agent a column."""

    nodes: Matrix
    """(K, T*I)."""
    weights: Vector
    """(T*I,)."""
    offsets: Integers
    """(T+1,)."""


@dataclass(frozen=True, slots=True)
class Integration:
    """How to integrate over standard normal tastes, by PyBLP's names.

    =================  ==========================================================================
    ``product``        Gauss-Hermite in every dimension, ``size`` points in each
    ``nested_product`` the nested rule of level ``size`` in every dimension (Genz and Keister 1996)
    ``grid``           a sparse grid of Gauss-Hermite rules, of level ``size`` (Smolyak 1963)
    ``nested_grid``    a sparse grid of nested rules, of level ``size`` (Heiss and Winschel 2008)
    ``monte_carlo``    ``size`` independent draws
    ``antithetic``     ``size / 2`` independent draws and their negatives
    ``halton``         ``size`` points of a scrambled Halton sequence
    ``sobol``          ``size`` points of a scrambled Sobol sequence; balanced for powers of two
    ``lhs``            a Latin hypercube sample of ``size`` draws (McKay, Beckman and Conover 1979)
    ``mlhs``           a modified one, of equal distances (Hess, Train and Polak 2006)
    =================  ==========================================================================

    A rule of level L is exact for polynomials of degree 2 L - 1, in every dimension for products and in
    total for sparse grids. All but ``product`` of these four have weights below zero; draws have equal ones.
    """

    specification: Specification
    """The rule, one of the above."""
    size: int
    """The level of a quadrature rule; draws in each market otherwise."""
    seed: int | None = None
    """Seed of the draws; None for the generator that comes with the task."""

    def __post_init__(self) -> None:
        """Refuse an unknown rule, a size it does not come in, or a seed that is no natural number."""
        check_count("Integration.size", self.size, "it is a number of nodes")
        if self.seed is not None:
            check_count("Integration.seed", self.seed, "seeds are natural numbers", 0)
        check_fields(self)
        if self.specification == "antithetic" and self.size % 2:
            why = "every draw comes with its negative"
            raise ConfigurationError("Integration.size", self.size, "an even number", why)
        if not self.is_random and self.size > self._largest:
            why = f"no higher level of '{self.specification}' is known to be precise"
            raise ConfigurationError("Integration.size", self.size, f"at most {self._largest}", why)

    @property
    def is_random(self) -> bool:
        """Whether nodes are drawn."""
        return self.specification in _DRAWS

    @property
    def _largest(self) -> int:
        return LARGEST_NESTED if self.specification.startswith("nested") else LARGEST_GAUSS

    def check(self, dimensions: int) -> None:
        """Refuse dimensions that the rule does not come in, with a ConfigurationError."""
        check_count("dimensions", dimensions, "it is a number of tastes")
        if self.specification == "sobol" and dimensions > MOST_SOBOL_DIMENSIONS:
            why = f"the sequence is known in {MOST_SOBOL_DIMENSIONS} dimensions, not in {dimensions}"
            raise ConfigurationError("Integration.specification", "sobol", "another rule", why)
        if self.is_random:
            return
        number = _number_of_nodes(self.specification, dimensions, self.size)
        if number > MOST_NODES:
            why = f"a '{self.specification}' of this size has {number:,} in {dimensions} dimensions"
            expected = f"at most {MOST_NODES:,} nodes a market"
            raise ConfigurationError("Integration.size", self.size, expected, why)

    def rule(self, dimensions: int, generator: np.random.Generator | None = None) -> Rule:
        """Return nodes, (I, K), and weights, (I,), for one market.

        Raises
        ------
        ConfigurationError
            When nodes are to be drawn but there is neither a seed nor a generator, and for a rule that does
            not come in so many dimensions.
        """
        nodes, weights, _ = self.build(dimensions, 1, generator)
        return Rule(np.ascontiguousarray(nodes.T), weights)

    def build(
        self, dimensions: int, markets: int, generator: np.random.Generator | None = None
    ) -> MarketRules:
        """Return nodes, (K, T*I), weights and offsets for all markets.

        Quadrature is the same in every market; draws are new in each, but for Halton's and Sobol's, where
        markets take consecutive blocks of one sequence.

        Raises
        ------
        ConfigurationError
            When nodes are to be drawn but there is neither a seed nor a generator, and for a rule that does
            not come in so many dimensions.
        """
        self.check(dimensions)
        if not self.is_random:
            nodes, weights = _quadrature(self.specification, dimensions, self.size)
            offsets = np.arange(markets + 1) * weights.size
            return MarketRules(np.tile(nodes.T, markets), np.tile(weights, markets), offsets)
        shape = DrawShape(dimensions, markets, self.size)
        nodes = _DRAWS[self.specification](shape, self._generator(generator))
        return MarketRules(nodes, np.full(shape.number, 1 / self.size), np.arange(markets + 1) * self.size)

    def _generator(self, generator: np.random.Generator | None) -> np.random.Generator:
        if self.seed is not None:
            return np.random.Generator(np.random.PCG64DXSM(self.seed))
        if generator is None:
            why = f"'{self.specification}' draws nodes, and draws must be repeatable"
            raise ConfigurationError("Integration.seed", None, "a seed, or a generator from the task", why)
        return generator


def _family(specification: str) -> Family:
    return kronrod_patterson if specification.startswith("nested") else gauss_hermite


def _number_of_nodes(specification: str, dimensions: int, level: int) -> int:
    """Return how many nodes a rule has; for a sparse grid, those that coincide included."""
    family = _family(specification)
    if specification.endswith("grid"):
        return sparse_grid_size(family, dimensions, level)
    points: int = family(level).points.size
    return int(points**dimensions)


@cache
def _quadrature(specification: str, dimensions: int, level: int) -> Rule:
    family = _family(specification)
    if specification.endswith("grid"):
        return sparse_grid(family, dimensions, level)
    return product([family(level)] * dimensions)
