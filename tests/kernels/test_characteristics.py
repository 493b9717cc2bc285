"""Sums over own and rival products: against loops in the open, compiled and not."""

import numpy as np
import pytest

from blpsim.kernels import characteristics
from blpsim.kernels.characteristics import fill_close_products, fill_spreads, fill_squares, fill_sums

FIRM_PRODUCTS = np.array([0, 2, 5, 6, 7, 11])
FIRMS = np.array([0, 3, 4, 5])
PRODUCTS = np.array([0, 6, 7, 11])
OWNERS = np.repeat(np.arange(5), np.diff(FIRM_PRODUCTS))
MARKETS = np.repeat(np.arange(3), np.diff(PRODUCTS))
SAME = (MARKETS[:, None] == MARKETS) & ~np.eye(11, dtype=bool)
OWN = SAME & (OWNERS[:, None] == OWNERS)
RIVAL = SAME & ~OWN


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(3, 11))


def filled(kernel, x, *arguments):
    own, rival = np.full_like(x, np.nan), np.full_like(x, np.nan)
    kernel(own, rival, x, *arguments)
    return own, rival


def test_sums_are_over_other_products_of_the_firm_and_over_those_of_rivals(x):
    own, rival = filled(fill_sums, x, FIRMS, FIRM_PRODUCTS)
    np.testing.assert_allclose(own, x @ OWN.T, atol=1e-15)
    np.testing.assert_allclose(rival, x @ RIVAL.T, atol=1e-15)


def test_sums_without_rivals_are_exactly_zero(x):
    own, rival = filled(fill_sums, x, FIRMS, FIRM_PRODUCTS)
    assert (rival[:, 6:] == 0).all()
    assert (own[:, 5:7] == 0).all()


def test_squares_are_summed_over_differences(x):
    squares = (x[:, :, None] - x[:, None, :]) ** 2
    own, rival = filled(fill_squares, x, OWNERS, PRODUCTS)
    np.testing.assert_allclose(own, (squares * OWN).sum(axis=2), rtol=1e-14)
    np.testing.assert_allclose(rival, (squares * RIVAL).sum(axis=2), rtol=1e-14)


def test_close_products_are_counted_below_the_width(x):
    widths = np.array([0.5, 1.0, 0.0])
    close = abs(x[:, :, None] - x[:, None, :]) < widths[:, None, None]
    own, rival = filled(fill_close_products, x, widths, OWNERS, PRODUCTS)
    np.testing.assert_array_equal(own, (close & OWN).sum(axis=2))
    np.testing.assert_array_equal(rival, (close & RIVAL).sum(axis=2))


def test_spreads_pool_all_pairs_within_markets(x):
    spreads = np.empty(3)
    fill_spreads(spreads, x, PRODUCTS)
    pairs = (x[:, :, None] - x[:, None, :])[:, SAME]
    np.testing.assert_allclose(spreads, pairs.std(axis=1), rtol=1e-14)


def test_spreads_without_pairs_are_zero(x):
    spreads = np.empty(3)
    fill_spreads(spreads, x[:, :2], np.array([0, 1, 2]))
    assert (spreads == 0).all()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("fill_sums", (FIRMS, FIRM_PRODUCTS)),
        ("fill_squares", (OWNERS, PRODUCTS)),
        ("fill_close_products", (np.array([0.5, 1.0, 2.0]), OWNERS, PRODUCTS)),
    ],
)
def test_compiled_kernels_return_what_their_python_does(name, arguments, x):
    kernel = getattr(characteristics, name)
    compiled, plain = filled(kernel, x, *arguments), filled(kernel.py_func, x, *arguments)
    np.testing.assert_allclose(compiled, plain, rtol=1e-13, atol=1e-15)
