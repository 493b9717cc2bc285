"""Errors drawn from residuals: from a normal distribution with their moments, resampled, or wild."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from blpsim.arrays import Integers, Vector
from blpsim.economy.economy import Economy
from blpsim.simulate.generate import Shocks
from blpsim.simulate.markets import Errors

Draw = Literal["resampled", "wild"]


def residual_moments(economy: Economy) -> Errors:
    """Return the normal distribution with mean zero and the mean squares and products of xi and omega."""
    omega = np.zeros(economy.xi.size) if economy.omega is None else economy.omega
    squares = float(np.mean(economy.xi**2)), float(np.mean(omega**2))
    limit = float(np.sqrt(squares[0] * squares[1]))
    product = float(np.clip(np.mean(economy.xi * omega), -limit, limit))
    return Errors(xi_variance=squares[0], omega_variance=squares[1], covariance=product)


class Residuals(NamedTuple):
    """What an estimation leaves unexplained, a row a product."""

    xi: Vector
    """(N,)."""
    omega: Vector
    """(N,) zero without a supply side."""
    clusters: Integers
    """(N,) 0, 1, ..: products with the same one have dependent errors."""

    def rows(self, places: Integers) -> Shocks:
        """Return the residuals of some products, which are theirs for good."""
        return Shocks(self.xi[places], self.omega[places])

    def resampled(self, size: int, generator: np.random.Generator) -> Shocks:
        """Return pairs of residuals less their means, (size,), drawn with replacement."""
        places = generator.integers(self.xi.size, size=size)
        return Shocks(*((values - values.mean())[places] for values in (self.xi, self.omega)))


def wild(residuals: Shocks, clusters: Integers, generator: np.random.Generator) -> Shocks:
    """Return residuals, (N,), times a random sign for each cluster, (N,).

    Squares and products within clusters stay, so that heteroskedasticity and clustering do. Source: Liu
    (1988); signs are Rademacher's.
    """
    signs = 2.0 * generator.integers(0, 2, int(clusters.max()) + 1) - 1.0
    return Shocks(*(values * signs[clusters] for values in residuals))
