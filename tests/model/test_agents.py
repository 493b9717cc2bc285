"""Agents: from tables, from integration, from both as in PyBLP, and refused in one line."""

import warnings

import numpy as np
import pandas as pd
import pyblp
import pytest

from blpsim.errors import BlpsimWarning, ConfigurationError, DataError, ParameterError
from blpsim.model.agents import read_agents
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.panel import offsets
from blpsim.model.products import read_products

MODEL = Model(linear="1 + prices", nonlinear="1 + prices", demographics="0 + income + I(1/income)")
PLAIN = Model(linear="1 + prices", nonlinear="1 + prices")
PRODUCT = Integration("product", 2)


@pytest.fixture(scope="module")
def products():
    data = {"market_ids": ["b", "a", "b"], "shares": [0.1, 0.2, 0.3], "prices": [1.0, 2.0, 3.0]}
    return read_products(data, MODEL)


def table(**changes):
    data = {
        "market_ids": np.array(["b", "a", "b", "a", "b"]),
        "weights": np.array([0.2, 0.5, 0.3, 0.5, 0.5]),
        "nodes0": np.arange(5.0),
        "nodes1": np.arange(5.0) + 10,
        "income": np.array([1.0, 2.0, 4.0, 5.0, 8.0]),
    } | changes
    return {name: values for name, values in data.items() if values is not None}


def test_agents_are_columns_sorted_by_market(products):
    agents = read_agents(table(), None, products, MODEL)
    assert agents.market_offsets.tolist() == [0, 2, 5]
    assert agents.nodes.tolist() == [[1, 3, 0, 2, 4], [11, 13, 10, 12, 14]]
    assert agents.demographics.tolist() == [[2, 5, 1, 4, 8], [0.5, 0.2, 1, 0.25, 0.125]]
    assert agents.demographic_names == ("income", "1/income")
    assert agents.number == 5
    assert agents.nodes.flags.c_contiguous
    assert agents.demographics.flags.c_contiguous


def test_agents_show_as_a_table_with_pyblps_names(products):
    frame = read_agents(table(), None, products, MODEL).frame()
    assert list(frame) == ["market_ids", "weights", "nodes0", "nodes1", "income", "1/income"]
    assert frame["market_ids"].tolist() == ["a", "a", "b", "b", "b"]


def test_offsets_join_products_and_agents(products):
    joined = offsets(products, read_agents(table(), None, products, MODEL))
    assert joined.products.tolist() == [0, 1, 3]
    assert joined.agents.tolist() == [0, 2, 5]


def test_integration_alone_builds_nodes_for_each_column_of_x2(products):
    agents = read_agents(None, PRODUCT, products, PLAIN)
    assert agents.nodes.shape == (2, 8)
    assert agents.market_offsets.tolist() == [0, 4, 8]
    assert agents.demographics.shape == (0, 8)


def test_with_both_integration_replaces_nodes_and_takes_the_first_rows_of_each_market(products):
    repeated = {name: np.repeat(values, 3) for name, values in table().items()}
    agents = read_agents(repeated, PRODUCT, products, MODEL)
    assert agents.market_offsets.tolist() == [0, 4, 8]
    assert agents.demographics[0].tolist() == [2, 2, 2, 5, 1, 1, 1, 4]
    np.testing.assert_array_equal(agents.nodes, read_agents(None, PRODUCT, products, PLAIN).nodes)


def test_with_both_agents_are_those_of_pyblp(products):
    repeated = {name: np.repeat(values, 3) for name, values in table().items()}
    problem = pyblp.Problem(
        [pyblp.Formulation("1 + prices")] * 2,
        products.frame().assign(demand_instruments0=[1.0, 2.0, 4.0]),
        pyblp.Formulation(MODEL.demographics),
        repeated,
        integration=pyblp.Integration("product", 2),
    )
    agents = read_agents(repeated, PRODUCT, products, MODEL)
    np.testing.assert_array_equal(agents.demographics.T, problem.agents.demographics)
    np.testing.assert_allclose(agents.nodes.T, problem.agents.nodes, atol=1e-14)
    np.testing.assert_allclose(agents.weights, problem.agents.weights.ravel(), atol=1e-15)


def test_draws_come_from_the_generator(products):
    rule = Integration("monte_carlo", 3)
    first = read_agents(None, rule, products, PLAIN, np.random.default_rng(1))
    again = read_agents(None, rule, products, PLAIN, np.random.default_rng(1))
    np.testing.assert_array_equal(first.nodes, again.nodes)
    with pytest.raises(ConfigurationError, match=r"^Integration.seed = None: expected a seed, or "):
        read_agents(None, rule, products, PLAIN)


def test_without_x2_one_agent_stands_for_each_market(products):
    agents = read_agents(None, PRODUCT, products, Model(linear="1 + prices"))
    assert agents.nodes.shape == (0, 2)
    assert agents.weights.tolist() == [1, 1]
    with pytest.raises(DataError, match=r"^agents = dict: expected None; "):
        read_agents(table(), None, products, Model(linear="1 + prices"))


def test_fewer_nodes_belong_to_the_columns_of_sigma_that_are_used(products):
    agents = read_agents(table(nodes1=None), None, products, MODEL)
    nodes = agents.consumers(np.array([False, True])).nodes
    assert nodes.tolist() == [[0] * 5, [1, 3, 0, 2, 4]]
    with pytest.raises(ParameterError, match=r"^Parameters.sigma = 2 columns: expected at most 1 columns "):
        agents.consumers(np.array([True, True]))


def test_more_nodes_than_columns_of_sigma_are_left_out(products):
    agents = read_agents(table(nodes2=np.ones(5)), None, products, MODEL)
    assert agents.nodes.shape[0] == 2


def test_weights_that_do_not_sum_to_one_warn(products):
    with pytest.warns(BlpsimWarning, match=r"^agents\['weights'\] = a sum of 2.0 in market a: expected 1; "):
        read_agents(table(weights=np.array([0.2, 1, 0.3, 1, 0.5])), None, products, MODEL)


def test_weights_that_sum_to_one_do_not_warn(products):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_agents(table(), None, products, MODEL)
        read_agents(None, Integration("product", 9), products, PLAIN)


def test_negative_weights_warn_once_and_name_where_they_are(products):
    with pytest.warns(
        BlpsimWarning, match=r"^agents\['weights'\] = 8 of 26 below zero, in market a and 1 "
    ) as said:
        agents = read_agents(None, Integration("grid", 3), products, PLAIN)
    assert (agents.weights < 0).sum() == 8
    assert len(said) == 1
    with pytest.warns(
        BlpsimWarning, match=r"^agents\['weights'\] = 1 of 5 below zero, in market b: expected "
    ):
        read_agents(table(weights=np.array([-0.2, 0.5, 0.7, 0.5, 0.5])), None, products, MODEL)


def test_agents_of_real_data_have_the_values_of_the_file():
    data = pd.read_csv(pyblp.data.NEVO_AGENTS_LOCATION)
    model = Model(linear="0 + prices", nonlinear="1 + prices", demographics="0 + income + child")
    products = read_products(pd.read_csv(pyblp.data.NEVO_PRODUCTS_LOCATION), model)
    agents = read_agents(data, None, products, model)
    frame = agents.frame()
    assert len(frame) == len(data)
    expected = data.sort_values("market_ids", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(frame, expected[list(frame)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"market_ids": None}, "agents['market_ids'] = no such column: expected one column; "),
        ({"market_ids": np.array([*"bacab"])}, "agents['market_ids'] = c: expected markets that have "),
        ({"market_ids": np.array(["b"] * 5)}, "agents['market_ids'] = no a: expected agents in every "),
        ({"weights": None}, "agents['weights'] = no such column: expected one column; "),
        (
            {"weights": np.array([0.2, np.nan, 0.3, 0.5, 0.5])},
            "agents['weights'] = nan in row 1: expected finite numbers; ",
        ),
        ({"nodes0": None}, "agents['nodes0'] = no such column: expected one column; "),
        ({"nodes1": np.full(5, np.inf)}, "agents['nodes1'] = inf in row 0: expected finite numbers; "),
        (
            {"income": np.array([1.0, 2.0, 0.0, 5.0, 8.0])},
            "Model.demographics[1/income] = inf in row 2: expected finite numbers; ",
        ),
        ({"income": np.ones(4)}, "agents['income'] = 4 rows: expected 5 rows; "),
    ],
)
def test_bad_agents_are_one_line_naming_field_value_expectation_and_reason(changes, message, products):
    with pytest.raises(DataError) as caught:
        read_agents(table(**changes), None, products, MODEL)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_too_few_rows_for_the_nodes_are_refused(products):
    with pytest.raises(DataError, match=r"^agents = 2 rows in market a: expected at least 4 rows, one "):
        read_agents(table(), PRODUCT, products, MODEL)


def test_random_coefficients_need_agents_or_integration(products):
    with pytest.raises(DataError, match=r"^agents = None: expected agents, an integration, or both; "):
        read_agents(None, None, products, PLAIN)
    with pytest.raises(DataError, match=r"^agents = None: expected a table with demographics; "):
        read_agents(None, PRODUCT, products, MODEL)


def test_categorical_demographics_become_indicators(products):
    model = Model(linear="1 + prices", nonlinear="1 + prices", demographics="0 + region")
    read = read_products(products.frame(), model)
    agents = read_agents(table(region=np.array([*"nssns"])), None, read, model)
    assert agents.demographic_names == ("region['n']", "region['s']")
    assert agents.demographics.tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 1, 1]]
    marked = Model(linear="1 + prices", nonlinear="1 + prices", demographics="0 + C(region)")
    assert read_products(products.frame(), marked).number == 3
    assert read_agents(table(region=np.arange(5)), PRODUCT, read, PLAIN).demographic_names == ()
