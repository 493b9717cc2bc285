"""Table B2 of Conlon and Gortmaker (2020): how estimators integrate, with and without supply."""

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
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x + prices", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0, 0], [0, 0.2]], gamma=[2, 1, 0.2]),
)
rcnl = dataclasses.replace(
    simple,
    model=dataclasses.replace(simple.model, nests="nesting_ids"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], rho=0.5, gamma=[2, 1, 0.2]),
    nests=bs.Assign(2),
)

RULES = {
    "monte carlo 100": bs.Integration("monte_carlo", 100),
    "monte carlo 1000": bs.Integration("monte_carlo", 1_000),
    "mlhs 1000": bs.Integration("mlhs", 1_000),
    "halton 1000": bs.Integration("halton", 1_000),
    "product 9": bs.Integration("product", 9),
}
CANDIDATES = bs.Integration("monte_carlo", 10_000)


def estimators() -> dict[str, bs.Estimator]:
    """Return estimators with optimal instruments, a rule each; importance sampling builds on draws."""
    found = {}
    for supply in (False, True):
        side = "supply" if supply else "demand"
        for name, rule in RULES.items():
            one_step = bs.Estimator(
                instruments=bs.instruments.Sums(),
                supply=supply,
                integration=rule,
                starts=bs.Starts(1, around="truth", width=0.5),
                bounds=bs.Bounds(width=10, highest_price_coefficient=-0.001),
                gmm=bs.GMM(method="1s", hessian=False, optimizer=bs.Optimizer("l-bfgs-b", gtol=1e-5)),
            )
            found[f"{side}/{name}"] = dataclasses.replace(
                one_step,
                instruments=bs.instruments.Optimal(first=one_step),
                gmm=dataclasses.replace(one_step.gmm, method="2s"),
            )
        draws = found[f"{side}/monte carlo 1000"]
        sampling = bs.ImportanceSampling(first=draws, draws=1_000, integration=CANDIDATES, sets=1_000)
        found[f"{side}/importance 1000"] = dataclasses.replace(draws, integration=sampling)
    return found


design = bs.Design(
    name="conlon-gortmaker-2020-table-b2",
    seed=2020,
    replications=100,
    scenarios={"simple": simple, "complex": complex_, "rcnl": rcnl},
    estimators=estimators(),
)
