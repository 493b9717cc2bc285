"""Estimations that cannot succeed end in a status and NaN, never in an exception or leftover numbers."""

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.estimate import solve as solving
from blpsim.estimate.optimizer import Optimum

from .problems import DEMAND, SUPPLY, posed
from .refusals import refused


def solved(seed, first, **options):
    case = posed(seed)
    sigma = np.array(case.parameters.sigma)
    sigma[0, 0] = first
    return case.problem.solve(dataclasses.replace(case.parameters, sigma=sigma), bs.GMM(**options))


@pytest.mark.parametrize("method", ["1s", "2s"])
@pytest.mark.parametrize(("seed", "first"), [(SUPPLY, 1e6), (DEMAND, 1e308)])
def test_an_absurd_sigma_ends_in_a_status_and_no_numbers(seed, first, method):
    result = solved(seed, first, method=method)
    assert result.status in (bs.Status.SINGULAR, bs.Status.NON_FINITE)
    for name in ("values", "errors", "delta", "xi", "gradient", "covariance"):
        assert np.isnan(getattr(result, name)).all(), name
    assert np.isnan(result.objective)
    assert result.economy is None
    assert result.objective_evaluations > 0


def test_a_start_that_cannot_be_evaluated_is_no_reason_to_update_w():
    assert solved(DEMAND, 1e308, initial_update=True).status is bs.Status.NON_FINITE


def test_a_weighting_matrix_of_another_shape_is_refused():
    case = posed(SUPPLY)
    with refused(bs.ConfigurationError, "GMM.W", "shape (2, 2)"):
        case.problem.solve(case.parameters, bs.GMM(W=np.eye(2)))


def test_a_bound_that_is_nan_is_refused():
    with refused(bs.ParameterError, "GMM.bounds['sigma[x,x]']", (np.nan, 1.0)):
        bs.GMM(bounds={"sigma[x,x]": (np.nan, 1.0)})


@pytest.mark.parametrize("start", [0.5, 0.05, 1e-9])
def test_a_search_leaves_a_sigma_of_zero_that_is_a_saddle(start):
    """From the first start the first step leads to zero, from the last one there is no slope to follow."""
    result = solved(DEMAND, start, method="1s", optimizer=bs.Optimizer(gtol=1e-6))
    at_zero = solved(DEMAND, 1e-9, method="1s", optimizer=bs.Optimizer("return"))
    assert result.status is bs.Status.CONVERGED
    assert result.values[result.names.index("sigma[y,y]")] == pytest.approx(0.26417, abs=1e-4)
    assert result.objective < at_zero.objective - 0.01


def test_what_lies_beside_a_sigma_of_zero_is_within_bounds():
    objective, zero = posed(DEMAND).objective(), np.zeros(1)
    optimum = Optimum(zero, *objective(zero), True, False, "")
    assert solving._beside_zero(objective, optimum, (zero, np.array([1e-3]))) == 1e-3
    assert solving._beside_zero(objective, optimum, (zero, zero)) is None


def test_a_sigma_of_zero_that_is_a_minimum_is_kept():
    case = posed(251)
    result = case.problem.solve(case.parameters, bs.GMM(method="1s", optimizer=bs.Optimizer(gtol=1e-6)))
    assert result.values[result.names.index("sigma[1,1]")] == 0
    assert result.status is bs.Status.CONVERGED


def test_a_start_is_recorded_where_the_optimizer_starts():
    scenario = bs.Scenario(
        model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
        truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
        markets=bs.Markets(number=5, firms=bs.Choice(3), products_per_firm=bs.Choice(3)),
        characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
        errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
        consumers=bs.Integration("monte_carlo", 50),
    )
    estimator = bs.Estimator(
        supply=False,
        instruments=bs.instruments.Own(),
        integration=bs.Integration("product", 5),
        bounds={"sigma[x,x]": (0.0, 1.0)},
        gmm=bs.GMM(method="1s", optimizer=bs.Optimizer("return")),
    )
    streams = bs.Streams(seed=1, replication=0)
    estimate = estimator.estimate(scenario.generate(streams), streams)
    place = estimator.names(scenario).index("sigma[x,x]")
    assert [start.value[place] for start in estimate.starts] == [1.0, 1.0, 1.0]
