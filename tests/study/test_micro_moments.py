"""Micro moments of a study: observed in the surveys of its datasets, matched, recorded and published."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

import blpsim as bs
from blpsim.errors import ConfigurationError
from blpsim.status import Status
from tests.simulate.scenarios import scenario

BUYERS = bs.MicroDataset("buyers", observations=2_000)
SWITCHERS = bs.MicroDataset("switchers", observations=1_000, second_choices=True)
INCOME = bs.MicroMoment("E[income]", None, parts=bs.MicroPart("income", BUYERS, agent="income"))
INTERACTION = bs.MicroMoment(
    "E[income x]", None, parts=bs.MicroPart("income x", BUYERS, agent="income", first="x")
)
SECOND = bs.MicroMoment("E[x x']", None, parts=bs.MicroPart("x x'", SWITCHERS, first="x", second="x"))
MOMENTS = (INCOME, INTERACTION, SECOND)


def made(**changes):
    parts = {
        "model": bs.Model(
            linear="1 + x + prices", nonlinear="1 + x", demographics="0 + income", supply="1 + x + w"
        ),
        "truth": bs.Parameters(
            beta=[-1, 2, -1], sigma=np.diag([0.0, 1.0]), pi=[[0.5], [0.8]], gamma=[2, 1, 0.2]
        ),
        "markets": bs.Markets(number=15, firms=2, products_per_firm=bs.Choice(2, 3)),
        "demographics": {"income": bs.Lognormal(0, 0.4)},
        "consumers": bs.Integration("monte_carlo", 200),
        "surveys": (BUYERS, SWITCHERS),
    }
    return scenario(**{**parts, **changes})


def estimator(moments=MOMENTS, **changes):
    return bs.Estimator(
        **{
            "integration": bs.Integration("monte_carlo", 100),
            "supply": False,
            "gmm": bs.GMM(method="1s", micro_moments=moments),
            **changes,
        }
    )


def design(**estimators):
    return bs.Design(name="micro", seed=3, replications=2, scenarios={"made": made()}, estimators=estimators)


def test_a_study_matches_what_surveys_observe_and_remembers_the_fit(tmp_path):
    plan = design(micro=estimator(), few=estimator((INTERACTION,)), none=estimator(()))
    bs.run(plan, store=tmp_path / "store", workers=0)
    results = xr.open_zarr(tmp_path / "store" / "results.zarr").sel(scenario="made").load()
    assert (results["status"] == Status.CONVERGED).all()
    assert results["micro_moment"].values.tolist() == sorted(moment.name for moment in MOMENTS)
    for number in range(2):
        dataset = made().generate(plan.streams("made", number))
        for moment, value in zip(MOMENTS, dataset.micro_values(MOMENTS), strict=True):
            here = results["micro_observed"].sel(micro_moment=moment.name, replication=number)
            assert float(here.sel(estimator="micro")) == value
            assert np.isnan(here.sel(estimator="none"))
            assert np.isnan(here.sel(estimator="few")) == (moment is not INTERACTION)
    micro = results.sel(estimator="micro")
    gaps = np.abs(micro["micro_observed"] - micro["micro_fitted"]) / micro["micro_observed"]
    # Their errors are those of 1,000 answers and 100 people a market, some 3%; W makes them count.
    assert float(gaps.min()) > 0
    assert float(gaps.max()) < 0.1
    assert bs.summarize(bs.open_study(tmp_path / "store")) is not None


def test_an_estimate_on_a_dataset_is_that_by_given_values():
    dataset, streams = made().generate(bs.Streams(seed=3, replication=0)), bs.Streams(seed=3, replication=0)
    values = dataset.micro_values(MOMENTS)
    given = [dataclasses.replace(m, value=float(v)) for m, v in zip(MOMENTS, values, strict=True)]
    observed = estimator().estimate(dataset, streams)
    known = estimator(tuple(given)).estimate(dataset, streams)
    assert observed.status is Status.CONVERGED
    np.testing.assert_array_equal(observed.values, known.values)
    np.testing.assert_array_equal(observed.micro_observed, values)
    np.testing.assert_array_equal(observed.micro_fitted, known.micro_fitted)
    without = estimator(()).estimate(dataset, streams)
    assert not np.any(observed.values == without.values)
    assert np.size(without.micro_observed) == 0


def test_values_that_are_not_finite_are_a_status():
    nothing = bs.MicroPart("nothing", BUYERS, first="0 * x")
    moment = bs.MicroMoment("1 / 0", None, parts=nothing, function=lambda v: np.divide(1.0, v[0]))
    dataset, streams = made().generate(bs.Streams(seed=3, replication=0)), bs.Streams(seed=3, replication=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = estimator((moment,)).estimate(dataset, streams)
    assert found.status is Status.NON_FINITE
    assert np.isnan(found.values).all()


@pytest.mark.parametrize(
    ("moments", "surveys", "said"),
    [
        (
            (INCOME,),
            (SWITCHERS,),
            r"^MicroMoment\('E\[income\]'\).value = None: expected a number, or",
        ),
        ((INCOME,), (), r"there is no survey 'buyers'"),
        (
            (SECOND,),
            (dataclasses.replace(SWITCHERS, second_choices=False),),
            r"does not ask for second choices$",
        ),
        ((INCOME, INCOME), (BUYERS,), r"^Estimator.gmm.micro_moments = E\[income\]: expected each name once"),
    ],
    ids=["another survey", "no survey", "first choices", "a name twice"],
)
def test_moments_that_no_survey_observes_are_refused_with_the_design(moments, surveys, said):
    with pytest.raises(ConfigurationError, match=said):
        bs.Design(
            name="a",
            seed=1,
            replications=1,
            scenarios={"a": made(surveys=surveys)},
            estimators={"a": estimator(moments)},
        )
