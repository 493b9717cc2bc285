from __future__ import annotations

import functools

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import ConfigurationError
from blpsim.estimate.evaluation import economy_with
from blpsim.estimate.objective import Objective
from tests.simulate.scenarios import scenario

from .problems import posed
from .refusals import refused


@functools.cache
def process():
    return scenario(
        markets=bs.Markets(number=30, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(1, 2, 3)),
        truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 2]),
        consumers=bs.Integration("product", 5),
    )


def drawn(replication):
    streams = bs.Streams(seed=1, replication=replication, stream_key=process().stream_key)
    return process().generate(streams), streams


def estimated(replication=0, supply=True, **options):
    gmm = bs.GMM(method="1s", hessian=False)
    estimator = bs.Estimator(
        integration=bs.Integration("product", 5), supply=supply, starts=bs.Starts(1), gmm=gmm, **options
    )
    return estimator.estimate(*drawn(replication))


@functools.cache
def estimate(supply):
    return estimated(supply=supply)


def own(economy):
    return float(economy.own_elasticities().mean())


def everything(economy):
    parameters = economy.parameters
    gamma = [] if parameters.gamma is None else parameters.gamma
    return np.concatenate((parameters.beta, parameters.sigma.ravel(), gamma))


@pytest.mark.parametrize("supply", [True, False])
def test_a_parameter_has_its_own_standard_error(supply):
    """Differences of parameters are exact up to the rounding of a step of a thousandth of an error."""
    found = estimate(supply).delta_method(everything)
    assert np.array_equal(found.values, estimate(supply).values)
    assert found.standard_errors == pytest.approx(estimate(supply).standard_errors, rel=1e-9)


def test_standard_errors_have_the_functions_shape():
    result = estimate(True).result
    table = result.delta_method(lambda economy: np.outer([1.0, -2.0], everything(economy)))
    scalar = result.delta_method(own)
    assert table.values.shape == table.standard_errors.shape == (2, 7)
    assert table.standard_errors[1] == pytest.approx(2 * table.standard_errors[0], rel=1e-12)
    assert scalar.values.shape == scalar.standard_errors.shape == ()


@pytest.mark.parametrize("supply", [True, False])
def test_a_linear_function_has_the_error_of_its_coefficients(supply):
    weights = np.arange(1.0, estimate(supply).values.size + 1)
    found = estimate(supply).delta_method(lambda economy: weights @ everything(economy))
    expected = np.sqrt(weights @ estimate(supply).covariance @ weights)
    assert found.standard_errors == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("supply", [True, False])
def test_economies_nearby_reproduce_the_shares_with_the_errors_that_are_left(supply):
    result = estimate(supply).result
    setting = result.origin.setting
    moved = result.values * 1.01
    economy = economy_with(Objective(*result.origin, result.W), moved)
    data = setting.products.columns
    x1, x3 = setting.columns.x1.values(data), setting.columns.x3.values(data)
    assert np.allclose(economy.shares(), setting.products.restored(setting.products.shares), rtol=1e-11)
    assert np.allclose(economy.xi, economy.delta - x1 @ economy.parameters.beta, rtol=0, atol=1e-10)
    assert np.array_equal(everything(economy), moved)
    if supply:
        assert np.allclose(economy.omega, economy.costs - x3 @ economy.parameters.gamma, rtol=0, atol=1e-10)
        assert np.allclose(economy.implied_costs(), economy.costs, rtol=1e-9)


@pytest.mark.parametrize("seed", [0, 2, 7])
def test_what_fixed_effects_leave_is_what_an_evaluation_leaves(seed):
    """At the values that are concentrated out, the economy is the evaluation's."""
    case = posed(seed)
    evaluation = case.problem.evaluate(case.parameters, case.gmm)
    objective = case.objective()
    objective(case.theta)
    values = case.layout.values(case.theta, objective.beta(case.theta), objective.gamma(case.theta))
    economy = economy_with(objective, values)
    assert np.allclose(economy.xi, evaluation.xi, rtol=0, atol=1e-9)
    assert np.allclose(economy.delta, evaluation.delta, rtol=0, atol=1e-9)
    if case.problem.setting.supply:
        assert np.allclose(economy.omega, evaluation.omega, rtol=0, atol=1e-9)


def test_parameters_at_a_bound_are_held_there():
    found = estimated(bounds={"sigma[x,x]": (0.5, 1)})
    errors = found.delta_method(everything).standard_errors
    kept = ~np.asarray(found.at_bound)
    assert errors[~kept] == 0
    assert errors[kept] == pytest.approx(found.standard_errors[kept], rel=1e-9)


def test_an_estimate_without_numbers_has_no_functions():
    nothing = bs.Estimate(values=np.empty(0), standard_errors=np.empty(0), status=bs.Status.SINGULAR)
    with refused(ConfigurationError, "Estimate.result"):
        nothing.delta_method(own)


def test_intervals_of_an_own_elasticity_cover_the_truth_as_often_as_they_say():
    """Monte Carlo errors of 100 replications: 2.2 points of coverage, 7 % of the ratio of errors."""
    errors, spreads = [], []
    for replication in range(100):
        dataset, _ = drawn(replication)
        found = estimated(replication, supply=False).delta_method(own)
        errors.append(found.values - own(dataset.economy))
        spreads.append(found.standard_errors)
    covered = np.abs(errors) < 1.96 * np.array(spreads)
    assert abs(covered.mean() - 0.95) < 3 * 0.022
    assert abs(np.mean(spreads) / np.std(errors) - 1) < 3 * 0.071
