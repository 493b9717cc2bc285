from __future__ import annotations

import dataclasses

import numpy as np
import pyblp
import pytest

from blpsim.errors import ConfigurationError, DataError
from blpsim.model.conduct import Conduct
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.status import Status

from .made import NONLINEAR, economy_of, peer_of, tables


@pytest.fixture(scope="module", params=list(NONLINEAR))
def pair(request):
    data, agents = tables(request.param)
    peer = peer_of(request.param, data, agents)
    return economy_of(request.param, data, agents, peer), peer


@pytest.fixture(scope="module")
def economy(pair):
    return pair[0]


def merged(economy):
    firms = economy.products.restored(economy.products.columns["firm_ids"])
    return np.where(firms == 2, 0, firms)


def assert_same_matrices(matrices, stacked, market_ids):
    assert list(matrices) == ["a", "b", "c"]
    for market, matrix in matrices.items():
        peers = stacked[market_ids == market]
        np.testing.assert_allclose(matrix, peers[:, ~np.isnan(peers[0])], rtol=1e-9)


MATRICES = ["elasticities", "diversion_ratios", "long_run_diversion_ratios", "passthrough"]


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_of_markets_equal_pyblp_in_the_order_of_the_users_rows(pair, name):
    economy, peer = pair
    ids = economy.products.restored(economy.products.columns["market_ids"])
    assert_same_matrices(getattr(economy, name)(), getattr(peer, f"compute_{name}")(), ids)


def test_own_elasticities_are_the_diagonals(pair):
    economy, peer = pair
    diagonals = peer.extract_diagonals(peer.compute_elasticities()).ravel()
    np.testing.assert_allclose(economy.own_elasticities(), diagonals, rtol=1e-9)


def test_costs_markups_profits_and_concentration_equal_pyblp(pair):
    economy, peer = pair
    firms = merged(economy)
    np.testing.assert_allclose(economy.implied_costs(), peer.compute_costs().ravel(), rtol=1e-9)
    np.testing.assert_allclose(economy.implied_costs(firms), peer.compute_costs(firms).ravel(), rtol=1e-9)
    np.testing.assert_allclose(economy.markups(), peer.compute_markups().ravel(), rtol=1e-9)
    np.testing.assert_allclose(economy.profits(), peer.compute_profits().ravel(), rtol=1e-9)
    np.testing.assert_allclose(economy.hhi(), peer.compute_hhi().ravel(), rtol=1e-9)
    np.testing.assert_allclose(economy.hhi(firms), peer.compute_hhi(firms).ravel(), rtol=1e-9)
    np.testing.assert_allclose(
        economy.consumer_surplus(), peer.compute_consumer_surpluses().ravel(), rtol=1e-9
    )


def test_a_merger_moves_prices_shares_profits_and_surplus_as_in_pyblp(pair):
    economy, peer = pair
    firms = merged(economy)
    found = economy.equilibrium(firm_ids=firms)
    iteration = pyblp.Iteration("simple", {"atol": 1e-14})
    prices = peer.compute_prices(firms, iteration=iteration).ravel()
    shares = peer.compute_shares(prices).ravel()
    assert found.status is Status.CONVERGED
    np.testing.assert_allclose(found.prices, prices, rtol=1e-9)
    np.testing.assert_allclose(found.shares, shares, rtol=1e-9)
    np.testing.assert_allclose(economy.shares(prices), shares, rtol=1e-9)
    np.testing.assert_allclose(economy.markups(prices), peer.compute_markups(prices).ravel(), rtol=1e-9)
    profits = peer.compute_profits(prices, shares).ravel()
    np.testing.assert_allclose(economy.profits(prices), profits, rtol=1e-9)
    surplus = peer.compute_consumer_surpluses(prices).ravel()
    np.testing.assert_allclose(economy.consumer_surplus(prices), surplus, rtol=1e-9)


def test_elasticities_are_the_differences_of_log_shares(economy):
    prices = economy.products.restored(economy.products.prices)
    ids = economy.products.restored(economy.products.columns["market_ids"])
    rows = np.flatnonzero(ids == "c")
    for place, row in enumerate(rows):
        up, down = prices.copy(), prices.copy()
        up[row] *= np.exp(1e-5)
        down[row] *= np.exp(-1e-5)
        difference = (np.log(economy.shares(up)) - np.log(economy.shares(down)))[rows] / 2e-5
        np.testing.assert_allclose(economy.elasticities()["c"][:, place], difference, rtol=1e-6, atol=1e-9)


def test_elasticities_at_other_prices_are_those_of_an_economy_that_has_them(economy):
    found = economy.equilibrium(firm_ids=merged(economy))
    slopes = [economy.elasticities(found.prices)[m].diagonal() for m in ("a", "b", "c")]
    ids = economy.products.restored(economy.products.columns["market_ids"])
    own = economy.own_elasticities(found.prices)
    np.testing.assert_allclose(
        np.concatenate([own[ids == m] for m in ("a", "b", "c")]), np.concatenate(slopes)
    )
    assert not np.allclose(own, economy.own_elasticities())


@pytest.mark.parametrize("name", ["diversion_ratios", "long_run_diversion_ratios"])
def test_whoever_leaves_a_product_goes_somewhere(economy, name):
    for matrix in getattr(economy, name)().values():
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
        assert (matrix > 0).all()


def test_surplus_falls_by_what_is_bought_when_a_price_rises(economy):
    prices = economy.products.restored(economy.products.prices)
    step = np.zeros(prices.size)
    step[0] = 1e-5
    difference = economy.consumer_surplus(prices + step) - economy.consumer_surplus(prices - step)
    assert difference.sum() / 2e-5 == pytest.approx(-economy.shares()[0], rel=1e-7)


def test_the_shares_are_those_that_were_observed(economy):
    np.testing.assert_allclose(
        economy.shares(), economy.products.restored(economy.products.shares), rtol=1e-10
    )


@pytest.mark.parametrize("conduct", list(Conduct))
def test_prices_in_equilibrium_imply_the_costs_they_came_from(economy, conduct):
    found = economy.equilibrium(conduct=conduct)
    delta = economy.delta + -2.0 * (found.prices - economy.products.restored(economy.products.prices))
    order = economy.products.order
    products = economy.products.replaced(prices=found.prices[order], shares=found.shares[order])
    moved = dataclasses.replace(economy, products=products, delta=delta, conduct=conduct, costs=None)
    np.testing.assert_allclose(moved.implied_costs(), economy.costs, rtol=1e-8)
    np.testing.assert_allclose(
        moved.profits(), (found.prices - economy.costs) * found.shares, rtol=1e-7, atol=1e-12
    )


def test_an_equilibrium_with_other_costs_is_another(economy):
    cheaper = economy.equilibrium(costs=economy.costs - 0.5)
    assert (cheaper.prices < economy.equilibrium().prices).all()


@pytest.mark.parametrize("conduct", list(Conduct))
@pytest.mark.parametrize("linear", ["1 + x + prices", "1 + x + log(prices)"])
def test_passthrough_is_the_difference_of_equilibria_at_other_costs(economy, conduct, linear):
    model = dataclasses.replace(economy.model, linear=linear)
    parameters = dataclasses.replace(economy.parameters, beta=[-1, 2, -2.0 if "log" not in linear else -6.0])
    changed = dataclasses.replace(economy, model=model, parameters=parameters, conduct=conduct)
    found = changed.equilibrium()
    order = economy.products.order
    products = economy.products.replaced(prices=found.prices[order], shares=found.shares[order])
    x1 = [
        m.linear_formula.bind(p.columns).values(p.columns)
        for m, p in ((model, economy.products), (model, products))
    ]
    delta = economy.delta + economy.products.restored((x1[1] - x1[0])[:, 2]) * parameters.beta[2]
    settled = dataclasses.replace(changed, products=products, delta=delta)
    rows = np.flatnonzero(economy.products.restored(economy.products.columns["market_ids"]) == "a")
    for place, row in enumerate(rows):
        step = np.zeros(economy.costs.size)
        step[row] = 1e-4
        ends = [settled.equilibrium(costs=economy.costs + sign * step).prices[rows] for sign in (1, -1)]
        column = settled.passthrough()["a"][:, place]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-4, column, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("linear", ["1 + x + prices", "1 + x + log(prices)"])
def test_an_economy_at_other_prices_has_the_shares_that_demand_had_there(economy, linear):
    parameters = dataclasses.replace(economy.parameters, beta=[-1, 2, -2.0])
    before = dataclasses.replace(
        economy, model=dataclasses.replace(economy.model, linear=linear), parameters=parameters
    )
    prices = 1.1 * economy.products.restored(economy.products.prices)
    shares = before.shares(prices)
    moved = before.at(prices, shares)
    np.testing.assert_allclose(moved.shares(), shares, rtol=1e-12)
    np.testing.assert_array_equal(moved.products.frame()["shares"], shares)
    np.testing.assert_allclose(moved.elasticities()["a"], before.elasticities(prices)["a"], rtol=1e-10)
    assert not np.allclose(shares, economy.shares())


def test_only_markets_without_an_equilibrium_have_no_prices(economy):
    ids = economy.products.restored(economy.products.columns["market_ids"])
    costs = np.where(ids == "b", np.nan, economy.costs)
    found = economy.equilibrium(costs=costs)
    assert found.status is Status.EQUILIBRIUM_FAILED
    np.testing.assert_array_equal(np.isnan(found.prices), ids == "b")
    np.testing.assert_array_equal(np.isnan(found.shares), ids == "b")
    assert (found.prices[ids != "b"] == economy.equilibrium().prices[ids != "b"]).all()


def test_names_of_firms_do_not_matter(economy):
    firms = merged(economy)
    named = np.where(firms == 0, "zeta", "alpha")
    np.testing.assert_allclose(
        economy.equilibrium(named).prices, economy.equilibrium(firms).prices, rtol=1e-10
    )


def test_surplus_is_refused_where_income_matters(economy):
    model = Model(linear="1 + x + log(prices)", nonlinear="0 + x")
    parameters = Parameters(beta=[-1, 2, -2], sigma=[[1.0]])
    curved = dataclasses.replace(economy, model=model, parameters=parameters)
    with pytest.raises(ConfigurationError, match="linear in prices"):
        curved.consumer_surplus()


@pytest.mark.parametrize("name", ["shares", "elasticities", "hhi", "implied_costs", "equilibrium", "profits"])
def test_arrays_of_another_length_are_refused(economy, name):
    with pytest.raises(DataError, match="one for each product"):
        getattr(economy, name)([1.0, 2.0])
