"""Economies as an estimation leaves them, on data whose rows nobody sorted."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

import blpsim as bs
from blpsim.economy.economy import Economy

LINEAR = {"linear": "0 + x + prices", "absorb_demand": "C(brand)"}
RANDOM = {"nonlinear": "0 + x", "demographics": "0 + income"}
SUPPLY = {"supply": "0 + x + w", "costs": "log", "absorb_supply": "C(brand)"}
MARKETS = 12


@functools.cache
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return products, of which ``row`` tells one from the other, and agents who differ in weight."""
    process = bs.Scenario(
        model=bs.Model(
            linear="1 + x + prices",
            nonlinear="0 + x",
            demographics="0 + income",
            supply="1 + x + w",
            costs="log",
        ),
        truth=bs.Parameters(beta=[-3, 2, -1], sigma=[[1.0]], pi=[[0.5]], gamma=[0.5, 0.3, 0.2]),
        markets=bs.Markets(number=MARKETS, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(1, 2, 3)),
        characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
        errors=bs.Errors(xi_variance=0.2, omega_variance=0.05, covariance=0.05),
        consumers=bs.Integration("monte_carlo", 30),
        demographics={"income": bs.Uniform(0, 2)},
    )
    dataset = process.generate(bs.Streams(seed=4, replication=0))
    generator = np.random.default_rng(1)
    products = dataset.products.assign(row=np.arange(len(dataset.products)))
    products["market_ids"] = np.array([f"market {t:02}" for t in range(MARKETS)])[products["market_ids"]]
    products["brand"] = np.array(["a", "b", "c"])[products["row"] % 3]
    for k in range(4):
        shifted = products["x"] ** (k + 1) + products["w"] * k + generator.normal(size=len(products))
        products[f"demand_instruments{k}"] = products[f"supply_instruments{k}"] = shifted
    agents = dataset.agents
    weights, markets = generator.uniform(1, 3, len(agents)), agents["market_ids"].to_numpy()
    agents["weights"] = weights / np.bincount(markets, weights)[markets]
    agents["market_ids"] = np.array([f"market {t:02}" for t in range(MARKETS)])[markets]
    return products.sample(frac=1, random_state=2), agents


@functools.cache
def economy(supply: bool = True, **changes: Any) -> Economy:
    """Return the economy at parameters near the truth, whose residuals are what they leave of the data.

    changes  columns of the products, as tuples
    """
    model = bs.Model(**LINEAR, **RANDOM, **(SUPPLY if supply else {}))
    products, agents = tables()
    products = products.assign(**{name: list(column) for name, column in changes.items()})
    start = bs.Parameters(
        beta=[np.nan, -1.0],
        sigma=[[1.2]],
        pi=[[0.4]],
        gamma=[np.nan, np.nan] if supply else None,
    )
    found = bs.Problem(model, products, agents).evaluate(start).economy
    assert found is not None
    return found
