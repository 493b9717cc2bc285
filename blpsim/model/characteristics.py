"""What instruments are made of: exogenous characteristics of products, as rows."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.errors import DataError
from blpsim.model.columns import Columns
from blpsim.model.model import ModelColumns
from blpsim.model.panel import Products


class InstrumentSource(NamedTuple):
    """What instruments are made of."""

    products: Integers
    """(T+1,) offsets of products by market."""
    firms: Integers
    """(T+1,) offsets of firm blocks by market."""
    firm_products: Integers
    """(F+1,) offsets of products by firm block."""
    characteristics: Matrix
    """(C, N) exogenous columns of X1 and X3 that vary, each once."""
    names: tuple[str, ...]
    """(C,) their labels."""
    demand_names: frozenset[str]
    """Labels of the exogenous columns of X1, which are instruments for demand anyway."""
    supply_names: frozenset[str]
    """Labels of the exogenous columns of X3, which are instruments for supply anyway, if there are any."""
    nonlinear: Matrix
    """(K, N) exogenous columns of X2 that vary, whose sums and differences identify sigma."""
    prices: Vector | None
    """(N,) observed prices when X2 has prices, whose expectation is one more characteristic."""
    expected_prices: Vector | None
    """(N,) prices given the exogenous; None to project them on Own's instruments."""
    nests: Matrix
    """(H, N) whether a product is in each nest, as 0 and 1; H = 0 without nests."""
    given: tuple[Matrix, Matrix]
    """(N, MD) and (N, MS) instruments of demand and supply among the data's columns, if any."""
    observed: Products | None = None
    """All columns of the products, for instruments from other markets."""


def instrument_source(
    products: Products,
    columns: ModelColumns,
    expected_prices: Vector | None = None,
    nests: Integers | None = None,
) -> InstrumentSource:
    """Return what instruments are made of, from data and the columns of a model.

    expected_prices  (N,) prices given the exogenous, used when X2 has prices; None to project them
                     linearly on a constant and the instruments of ``Own``
    nests            (N,) places of the products' nests among the columns' labels of nests

    Raises
    ------
    DataError
        When the products have no firm_ids, which tell own products from rivals'.
    """
    if "firm_ids" not in products.columns:
        why = "they tell a firm's own products from its rivals'"
        raise DataError("products['firm_ids']", "no such column", "one column", why)
    data, (x1, x2, x3), roles = products.columns, columns[:3], _roles(columns)
    linear = x1.values(data).T
    nonlinear = x2.values(data).T[roles.x2] if x2.names else linear[roles.x1]
    varying = np.concatenate((linear[roles.x1], x3.values(data).T[roles.x3]))
    return InstrumentSource(
        products=products.market_offsets,
        firms=products.market_firms,
        firm_products=products.firm_offsets,
        characteristics=np.ascontiguousarray(varying),
        names=roles.names,
        demand_names=roles.demand_names,
        supply_names=roles.supply_names,
        nonlinear=np.ascontiguousarray(nonlinear),
        prices=products.prices if x2.depends_on_prices.any() else None,
        expected_prices=expected_prices,
        nests=_indicators(nests, len(columns.nests), products.number),
        given=(products.matrix("demand_instruments"), products.matrix("supply_instruments")),
        observed=products,
    )


def _indicators(nests: Integers | None, size: int, number: int) -> Matrix:
    if nests is None:
        return np.empty((0, number))
    return np.asarray(np.arange(size)[:, None] == nests, np.float64)


class _Roles(NamedTuple):
    x1: list[int]
    x2: list[int]
    x3: list[int]
    names: tuple[str, ...]
    demand_names: frozenset[str]
    supply_names: frozenset[str]


@lru_cache(maxsize=64)
def _roles(columns: ModelColumns) -> _Roles:
    x1, x2, x3 = columns[:3]
    first = [k for k in _exogenous(x1) if _varies(x1, k)]
    third = [k for k in _exogenous(x3) if _varies(x3, k) and x3.names[k] not in x1.names]
    return _Roles(
        first,
        [k for k in _exogenous(x2) if _varies(x2, k)],
        third,
        (*(x1.names[k] for k in first), *(x3.names[k] for k in third)),
        frozenset(x1.names[k] for k in _exogenous(x1)),
        frozenset(x3.names[k] for k in _exogenous(x3)),
    )


def _exogenous(columns: Columns) -> list[int]:
    return np.flatnonzero(~(columns.depends_on_prices | columns.depends_on_shares)).tolist()


def _varies(columns: Columns, k: int) -> bool:
    return columns.names[k] != "1" and not columns.columns[k].indicators
