"""What differs by agent and product: demographics, and which products an agent can choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Booleans, Integers, Matrix, Specific, rows_on_lines
from blpsim.errors import DataError
from blpsim.kernels.links import LINEAR
from blpsim.model.columns import Column
from blpsim.model.expressions import Data
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products, ProductSpecific, numbered
from blpsim.model.tables import check_columns

_AGENTS = "agents"
AVAILABILITY = "availability"

Pairs = Mapping[str, NDArray[Any]]
"""Variables that differ by agent and product, (J*, I) each, by name."""


class Characteristics(NamedTuple):
    """Agents' demographics, and what differs by product."""

    names: tuple[str, ...]
    """(D,)."""
    common: Matrix
    """(D, I) zero where they differ by product."""
    specific: ProductSpecific | None

    def taken(self, rows: Integers) -> Characteristics:
        """Return those of some agents, given by their places."""
        specific = None if self.specific is None else self.specific.taken(rows)
        return Characteristics(self.names, np.ascontiguousarray(self.common[:, rows]), specific)


def characteristics(
    model: Model, columns: Data, pairs: Pairs, availability: Matrix | None = None, *, check: bool = False
) -> Characteristics:
    """Return the demographics of a model, whose formula may name variables that differ by product.

    columns       variables of agents, (I,) each
    availability  (J*, I), or None
    check         whether values may be missing or not finite, which is refused
    """
    formula = model.demographics_formula
    used = frozenset() if formula is None else formula.variables
    pairs = {name: values for name, values in pairs.items() if name in used}
    data = _stacked(used, columns, pairs) if pairs else columns
    bound = model.bind_demographics(data)
    if check:
        check_columns(bound, data, "Model.demographics")
    values = bound.values(data).T
    places = np.flatnonzero([bool(_variables(column) & set(pairs)) for column in bound.columns])
    if not places.size:
        common = np.ascontiguousarray(values)
        if availability is None:
            return Characteristics(bound.names, common, None)
        nothing = np.empty((0, *availability.shape))
        return Characteristics(bound.names, common, _specific(places, nothing, availability))
    widest = len(next(iter(pairs.values())))
    tensor = values.reshape(len(values), widest, -1)
    common = tensor[:, 0].copy()
    common[places] = 0.0
    return Characteristics(bound.names, common, _specific(places, tensor[places], availability))


def _specific(places: Integers, demographics: NDArray[Any], availability: Matrix | None) -> ProductSpecific:
    return ProductSpecific(
        places=places.astype(np.int64),
        demographics=np.ascontiguousarray(demographics, np.float64),
        availability=availability,
    )


def _stacked(used: frozenset[str], columns: Data, pairs: Pairs) -> dict[str, NDArray[Any]]:
    """Return the variables that demographics are made of, (J* I,) each, product after product."""
    widest = len(next(iter(pairs.values())))
    stacked = {name: np.tile(column, widest) for name, column in columns.items() if name in used}
    return stacked | {name: values.reshape(-1) for name, values in pairs.items()}


def _variables(column: Column) -> set[str]:
    indicated = {indicator.variable for indicator in column.indicators}
    return indicated | {variable.name for variable in column.expression.free_symbols}


def read_pairs(model: Model, columns: Data, sizes: Integers) -> dict[str, NDArray[Any]]:
    """Return the variables of a model's demographics that have a column a product, (J*, I) each.

    As in PyBLP, ``distance`` differs by product where there are ``distance0, distance1, ..`` instead, one for
    each product of a market in the order of the user's rows; others than a market's own are ignored.

    sizes  (I,) how many products the market of each row has

    Raises
    ------
    DataError
        When there are fewer columns than products, or numbers that are not finite.
    """
    formula = model.demographics_formula
    variables = sorted(frozenset() if formula is None else formula.variables)
    names = [name for name in variables if name not in columns and f"{name}0" in columns]
    return {name: _read(columns, name, sizes) for name in names}


def read_availability(columns: Data, sizes: Integers) -> Matrix | None:
    """Return what multiplies odds of each product, (J*, I), from ``availability0, availability1, ..``.

    Raises
    ------
    DataError
        When there are fewer columns than products, or numbers below zero or not finite.
    """
    columns = dict(columns)
    if AVAILABILITY in columns:
        columns[f"{AVAILABILITY}0"] = columns.pop(AVAILABILITY)
    if f"{AVAILABILITY}0" not in columns:
        return None
    values = _read(columns, AVAILABILITY, sizes)
    try:
        availability = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        why = "it multiplies odds"
        raise DataError(f"agents['{AVAILABILITY}0']", str(values.dtype), "numbers", why) from error
    if (availability < 0).any():
        j, row = np.argwhere(availability < 0)[0]
        got, why = f"{availability[j, row]} in row {row}", "it multiplies odds"
        raise DataError(f"agents['{AVAILABILITY}{j}']", got, "zero, one or another number above zero", why)
    return availability


def _read(columns: Data, name: str, sizes: Integers) -> NDArray[Any]:
    """Return numbered columns, (J*, I); what is beyond a market's products is as the first product's."""
    widest = int(sizes.max())
    present = numbered(columns, name)[:widest]
    if len(present) < widest:
        why = "there is one for each product, in the order of its market's rows"
        got = f"no '{name}{len(present)}'"
        raise DataError(_AGENTS, got, f"columns {name}0 to {name}{widest - 1}", why)
    first = columns[present[0]]
    values = np.stack([np.where(j < sizes, columns[column], first) for j, column in enumerate(present)])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        j, row = np.argwhere(~np.isfinite(values))[0]
        got, why = f"{values[j, row]} in row {row}", "one NaN or infinite value spoils every estimate"
        raise DataError(f"agents['{name}{j}']", got, "finite numbers", why)
    return values


def check_available(agents: Agents, products: Products) -> None:
    """Refuse a product that nobody in its market can choose.

    Raises
    ------
    DataError
        Naming the market and the product.
    """
    if agents.specific is None or agents.specific.availability is None:
        return
    for t, name in enumerate(products.columns["market_ids"][products.market_offsets[:-1]].tolist()):
        mine = slice(*agents.market_offsets[t : t + 2])
        size = int(np.diff(products.market_offsets)[t])
        counted = agents.weights[mine] != 0
        reached = (agents.specific.availability[:size, mine][:, counted] > 0).any(axis=1)
        if not reached.all():
            j = int(np.argmin(reached))
            got, why = f"zero for everybody in market {name}", "nobody's choices make its share"
            raise DataError(f"agents['{AVAILABILITY}{j}']", got, "an agent who can choose the product", why)


def product_ranks(products: Products) -> Integers:
    """Return each product's place, (N,), among those of its market in the order of the user's rows."""
    starts, counts = products.market_offsets[:-1], np.diff(products.market_offsets)
    if products.order is None:
        return np.arange(products.number) - np.repeat(starts, counts)
    markets = np.repeat(np.arange(counts.size), counts)
    ranks = np.empty(products.number, np.int64)
    ranks[np.lexsort((products.order, markets))] = np.arange(products.number) - np.repeat(starts, counts)
    return ranks


def in_internal_order(agents: Agents, products: Products) -> Agents:
    """Return the agents for the same products whose rows are taken in internal order."""
    if agents.specific is None or products.order is None:
        return agents
    ranks = np.split(product_ranks(products), products.market_offsets[1:-1])
    return replace(agents, specific=agents.specific.ranked(ranks, agents.market_offsets))


def without_products(agents: Agents, kept: Booleans, offsets: Integers) -> Agents:
    """Return the agents for some of the products, (N,) of them marked, in rows with offsets (T+1,)."""
    if agents.specific is None:
        return agents
    left: Sequence[Integers] = [np.flatnonzero(part) for part in np.split(kept, offsets[1:-1])]
    return replace(agents, specific=agents.specific.ranked(left, agents.market_offsets))


_NOTHING: NDArray[np.float64] = np.empty((0, 1))


def no_specific(coefficients: int) -> Specific:
    """Return what kernels read where nothing differs by agent and product."""
    places, ranks = np.empty(0, np.int64), np.full(coefficients, -1)
    return Specific(places, _NOTHING, _NOTHING, ranks, _NOTHING, _NOTHING, _NOTHING)


def specific_rows(agents: Agents, products: Products, links: Integers) -> Specific | None:
    """Return what kernels read of what differs by agent and product, in internal order; None without any.

    links  (K2,) how z becomes a coefficient
    """
    given, starts, people = agents.specific, products.market_offsets, agents.market_offsets
    if given is None:
        return None
    number, widest, size = products.number, int(np.diff(starts).max()), given.places.size
    most = int(np.diff(people).max())
    demographics = rows_on_lines(size * number, most)
    available = rows_on_lines(0 if given.availability is None else number, most)
    demographics[:], available[:] = 0.0, 0.0
    ranks = product_ranks(products)
    for t in range(products.markets):
        mine, chosen = slice(people[t], people[t + 1]), ranks[starts[t] : starts[t + 1]]
        agents_here = people[t + 1] - people[t]
        for s in range(size):
            rows = slice(s * number + starts[t], s * number + starts[t + 1])
            demographics[rows, :agents_here] = given.demographics[s][chosen, mine]
        if given.availability is not None:
            available[starts[t] : starts[t + 1], :agents_here] = given.availability[chosen, mine]
    return Specific(
        places=given.places,
        demographics=demographics,
        available=available,
        ranks=np.full(links.size, -1),
        curves=rows_on_lines(0, most),
        deviations=rows_on_lines(0, most),
        draws=rows_on_lines(widest if size else 0, most),
    )


def with_slopes(specific: Specific, links: Integers, number: int) -> Specific:
    """Return it with room for what the objective's derivatives need, for (N,) products.

    links  (K2,) how z becomes a coefficient
    """
    if not specific.places.size:
        return specific
    curved, most = links != LINEAR, specific.draws.shape[1]
    return specific._replace(
        ranks=np.where(curved, np.cumsum(curved) - 1, -1),
        curves=rows_on_lines(int(curved.sum()) * number, most),
        deviations=rows_on_lines(number, most),
    )
