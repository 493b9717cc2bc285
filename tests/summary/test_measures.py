"""Reported Monte Carlo errors beside the true ones, over 2,000 made studies of 500 replications.

The true error is the standard deviation of a measure over the studies. Its own relative error is about
1 / sqrt(2 * 2,000) = 1.6 %, so 7 % is more than four of them; the reported errors' bias at 500
replications is another 1 to 2 % (for Gamma and medians).
"""

import numpy as np
import pytest

from blpsim.errors import ConfigurationError
from blpsim.summary.measures import EVERY_MEASURE, MEASURES, Measure, chosen, wilson
from blpsim.summary.sample import sample

STUDIES, REPLICATIONS = 2_000, 500
NAMES = [measure.name for measure in MEASURES]
MEASURE = {measure.name: measure for measure in EVERY_MEASURE}
FIXED = [measure for measure in EVERY_MEASURE if measure.name != "recovery"]


def normal(generator, shape):
    """Estimates around 2 by 1, standard errors by chance around 1."""
    return 2 + generator.normal(size=shape), np.sqrt(generator.chisquare(20, size=shape) / 20)


def gamma(generator, shape):
    """Skewed estimates around 4 by 2, whose squared standard errors are proportional to them."""
    estimate = generator.gamma(4.0, size=shape)
    return estimate, np.sqrt(estimate)


@pytest.fixture(scope="module", params=[normal, gamma], ids=["normal", "gamma"])
def studies(request):
    estimate, standard_error = request.param(np.random.default_rng(12), (STUDIES, REPLICATIONS))
    truth = np.full(estimate.shape, 2.1 if request.param is normal else 4.2)
    bounds = np.random.default_rng(13).random(estimate.shape) < 0.2
    return request.param, sample(estimate, standard_error, truth, at_bound=bounds)


@pytest.mark.parametrize("measure", FIXED, ids=lambda measure: measure.name)
def test_the_reported_error_is_the_measures_standard_deviation_over_studies(studies, measure):
    found = measure(studies[1])
    assert found.used.tolist() == [REPLICATIONS] * STUDIES
    assert found.error.mean() / found.value.std(ddof=1) == pytest.approx(1, abs=0.07)


def test_the_textbook_errors_that_assume_normality_would_have_failed(studies):
    draw, cells = studies
    deviation, relative, average = (
        MEASURE["empirical_se"](cells),
        MEASURE["se_ratio"](cells),
        MEASURE["mean_se"](cells),
    )
    textbook = deviation.value / np.sqrt(2 * (REPLICATIONS - 1))
    uncorrelated = relative.value * np.hypot(
        average.error / average.value, 1 / np.sqrt(2 * (REPLICATIONS - 1))
    )
    of_deviation = textbook.mean() / deviation.value.std(ddof=1)
    of_ratio = uncorrelated.mean() / relative.value.std(ddof=1)
    if draw is normal:
        assert (of_deviation, of_ratio) == pytest.approx((1, 1), abs=0.07)
    else:
        assert of_deviation < 0.85
        assert abs(of_ratio - 1) > 0.08


def test_heavy_tails_are_where_errors_of_means_of_squares_fall_short_and_medians_do_not():
    estimate = np.random.default_rng(5).standard_t(5, size=(STUDIES, REPLICATIONS))
    cells = sample(estimate, np.ones_like(estimate), np.zeros_like(estimate))
    ratios = {}
    for measure in MEASURES:
        found = measure(cells)
        ratios[measure.name] = found.error.mean() / max(found.value.std(ddof=1), 1e-300)
    assert 0.80 < ratios["rmse"] < 0.97
    assert 0.80 < ratios["empirical_se"] < 0.97
    assert ratios["median_bias"] == pytest.approx(0.97, abs=0.07)
    assert ratios["median_absolute_error"] == pytest.approx(0.97, abs=0.07)


def test_a_truth_that_differs_by_replication_enters_replication_by_replication():
    truth = np.random.default_rng(6).normal(size=(1, 200)) * 5
    errors = np.random.default_rng(7).normal(size=(1, 200))
    moving = sample(truth + errors, np.ones((1, 200)), truth)
    fixed = sample(errors, np.ones((1, 200)), np.zeros((1, 200)))
    for measure in MEASURES:
        np.testing.assert_allclose(measure(moving)[:2], measure(fixed)[:2], rtol=1e-9)


def test_the_sign_of_the_truth_changes_no_error():
    estimate, standard_error = normal(np.random.default_rng(9), (1, 300))
    plus, minus = (sample(sign * estimate, standard_error, np.full((1, 300), sign * 2.0)) for sign in (1, -1))
    for measure in MEASURES:
        value, error, _ = measure(plus)
        mirrored = -value if "bias" in measure.name else value
        np.testing.assert_allclose(measure(minus)[:2], (mirrored, error), rtol=1e-12)


def test_the_ratio_pairs_standard_errors_with_their_own_estimates():
    estimate, standard_error = gamma(np.random.default_rng(10), (1, 400))
    paired = MEASURE["se_ratio"](sample(estimate, standard_error, np.full((1, 400), 4.0)))
    shuffled = np.random.default_rng(11).permutation(standard_error, axis=1)
    unpaired = MEASURE["se_ratio"](sample(estimate, shuffled, np.full((1, 400), 4.0)))
    np.testing.assert_allclose(paired.value, unpaired.value, rtol=1e-12)
    assert paired.error < 0.9 * unpaired.error


def test_what_has_no_truth_has_a_spread_but_no_bias_and_no_coverage():
    estimate, standard_error = normal(np.random.default_rng(13), (1, 50))
    cells = sample(estimate, standard_error, np.full((1, 50), np.nan))
    found = {measure.name: measure(cells) for measure in MEASURES}
    assert found["empirical_se"].value.item() == pytest.approx(estimate.std(ddof=1))
    assert found["empirical_se"].used.item() == found["mean_se"].used.item() == 50
    assert {
        name for name, (value, _, used) in found.items() if np.isnan(value).all() and used.item() == 0
    } == {
        "bias",
        "median_bias",
        "rmse",
        "median_absolute_error",
        "coverage",
    }


def test_coverage_is_of_the_level_asked_for():
    estimate = np.linspace(-3, 3, 601)[None, :]
    shares = []
    for level in (0.5, 0.95):
        cells = sample(estimate, np.ones_like(estimate), np.zeros_like(estimate), level)
        shares.append(MEASURES[NAMES.index("coverage")](cells).value.item())
    assert shares == pytest.approx([2 * 67 / 601 + 1 / 601, 2 * 195 / 601 + 1 / 601])


@pytest.mark.parametrize("level", [0, 1, -0.1, 95, float("nan")])
def test_a_level_that_is_no_probability_is_refused(level):
    with pytest.raises(ConfigurationError, match=r"^level = .*: expected between 0 and 1;"):
        sample(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 2)), level)


def test_wilsons_interval_is_the_published_one_and_has_width_at_the_ends():
    lower, upper = wilson(np.array([0.0, 1.0, 0.95, np.nan]), np.array([10, 10, 100, 0]))
    np.testing.assert_allclose(lower[:3], [0.0, 0.7224672, 0.8882495], atol=1e-6)
    np.testing.assert_allclose(upper[:3], [0.2775328, 1.0, 0.9784563], atol=1e-6)
    assert np.isnan([lower[3], upper[3]]).all()


def test_the_error_of_a_correlation_with_a_truth_that_varies_is_its_own():
    """Gamma truths and noise with heavy tails, for which (1 - r^2) / sqrt(n - 1) is 25 % too small."""
    random = np.random.default_rng(14)
    truth = random.gamma(4.0, size=(STUDIES, REPLICATIONS))
    cells = sample(truth + random.standard_t(8, size=truth.shape), np.ones_like(truth), truth)
    found = MEASURE["recovery"](cells)
    true = found.value.std(ddof=1)
    assert found.error.mean() / true == pytest.approx(1, abs=0.07)
    assert ((1 - found.value**2) / np.sqrt(REPLICATIONS - 1)).mean() / true < 0.85
    assert MEASURE["recovery"](cells._replace(truth=np.ones_like(truth))).used.max() == 0


def test_measures_are_what_their_names_say():
    estimate = np.array([[1.0, 2.0, 3.0, 10.0, -4.0, 2.5]])
    errors, own = estimate - 2.0, np.array([[0.4, 0.1, 1.0, 1.0, 0.5, 3.0]])
    bound = np.array([[0, 0, 1, 1, 0, 1]])
    cells, z = sample(estimate, own, np.full((1, 6), 2.0), at_bound=bound), 1.959963984540054
    expected = {
        "relative_bias": errors.mean() / 2,
        "mse": (errors**2).mean(),
        "relative_rmse": np.sqrt((errors**2).mean()) / 2,
        "mae": abs(errors).mean(),
        "quantile_25": np.quantile(errors, 0.25),
        "quantile_95": np.quantile(errors, 0.95),
        "rms_se": np.sqrt((own**2).mean()),
        "relative_se_error": np.sqrt((own**2).mean()) / errors.std(ddof=1) - 1,
        "bias_eliminated_coverage": (abs(errors - errors.mean()) <= z * own).mean(),
        "lower_miss": (errors > z * own).mean(),
        "upper_miss": (errors < -z * own).mean(),
        "interval_width": 2 * z * own.mean(),
        "size": (abs(errors) > z * own).mean(),
        "power": (abs(estimate) > z * own).mean(),
        "at_bound": 0.5,
    }
    for name, value in expected.items():
        assert MEASURE[name](cells).value.item() == pytest.approx(value, rel=1e-12), name
    assert MEASURE["lower_miss"](cells).value != MEASURE["upper_miss"](cells).value


def test_tests_of_adjusted_size_reject_the_truth_as_often_as_they_should():
    random = np.random.default_rng(15)
    estimate = random.normal(size=(1, 4_001))
    cells = sample(estimate, np.full_like(estimate, 0.5), np.zeros_like(estimate))
    assert MEASURE["power"](cells).value.item() > 0.3
    assert MEASURE["size_adjusted_power"](cells).value.item() == pytest.approx(0.05, abs=1 / 4_001)


def test_a_trimmed_mean_forgets_its_ends_and_a_mean_does_not():
    values = np.array([[*range(20)]], float)
    wild = np.where(values == 19, 1e9, values)
    zero = np.zeros_like(values)
    for name, same in (("trimmed_bias", True), ("bias", False)):
        found = [MEASURE[name](sample(each, zero, zero)) for each in (values, wild)]
        assert (found[0].value == found[1].value).all() == same


def test_a_measure_of_ones_own_is_a_mean_or_influence_values():
    estimate, own = normal(np.random.default_rng(16), (3, 200))
    estimate[0, :50] = np.nan
    cells = sample(estimate, own, np.full((3, 200), 2.0))
    far = Measure(name="far", function=lambda cells: np.abs(cells.error) > 1, is_proportion=True)
    found, errors = far(cells), cells.error[0, 50:]
    assert found.used.tolist() == [150, 200, 200]
    assert found.value[0] == pytest.approx((abs(errors) > 1).mean())
    assert found.error[0] == pytest.approx(np.sqrt(found.value[0] * (1 - found.value[0]) / 150))
    again = Measure(name="again", function=MEASURE["rmse"].function)
    np.testing.assert_array_equal(again(cells), MEASURE["rmse"](cells))
    with pytest.raises(ConfigurationError, match=r"^Measure odd = .*: expected one number a replication"):
        Measure(name="odd", function=lambda cells: cells.error.mean(axis=-1))(cells)


def test_measures_are_chosen_by_name_or_given():
    mine = Measure(name="mine", function=lambda cells: cells.error)
    assert [measure.name for measure in chosen(["rmse", mine])] == ["rmse", "mine"]
    assert chosen("all") == EVERY_MEASURE
    for wrong, why in (
        ([], "different names"),
        (["bias", "bias"], "different names"),
        (["bies"], "one of all, bias"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            chosen(wrong)
    with pytest.raises(ConfigurationError, match=r"^Measure\.name"):
        Measure(name="", function=lambda cells: cells.error)
