"""Surveys as kernels read them: terms of parts at the data, times whom the surveys ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from blpsim.arrays import Booleans, Integers, Matrix, Nesting, Panel, Vector, rows_on_lines
from blpsim.errors import ConfigurationError, DataError
from blpsim.estimate.respondent_arrays import array_rows, is_whole
from blpsim.kernels.micro import FIRST, GROUP, SECOND, Places, Surveyed
from blpsim.model.panel import Agents, Products
from blpsim.model.survey_terms import Term, agent_columns, term_values
from blpsim.model.surveys import Inside, MicroDataset, MicroPart, Product


class Asked(NamedTuple):
    """A product of terms, or whole arrays, and the place of the total that it is summed into."""

    dataset: MicroDataset
    product: Product
    total: int
    whole: tuple[MicroPart, ...] = ()
    """What is multiplied instead of the product, where the survey or a part is a whole array."""


@dataclass(slots=True)
class Terms:
    """Rows of terms, each filled once."""

    products: Products
    agents: Agents
    rows: dict[tuple[object, ...], int] = field(default_factory=dict)
    agent_rows: list[Vector] = field(default_factory=list)
    product_rows: list[Vector] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)

    def agent(self, term: Term, dataset: MicroDataset) -> int:
        """Return the row of an agent's term times weights, zero where there is no survey."""
        key = ("agent", term, dataset.markets)
        if key not in self.rows:
            asked = asked_markets(dataset, self.products)
            weights = np.repeat(asked, np.diff(self.agents.market_offsets)) * self.agents.weights
            values = term_values(term, agent_columns(self.agents), self.agents.number, "MicroPart.agent")
            self.rows[key] = len(self.agent_rows)
            self.agent_rows.append(values * weights)
        return self.rows[key]

    def product(self, term: Term, outside: float) -> int:
        """Return the row of a choice's term with this value at the outside option."""
        key = ("product", term, outside)
        if key not in self.rows:
            data, number = self.products.columns, self.products.number
            self.rows[key] = len(self.product_rows)
            self.product_rows.append(term_values(term, data, number, "MicroPart.first"))
            self.outside.append(outside)
        return self.rows[key]

    def place(self, choice: int) -> int:
        """Return the row of an indicator of each market's product 1, 2, ..; 0 is the outside option."""
        key = ("place", choice)
        if key not in self.rows:
            places, offsets = np.arange(1, self.products.number + 1), self.products.market_offsets
            places -= np.repeat(offsets[:-1], np.diff(offsets))
            self.rows[key] = len(self.product_rows)
            self.product_rows.append((places == choice).astype(np.float64))
            self.outside.append(float(choice == 0))
        return self.rows[key]


def asked_markets(dataset: MicroDataset, products: Products) -> Booleans:
    """Return in which markets there is a survey, (T,).

    Raises
    ------
    ConfigurationError
        When it names a market that there is not.
    """
    names = products.columns["market_ids"][products.market_offsets[:-1]]
    if dataset.markets is None:
        return np.ones(names.size, np.bool_)
    known, wanted = names.tolist(), tuple(dataset.markets)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        why = f"the survey {dataset.name} is of markets that have products"
        raise ConfigurationError("MicroDataset.markets", unknown[0], "names of markets", why)
    return np.isin(np.arange(names.size), [known.index(name) for name in wanted])


def make_surveyed(
    asked: Sequence[Asked],
    totals: int,
    moments: int,
    data: tuple[Products, Agents],
    kernels: tuple[Panel, Nesting | None],
) -> Surveyed:
    """Return products of terms for kernels.

    totals   Q
    moments  MM, of which the slopes will be

    Raises
    ------
    BlpsimError
        When a term or a grouping is not in the data.
    """
    panel, nesting = kernels
    terms, groups, lines = Terms(*data), Groups(data[0], nesting), _Lines()
    for each in asked:
        if is_whole(each.dataset, each.whole):
            _add_array(lines, each, terms, groups)
        else:
            _add_product(lines, each, terms, groups)
    kinds = lines.kinds
    number, people = panel.shares.size, panel.consumers.weights.size
    largest = int(np.diff(panel.offsets.products).max())
    wide = int(np.diff(panel.offsets.agents).max())
    has_seconds, removed = set(kinds) != {FIRST}, nesting is not None or GROUP in kinds
    room = largest if has_seconds and removed else 0
    return Surveyed(
        kind=np.array(kinds, np.int64),
        total=np.array(lines.totals, np.int64),
        agent=np.array(lines.agents, np.int64),
        first=np.array(lines.firsts, np.int64),
        second=np.array(lines.seconds, np.int64),
        agents=_stacked(terms.agent_rows, people),
        terms=_stacked(terms.product_rows, number),
        outside=np.array(terms.outside, np.float64),
        totals=np.zeros(totals),
        factors=np.zeros(totals),
        slopes=np.zeros((moments, totals)),
        alone=np.empty(people),
        sums=np.empty((2 * len(kinds) if has_seconds else 0, people)),
        odds=rows_on_lines(1 + largest if has_seconds else 1, wide),
        seeds=rows_on_lines(largest + 1, wide),
        has_seconds=has_seconds,
        grouping=np.array(lines.groupings, np.int64),
        groups=groups.codes,
        group_numbers=groups.numbers,
        grouped=rows_on_lines(4 * room, wide),
        nested=rows_on_lines(3 * room, wide),
        whole=np.zeros((3, room), np.int64),
    )


@dataclass(slots=True)
class _Lines:
    """What is said of each product."""

    kinds: list[int] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    agents: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    seconds: list[int] = field(default_factory=list)
    groupings: list[int] = field(default_factory=list)

    def add(self, kind: int, total: int, rows: tuple[int, int, int], grouping: int) -> None:
        """Add a product; rows are those of its terms of agents, first and second choices."""
        self.kinds.append(kind)
        self.totals.append(total)
        self.groupings.append(grouping)
        for places, row in zip((self.agents, self.firsts, self.seconds), rows, strict=True):
            places.append(row)


def _add_product(lines: _Lines, asked: Asked, terms: Terms, groups: Groups) -> None:
    dataset, product, total, _ = asked
    first, second = _outside(dataset, product)
    is_certain = not dataset.second_choices or (product.second == "1" and second == 1)
    row = terms.product(product.first, first)
    other = row if is_certain else terms.product(product.second, second)
    kind = FIRST if is_certain else _removal(dataset)
    grouping = 0 if is_certain else groups.row(dataset)
    lines.add(kind, total, (terms.agent(product.agent, dataset), row, other), grouping)


def _add_array(lines: _Lines, asked: Asked, terms: Terms, groups: Groups) -> None:
    dataset, data = asked.dataset, (terms.products, terms.agents)
    kind = _removal(dataset) if dataset.second_choices else FIRST
    grouping = 0 if kind == FIRST else groups.row(dataset)
    markets = np.flatnonzero(asked_markets(dataset, terms.products))
    for values, first, second in array_rows(dataset, asked.whole, data, markets):
        terms.agent_rows.append(values)
        rows = (len(terms.agent_rows) - 1, terms.place(first), terms.place(second))
        lines.add(kind, asked.total, rows, grouping)


def _removal(dataset: MicroDataset) -> int:
    return SECOND if dataset.without is None else GROUP


@dataclass(slots=True)
class Groups:
    """What is removed with first choices, a row a way."""

    products: Products
    nesting: Nesting | None
    rows: dict[str | None, int] = field(default_factory=dict)
    coded: list[Integers] = field(default_factory=list)

    @property
    def codes(self) -> Places:
        """Each product's group, from 0 in every market, (L, N)."""
        return np.array(self.coded, np.int64).reshape(len(self.coded), self.products.number)

    @property
    def numbers(self) -> Places:
        """How many groups there are, (L, T)."""
        starts = self.products.market_offsets[:-1]
        largest = [np.maximum.reduceat(codes, starts) + 1 for codes in self.coded]
        return np.array(largest, np.int64).reshape(len(self.coded), starts.size)

    def row(self, dataset: MicroDataset) -> int:
        """Return the row of what a survey removes: the first choice, or its group.

        Raises
        ------
        DataError
            When there is no such column, or a group is not within a nest.
        """
        name, offsets = dataset.without, self.products.market_offsets
        if name in self.rows:
            return self.rows[name]
        codes = np.arange(self.products.number) - np.repeat(offsets[:-1], np.diff(offsets))
        if name is not None:
            if name not in self.products.columns:
                expected = f"columns among {', '.join(sorted(self.products.columns))}"
                raise DataError("MicroDataset.without", name, expected, "it says what is removed")
            ids = pd.factorize(self.products.columns[name])[0]
            for first, last in pairwise(offsets):
                codes[first:last] = np.unique(ids[first:last], return_inverse=True)[1]
                self._check_nests(name, codes[first:last], slice(first, last))
        self.rows[name] = len(self.coded)
        self.coded.append(codes)
        return self.rows[name]

    def _check_nests(self, name: str, codes: Integers, market: slice) -> None:
        if self.nesting is None:
            return
        nests = self.nesting.nests[market]
        for group in range(int(codes.max()) + 1):
            if np.unique(nests[codes == group]).size > 1:
                got = self.products.columns[name][market][codes == group][0]
                why = "second choices across nests have no such probability"
                raise DataError("MicroDataset.without", f"{name} {got}", "groups within nests", why)


def _stacked(rows: list[Vector], columns: int) -> Matrix:
    return np.array(rows, np.float64).reshape(len(rows), columns)


def _outside(dataset: MicroDataset, product: Product) -> tuple[float, float]:
    """Return the values of terms at the outside option, zero where the survey does not ask."""
    first, second = product.outside
    if isinstance(dataset.weights, Inside):
        return 0.0, second if dataset.weights.second_outside else 0.0
    return first, second
