"""One market in plain NumPy, as kernels are given it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Bench, Target
from blpsim.kernels.evaluation import COEFFICIENTS
from blpsim.kernels.inversion import MEMORY

Array = NDArray[np.float64]


class Market(NamedTuple):
    """Mean utilities that explain shares exactly."""

    delta: Array
    """(J,)."""
    x2: Array
    """(J, K2)."""
    coefficients: Array
    """(K2, I)."""
    weights: Array
    """(I,)."""

    @property
    def probabilities(self) -> Array:
        """(J, I)."""
        return probabilities(self.delta[:, None] + self.x2 @ self.coefficients)

    @property
    def shares(self) -> Array:
        """(J,)."""
        return self.probabilities @ self.weights

    @property
    def target(self) -> Target:
        """What kernels invert."""
        shares = self.shares
        with np.errstate(invalid="ignore"):
            outside = np.log(self.weights.sum() - shares.sum())
        return Target(np.log(shares), outside, self.x2, self.coefficients, self.weights)


def market(products=8, agents=12, *, sigma=2.0, level=-2.0, seed=0, weights=None) -> Market:
    """Return a random market; its two random coefficients have standard deviations sigma."""
    rng = np.random.default_rng([products, agents, seed])
    raw = rng.uniform(0.5, 1.5, agents)
    return Market(
        level + rng.normal(size=products),
        np.column_stack((np.ones(products), rng.uniform(size=products))),
        sigma * rng.normal(size=(2, agents)),
        raw / raw.sum() if weights is None else weights(raw / raw.sum()),
    )


def probabilities(utilities: Array) -> Array:
    """Return choice probabilities, (J, I), from utilities (J, I)."""
    largest = np.maximum(utilities.max(axis=0), 0)
    odds = np.exp(utilities - largest)
    return odds / (np.exp(-largest) + odds.sum(axis=0))


def bench(products: int, agents: int) -> Bench:
    """Return scratch space full of NaN, so that nothing that is read before it is written stays hidden."""
    return Bench(
        np.full((COEFFICIENTS + 2, agents), np.nan),
        np.full((20, products), np.nan),
        np.full((2 * products, agents), np.nan),
        np.full((products, products), np.nan),
        np.full((MEMORY + 1, MEMORY), np.nan),
        np.zeros(products, np.int64),
    )
