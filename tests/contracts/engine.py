"""A small study with the engine: demand with and without supply, in markets that share random numbers."""

import blpsim as bs

scenario = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
    markets=bs.Markets(number=10, firms=bs.Choice(2, 5), products_per_firm=bs.Choice(2, 3)),
    characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
    errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    consumers=bs.Integration("monte_carlo", 50),
)
rule = bs.Integration("product", 5)


def own_elasticity(economy):
    """Return the mean own-price elasticity."""
    return economy.own_elasticities().mean()


design = bs.Design(
    name="engine",
    seed=11,
    replications=5,
    scenarios=bs.vary(scenario, {"truth.gamma[w]": (0.1, 0.2)}),
    estimators={
        "sums": bs.Estimator(integration=rule, starts=bs.Starts(2)),
        "local": bs.Estimator(instruments=bs.instruments.Local(), supply=False, integration=rule),
    },
    estimands={"own elasticity": own_elasticity},
)
