import numpy as np
import pytest

from blpsim.errors import ConfigurationError
from blpsim.summary.compare import compare, difference
from blpsim.summary.measures import EVERY_MEASURE
from blpsim.summary.sample import both, sample
from blpsim.summary.summarize import summarize
from tests.summary.made import results
from tests.wrong_values import refused_values

STUDIES, REPLICATIONS = 2_000, 500
NAMES = ("bias", "median_bias", "rmse", "median_absolute_error", "se_ratio", "coverage", "quantile_75")


@pytest.fixture(scope="module")
def correlated():
    """Two estimators whose errors have a correlation of 0.7, the second one a quarter noisier, and skewed."""
    random = np.random.default_rng(21)
    shared, first, second = random.gamma(4.0, size=(3, STUDIES, REPLICATIONS)) / 2 - 2
    own = random.uniform(0.8, 1.2, (2, STUDIES, REPLICATIONS))
    errors = (0.7**0.5 * shared + 0.3**0.5 * first, 1.25 * (0.7**0.5 * shared + 0.3**0.5 * second))
    return [sample(error, one, np.zeros_like(error)) for error, one in zip(errors, own, strict=True)]


@pytest.mark.parametrize(
    "measure", [each for each in EVERY_MEASURE if each.name in NAMES], ids=lambda m: m.name
)
def test_the_error_of_a_difference_is_its_standard_deviation_over_studies(correlated, measure):
    """Within 7 %, which is four of the true error's own relative errors, 1 / sqrt(2 * 2,000)."""
    pair = [measure.influence(cells) for cells in correlated]
    found = difference(*pair)
    assert found.error.mean() / found.value.std(ddof=1) == pytest.approx(1, abs=0.07)
    alone = np.hypot(*(measure(cells).error for cells in correlated))
    assert found.error.mean() < 0.9 * alone.mean()


def test_both_sides_are_of_the_replications_that_both_have():
    random = np.random.default_rng(22)
    made = results(random.normal(size=(2, 3, 60, 2)), random.uniform(0.5, 1.5, (2, 3, 60, 2)), 0.25)
    made["status"][0, 1, :7] = 6
    made["status"][0, 0, 5:15] = 6
    table = compare(made, "e0").table
    row = table.query(
        "scenario == 's0' and estimator == 'e1' and parameter == 'beta[x1]' and measure == 'rmse'"
    )
    one, other = (made["estimate"].to_numpy()[0, k, 15:, 1] - 0.25 for k in (1, 0))
    assert row["value"].item() == pytest.approx(np.sqrt((one**2).mean()))
    assert row["baseline"].item() == pytest.approx(np.sqrt((other**2).mean()))
    assert row["difference"].item() == pytest.approx(row["value"].item() - row["baseline"].item())
    assert row["ratio"].item() == pytest.approx(row["value"].item() / row["baseline"].item())
    assert row[["used", "used_alone", "baseline_used_alone"]].to_numpy().tolist() == [[45, 8, 5]]
    assert sorted(table["estimator"].unique()) == ["e1", "e2"]
    assert len(table) == 2 * 2 * 2 * 3


def test_scenarios_are_compared_estimator_by_estimator():
    shared = np.random.default_rng(23).normal(size=(1, 2, 80, 1))
    made = results(np.concatenate([shared, shared + 0.5]))
    table = compare(made, "s0", along="scenario", measures=["bias"]).table
    assert table["scenario"].tolist() == ["s1", "s1"]
    assert table["estimator"].tolist() == ["e0", "e1"]
    np.testing.assert_allclose(table["difference"], 0.5)
    np.testing.assert_allclose(table["difference_mcse"], 0, atol=1e-15)


def test_what_one_side_does_not_estimate_is_not_compared():
    made = results(np.random.default_rng(24).normal(size=(1, 2, 30, 2)))
    made["estimate"][0, 1, :, 1] = np.nan
    assert compare(made, "e0").table["parameter"].unique().tolist() == ["beta[x0]"]
    made["estimate"][0, 1] = np.nan
    assert compare(made, "e0").table.empty


def test_standard_errors_are_of_both_too():
    ones = np.ones((1, 4))
    first = sample(ones, np.array([[1, np.nan, 1, 1]]), ones)
    second = sample(np.array([[1, 1, np.nan, 1.0]]), ones, ones)
    for cells in both(first, second):
        assert np.isnan(cells.error).tolist() == [[False, False, True, False]]
        assert np.isnan(cells.standard_error).tolist() == [[False, True, True, False]]


def test_a_common_summary_is_of_replications_that_all_estimators_share():
    made = results(np.random.default_rng(25).normal(size=(1, 3, 40, 1)))
    made["status"][0, 0, :5], made["status"][0, 1, 3:9], made["status"][0, 2] = 6, 14, 2
    found = summarize(made, common=True)
    assert found.dataset["used"].sel(measure="bias").squeeze().values.tolist() == [31, 31, 0]
    own = summarize(made.isel(replication=slice(9, None))).dataset["value"]
    np.testing.assert_allclose(found.dataset["value"], own, rtol=1e-12)  # sums of zeros in between


@pytest.mark.parametrize(("argument", "right"), [("baseline", ()), ("along", ()), ("level", ())])
def test_an_argument_of_a_wrong_kind_is_refused(argument, right):
    given = {"study": results(np.zeros((1, 2, 5, 1))), "baseline": "e0"}
    refused_values(lambda **changes: compare(**{**given, **changes}), argument, right)


def test_a_baseline_that_is_not_there_is_refused():
    with pytest.raises(ConfigurationError, match=r"^baseline = ols: expected one of e0, e1;"):
        compare(results(np.zeros((1, 2, 5, 1))), "ols")
