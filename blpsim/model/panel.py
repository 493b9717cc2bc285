"""Products and agents of all markets: arrays by name, sorted so that markets and firms are slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from blpsim.arrays import Booleans, Consumers, Integers, Matrix, Offsets, Tensor, Vector
from blpsim.errors import DataError, ParameterError
from blpsim.fingerprint import LATER


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Products:
    """The products of all markets, sorted by market, and by firm within a market."""

    columns: Mapping[str, NDArray[Any]] = field(repr=False)
    """(N,) arrays by PyBLP's names (market_ids, shares, prices, ..), and the user's own."""
    market_offsets: Integers
    """(T+1,) market t holds products ``market_offsets[t]:market_offsets[t+1]``."""
    firm_offsets: Integers
    """(F+1,) firm block f holds products ``firm_offsets[f]:firm_offsets[f+1]``."""
    market_firms: Integers
    """(T+1,) market t holds firm blocks ``market_firms[t]:market_firms[t+1]``."""
    order: Integers | None = None
    """Row r is the user's row ``order[r]``; None when these are the user's rows."""

    @property
    def number(self) -> int:
        """N, the number of products of all markets."""
        return int(self.market_offsets[-1])

    @property
    def markets(self) -> int:
        """T, the number of markets."""
        return self.market_offsets.size - 1

    @property
    def shares(self) -> Vector:
        """Market shares, (N,)."""
        return self.columns["shares"]

    @property
    def prices(self) -> Vector:
        """Prices, (N,)."""
        return self.columns["prices"]

    def matrix(self, name: str) -> Matrix:
        """Return the numbered columns ``name0, name1, ..``, (N, M), M = 0 when there are none."""
        parts = [self.columns[column] for column in numbered(self.columns, name)]
        return np.column_stack(parts).astype(np.float64) if parts else np.empty((self.number, 0))

    def restored(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return an array, (N, ..), in the order of the user's rows."""
        if self.order is None:
            return array
        restored = np.empty_like(array)
        restored[self.order] = array
        return restored

    def frame(self) -> pd.DataFrame:
        """Return the columns as a data frame of N rows in the user's order."""
        return pd.DataFrame({name: self.restored(column) for name, column in self.columns.items()})

    def kept(self, rows: Booleans) -> Products:
        """Return some of the products, (N,) of them marked; firms and markets without any disappear."""
        firms = np.add.reduceat(rows, self.firm_offsets[:-1], dtype=np.int64)
        market = np.repeat(np.arange(self.markets), np.diff(self.market_firms))
        blocks = np.bincount(market[firms > 0], minlength=self.markets)
        sizes = np.add.reduceat(rows, self.market_offsets[:-1], dtype=np.int64)
        return Products(
            columns={name: column[rows] for name, column in self.columns.items()},
            market_offsets=_stops(sizes),
            firm_offsets=_stops(firms),
            market_firms=_stops(blocks),
            order=None if self.order is None else np.argsort(np.argsort(self.order[rows])),
        )

    def replaced(self, **columns: NDArray[Any]) -> Products:
        """Return the products with some columns, each (N,) and sorted as these, replaced or added.

        Raises
        ------
        DataError
            When a column has another length.
        """
        for name, column in columns.items():
            if column.shape != (self.number,):
                raise DataError(name, column.shape, f"({self.number},)", "a column has an element a product")
        return replace(self, columns={**self.columns, **columns})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProductSpecific:
    """What differs by agent and product; products of a market are counted in the order of the user's rows."""

    places: Integers
    """(S,) places of its demographics among all."""
    demographics: Tensor = field(repr=False)
    """(S, J*, I) J* is at least the largest number of products of a market; what is beyond means nothing."""
    availability: Matrix | None = field(default=None, repr=False)
    """(J*, I) zero where an agent cannot choose a product; None: everybody chooses among all."""

    def taken(self, agents: Integers | Booleans) -> ProductSpecific:
        """Return what belongs to some agents, given by their places, or marked."""
        available = None if self.availability is None else np.ascontiguousarray(self.availability[:, agents])
        demographics = np.ascontiguousarray(self.demographics[:, :, agents])
        return replace(self, demographics=demographics, availability=available)

    @staticmethod
    def joined(parts: Sequence[ProductSpecific]) -> ProductSpecific:
        """Return what belongs to the agents of all parts, one part after the other."""
        demographics = np.concatenate([part.demographics for part in parts], axis=2)
        availability = [part.availability for part in parts if part.availability is not None]
        available = np.concatenate(availability, axis=1) if availability else None
        return replace(parts[0], demographics=demographics, availability=available)

    def ranked(self, ranks: Sequence[Integers], agent_offsets: Integers) -> ProductSpecific:
        """Return it for products in another order, or some of them: (J,) places of them for each market."""
        demographics = self.demographics.copy()
        available = None if self.availability is None else self.availability.copy()
        for t, places in enumerate(ranks):
            mine = slice(agent_offsets[t], agent_offsets[t + 1])
            demographics[:, : places.size, mine] = self.demographics[:, places, mine]
            if available is not None and self.availability is not None:
                available[: places.size, mine] = self.availability[places, mine]
        return replace(self, demographics=demographics, availability=available)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agents:
    """The agents of all markets, an agent a column, sorted by market."""

    market_offsets: Integers
    """(T+1,) market t holds agents ``market_offsets[t]:market_offsets[t+1]``."""
    nodes: Matrix = field(repr=False)
    """(M, I) draws of unobserved tastes, M = K2, or fewer when columns of sigma are zero."""
    demographics: Matrix = field(repr=False)
    """(D, I) observed characteristics, zero where they differ by product."""
    weights: Vector = field(repr=False)
    """(I,) integration weights."""
    demographic_names: tuple[str, ...] = ()
    """(D,) labels of the demographics."""
    market_ids: NDArray[Any] | None = field(default=None, repr=False)
    """(T,) the markets' names; None for 0, 1, .."""
    specific: ProductSpecific | None = field(default=None, repr=False, metadata=LATER)
    """What differs by agent and product; None without any."""

    @property
    def number(self) -> int:
        """I, the number of agents of all markets."""
        return self.weights.size

    @property
    def differ_by_product(self) -> bool:
        """Whether there are demographics that differ by product."""
        return self.specific is not None and bool(self.specific.places.size)

    def unlimited(self) -> Agents:
        """Return the agents as if everybody chose among all products."""
        if self.specific is None or self.specific.availability is None:
            return self
        left = replace(self.specific, availability=None) if self.specific.places.size else None
        return replace(self, specific=left)

    def kept(self, markets: Booleans) -> Agents:
        """Return the agents of some of the markets, (T,) of them marked."""
        counts = np.diff(self.market_offsets)
        agents = np.repeat(markets, counts)
        return replace(
            self,
            market_offsets=_stops(counts[markets]),
            nodes=np.ascontiguousarray(self.nodes[:, agents]),
            demographics=np.ascontiguousarray(self.demographics[:, agents]),
            weights=self.weights[agents],
            market_ids=None if self.market_ids is None else self.market_ids[markets],
            specific=None if self.specific is None else self.specific.taken(agents),
        )

    def consumers(self, used: Booleans | None = None) -> Consumers:
        """Return the arrays that kernels read, with a row of nodes for each X2 column.

        used  (K2,) which columns of sigma are not fixed at zero; as in PyBLP, when there are fewer than
              K2 rows of nodes, they belong to these columns in turn, and the others have nodes of zero

        Raises
        ------
        ParameterError
            When sigma uses more columns than there are rows of nodes.
        """
        nodes = self.nodes
        if used is not None and used.size != len(nodes):
            nodes = self._spread(used)
        return Consumers(nodes, self.demographics, self.weights)

    def _spread(self, used: Booleans) -> Matrix:
        number = int(used.sum())
        if number > len(self.nodes):
            expected = f"at most {len(self.nodes)} columns that are not zero"
            why = f"the agents have nodes0..nodes{len(self.nodes) - 1} only"
            raise ParameterError("Parameters.sigma", f"{number} columns", expected, why)
        nodes = np.zeros((used.size, self.number))
        nodes[used] = self.nodes[:number]
        return nodes

    def frame(self) -> pd.DataFrame:
        """Return the agents as a data frame of I rows, with PyBLP's names of columns.

        What differs by product has a column a product, as ``distance0``; those beyond a market's are zero.
        """
        counts = np.diff(self.market_offsets)
        ids = np.arange(counts.size) if self.market_ids is None else self.market_ids
        columns = {"market_ids": np.repeat(ids, counts), "weights": self.weights}
        columns |= {f"nodes{row}": values for row, values in enumerate(self.nodes)}
        columns |= dict(zip(self.demographic_names, self.demographics, strict=False))
        if self.specific is not None:
            for place, rows in zip(self.specific.places, self.specific.demographics, strict=True):
                name = self.demographic_names[place]
                del columns[name]
                columns |= {f"{name}{j}": row for j, row in enumerate(rows)}
            if self.specific.availability is not None:
                columns |= {f"availability{j}": row for j, row in enumerate(self.specific.availability)}
        return pd.DataFrame(columns)


def _stops(sizes: Integers) -> Integers:
    """Return offsets of the blocks with these sizes, those of nothing left out."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes[sizes > 0])))


def offsets(products: Products, agents: Agents) -> Offsets:
    """Return where each market's products, agents and firms stand."""
    return Offsets(
        products.market_offsets, agents.market_offsets, products.market_firms, products.firm_offsets
    )


def numbered(columns: Mapping[str, Any], name: str) -> list[str]:
    """Return the names ``name0, name1, ..`` that are there, in this order, up to the first gap."""
    names: list[str] = []
    while f"{name}{len(names)}" in columns:
        names.append(f"{name}{len(names)}")
    return names
