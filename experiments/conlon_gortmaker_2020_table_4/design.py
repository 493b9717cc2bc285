"""Table 4 of Conlon and Gortmaker (2020): algorithms that invert market shares."""

import dataclasses

import blpsim as bs

simple = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
    markets=bs.Markets(number=20, firms=bs.Choice(2, 5, 10), products_per_firm=bs.Choice(3, 4, 5)),
    characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
    errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    consumers=bs.Integration("monte_carlo", 1_000),
)
complex_ = dataclasses.replace(
    simple,
    model=dataclasses.replace(simple.model, nonlinear="0 + x + prices"),
    truth=dataclasses.replace(simple.truth, sigma=[[3.0, 0], [0, 0.2]]),
)
rcnl = dataclasses.replace(
    simple,
    model=dataclasses.replace(simple.model, nests="nesting_ids"),
    truth=dataclasses.replace(simple.truth, rho=0.5),
    nests=bs.Assign(2),
)


def with_truth(scenario: bs.Scenario, **changed: object) -> bs.Scenario:
    """Return a scenario with other true values."""
    return dataclasses.replace(scenario, truth=dataclasses.replace(scenario.truth, **changed))


ALGORITHMS = {
    "iteration": ("simple", "contraction"),
    "df-sane": ("df-sane", "contraction"),
    "squarem": ("squarem", "contraction"),
    "powell": ("hybr", "contraction"),
    "lm": ("lm", "contraction"),
    "newton": ("newton", "contraction"),
    "blpsim, iteration": ("simple", "outside_corrected"),
    "blpsim, squarem": ("squarem", "outside_corrected"),
    "blpsim, lm": ("lm", "outside_corrected"),
    "blpsim, newton": ("newton", "outside_corrected"),
    "blpsim, anderson": ("anderson", "outside_corrected"),
}
"""The published ones on the contraction of Berry, Levinsohn and Pakes, and on blpsim's own mapping."""

estimator = bs.Estimator(
    supply=False,
    instruments=bs.instruments.Sums(),
    integration=bs.Integration("product", 9),
    starts=bs.Starts(1, around="truth", width=0.5),
    bounds=bs.Bounds(width=10),
)

design = bs.Design(
    name="conlon-gortmaker-2020-table-4",
    seed=2020,
    replications=40,
    scenarios={
        "simple, beta[1] = -7": simple,
        "simple, beta[1] = -1": with_truth(simple, beta=[-1, 6, -1]),
        "complex, beta[1] = -7": complex_,
        "complex, beta[1] = -1": with_truth(complex_, beta=[-1, 6, -1]),
        "rcnl, rho = 0.5": rcnl,
        "rcnl, rho = 0.8": with_truth(rcnl, rho=0.8),
    },
    estimators={
        name: dataclasses.replace(
            estimator, gmm=bs.GMM(method="1s", hessian=False, iteration=bs.Inversion(method, mapping, 1e-13))
        )
        for name, (method, mapping) in ALGORITHMS.items()
    },
)
