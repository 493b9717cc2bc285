"""Where PyBLP 1.3.0 is not followed, and the evidence."""

import dataclasses

import numpy as np
import pyblp

import blpsim as bs
from tests.simulate.scenarios import scenario

from .own import own_problem, own_solve
from .peer import formulations, peer_problem, peer_solve, stacked
from .problems import random_case

CLIPPED = 3
"""A random problem in which the bounds clip costs."""

OWNED = 156
"""One with asymmetric ownership."""

RULED = 317
"""One with availability and nodes of a rule."""

SCALED = 69
"""One with a scaled epsilon and utility linear in prices."""


def test_the_gradient_of_given_gamma_is_right_where_costs_are_clipped():
    """PyBLP zeroes every derivative of omega where costs are clipped, though that with gamma stays -X3."""
    case = random_case(CLIPPED)
    gamma = case.parameters["gamma"].copy()
    gamma[-1] = 0.05
    case = dataclasses.replace(case, parameters={**case.parameters, "gamma": gamma})
    problem = peer_problem(case)
    differences = problem.solve(
        **{name: np.array(value) for name, value in case.parameters.items()},
        **case.options,
        optimization=pyblp.Optimization("return"),
        check_optimality="gradient",
        finite_differences=True,
    ).gradient.ravel()
    analytic = peer_solve(case, problem).gradient.ravel()
    ours = own_solve(case, own_problem(case)).gradient
    scale = np.max(np.abs(differences))
    assert np.max(np.abs(ours - differences)) < 1e-6 * scale
    assert np.abs(analytic - differences)[-1] > 1e-3 * scale


def test_prices_imply_their_costs_where_the_weight_on_a_products_own_profits_is_not_one():
    """PyBLP's markups solve Delta eta = s with any diagonal of ownership; its prices take it to be one."""
    case = random_case(OWNED)
    matrix = np.where(case.ownership == 1, 0.6, case.ownership)
    theirs = peer_solve(case, peer_problem(case))
    costs = theirs.compute_costs(ownership=matrix).ravel()
    ours = own_solve(case, own_problem(case)).economy
    np.testing.assert_allclose(ours.implied_costs(ownership=matrix), costs, rtol=1e-7)
    found = ours.equilibrium(ownership=matrix, costs=costs).prices
    np.testing.assert_allclose(found, case.products["prices"], rtol=1e-8)
    elsewhere = theirs.compute_prices(ownership=matrix, costs=costs).ravel()
    assert np.abs(elsewhere / case.products["prices"] - 1).max() > 0.01


def test_availability_stays_with_its_agents_where_a_rule_makes_nodes():
    """PyBLP takes demographics market by market then, but leaves availability in the order of the rows."""
    case = random_case(RULED)
    assert {"product rule", "scaled availability"} <= set(case.features)
    assert (np.diff(np.unique(case.agents["market_ids"], return_inverse=True)[1]) < 0).any()
    ours, theirs = own_solve(case, own_problem(case)), peer_solve(case, peer_problem(case))
    assert np.abs(ours.delta - theirs.delta.ravel()).max() < 1e-10
    asked = pyblp.Problem(
        formulations(case.model),
        stacked(case.products, "demand_instruments", "supply_instruments"),
        pyblp.Formulation(case.model["demographics"]),
        stacked(case.agents, "nodes"),
        pyblp.Integration(case.rule, case.nodes),
    )
    assert np.abs(ours.delta - peer_solve(case, asked).delta.ravel()).max() > 0.01


def test_simulation_error_is_what_estimates_with_other_agents_show():
    """PyBLP adds the covariance of averaged moments to S, the N-fold covariance of averages, without N.

    With 30 sets each, a ratio of variances has a Monte Carlo error of 0.4; without N it would be in hundreds.
    """
    process = scenario(
        markets=bs.Markets(number=30, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(1, 2, 3)),
        truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 2]),
    )
    dataset = process.generate(bs.Streams(seed=5, replication=0, stream_key=process.stream_key))
    gmm = bs.GMM(method="1s", hessian=False)
    plain = bs.Estimator(
        integration=bs.Integration("monte_carlo", 200), starts=bs.Starts(1, width=0), gmm=gmm
    )
    accounting = dataclasses.replace(plain, gmm=dataclasses.replace(gmm, resample_agents=30))
    streams = [bs.Streams(seed=50 + k, replication=0, stream_key=process.stream_key) for k in range(30)]
    estimates = np.array([plain.estimate(dataset, each).values for each in streams])
    result = accounting.estimate(dataset, streams[0]).result
    assert result is not None
    added = result.covariance - plain.estimate(dataset, streams[0]).covariance
    moved = [result.names.index(name) for name in ("beta[prices]", "sigma[x,x]")]
    ratios = estimates.var(axis=0, ddof=1)[moved] / np.diag(added)[moved]
    assert ((ratios > 1 / 3) & (ratios < 3)).all()
    assert result.delta.size == 160


def test_surplus_falls_by_what_is_bought_also_with_a_scaled_epsilon():
    """PyBLP divides the derivative of utility by the scale, but not the utility whose inclusive value it is.

    The central difference of a sum of 10 surpluses near 1 has an error near 1e-16 / 1e-5.
    """
    case = random_case(SCALED)
    economy, peer = own_solve(case, own_problem(case)).economy, peer_solve(case, peer_problem(case))
    prices, step = case.products["prices"], np.zeros(case.products["prices"].size)
    step[0] = 1e-5
    bought = case.products["shares"][0]
    ours = economy.consumer_surplus(prices + step) - economy.consumer_surplus(prices - step)
    theirs = peer.compute_consumer_surpluses(prices + step) - peer.compute_consumer_surpluses(prices - step)
    assert abs(ours.sum() / 2e-5 + bought) < 1e-6 * bought
    assert abs(theirs.sum() / 2e-5 + bought) > 1e-3 * bought
