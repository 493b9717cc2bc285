"""Estimators that get the model or the conduct of firms wrong."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import ConfigurationError, FormulaError, ParameterError
from blpsim.estimate.starts import starting_values
from tests.simulate.scenarios import scenario

from .refusals import refused

RULE = bs.Integration("product", 5)
ONE = bs.Starts(1, width=0.1)
MARKETS = bs.Markets(number=30, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(1, 2, 3))
NESTED = {
    "model": bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w", nests="nesting_ids"),
    "truth": bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], rho=0.4, gamma=[2, 1, 2]),
    "nests": bs.Assign(2),
}
PLAIN = {"truth": bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 2]), "markets": MARKETS}
LOGIT = bs.Model(linear="1 + x + prices", supply="1 + x + w")
LINEAR = ("beta[1]", "beta[x]", "beta[prices]")
COSTS = ("gamma[1]", "gamma[x]", "gamma[w]")


@functools.cache
def drawn(conduct="bertrand", nested=False):
    process = scenario(**{**PLAIN, **(NESTED if nested else {}), "conduct": conduct})
    streams = bs.Streams(seed=5, replication=0, stream_key="shared")
    return process, process.generate(streams), streams


def estimated(estimator, *which):
    process, dataset, streams = drawn(*which)
    found = estimator.estimate(dataset, streams)
    assert found.status.is_usable
    return dict(zip(estimator.names(process), found.values, strict=True)), found


@pytest.mark.parametrize(
    "conduct", ["bertrand", "monopoly", "perfect_competition", bs.Ownership(0.5)], ids=str
)
def test_an_estimator_takes_prices_to_be_set_as_they_are_unless_it_says_otherwise(conduct):
    process, dataset, streams = drawn(conduct)
    default = bs.Estimator(integration=RULE, starts=ONE)
    right = dataclasses.replace(default, conduct=conduct)
    wrong = dataclasses.replace(default, conduct=bs.Ownership({(0, 1): 0.9}))
    solutions = [each.solution(dataset, streams).best for each in (default, right, wrong)]
    assert np.array_equal(solutions[0].values, solutions[1].values)
    assert not np.allclose(solutions[0].costs, solutions[2].costs)
    assert (
        solutions[0].economy.conduct == process.generate(streams).economy.conduct == dataset.economy.conduct
    )
    assert solutions[2].economy.conduct == bs.Ownership({(0, 1): 0.9})


@pytest.mark.parametrize("conduct", ["monopoly", bs.Ownership(0.5)], ids=str)
def test_costs_are_recovered_at_the_truth_and_only_under_the_true_conduct(conduct):
    economy = drawn(conduct)[1].economy
    np.testing.assert_allclose(economy.implied_costs(), economy.costs, rtol=1e-7)
    bertrand = dataclasses.replace(economy, conduct=bs.Conduct.BERTRAND).implied_costs()
    assert (bertrand >= economy.costs - 1e-9).all()
    assert (bertrand - economy.costs).max() > 0.1


def test_price_takers_are_never_believed_to_have_market_power():
    values, found = estimated(bs.Estimator(integration=RULE, starts=ONE), "perfect_competition")
    dataset = drawn("perfect_competition")[1]
    np.testing.assert_array_equal(found.economy.costs, dataset.economy.products.prices)
    assert abs(values["gamma[1]"] - 2) < 0.2


def test_optimal_instruments_do_without_those_that_follow_from_costs():
    first = bs.Estimator(integration=RULE, starts=ONE)
    optimal = dataclasses.replace(first, instruments=bs.instruments.Optimal(first=first))
    values, found = estimated(optimal, "perfect_competition")
    assert found.status is bs.Status.CONVERGED
    assert abs(values["beta[prices]"] + 1) < 0.2
    instruments = found.result.origin.setting.demand_instruments
    assert (~instruments.any(axis=1)).sum() == 1


def test_a_model_without_random_coefficients_is_estimated_on_data_that_have_them():
    estimator = bs.Estimator(model=LOGIT, starts=ONE)
    assert estimator.names(drawn()[0]) == (*LINEAR, *COSTS)
    values, found = estimated(estimator)
    assert values["beta[x]"] > 6.5
    assert found.economy.model == LOGIT


def test_a_model_without_nests_is_estimated_on_data_that_have_them():
    plain = scenario().model
    names = (*LINEAR, "sigma[x,x]", *COSTS)
    assert bs.Estimator(model=plain, integration=RULE).names(drawn("bertrand", True)[0]) == names
    values, _ = estimated(bs.Estimator(model=plain, integration=RULE, starts=ONE), "bertrand", True)
    truthful, _ = estimated(bs.Estimator(integration=RULE, starts=ONE), "bertrand", True)
    assert abs(values["beta[prices]"] + 1) > 3 * abs(truthful["beta[prices]"] + 1)


def test_a_larger_model_is_given_values_to_start_from():
    model = bs.Model(linear="1 + x + prices", nonlinear="0 + x + w", supply="1 + x + w")
    start = bs.Parameters(sigma=np.diag([3.0, 0.5]))
    estimator = bs.Estimator(model=model, parameters=start, integration=RULE, starts=ONE)
    assert estimator.names(drawn()[0]) == (*LINEAR, "sigma[x,x]", "sigma[w,w]", *COSTS)
    _, found = estimated(estimator)
    begun = dict(zip(estimator.names(drawn()[0]), found.starts[0].value, strict=True))
    assert 0.45 <= begun["sigma[w,w]"] <= 0.55
    assert -1.1 <= begun["beta[prices]"] <= -0.9


def test_a_supply_side_that_the_scenario_lacks_is_estimated_on_its_prices():
    process = scenario(
        model=bs.Model(linear="1 + x + prices", nonlinear="0 + x"),
        truth=bs.Parameters(beta=[-3, 2, -1], sigma=[[1.0]]),
        characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1), "prices": bs.Uniform(3, 4)},
        markets=MARKETS,
    )
    estimator = bs.Estimator(model=scenario().model, integration=RULE, starts=ONE)
    assert estimator.names(process) == (*LINEAR, "sigma[x,x]", *COSTS)
    streams = bs.Streams(seed=1, replication=0, stream_key="a")
    assert estimator.estimate(process.generate(streams), streams).values.shape == (7,)


def test_absorbed_effects_are_no_parameters():
    model = bs.Model(
        linear="0 + x + prices", nonlinear="0 + x", supply="1 + x + w", absorb_demand="C(firm_ids)"
    )
    values, _ = estimated(bs.Estimator(model=model, integration=RULE, starts=ONE))
    assert "beta[1]" not in values
    assert abs(values["beta[prices]"] + 1) < 0.3


def test_the_scenarios_own_model_is_what_it_is_without_one():
    process, dataset, streams = drawn()
    plain = bs.Estimator(integration=RULE, starts=ONE)
    named = dataclasses.replace(plain, model=process.model)
    assert named.names(process) == plain.names(process)
    assert np.array_equal(named.estimate(dataset, streams).values, plain.estimate(dataset, streams).values)


@pytest.mark.parametrize(
    ("truth", "given", "expected"),
    [
        (0.4, None, {"rho": 0.4}),
        ([0.2, 0.4], None, {"rho[0]": 0.2, "rho[1]": 0.4}),
        ([0.2, 0.0], None, {"rho[0]": 0.2}),
        (0.4, [0.1, 0.3], {"rho[0]": 0.1, "rho[1]": 0.3}),
    ],
)
def test_values_are_found_by_name_unless_a_block_is_given(truth, given, expected):
    process = scenario(**{**NESTED, "truth": dataclasses.replace(NESTED["truth"], rho=truth)})
    columns = process.columns_of(process.model)
    own = None if given is None else bs.Parameters(rho=given)
    start = starting_values(own, (process.truth, process.names), columns, True)
    estimated = start.estimated(columns.names)
    values = {name: value for name, value in start.by_name(columns.names).items() if estimated[name]}
    assert values == {"beta[prices]": -1, "sigma[x,x]": 3, **expected}


def test_zeros_that_the_truth_frees_are_estimated_and_others_are_not():
    truth = bs.Parameters(beta=[-7, 6, -1], sigma=[[0.0]], gamma=[2, 1, 2], free=["sigma[x,x]"])
    process = scenario(truth=truth)
    columns = process.columns_of(process.model)
    start = starting_values(None, (truth, process.names), columns, True)
    assert start.by_name(columns.names) == {"beta[prices]": -1, "sigma[x,x]": 0}
    fixed = dataclasses.replace(truth, free=None)
    with refused(ConfigurationError, "Estimator.parameters", "no sigma[x,x]"):
        starting_values(None, (fixed, process.names), columns, True)


MORE = bs.Model(linear="1 + x + prices", nonlinear="0 + x + w", supply="1 + x + w")
LOGGED = bs.Model(linear="1 + x + log(prices)", nonlinear="0 + x", supply="1 + x + w")
UNKNOWN = bs.Model(linear="1 + y + prices", supply="1 + x + w")
HALF = bs.Model(linear="1 + x + prices", nonlinear="0 + x")
NESTS = dataclasses.replace(scenario().model, nests="firm_ids")


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"model": MORE}, ConfigurationError, "Estimator.parameters"),
        ({"model": LOGGED}, ConfigurationError, "Estimator.parameters"),
        ({"model": NESTS}, ConfigurationError, "Estimator.parameters"),
        ({"model": NESTS, "parameters": bs.Parameters(rho=[0.1])}, None, ""),
        ({"model": HALF}, ConfigurationError, "Estimator.supply"),
        ({"model": LOGIT}, ConfigurationError, "Estimator.integration"),
        ({"model": scenario().model, "integration": None}, ConfigurationError, "Estimator.integration"),
        ({"model": UNKNOWN, "integration": None}, FormulaError, None),
        ({"model": MORE, "parameters": bs.Parameters(sigma=[[1.0]])}, ParameterError, "Parameters.sigma"),
        ({"model": MORE, "parameters": bs.Parameters(sigma=np.eye(2), pi=[[1.0]])}, ParameterError, None),
    ],
)
def test_a_model_that_cannot_be_estimated_on_the_data_is_refused_before_any_data(changes, error, field):
    estimator = bs.Estimator(**{"integration": RULE, **changes})
    if error is None:
        assert "rho" in estimator.names(drawn()[0])
        return
    with pytest.raises(error) as caught:
        estimator.names(drawn()[0])
    assert field is None or caught.value.field == field


def test_starting_values_without_a_model_are_refused():
    with refused(ConfigurationError, "Estimator.parameters"):
        bs.Estimator(parameters=bs.Parameters(beta=[1, 2, 3]))


def test_a_scenario_that_does_not_know_other_models_is_refused_one():
    process = drawn()[0]

    class Bare:
        model, truth, names = process.model, process.truth, process.names

    with refused(ConfigurationError, "Estimator.model"):
        bs.Estimator(model=LOGIT).names(Bare())


def test_agents_are_sampled_at_an_estimate_of_the_same_model():
    first = bs.Estimator(integration=RULE)
    sampling = bs.ImportanceSampling(first=first, integration=bs.Integration("monte_carlo", 50), draws=10)
    bs.Estimator(integration=sampling)
    with refused(ConfigurationError, "ImportanceSampling.first.model", None):
        bs.Estimator(model=MORE, integration=sampling)


def test_the_generators_agents_serve_models_with_its_random_coefficients_alone():
    plain = scenario().model
    estimator = bs.Estimator(model=plain, integration="generator", starts=ONE)
    _, found = estimated(estimator, "bertrand", True)
    assert found.economy.agents.number == drawn("bertrand", True)[1].economy.agents.number
    larger = bs.Estimator(
        model=MORE, integration="generator", parameters=bs.Parameters(sigma=np.diag([3.0, 0.5]))
    )
    with refused(ConfigurationError, "Estimator.integration", "generator"):
        larger.names(drawn()[0])
