"""Table 6 of Conlon and Gortmaker (2020): algorithms that minimize the objective."""

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

METHODS = ("l-bfgs-b", "bfgs", "cg", "newton-cg", "tnc", "slsqp", "nelder-mead", "powell")
OPTIMIZERS = {
    **{name: bs.Optimizer(name) for name in METHODS},
    "trust-constr": bs.Optimizer("trust-constr", max_iterations=200),
    "l-bfgs-b, gtol 2": bs.Optimizer("l-bfgs-b", gtol=2.0),
    "bfgs, gtol 2": bs.Optimizer("bfgs", gtol=2.0),
}
"""Those of SciPy that PyBLP has, and two with about the tolerance of the published table."""


def estimators() -> dict[str, bs.Estimator]:
    """Return every optimizer for demand alone and with supply, one step from one start."""
    found = {}
    for supply in (False, True):
        base = bs.Estimator(
            supply=supply,
            instruments=bs.instruments.Sums(),
            integration=bs.Integration("product", 9),
            starts=bs.Starts(1, around="truth", width=0.5),
            bounds=bs.Bounds(width=10, highest_price_coefficient=-0.001),
        )
        for name, optimizer in OPTIMIZERS.items():
            found[f"{'supply' if supply else 'demand'}/{name}"] = dataclasses.replace(
                base, gmm=bs.GMM(method="1s", optimizer=optimizer)
            )
    return found


design = bs.Design(
    name="conlon-gortmaker-2020-table-6",
    seed=2020,
    replications=15,
    scenarios={"simple": simple, "complex": complex_, "rcnl": rcnl},
    estimators=estimators(),
)
