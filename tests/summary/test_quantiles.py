from itertools import product

import numpy as np
import pytest

from blpsim.summary.influence import measured
from blpsim.summary.quantiles import median, median_influence, quantile


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_below_twenty_the_error_is_that_of_all_resamples(n):
    draws = np.random.default_rng(n).exponential(size=n)
    resamples = np.array(list(product(draws, repeat=n)))
    found = median(draws[None, :])
    np.testing.assert_allclose(found.error.item(), np.median(resamples, axis=1).std(), rtol=1e-12)
    np.testing.assert_allclose(found.value.item(), np.median(draws), rtol=1e-15)


@pytest.mark.parametrize(("n", "rank"), [(20, 6), (21, 7), (100, 41), (500, 229), (10_000, 4902)])
def test_from_twenty_on_the_error_is_the_distance_of_two_order_statistics(n, rank):
    draws = np.random.default_rng(n).normal(size=n)
    ordered = np.sort(draws)
    expected = (ordered[n + 1 - rank - 1] - ordered[rank - 1]) / (2 * 1.96)
    assert median(draws[None, :]).error.item() == pytest.approx(expected, rel=1e-14)


def test_every_row_is_its_own_whatever_its_number_of_replications():
    draws = np.random.default_rng(8).normal(size=(6, 40))
    numbers = [0, 1, 2, 19, 20, 40]
    for row, number in enumerate(numbers):
        draws[row, np.random.default_rng(row).permutation(40)[number:]] = np.nan
    together = median(draws)
    assert together.used.tolist() == numbers
    for row in range(2, 6):
        alone = median(draws[row][~np.isnan(draws[row])][None, :])
        assert together.value[row] == alone.value.item()
        assert together.error[row] == alone.error.item()


@pytest.mark.filterwarnings("error")
def test_none_or_one_replication_has_no_median():
    found = median(np.array([[np.nan, np.nan], [1.0, np.nan]]))
    assert np.isnan(found.value).all()
    assert np.isnan(found.error).all()
    assert np.isnan(median(np.empty((2, 0))).value).all()


@pytest.mark.parametrize(("probability", "rank"), [(0, 1), (0.25, 2), (0.5, 3), (0.8, 4), (1, 5)])
def test_the_error_of_a_quantile_is_that_of_its_order_statistic_in_all_resamples(probability, rank):
    draws = np.random.default_rng(5).exponential(size=5)
    resamples = np.sort(list(product(draws, repeat=5)), axis=1)[:, rank - 1]
    found = measured(quantile(draws[None, :], probability))
    assert found.value.item() == pytest.approx(np.quantile(draws, probability), rel=1e-12)
    assert found.error.item() == pytest.approx(resamples.std(), rel=1e-9)


@pytest.mark.filterwarnings("error")
def test_a_quantile_is_of_what_is_there():
    draws = np.random.default_rng(6).normal(size=(4, 30))
    draws[0], draws[1, 1:], draws[2, ::3] = np.nan, np.nan, np.nan
    found = measured(quantile(draws, 0.75))
    assert np.isnan(found.value).tolist() == [True, True, False, False]
    assert found.used.tolist() == [0, 1, 20, 30]
    known = draws[2, ~np.isnan(draws[2])]
    assert found.value[2] == pytest.approx(np.quantile(known, 0.75))
    assert found.error[2] == pytest.approx(measured(quantile(known[None, :], 0.75)).error.item())


@pytest.mark.parametrize("n", [3, 12, 100])
def test_a_medians_influence_gives_back_its_error(n):
    draws = np.random.default_rng(n).normal(size=(2, n))
    draws[1, 0] = np.nan
    np.testing.assert_allclose(measured(median_influence(draws)), median(draws), rtol=1e-12)
    assert measured(median_influence(np.ones((1, n)))).error.item() == 0.0
