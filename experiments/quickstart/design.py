"""Demand alone against demand with supply, on the same markets."""

import blpsim as bs

scenario = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
    markets=bs.Markets(number=20, firms=bs.Choice(2, 5, 10), products_per_firm=bs.Choice(3, 4, 5)),
    characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
    errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    consumers=bs.Integration("monte_carlo", 1_000),
)


def estimator(*, supply: bool) -> bs.Estimator:
    """Return two-step GMM with sums of characteristics as instruments, started half-way off the truth."""
    return bs.Estimator(
        supply=supply,
        instruments=bs.instruments.Sums(),
        integration=bs.Integration("product", 9),
        starts=bs.Starts(1, around="truth", width=0.5),
        gmm=bs.GMM(method="2s", optimizer=bs.Optimizer("l-bfgs-b", gtol=1e-5)),
    )


design = bs.Design(
    name="quickstart",
    seed=2020,
    replications=1_000,
    scenarios={"simple": scenario},
    estimators={"demand": estimator(supply=False), "demand and supply": estimator(supply=True)},
)
