"""Panels of products: where each was in the market before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blpsim.arrays import Booleans, Integers
from blpsim.errors import DataError
from blpsim.model.panel import Products


class Lags(NamedTuple):
    """Where each product was in the market before."""

    previous: Integers
    """(N,) rows; a product's own where it was in none."""
    once: Booleans
    """(N,) whether there is a market before."""
    twice: Booleans
    """(N,) whether there is one before that, too."""


def lags_of(products: Products) -> Lags:
    """Return lags, from ``lag_indices`` as PyBLP reads them, or from ``product_ids`` and consecutive markets.

    Raises
    ------
    DataError
        Without either, or when two products have the same lag.
    """
    if "lag_indices" in products.columns:
        previous = _given(products)
    elif "product_ids" in products.columns:
        previous = _consecutive(products)
    else:
        why = "innovations need errors of the market before"
        raise DataError("products", "no lag_indices", "lag_indices, or product_ids", why)
    once = previous != np.arange(products.number)
    return Lags(previous, once, once & once[previous])


def _given(products: Products) -> Integers:
    indices = np.asarray(products.columns["lag_indices"])
    whole = indices.dtype.kind in "iuf" and bool(np.all(np.isfinite(indices) & (indices == np.rint(indices))))
    rows = np.arange(products.number) if products.order is None else products.order
    if not whole or indices.min() < 0 or indices.max() >= products.number:
        why = "a product without a lag has its own"
        expected = f"rows 0 to {products.number - 1}"
        raise DataError("products['lag_indices']", f"{indices.min()} to {indices.max()}", expected, why)
    given = indices.astype(np.int64)
    lagged = given[given != rows]
    if np.unique(lagged).size != lagged.size:
        values, counts = np.unique(lagged, return_counts=True)
        got = f"{values[counts > 1][0]} twice"
        raise DataError("products['lag_indices']", got, "a row at most once", "one product cannot become two")
    return np.asarray(np.argsort(rows)[given], np.int64)


def _consecutive(products: Products) -> Integers:
    markets, ids = products.columns["market_ids"], products.columns["product_ids"]
    if markets.dtype.kind not in "iu":
        got, why = f"markets named as {markets[0]}", "names do not say which market comes before"
        raise DataError("products['market_ids']", got, "integers, consecutive in time, or lag_indices", why)
    codes = np.unique(ids, return_inverse=True)[1]
    keys = (markets - markets.min()).astype(np.int64) * (int(codes.max()) + 1) + codes
    if np.unique(keys).size != keys.size:
        why = "a product has one error in a market"
        raise DataError("products['product_ids']", "one twice in a market", "different ids in a market", why)
    order = np.argsort(keys)
    before = keys - (int(codes.max()) + 1)
    places = np.minimum(np.searchsorted(keys[order], before), keys.size - 1)
    found = keys[order][places] == before
    return np.where(found, order[places], np.arange(keys.size))
