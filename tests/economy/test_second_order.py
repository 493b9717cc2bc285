"""Prices are an equilibrium only where profits are at a maximum, also where costs fall with quantities."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from blpsim.economy.choices import choices_by_market
from blpsim.economy.equilibrium import equilibrium_prices
from blpsim.economy.second_order import d_profits
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.simulate.distributions import Uniform
from blpsim.simulate.markets import Assign, Errors, Markets
from blpsim.simulate.scenario import Scenario
from blpsim.status import Status
from blpsim.streams import Streams

SHARES = 1.0
"""The coefficient of shares in costs."""


def scenario(shares=SHARES, nested=False, **changes):
    return Scenario(
        markets=Markets(number=3, firms=2, products_per_firm=2),
        characteristics={"x": Uniform(0, 1), "w": Uniform(0, 1)},
        model=Model(
            linear="1 + x + prices",
            nonlinear="0 + x",
            supply="1 + w + shares",
            nests="nesting_ids" if nested else None,
        ),
        truth=Parameters(beta=[3, 2, -1], sigma=[[1.5]], gamma=[2, 0.2, shares], rho=0.4 if nested else None),
        nests=Assign(2) if nested else None,
        errors=Errors(xi_variance=0.2, omega_variance=0.01, covariance=0.01),
        consumers=Integration("product", 5),
        **changes,
    )


def profits(economy, prices, slope):
    """Return each product's profits: costs are the integral of marginal costs, linear in its share."""
    shares = economy.shares(prices)
    level = economy.costs - slope * economy.products.shares
    return prices * shares - level * shares - slope * shares**2 / 2


def second_differences(function, prices, products, step=1e-3):
    """Return second derivatives with respect to prices of products, by differences of differences."""
    found = np.empty((len(products), len(products)))
    for a, j in enumerate(products):
        for b, k in enumerate(products):
            ends = [
                s * t * function(prices + step * (s * np.eye(prices.size)[j] + t * np.eye(prices.size)[k]))
                for s in (1, -1)
                for t in (1, -1)
            ]
            found[a, b] = sum(ends) / (4 * step**2)
    return found


@pytest.mark.parametrize("shares", [SHARES, -SHARES])
@pytest.mark.parametrize("nested", [False, True])
def test_second_derivatives_are_differences_of_a_firms_profits(nested, shares):
    economy = scenario(shares, nested).generate(Streams(seed=3, replication=0)).economy
    prices, owned = economy.products.prices, np.kron(np.eye(2), np.ones((2, 2)))
    choices = next(iter(choices_by_market(economy.demand())))
    second = d_profits(choices, owned, (prices - economy.costs)[:4], np.full(4, shares))
    for firm in ([0, 1], [2, 3]):
        brute = second_differences(lambda p, f=firm: profits(economy, p, shares)[f].sum(), prices, firm)
        # Central differences err by step squared, 1e-6, and rounding of profits of 1e-16 over it, 1e-10.
        np.testing.assert_allclose(second[np.ix_(firm, firm)], brute, atol=3e-6)


def falling(replication, slope=-10.0):
    """Return an economy whose costs fall steeply, at prices where first-order conditions hold."""
    economy = scenario().generate(Streams(seed=3, replication=replication)).economy
    truth = dataclasses.replace(economy.parameters, gamma=[2, 0.2, slope])
    economy = dataclasses.replace(economy, parameters=truth)
    curve = economy._curve(economy.costs)
    found = equilibrium_prices(economy.demand(), economy.costs, economy._setters(), None, curve)
    certified = economy.equilibrium()
    assert found.status is Status.CONVERGED
    return economy.at(found.prices, found.shares), certified


def test_where_profits_are_not_highest_is_no_equilibrium():
    """Differences of profits say in which of thirty markets a firm's are at no maximum."""
    maximal, slope = [], -10.0
    for replication in range(10):
        economy, certified = falling(replication, slope)
        np.testing.assert_allclose(economy.implied_costs(), economy.costs, rtol=1e-8)
        prices, largest = economy.products.prices, []
        for firm in np.arange(12).reshape(6, 2):
            brute = second_differences(
                lambda p, e=economy, f=firm: profits(e, p, slope)[f].sum(), prices, firm
            )
            largest.append(np.linalg.eigvalsh(brute)[-1])
        highest = np.array(largest).reshape(3, 2).max(axis=1)
        assert np.abs(highest).min() > 1e-4
        maximal += (highest < 0).tolist()
        np.testing.assert_array_equal(np.isfinite(certified.residuals), highest < 0)
        np.testing.assert_array_equal(np.isfinite(certified.prices), np.repeat(highest < 0, 4))
        expected = Status.CONVERGED if (highest < 0).all() else Status.EQUILIBRIUM_FAILED
        assert certified.status is expected
    assert set(maximal) == {True, False}


def test_a_dataset_whose_firms_are_at_no_maximum_is_none():
    ended = {scenario(-10.0).generate(Streams(seed=3, replication=r)).status for r in range(4)}
    assert Status.EQUILIBRIUM_FAILED in ended
