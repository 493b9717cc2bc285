"""Shares as they are measured: from a finite number of consumers, and what happens to those too small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from blpsim.arrays import Integers, Vector
from blpsim.checks import check_count, check_fields
from blpsim.economy.dataset import Dataset
from blpsim.errors import ConfigurationError
from blpsim.model.panel import Products
from blpsim.simulate.distributions import Distribution
from blpsim.simulate.markets import check_natural, natural_numbers
from blpsim.status import Status

Below = Literal["keep", "drop", "raise", "redraw", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredShares:
    """How the data's shares come from the true ones.

    With a number of consumers, the purchases of each market are multinomial with the true shares as
    probabilities, the outside good's included, and shares are their frequencies. A share is too small when
    it is zero or below the floor; the outside good's counts as well.
    """

    consumers: int | Distribution | None = None
    """How many consumers of each market are sampled, or a distribution over markets, as ``Choice(100, 500)``;
    None: shares are exact."""
    pseudo_count: float = 0.0
    """What is added to the purchases of every product and of the outside good: with 1, Laplace's rule, no
    share is zero, which is where Gandhi, Lu and Shi (2023) begin."""
    floor: float = 0.0
    """Shares below it are too small; at 0 those of products that nobody bought."""
    below: Below = "fail"
    """What happens to shares that are too small:

    keep    they stay, and estimators that take their logs end with the status NON_FINITE where they are zero
    drop    the products are left out of the data, and so are markets without any or with too small an
            outside share, which selects products with high xi
    raise   they become the floor, and the market's shares, the outside good's included, are divided by their
            sum
    redraw  the whole dataset is drawn again, from other streams
    fail    the dataset's status is SHARES_BELOW_FLOOR, and nobody estimates on it
    """
    attempts: int = 100
    """How often a dataset is drawn at most where it is redrawn; then its status is SHARES_BELOW_FLOOR."""

    def __post_init__(self) -> None:
        """Refuse what cannot be measured, and parts that contradict each other."""
        check_fields(self)
        if self.consumers is not None:
            check_natural("MeasuredShares.consumers", self.consumers, "somebody chooses in every market")
        check_count("MeasuredShares.attempts", self.attempts, "a dataset is drawn at least once")
        if not 0 <= self.pseudo_count < np.inf:
            why = "a count is not negative"
            raise ConfigurationError("MeasuredShares.pseudo_count", self.pseudo_count, "0 or larger", why)
        if self.pseudo_count and self.consumers is None:
            why = "there are no counts without consumers who are counted"
            raise ConfigurationError("MeasuredShares.pseudo_count", self.pseudo_count, "0", why)
        if not 0 <= self.floor < 1:
            raise ConfigurationError("MeasuredShares.floor", self.floor, "in [0, 1)", "it is a share")
        if self.below == "raise" and not self.floor:
            why = "shares that are raised to zero have no logs"
            raise ConfigurationError("MeasuredShares.floor", self.floor, "a positive floor", why)

    @property
    def most_attempts(self) -> int:
        """How often a dataset is drawn at most."""
        return int(self.attempts) if self.below == "redraw" else 1

    def measured(self, dataset: Dataset, generator: np.random.Generator) -> Dataset:
        """Return the dataset as it is seen; one without an equilibrium as it is."""
        if dataset.status is not Status.CONVERGED:
            return dataset
        products = dataset.economy.products
        shares = self._sampled(products, generator)
        offsets = products.market_offsets
        outside = 1 - np.add.reduceat(shares, offsets[:-1])
        small = (shares <= 0) | (shares < self.floor)
        outside_small = (outside <= _ROUNDING) | (outside < self.floor)
        if not (small.any() or outside_small.any()):
            return replace(dataset, observed=products.replaced(shares=shares))
        if self.below in ("fail", "redraw"):
            seen = products.replaced(shares=shares)
            return replace(dataset, observed=seen, status=Status.SHARES_BELOW_FLOOR)
        if self.below == "raise":
            shares = self._raised(shares, outside, offsets)
        seen = products.replaced(shares=shares)
        if self.below == "drop":
            kept = ~(small | np.repeat(outside_small, np.diff(offsets)))
            if not kept.any():
                return replace(dataset, observed=seen, status=Status.SHARES_BELOW_FLOOR)
            return replace(dataset, observed=seen.kept(kept), kept=kept)
        return replace(dataset, observed=seen)

    def _sampled(self, products: Products, generator: np.random.Generator) -> Vector:
        """Return frequencies of purchases, (N,), or the true shares."""
        if self.consumers is None:
            return products.shares
        numbers = natural_numbers("MeasuredShares.consumers", self.consumers, generator, products.markets)
        shares = np.empty(products.number)
        for t, number in enumerate(numbers):
            market = slice(*products.market_offsets[t : t + 2])
            true = products.shares[market]
            counts = generator.multinomial(number, np.append(true, max(1 - true.sum(), 0.0)))
            added = counts[:-1] + self.pseudo_count
            shares[market] = added / (number + self.pseudo_count * counts.size)
        return shares

    def _raised(self, shares: Vector, outside: Vector, offsets: Integers) -> Vector:
        counts = np.diff(offsets)
        higher, left = np.maximum(shares, self.floor), np.maximum(outside, self.floor)
        totals = np.add.reduceat(higher, offsets[:-1]) + left
        raised: Vector = higher / np.repeat(totals, counts)
        return raised


_ROUNDING = 1e-14
"""What one less a sum of shares may be where there is no outside share."""
