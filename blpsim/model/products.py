"""Products from users' tables: validated, and sorted by market and firm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Vector
from blpsim.errors import DataError
from blpsim.model.columns import PRICES, SHARES
from blpsim.model.model import Model
from blpsim.model.panel import Products, numbered
from blpsim.model.tables import (
    Table,
    check_columns,
    group_codes,
    market_offsets,
    read_table,
    take_ids,
    take_numbers,
)

_PRODUCTS = "products"


def read_products(data: Table | Products, model: Model) -> Products:
    """Return the products of a table, sorted by market and firm, after checking all that the model needs.

    Without ``firm_ids``, which only a supply side needs, each product is its own firm.

    Raises
    ------
    DataError
        When a column is missing, has values it cannot have, or instruments are not numbered from 0.
    FormulaError
        When a formula names a column that is not there.
    """
    if isinstance(data, Products):
        return data
    columns = read_table(data, _PRODUCTS)
    for name in (SHARES, PRICES):
        columns[name] = take_numbers(columns, name, _PRODUCTS)
    _check_instruments(columns)
    _check_clusters(columns)
    if model.nests is not None:
        take_ids(columns, model.nests, _PRODUCTS)
    _check_shares(columns[SHARES])
    _check_formulas(columns, model)
    products = _sorted(columns, needs_firms=model.supply is not None)
    _check_outside_shares(products)
    return products


def _sorted(columns: Mapping[str, NDArray[Any]], *, needs_firms: bool) -> Products:
    markets, names = group_codes(take_ids(columns, "market_ids", _PRODUCTS))
    if needs_firms or "firm_ids" in columns:
        firms = group_codes(take_ids(columns, "firm_ids", _PRODUCTS))[0]
    else:
        firms = np.arange(markets.size)
    order = None
    keys = markets * (int(firms.max()) + 1) + firms
    if (np.diff(keys) < 0).any():
        order = np.argsort(keys, kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
        markets, keys = markets[order], keys[order]
    starts = np.concatenate(([0], np.flatnonzero(np.diff(keys)) + 1))
    counts = np.bincount(markets[starts], minlength=names.size)
    return Products(
        columns=columns,
        market_offsets=market_offsets(markets, names.size),
        firm_offsets=np.concatenate((starts, [markets.size])),
        market_firms=np.concatenate(([0], np.cumsum(counts))),
        order=order,
    )


def _check_shares(shares: Vector) -> None:
    if (bad := np.flatnonzero((shares <= 0) | (shares >= 1))).size:
        got = f"{shares[bad[0]]} in row {bad[0]}"
        why = "its log and the outside share's must be finite"
        raise DataError("products['shares']", got, "strictly between 0 and 1", why)


def _check_outside_shares(products: Products) -> None:
    totals = np.add.reduceat(products.shares, products.market_offsets[:-1])
    if (full := np.flatnonzero(totals >= 1)).size:
        market = products.columns["market_ids"][products.market_offsets[full[0]]]
        got = f"a sum of {totals[full[0]]} in market {market}"
        raise DataError("products['shares']", got, "a sum below 1", "the outside good needs a share")


def _check_instruments(columns: dict[str, NDArray[Any]]) -> None:
    for side in ("demand_instruments", "supply_instruments", "covariance_instruments"):
        if side in columns:
            columns[f"{side}0"] = columns.pop(side)
        present = [name for name in columns if re.fullmatch(rf"{side}\d+", name)]
        missing = f"{side}{len(numbered(columns, side))}"
        if len(present) != len(numbered(columns, side)):
            got = f"'{min(set(present) - set(numbered(columns, side)))}' without '{missing}'"
            why = "instruments after a gap would be left out in silence"
            raise DataError(f"products['{missing}']", got, f"{side}0, 1, .. without gaps", why)
        for name in present:
            columns[name] = take_numbers(columns, name, _PRODUCTS)


def _check_clusters(columns: Mapping[str, NDArray[Any]]) -> None:
    if "clustering_ids" not in columns:
        return
    ids = take_ids(columns, "clustering_ids", _PRODUCTS)
    if (ids == ids[0]).all():
        why = "one cluster has no variance between clusters"
        raise DataError("products['clustering_ids']", f"{ids[0]} only", "two clusters or more", why)


def _check_formulas(data: Mapping[str, NDArray[Any]], model: Model) -> None:
    columns = model.bind(data, ())
    for part, field in ((columns.x1, "linear"), (columns.x2, "nonlinear"), (columns.x3, "supply")):
        check_columns(part, data, f"Model.{field}")
