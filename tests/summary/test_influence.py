import numpy as np
import pytest

from blpsim.summary.influence import (
    correlation,
    jackknife,
    mean,
    measured,
    proportion,
    ratio,
    root,
    share,
    smooth,
    standard_deviation,
    trimmed_mean,
)

DRAWS = np.random.default_rng(3).gamma(2.0, size=(4, 60))


def test_the_error_of_a_mean_is_the_standard_deviation_over_root_n():
    found = measured(mean(DRAWS))
    np.testing.assert_allclose(found.value, DRAWS.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(found.error, DRAWS.std(axis=1, ddof=1) / np.sqrt(60), rtol=1e-13)


def test_the_error_of_a_standard_deviation_uses_the_fourth_moment():
    found = measured(standard_deviation(DRAWS))
    deviations = DRAWS - DRAWS.mean(axis=1, keepdims=True)
    second, fourth = (deviations**2).mean(axis=1), (deviations**4).mean(axis=1)
    deviation = DRAWS.std(axis=1, ddof=1)
    expected = (
        deviation / 2 * np.sqrt((fourth / second**2 - 1) / 60) * (second / deviation**2) * np.sqrt(60 / 59)
    )
    np.testing.assert_allclose(found.value, deviation, rtol=1e-14)
    np.testing.assert_allclose(found.error, expected, rtol=1e-12)


def test_the_error_of_a_root_mean_square_is_the_published_one():
    found = measured(root(mean(DRAWS**2)))
    rms = np.sqrt((DRAWS**2).mean(axis=1))
    np.testing.assert_allclose(found.value, rms, rtol=1e-14)
    expected = (DRAWS**2).std(axis=1, ddof=1) / (2 * rms * np.sqrt(60))
    np.testing.assert_allclose(found.error, expected, rtol=1e-12)


def test_the_error_of_a_ratio_is_that_of_its_linearization():
    other = DRAWS**2 + 1
    found = measured(ratio(mean(DRAWS), mean(other)))
    value = DRAWS.mean(axis=1) / other.mean(axis=1)
    residuals = (DRAWS - value[:, None] * other) / other.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found.value, value, rtol=1e-14)
    np.testing.assert_allclose(found.error, residuals.std(axis=1, ddof=1) / np.sqrt(60), rtol=1e-12)


def test_a_difference_on_the_same_replications_carries_the_paired_error():
    other = 0.9 * DRAWS + 0.01 * np.random.default_rng(4).normal(size=DRAWS.shape)
    one = np.ones(4)
    first, second = mean(DRAWS), mean(other)
    found = measured(smooth(first.value - second.value, (one, first), (-one, second)))
    np.testing.assert_allclose(found.error, (DRAWS - other).std(axis=1, ddof=1) / np.sqrt(60), rtol=1e-12)


def test_influence_stays_at_its_replication_and_is_zero_where_one_is_missing():
    gapped = DRAWS.copy()
    gapped[0, [3, 17]] = np.nan
    for of in (mean, standard_deviation):
        found = of(gapped)
        assert found.used.tolist() == [58, 60, 60, 60]
        assert found.psi[0, [3, 17]].tolist() == [0.0, 0.0]
        alone = of(np.delete(gapped[0], [3, 17]))
        np.testing.assert_allclose(np.delete(found.psi[0], [3, 17]), alone.psi, rtol=1e-12)
        np.testing.assert_allclose(measured(found).error[0], measured(alone).error, rtol=1e-12)


def test_a_proportion_has_the_binomial_error():
    found = proportion(np.array([[1.0, 0, 1, 1, np.nan], [1, 1, 1, 1, 1]]))
    assert found.value.tolist() == [0.75, 1.0]
    np.testing.assert_allclose(found.error, [np.sqrt(0.75 * 0.25 / 4), 0.0])
    assert found.used.tolist() == [4, 5]


@pytest.mark.parametrize("used", [0, 1])
@pytest.mark.parametrize("length", [1, 5])
@pytest.mark.filterwarnings("error")
def test_too_few_replications_give_nothing_in_silence(used, length):
    values = np.full((2, length), np.nan)
    values[:, :used] = 3.0
    for found in (
        measured(mean(values)),
        measured(standard_deviation(values)),
        measured(root(mean(values**2))),
        measured(ratio(mean(values), mean(values))),
        proportion(values),
    ):
        assert np.isnan(found.value).all()
        assert np.isnan(found.error).all()
        assert found.used.tolist() == [used, used]


@pytest.mark.filterwarnings("error")
def test_estimates_without_any_spread_have_a_mean_without_error():
    found = measured(mean(np.full((1, 9), 0.5)))
    assert (found.value.item(), found.error.item()) == (0.5, 0.0)
    assert measured(standard_deviation(np.full((1, 9), 0.5))).value.item() == 0.0


def test_an_infinite_estimate_is_not_passed_over():
    found = measured(mean(np.array([[1.0, np.inf, 2.0]])))
    assert found.value.item() == np.inf
    assert found.used.item() == 3


def test_the_jackknife_leaves_out_one_at_a_time():
    def variation(values):
        return np.nanstd(values, axis=-1, ddof=1) / np.nanmean(values, axis=-1)

    values = DRAWS[:, :12].copy()
    values[1, 3] = np.nan
    found = measured(jackknife(variation, values))
    for row, value, error in zip(values, found.value, found.error, strict=True):
        known = row[~np.isnan(row)]
        n = known.size
        without = np.array([np.delete(known, k).std(ddof=1) / np.delete(known, k).mean() for k in range(n)])
        assert value == pytest.approx(known.std(ddof=1) / known.mean())
        assert error == pytest.approx(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def test_a_share_has_the_error_of_a_proportion_by_the_one_rule():
    happened = np.array([[1.0, 0, 1, 1, np.nan], [1, 1, 1, 1, 1], [np.nan] * 5])
    np.testing.assert_allclose(measured(share(happened)), proportion(happened), rtol=1e-14)


def test_a_trimmed_mean_is_the_mean_of_the_middle():
    values = DRAWS.copy()
    values[2, 7] = np.nan
    found = trimmed_mean(values, 0.1)
    for row, value in zip(values, found.value, strict=True):
        known = np.sort(row[~np.isnan(row)])
        cut = int(0.1 * known.size)
        assert value == pytest.approx(known[cut:-cut].mean())


def test_a_correlation_leaves_out_what_either_lacks():
    other = DRAWS + np.random.default_rng(8).normal(size=DRAWS.shape)
    other[0, :9] = np.nan
    found = correlation(DRAWS, other)
    assert found.used.tolist() == [51, 60, 60, 60]
    expected = np.corrcoef(DRAWS[0, 9:], other[0, 9:])[0, 1]
    assert found.value[0] == pytest.approx(expected)
