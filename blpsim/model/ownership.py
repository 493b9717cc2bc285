"""Ownership matrices: H_jk is the weight on the profit from product k of who sets the price of product j.

The first-order condition of price j is s_j + sum_k H_jk (p_k - c_k) ds_k/dp_j = 0, so that markups solve
Delta eta = s with Delta_jk = -H_jk ds_k/dp_j. H need not be symmetric.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix, Offsets
from blpsim.checks import numbers
from blpsim.errors import ConfigurationError, DataError
from blpsim.model.conduct import Conduct, Kappa, Ownership, read_conduct
from blpsim.model.panel import Products
from blpsim.model.tables import Table, group_codes, read_table, take_ids


@dataclass(frozen=True, slots=True, eq=False)
class OwnershipMatrix:
    """Ownership as PyBLP takes it."""

    values: Matrix = field(repr=False)
    """(N, J*) stacked: a row for each of the user's, a column for each product of its market in the order of
    the user's rows; J* is the number of products in the largest market, and what is beyond does not count."""


PriceSetting: TypeAlias = Conduct | Ownership | OwnershipMatrix
"""How prices are set."""


class PriceSetters(NamedTuple):
    """Who sets the prices: blocks of products, no two of which have each other's profits in mind."""

    markets: Integers
    """(T+1,) market t holds blocks ``markets[t]:markets[t+1]``; none where prices equal costs."""
    products: Integers
    """(F+1,) block f holds products ``products[f]:products[f+1]``."""
    ownership: Matrix | None = None
    """(N, n*) H_jk of the products k of j's block, in j's row; None where it is one throughout."""

    @property
    def are_price_takers(self) -> bool:
        """Whether prices equal marginal costs."""
        return not self.markets[-1]

    def within(self, offsets: Offsets) -> Offsets:
        """Return the offsets with these blocks instead of the firms'."""
        return offsets._replace(firms=self.markets, firm_products=self.products)

    def matrices(self, market_offsets: Integers) -> list[Matrix]:
        """Return each market's H, (J, J)."""
        found = []
        for t, (first, last) in enumerate(pairwise(market_offsets.tolist())):
            owned = np.zeros((last - first, last - first))
            for block in range(self.markets[t], self.markets[t + 1]):
                start, stop = self.products[block] - first, self.products[block + 1] - first
                inside = slice(start, stop)
                owned[inside, inside] = 1.0
                if self.ownership is not None:
                    owned[inside, inside] = self.ownership[first:last][inside, : stop - start]
            found.append(owned)
        return found


def price_setters(how: PriceSetting, products: Products) -> PriceSetters:
    """Return who sets the prices of products.

    Raises
    ------
    ConfigurationError
        For a rule that does not know one of the firms.
    DataError
        For a matrix of another shape, or with a weight that is none.
    """
    offsets = products.market_offsets
    match how:
        case Conduct.BERTRAND:
            return PriceSetters(products.market_firms, products.firm_offsets)
        case Conduct.SINGLE_PRODUCT:
            return PriceSetters(offsets, np.arange(products.number + 1))
        case Conduct.MONOPOLY:
            return PriceSetters(np.arange(offsets.size), offsets)
        case Conduct.PERFECT_COMPETITION:
            nobody = np.zeros(offsets.size, np.int64)
            return PriceSetters(nobody, np.zeros(1, np.int64), np.empty((products.number, 0)))
        case Ownership():
            return _in_blocks(_by_rule(how, products), offsets)
        case OwnershipMatrix():
            return _in_blocks(_by_matrix(how.values, products), offsets)


def build_ownership(products: Table, kappa_specification: Ownership | Kappa | str | None = None) -> Matrix:
    """Return stacked ownership matrices, (N, J*), NaN beyond a market's products, as PyBLP's function does.

    products             with ``market_ids`` and, unless names say it all, ``firm_ids``
    kappa_specification  an ``Ownership`` or what makes one, as a function of two firms; ``"monopoly"``;
                         ``"single"``; None: each firm owns its products

    Raises
    ------
    DataError
        When a column is missing.
    ConfigurationError
        For anything else.
    """
    columns = read_table(products, "products")
    markets = group_codes(take_ids(columns, "market_ids", "products"))[0]
    how = _specified(kappa_specification)
    if how in (Conduct.SINGLE_PRODUCT, Conduct.MONOPOLY):
        firms, kappa = np.zeros(markets.size, np.int64), np.ones((1, 1))
    else:
        rule = how if isinstance(how, Ownership) else Ownership(0.0)
        firms, kappa = _kappa(rule, take_ids(columns, "firm_ids", "products"))
    stacked = np.full((markets.size, int(np.bincount(markets).max())), np.nan)
    for market in range(markets.max() + 1):
        rows = np.flatnonzero(markets == market)
        weights = kappa[np.ix_(firms[rows], firms[rows])]
        stacked[rows, : rows.size] = np.eye(rows.size) if how is Conduct.SINGLE_PRODUCT else weights
    return stacked


def read_ownership(field: str, value: object, products: Products) -> PriceSetting:
    """Return how prices are set: by a matrix (N, J*) in the user's rows, a rule, or the name of a conduct.

    Raises
    ------
    ConfigurationError
        For anything else, for a rule that names firms that do not exist, and as ``price_setters``.
    DataError
        For a matrix of another shape, or with a weight that is none.
    """
    how: PriceSetting
    if isinstance(value, np.ndarray | list | tuple | pd.DataFrame):
        how = OwnershipMatrix(_shaped(field, numbers(field, value, DataError), products))
    else:
        how = read_conduct(field, value)
    if isinstance(how, Ownership) and isinstance(how.kappa, Mapping):
        known = set(products.columns.get("firm_ids", np.empty(0)).tolist())
        strangers = [firm for pair in how.kappa for firm in pair if firm not in known]
        if strangers:
            why = "a name that no firm has would change nothing in silence"
            raise ConfigurationError("Ownership.kappa", strangers[0], "names in firm_ids", why)
    price_setters(how, products)
    return how


def given_ownership(products: Products) -> OwnershipMatrix | None:
    """Return what the columns ``ownership0, ownership1, ..`` say, None without any."""
    matrix = products.matrix("ownership")
    if not matrix.shape[1]:
        return None
    field = "products['ownership']"
    how = OwnershipMatrix(_shaped(field, products.restored(matrix), products))
    price_setters(how, products)
    return how


def _specified(given: object) -> Conduct | Ownership:
    if given is None:
        return Conduct.BERTRAND
    if not isinstance(given, str | Ownership):
        return Ownership(cast(Kappa, given))
    how = read_conduct("kappa_specification", given)
    if how is Conduct.PERFECT_COMPETITION:
        why = "price takers have nobody's profits in mind"
        raise ConfigurationError("kappa_specification", str(how), "another conduct or an Ownership", why)
    return how


def _shaped(field: str, values: Matrix, products: Products) -> Matrix:
    shape = products.number, int(np.diff(products.market_offsets).max())
    values = values[:, None] if values.ndim == 1 else values
    if values.shape != shape:
        expected = f"shape {shape}, a row a product and a column for each in the largest market"
        raise DataError(field, f"shape {values.shape}", expected, "matrices of markets are stacked")
    return values


def _kappa(rule: Ownership, firm_ids: NDArray[Any]) -> tuple[Integers, Matrix]:
    """Return each product's firm as 0, 1, .., (N,), and kappa (F, F) of these."""
    firms, names = group_codes(firm_ids)
    return firms, rule.weights(names)


def _by_rule(rule: Ownership, products: Products) -> Matrix:
    """Return H (N, J*) of a rule, zero beyond a market's products."""
    firms, kappa = _kappa(rule, take_ids(products.columns, "firm_ids", "products"))
    places, inside = _columns(products.market_offsets)
    return np.where(inside, kappa[firms[:, None], firms[places]], 0.0)


def _by_matrix(values: Matrix, products: Products) -> Matrix:
    """Return H (N, J*) of a user's matrix, rows and columns in internal order, zero beyond a market's."""
    offsets, rows = products.market_offsets, np.arange(products.number)
    places, inside = _columns(offsets)
    if products.order is not None:
        counts = np.diff(offsets)
        by_market = np.lexsort((products.order, np.repeat(np.arange(counts.size), counts)))
        ranks = np.empty(rows.size, np.int64)
        ranks[by_market] = rows - np.repeat(offsets[:-1], counts)
        values = np.take_along_axis(values[products.order], ranks[places], axis=1)
    found = np.where(inside, values, 0.0)
    own = found[rows, rows - np.repeat(offsets[:-1], np.diff(offsets))]
    for bad, expected in (
        (~np.isfinite(found).all(axis=1), "finite numbers"),
        (own <= 0, "positive numbers"),
    ):
        if bad.any():
            row = int(np.argmax(bad)) if products.order is None else int(products.order[bad].min())
            where = "in a market's columns" if expected.startswith("finite") else "for a product itself"
            got = f"something else in row {row}"
            raise DataError("ownership", got, f"{expected} {where}", "they weight profits")
    return found


def _columns(offsets: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return, (N, J*) each, the rows of each product's market, and whether they are there."""
    counts = np.diff(offsets)
    places = np.repeat(offsets[:-1], counts)[:, None] + np.arange(counts.max())
    inside = places < np.repeat(offsets[1:], counts)[:, None]
    return np.where(inside, places, 0), inside


def _in_blocks(owned: Matrix, offsets: Integers) -> PriceSetters:
    """Return the shortest blocks of neighbours outside which H (N, J*) is zero."""
    number, counts = int(offsets[-1]), np.diff(offsets)
    starts, nonzero = np.repeat(offsets[:-1], counts), owned != 0
    lowest = starts + nonzero.argmax(axis=1)
    highest = starts + owned.shape[1] - 1 - nonzero[:, ::-1].argmax(axis=1)
    ends, begins = np.maximum.accumulate(highest), np.minimum.accumulate(lowest[::-1])[::-1]
    cuts = np.arange(1, number)
    cuts = cuts[(ends[:-1] < cuts) & (begins[1:] >= cuts)]
    products = np.concatenate(([0], cuts, [number]))
    sizes = np.diff(products)
    places = (np.repeat(products[:-1], sizes) - starts)[:, None] + np.arange(sizes.max())
    inside = np.arange(sizes.max()) < np.repeat(sizes, sizes)[:, None]
    blocks = np.where(inside, np.take_along_axis(owned, np.where(inside, places, 0), axis=1), 0.0)
    setters = PriceSetters(np.searchsorted(products, offsets), products)
    return setters if (blocks == 1)[inside].all() else setters._replace(ownership=blocks)
