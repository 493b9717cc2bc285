from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.simulate.markets import Assign, Markets

SCENARIO = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w", nests="nesting_ids"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], rho=0.5, gamma=[2, 1, 0.2]),
    markets=bs.Markets(number=20, firms=bs.Choice(2, 5, 10), products_per_firm=bs.Choice(3, 4, 5)),
    characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
    nests=bs.Assign(2),
    errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    consumers=bs.Integration("monte_carlo", 50),
)
STREAMS = bs.Streams(seed=5, replication=0)


def plain():
    """Return the scenario without nests."""
    model, truth = (
        dataclasses.replace(SCENARIO.model, nests=None),
        dataclasses.replace(SCENARIO.truth, rho=None),
    )
    return dataclasses.replace(SCENARIO, model=model, truth=truth, nests=None)


def test_products_of_a_firm_are_in_different_nests_unless_firms_are_assigned():
    structure = Markets(number=200, firms=4, products_per_firm=5).draw(np.random.default_rng(0))
    firms = np.repeat(np.arange(800), 5)
    by_product = Assign(3).draw(np.random.default_rng(1), structure)
    by_firm = Assign(3, by="firm").draw(np.random.default_rng(1), structure)
    assert set(by_product.tolist()) == set(by_firm.tolist()) == {0, 1, 2}
    alike = [np.ptp(ids.reshape(800, 5), axis=1) == 0 for ids in (by_product, by_firm)]
    assert alike[1].all()
    # All five of a firm's products agree with a probability of 3 ** -4; twice that is eleven errors above.
    assert alike[0].mean() < 2 / 81
    counts = np.bincount(by_product, minlength=3) / firms.size
    np.testing.assert_allclose(counts, 1 / 3, atol=4 * np.sqrt(2 / 9 / firms.size))


def test_nests_move_no_other_draw():
    streams = STREAMS.keyed("shared")
    nested, without = SCENARIO.generate(streams), plain().generate(streams)
    for name in ("market_ids", "firm_ids", "x", "w"):
        columns = nested.economy.products.columns, without.economy.products.columns
        np.testing.assert_array_equal(columns[0][name], columns[1][name])
    np.testing.assert_array_equal(nested.economy.xi, without.economy.xi)
    assert np.abs(nested.economy.products.prices - without.economy.products.prices).max() > 0.01


def test_the_equilibrium_with_nests_implies_the_costs_it_came_from():
    dataset = SCENARIO.generate(STREAMS)
    assert dataset.status.is_usable
    economy = dataset.economy
    np.testing.assert_allclose(economy.implied_costs(), economy.costs, rtol=0, atol=1e-9)
    np.testing.assert_allclose(economy.shares(), economy.products.shares, rtol=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_shares_are_those_of_consumers_with_gumbel_shocks_correlated_within_nests(rho):
    dataset = (SCENARIO if rho else plain()).generate(STREAMS)
    economy, draws = dataset.economy, 1_000_000
    rows, rng = slice(0, int(economy.products.market_offsets[1])), np.random.default_rng(2)
    shares = economy.products.shares[rows]
    nest = economy.products.columns["nesting_ids"][rows] if rho else np.zeros(shares.size, np.int64)
    x, nodes = economy.products.columns["x"][rows], economy.agents.nodes[0, :50]
    mean = economy.delta[rows, None] + 3.0 * x[:, None] * nodes
    # Shocks of one nest share a positive stable variable, here drawn as Kanter (1975) does.
    bought = np.zeros(x.size)
    for agent in range(50):
        size = draws // 50
        angle, exponential = rng.uniform(0, np.pi, (2, size)), rng.exponential(size=(2, size))
        stable = np.sin((1 - rho) * angle) / np.sin(angle) ** (1 / (1 - rho))
        stable *= (np.sin(rho * angle) / exponential) ** (rho / (1 - rho))
        shocks = (1 - rho) * (np.log(stable[nest]) + rng.gumbel(size=(x.size, size)))
        utilities = np.vstack((mean[:, agent, None] + shocks, rng.gumbel(size=size)))
        bought += np.bincount(utilities.argmax(axis=0), minlength=x.size + 1)[:-1]
    # Counts are at most binomial: each share's Monte Carlo error is below sqrt(share / draws).
    error = np.sqrt(shares / draws)
    # The largest of some twenty normal deviations stays below four and a half in all but one of ten thousand.
    assert (np.abs(bought / draws - shares) / error).max() < 4.5


def test_an_estimator_finds_the_correlation():
    estimator = bs.Estimator(
        integration=bs.Integration("product", 9),
        starts=bs.Starts(1),
        bounds=bs.Bounds(),
        gmm=bs.GMM(method="1s", hessian=False),
    )
    names = estimator.names(SCENARIO)
    assert names[3:5] == ("sigma[x,x]", "rho")
    found = []
    for replication in range(6):
        streams = bs.Streams(seed=5, replication=replication, stream_key=SCENARIO.stream_key)
        estimate = estimator.estimate(SCENARIO.generate(streams), streams)
        assert estimate.status.is_usable
        found.append((estimate.values[4] - 0.5) / estimate.standard_errors[4])
    # The mean of six standard normals is within 1.6 of zero in all but one of ten thousand.
    assert abs(np.mean(found)) < 1.6


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"nests": None}, "Scenario.nests"),
        ({"characteristics": {**SCENARIO.characteristics, "nesting_ids": bs.Choice(0, 1)}}, "Scenario.nests"),
        ({"model": dataclasses.replace(SCENARIO.model, nests=None)}, "Scenario.nests"),
    ],
)
def test_nests_have_one_source(changes, named):
    with pytest.raises(bs.BlpsimError, match=named):
        dataclasses.replace(SCENARIO, **changes)


@pytest.mark.parametrize(("given", "field"), [((0,), "number"), ((2, "market"), "by")])
def test_an_assignment_that_assigns_nothing_is_refused(given, field):
    with pytest.raises(bs.BlpsimError, match=rf"Assign\.{field}"):
        Assign(*given)
