"""A small problem whose agents differ by product, in rows that nobody sorted."""

from __future__ import annotations

import numpy as np

import blpsim as bs
from blpsim.estimate.objective import Objective
from blpsim.estimate.solve import first_step
from blpsim.model.layout import layout

SIZES, PEOPLE = (5, 7, 4, 6), 13
PARAMETERS = {
    "beta": [np.nan, np.nan, -2.0],
    "sigma": [[0.6, 0], [0.1, 0.2]],
    "pi": [[0.3, -0.8], [0.1, 0.15]],
}
LINKS = ("logit", "log")


def products(seed=3):
    """Return products in markets of different sizes, whose firms are in no order."""
    rng, number = np.random.default_rng(seed), sum(SIZES)
    names = [
        "x",
        "w",
        *(f"demand_instruments{k}" for k in range(7)),
        "supply_instruments0",
        "supply_instruments1",
    ]
    columns = {name: rng.uniform(size=number) for name in names}
    columns |= {
        "market_ids": np.repeat(np.arange(len(SIZES)), SIZES),
        "firm_ids": rng.integers(0, 3, number),
    }
    columns |= {"shares": rng.uniform(0.02, 0.08, number), "prices": rng.uniform(1, 2, number)}
    return columns | {"nesting_ids": rng.integers(0, 3, number)}


def agents(seed=4, distance=True, availability=True):
    """Return agents with distances and availability, some without a product of a nest, one with nothing."""
    rng, number, most = np.random.default_rng(seed), PEOPLE * len(SIZES), max(SIZES)
    columns = {"market_ids": np.repeat(np.arange(len(SIZES)), PEOPLE), "weights": np.full(number, 1 / PEOPLE)}
    columns |= {f"nodes{k}": rng.normal(size=number) for k in range(2)} | {"income": rng.normal(size=number)}
    values, available = rng.uniform(size=(number, most)), rng.uniform(size=(number, most)) < 0.6
    available[0] = False
    columns |= {f"distance{j}": values[:, j] for j in range(most)} if distance else {"distance": values[:, 0]}
    if availability:
        columns |= {f"availability{j}": available[:, j] * (1 - 0.1 * j) for j in range(most)}
    return columns


def model(**changes):
    """Return a model with a supply side and random price coefficients."""
    formulas = {"linear": "1 + x + prices", "nonlinear": "0 + x + prices", "supply": "1 + w"}
    return bs.Model(**formulas | {"demographics": "0 + income + distance"} | changes)


def objective_of(made, data, people, gmm=None, **parameters) -> Objective:
    """Return the first step's objective at these parameters."""
    setting = bs.Problem(made, data, people).setting
    given = bs.Parameters(**PARAMETERS | parameters)
    return first_step(setting, layout(given, setting.columns, setting.supply), gmm or bs.GMM())
