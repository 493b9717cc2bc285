"""Draws of standard normal tastes: pseudo-random, in pairs, quasi-random, and stratified."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from blpsim.arrays import Matrix

MOST_SOBOL_DIMENSIONS = 21_201
"""Joe and Kuo's (2008) direction numbers end here."""
_SOBOL_BITS = 52
_LOWEST, _HIGHEST = 2.0**-54, 1 - 2.0**-53


class DrawShape(NamedTuple):
    """How many draws are wanted."""

    dimensions: int
    """K."""
    markets: int
    """T."""
    size: int
    """I, in each market."""

    @property
    def number(self) -> int:
        """T I, the draws of all markets."""
        return self.markets * self.size


def monte_carlo(shape: DrawShape, generator: np.random.Generator) -> Matrix:
    """Return independent draws, (K, T I)."""
    return generator.standard_normal((shape.dimensions, shape.number))


def antithetic(shape: DrawShape, generator: np.random.Generator) -> Matrix:
    """Return independent draws and their negatives, (K, T I): a market's first half, mirrored in its second.

    Source: Hammersley and Morton (1956); Train (2009), section 9.3.
    """
    half = generator.standard_normal((shape.dimensions, shape.markets, shape.size // 2))
    return np.concatenate((half, -half), axis=2).reshape(shape.dimensions, shape.number)


def halton(shape: DrawShape, generator: np.random.Generator) -> Matrix:
    """Return consecutive blocks of one scrambled Halton sequence, (K, T I).

    Source: Halton (1960), scrambled as in Owen (2017); SciPy's ``qmc.Halton``.
    """
    from scipy.stats.qmc import Halton

    return _normal(Halton(shape.dimensions, scramble=True, rng=generator).random(shape.number).T)


def sobol(shape: DrawShape, generator: np.random.Generator) -> Matrix:
    """Return consecutive blocks of one scrambled Sobol sequence, (K, T I).

    A block is balanced when its size is a power of two; sizes that are none lose that.

    Source: Sobol (1967), directions of Joe and Kuo (2008), scrambled as in Matousek (1998); SciPy's
    ``qmc.Sobol``.
    """
    from scipy.stats.qmc import Sobol

    sequence = Sobol(shape.dimensions, scramble=True, bits=_SOBOL_BITS, rng=generator)
    return _normal(sequence.random_base2((shape.number - 1).bit_length())[: shape.number].T)


def latin_hypercube(shape: DrawShape, generator: np.random.Generator) -> Matrix:
    """Return a Latin hypercube sample a market, (K, T I): one draw in each of I strata of each dimension.

    Source: McKay, Beckman and Conover (1979).
    """
    strata = (shape.dimensions, shape.markets, shape.size)
    return _stratified(shape, generator.random(strata), generator)


def modified_latin_hypercube(shape: DrawShape, generator: np.random.Generator) -> Matrix:
    """Return a Latin hypercube sample a market, (K, T I), whose draws are equally far from each other.

    Source: Hess, Train and Polak (2006).
    """
    return _stratified(shape, generator.random((shape.dimensions, shape.markets, 1)), generator)


def _stratified(shape: DrawShape, shifts: Matrix, generator: np.random.Generator) -> Matrix:
    strata = np.broadcast_to(np.arange(shape.size), (shape.dimensions, shape.markets, shape.size))
    points = (generator.permuted(strata, axis=2) + shifts) / shape.size
    return _normal(points.reshape(shape.dimensions, shape.number))


def _normal(points: Matrix) -> Matrix:
    """Return standard normal quantiles of points in the unit cube, finite also at its border."""
    return np.ascontiguousarray(ndtri(np.clip(points, _LOWEST, _HIGHEST)))
