"""Numbers that readers know: Nevo's cereal and BLP's automobiles, at the start and estimated."""

import numpy as np
import pytest

from .own import own_problem, own_solve
from .real import blp, nevo


def relative(expected, tolerance):
    return pytest.approx(expected, rel=tolerance, abs=0)


def solved(case):
    return own_solve(case, own_problem(case))


def test_nevo_at_the_start_has_the_known_objective_price_and_gradient():
    result = solved(nevo())
    assert result.objective == relative(29.353343126, 1e-9)
    assert result.parameters.beta[0] == relative(-28.18854436, 1e-8)
    assert result.standard_errors.beta[0] == relative(7.882445, 1e-6)
    assert np.max(np.abs(result.gradient)) == relative(363.50620, 1e-7)
    assert result.delta[:3] == relative([-7.069768487, -4.357663151, -6.056880589], 1e-9)
    assert result.delta.sum() == relative(-10743.9622289, 1e-11)


def test_nevo_estimated_with_bfgs_is_the_published_optimum():
    result = solved(nevo("bfgs"))
    assert result.objective == pytest.approx(4.5615141648, abs=1e-8)
    assert result.parameters.beta[0] == pytest.approx(-62.7298951, rel=1e-5)
    assert result.standard_errors.beta[0] == pytest.approx(14.8032138, rel=1e-5)
    sigma = np.diag(result.parameters.sigma)
    assert sigma == pytest.approx([0.5580936, 3.3124889, -0.0057836, 0.0934145], abs=1e-4)
    assert result.parameters.pi[1] == pytest.approx([588.32509, -30.19201, 0, 11.05463], rel=1e-4, abs=1e-12)
    assert result.parameters.pi[0, [0, 2]] == pytest.approx([2.2919715, 1.2844320], rel=1e-4)
    assert result.parameters.pi[2, [0, 2]] == pytest.approx([-0.3849541, 0.0522345], rel=1e-4)
    assert result.parameters.pi[3, [0, 2]] == pytest.approx([0.7483723, -1.3533932], rel=1e-4)


def test_blp_at_the_start_has_the_known_objective_coefficients_and_gradient():
    result = solved(blp())
    assert result.objective == relative(833.827019238, 1e-9)
    beta = [-6.122335815, 3.292860535, 0.730955026, -0.245622644, 3.613851882]
    assert result.parameters.beta == relative(beta, 1e-8)
    gamma = [2.310452853, 0.492396039, 0.616080279, -0.339375228, -0.000720255955, 0.014504864]
    assert result.parameters.gamma == pytest.approx(gamma, rel=0, abs=1e-9)
    gradient = [11.988431, 14.366757, 16.463722, 426.511472, 92.093777, -9.693599]
    assert result.gradient == pytest.approx(gradient, rel=0, abs=426.5 * 1e-7)


def test_blp_estimated_is_the_published_replication():
    result = solved(blp("l-bfgs-b", "2s"))
    assert result.objective == relative(497.33566, 2e-8)
    parameters, errors = result.parameters, result.standard_errors
    beta = [-7.283541, 3.460204, -0.998941, 0.420729, 4.177528]
    assert parameters.beta == pytest.approx(beta, rel=0, abs=7.3e-5)
    sigma = [2.025354, 0, 6.100352, 3.955530, 0.253511, 1.908470]
    assert np.diag(parameters.sigma) == pytest.approx(sigma, rel=0, abs=6.1e-5)
    assert parameters.pi[1, 0] == pytest.approx(-44.842955, rel=1e-5)
    gamma = [2.760270, 0.896967, 0.422811, -0.524881, -0.260678, 0.026604]
    assert parameters.gamma == pytest.approx(gamma, rel=0, abs=2.8e-5)
    assert errors.beta == pytest.approx([2.807, 1.415, 2.101, 0.250, 0.658], abs=6e-4)
    assert errors.gamma == pytest.approx([0.116, 0.072, 0.087, 0.073, 0.210, 0.003], abs=6e-4)
    assert errors.pi[1, 0] == pytest.approx(9.217, abs=6e-4)
