"""How many markets, firms and products there are, and the shocks that their products get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Vector
from blpsim.checks import check_count, check_fields, fits
from blpsim.errors import ConfigurationError
from blpsim.simulate.distributions import Choice, Distribution


class Structure(NamedTuple):
    """Where each market's and firm's products stand; the letters are those of ``arrays.Offsets``."""

    market_offsets: Integers
    """(T+1,)."""
    firm_offsets: Integers
    """(F+1,)."""
    market_firms: Integers
    """(T+1,)."""

    @property
    def products_per_market(self) -> Integers:
        """The number of products of each market, (T,)."""
        return np.diff(self.market_offsets)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return ``market_ids`` and ``firm_ids``, (N,); firms of different markets share numbers."""
        firms_per_market = np.diff(self.market_firms)
        numbers = np.arange(self.market_firms[-1]) - np.repeat(self.market_firms[:-1], firms_per_market)
        return {
            "market_ids": np.repeat(np.arange(firms_per_market.size), self.products_per_market),
            "firm_ids": np.repeat(numbers, np.diff(self.firm_offsets)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Markets:
    """The markets of a dataset, drawn anew in every replication."""

    number: int
    """T, the number of markets."""
    firms: int | Distribution = 1
    """Firms in each market."""
    products_per_firm: int | Distribution = 1
    """Products of each firm in each market."""

    def __post_init__(self) -> None:
        """Refuse numbers that are not natural."""
        check_count("Markets.number", self.number, "a dataset has at least one market")
        for name in ("firms", "products_per_firm"):
            check_natural(f"Markets.{name}", getattr(self, name), "no market may be empty")

    def draw(self, generator: np.random.Generator) -> Structure:
        """Return how products are divided among firms and markets.

        Raises
        ------
        ConfigurationError
            When a distribution gives numbers that are not natural.
        """
        firms = natural_numbers("Markets.firms", self.firms, generator, int(self.number))
        each, number = self.products_per_firm, int(firms.sum())
        products = natural_numbers("Markets.products_per_firm", each, generator, number)
        firm_offsets, market_firms = _offsets(products), _offsets(firms)
        return Structure(firm_offsets[market_firms], firm_offsets, market_firms)


@dataclass(frozen=True, slots=True)
class Assign:
    """Nests, to one of which each product, or all of a firm's in a market, is assigned at random."""

    number: int
    """How many nests there are, named 0, 1, .."""
    by: Literal["product", "firm"] = "product"
    """What is assigned as a whole."""

    def __post_init__(self) -> None:
        """Refuse no nests, and what is no unit of assignment."""
        check_count("Assign.number", self.number, "a product is in some nest")
        check_fields(self)

    def draw(self, generator: np.random.Generator, structure: Structure) -> Integers:
        """Return each product's nest, (N,)."""
        offsets = structure.firm_offsets
        if self.by == "product":
            return generator.integers(0, self.number, int(offsets[-1]))
        return np.repeat(generator.integers(0, self.number, offsets.size - 1), np.diff(offsets))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Unobserved characteristics: xi of demand and omega of costs, bivariate normal with mean zero."""

    xi_variance: float = 1.0
    """Variance of xi."""
    omega_variance: float = 0.0
    """Variance of omega; without supply it plays no role."""
    covariance: float = 0.0
    """Covariance of xi and omega."""

    def __post_init__(self) -> None:
        """Refuse a matrix that is no covariance matrix."""
        check_fields(self)
        for name in ("xi_variance", "omega_variance"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ConfigurationError(
                    f"Errors.{name}", value, "zero or a positive number", "it is a variance"
                )
        limit = float(np.sqrt(self.xi_variance * self.omega_variance))
        if not abs(self.covariance) <= limit * (1 + 1e-12):
            why = "else the covariance matrix is not positive semidefinite"
            raise ConfigurationError("Errors.covariance", self.covariance, f"in [-{limit:g}, {limit:g}]", why)

    def draw(self, generator: np.random.Generator, size: int) -> tuple[Vector, Vector]:
        """Return xi and omega, each (size,)."""
        first, second = generator.standard_normal(size), generator.standard_normal(size)
        deviation = np.sqrt(self.xi_variance)
        slope = self.covariance / deviation if deviation > 0 else 0.0
        rest = np.sqrt(max(self.omega_variance - slope**2, 0.0))
        return deviation * first, slope * first + rest * second


def _is_natural(value: object) -> bool:
    return isinstance(value, int | np.integer) and fits(value, int) and bool(value >= 1)


def _has_unnatural(distribution: object) -> bool:
    return isinstance(distribution, Choice) and not all(
        value >= 1 and value == int(value) for value in distribution.values
    )


def check_natural(field: str, value: object, why: str) -> None:
    """Refuse what is neither a natural number nor a distribution of them, with a ConfigurationError."""
    if not (_is_natural(value) or (fits(value, Distribution) and not _has_unnatural(value))):
        expected = "an integer of 1 or more, or a distribution of them as Choice(2, 5, 10)"
        raise ConfigurationError(field, value, expected, why)


def natural_numbers(
    field: str, given: int | Distribution, generator: np.random.Generator, size: int
) -> Integers:
    """Return natural numbers, (size,): all the same, or drawn.

    Raises
    ------
    ConfigurationError
        When a distribution gives numbers that are not natural.
    """
    if isinstance(given, int | np.integer):
        return np.full(size, given, np.int64)
    drawn = given.draw(generator, size)
    counts = np.rint(drawn).astype(np.int64)
    if not np.array_equal(counts, drawn) or (counts < 1).any():
        bad = drawn[(counts != drawn) | (counts < 1)][0]
        raise ConfigurationError(field, bad, "integers of 1 or more", "it was drawn from it")
    return counts


def _offsets(counts: Integers) -> Integers:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
