"""A small study on an economy that the design estimates itself, wherever it is read."""

import dataclasses

import numpy as np

import blpsim as bs

market = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", demographics="0 + income", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-3, 2, -1], sigma=[[1.0]], pi=[[0.5]], gamma=[1, 0.3, 0.2]),
    markets=bs.Markets(number=15, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(2, 3)),
    characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1), "brand": bs.Choice(0, 1, 2)},
    errors=bs.Errors(xi_variance=0.1, omega_variance=0.1),
    consumers=bs.Integration("monte_carlo", 20),
    demographics={"income": bs.Uniform(0, 2)},
)
data = market.generate(bs.Streams(seed=3, replication=0))
products = data.products.assign(
    demand_instruments0=data.products["w"],
    demand_instruments1=data.products["w"] ** 2,
    demand_instruments2=data.products["w"] * data.products["x"],
    demand_instruments3=np.exp(data.products["x"]),
)
model = bs.Model(
    linear="0 + x + prices", nonlinear="0 + x", demographics="0 + income", absorb_demand="C(brand)"
)
economy = (
    bs.Problem(model, products, data.agents)
    .solve(bs.Parameters(sigma=[[1.0]], pi=[[0.5]]), bs.GMM(method="1s"))
    .economy
)
given = bs.Estimator(
    supply=False,
    instruments=bs.instruments.Given(),
    integration="generator",
    starts=bs.Starts(1),
    gmm=bs.GMM(method="1s"),
)

design = bs.Design(
    name="estimated",
    seed=5,
    replications=6,
    scenarios={
        "errors": bs.Scenario.from_economy(economy),
        "both": bs.Scenario.from_economy(economy, redraw="both", errors="wild", markets=20),
    },
    estimators={
        "given": given,
        "optimal": dataclasses.replace(given, instruments=bs.instruments.Optimal(first=given)),
        "drawn": dataclasses.replace(given, integration=bs.Integration("halton", 30)),
    },
)
