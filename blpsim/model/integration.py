"""Integration over unobserved tastes: nodes and weights for a standard normal distribution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtri

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.checks import check_count, check_fields
from blpsim.errors import ConfigurationError

Specification = Literal["product", "monte_carlo", "halton"]


class Rule(NamedTuple):
    """Nodes and weights for one market."""

    nodes: Matrix
    """(I, K)."""
    weights: Vector
    """(I,)."""


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
    """How to integrate over standard normal tastes."""

    specification: Specification
    """``"product"`` (Gauss-Hermite in every dimension), ``"monte_carlo"``, or ``"halton"`` (scrambled)."""
    size: int
    """Nodes in each dimension of a product rule; draws in each market otherwise."""
    seed: int | None = None
    """Seed of the draws; None for the generator that comes with the task."""

    def __post_init__(self) -> None:
        """Refuse an unknown rule, a size below one, or a seed that is no natural number."""
        check_count("Integration.size", self.size, "it is a number of nodes")
        if self.seed is not None:
            check_count("Integration.seed", self.seed, "seeds are natural numbers", 0)
        check_fields(self)

    @property
    def is_random(self) -> bool:
        """Whether nodes are drawn."""
        return self.specification != "product"

    def rule(self, dimensions: int, generator: np.random.Generator | None = None) -> Rule:
        """Return nodes, (I, K), and weights, (I,), for one market.

        Raises
        ------
        ConfigurationError
            When nodes are to be drawn but there is neither a seed nor a generator.
        """
        if self.specification == "product":
            nodes, weights = _product_rule(dimensions, self.size)
            return Rule(nodes.copy(), weights.copy())
        draws = self._draws(dimensions, 1, self._generator(generator))
        return Rule(np.ascontiguousarray(draws.T), np.full(self.size, 1 / self.size))

    def build(
        self, dimensions: int, markets: int, generator: np.random.Generator | None = None
    ) -> MarketRules:
        """Return nodes, (K, T*I), weights and offsets for all markets.

        A product rule is the same in every market, Monte Carlo draws are new in each, and markets take
        consecutive blocks of one scrambled Halton sequence.

        Raises
        ------
        ConfigurationError
            When nodes are to be drawn but there is neither a seed nor a generator.
        """
        if self.specification == "product":
            nodes, weights = _product_rule(dimensions, self.size)
            offsets = np.arange(markets + 1) * weights.size
            return MarketRules(np.tile(nodes.T, markets), np.tile(weights, markets), offsets)
        draws = self._draws(dimensions, markets, self._generator(generator))
        weights = np.full(markets * self.size, 1 / self.size)
        return MarketRules(draws, weights, np.arange(markets + 1) * self.size)

    def _generator(self, generator: np.random.Generator | None) -> np.random.Generator:
        if self.seed is not None:
            return np.random.Generator(np.random.PCG64DXSM(self.seed))
        if generator is None:
            why = f"'{self.specification}' draws nodes, and draws must be repeatable"
            raise ConfigurationError("Integration.seed", None, "a seed, or a generator from the task", why)
        return generator

    def _draws(self, dimensions: int, markets: int, generator: np.random.Generator) -> Matrix:
        number = markets * self.size
        if self.specification == "monte_carlo":
            return generator.standard_normal((dimensions, number))
        from scipy.stats.qmc import Halton

        points = Halton(dimensions, scramble=True, rng=generator).random(number)
        return np.ascontiguousarray(ndtri(points.T))


@cache
def _product_rule(dimensions: int, size: int) -> Rule:
    points, masses = np.polynomial.hermite_e.hermegauss(size)
    axes = np.meshgrid(*[points] * dimensions, indexing="ij")
    nodes = np.column_stack([axis.reshape(-1) for axis in axes]) if axes else np.empty((1, 0))
    weights = np.ones(1)
    for _ in range(dimensions):
        weights = np.kron(weights, masses / masses.sum())
    return Rule(nodes, weights)
