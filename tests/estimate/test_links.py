"""Lognormal and logit coefficients from the scenario to the estimate."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import blpsim as bs
from blpsim.estimate.objective import Objective
from blpsim.model.layout import layout
from blpsim.status import Status
from tests.parity.own import own_parameters, own_problem
from tests.parity.problems import random_case

LOGNORMAL = bs.Scenario(
    model=bs.Model(
        linear="1 + x", nonlinear="0 + I(-prices)", rc_types=("log",), demographics="1", supply="1 + x + w"
    ),
    truth=bs.Parameters(beta=[1, 3], sigma=[[0.5]], pi=[[0.2]], gamma=[2, 1, 1]),
    markets=bs.Markets(number=20, firms=bs.Choice(2, 5), products_per_firm=bs.Choice(3, 4)),
    characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
    errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    consumers=bs.Integration("product", 9),
)
REPLICATIONS = 8


@functools.cache
def estimates(supply):
    """Return estimates and standard errors, (R, P) each, with the names and true values."""
    estimator = bs.Estimator(
        supply=supply,
        integration=bs.Integration("product", 9),
        starts=bs.Starts(1, around="truth", width=0.3),
        gmm=bs.GMM(method="1s"),
    )
    names = estimator.names(LOGNORMAL)
    found = []
    for replication in range(REPLICATIONS):
        streams = bs.Streams(seed=1, replication=replication)
        found.append(estimator.estimate(LOGNORMAL.generate(streams), streams))
    assert all(estimate.status is Status.CONVERGED for estimate in found)
    truth = LOGNORMAL.truth_by_name()
    values, errors = (np.array([getattr(e, f) for e in found]) for f in ("values", "standard_errors"))
    return values, errors, np.array([truth[name] for name in names])


@pytest.mark.parametrize("supply", [False, True], ids=["demand", "supply"])
def test_a_lognormal_price_coefficient_is_recovered(supply):
    """Within four errors of a mean of eight, and its errors are of the size of the estimates' spread."""
    values, errors, truth = estimates(supply)
    distance = np.abs(values.mean(axis=0) - truth)
    assert (distance < 4 * np.sqrt((errors**2).mean(axis=0) / REPLICATIONS)).all()
    ratio = values.std(axis=0, ddof=1) / np.sqrt((errors**2).mean(axis=0))
    # Seven degrees of freedom: outside of this once in ten thousand.
    assert ((ratio > 0.15) & (ratio < 2.2)).all()


def test_demand_of_every_consumer_slopes_down_with_a_lognormal_price_coefficient():
    economy = LOGNORMAL.generate(bs.Streams(seed=1, replication=0)).economy
    assert (economy.own_elasticities() < 0).all()
    assert np.isfinite(economy.consumer_surplus()).all()
    np.testing.assert_allclose(economy.implied_costs(), economy.costs, rtol=1e-9)
    np.testing.assert_allclose(economy.shares(), economy.products.shares, rtol=1e-9)


def problem_of(rc_types, seed=2):
    case = random_case(seed)
    model = {name: value for name, value in case.model.items() if name != "rc_types"}
    case = dataclasses.replace(case, model={**model, "rc_types": rc_types})
    return own_problem(case), own_parameters(case)


def test_types_that_are_all_linear_are_those_of_a_model_without():
    (problem, parameters), (other, _) = problem_of(None), problem_of(("linear",) * 3)
    ours, theirs = problem.evaluate(parameters), other.evaluate(parameters)
    assert theirs.objective == pytest.approx(ours.objective, rel=1e-12)
    bound = layout(parameters, other.setting.columns, other.setting.supply)
    assert Objective(other.setting, bound, bs.GMM(), ours.W).state.link_slopes.shape[0] == 0


@pytest.mark.parametrize(("rc_type", "constant"), [("linear", 0.0), ("log", 1.0), ("logit", 0.5)])
def test_a_coefficient_without_loadings_is_the_link_of_zero(rc_type, constant):
    (problem, parameters), (other, _) = problem_of(None), problem_of(("linear", "linear", rc_type))
    sigma = np.array(parameters.sigma)
    sigma[2] = 0
    parameters = dataclasses.replace(parameters, sigma=sigma)
    plain, linked = problem.evaluate(parameters), other.evaluate(parameters)
    label = problem.setting.columns.x2.names[2]
    x = problem.setting.products.restored(problem.setting.products.columns[label])
    np.testing.assert_allclose(linked.delta, plain.delta - constant * x, rtol=0, atol=1e-12)


def test_coefficients_beyond_a_floats_range_give_a_status_and_no_number():
    problem, parameters = problem_of(("log", "log", "log"))
    huge = dataclasses.replace(parameters, sigma=1e3 * np.array(parameters.sigma))
    found = problem.evaluate(huge)
    assert found.status is not Status.EVALUATED
    assert np.isnan(found.objective)


def test_types_tell_scenarios_apart():
    other = dataclasses.replace(LOGNORMAL.model, rc_types=("logit",))
    assert dataclasses.replace(LOGNORMAL, model=other).stream_key != LOGNORMAL.stream_key


def test_types_vary_in_a_design():
    varied = bs.vary(LOGNORMAL, {"model.rc_types": (("log",), ("logit",))})
    assert [each.scenario.model.rc_types for each in varied.values()] == [("log",), ("logit",)]
