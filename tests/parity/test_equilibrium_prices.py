"""Prices and shares of scenarios against PyBLP's replace_endogenous, at the same costs, errors and agents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyblp
import pytest

from blpsim.economy.dataset import Dataset
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.simulate.distributions import Choice, Lognormal, Uniform
from blpsim.simulate.markets import Errors, Markets
from blpsim.simulate.scenario import Scenario
from blpsim.streams import Streams

CASES: dict[str, dict[str, Any]] = {
    "random x": {
        "model": Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
        "truth": Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
    },
    "random price": {
        "model": Model(linear="1 + x + prices", nonlinear="0 + x + prices", supply="1 + x + w"),
        "truth": Parameters(beta=[-3, 6, -1.5], sigma=[[3.0, 0], [0.1, 0.2]], gamma=[2, 1, 0.2]),
        "consumers": Integration("product", 5),
    },
    "negative weights": {
        "model": Model(linear="1 + x + prices", nonlinear="0 + x + prices", supply="1 + x + w"),
        "truth": Parameters(beta=[-3, 6, -1.5], sigma=[[1.0, 0], [0.1, 0.2]], gamma=[2, 1, 0.2]),
        "consumers": Integration("grid", 6),
    },
    "log costs": {
        "model": Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w", costs="log"),
        "truth": Parameters(beta=[2, 3, -1], sigma=[[1.0]], gamma=[0.5, 0.3, 0.2]),
    },
    "income and price": {
        "model": Model(
            linear="1 + x + prices",
            nonlinear="1 + prices",
            demographics="0 + I(1/income)",
            supply="1 + x + w",
        ),
        "truth": Parameters(beta=[-3, 4, -1], sigma=np.diag([0.5, 0]), pi=[[0.0], [-0.3]], gamma=[2, 1, 0.2]),
        "demographics": {"income": Lognormal(0.2, 0.4)},
    },
    "lognormal price": {
        "model": Model(
            linear="1 + x",
            nonlinear="0 + x + I(-prices)",
            rc_types=("linear", "log"),
            demographics="1 + I(1/income)",
            supply="1 + x + w",
        ),
        "truth": Parameters(
            beta=[1, 3], sigma=np.diag([1.0, 0.4]), pi=[[0, 0], [-0.1, 0.3]], gamma=[2, 1, 0.2]
        ),
        "demographics": {"income": Lognormal(0.2, 0.4)},
    },
    "logit price and lognormal constant": {
        "model": Model(
            linear="1 + prices", nonlinear="1 + I(-prices)", rc_types=("log", "logit"), supply="1 + x + w"
        ),
        "truth": Parameters(beta=[1, -1], sigma=[[0.5, 0], [0.3, 2.0]], gamma=[2, 1, 0.2]),
    },
    "log prices": {
        "model": Model(linear="1 + x + log(prices)", nonlinear="0 + x", supply="1 + x + w"),
        "truth": Parameters(beta=[0, 2, -4], sigma=[[1.0]], gamma=[2, 1, 0.2]),
    },
    "price interacted": {
        "model": Model(linear="1 + prices + x:prices", nonlinear="0 + x:prices", supply="1 + x + w"),
        "truth": Parameters(beta=[2, -2, 0.4], sigma=[[0.2]], gamma=[2, 1, 0.2]),
    },
}


def drawn(case: dict[str, Any]) -> Dataset:
    parts = {
        "markets": Markets(number=5, firms=Choice(1, 2, 4), products_per_firm=Choice(1, 2, 3)),
        "characteristics": {"x": Uniform(0, 1), "w": Uniform(0, 1)},
        "errors": Errors(xi_variance=0.2, omega_variance=0.02, covariance=0.02),
        "consumers": Integration("monte_carlo", 40),
        **case,
    }
    return Scenario(**parts).generate(Streams(seed=11, replication=0))


def simulated(dataset: Dataset) -> Any:
    economy = dataset.economy
    model, truth = economy.model, economy.parameters
    products = economy.products.columns
    agents: dict[str, Any] = {
        "market_ids": np.repeat(np.arange(economy.products.markets), np.diff(economy.agents.market_offsets)),
        "weights": economy.agents.weights,
        "nodes": economy.agents.nodes.T,
    }
    formulation = None
    if model.demographics is not None:
        formulation = pyblp.Formulation(model.demographics)
        agents["income"] = 1 / economy.agents.demographics[-1]
    return pyblp.Simulation(
        (
            pyblp.Formulation(model.linear),
            pyblp.Formulation(model.nonlinear),
            pyblp.Formulation(model.supply),
        ),
        {name: products[name] for name in ("market_ids", "firm_ids", "x", "w")},
        beta=truth.beta,
        sigma=truth.sigma,
        pi=truth.pi,
        gamma=truth.gamma,
        xi=economy.xi,
        omega=economy.omega,
        agent_formulation=formulation,
        agent_data=agents,
        costs_type=model.costs,
        rc_types=model.rc_types,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_prices_and_shares_are_those_that_pyblp_finds(case):
    pyblp.options.verbose = False
    dataset = drawn(case)
    simulation = simulated(dataset)
    found = simulation.replace_endogenous(
        iteration=pyblp.Iteration("simple", {"atol": 1e-14}), compute_gradients=False, compute_hessians=False
    )
    products = dataset.economy.products
    np.testing.assert_allclose(found.costs.ravel(), dataset.economy.costs, rtol=1e-12)
    np.testing.assert_allclose(products.prices, found.product_data["prices"].ravel(), rtol=1e-9)
    np.testing.assert_allclose(products.shares, found.product_data["shares"].ravel(), rtol=1e-9)
