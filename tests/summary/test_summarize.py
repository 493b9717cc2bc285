from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from blpsim.errors import ConfigurationError, StoreError
from blpsim.summary.measures import MEASURES, Measure
from blpsim.summary.summarize import summarize
from tests.summary.made import column, number, results
from tests.wrong_values import refused_values

NAMES = [measure.name for measure in MEASURES]
RANDOM = np.random.default_rng(2)
ESTIMATES = RANDOM.normal(size=(2, 3, 80, 2))
ERRORS = RANDOM.uniform(0.5, 1.5, size=ESTIMATES.shape)
ENDED = RANDOM.choice([1, 1, 1, 3, 4, 6, 14, 0, 2], size=(2, 3, 80))


def test_every_cell_holds_the_measures_of_its_own_usable_replications():
    summary = summarize(results(ESTIMATES, ERRORS, 0.25, ENDED))
    for scenario, estimator, parameter in np.ndindex(2, 3, 2):
        enters = np.isin(ENDED[scenario, estimator], (1, 3, 4))
        errors = ESTIMATES[scenario, estimator, enters, parameter] - 0.25
        own = ERRORS[scenario, estimator, enters, parameter]
        expected = {
            "bias": errors.mean(),
            "median_bias": np.median(errors),
            "rmse": np.sqrt((errors**2).mean()),
            "median_absolute_error": np.median(abs(errors)),
            "empirical_se": errors.std(ddof=1),
            "mean_se": own.mean(),
            "se_ratio": own.mean() / errors.std(ddof=1),
            "coverage": (abs(errors) <= 1.959963984540054 * own).mean(),
        }
        found = summary.dataset.isel(scenario=scenario, estimator=estimator, parameter=parameter)
        assert found["measure"].values.tolist() == list(expected)
        np.testing.assert_allclose(found["value"], list(expected.values()), rtol=1e-12)
        assert (found["used"] == enters.sum()).all()
        assert found["attempted"] == (~np.isin(ENDED[scenario, estimator], (0, 2))).sum()


def test_convergence_is_the_share_of_attempts_that_are_usable():
    ended = np.array([1] * 17 + [3] + [4] + [6] + [0] * 5 + [2] * 5).reshape(1, 1, 30)
    summary = summarize(results(np.zeros((1, 1, 30, 1)), status=ended))
    row = summary.table.iloc[0]
    assert row[["scenario", "estimator", "parameter", "measure"]].tolist() == ["s0", "e0", "", "convergence"]
    assert row["value"] == 0.95
    assert row["mcse"] == pytest.approx(np.sqrt(0.95 * 0.05 / 20))
    assert (row["attempted"], row["used"]) == (20, 20)
    assert (row["lower"], row["upper"]) == pytest.approx((0.763869, 0.991118), abs=1e-6)
    assert summary.dataset["count"].sel(status="pending").item() == 5


def test_an_estimate_without_standard_error_counts_for_bias_and_not_for_coverage():
    summary = summarize(results(column(1, 2, 3, 6), column(1, np.nan, 1, np.nan), 2.0))
    assert {name: number(summary, name, "used") for name in NAMES} == {
        "bias": 4,
        "median_bias": 4,
        "rmse": 4,
        "median_absolute_error": 4,
        "empirical_se": 4,
        "mean_se": 2,
        "se_ratio": 2,
        "coverage": 2,
    }
    assert number(summary, "bias") == 1.0
    assert number(summary, "coverage") == 1.0
    assert number(summary, "se_ratio") == pytest.approx(1 / np.std([1, 3], ddof=1))


def test_a_failed_replication_enters_nothing_even_if_it_left_an_estimate():
    honest = summarize(results(column(1, 2, np.nan), status=[[[1, 1, 14]]]))
    tempting = summarize(results(column(1, 2, 1e9), status=[[[1, 1, 14]]]))
    pd.testing.assert_frame_equal(honest.table, tempting.table)


def test_the_truth_may_differ_by_replication_or_be_given_once():
    moving = results(column(1, 2, 4), truth=column(1, 1, 2)[0])
    assert number(summarize(moving), "bias") == 1.0
    assert summarize(moving).dataset["truth_varies"].item()
    once = results(column(1, 2, 4), truth=1.0)
    still = once.assign(truth=once["truth"].isel(replication=0, drop=True))
    pd.testing.assert_frame_equal(summarize(still).table, summarize(once).table)
    assert not summarize(still).dataset["truth_varies"].item()


@pytest.mark.parametrize("ended", [[0], [14], [1], [0, 0], [1, 14], [14, 14]])
@pytest.mark.filterwarnings("error")
def test_fewer_than_two_usable_replications_give_no_number_and_no_warning(ended):
    summary = summarize(results(column(*ended), status=[[ended]]))
    assert np.isnan(summary.dataset["value"]).all()
    assert np.isnan(summary.dataset["mcse"]).all()
    assert (summary.dataset["used"] == ended.count(1)).all()


@pytest.mark.filterwarnings("error")
def test_a_store_without_any_replication_is_summarized():
    summary = summarize(results(np.zeros((1, 2, 0, 2))))
    assert summary.table["measure"].tolist() == ["convergence"] * 2
    assert summary.table["attempted"].tolist() == [0, 0]


def test_an_estimator_that_always_fails_stays_in_the_table():
    ended = np.array([[[1] * 10, [9] * 10]])
    summary = summarize(results(np.full((1, 2, 10, 2), 1.0), status=ended))
    failed = summary.table[summary.table["estimator"] == "e1"]
    assert failed["parameter"].tolist() == ["", *["beta[x0]"] * 8, *["beta[x1]"] * 8]
    assert failed.iloc[0][["value", "attempted"]].tolist() == [0.0, 10]
    assert failed.iloc[1:]["value"].isna().all()


def test_a_parameter_that_an_estimator_does_not_have_is_left_out_of_its_rows():
    estimates = np.ones((1, 2, 10, 2))
    estimates[0, 0, :, 1] = np.nan
    rows = summarize(results(estimates)).table.groupby("estimator")["parameter"].unique()
    assert [list(names) for names in rows] == [["", "beta[x0]"], ["", "beta[x0]", "beta[x1]"]]


def test_rows_follow_the_order_of_the_dataset_not_of_the_alphabet():
    made = results(
        ESTIMATES, scenario=["z", "a"], estimator=["two", "one", "ten"], parameter=["sigma", "beta"]
    )
    table = summarize(made).table
    assert list(table["scenario"].unique()) == ["z", "a"]
    assert list(table["estimator"].unique()) == ["two", "one", "ten"]
    assert table["measure"].tolist() == ["convergence", *NAMES, *NAMES] * 6
    assert list(table.columns[:8]) == [
        *("scenario", "estimator", "parameter", "measure", "value", "mcse", "attempted", "used"),
    ]


def test_neither_the_order_of_dimensions_nor_of_replications_nor_laziness_matters():
    made = results(ESTIMATES, ERRORS, 0.1, ENDED)
    expected = summarize(made).table
    turned = made.transpose("parameter", "replication", "scenario", "estimator")
    pd.testing.assert_frame_equal(summarize(turned).table, expected)
    pd.testing.assert_frame_equal(summarize(made.chunk(replication=7)).table, expected)
    shuffled = made.isel(replication=np.random.default_rng(0).permutation(80))
    pd.testing.assert_frame_equal(summarize(shuffled).table, expected, rtol=1e-12)


def test_a_published_store_is_summarized_like_the_dataset_it_came_from(tmp_path):
    made = results(ESTIMATES, ERRORS, 0.1, ENDED)
    made.to_zarr(tmp_path / "results.zarr", zarr_format=3, consolidated=False)
    opened = xr.open_zarr(tmp_path / "results.zarr", consolidated=False)
    pd.testing.assert_frame_equal(summarize(opened).table, summarize(made).table)


def test_a_study_is_summarized_through_its_results():
    made = results(ESTIMATES, ERRORS)
    pd.testing.assert_frame_equal(summarize(SimpleNamespace(results=made)).table, summarize(made).table)


def test_the_summary_keeps_the_scenarios_factors_and_says_what_it_is_of():
    made = results(ESTIMATES).assign_coords(markets=("scenario", [20, 50]))
    dataset = summarize(made, level=0.9).dataset
    assert dataset["markets"].values.tolist() == [20, 50]
    assert (dataset.attrs["title"], dataset.attrs["level"], dataset.attrs["replications"]) == (
        "made",
        0.9,
        80,
    )


def test_a_lower_level_covers_less():
    made = results(ESTIMATES, 1.0)
    assert (
        summarize(made, level=0.5).dataset["value"].sel(measure="coverage")
        < summarize(made).dataset["value"].sel(measure="coverage")
    ).all()


def test_an_estimate_that_one_replication_dominates_is_doubted():
    errors = np.random.default_rng(5).normal(size=(1, 2, 400, 1))
    assert summarize(results(errors)).warnings == ()
    errors[0, 1, 17, 0] = 60.0
    found = summarize(results(errors))
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("s0, e1, beta[x0]: one replication makes up 90 % of squared errors;")
    assert found.dataset["doubtful"].squeeze().values.tolist() == [False, True]
    untold = summarize(results(errors + 1_000, truth=np.nan))
    assert untold.dataset["doubtful"].squeeze().values.tolist() == [False, True]


def test_few_replications_are_not_doubted_for_their_largest():
    assert summarize(results(np.random.default_rng(5).normal(size=(9, 9, 20, 9)))).warnings == ()


def test_measures_are_those_asked_for_and_shares_have_wilsons_interval():
    mine = Measure(name="mine", function=lambda cells: cells.error > 0, is_proportion=True)
    found = summarize(results(ESTIMATES, ERRORS, 0.25, ENDED), measures=["power", mine])
    assert found.dataset["measure"].values.tolist() == ["power", "mine"]
    enters = np.isin(ENDED[0, 0], (1, 3, 4))
    positive = (ESTIMATES[0, 0, enters, 0] > 0.25).mean()
    assert number(found, "mine", scenario="s0", estimator="e0", parameter="beta[x0]") == positive
    lower, upper = found.dataset["lower"], found.dataset["upper"]
    assert ((lower < found.dataset["value"]) & (found.dataset["value"] < upper)).all()


def test_mass_at_a_bound_is_a_share_of_usable_replications():
    made = results(column(1, 2, 3, 4, 5), status=[[[1, 1, 1, 1, 14]]])
    made["at_bound"] = made["estimate"].copy(data=column(1, 0, 0, 0, 1))
    found = summarize(made, measures=["at_bound"])
    assert (number(found, "at_bound"), number(found, "at_bound", "used")) == (0.25, 4)


@pytest.mark.parametrize("name", ["estimate", "standard_error", "truth", "status"])
def test_a_dataset_that_lacks_a_variable_is_refused(name):
    with pytest.raises(StoreError, match=f"^dataset = .*: expected a variable {name};"):
        summarize(results(ESTIMATES).drop_vars(name))


@pytest.mark.parametrize("argument", ["study", "level"])
def test_an_argument_of_a_wrong_kind_is_refused(argument):
    given = {"study": results(ESTIMATES)}
    refused_values(lambda **changes: summarize(**{**given, **changes}), argument)


def test_a_level_that_is_no_probability_is_refused():
    with pytest.raises(ConfigurationError, match=r"^level = 95:"):
        summarize(results(ESTIMATES), level=95)
