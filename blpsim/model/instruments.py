"""Instruments made of exogenous characteristics, as in Table 2 of Conlon and Gortmaker (2020).

All but BLP and Given contain Own's. Sums over products distinguish others of the same firm from those of
rivals. With nests Sums, Local and Quadratic also contain the numbers of other products in the same nest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np

from blpsim.arrays import Booleans, Integers, Matrix, Vector
from blpsim.checks import check, check_count, check_fields
from blpsim.errors import ConfigurationError, DataError
from blpsim.fingerprint import LATER
from blpsim.kernels.characteristics import fill_close_products, fill_spreads, fill_squares, fill_sums
from blpsim.model.characteristics import InstrumentSource
from blpsim.model.lags import lags_of
from blpsim.model.panel import Products


class Excluded(NamedTuple):
    """Instruments that are excluded from the equations; exogenous columns of X1 and X3 join them later."""

    demand: Matrix
    """(N, MD)."""
    supply: Matrix
    """(N, MS), MS = 0 without X3."""


@runtime_checkable
class Instruments(Protocol):
    """Anything that makes excluded instruments."""

    def build(self, source: InstrumentSource) -> Excluded:
        """Return the excluded instruments of demand, (N, MD), and of supply, (N, MS)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The product's own characteristics, their squares and their products."""

    def build(self, source: InstrumentSource) -> Excluded:
        """Return the instruments, (N, MD) and (N, MS)."""
        return _excluded(source, _own_rows(source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Own, numbers of other products, and sums of their nonlinear characteristics."""

    def build(self, source: InstrumentSource) -> Excluded:
        """Return the instruments, (N, MD) and (N, MS)."""
        own = _own_rows(source)
        return _excluded(source, own, *_sums(source, _with_counts(_nonlinear(source, own))), *_nests(source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """Own, and numbers of other products within a standard deviation of each nonlinear characteristic."""

    def build(self, source: InstrumentSource) -> Excluded:
        """Return the instruments, (N, MD) and (N, MS)."""
        own_rows = _own_rows(source)
        x = _nonlinear(source, own_rows)
        own, rival, spreads = np.empty_like(x), np.empty_like(x), np.empty(len(x))
        fill_spreads(spreads, x, source.products)
        fill_close_products(own, rival, x, spreads, _owners(source), source.products)
        return _excluded(source, own_rows, own, rival, *_nests(source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadratic:
    """Own, and sums of squared differences to other products in each nonlinear characteristic."""

    def build(self, source: InstrumentSource) -> Excluded:
        """Return the instruments, (N, MD) and (N, MS)."""
        own_rows = _own_rows(source)
        x = _nonlinear(source, own_rows)
        own, rival = np.empty_like(x), np.empty_like(x)
        fill_squares(own, rival, x, _owners(source), source.products)
        return _excluded(source, own_rows, own, rival, *_nests(source))


@dataclass(frozen=True, slots=True, kw_only=True)
class BLP:
    """Numbers of other products and sums of each equation's exogenous characteristics.

    The other equation's characteristics, that shift costs but not demand or the reverse, are added.
    """

    def build(self, source: InstrumentSource) -> Excluded:
        """Return the instruments, (N, MD) and (N, MS)."""
        sides = []
        for names in (source.demand_names, source.supply_names):
            inside = np.array([name in names for name in source.names], np.bool_)
            x = source.characteristics
            rows = (x[~inside], *_sums(source, _with_counts(x[inside])))
            sides.append(np.concatenate(rows) if names else np.empty((0, x.shape[1])))
        return Excluded(_columns(sides[0]), _columns(sides[1]))


ErrorMethod = Literal["approximate", "asymptotic", "normal", "empirical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The data's own: columns demand_instruments0, .. and supply_instruments0, .., as in PyBLP."""

    def build(self, source: InstrumentSource) -> Excluded:
        """Return the instruments, (N, MD) and (N, MS).

        Raises
        ------
        DataError
            When an equation has no such columns.
        """
        sides = ("demand_instruments", True), ("supply_instruments", bool(source.supply_names))
        for (name, needed), columns in zip(sides, source.given, strict=True):
            if needed and not columns.shape[1]:
                why = "an estimator asks for the data's own instruments"
                raise DataError(f"products['{name}0']", "no such column", f"columns {name}0, ..", why)
        demand, supply = source.given
        return Excluded(demand, supply if source.supply_names else supply[:, :0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lagged:
    """Other instruments, and what products had in the market before; zero where they were in none.

    Moments in innovations need such instruments: only what is correlated with lagged errors, as lagged prices
    and shares are, tells phi, and innovations are not correlated with it. With moments in levels it is none.
    """

    base: Instruments = field(default_factory=Own)
    """The other instruments."""
    columns: tuple[str, ...] = ("prices", "shares")
    """Columns of the products whose lags are added, for demand and for supply."""

    def __post_init__(self) -> None:
        """Refuse what are no instruments or names."""
        check_fields(self)
        object.__setattr__(self, "columns", tuple(self.columns))

    def build(self, source: InstrumentSource) -> Excluded:
        """Return the instruments, (N, MD) and (N, MS).

        Raises
        ------
        DataError
            When the data do not say where products were before, or a column is not there.
        """
        found, products = self.base.build(source), cast(Products, source.observed)
        lags, added = lags_of(products), []
        for name in self.columns:
            if name not in products.columns:
                known = f"one of {', '.join(products.columns)}"
                raise DataError("Lagged.columns", name, known, "its lags are instruments")
            values = np.asarray(products.columns[name], np.float64)
            added.append(np.where(lags.once, values[lags.previous], 0.0))
        lagged = np.column_stack(added) if added else np.empty((products.number, 0))
        supply = np.hstack((found.supply, lagged)) if source.supply_names else found.supply
        return Excluded(np.hstack((found.demand, lagged)), supply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimal:
    """Optimal instruments at a first estimate: expected derivatives of xi and omega by the parameters.

    ==============  ===========================================================================
    ``approximate`` derivatives where xi and omega are zero, their mean
    ``asymptotic``  a mean over draws from the normal distribution that residuals suggest; PyBLP
                    calls it ``normal``, which is understood, too
    ``empirical``   a mean over draws, with replacement, of pairs of residuals
    ==============  ===========================================================================

    Each draw has its own equilibrium, or without a supply side expected prices and its own shares. Draws
    without an equilibrium in a market are counted, and left out of that market's mean.

    Source: Algorithm 2 of Conlon and Gortmaker (2020), after Chamberlain (1987).
    """

    first: object
    """The estimator whose estimate they are computed at, and where the second estimation starts."""
    method: ErrorMethod = field(default="approximate", metadata=LATER)
    """How the expectation over xi and omega is taken, one of the above."""
    draws: int = field(default=1, metadata=LATER)
    """Draws of xi and omega for all products; many make the mean precise."""

    def __post_init__(self) -> None:
        """Refuse an unknown method, no draws, and draws where none are taken."""
        check_error_draws("Optimal", self.method, self.draws)


def check_error_draws(owner: str, method: object, draws: object) -> None:
    """Refuse an unknown method, no draws, and draws where none are taken, with a ConfigurationError.

    owner  begins the names of the fields
    """
    check(f"{owner}.method", method, ErrorMethod)
    check_count(f"{owner}.draws", draws, "an expectation is a mean over draws")
    if method == "approximate" and draws != 1:
        why = "'approximate' takes derivatives at the errors' mean and draws none"
        raise ConfigurationError(f"{owner}.draws", draws, "1, or another method", why)


def _own_rows(source: InstrumentSource) -> Matrix:
    x, (left, right, _) = source.characteristics, _pairs(source.names)
    return np.concatenate((x, x[left] * x[right]))


class _Pairs(NamedTuple):
    left: Integers
    right: Integers
    names: tuple[str, ...]


@lru_cache(maxsize=64)
def _pairs(names: tuple[str, ...]) -> _Pairs:
    left, right = np.triu_indices(len(names))
    pairs = [(names[i], names[j]) for i, j in zip(left, right, strict=True)]
    labels = [f"{a}**2" if a == b else "*".join(sorted((a, b))) for a, b in pairs]
    return _Pairs(left, right, tuple(labels))


def _excluded(source: InstrumentSource, own: Matrix, *others: Matrix) -> Excluded:
    names = (*source.names, *_pairs(source.names).names)
    kept = _distinct(source, own)
    demand = kept & _is_new(names, source.demand_names)
    demand_columns = _columns(np.concatenate((own[demand], *others)))
    if not source.supply_names:
        return Excluded(demand_columns, np.empty((own.shape[1], 0)))
    supply = kept & _is_new(names, source.supply_names)
    return Excluded(demand_columns, _columns(np.concatenate((own[supply], *others))))


@lru_cache(maxsize=128)
def _is_new(names: tuple[str, ...], included: frozenset[str]) -> Booleans:
    return np.array([name not in included for name in names], np.bool_)


def _distinct(source: InstrumentSource, own: Matrix) -> Booleans:
    number, (left, right, _) = len(source.names), _pairs(source.names)
    squares = number + np.flatnonzero(left == right)
    distinct = np.ones(len(own), np.bool_)
    # A dummy variable is its own square.
    distinct[squares] = (own[squares] != own[:number]).any(axis=1)
    return distinct


def _nonlinear(source: InstrumentSource, own: Matrix) -> Matrix:
    if source.prices is None:
        return source.nonlinear
    expected = source.expected_prices
    if expected is None:
        expected = _projection(source.prices, np.concatenate((np.ones((1, own.shape[1])), own)))
    return np.concatenate((source.nonlinear, expected[None, :]))


def _projection(prices: Vector, rows: Matrix) -> Vector:
    coefficients = np.linalg.lstsq(rows.T, prices)[0]
    return coefficients @ rows


def _with_counts(x: Matrix) -> Matrix:
    return np.concatenate((np.ones((1, x.shape[1])), x))


def _sums(source: InstrumentSource, x: Matrix) -> tuple[Matrix, Matrix]:
    own, rival = np.empty_like(x), np.empty_like(x)
    fill_sums(own, rival, x, source.firms, source.firm_products)
    return own, rival


def _nests(source: InstrumentSource) -> tuple[Matrix, ...]:
    """Return numbers of the firm's and of rivals' other products in the same nest, (1, N) each, if any."""
    if not len(source.nests):
        return ()
    place = source.nests.argmax(axis=0)[None, :]
    own, rival = _sums(source, source.nests)
    return np.take_along_axis(own, place, 0), np.take_along_axis(rival, place, 0)


def _owners(source: InstrumentSource) -> Integers:
    return np.repeat(np.arange(source.firm_products.size - 1), np.diff(source.firm_products))


def _columns(rows: Matrix) -> Matrix:
    return np.ascontiguousarray(rows.T)
