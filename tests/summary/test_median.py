from itertools import product

import numpy as np
import pytest

from blpsim.summary.median import median


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
