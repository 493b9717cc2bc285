"""Economies whose price setters have others' profits in mind, to different degrees in either direction."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyblp
import pytest

import blpsim as bs
from blpsim.errors import ConfigurationError, DataError
from blpsim.model.ownership import OwnershipMatrix
from blpsim.status import Status

from .made import NONLINEAR, economy_of, peer_of, tables


def kappa(f, g):
    """Return the weight of firm f on the profits of firm g: not what g's on f's is."""
    return 1.0 if f == g else 0.1 * f + 0.05 * g


def asymmetric(data, own=1.0):
    """Return stacked matrices, asymmetric between products, with this on the diagonal."""
    matrix = bs.build_ownership(data, kappa)
    rng = np.random.default_rng(3)
    matrix = np.where(matrix == 1, 1.0, matrix * rng.uniform(0.5, 1.5, matrix.shape))
    for market in "abc":
        rows = np.flatnonzero(data["market_ids"] == market)
        matrix[rows, np.arange(rows.size)] = own
    return matrix


def with_ownership(economy, how):
    """Return the economy with other owners, and costs that make its prices the best for them."""
    owned = dataclasses.replace(economy, conduct=how, costs=None)
    return dataclasses.replace(owned, costs=owned.implied_costs())


@pytest.fixture(scope="module", params=list(NONLINEAR))
def made(request):
    data, agents = tables(request.param)
    peer = peer_of(request.param, data, agents)
    return data, economy_of(request.param, data, agents, peer), peer


@pytest.fixture(scope="module")
def plain():
    data, agents = tables("plain")
    return data, economy_of("plain", data, agents, peer_of("plain", data, agents))


def test_costs_prices_and_passthrough_equal_pyblps(made):
    data, economy, peer = made
    owned, matrix = with_ownership(economy, OwnershipMatrix(asymmetric(data))), asymmetric(data)
    costs = peer.compute_costs(ownership=matrix)
    np.testing.assert_allclose(owned.costs, costs.ravel(), rtol=1e-9)
    np.testing.assert_allclose(economy.implied_costs(ownership=matrix), owned.costs, rtol=1e-12)
    iteration = pyblp.Iteration("simple", {"atol": 1e-14})
    cheaper = costs.ravel() - 0.3
    prices = peer.compute_prices(ownership=matrix, costs=cheaper, iteration=iteration).ravel()
    found = owned.equilibrium(costs=cheaper)
    assert found.status is Status.CONVERGED
    np.testing.assert_allclose(found.prices, prices, rtol=1e-9)
    np.testing.assert_allclose(
        economy.equilibrium(ownership=matrix, costs=cheaper).prices, found.prices, rtol=1e-12
    )
    ids = data["market_ids"]
    theirs = peer.compute_passthrough(ownership=matrix)
    for given in (owned.passthrough(), economy.passthrough(ownership=matrix)):
        for market, ours in given.items():
            peers = theirs[ids == market]
            np.testing.assert_allclose(ours, peers[:, ~np.isnan(peers[0])], rtol=1e-9)


def test_rules_are_applied_to_new_owners_and_a_matrix_is_not_as_in_pyblp(made):
    data, economy, peer = made
    merged = np.where(data["firm_ids"] == 2, 0, data["firm_ids"])
    matrix = pyblp.build_ownership({**data, "firm_ids": merged}, kappa)
    ruled = dataclasses.replace(economy, conduct=bs.Ownership(kappa))
    costs = peer.compute_costs(ownership=matrix).ravel()
    np.testing.assert_allclose(ruled.implied_costs(merged), costs, rtol=1e-9)
    np.testing.assert_allclose(
        economy.markups(firm_ids=merged, ownership=bs.Ownership(kappa)),
        1 - costs / economy.products.restored(economy.products.prices),
        rtol=1e-9,
    )
    fixed = dataclasses.replace(economy, conduct=OwnershipMatrix(asymmetric(data)))
    np.testing.assert_allclose(fixed.implied_costs(merged), peer.compute_costs(merged).ravel(), rtol=1e-9)


@pytest.mark.parametrize("own", [1.0, 0.6])
def test_prices_imply_the_costs_that_they_are_an_equilibrium_of(made, own):
    data, economy, _ = made
    owned = with_ownership(economy, OwnershipMatrix(asymmetric(data, own)))
    np.testing.assert_allclose(
        owned.equilibrium().prices, owned.products.restored(owned.products.prices), rtol=1e-10
    )
    assert np.abs(owned.costs / economy.costs - 1).max() > 1e-3


def test_first_order_conditions_hold_where_prices_are_an_equilibrium(made):
    """Central differences of a fourth order, with steps of 1e-3, leave 1e-9 of rounding and remainder."""
    data, economy, _ = made
    matrix = asymmetric(data)
    found = economy.equilibrium(ownership=matrix)
    margin, steps = found.prices - economy.costs, np.array([1, -1, 2, -2]) * 1e-3
    for row in range(margin.size):
        inside = np.flatnonzero(data["market_ids"] == data["market_ids"][row])
        moved = [found.prices + step * (np.arange(margin.size) == row) for step in steps]
        s = [economy.shares(prices)[inside] for prices in moved]
        slopes = (8 * (s[0] - s[1]) - (s[2] - s[3])) / 12e-3
        held = matrix[row, : inside.size]
        assert abs(found.shares[row] + held @ (margin[inside] * slopes)) < 1e-9


def test_passthrough_is_the_difference_of_equilibria(made):
    data, economy, _ = made
    owned = with_ownership(economy, OwnershipMatrix(asymmetric(data, 0.8)))
    rows = np.flatnonzero(data["market_ids"] == "a")
    column = owned.passthrough()["a"]
    for place, row in enumerate(rows):
        step = 1e-4 * (np.arange(owned.costs.size) == row)
        ends = [owned.equilibrium(costs=owned.costs + sign * step).prices[rows] for sign in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-4, column[:, place], rtol=1e-5, atol=1e-7)


def test_who_has_whose_profits_in_mind_is_not_symmetric(plain):
    data, economy = plain
    one = economy.equilibrium(ownership=bs.Ownership({(0, 1): 0.5})).prices
    other = economy.equilibrium(ownership=bs.Ownership({(1, 0): 0.5})).prices
    before, firms = economy.equilibrium().prices, data["firm_ids"]
    for prices, setter, rival in ((one, 0, 1), (other, 1, 0)):
        rises = prices / before - 1
        assert rises[firms == setter].min() > 2 * rises[firms == rival].max() > 0


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("monopoly", {"firm_ids": np.zeros(16)}),
        ("monopoly", {"ownership": bs.Ownership(1.0)}),
        ("single", {"firm_ids": np.arange(16)}),
        ("bertrand", {"ownership": bs.Ownership(0.0)}),
        ("bertrand", {}),
    ],
)
def test_conducts_are_special_cases_of_ownership(plain, name, same):
    _, economy = plain
    prices = economy.equilibrium(ownership=name).prices
    np.testing.assert_allclose(prices, economy.equilibrium(**same).prices, rtol=1e-11)
    np.testing.assert_allclose(prices, economy.equilibrium(conduct=name).prices, rtol=1e-15)


def test_a_cartel_charges_what_the_merged_firm_does(plain):
    data, economy = plain
    cartel = bs.Ownership({(0, 1): 1.0, (1, 0): 1.0})
    merged = np.where(data["firm_ids"] == 1, 0, data["firm_ids"])
    np.testing.assert_allclose(
        economy.equilibrium(ownership=cartel).prices, economy.equilibrium(merged).prices, rtol=1e-11
    )


def test_prices_rise_with_the_fraction_of_others_profits(plain):
    means = [plain[1].equilibrium(ownership=bs.Ownership(k)).prices.mean() for k in (0, 0.2, 0.5, 0.9, 1)]
    assert means == sorted(set(means))


def test_under_perfect_competition_prices_are_costs_and_pass_through(plain):
    _, economy = plain
    found = economy.equilibrium(conduct="perfect_competition")
    np.testing.assert_array_equal(found.prices, economy.costs)
    taking = dataclasses.replace(economy, conduct=bs.Conduct.PERFECT_COMPETITION)
    np.testing.assert_array_equal(taking.markups(costs=taking.implied_costs()), 0)
    np.testing.assert_array_equal(taking.passthrough()["a"], np.eye(4))


def test_utility_that_is_curved_in_prices_is_solved_with_ownership_too(plain):
    data, economy = plain
    model = dataclasses.replace(economy.model, linear="1 + x + log(prices)")
    parameters = dataclasses.replace(economy.parameters, beta=[-1, 2, -6.0])
    curved = dataclasses.replace(economy, model=model, parameters=parameters)
    curved = with_ownership(curved, OwnershipMatrix(asymmetric(data)))
    np.testing.assert_allclose(
        curved.equilibrium().prices, curved.products.restored(curved.products.prices), rtol=1e-10
    )


def test_only_one_argument_says_who_sets_prices(plain):
    data, economy = plain
    matrix = asymmetric(data)
    for arguments in (
        {"ownership": matrix, "conduct": "monopoly"},
        {"ownership": matrix, "firm_ids": data["firm_ids"]},
    ):
        with pytest.raises(ConfigurationError, match="None beside"):
            economy.equilibrium(**arguments)
    with pytest.raises(ConfigurationError, match=r"^costs = .* None beside firm_ids or ownership"):
        economy.markups(costs=economy.costs, ownership="monopoly")
    with pytest.raises(DataError, match=r"^ownership = shape \(16, 16\): expected shape \(16, 7\)"):
        economy.equilibrium(ownership=np.eye(16))
