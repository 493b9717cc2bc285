"""The steps in which a dataset is drawn: products, true coefficients, costs, demand, and its equilibrium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Tastes, Vector
from blpsim.economy.costs import CostCurve, cost_curve
from blpsim.economy.equilibrium import PricedDemand
from blpsim.errors import ParameterError
from blpsim.model.blocks import Blocks, block_names
from blpsim.model.columns import PRICES, SHARES, Columns
from blpsim.model.model import Costs, Model, ModelColumns
from blpsim.model.nests import nested
from blpsim.model.panel import Agents, Products, offsets
from blpsim.model.parameters import Parameters
from blpsim.model.specific import specific_rows
from blpsim.simulate.distributions import AnyDistribution, draw
from blpsim.simulate.markets import Assign, Markets
from blpsim.streams import Streams

Data = Mapping[str, NDArray[Any]]


class Shocks(NamedTuple):
    """Unobserved characteristics of products."""

    xi: Vector
    """(N,) of demand."""
    omega: Vector
    """(N,) of costs."""


def draw_products(
    markets: Markets,
    characteristics: Mapping[str, AnyDistribution],
    streams: Streams,
    nests: tuple[str, Assign] | None = None,
) -> Products:
    """Return products with their characteristics, but no shares yet, nor prices unless these are drawn.

    nests  the column that says which nest a product is in, and how it is drawn
    """
    structure = markets.draw(streams.generator("structure"))
    columns: dict[str, NDArray[Any]] = structure.columns()
    for name, distribution in characteristics.items():
        generator = streams.generator(f"characteristics/{name}")
        columns[name] = draw(distribution, generator, structure.products_per_market)
    if nests is not None:
        columns[nests[0]] = nests[1].draw(streams.generator("nests"), structure)
    return Products(
        columns=columns,
        market_offsets=structure.market_offsets,
        firm_offsets=structure.firm_offsets,
        market_firms=structure.market_firms,
    )


def true_blocks(truth: Parameters, columns: ModelColumns) -> Blocks:
    """Return the true parameters as arrays.

    Raises
    ------
    ParameterError
        For names and shapes that do not fit the columns, and for a coefficient without a value.
    """
    names, blocks = columns.names, truth.blocks(columns.names)
    for block in ("beta", "gamma"):
        values = getattr(blocks, block)
        missing = [name for name, place in block_names(names)[block].items() if np.isnan(values[place])]
        if missing:
            why = "a scenario has a true value for every coefficient"
            raise ParameterError(
                f"Scenario.truth.{block}", f"no {missing[0]}", f"a value of {missing[0]}", why
            )
    return blocks


def marginal_costs(x3: Columns, data: Data, gamma: Vector, omega: Vector, kind: Costs) -> Vector:
    """Return marginal costs, (N,), whose value or whose log is linear in X3."""
    values = x3.values(data) @ gamma + omega
    with np.errstate(over="ignore"):
        return np.exp(values) if kind == "log" else values


def drawn_curve(x3: Columns, products: Products, gamma: Vector, omega: Vector, kind: Costs) -> CostCurve:
    """Return marginal costs as a function of the shares that they depend on."""
    data = {**products.columns, SHARES: equal_shares(products)}
    fixed = np.where(x3.depends_on_shares, 0.0, gamma)
    return cost_curve(x3, data, gamma, x3.values(data) @ fixed + omega, kind)


def equal_shares(products: Products) -> Vector:
    """Return the shares, (N,), when each alternative of a market, the outside good included, has the same."""
    sizes = np.diff(products.market_offsets)
    return np.repeat(1.0 / (sizes + 1), sizes)


def demand_for(
    model: Model, columns: ModelColumns, products: Products, agents: Agents, blocks: Blocks, xi: Vector
) -> PricedDemand:
    """Return demand with mean utilities X1 beta + xi at the products' prices."""
    return PricedDemand(
        data=products.columns,
        delta=columns.x1.values(products.columns) @ blocks.beta + xi,
        x1=columns.x1,
        x2=columns.x2,
        tastes=Tastes(blocks.sigma, blocks.pi, blocks.beta[columns.x1.depends_on_prices], columns.links),
        consumers=agents.consumers(),
        offsets=offsets(products, agents),
        nested=nested(model, products, blocks.rho),
        epsilon_scale=model.epsilon_scale,
        specific=specific_rows(agents, products, columns.links),
    )


def priced(products: Products) -> Data:
    """Return the columns, with some prices and shares where there are none, so that formulas can be read."""
    number = products.number
    return {PRICES: np.ones(number), SHARES: np.full(number, 0.5), **products.columns}
