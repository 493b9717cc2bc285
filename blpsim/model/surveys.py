"""Micro data as data: surveys, what is averaged over respondents, and moments that are functions of averages.

A respondent is consumer i of market t who chooses j, and k when j is taken away. Indices of choices begin
with the outside option, 0.

Source: Conlon and Gortmaker (2025).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Vector
from blpsim.checks import check, check_count, check_fields
from blpsim.errors import ConfigurationError
from blpsim.model.survey_terms import ONE, ColumnFunction, check_term, multiplied

ArrayFunction: TypeAlias = Callable[[Any, Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]], ArrayLike]
"""Maps a market's name, its products and its agents to an array (I, J) or (I, 1 + J); of second choices
to one with another dimension, J or 1 + J. Without the outside option it is never chosen."""

_STEP = 1e-3
_NO_STEP = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """Those who buy something are asked, all alike."""

    second_outside: bool = False
    """Whether those whose second choice is the outside option are asked, too."""

    def __post_init__(self) -> None:
        """Refuse what is no switch."""
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Everyone:
    """All consumers are asked, all alike, whatever they choose."""


@dataclass(frozen=True, slots=True)
class MicroDataset:
    """A survey: whom it asks, and about what."""

    name: str
    """What no other survey is called."""
    _: KW_ONLY
    observations: int
    """N_d, the number of respondents."""
    weights: Inside | Everyone | ArrayFunction = Inside()
    """Survey weights w_ijt or w_ijkt."""
    second_choices: bool = False
    """Whether respondents say what they would choose without their first choice."""
    markets: Iterable[Any] | None = None
    """Names of the markets in which it is done; None for all."""
    without: str | None = None
    """A column of products: for second choices all products that share its value with the first are gone."""

    def __post_init__(self) -> None:
        """Refuse contradictions."""
        check_fields(self)
        check_count("MicroDataset.observations", self.observations, "respondents are counted")
        if self.without is not None and not self.second_choices:
            why = "only second choices are made without the first"
            raise ConfigurationError("MicroDataset.without", self.without, "None, or second_choices", why)
        if self.markets is not None:
            names = tuple(self.markets)
            if not names or len(set(names)) < len(names):
                why = "each market is asked or not"
                raise ConfigurationError("MicroDataset.markets", names, "names of markets, each once", why)
            object.__setattr__(self, "markets", names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of what depends on the agent, on the first choice, and on the second."""

    agent: str | ColumnFunction = ONE
    """Arithmetic on columns of agents (demographics, nodes0, ..), as "income * log(age)", or a function."""
    first: str | ColumnFunction = ONE
    """The same on columns of products, at the first choice."""
    second: str | ColumnFunction = ONE
    """The same at the second choice."""
    first_outside: float | None = None
    """Value of ``first`` at the outside option; None for 1 where it is "1", else 0."""
    second_outside: float | None = None
    """Value of ``second`` there, alike."""

    def __post_init__(self) -> None:
        """Refuse what is no term."""
        check_fields(self)
        for name in ("agent", "first", "second"):
            check_term(getattr(self, name), f"Product.{name}")

    @property
    def outside(self) -> tuple[float, float]:
        """Values of the terms of first and second choices at the outside option."""
        given = (self.first, self.first_outside), (self.second, self.second_outside)
        first, second = (float(term == ONE) if value is None else value for term, value in given)
        return first, second

    def __mul__(self, other: Product) -> Product:
        """Return the product with another, which may be itself."""
        first, second = (a * b for a, b in zip(self.outside, other.outside, strict=True))
        return Product(
            agent=multiplied((self.agent, other.agent)),
            first=multiplied((self.first, other.first)),
            second=multiplied((self.second, other.second)),
            first_outside=first,
            second_outside=second,
        )


@dataclass(frozen=True, slots=True)
class MicroPart:
    """What is averaged over a survey's respondents: a product, a sum of products, or any array."""

    name: str
    dataset: MicroDataset
    _: KW_ONLY
    agent: str | ColumnFunction = ONE
    first: str | ColumnFunction = ONE
    second: str | ColumnFunction = ONE
    first_outside: float | None = None
    second_outside: float | None = None
    values: Sequence[Product] | ArrayFunction | None = None
    """Instead of these five, as a ``Product`` has them: products to be summed, or a function that returns
    the whole array."""

    def __post_init__(self) -> None:
        """Refuse contradictions."""
        check_fields(self)
        if self.values is not None and not callable(self.values):
            object.__setattr__(self, "values", tuple(self.values))
            check("MicroPart.values", self.values, tuple[Product, ...])
        only = Product(
            agent=self.agent,
            first=self.first,
            second=self.second,
            first_outside=self.first_outside,
            second_outside=self.second_outside,
        )
        if self.values is not None and (only != Product() or self.values == ()):
            why = "both say what is averaged"
            expected = "products or a function, beside no other term"
            raise ConfigurationError("MicroPart.values", self.values, expected, why)
        seconds = (p.second != ONE or p.second_outside not in (None, 1) for p in self.products)
        if not self.dataset.second_choices and any(seconds):
            why = f"the survey {self.dataset.name} asks for first choices alone"
            raise ConfigurationError("MicroPart.second", self.name, "no second choice", why)

    @property
    def products(self) -> tuple[Product, ...]:
        """The products whose sum is averaged; none where a function returns the whole array."""
        if self.values is None:
            return (
                Product(
                    agent=self.agent,
                    first=self.first,
                    second=self.second,
                    first_outside=self.first_outside,
                    second_outside=self.second_outside,
                ),
            )
        return () if callable(self.values) else tuple(self.values)


@dataclass(frozen=True, slots=True)
class MicroMoment:
    """An observed value less what the model expects it to be: a smooth function of averages."""

    name: str
    value: float | None
    """f(v) in the micro data; None for what the dataset's own survey says."""
    _: KW_ONLY
    parts: MicroPart | tuple[MicroPart, ...]
    """The averages v that it depends on."""
    function: Callable[[Vector], float] | None = None
    """f(v), v (P,); None where it is v itself."""
    gradient: Callable[[Vector], ArrayLike] | None = None
    """(P,) derivatives of the function; None to difference it."""

    def __post_init__(self) -> None:
        """Refuse several parts without a function, and values that are not finite."""
        check_fields(self)
        parts = (self.parts,) if isinstance(self.parts, MicroPart) else tuple(self.parts)
        object.__setattr__(self, "parts", parts)
        if self.value is not None and not np.isfinite(self.value):
            raise ConfigurationError("MicroMoment.value", self.value, "a finite number", "it is matched")
        if not parts or (len(parts) > 1 and self.function is None):
            expected, why = "one part, or a function of several", "a moment is one number"
            raise ConfigurationError("MicroMoment.parts", f"{len(parts)} parts", expected, why)
        if self.gradient is not None and self.function is None:
            why = "without a function it is one"
            raise ConfigurationError("MicroMoment.gradient", self.name, "None without a function", why)

    @property
    def all_parts(self) -> tuple[MicroPart, ...]:
        """The parts, though there be one."""
        return (self.parts,) if isinstance(self.parts, MicroPart) else self.parts

    def at(self, parts: Vector) -> float:
        """Return the moment's value at averages of its parts, (P,)."""
        if self.function is None:
            return float(parts[0])
        found = np.asarray(self.function(parts.copy()), np.float64)
        if found.size != 1:
            why = "a moment is one number"
            raise ConfigurationError(f"MicroMoment({self.name!r}).function", found, "a number", why)
        return float(found.ravel()[0])

    def gradient_at(self, parts: Vector) -> Vector:
        """Return the derivatives of the moment's value, (P,), given or by fourth-order differences."""
        if self.function is None:
            return np.ones(1)
        if self.gradient is None:
            return _differenced(self.at, parts)
        found = np.asarray(self.gradient(parts.copy()), np.float64).ravel()
        if found.size != parts.size:
            expected, why = f"{parts.size} derivatives", "there is one a part"
            raise ConfigurationError(f"MicroMoment({self.name!r}).gradient", found, expected, why)
        return found


def _differenced(function: Callable[[Vector], float], parts: Vector) -> Vector:
    gradient = np.empty(parts.size)
    for p in range(parts.size):
        step = np.zeros(parts.size)
        size = abs(parts[p]) if abs(parts[p]) > _NO_STEP else 1.0
        step[p] = _STEP * size
        near = function(parts + step) - function(parts - step)
        far = function(parts + 2 * step) - function(parts - 2 * step)
        gradient[p] = (8 * near - far) / (12 * step[p])
    return gradient
