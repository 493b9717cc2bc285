"""Nevo's cereal: whether the estimator can recover its own estimates from data like these."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

import blpsim as bs

HERE = Path(__file__).parent
products, agents = pd.read_csv(HERE / "products.csv"), pd.read_csv(HERE / "agents.csv")

model = bs.Model(
    linear="0 + prices",
    nonlinear="1 + prices + sugar + mushy",
    demographics="0 + income + income_squared + age + child",
    absorb_demand="C(product_ids)",
)
published = bs.Parameters(
    sigma=np.diag([0.3302, 2.4526, 0.0163, 0.2441]),
    pi=[
        [5.4819, 0, 0.2037, 0],
        [15.8935, -1.2, 0, 2.6342],
        [-0.2506, 0, 0.0511, 0],
        [1.265, 0, -0.8091, 0],
    ],
)
gmm = bs.GMM(method="1s", optimizer=bs.Optimizer("bfgs", gtol=1e-5))
economy = bs.Problem(model, products, agents).solve(published, gmm).economy


def own_elasticity(economy: bs.Economy) -> float:
    """Return the mean own-price elasticity."""
    return float(economy.own_elasticities().mean())


given = bs.Estimator(
    supply=False,
    instruments=bs.instruments.Given(),
    integration="generator",
    starts=bs.Starts(3, around="truth", width=0.5),
    gmm=gmm,
)

design = bs.Design(
    name="nevo-recovery",
    seed=2000,
    replications=300,
    scenarios={
        "errors": bs.Scenario.from_economy(economy),
        "wild": bs.Scenario.from_economy(economy, errors="wild"),
        "markets": bs.Scenario.from_economy(economy, redraw="markets"),
    },
    estimators={
        "given": given,
        "optimal": dataclasses.replace(given, instruments=bs.instruments.Optimal(first=given)),
    },
    estimands={"own elasticity": own_elasticity},
)
