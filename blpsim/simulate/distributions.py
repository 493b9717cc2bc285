"""Distributions of characteristics and demographics; anything with ``draw(generator, size)`` is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import numpy as np

from blpsim.arrays import Integers, Vector
from blpsim.checks import check, check_fields, fits
from blpsim.errors import ConfigurationError

_SHARES_TOLERANCE = 1e-12


@runtime_checkable
class Distribution(Protocol):
    """What can be drawn independently any number of times."""

    def draw(self, generator: np.random.Generator, size: int) -> Vector:
        """Return independent draws, (size,)."""


@runtime_checkable
class MarketDistribution(Protocol):
    """What is drawn knowing which draws belong to the same market."""

    def draw_by_market(self, generator: np.random.Generator, counts: Integers) -> Vector:
        """Return draws, (sum of counts,), ``counts[t]`` of them for market t."""


@runtime_checkable
class PlacedDistribution(Protocol):
    """A distribution by market that can be drawn from again in the same markets."""

    def draw_placed(
        self, generator: np.random.Generator, counts: Integers, placing: np.random.Generator
    ) -> Vector:
        """Return other draws, (sum of counts,), with what draws of a market share as it was drawn before.

        placing  begins where the generator began that drew by market then
        """


AnyDistribution = Distribution | MarketDistribution


def draw(
    distribution: AnyDistribution,
    generator: np.random.Generator,
    counts: Integers,
    placing: np.random.Generator | None = None,
) -> Vector:
    """Return draws as floats, (sum of counts,), ``counts[t]`` of them for market t.

    placing  where the same markets were drawn for before: begins where the generator of that time began
    """
    by_market = getattr(distribution, "draw_by_market", None)
    if placing is not None and isinstance(distribution, PlacedDistribution):
        values = distribution.draw_placed(generator, counts, placing)
    elif by_market is not None:
        values = by_market(generator, counts)
    else:
        values = cast(Distribution, distribution).draw(generator, int(counts.sum()))
    return np.ascontiguousarray(values, np.float64)


def check_distribution(field: str, value: object) -> None:
    """Refuse what cannot be drawn from, with a ConfigurationError that names the field."""
    if not fits(value, AnyDistribution):
        why = "values are drawn from it in every replication"
        raise ConfigurationError(field, value, "a distribution, as Uniform(0, 1) or Constant(1)", why)


def check_distributions(field: str, values: Mapping[str, object]) -> None:
    """Refuse what is no mapping from names to distributions, as ``check_distribution`` does."""
    check(field, values, Mapping[str, object])
    for name, value in values.items():
        check_distribution(f"{field}[{name!r}]", value)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value always."""

    value: float

    def __post_init__(self) -> None:
        """Refuse a value that is not finite."""
        check_fields(self)
        _check("Constant.value", self.value, bool(np.isfinite(self.value)), "a finite number")

    def draw(self, generator: np.random.Generator, size: int) -> Vector:
        """Return the value, (size,) times."""
        del generator
        return np.full(size, float(self.value))


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform between two values."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an interval without length."""
        check_fields(self)
        holds = bool(np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high)
        _check("Uniform", (self.low, self.high), holds, "finite bounds, the lower first")

    def draw(self, generator: np.random.Generator, size: int) -> Vector:
        """Return independent draws, (size,)."""
        return generator.uniform(self.low, self.high, size)


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal with a mean and a standard deviation."""

    mean: float = 0.0
    standard_deviation: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a mean that is not finite or a negative standard deviation."""
        check_fields(self)
        _check_moments("Normal", self.mean, self.standard_deviation)

    def draw(self, generator: np.random.Generator, size: int) -> Vector:
        """Return independent draws, (size,)."""
        return self.mean + self.standard_deviation * generator.standard_normal(size)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal: the exponential of a normal with this mean and standard deviation."""

    mean: float = 0.0
    """Mean of the logarithm."""
    standard_deviation: float = 1.0
    """Standard deviation of the logarithm."""

    def __post_init__(self) -> None:
        """Refuse a mean that is not finite or a negative standard deviation."""
        check_fields(self)
        _check_moments("Lognormal", self.mean, self.standard_deviation)

    def draw(self, generator: np.random.Generator, size: int) -> Vector:
        """Return independent draws, (size,)."""
        return np.exp(self.mean + self.standard_deviation * generator.standard_normal(size))


@dataclass(frozen=True, slots=True)
class Exponential:
    """Exponential with a mean."""

    mean: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a mean that is not positive."""
        check_fields(self)
        _check("Exponential.mean", self.mean, 0 < self.mean < np.inf, "a positive number")

    def draw(self, generator: np.random.Generator, size: int) -> Vector:
        """Return independent draws, (size,)."""
        return self.mean * generator.standard_exponential(size)


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """One with a probability, else zero."""

    probability: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        check_fields(self)
        _check("Bernoulli.probability", self.probability, 0 <= self.probability <= 1, "in [0, 1]")

    def draw(self, generator: np.random.Generator, size: int) -> Vector:
        """Return independent zeros and ones, (size,)."""
        return (generator.random(size) < self.probability).astype(np.float64)


@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of some values, equally likely or with probabilities: ``Choice(2, 5, 10)``."""

    values: tuple[float, ...]
    probabilities: tuple[float, ...] | None

    def __init__(self, *values: float, probabilities: tuple[float, ...] | None = None) -> None:
        """Take the values one after the other, and refuse probabilities that do not sum to one."""
        object.__setattr__(self, "values", values)
        listed = None if probabilities is None else tuple(np.atleast_1d(np.asarray(probabilities)).tolist())
        object.__setattr__(self, "probabilities", listed)
        check_fields(self)
        finite = bool(values) and bool(np.all(np.isfinite(np.array(values, np.float64))))
        _check("Choice.values", values, finite, "one or more finite numbers")
        if listed is not None:
            given = np.array(listed, np.float64)
            holds = given.shape == (len(values),) and bool(np.all(given >= 0))
            holds = holds and abs(given.sum() - 1) < _SHARES_TOLERANCE
            _check("Choice.probabilities", probabilities, holds, "one for each value, with a sum of 1")

    def draw(self, generator: np.random.Generator, size: int) -> Vector:
        """Return independent draws, (size,)."""
        values = np.array(self.values, np.float64)
        if self.probabilities is None:
            return values[generator.integers(values.size, size=size)]
        steps = np.cumsum(self.probabilities)
        return values[np.minimum(np.searchsorted(steps, generator.random(size), "right"), values.size - 1)]


@dataclass(frozen=True, slots=True)
class PerMarket:
    """One draw for each market, shared by all its products or agents."""

    distribution: Distribution

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        check_distribution("PerMarket.distribution", self.distribution)

    def draw_by_market(self, generator: np.random.Generator, counts: Integers) -> Vector:
        """Return a market's draw for each of its products or agents, (sum of counts,)."""
        return np.repeat(self.distribution.draw(generator, counts.size), counts)

    def draw_placed(
        self, generator: np.random.Generator, counts: Integers, placing: np.random.Generator
    ) -> Vector:
        """Return what the markets drew before, for each of other agents, (sum of counts,)."""
        del generator
        return self.draw_by_market(placing, counts)


@dataclass(frozen=True, slots=True)
class PerProduct:
    """One draw for each product of a panel, the same in all markets."""

    distribution: Distribution

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        check_distribution("PerProduct.distribution", self.distribution)

    def draw_by_market(self, generator: np.random.Generator, counts: Integers) -> Vector:
        """Return a product's draw in each of its markets, (sum of counts,).

        Raises
        ------
        ConfigurationError
            When markets have different numbers of products.
        """
        if (counts != counts[0]).any():
            why = "a panel's products, as Markets(panel=True) has them, are in all markets"
            raise ConfigurationError("PerProduct", counts.tolist(), "equal numbers in all markets", why)
        return np.tile(self.distribution.draw(generator, int(counts[0])), counts.size)


@dataclass(frozen=True, slots=True, init=False)
class OneOf:
    """One of some distributions for each market, as incomes of the state that a market is in."""

    distributions: tuple[Distribution, ...]

    def __init__(self, *distributions: Distribution) -> None:
        """Take the distributions one after the other."""
        object.__setattr__(self, "distributions", distributions)
        _check("OneOf.distributions", distributions, bool(distributions), "one or more distributions")
        for distribution in distributions:
            check_distribution("OneOf.distributions", distribution)

    def draw_by_market(self, generator: np.random.Generator, counts: Integers) -> Vector:
        """Return draws from the distribution that each market was given at random, (sum of counts,)."""
        return self._drawn(self._given(generator, counts), generator, counts)

    def draw_placed(
        self, generator: np.random.Generator, counts: Integers, placing: np.random.Generator
    ) -> Vector:
        """Return other draws, (sum of counts,), from the distributions that markets were given before."""
        self._given(generator, counts)
        return self._drawn(self._given(placing, counts), generator, counts)

    def _given(self, generator: np.random.Generator, counts: Integers) -> Integers:
        return generator.integers(len(self.distributions), size=counts.size)

    def _drawn(self, given: Integers, generator: np.random.Generator, counts: Integers) -> Vector:
        parts = [
            self.distributions[which].draw(generator, int(count))
            for which, count in zip(given, counts, strict=True)
        ]
        return np.concatenate(parts)


def _check(field: str, got: object, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigurationError(field, got, expected, "nothing can be drawn from it")


def _check_moments(name: str, mean: float, standard_deviation: float) -> None:
    _check(f"{name}.mean", mean, bool(np.isfinite(mean)), "a finite number")
    holds = 0 <= standard_deviation < np.inf
    _check(f"{name}.standard_deviation", standard_deviation, holds, "zero or a positive number")
