"""Layouts: PyBLP's theta, its bounds, and the way back to blocks."""

from dataclasses import replace

import numpy as np
import pyblp
import pytest

from blpsim.errors import ParameterError
from blpsim.model.layout import layout
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters

MODEL = Model(
    linear="1 + x + prices",
    nonlinear="1 + x + prices",
    demographics="0 + income + age",
    supply="1 + x + w",
)
SIGMA = np.array([[0.5, 0, 0], [0.1, -0.3, 0], [0, 0, 0.2]])
PI = np.array([[0.4, 0], [0, 0.6], [0.7, 0]])


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    columns = {name: generator.uniform(1, 2, 20) for name in ("x", "w", "prices")}
    ids = {"market_ids": np.repeat([0, 1], 10), "firm_ids": np.tile([0, 1], 10)}
    return columns | ids | {"shares": np.full(20, 0.05), "demand_instruments0": columns["w"]}


@pytest.fixture(scope="module")
def agents():
    generator = np.random.default_rng(1)
    nodes = {f"nodes{k}": generator.normal(size=10) for k in range(3)}
    demographics = {"income": generator.uniform(size=10), "age": generator.uniform(size=10)}
    return nodes | demographics | {"market_ids": np.repeat([0, 1], 5), "weights": np.full(10, 0.2)}


@pytest.fixture(scope="module")
def columns(data, agents):
    return MODEL.bind(data, MODEL.bind_demographics(agents))


@pytest.fixture(scope="module")
def start():
    return Parameters(beta=[np.nan, 0, -2], sigma=SIGMA, pi=PI, gamma=[1, np.nan, 0.5])


def test_theta_stands_in_the_order_and_has_the_bounds_of_pyblp(data, agents, columns, start):
    formulas = (MODEL.linear, MODEL.nonlinear, MODEL.supply)
    products = data | {"supply_instruments0": data["x"] ** 2}
    problem = pyblp.Problem(
        [pyblp.Formulation(formula) for formula in formulas],
        products,
        pyblp.Formulation(MODEL.demographics),
        agents,
        costs_type="linear",
    )
    theirs = pyblp.parameters.Parameters(
        problem, SIGMA, PI, beta=[None, 0, -2], gamma=[1, None, 0.5], bounded=True, allow_linear_nans=True
    )
    ours = layout(start, columns, supply=True)
    np.testing.assert_array_equal(ours.theta0, theirs.compress())
    np.testing.assert_array_equal(np.column_stack(ours.default_bounds()), theirs.compress_bounds())
    theta = np.arange(1.0, ours.theta0.size + 1)
    sigma, pi, _, _, beta, gamma = theirs.expand(theta)
    np.testing.assert_array_equal(ours.sigma(theta), sigma)
    np.testing.assert_array_equal(ours.pi(theta), pi)
    np.testing.assert_array_equal(ours.beta(theta), beta.ravel())
    np.testing.assert_array_equal(ours.gamma(theta), gamma.ravel())


def test_names_list_what_is_estimated_block_by_block(columns, start):
    made = layout(start, columns, supply=True)
    nonlinear = ("sigma[1,1]", "sigma[x,1]", "sigma[x,x]", "sigma[prices,prices]")
    pi = ("pi[1,income]", "pi[x,age]", "pi[prices,income]")
    assert made.names == (
        "beta[1]", "beta[prices]", *nonlinear, *pi, "gamma[1]", "gamma[x]", "gamma[w]",
    )  # fmt: skip
    assert made.theta_names == (*nonlinear, *pi, "beta[prices]", "gamma[1]", "gamma[w]")
    assert tuple(made.names[place] for place in made.theta_positions) == made.theta_names
    assert [made.names[place] for place in made.concentrated_positions] == ["beta[1]", "gamma[x]"]
    assert made.beta_given.tolist() == [1, 2]
    assert made.gamma_given.tolist() == [0, 2]


def test_values_and_parameters_carry_theta_and_what_is_concentrated_out(columns, start):
    made = layout(start, columns, supply=True)
    theta = 10 + np.arange(made.theta0.size)
    beta, gamma = np.array([3.0, 0, -99]), np.array([-99, 4.0, -99])
    values = dict(zip(made.names, made.values(theta, beta, gamma), strict=True))
    assert values["beta[1]"] == 3
    assert values["gamma[x]"] == 4
    assert [values[name] for name in made.theta_names] == theta.tolist()
    parameters = made.parameters(theta, beta, gamma)
    assert parameters.by_name(columns.names) == values
    assert parameters.blocks(columns.names).beta[1] == 0
    errors = made.unfolded(np.arange(len(made.names), dtype=float))
    assert errors.beta.tolist()[:1] + errors.beta.tolist()[2:] == [0, 1]
    assert np.isnan(errors.beta[1])
    assert np.isnan(errors.sigma[0, 1])


def test_an_estimate_at_zero_stays_free_in_the_next_step(columns, start):
    made = layout(start, columns, supply=True)
    theta = made.theta0.copy()
    theta[0] = 0
    again = layout(made.parameters(theta, made.beta0, made.gamma0), columns, supply=True)
    assert again.theta_names[: made.theta0.size] == made.theta_names[:4] + again.theta_names[4:]
    assert "sigma[1,1]" in again.theta_names


def test_what_was_fixed_stays_fixed_in_the_next_step(columns, start):
    fixed = replace(start, free={"sigma[x,x]": False, "beta[prices]": False})
    made = layout(fixed, columns, supply=True)
    again = made.parameters(made.theta0, made.beta0, made.gamma0)
    assert (
        layout(again, columns, supply=True).theta_names[: made.nonlinear]
        == made.theta_names[: made.nonlinear]
    )
    assert not {"sigma[x,x]", "beta[prices]"} & set(again.by_name(columns.names))


def test_columns_of_sigma_that_are_fixed_at_zero_use_no_nodes(columns):
    start = Parameters(sigma=np.diag([1.0, 0, 1]), pi=np.zeros((3, 2)), beta=[0, 0, -1])
    assert layout(start, columns, supply=False).sigma_used.tolist() == [True, False, True]


def test_gamma_is_left_out_without_supply(columns, start):
    made = layout(start, columns, supply=False)
    assert made.x3_names == ()
    assert made.gamma0.size == 0
    assert not any(name.startswith("gamma") for name in made.names)


def test_supply_needs_a_value_of_the_price_coefficient(columns):
    start = Parameters(sigma=SIGMA, pi=PI)
    with pytest.raises(ParameterError, match=r"no beta\[prices\]: expected a starting value"):
        layout(start, columns, supply=True)
    assert layout(start, columns, supply=False).theta0.size == 7


def test_logit_with_all_concentrated_out_moves_nothing(data):
    columns = Model(linear="1 + x + prices").bind(data)
    made = layout(Parameters(), columns, supply=False)
    assert made.theta0.shape == (0,)
    assert made.names == ("beta[1]", "beta[x]", "beta[prices]")
    beta = np.array([1.0, 2, 3])
    np.testing.assert_array_equal(made.values(made.theta0, beta, made.gamma0), beta)
    assert made.sigma(made.theta0).shape == (0, 0)
