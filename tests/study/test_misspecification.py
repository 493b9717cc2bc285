"""A study of estimators that assume other conduct, or another model, than that which made the data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.report.tables import text
from tests.simulate.scenarios import scenario

REPLICATIONS = 12
RULE = bs.Integration("product", 5)
ONE = bs.Starts(1, width=0.1)


def mean_markup(economy):
    """Return the mean Lerner index."""
    return economy.markups().mean()


def design():
    base = scenario(
        truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 2]),
        markets=bs.Markets(number=20, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(2, 3)),
        conduct=bs.Ownership(0.0),
    )
    true = bs.Estimator(integration=RULE, starts=ONE, gmm=bs.GMM(hessian=False))
    larger = bs.Model(linear="1 + x + prices", nonlinear="0 + x + w", supply="1 + x + w")
    return bs.Design(
        name="conduct",
        seed=1,
        replications=REPLICATIONS,
        scenarios=bs.vary(base, {"conduct.kappa": (0.0, 1.0)}),
        estimators={
            "true": true,
            "bertrand": dataclasses.replace(true, conduct="bertrand"),
            "logit": dataclasses.replace(
                true, model=bs.Model(linear="1 + x + prices", supply="1 + x + w"), integration=None
            ),
            "larger": dataclasses.replace(
                true, model=larger, parameters=bs.Parameters(sigma=np.diag([3.0, 0.5]))
            ),
        },
        estimands={"mean markup": mean_markup},
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    store = tmp_path_factory.mktemp("conduct")
    bs.run(design(), store, workers=0)
    return bs.open_study(store)


def paired(study, parameter, kappa):
    """Return estimates under Bertrand less those under the true conduct, on the same data."""
    estimates = study.results["estimate"].sel(scenario=f"kappa={kappa:.1f}", parameter=parameter)
    return (estimates.sel(estimator="bertrand") - estimates.sel(estimator="true")).values


def test_bertrand_is_what_it_is_where_it_is_true(study):
    for parameter in study.results["parameter"].values:
        np.testing.assert_array_equal(np.nan_to_num(paired(study, parameter, 0)), 0)


def test_believing_a_monopoly_to_be_bertrand_hides_its_markups_in_costs(study):
    """What is asked for is twice what chance leaves: 4 Monte Carlo standard errors of paired differences."""
    for parameter, sign in (("gamma[x]", 1), ("mean markup", -1)):
        found = sign * paired(study, parameter, 1)
        assert found.mean() > 4 * found.std(ddof=1) / np.sqrt(REPLICATIONS)
    assert paired(study, "gamma[x]", 1).mean() > 0.1


def test_parameters_that_only_one_side_has_are_missing_on_the_other(study):
    truth, estimate = study.results["truth"], study.results["estimate"]
    assert truth.sel(parameter="sigma[w,w]").isnull().all()
    assert estimate.sel(estimator="larger", parameter="sigma[w,w]").notnull().all()
    assert estimate.sel(estimator="true", parameter="sigma[w,w]").isnull().all()
    assert estimate.sel(estimator="logit", parameter="sigma[x,x]").isnull().all()
    assert truth.sel(parameter="sigma[x,x]").notnull().all()


def test_tables_show_what_can_be_said_of_them(study):
    told = text(bs.summarize(study))
    larger = told[told.index("larger") :]
    row = next(line for line in larger.splitlines() if "sigma[w,w]" in line)
    assert row.split()[1:5] == ["-"] * 4
    logit = told[told.index("logit") : told.index("larger")]
    assert "sigma" not in logit
    assert "true 1" in logit
