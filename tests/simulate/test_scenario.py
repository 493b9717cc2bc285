from __future__ import annotations

import dataclasses
import pickle
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from blpsim.economy.equilibrium import PriceIteration
from blpsim.errors import BlpsimError, ConfigurationError
from blpsim.model.integration import Integration, Specification
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.simulate.distributions import (
    Bernoulli,
    Constant,
    Lognormal,
    Normal,
    OneOf,
    PerMarket,
    Uniform,
)
from blpsim.simulate.markets import Errors, Markets
from blpsim.simulate.measurement import MeasuredShares
from blpsim.status import Status
from blpsim.streams import Streams

from .scenarios import PARTS, scenario

STREAMS = Streams(seed=1, replication=3, stream_key="a key")
WITH_INCOME = {
    "model": Model(linear="1 + x + prices", nonlinear="0 + x", demographics="0 + income", supply="1 + x + w"),
    "truth": Parameters(beta=[-7, 6, -1], sigma=[[1.0]], pi=[[0.5]], gamma=[2, 1, 0.2]),
}
DEMAND_ONLY = {
    "model": Model(linear="1 + x + prices", nonlinear="0 + x"),
    "truth": Parameters(beta=[-3, 2, -1], sigma=[[1.0]]),
    "characteristics": {"x": Uniform(0, 1), "prices": Uniform(1, 2)},
}


def column(dataset, name):
    return dataset.economy.products.columns[name]


def test_a_dataset_obeys_the_model_that_made_it():
    economy = (made := scenario().generate(STREAMS)).economy
    x, w, prices = (column(made, name) for name in ("x", "w", "prices"))
    np.testing.assert_allclose(economy.delta, -7 + 6 * x - prices + economy.xi, rtol=1e-12)
    np.testing.assert_allclose(economy.costs, 2 + x + 0.2 * w + economy.omega, rtol=1e-12)
    utilities = economy.delta[:, None] + 3 * np.outer(x, np.ones(50)) * 0
    for t in range(6):
        j = slice(*economy.products.market_offsets[t : t + 2])
        i = slice(*economy.agents.market_offsets[t : t + 2])
        odds = np.exp(utilities[j] + 3 * np.outer(x[j], economy.agents.nodes[0, i]))
        shares = (odds / (1 + odds.sum(axis=0))) @ economy.agents.weights[i]
        np.testing.assert_allclose(column(made, "shares")[j], shares, rtol=1e-11)


def test_a_dataset_says_how_well_its_prices_are_an_equilibrium():
    dataset = scenario().generate(STREAMS)
    shares = dataset.products.groupby("market_ids")["shares"].sum()
    assert dataset.status is Status.CONVERGED
    assert 0 < dataset.equilibrium_residual < 1e-12
    assert dataset.outside_share == pytest.approx(1 - shares.mean(), rel=1e-12)
    assert len(dataset.agents) == 6 * 50
    assert {"market_ids", "firm_ids", "x", "w", "prices", "shares"} == set(dataset.products)


def test_logs_of_costs_can_be_linear():
    made = scenario(model=dataclasses.replace(PARTS["model"], costs="log")).generate(STREAMS)
    x, w = column(made, "x"), column(made, "w")
    np.testing.assert_allclose(np.log(made.economy.costs), 2 + x + 0.2 * w + made.economy.omega, rtol=1e-12)


def test_negative_costs_are_counted_and_kept():
    truth = Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[-0.5, 1, 0.2])
    made = scenario(truth=truth).generate(STREAMS)
    assert made.negative_costs == (made.economy.costs < 0).sum() > 0


def test_without_supply_prices_are_drawn_and_shares_follow():
    made = scenario(**DEMAND_ONLY).generate(STREAMS)
    assert made.status is Status.CONVERGED
    assert made.economy.costs is None
    assert made.economy.omega is None
    assert np.all((column(made, "prices") > 1) & (column(made, "prices") < 2))
    assert 0 < made.outside_share < 1


def test_without_random_coefficients_shares_are_logit():
    made = scenario(
        model=Model(linear="1 + x + prices", supply="1 + x + w"),
        truth=Parameters(beta=[-7, 6, -1], gamma=[2, 1, 0.2]),
        consumers=None,
    ).generate(STREAMS)
    shares = column(made, "shares")
    outside = 1 - np.add.reduceat(shares, made.economy.products.market_offsets[:-1])
    outside = np.repeat(outside, np.diff(made.economy.products.market_offsets))
    np.testing.assert_allclose(np.log(shares) - np.log(outside), made.economy.delta, rtol=1e-10)


def test_the_same_streams_give_the_same_bits():
    one, other = scenario().generate(STREAMS), scenario().generate(STREAMS)
    for name, values in one.economy.products.columns.items():
        np.testing.assert_array_equal(values, column(other, name))
    np.testing.assert_array_equal(one.economy.agents.nodes, other.economy.agents.nodes)


@pytest.mark.parametrize("change", [{"seed": 2}, {"replication": 4}, {"stream_key": "another"}], ids=str)
def test_other_streams_give_other_data(change):
    one = scenario().generate(STREAMS)
    other = scenario().generate(dataclasses.replace(STREAMS, **change))
    assert one.economy.xi[0] != other.economy.xi[0]
    assert column(one, "x")[0] != column(other, "x")[0]


def test_another_characteristic_changes_no_other_number():
    plain = scenario().generate(STREAMS)
    more = scenario(characteristics={"z": Normal(), **PARTS["characteristics"]}).generate(STREAMS)
    for name, values in plain.economy.products.columns.items():
        np.testing.assert_array_equal(values, column(more, name))
    assert "z" in more.products


def test_other_consumers_leave_products_and_errors_alone():
    few, many = scenario(), scenario(consumers=Integration("monte_carlo", 80))
    few, many = few.generate(STREAMS), many.generate(STREAMS)
    for name in ("x", "w", "firm_ids"):
        np.testing.assert_array_equal(column(few, name), column(many, name))
    np.testing.assert_array_equal(few.economy.xi, many.economy.xi)
    np.testing.assert_array_equal(few.economy.costs, many.economy.costs)


def test_dropping_the_supply_side_keeps_xi():
    full, half = scenario().generate(STREAMS), scenario(**DEMAND_ONLY).generate(STREAMS)
    np.testing.assert_array_equal(full.economy.xi, half.economy.xi)


def test_streams_without_a_key_take_the_content_of_the_scenario():
    bare = Streams(seed=1, replication=3)
    made = scenario()
    keyed = made.generate(bare.keyed(made.stream_key))
    np.testing.assert_array_equal(made.generate(bare).economy.xi, keyed.economy.xi)


def test_a_scenario_with_other_content_has_another_key_unless_it_is_told_one():
    one = scenario()
    other = dataclasses.replace(one, errors=Errors(xi_variance=0.3, omega_variance=0.2, covariance=0.1))
    assert one.stream_key == scenario().stream_key != other.stream_key
    assert dataclasses.replace(other, stream_key="shared").stream_key == "shared"


def test_truth_is_named_as_results_name_it():
    assert scenario().truth_by_name() == {
        "beta[1]": -7,
        "beta[x]": 6,
        "beta[prices]": -1,
        "sigma[x,x]": 3,
        "gamma[1]": 2,
        "gamma[x]": 1,
        "gamma[w]": 0.2,
    }


def test_a_pickled_scenario_draws_the_same_data():
    copy = pickle.loads(pickle.dumps(made := scenario()))
    assert copy.stream_key == made.stream_key
    np.testing.assert_array_equal(copy.generate(STREAMS).economy.delta, made.generate(STREAMS).economy.delta)


def test_demographics_are_drawn_for_each_agent_and_move_tastes():
    made = scenario(**WITH_INCOME, demographics={"income": Lognormal(0, 0.3)}).generate(STREAMS)
    assert made.economy.agents.demographics.shape == (1, 300)
    assert made.economy.agents.demographic_names == ("income",)
    poor = scenario(**WITH_INCOME, demographics={"income": Constant(0.0)}).generate(STREAMS)
    assert made.outside_share < poor.outside_share


def test_rows_of_a_frame_are_resampled_together():
    frame = pd.DataFrame({"income": [1.0, 2.0, 3.0], "age": [10.0, 20.0, 30.0]})
    model = Model(linear="1 + prices", nonlinear="0 + x", demographics="0 + income + age", supply="1 + x + w")
    truth = Parameters(beta=[-7, -1], sigma=[[1.0]], pi=[[0.5, 0.01]], gamma=[2, 1, 0.2])
    made = scenario(model=model, truth=truth, demographics=frame).generate(STREAMS)
    income, age = made.economy.agents.demographics
    np.testing.assert_array_equal(age, 10 * income)
    assert set(income) == {1.0, 2.0, 3.0}


def test_a_frame_with_markets_gives_each_market_the_people_of_one():
    frame = pd.DataFrame({"market_ids": ["a", "a", "b"], "income": [1.0, 1.5, 9.0]})
    made = scenario(**WITH_INCOME, demographics=frame).generate(STREAMS)
    by_market = made.economy.agents.demographics[0].reshape(6, 50)
    assert all(set(row) <= {1.0, 1.5} or set(row) == {9.0} for row in by_market)


def test_an_estimator_draws_other_people_from_the_same_population():
    made = scenario(**WITH_INCOME, demographics={"income": OneOf(Uniform(1, 2), Uniform(3, 4))})
    dataset = made.generate(STREAMS)
    drawn = dataset.draw_agents(made.model, Integration("monte_carlo", 50), STREAMS, "an estimator")
    assert drawn.nodes.shape == dataset.economy.agents.nodes.shape
    assert not np.any(drawn.nodes == dataset.economy.agents.nodes)
    assert not np.any(drawn.demographics == dataset.economy.agents.demographics)
    again = dataset.draw_agents(made.model, Integration("monte_carlo", 50), STREAMS, "an estimator")
    np.testing.assert_array_equal(drawn.nodes, again.nodes)
    np.testing.assert_array_equal(drawn.demographics, again.demographics)


def test_an_estimators_people_live_where_the_consumers_do():
    """What a market's people share, as the state that they live in, is the same whoever draws them."""
    frame = pd.DataFrame({"market_ids": [*"aab"], "income": [1.0, 1.5, 9.0]})
    kinds = {
        "one of several": {"income": OneOf(*(Normal(float(mean), 0.1) for mean in range(4)))},
        "a draw a market": {"income": PerMarket(Normal())},
        "rows of a market": frame,
    }
    model, shares = WITH_INCOME["model"], MeasuredShares(consumers=600, below="redraw")
    for kind, demographics in kinds.items():
        made = scenario(**WITH_INCOME, demographics=demographics, shares=shares).generate(STREAMS)
        assert made.attempts > 1, kind
        drawn = made.draw_agents(model, Integration("monte_carlo", 50), STREAMS, "an estimator")
        lived, lives = (each.demographics[0].reshape(6, 50) for each in (made.economy.agents, drawn))
        assert np.ptp(lived.mean(axis=1)) > 0.5, kind
        # Within a market incomes differ by less than 4 times .1, or by .5 between the rows of "a".
        assert np.abs(lived.mean(axis=1) - lives.mean(axis=1)).max() < 0.4, kind
        if kind != "a draw a market":
            assert np.any(lived != lives), kind


def test_conduct_says_who_sets_prices():
    kinds = ("perfect_competition", "single_product", "bertrand", "monopoly")
    means = [column(scenario(conduct=kind).generate(STREAMS), "prices").mean() for kind in kinds]
    assert means == sorted(set(means))


@pytest.mark.parametrize(
    "beta",
    [[-7, 6, 1], [-7, 6, 0.0], [700, 6, -1e8], [-7, 1e300, -1]],
    ids=["up", "flat", "steep", "vast"],
)
def test_an_economy_that_cannot_be_solved_is_a_status(beta):
    truth = Parameters(beta=beta, sigma=[[3.0]], gamma=[2, 1, 0.2])
    iteration = PriceIteration(max_evaluations=50)
    made = scenario(truth=truth, prices=iteration).generate(STREAMS)
    assert made.status is Status.EQUILIBRIUM_FAILED
    assert np.isnan(made.outside_share)


WRONG = {
    "an unknown variable": ({"characteristics": {"x": Uniform()}}, "Model.supply has a variable 'w'"),
    "no distribution": ({"characteristics": {"x": 3, "w": Uniform()}}, "characteristics['x']"),
    "a name that is taken": (
        {"characteristics": {**PARTS["characteristics"], "shares": Uniform()}},
        "'shares' follows",
    ),
    "prices twice": (
        {"characteristics": {**PARTS["characteristics"], "prices": Uniform()}},
        "makes prices an equilibrium",
    ),
    "no prices": ({**DEMAND_ONLY, "characteristics": {"x": Uniform()}}, "'prices'"),
    "truth of another shape": ({"truth": Parameters(beta=[1, 2], sigma=[[3.0]], gamma=[2, 1, 0])}, "beta"),
    "truth of another name": ({"truth": Parameters(beta={"y": 1}, sigma=[[3.0]], gamma=[2, 1, 0])}, "beta"),
    "no true gamma": ({"truth": Parameters(beta=[-7, 6, -1], sigma=[[3.0]])}, "gamma"),
    "a missing beta": (
        {"truth": Parameters(beta=[-7, np.nan, -1], sigma=[[3.0]], gamma=[2, 1, 0.2])},
        "beta[x]",
    ),
    "no consumers": ({"consumers": None}, "Scenario.consumers"),
    "consumers without X2": (
        {
            "model": Model(linear="1 + x + prices", supply="1 + x + w"),
            "truth": Parameters(beta=[-7, 6, -1], gamma=[2, 1, 0.2]),
        },
        "Scenario.consumers",
    ),
    "unknown conduct": ({"conduct": "collusion"}, "bertrand"),
    "conduct without supply": ({**DEMAND_ONLY, "conduct": "monopoly"}, "Scenario.conduct"),
    "demographics that no formula has": ({"demographics": {"income": Uniform()}}, "Scenario.demographics"),
    "no income": ({**WITH_INCOME, "demographics": {"age": Bernoulli()}}, "income"),
    "no demographics": (WITH_INCOME, "income"),
    "fixed effects": (
        {"model": dataclasses.replace(PARTS["model"], absorb_demand="C(firm_ids)")},
        "absorb_demand",
    ),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_a_process_that_cannot_be_drawn_is_refused_when_it_is_written(changes, words):
    with pytest.raises(BlpsimError) as caught:
        scenario(**changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_single_product_market_has_an_equilibrium():
    made = scenario(markets=Markets(number=4)).generate(STREAMS)
    assert made.status is Status.CONVERGED
    assert made.economy.products.number == 4


RANDOM_RULES = [rule for rule in get_args(Specification) if Integration(rule, 8).is_random]


@pytest.mark.parametrize("rule", RANDOM_RULES)
def test_nodes_of_an_estimator_are_independent_of_those_that_generated_the_data(rule):
    """Both name the same rule of the same size, without a seed; what must not correlate are their errors."""
    integration = Integration(rule, 16)
    made = scenario(consumers=integration).generate(STREAMS)
    errors = []
    for replication in range(100):
        streams = dataclasses.replace(STREAMS, replication=replication)
        roles = ("consumers", "estimation")
        agents = [made.draw_agents(made.economy.model, integration, streams, role) for role in roles]
        errors.append([np.tanh(1 + each.nodes).mean() for each in agents])
        assert not np.intersect1d(agents[0].nodes, agents[1].nodes).size
    assert abs(np.corrcoef(np.array(errors).T)[0, 1]) < 4 / np.sqrt(100)


@pytest.mark.parametrize("rule", RANDOM_RULES)
def test_the_consumers_who_made_the_shares_are_those_of_their_stream(rule):
    integration = Integration(rule, 16)
    made = scenario(consumers=integration).generate(STREAMS)
    again = made.draw_agents(made.economy.model, integration, STREAMS, "consumers")
    np.testing.assert_array_equal(made.economy.agents.nodes, again.nodes)


def test_consumers_whose_rule_does_not_come_in_the_models_dimensions_are_refused():
    model = Model(linear="1 + x + prices", nonlinear="1 + x + w + prices", supply="1 + x + w")
    truth = Parameters(beta=[-7, 6, -1], sigma=np.eye(4), gamma=[2, 1, 0.2])
    with pytest.raises(ConfigurationError, match=r"^Integration.size = 50: expected at most 1,000,000 nodes"):
        scenario(model=model, truth=truth, consumers=Integration("product", 50))
