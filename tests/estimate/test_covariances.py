"""Covariance moments E[xi omega Z_C]: gradients, Jacobians, refusals, and what they identify."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import blpsim as bs
from blpsim.errors import BlpsimError
from blpsim.estimate.inference import two_stage_weighting
from blpsim.estimate.objective import Objective
from blpsim.estimate.setting import with_covariances
from blpsim.model.instruments import Excluded

from .problems import CURVED, NESTED_SUPPLY, SUPPLY, posed

MEAN = 0.05
EFFECTS = 31
"""A seed of fixed effects on both sides."""


def objective_of(seed):
    """Return an objective with two covariance moments and weights that link all moments."""
    made = posed(seed)
    generator = np.random.default_rng(seed)
    columns = np.column_stack((np.ones(made.problem.setting.number),) * 2)
    columns[:, 1] = generator.normal(size=len(columns))
    setting = with_covariances(made.problem.setting, columns)
    root = np.linalg.cholesky(two_stage_weighting(setting))
    noise = generator.normal(size=root.shape)
    weighting = root @ (np.eye(len(root)) + 0.05 * noise @ noise.T) @ root.T
    gmm = dataclasses.replace(made.gmm, W=None, covariance_moments_mean=MEAN)
    return made, Objective(setting, made.layout, gmm, weighting)


def difference(function, theta, k):
    """Return a fourth-order central difference by the element k of theta."""
    step = np.zeros(theta.size)
    step[k] = 2e-4 * max(0.1, abs(theta[k]))
    near, far = (function(theta + n * step) - function(theta - n * step) for n in (1, 2))
    return (8 * near - far) / (12 * step[k])


@pytest.mark.parametrize("seed", [SUPPLY, CURVED, NESTED_SUPPLY, EFFECTS])
def test_the_gradient_is_that_of_the_objective(seed):
    """A fourth-order difference of this step is right to about 1e-9 of its largest element."""
    made, objective = objective_of(seed)
    theta = made.theta
    gradient = objective(theta)[1].copy()
    found = np.array([difference(lambda at: objective(at)[0], theta, k) for k in range(theta.size)])
    assert np.abs(gradient - found).max() < 1e-7 * np.abs(found).max()


def test_moments_are_averages_of_the_product_less_its_mean():
    made, objective = objective_of(SUPPLY)
    objective(made.theta)
    xi, omega = objective.residuals()
    rows, moments = objective.setting.covariance_instruments, objective.state.moments
    assert moments[-2:] == pytest.approx(rows @ (xi * omega - MEAN) / xi.size, rel=1e-12)
    assert objective.moment_residuals()[2] == pytest.approx(xi * omega - MEAN)


@dataclasses.dataclass(frozen=True)
class NoneExcluded:
    """No instrument but the exogenous columns."""

    def build(self, source):
        nothing = np.empty((source.characteristics.shape[1], 0))
        return Excluded(nothing, nothing)


def scenario(covariance):
    return bs.Scenario(
        model=bs.Model(linear="1 + x + prices", supply="1 + x"),
        truth=bs.Parameters(beta=[-1, 2, -1], gamma=[2, 1]),
        markets=bs.Markets(number=40, firms=5, products_per_firm=2),
        characteristics={"x": bs.Uniform(0, 1)},
        errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=covariance),
    )


def price_coefficients(covariance, mean):
    """Return estimates from 20 datasets."""
    estimator = bs.Estimator(
        instruments=NoneExcluded(),
        covariance_instruments="1",
        starts=bs.Starts(1, around="truth", width=0.2),
        gmm=bs.GMM(method="1s", covariance_moments_mean=mean),
    )
    made, found = scenario(covariance), []
    for replication in range(20):
        streams = bs.Streams(seed=5, replication=replication)
        estimate = estimator.estimate(made.generate(streams), streams)
        assert estimate.status.is_usable
        found.append(estimate.values[estimator.names(made).index("beta[prices]")])
    return np.array(found)


@pytest.mark.parametrize("covariance", [0.0, 0.08])
def test_a_covariance_identifies_the_price_coefficient_without_excluded_instruments(covariance):
    """Four Monte Carlo standard errors of the mean, and none when the covariance is taken to be another."""
    found = price_coefficients(covariance, covariance)
    error = found.std(ddof=1) / np.sqrt(found.size)
    assert abs(found.mean() + 1) < 4 * error
    wrong = price_coefficients(covariance, covariance - 0.06)
    assert abs(wrong.mean() + 1) > 4 * wrong.std(ddof=1) / np.sqrt(wrong.size)


def test_what_covariance_moments_need_is_asked_for():
    with pytest.raises(BlpsimError, match="without a supply side"):
        bs.Estimator(covariance_instruments="1", supply=False)
    with pytest.raises(BlpsimError, match="exogenous"):
        bs.Estimator(covariance_instruments="1 + prices")
    with pytest.raises(BlpsimError, match="innovations"):
        bs.Estimator(covariance_instruments="1", gmm=bs.GMM(demand_moment_types="innovations"))
    with pytest.raises(BlpsimError, match="covariance_moments_mean"):
        bs.GMM(covariance_moments_mean=np.nan)
    frame = pd.DataFrame(scenario(0.0).generate(bs.Streams(seed=1, replication=0)).products)
    crossed = frame.assign(covariance_instruments0=1.0)
    with pytest.raises(BlpsimError, match="supply side"):
        bs.Problem(bs.Model(linear="1 + x + prices"), crossed)
    twice = crossed.assign(covariance_instruments1=2.0, demand_instruments0=frame["x"] ** 2)
    with pytest.raises(BlpsimError, match="covariance_instruments1"):
        bs.Problem(bs.Model(linear="1 + x + prices", supply="1 + x"), twice)
