from __future__ import annotations

import numpy as np
import pytest

from blpsim.arrays import Consumers, Offsets, Tastes
from blpsim.economy.equilibrium import PricedDemand, PriceIteration, equilibrium_prices, shares_at_prices
from blpsim.errors import ConfigurationError
from blpsim.model.conduct import Conduct
from blpsim.model.formula import compile_formula
from blpsim.model.ownership import price_setters
from blpsim.model.panel import Products
from blpsim.status import Status

SIZES = ([2, 1, 3], [4], [1, 1])


def offsets_of(agents):
    firm_products = np.append(0, np.cumsum([size for market in SIZES for size in market]))
    firms = np.append(0, np.cumsum([len(market) for market in SIZES]))
    return Offsets(firm_products[firms], np.arange(len(SIZES) + 1) * agents, firms, firm_products)


def demand_of(linear="1 + x + prices", nonlinear="0 + x", *, alpha=-1.0, sigma=(1.0,), prices=0.0, seed=3):
    rng, agents = np.random.default_rng(seed), 7
    offsets = offsets_of(agents)
    products, people = int(offsets.products[-1]), int(offsets.agents[-1])
    data = {"x": rng.uniform(size=products), "prices": np.full(products, prices)}
    x1 = compile_formula(linear, "Model.linear").bind(data)
    x2 = compile_formula(nonlinear, "Model.nonlinear").bind(data)
    beta = np.where(x1.depends_on_prices, alpha, 1.0)
    alpha, links = beta[x1.depends_on_prices], np.zeros(len(sigma), np.int64)
    tastes = Tastes(np.diag(np.array(sigma)), np.zeros((len(sigma), 0)), alpha, links)
    nodes = rng.normal(size=(len(sigma), people))
    return PricedDemand(
        data=data,
        delta=x1.values(data) @ beta + rng.normal(size=products) * 0.3,
        x1=x1,
        x2=x2,
        tastes=tastes,
        consumers=Consumers(nodes, np.zeros((0, people)), np.full(people, 1 / agents)),
        offsets=offsets,
    )


def costs_of(demand):
    return np.random.default_rng(5).uniform(1, 2, demand.delta.size)


def derivatives(demand, costs, prices, owners, step=1e-5):
    """Return central differences of each price setter's profit in each of its prices."""

    def profit(j, change):
        moved = prices.copy()
        moved[j] += change
        return ((moved - costs) * shares_at_prices(demand, moved))[owners == owners[j]].sum()

    return np.array([(profit(j, step) - profit(j, -step)) / (2 * step) for j in range(prices.size)])


def setters_of(demand, conduct):
    offsets = demand.offsets
    products = Products(
        columns={},
        market_offsets=offsets.products,
        firm_offsets=offsets.firm_products,
        market_firms=offsets.firms,
    )
    return price_setters(conduct, products)


def owners_of(demand, conduct):
    blocks = setters_of(demand, conduct).products
    return np.repeat(np.arange(blocks.size - 1), np.diff(blocks))


FORMULAS = {
    "affine": {},
    "price interacted": {"linear": "1 + x + prices + x:prices"},
    "negative prices": {"linear": "1 + I(-prices)", "alpha": 1.5},
    "random price": {"nonlinear": "0 + prices", "sigma": (0.1,), "alpha": -2.0},
    "random interaction": {"nonlinear": "0 + x:prices", "sigma": (0.1,), "alpha": -2.0},
    "log prices": {"linear": "1 + x + log(prices)", "alpha": -3.0, "prices": 1.0},
    "random log price": {
        "linear": "1 + log(prices)",
        "nonlinear": "0 + x + log(prices)",
        "sigma": (1.0, 0.2),
        "alpha": -4.0,
        "prices": 2.0,
    },
    "square": {"linear": "1 + x + I(prices**2)", "alpha": -0.3},
}


@pytest.mark.parametrize("formulas", FORMULAS.values(), ids=FORMULAS)
def test_prices_are_an_equilibrium_whatever_the_formula(formulas):
    demand = demand_of(**formulas)
    costs = costs_of(demand)
    found = equilibrium_prices(demand, costs)
    assert found.status is Status.CONVERGED
    gradient = derivatives(demand, costs, found.prices, owners_of(demand, Conduct.BERTRAND))
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    np.testing.assert_allclose(found.shares, shares_at_prices(demand, found.prices), rtol=1e-12)
    assert np.all(found.evaluations < 60)


@pytest.mark.parametrize("conduct", [Conduct.BERTRAND, Conduct.MONOPOLY, Conduct.SINGLE_PRODUCT])
@pytest.mark.parametrize("formulas", ["affine", "log prices"])
def test_each_conduct_maximizes_the_profit_of_its_price_setters(conduct, formulas):
    demand = demand_of(**FORMULAS[formulas])
    costs = costs_of(demand)
    found = equilibrium_prices(demand, costs, setters_of(demand, conduct))
    gradient = derivatives(demand, costs, found.prices, owners_of(demand, conduct))
    np.testing.assert_allclose(gradient, 0, atol=1e-9)


def test_fewer_decision_makers_charge_more():
    demand = demand_of()
    ranked = [Conduct.PERFECT_COMPETITION, Conduct.SINGLE_PRODUCT, Conduct.BERTRAND, Conduct.MONOPOLY]
    means = [
        equilibrium_prices(demand, costs_of(demand), setters_of(demand, conduct)).prices.mean()
        for conduct in ranked
    ]
    assert means == sorted(means)
    assert len(set(means)) == len(means)


def test_prices_equal_costs_under_perfect_competition():
    demand = demand_of()
    found = equilibrium_prices(demand, costs_of(demand), setters_of(demand, Conduct.PERFECT_COMPETITION))
    np.testing.assert_array_equal(found.prices, costs_of(demand))
    np.testing.assert_allclose(found.shares, shares_at_prices(demand, costs_of(demand)), rtol=1e-12)


def test_the_tangent_has_the_utilities_of_the_formula_where_it_touches():
    demand = demand_of("1 + log(prices)", "0 + I(prices**2)", alpha=-3.0, prices=1.5)
    at = np.random.default_rng(0).uniform(1, 2, demand.delta.size)
    tangent = demand.written_at(at).tangent()
    delta = demand.delta - 3.0 * (np.log(at) - np.log(1.5))
    np.testing.assert_allclose(tangent.delta + at * (tangent.slopes.x1[:, 0] * -3.0), delta, rtol=1e-12)
    np.testing.assert_allclose(tangent.x2[:, 0] + at * tangent.slopes.x2[:, 0], at**2, rtol=1e-12)
    np.testing.assert_allclose(tangent.slopes.x2[:, 0], 2 * at, rtol=1e-12)


def test_the_level_of_prices_where_demand_is_written_down_does_not_matter():
    low, high = demand_of(), demand_of(prices=4.0)
    costs = costs_of(low)
    np.testing.assert_allclose(
        equilibrium_prices(low, costs).prices, equilibrium_prices(high, costs).prices, rtol=1e-10
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"alpha": 0.5},
        {"alpha": 0.0},
        {"linear": "1 + log(prices)", "alpha": -0.5, "prices": 1.0},
        {"nonlinear": "0 + prices", "sigma": (30.0,)},
    ],
    ids=["demand slopes up", "no slope", "inelastic demand", "agents who love prices"],
)
def test_where_there_is_no_equilibrium_the_status_says_so(broken):
    demand = demand_of(**broken)
    found = equilibrium_prices(demand, costs_of(demand), iteration=PriceIteration(max_evaluations=200))
    assert found.status is Status.EQUILIBRIUM_FAILED
    assert np.any(found.residuals >= 1e-12)


def test_costs_that_are_not_finite_fail_without_an_exception():
    demand = demand_of()
    costs = costs_of(demand)
    costs[0] = np.nan
    assert equilibrium_prices(demand, costs).status is Status.EQUILIBRIUM_FAILED


@pytest.mark.parametrize("setting", [{"tolerance": 0.0}, {"tolerance": 0.1}, {"max_evaluations": 0}], ids=str)
def test_an_iteration_that_certifies_nothing_is_refused(setting):
    with pytest.raises(ConfigurationError, match="PriceIteration"):
        PriceIteration(**setting)
