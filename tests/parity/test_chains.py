"""What an estimate gives to the next is PyBLP's: optimal instruments by any method, importance sampling.

PyBLP's own draws are repeated from its seed and handed to blpsim.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest

import blpsim as bs
from blpsim.estimate.importance import Rule, sample_agents
from blpsim.estimate.optimal import optimal_instruments
from blpsim.estimate.realizations import Errors
from blpsim.model.agents import read_candidates
from tests.estimate.problems import features

from .own import own_problem, own_solve
from .peer import peer_problem, peer_solve, stacked
from .problems import random_case
from .test_parity import FIRST, NUMBER

SEED, DRAWS = 7, 2
PROBLEMS = {
    4: {"demand only", "given linear"},
    10: {"supply", "log costs"},
    13: {"supply", "given linear"},
    42: {"supply", "common rho", "log coefficient", "2 demographics"},
    46: {"log costs", "apart rho"},
    56: {"demand only", "apart rho", "1 effects, demand"},
    105: {"supply", "log coefficient", "logit coefficient", "no price in X1"},
    91: {"supply", "linear costs", "scaled epsilon"},
    174: {"logit"},
    127: {"supply", "demographic by product", "scaled availability"},
    632: {"supply", "apart rho", "demographic by product", "some availability"},
}
TOLERANCE = 1e-7
"""Both end equilibria at derivatives of profit of 1e-12, where those of shares, some 1e-3, leave prices
within 1e-9, and fixed effects of two dimensions are absorbed to 1e-8."""


@functools.cache
def evaluated(seed):
    """Return a random problem and both packages' results at its parameters."""
    case = random_case(seed)
    case = dataclasses.replace(case, options=dict(case.options) | {"method": "1s"}, optimizer="return")
    return case, own_solve(case, own_problem(case)), peer_solve(case, peer_problem(case))


def peer_draws(found, method):
    """Yield the errors, (N, 2) or (N, 1), that PyBLP draws, in the order of the user's rows."""
    state, number = np.random.RandomState(SEED), found.xi.size
    joint = np.c_[found.xi, found.omega] if found.problem.K3 else found.xi
    for _ in range(DRAWS):
        if method == "empirical":
            yield joint[state.choice(number, number)]
        elif found.problem.K3:
            yield state.multivariate_normal([0, 0], np.cov(joint, rowvar=False), number)
        else:
            yield state.normal(0, np.std(joint), number)[:, None]


def own_instruments(result, found, method):
    """Return blpsim's instruments with PyBLP's draws."""
    if method == "approximate":
        return result.compute_optimal_instruments()
    fitted, order = result.fitted, result.fitted.setting.products.order
    drawn = (errors if order is None else errors[order] for errors in peer_draws(found, method))
    return optimal_instruments(fitted, (Errors(each[:, 0], each[:, 1:].ravel()) for each in drawn))


def distance(ours, theirs):
    return np.max(np.abs(ours - theirs), initial=0) / np.max(np.abs(theirs), initial=1e-300)


def unmatched(ours, theirs):
    """Return how far the columns of PyBLP's, scaled to 1, are from the nearest of ours, in whatever order."""
    ours, theirs = (matrix / np.abs(matrix).max(axis=0) for matrix in (ours, theirs))
    return max(np.abs(ours - column[:, None]).max(axis=0).min() for column in theirs.T)


@pytest.mark.parametrize("seed", PROBLEMS)
def test_problems_are_what_they_are_here_for(seed):
    assert PROBLEMS[seed] <= features(seed)


@pytest.mark.parametrize("method", ["approximate", "normal", "empirical"])
@pytest.mark.parametrize("seed", PROBLEMS)
def test_expected_derivatives_equal_pyblps_at_the_same_draws(seed, method):
    case, result, found = evaluated(seed)
    theirs = found.compute_optimal_instruments(method, draws=DRAWS, seed=SEED)
    ours = own_instruments(result, found, method)
    assert ours is not None
    assert not ours.failed_draws.any()
    assert distance(ours.expected_prices, theirs.expected_prices.ravel()) < TOLERANCE
    assert distance(ours.expected_shares, theirs.expected_shares.ravel()) < TOLERANCE
    assert distance(ours.expected_xi_by_theta_jacobian, theirs.expected_xi_by_theta_jacobian) < TOLERANCE
    if case.has_supply:
        jacobians = ours.expected_omega_by_theta_jacobian, theirs.expected_omega_by_theta_jacobian
        assert distance(*jacobians) < TOLERANCE
        number = found.xi.size
        inverse = ours.inverse_covariance_matrix * (number - 1) / number
        assert distance(inverse, theirs.inverse_covariance_matrix) < TOLERANCE


@pytest.mark.parametrize("seed", range(FIRST, FIRST + NUMBER, 5))
def test_expected_derivatives_equal_pyblps_on_the_days_problems(seed):
    case, result, found = evaluated(seed)
    method = ("normal", "empirical")[seed % 2]
    theirs = found.compute_optimal_instruments(method, draws=DRAWS, seed=SEED)
    ours = own_instruments(result, found, method)
    if ours is None or ours.failed_draws.any():
        assert not theirs.fp_converged.all()
        return
    assert distance(ours.expected_xi_by_theta_jacobian, theirs.expected_xi_by_theta_jacobian) < TOLERANCE
    if case.has_supply:
        jacobians = ours.expected_omega_by_theta_jacobian, theirs.expected_omega_by_theta_jacobian
        assert distance(*jacobians) < TOLERANCE


@pytest.mark.parametrize("seed", PROBLEMS)
def test_the_next_problem_has_pyblps_instruments(seed):
    case, result, found = evaluated(seed)
    theirs = found.compute_optimal_instruments("empirical", draws=DRAWS, seed=SEED).to_problem().products
    products = own_instruments(result, found, "empirical").products
    agents = None if case.agents is None else pd.DataFrame(dict(case.agents))
    rule = None if case.nodes is None else bs.Integration(case.rule, case.nodes)
    setting = bs.Problem(bs.Model(**case.model), products, agents, integration=rule).setting
    demand, supply = setting.demand_instruments.T, setting.supply_instruments.T
    assert demand.shape == theirs.ZD.shape
    assert unmatched(setting.products.restored(demand), theirs.ZD) < TOLERANCE
    if case.has_supply:
        assert supply.shape == theirs.ZS.shape
        assert unmatched(setting.products.restored(supply), theirs.ZS) < TOLERANCE


def test_given_expected_prices_replace_the_equilibrium_as_in_pyblp():
    case, result, found = evaluated(10)
    given = 0.1 + case.products["prices"]
    theirs = found.compute_optimal_instruments(expected_prices=given)
    ours = result.compute_optimal_instruments(expected_prices=given)
    assert np.array_equal(ours.expected_prices, given)
    assert distance(ours.expected_shares, theirs.expected_shares.ravel()) < TOLERANCE
    assert (
        distance(ours.expected_omega_by_theta_jacobian, theirs.expected_omega_by_theta_jacobian) < TOLERANCE
    )


@pytest.mark.parametrize("seed", [13, 42, 46])
def test_importance_sampling_equals_pyblps_with_the_same_candidates(seed):
    case, result, found = evaluated(seed)
    generator = np.random.default_rng(seed)
    markets = np.unique(case.products["market_ids"])
    candidates = {"market_ids": generator.permutation(np.repeat(markets, 400))}
    candidates |= {name: generator.normal(size=markets.size * 400) for name in case.agents if "nodes" in name}
    candidates |= {name: generator.lognormal(size=markets.size * 400) for name in ("income", "age")}
    weightless = dict(candidates) | {"weights": np.full(markets.size * 400, 1 / 400)}
    delta = found.delta + 0.1
    theirs = found.importance_sampling(
        20, ar_constant=1.2, seed=SEED, agent_data=stacked(weightless, "nodes"), delta=delta
    )
    fitted, order = result.fitted, result.fitted.setting.products.order
    setting = fitted.setting
    agents = read_candidates(candidates, None, setting.products, setting.model, generator)
    fitted = fitted._replace(delta=delta.ravel() if order is None else delta.ravel()[order])
    once = [agents, None].__getitem__
    ours = sample_agents(fitted, once, Rule(20, 1.2), np.random.RandomState(SEED))
    peers = theirs.sampled_agents[np.argsort(theirs.sampled_agents.market_ids.ravel(), kind="stable")]
    columns = ours.agents.frame()
    nodes = columns[[name for name in columns if name.startswith("nodes")]].to_numpy()
    assert np.array_equal(columns["market_ids"], peers.market_ids.ravel())
    assert np.array_equal(nodes, peers.nodes[:, : nodes.shape[1]])
    # Probabilities to buy are sums of as many terms as there are products, each with a rounding error.
    assert np.allclose(columns["weights"], peers.weights.ravel(), rtol=1e-12, atol=0)
    for name in ("weight_sums", "effective_draws", "effective_draws_for_variance"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name).ravel(), rtol=1e-11)
    assert np.allclose(ours.effective_draws_for_skewness, theirs.effective_draws_for_skewness.ravel())


def test_estimates_with_sampled_agents_equal_pyblps():
    """At a fixed point objectives agree but for rounding, though weights do not sum to one."""
    case, _, found = evaluated(13)
    generator = np.random.default_rng(0)
    markets = np.unique(case.products["market_ids"])
    drawn = {"market_ids": np.repeat(markets, 400), "weights": np.full(markets.size * 400, 1 / 400)}
    drawn |= {name: generator.normal(size=markets.size * 400) for name in case.agents if "nodes" in name}
    sampling = found.importance_sampling(30, seed=SEED, agent_data=stacked(drawn, "nodes"))
    assert np.abs(sampling.weight_sums - 1).max() > 1e-3
    agents = sampling.sampled_agents
    table = {"market_ids": agents.market_ids.ravel(), "weights": agents.weights.ravel()}
    table |= {f"nodes{k}": column for k, column in enumerate(agents.nodes.T)}
    other = dataclasses.replace(case, agents=table)
    with pytest.warns(bs.BlpsimWarning, match="importance sampling"):
        problem = own_problem(other)
    ours, theirs = own_solve(other, problem), peer_solve(other, sampling.to_problem())
    assert abs(ours.objective - theirs.objective) < 1e-9 * abs(theirs.objective)
    assert np.abs(ours.gradient - theirs.gradient.ravel()).max() < 1e-8 * np.abs(theirs.gradient).max()
