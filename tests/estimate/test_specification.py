from __future__ import annotations

import dataclasses

import numpy as np
import pyblp
import pytest
from scipy.stats import chi2

import blpsim as bs
from blpsim.errors import ConfigurationError, ParameterError
from blpsim.estimate.specification import chi_squared, hansen_test, lm_test, restrictions_at, wald_test
from tests.economy.made import LINEAR, NONLINEAR, SUPPLY, formulations, tables

from .problems import posed
from .refusals import refused

MOMENTS = np.array([0.1, -0.2, 0.3])
WEIGHTING = np.diag([2.0, 1.0, 3.0])


def test_j_has_the_chi_squared_distribution_with_a_degree_for_each_excess_moment():
    found = hansen_test(MOMENTS, WEIGHTING, 50, 1)
    assert found.j == pytest.approx(50 * (2 * 0.01 + 0.04 + 3 * 0.09))
    assert found.p == pytest.approx(chi2.sf(found.j, 2))


def test_a_moment_that_is_always_zero_is_no_degree_of_freedom():
    weighting, moments = np.pad(WEIGHTING, (0, 1)), np.append(MOMENTS, 0.0)
    assert hansen_test(moments, weighting, 50, 1) == hansen_test(MOMENTS, WEIGHTING, 50, 1)


@pytest.mark.parametrize("parameters", [3, 4])
def test_without_excess_moments_nothing_is_tested(parameters):
    assert np.isnan(hansen_test(MOMENTS, WEIGHTING, 50, parameters)).all()


@pytest.fixture(scope="module")
def problem():
    data, agents = tables("plain")
    own = {name: column for name, column in data.items() if name != "demand_instruments"}
    own |= {f"demand_instruments{k}": column for k, column in enumerate(data["demand_instruments"].T)}
    people = {name: column for name, column in agents.items() if name != "nodes"}
    people["nodes0"] = agents["nodes"][:, 0]
    model = bs.Model(linear=LINEAR, nonlinear=NONLINEAR["plain"][0], supply=SUPPLY)
    peer = pyblp.Problem(formulations(NONLINEAR["plain"][0]), data, agent_data=agents)
    return bs.Problem(model, own, people), peer


@pytest.mark.parametrize("scaled", [True, False])
def test_j_after_two_steps_is_pyblps(problem, scaled):
    own, peer = problem
    beta = [np.nan, np.nan, -2.0]
    gmm = bs.GMM(optimizer=bs.Optimizer("return"), scale_objective=scaled)
    result = own.solve(bs.Parameters(beta=beta, sigma=[[1.5]]), gmm)
    still = pyblp.Optimization("return")
    theirs = peer.solve(beta=beta, sigma=[[1.5]], optimization=still, check_optimality="gradient")
    assert result.hansen_j == pytest.approx(theirs.run_hansen_test(), rel=1e-8)
    assert result.hansen_p == pytest.approx(chi2.sf(result.hansen_j, len(result.moments) - len(result.names)))


def test_after_one_step_nothing_is_tested(problem):
    gmm = bs.GMM(method="1s", optimizer=bs.Optimizer("return"))
    result = problem[0].solve(bs.Parameters(beta=[np.nan, np.nan, -2.0], sigma=[[1.5]]), gmm)
    assert np.isnan([result.hansen_j, result.hansen_p]).all()


STILL = bs.Optimizer("return")


@pytest.fixture(scope="module")
def linear():
    """Return results of a plain logit with one weighting matrix, where all moments are linear.

    They are unrestricted, restricted to beta[x] = 0, and unrestricted at the restricted estimates.
    """
    data, _ = tables("plain")
    own = {name: column for name, column in data.items() if name != "demand_instruments"}
    own |= {f"demand_instruments{k}": column for k, column in enumerate(data["demand_instruments"].T)}
    problem = bs.Problem(bs.Model(linear=LINEAR), own)
    root = np.random.default_rng(0).normal(size=(7, 7))
    gmm = bs.GMM(method="1s", W=root @ root.T + np.eye(7), optimizer=STILL)
    unrestricted = problem.solve(bs.Parameters(), gmm)
    restricted = problem.solve(bs.Parameters(beta={"x": 0.0}), gmm)
    at = bs.Parameters(beta=restricted.parameters.beta, free=["beta"])
    return unrestricted, restricted, problem.solve(at, gmm)


def with_bread(result):
    """Return the result with the covariance that its weighting matrix would give if it were optimal."""
    g = result.moments_jacobian
    return dataclasses.replace(result, covariance=np.linalg.inv(g.T @ result.W @ g) / result.delta.size)


def test_wald_lm_and_distance_are_one_statistic_where_moments_are_linear(linear):
    unrestricted, restricted, at = linear
    place = unrestricted.names.index("beta[x]")
    distance = restricted.run_distance_test(unrestricted)
    wald = with_bread(unrestricted).run_wald_test(lambda values: values[place])
    score = with_bread(at).run_lm_test(1)
    assert distance.statistic > 0.1
    assert wald.statistic == pytest.approx(distance.statistic, rel=1e-8)
    assert score.statistic == pytest.approx(distance.statistic, rel=1e-8)
    for found in (distance, wald, score):
        assert found.degrees_of_freedom == 1
        assert found.p_value == pytest.approx(chi2.sf(found.statistic, 1))


def test_j_is_tested_after_one_step_when_somebody_asks(linear):
    found = linear[0].run_hansen_test()
    assert found.statistic == pytest.approx(linear[0].objective)
    assert found.degrees_of_freedom == 4
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 4))


def test_a_statistic_of_one_restriction_is_the_square_of_a_t_statistic(linear):
    result = linear[0]
    place = result.names.index("beta[prices]")
    t = (result.values[place] + 2) / result.errors[place]
    found = result.run_wald_test(lambda values: values[place] + 2)
    assert found.statistic == pytest.approx(t**2, rel=1e-7)


def test_a_restriction_that_is_not_linear_has_its_jacobian_by_differences(linear):
    values = linear[0].values
    restricted, jacobian = restrictions_at(lambda v: [v[0] * v[1], np.exp(v[2])], None, values)
    assert np.allclose(restricted, [values[0] * values[1], np.exp(values[2])])
    expected = [[values[1], values[0], 0], [0, 0, np.exp(values[2])]]
    assert np.allclose(jacobian, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("restrictions", "jacobian", "field"),
    [
        ([1.0], None, "restrictions_jacobian"),
        ([1.0], np.ones((1, 2)), "restrictions_jacobian"),
        ([1.0], [[1, np.nan, 0]], "restrictions_jacobian"),
        ([1.0], "abc", "restrictions_jacobian"),
        ([], np.ones((1, 3)), "restrictions"),
        ([[1.0, 2.0], [3.0, 4.0]], np.ones((2, 3)), "restrictions"),
        ("abc", np.ones((1, 3)), "restrictions"),
        ([1.0, 2.0], [[1, 1, 0], [2, 2, 0]], "restrictions"),
        ([0.0], [[0, 0, 0]], "restrictions"),
        (np.ones(4), np.ones((4, 3)), "restrictions"),
    ],
)
def test_restrictions_that_are_none_are_refused(linear, restrictions, jacobian, field):
    with refused(ParameterError, field):
        linear[0].run_wald_test(restrictions, jacobian)


def test_parameters_at_a_bound_are_not_tested(linear):
    result = dataclasses.replace(linear[0], at_bound=np.array([False, True, False]))
    with refused(ParameterError, "restrictions", "beta[x]"):
        result.run_wald_test([1.0], [[0, 1, 0]])
    assert np.isfinite(result.run_wald_test([1.0], [[1, 0, 0]]).statistic)
    with refused(ParameterError, "run_lm_test", "beta[x]"):
        result.run_lm_test(1)


def test_results_that_cannot_be_compared_are_refused(linear):
    unrestricted, restricted, _ = linear
    for other in (restricted, posed(1).problem.solve(posed(1).parameters, posed(1).gmm)):
        with refused(ConfigurationError, "unrestricted"):
            restricted.run_distance_test(other)
    with refused(ConfigurationError, "unrestricted"):
        restricted.run_distance_test(None)
    with refused(ConfigurationError, "restrictions", 0):
        unrestricted.run_lm_test(0)


def test_statistics_have_the_chi_squared_distribution_and_rounding_below_zero_is_zero():
    assert chi_squared(3.0, 2).p_value == pytest.approx(chi2.sf(3.0, 2))
    assert chi_squared(-1e-12, 2).p_value == 1
    assert np.isnan(chi_squared(1.0, 0).p_value)
    covariance = np.diag([0.5, 2.0])
    assert lm_test(np.array([0.1, 0.2]), covariance, 10, 2).statistic == pytest.approx(100 * (0.005 + 0.08))
    assert wald_test(np.array([1.0, 2.0]), np.eye(2), covariance).statistic == pytest.approx(2 + 2)
