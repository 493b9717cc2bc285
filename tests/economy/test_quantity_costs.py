"""Marginal costs that depend on quantities: equilibrium, passthrough, and estimation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyblp
import pytest

from blpsim.errors import ConfigurationError, FormulaError
from blpsim.estimate.gmm import GMM
from blpsim.estimate.optimizer import Optimizer
from blpsim.estimate.problem import Problem
from blpsim.model.conduct import Conduct
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.simulate.distributions import Uniform
from blpsim.simulate.markets import Errors, Markets
from blpsim.simulate.scenario import Scenario
from blpsim.status import Status
from blpsim.streams import Streams

CASES = {
    "linear": ("1 + w + shares", "linear", [2, 0.2, 4.0]),
    "decreasing": ("1 + w + shares + x:shares", "linear", [2, 0.2, -1.0, 0.5]),
    "log": ("1 + w + log(shares) + I(shares**2)", "log", [0.9, 0.2, 0.1, 0.5]),
}


def dataset(name="linear", markets=5, conduct=Conduct.BERTRAND, linear="1 + x + prices"):
    supply, costs, gamma = CASES[name]
    return Scenario(
        markets=Markets(number=markets, firms=3, products_per_firm=2),
        characteristics={"x": Uniform(0, 1), "w": Uniform(0, 1)},
        model=Model(linear=linear, nonlinear="0 + x", supply=supply, costs=costs),
        truth=Parameters(beta=[1, 2, -1], sigma=[[1.5]], gamma=gamma),
        errors=Errors(xi_variance=0.2, omega_variance=0.01, covariance=0.01),
        consumers=Integration("product", 5),
        conduct=conduct,
    ).generate(Streams(seed=3, replication=0))


def costs_of(economy):
    """Marginal costs by the formula, at the economy's shares."""
    data, gamma = economy.products.columns, np.asarray(economy.parameters.gamma, np.float64)
    x3 = economy.model.bind(data).x3.values(data)
    values = x3 @ gamma + economy.omega
    return np.exp(values) if economy.model.costs == "log" else values


@pytest.mark.parametrize("name", CASES)
def test_prices_satisfy_first_order_conditions_with_costs_at_the_final_shares(name):
    drawn = dataset(name)
    economy = drawn.economy
    assert drawn.status is Status.CONVERGED
    np.testing.assert_allclose(economy.costs, costs_of(economy), rtol=1e-13)
    # Residuals are below 1e-12 in units of shares, of which the smallest exceed 1e-3.
    np.testing.assert_allclose(economy.implied_costs(), economy.costs, rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_prices_and_shares_are_those_that_pyblp_finds(name):
    pyblp.options.verbose = False
    economy = dataset(name).economy
    model, truth, columns = economy.model, economy.parameters, economy.products.columns
    given = {key: columns[key] for key in ("market_ids", "firm_ids", "x", "w")}
    simulation = pyblp.Simulation(
        tuple(pyblp.Formulation(f) for f in (model.linear, model.nonlinear, model.supply)),
        given | {"shares": np.full(economy.products.number, 0.1), "prices": np.ones(economy.products.number)},
        beta=truth.beta,
        sigma=truth.sigma,
        gamma=truth.gamma,
        xi=economy.xi,
        omega=economy.omega,
        agent_data={
            "market_ids": np.repeat(range(5), np.diff(economy.agents.market_offsets)),
            "weights": economy.agents.weights,
            "nodes": economy.agents.nodes.T,
        },
        costs_type=model.costs,
    )
    found = simulation.replace_endogenous(
        iteration=pyblp.Iteration("simple", {"atol": 1e-14}),
        constant_costs=False,
        compute_gradients=False,
        compute_hessians=False,
    )
    np.testing.assert_allclose(economy.products.prices, found.product_data["prices"].ravel(), rtol=1e-9)
    np.testing.assert_allclose(economy.products.shares, found.product_data["shares"].ravel(), rtol=1e-9)
    np.testing.assert_allclose(economy.costs, found.costs.ravel(), rtol=1e-9)


@pytest.mark.parametrize("linear", ["1 + x + prices", "1 + x + I(prices**1.1)"])
def test_costs_move_with_a_merger(linear):
    economy = dataset(linear=linear).economy
    merged = economy.equilibrium(firm_ids=np.zeros(economy.products.number))
    after = economy.at(merged.prices, merged.shares)
    assert merged.status is Status.CONVERGED
    assert np.abs(after.costs - economy.costs).max() > 0.01
    np.testing.assert_allclose(after.costs, costs_of(after), rtol=1e-12)
    implied = after.implied_costs(firm_ids=np.zeros(economy.products.number))
    np.testing.assert_allclose(implied, after.costs, rtol=1e-9)
    expected = (merged.prices - after.costs) * merged.shares
    np.testing.assert_allclose(economy.profits(merged.prices), expected, rtol=1e-12)


def test_prices_under_perfect_competition_are_costs_at_the_final_shares():
    drawn = dataset(conduct=Conduct.PERFECT_COMPETITION)
    assert drawn.status is Status.CONVERGED
    np.testing.assert_allclose(drawn.economy.products.prices, costs_of(drawn.economy), rtol=1e-11)


@pytest.mark.parametrize("conduct", [Conduct.BERTRAND, Conduct.PERFECT_COMPETITION])
@pytest.mark.parametrize("name", CASES)
def test_passthrough_is_the_derivative_of_equilibrium_prices(name, conduct):
    economy = dataset(name, markets=1, conduct=conduct).economy
    step, moved = 1e-4, np.zeros(6)
    moved[2] = step
    up, down = (economy.equilibrium(costs=economy.costs + sign * moved).prices for sign in (1, -1))
    # Central differences err by step squared, 1e-8, and prices' errors over the step.
    np.testing.assert_allclose(economy.passthrough()[0][:, 2], (up - down) / (2 * step), atol=1e-6)


def estimated(name="linear"):
    drawn = dataset(name, markets=60)
    frame = drawn.products
    generator = np.random.default_rng(1)
    for k, column in enumerate((frame.x, frame.w)):
        sums = column.groupby(frame.market_ids).transform("sum")
        frame[f"demand_instruments{k}"] = sums - column
        frame[f"supply_instruments{k}"] = (sums - column) * generator.uniform(1, 1.1, len(frame))
    frame["demand_instruments2"], frame["supply_instruments2"] = frame.w, frame.x
    return drawn, frame


@pytest.mark.parametrize("name", ["linear", "log"])
def test_an_estimation_is_pyblps_and_shares_are_no_instrument(name):
    pyblp.options.verbose = False
    drawn, frame = estimated(name)
    model, truth = drawn.economy.model, drawn.economy.parameters
    problem = Problem(model, frame, agents=drawn.agents)
    start = dataclasses.replace(truth, beta=[np.nan, np.nan, -1], gamma=None)
    mine = problem.solve(start, GMM(method="1s", optimizer=Optimizer("return"), hessian=False))
    peer = pyblp.Problem(
        tuple(pyblp.Formulation(f) for f in (model.linear, model.nonlinear, model.supply)),
        {
            **{
                key: frame[key].to_numpy() for key in ("market_ids", "firm_ids", "x", "w", "prices", "shares")
            },
            **{
                side: frame[[f"{side}{k}" for k in range(3)]].to_numpy()
                for side in ("demand_instruments", "supply_instruments")
            },
        },
        agent_data={
            "market_ids": drawn.agents.market_ids,
            "weights": drawn.agents.weights,
            "nodes": drawn.agents[["nodes0"]].to_numpy(),
        },
        costs_type=model.costs,
    ).solve(
        sigma=truth.sigma,
        beta=[np.nan, np.nan, -1],
        method="1s",
        optimization=pyblp.Optimization("return"),
        iteration=pyblp.Iteration("simple", {"atol": 1e-14}),
    )
    gamma = np.asarray(mine.parameters.gamma, np.float64)
    np.testing.assert_allclose(gamma, peer.gamma.ravel(), rtol=1e-7)
    errors = np.asarray(mine.standard_errors.gamma, np.float64)
    np.testing.assert_allclose(errors, peer.gamma_se.ravel(), rtol=1e-6)
    np.testing.assert_allclose(mine.objective, peer.objective, rtol=1e-7)
    np.testing.assert_allclose(mine.gradient, peer.gradient.ravel(), rtol=1e-6, atol=1e-7)
    assert len(problem.setting.supply_instruments) == 5


def test_costs_at_the_truth_are_those_that_were_drawn():
    drawn, frame = estimated()
    found = Problem(drawn.economy.model, frame, agents=drawn.agents).evaluate(drawn.economy.parameters)
    np.testing.assert_allclose(found.costs, drawn.economy.costs, rtol=1e-8)
    np.testing.assert_allclose(found.omega, drawn.economy.omega, atol=1e-8)


def test_unknown_coefficients_of_shares_and_categorical_shares_are_refused():
    economy = dataset().economy
    unknown = dataclasses.replace(economy, parameters=dataclasses.replace(economy.parameters, gamma=None))
    with pytest.raises(ConfigurationError, match="no shares: expected a value of shares"):
        unknown.equilibrium()
    with pytest.raises(FormulaError, match="shares that are not categorical"):
        Model(linear="1 + prices", supply="1 + C(shares)")


def test_a_redrawn_scenario_has_costs_at_its_own_shares():
    economy = dataset().economy
    again = Scenario.from_economy(economy, redraw="errors").generate(Streams(seed=1, replication=0))
    assert again.status is Status.CONVERGED
    np.testing.assert_allclose(again.economy.costs, costs_of(again.economy), rtol=1e-12)


def test_optimal_instruments_of_a_concentrated_coefficient_are_its_column_at_expected_shares():
    drawn, frame = estimated()
    start = dataclasses.replace(drawn.economy.parameters, beta=[np.nan, np.nan, -1], gamma=None)
    result = Problem(drawn.economy.model, frame, agents=drawn.agents).solve(start)
    optimal = result.compute_optimal_instruments()
    assert np.array_equal(optimal.supply_instruments[:, -2], optimal.expected_shares)
