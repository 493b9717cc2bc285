"""Micro data as in Conlon and Gortmaker (2025): none, means of who buys what, and second choices."""

import dataclasses
from statistics import NormalDist

import blpsim as bs

STATES, MEAN, SPREAD, DEVIATION = 50, 1.0, 0.2, 0.8
"""Logs of incomes are normal: their means are normal quantiles across states."""

incomes = bs.OneOf(
    *(
        bs.Lognormal(MEAN + SPREAD * NormalDist().inv_cdf((state + 0.5) / STATES), DEVIATION)
        for state in range(STATES)
    )
)

buyers = bs.MicroDataset("buyers", observations=40_000)
switchers = bs.MicroDataset("switchers", observations=40_000, second_choices=True)


def moment(name: str, survey: bs.MicroDataset, **terms: str) -> bs.MicroMoment:
    return bs.MicroMoment(name, None, parts=bs.MicroPart(name, survey, **terms))


STANDARD = (
    moment("E[income | buys]", buyers, agent="income"),
    moment("E[income x | buys]", buyers, agent="income", first="x"),
)
SECOND = (
    moment("E[x x2 | buys twice]", switchers, first="x", second="x"),
    moment("E[income x2 | buys twice]", switchers, agent="income", second="x"),
)

economy = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="1 + x", demographics="0 + income", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-6, 3, -3], sigma=[[0, 0], [0, 0]], pi=[[-0.1], [0.1]], gamma=[2, 0.1, 1]),
    markets=bs.Markets(number=40, firms=bs.Choice(2, 5, 10), products_per_firm=bs.Choice(3, 4, 5)),
    characteristics={"x": bs.Uniform(2, 4), "w": bs.Uniform(0, 1)},
    errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    consumers=bs.Integration("monte_carlo", 1_000),
    demographics={"income": incomes},
    surveys=(buyers, switchers),
)
sampled = dataclasses.replace(
    economy,
    surveys=tuple(bs.Survey(dataset=survey, respondents="consumers") for survey in (buyers, switchers)),
)
coarse = {"income": bs.Misreport(edges=(1, 2, 4, 8, 16))}
binned = dataclasses.replace(
    economy, surveys=tuple(bs.Survey(dataset=survey, reports=coarse) for survey in (buyers, switchers))
)


def estimators() -> dict[str, bs.Estimator]:
    """Return two-step estimators with optimal instruments and more and more micro moments."""
    found = {}
    for name, moments in {"none": (), "standard": STANDARD, "second choices": STANDARD + SECOND}.items():
        first = bs.Estimator(
            supply=False,
            integration=bs.Integration("monte_carlo", 1_000),
            instruments=bs.instruments.Quadratic(),
            starts=bs.Starts(1, around="truth", width=0.9),
            gmm=bs.GMM(
                method="1s",
                hessian=False,
                micro_moments=moments,
                optimizer=bs.Optimizer("trust-constr", gtol=1e-5),
            ),
        )
        found[name] = dataclasses.replace(
            first,
            instruments=bs.instruments.Optimal(first=first),
            gmm=dataclasses.replace(first.gmm, method="2s"),
        )
    return found


design = bs.Design(
    name="conlon-gortmaker-2025",
    seed=2025,
    replications=100,
    scenarios={"population": economy, "consumers": sampled, "binned": binned},
    estimators=estimators(),
)
