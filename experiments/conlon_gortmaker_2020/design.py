"""Table 5 of Conlon and Gortmaker (2020): instruments, with and without supply."""

import dataclasses

import blpsim as bs

markets = bs.Markets(number=20, firms=bs.Choice(2, 5, 10), products_per_firm=bs.Choice(3, 4, 5))

simple = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
    markets=markets,
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

INSTRUMENTS = {
    "own": bs.instruments.Own(),
    "sums": bs.instruments.Sums(),
    "local": bs.instruments.Local(),
    "quadratic": bs.instruments.Quadratic(),
}


def estimators() -> dict[str, bs.Estimator]:
    """Return every instrument set, demand only and with supply, two steps from three starts."""
    found = {}
    for supply in (False, True):
        side = "supply" if supply else "demand"
        base = bs.Estimator(
            supply=supply,
            integration=bs.Integration("product", 9),
            starts=bs.Starts(3, around="truth", width=0.5),
            bounds=bs.Bounds(width=10, highest_price_coefficient=-0.001),
            gmm=bs.GMM(method="2s", hessian=False, optimizer=bs.Optimizer("l-bfgs-b", gtol=1e-5)),
        )
        for name, instruments in INSTRUMENTS.items():
            found[f"{side}/{name}"] = dataclasses.replace(base, instruments=instruments)
        one_step = dataclasses.replace(
            base, instruments=bs.instruments.Sums(), gmm=dataclasses.replace(base.gmm, method="1s")
        )
        optimal = bs.instruments.Optimal(first=one_step)
        found[f"{side}/optimal"] = dataclasses.replace(base, instruments=optimal)
    return found


design = bs.Design(
    name="conlon-gortmaker-2020-table-5",
    seed=2020,
    replications=1_000,
    scenarios={"simple": simple, "complex": complex_, "rcnl": rcnl},
    estimators=estimators(),
)
