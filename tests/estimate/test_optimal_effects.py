"""Optimal instruments with fixed effects, absorbed or as dummy variables."""

from __future__ import annotations

import dataclasses

import numpy as np

import blpsim as bs
from tests.simulate.economies import LINEAR, RANDOM, tables

START = bs.Parameters(beta=None, sigma=[[1.2]], pi=[[0.4]])
STILL = bs.GMM(method="1s", optimizer=bs.Optimizer("return"))


def instruments(**linear):
    """Return the optimal instruments of demand alone, (N, 3), whose last column are expected prices."""
    products, agents = tables()
    problem = bs.Problem(
        bs.Model(**linear, **RANDOM), products.sort_values(["market_ids", "firm_ids"]), agents
    )
    result = problem.solve(START, STILL)
    assert result.economy.products.order is None
    return result.compute_optimal_instruments().demand_instruments, problem


def test_expected_prices_have_their_level_when_fixed_effects_are_absorbed():
    """By the theorem of Frisch, Waugh and Lovell; linear algebra of 40 rows leaves 1e-10."""
    absorbed, problem = instruments(**LINEAR)
    written, _ = instruments(linear="0 + x + C(brand) + prices")
    np.testing.assert_allclose(absorbed, written, rtol=1e-8)
    prices = problem.setting.products.prices
    assert abs(absorbed[:, -1].mean() - prices.mean()) < 1e-10
    assert absorbed[:, -1].std() < prices.std()


def test_a_study_may_use_them():
    products, agents = tables()
    economy = bs.Problem(bs.Model(**LINEAR, **RANDOM), products, agents).solve(START, STILL).economy
    made = bs.Scenario.from_economy(economy, errors=bs.Errors(xi_variance=1e-6))
    streams = bs.Streams(seed=1, replication=0, stream_key=made.stream_key)
    first = bs.Estimator(
        supply=False,
        instruments=bs.instruments.Given(),
        integration="generator",
        starts=bs.Starts(1, width=0.1),
        gmm=dataclasses.replace(STILL, optimizer=bs.Optimizer("l-bfgs-b")),
    )
    second = dataclasses.replace(first, instruments=bs.instruments.Optimal(first=first))
    found = second.estimate(made.generate(streams), streams)
    np.testing.assert_allclose(found.values, list(made.truth_by_name().values()), atol=0.1)
