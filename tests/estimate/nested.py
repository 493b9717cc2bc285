"""A small nested problem on made-up data."""

from __future__ import annotations

import numpy as np

import blpsim as bs
from blpsim.estimate.objective import Objective
from blpsim.estimate.solve import first_step
from blpsim.model.layout import layout

from .problems import distance

MARKETS, PRODUCTS = 5, 7
PARAMETERS = {"beta": [np.nan, np.nan, -1.0], "sigma": [[0.8]]}


def tables(nests=3, seed=3):
    """Return products in nests of every size, one product's included."""
    rng, number = np.random.default_rng(seed), MARKETS * PRODUCTS
    names = ("x", "w", "demand_instruments0", "demand_instruments1", "demand_instruments2")
    columns = {name: rng.uniform(size=number) for name in (*names, "supply_instruments0")}
    columns |= {"market_ids": np.repeat(np.arange(MARKETS), PRODUCTS), "firm_ids": np.arange(number) % 3}
    columns |= {"shares": rng.uniform(0.02, 0.12, number), "prices": rng.uniform(1, 2, number)}
    columns["nesting_ids"] = np.minimum(np.arange(number) % PRODUCTS, nests - 1)
    return columns


def model(nests="nesting_ids", nonlinear="0 + x"):
    """Return a model with a supply side."""
    return bs.Model(linear="1 + x + prices", nonlinear=nonlinear, supply="1 + w", nests=nests)


def objective_of(made, columns, ownership=None, **parameters) -> Objective:
    """Return the first step's objective at these parameters."""
    rule = None if made.nonlinear is None else bs.Integration("product", 5)
    setting = bs.Problem(made, columns, integration=rule, ownership=ownership).setting
    given = bs.Parameters(**PARAMETERS | parameters)
    return first_step(setting, layout(given, setting.columns, True), bs.GMM())


def implied_gradient(objective, gradient):
    """Return how far the gradient that the Jacobian implies is from this, after an evaluation."""
    objective(objective.layout.theta0)
    setting, moments, jacobian = objective.setting, objective.moments, objective.jacobian()
    g = np.vstack((setting.demand_instruments @ jacobian.xi, setting.supply_instruments @ jacobian.omega))
    implied = 2 * moments.scale * g.T @ moments.weighting @ objective.state.moments / setting.number
    return distance(implied[objective.layout.theta_positions], gradient)


def at_start(objective):
    """Return the objective and its gradient at the start."""
    return objective(objective.layout.theta0)
