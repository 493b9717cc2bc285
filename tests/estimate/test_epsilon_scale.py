"""A scaled idiosyncratic part of utility: the same as dividing what else makes utility by the scale."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.estimate.inference import moments_jacobian
from blpsim.status import Status
from tests.simulate.scenarios import scenario

from .nested import at_start, model, objective_of, tables

SCALE = 0.4
LINKED = {"nonlinear": "0 + x", "rc_types": ("log",)}
MODELS = {
    "plain": ({"nests": None}, {}),
    "nests": ({}, {"rho": 0.4}),
    "log coefficient": ({"nests": None, **LINKED}, {}),
    "nests, log coefficient": (LINKED, {"rho": [0.4, 0.2, 0.3]}),
}


def objective_at(changes, parameters, scale=SCALE):
    made = dataclasses.replace(model(), epsilon_scale=scale, **changes)
    return objective_of(made, tables(), **parameters)


@pytest.mark.parametrize(("changes", "parameters"), MODELS.values(), ids=MODELS)
def test_the_gradient_is_that_of_the_scaled_objective(changes, parameters):
    """Central differences of fourth order have an error near 1e-11 relative at this step."""
    objective = objective_at(changes, parameters)
    theta, (_, gradient) = objective.layout.theta0, at_start(objective)
    gradient = gradient.copy()
    for k in range(theta.size):
        step = np.zeros(theta.size)
        step[k] = 2e-3
        ends = [objective(theta + m * step)[0] for m in (1, -1, 2, -2)]
        difference = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * step[k])
        assert gradient[k] == pytest.approx(difference, rel=1e-6, abs=1e-6 * np.abs(gradient).max())


@pytest.mark.parametrize(("changes", "parameters"), MODELS.values(), ids=MODELS)
def test_derivatives_of_moments_agree_with_the_gradient(changes, parameters):
    objective = objective_at(changes, parameters)
    _, gradient = at_start(objective)
    jacobian = moments_jacobian(objective.setting, objective.jacobian())
    composed = 2 * objective.moments.scale * jacobian.T @ objective.state.weighted
    at = objective.layout.theta_positions
    np.testing.assert_allclose(composed[at], gradient, rtol=1e-8, atol=1e-9 * np.abs(gradient).max())
    np.testing.assert_allclose(composed[objective.layout.concentrated_positions], 0, atol=1e-9)


@pytest.mark.parametrize("changes", [{"nests": None}, {}], ids=["plain", "nests"])
def test_a_scale_is_a_unit_of_utility(changes):
    """With it, coefficients times the scale give what coefficients without it give."""
    rho = {} if "nests" in changes else {"rho": 0.4}
    beta, sigma = np.array([np.nan, np.nan, -1.0]), np.array([[0.8]])
    plain = objective_at(changes, {"beta": beta, "sigma": sigma, **rho}, 1.0)
    scaled = objective_at(changes, {"beta": SCALE * beta, "sigma": SCALE * sigma, **rho})
    at_start(plain), at_start(scaled)
    np.testing.assert_allclose(scaled.delta, SCALE * plain.delta, rtol=1e-11)
    np.testing.assert_allclose(scaled.residuals()[0], SCALE * plain.residuals()[0], rtol=1e-9)
    np.testing.assert_allclose(scaled.state.costs, plain.state.costs, rtol=1e-11)
    assert not np.allclose(scaled.delta, plain.delta)


def economies(nests=None, price="prices", alpha=-1.0):
    """Return the same data from an economy with a scale and from one without."""
    beta, sigma = np.array([-7.0, 6.0, alpha]), np.array([[3.0]])
    made = bs.Model(linear=f"1 + x + {price}", nonlinear="0 + x", supply="1 + x + w", nests=nests)
    common = {"nests": bs.Assign(2)} if nests else {}
    rest = {"gamma": [2, 1, 0.2], "rho": 0.5 if nests else None}
    plain = scenario(model=made, truth=bs.Parameters(beta=beta, sigma=sigma, **rest), **common)
    scaled = scenario(
        model=dataclasses.replace(made, epsilon_scale=SCALE),
        truth=bs.Parameters(beta=SCALE * beta, sigma=SCALE * sigma, **rest),
        errors=bs.Errors(xi_variance=SCALE**2 * 0.2, omega_variance=0.2, covariance=SCALE * 0.1),
        **common,
    )
    return [each.generate(bs.Streams(seed=1, replication=0, stream_key="same")) for each in (plain, scaled)]


@pytest.mark.parametrize("nests", [None, "nesting_ids"], ids=["plain", "nests"])
def test_an_economy_is_scaled_throughout(nests):
    plain, scaled = (dataset.economy for dataset in economies(nests))
    np.testing.assert_allclose(scaled.products.prices, plain.products.prices, rtol=1e-10)
    np.testing.assert_allclose(scaled.products.shares, plain.products.shares, rtol=1e-10)
    for name in ("shares", "own_elasticities", "implied_costs", "consumer_surplus", "markups"):
        np.testing.assert_allclose(getattr(scaled, name)(), getattr(plain, name)(), rtol=1e-9)
    for name in ("elasticities", "diversion_ratios", "long_run_diversion_ratios", "passthrough"):
        for ours, theirs in zip(
            getattr(scaled, name)().values(), getattr(plain, name)().values(), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-11)
    one_owner = np.zeros(plain.products.number)
    prices = [each.equilibrium(firm_ids=one_owner).prices for each in (scaled, plain)]
    np.testing.assert_allclose(*prices, rtol=1e-9)


def test_passthrough_is_scaled_where_utility_is_curved_in_prices():
    plain, scaled = (dataset.economy.passthrough() for dataset in economies(None, "log(prices)", -4.0))
    np.testing.assert_allclose(scaled[0], plain[0], rtol=1e-8, atol=1e-11)


def test_surplus_is_money_whatever_the_scale():
    """A price that rises takes from consumers what is bought; differences have errors near 1e-9."""
    economy = economies()[1].economy
    prices, step = economy.products.prices, np.zeros(economy.products.number)
    step[0] = 1e-5
    difference = economy.consumer_surplus(prices + step) - economy.consumer_surplus(prices - step)
    assert difference.sum() / 2e-5 == pytest.approx(-economy.shares()[0], rel=1e-7)


def test_estimates_of_a_scaled_model_are_scaled_and_as_certain():
    """With optimal instruments, which equilibria and derivatives at the scale make.

    The weights of the start have moments of demand in units of their own.
    """
    first = bs.Estimator(
        integration=bs.Integration("product", 5),
        starts=bs.Starts(1, width=0),
        gmm=bs.GMM(method="1s", initial_update=True, optimizer=bs.Optimizer(gtol=1e-8), hessian=False),
    )
    chain = dataclasses.replace(first, instruments=bs.instruments.Optimal(first=first))
    streams = bs.Streams(seed=1, replication=0, stream_key="same")
    plain, scaled = (chain.estimate(dataset, streams) for dataset in economies())
    assert plain.status is scaled.status is Status.CONVERGED
    units = np.array([SCALE] * 4 + [1.0] * 3)  # beta and sigma, gamma
    np.testing.assert_allclose(scaled.values, units * plain.values, rtol=1e-5)
    np.testing.assert_allclose(scaled.standard_errors, units * plain.standard_errors, rtol=1e-4)
    function = lambda economy: economy.own_elasticities().mean()  # noqa: E731
    ours, theirs = (estimate.delta_method(function) for estimate in (scaled, plain))
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-5)
    np.testing.assert_allclose(ours.standard_errors, theirs.standard_errors, rtol=1e-4)


@pytest.mark.parametrize("scale", [0.1, 0.02])
def test_shares_are_inverted_near_pure_characteristics(scale):
    """At a fiftieth, V / scale reaches hundreds; with 500 consumers shares still move with every delta."""
    made = bs.Model(linear="0 + prices", nonlinear="1 + x", epsilon_scale=scale)
    rng = np.random.default_rng(0)
    columns = {
        "market_ids": np.repeat(np.arange(4), 5),
        "firm_ids": np.tile(np.arange(5), 4),
        "prices": rng.uniform(1, 2, 20),
        "x": rng.uniform(0, 2, 20),
        "shares": rng.uniform(0.05, 0.15, 20),
        "demand_instruments0": rng.normal(size=20),
        "demand_instruments1": rng.normal(size=20),
    }
    problem = bs.Problem(made, columns, integration=bs.Integration("monte_carlo", 500, seed=1))
    found = problem.evaluate(bs.Parameters(beta=[-1.0], sigma=np.diag([1.0, 1.5])))
    assert found.status is Status.EVALUATED
    np.testing.assert_allclose(found.economy.shares(), columns["shares"], rtol=1e-10)


@pytest.mark.parametrize("scale", [0, -1.0, float("inf")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(bs.BlpsimError, match=r"Model.epsilon_scale = .*: expected a positive number"):
        bs.Model(linear="1 + prices", epsilon_scale=scale)


def test_a_scale_of_one_changes_no_content():
    one, other = (bs.Model(linear="1 + prices", epsilon_scale=scale) for scale in (1.0, 0.5))
    base = scenario()
    keys = [scenario(model=dataclasses.replace(base.model, epsilon_scale=s)).stream_key for s in (1.0, 0.5)]
    assert one != other
    assert keys[0] == base.stream_key
    assert keys[1] != base.stream_key
