from __future__ import annotations

import numpy as np
import pyblp
import pytest
from scipy.stats import chi2

import blpsim as bs
from blpsim.estimate.specification import hansen_test
from tests.economy.made import LINEAR, NONLINEAR, SUPPLY, formulations, tables

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
