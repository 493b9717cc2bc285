from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import ConfigurationError
from blpsim.estimate.resampling import simulation_error
from blpsim.status import Status
from tests.simulate.scenarios import scenario

from .problems import CURVED, posed
from .refusals import refused

STILL = bs.Optimizer("return")
TRUTH = bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2])


def problem(integration, agents=None, **model):
    """Return a problem whose data a scenario drew, with instruments that need no thought."""
    dataset = scenario(markets=bs.Markets(number=12, firms=3, products_per_firm=2)).generate(
        bs.Streams(seed=1, replication=0)
    )
    products = dataset.products.copy()
    generator = np.random.default_rng(0)
    for name in ("demand_instruments0", "demand_instruments1", "supply_instruments0"):
        products[name] = products["w"] * generator.uniform(size=len(products))
    formulas = {"linear": "1 + x + prices", "nonlinear": "0 + x", "supply": "1 + x + w", **model}
    return bs.Problem(bs.Model(**formulas), products, agents, integration=integration)


def solved(case, parameters=TRUTH, **options):
    start = dataclasses.replace(parameters, beta=[np.nan, np.nan, -1], gamma=None)
    return case.solve(start, bs.GMM(**{"method": "1s", "optimizer": STILL, **options}))


def test_simulation_error_adds_to_standard_errors_and_is_the_same_every_time():
    case = problem(bs.Integration("monte_carlo", 20, seed=4))
    plain, first, second = (solved(case, resample_agents=number) for number in (None, 6, 6))
    assert (plain.simulation_covariances == 0).all()
    assert (first.errors > plain.errors).all()
    assert np.array_equal(first.errors, second.errors)
    expected = plain.moments_covariances + plain.delta.size * first.simulation_covariances
    assert np.allclose(first.moments_covariances, expected, rtol=1e-12)
    assert np.array_equal(first.values, plain.values)


def test_more_sets_of_agents_begin_with_the_same_ones():
    case = problem(bs.Integration("halton", 20, seed=4))
    few, many = (case._resampling(bs.GMM(resample_agents=number)).resampled for number in (2, 4))
    assert few is not None
    assert many is not None
    assert few(2) is None
    assert many(3) is not None
    assert np.array_equal(few(1).nodes, many(1).nodes)
    assert not np.array_equal(few(0).nodes, few(1).nodes)
    assert not np.array_equal(few(0).nodes, case.setting.agents.nodes)


def test_demographics_are_drawn_again_from_the_rows_of_their_market():
    agents = {"market_ids": np.repeat(np.arange(12), 8), "income": np.arange(96.0)}
    case = problem(bs.Integration("monte_carlo", 8, seed=2), agents, demographics="0 + income")
    redrawn = case._resampling(bs.GMM(resample_agents=2)).resampled
    assert redrawn is not None
    incomes = redrawn(0).demographics[0].reshape(12, 8)
    assert (np.floor(incomes / 8) == np.arange(12)[:, None]).all()
    assert not np.array_equal(np.sort(incomes.ravel()), agents["income"])


def test_a_second_step_weights_with_the_simulation_error():
    case = problem(bs.Integration("monte_carlo", 20, seed=4))
    plain, first = (solved(case, method="2s", resample_agents=number) for number in (None, 4))
    eigenvalues = np.linalg.eigvalsh(np.linalg.inv(first.W) - np.linalg.inv(plain.W))
    assert eigenvalues[0] > -1e-9 * eigenvalues[-1]
    assert eigenvalues[-1] > 0


def test_moments_follow_from_the_agents_of_each_set():
    """Four sets that are the same agents have no simulation error beyond the inversion's."""
    case = posed(CURVED)
    agents = case.problem.setting.agents
    setting = dataclasses.replace(case.problem.setting, resampled=lambda k: agents if k < 4 else None)
    objective = type(case.objective())(setting, case.layout, case.gmm, case.weighting)
    objective(case.theta)
    found = simulation_error(objective)
    assert found.status is Status.EVALUATED
    assert np.abs(found.covariances).max() < 1e-20


def test_agents_whose_shares_cannot_be_inverted_are_how_the_estimation_ended():
    case = problem(bs.Integration("monte_carlo", 20, seed=4))
    frame = case.setting.agents.frame()

    def extreme(index):
        return None if index == 2 else frame.assign(nodes0=1e300)

    found = solved(case, resample_agents=extreme)
    assert found.status.is_failure
    assert np.isnan(found.errors).all()


@pytest.mark.parametrize("number", [0, 1])
def test_one_set_of_agents_has_no_covariance(number):
    with refused(ConfigurationError, "GMM.resample_agents", number):
        bs.GMM(resample_agents=number)
    case = problem(bs.Integration("monte_carlo", 20, seed=4))
    frame = case.setting.agents.frame()
    with refused(ConfigurationError, "GMM.resample_agents"):
        solved(case, resample_agents=lambda index: frame if index < number else None)


def test_a_problem_without_a_seed_or_without_draws_cannot_resample():
    for integration in (bs.Integration("product", 5), bs.Integration("product", 5, seed=1)):
        with refused(ConfigurationError, "GMM.resample_agents"):
            solved(problem(integration), resample_agents=3)


def estimator(**options):
    gmm = bs.GMM(method="1s", optimizer=STILL, **options)
    return bs.Estimator(integration=bs.Integration("monte_carlo", 20), starts=bs.Starts(1, width=0), gmm=gmm)


def test_an_estimator_resamples_from_its_own_streams():
    markets = bs.Markets(number=15, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(1, 2, 3))
    process = scenario(markets=markets)
    streams = bs.Streams(seed=5, replication=0, stream_key=process.stream_key)
    dataset = process.generate(streams)
    plain, first = (estimator(resample_agents=number).estimate(dataset, streams) for number in (None, 5))
    again = estimator(resample_agents=5).estimate(process.generate(streams), streams)
    assert np.array_equal(first.values, plain.values)
    assert (first.standard_errors > plain.standard_errors).all()
    assert np.array_equal(first.standard_errors, again.standard_errors)


def test_an_estimator_refuses_a_function_and_nodes_that_nothing_draws():
    with refused(ConfigurationError, "Estimator.gmm.resample_agents"):
        estimator(resample_agents=lambda _: None)
    ruled = dataclasses.replace(estimator(resample_agents=3), integration=bs.Integration("product", 5))
    with refused(ConfigurationError, "Estimator.integration"):
        ruled.names(scenario())
