"""What follows from estimates where agents differ by product is PyBLP's, too."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.estimate.problems import features

from .own import own_problem, own_solve
from .peer import peer_problem, peer_solve
from .problems import random_case

PROBLEMS = {
    632: {"supply", "apart rho", "demographic by product", "some availability"},
    492: {"supply", "logit coefficient", "demographic by product", "partial ownership"},
    127: {"supply", "full sigma", "demographic by product", "scaled availability"},
    432: {"supply", "log coefficient", "common rho", "scaled availability"},
}
MATRICES = ("elasticities", "long_run_diversion_ratios", "passthrough")
TOLERANCE = 1e-8
"""Both invert shares to 1e-13 or better, and diversion divides by shares of a hundredth."""

SURPLUS = 302
"""A problem with availability, supply, and prices that have the same slope for all products."""


@functools.cache
def solved(seed):
    """Return a random problem, and the economies that both packages have at its parameters."""
    case = random_case(seed)
    return case, own_solve(case, own_problem(case)).economy, peer_solve(case, peer_problem(case))


@pytest.mark.parametrize("seed", PROBLEMS)
def test_problems_are_what_they_are_here_for(seed):
    assert PROBLEMS[seed] <= features(seed)


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("seed", PROBLEMS)
def test_matrices_equal_pyblps(seed, name):
    case, economy, peer = solved(seed)
    stacked, markets = getattr(peer, f"compute_{name}")(), case.products["market_ids"]
    for market, matrix in getattr(economy, name)().items():
        theirs = stacked[markets == market]
        assert np.abs(matrix - theirs[:, ~np.isnan(theirs[0])]).max() < TOLERANCE * np.abs(matrix).max()


@pytest.mark.parametrize("seed", PROBLEMS)
def test_shares_at_other_prices_equal_pyblps(seed):
    case, economy, peer = solved(seed)
    prices = 1.1 * case.products["prices"]
    np.testing.assert_allclose(economy.shares(prices), peer.compute_shares(prices).ravel(), rtol=TOLERANCE)


def test_surplus_and_diversion_are_what_choice_sets_leave():
    case, economy, peer = solved(SURPLUS)
    stacked = peer.compute_diversion_ratios()
    for market, matrix in economy.diversion_ratios().items():
        theirs = stacked[case.products["market_ids"] == market]
        assert np.abs(matrix - theirs[:, ~np.isnan(theirs[0])]).max() < TOLERANCE
    np.testing.assert_allclose(
        economy.consumer_surplus(), peer.compute_consumer_surpluses().ravel(), rtol=TOLERANCE
    )
