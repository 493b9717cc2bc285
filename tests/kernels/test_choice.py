from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from blpsim.kernels import choice

from . import entrance, logit

EPS = np.finfo(float).eps


def choices(delta, mu, growth=None, source=entrance):
    """Return probabilities (J, I) and outside probabilities (I,), in rows that are longer than needed.

    source  where kernels are: compiled, or interpreted
    """
    products, agents = mu.shape
    odds = np.full((products, agents + 3), -7.0)
    odds[:, :agents] = delta[:, None] + mu
    outside, inverse, scaled = np.empty(agents), np.empty(agents), np.empty(agents)
    source.exponentiate(odds, outside, products)
    growth = np.ones(products) if growth is None else growth
    source.shares_at(np.empty(products), growth, odds, outside, inverse, scaled, np.ones(agents))
    source.normalize(odds, growth, inverse)
    assert (odds[:, agents:] == -7).all()
    return odds[:, :agents], outside * inverse


@pytest.mark.parametrize("level", [-700.0, -30.0, 0.0, 30.0, 700.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (7, 9), (40, 70)])
def test_probabilities_sum_to_one_with_the_outside_good(level, shape):
    rng = np.random.default_rng(0)
    inside, outside = choices(level + rng.normal(size=shape[0]), rng.normal(size=shape))
    assert (inside > 0).all()
    assert np.abs(inside.sum(axis=0) + outside - 1).max() < 20 * EPS


@pytest.mark.parametrize("level", [-300.0, 0.0, 300.0])
def test_probabilities_are_those_of_a_logit(level):
    market = logit.market(sigma=3.0, level=level)
    inside, _ = choices(market.delta, market.x2 @ market.coefficients)
    assert np.allclose(inside, market.probabilities, rtol=1e-13, atol=0)


def test_utilities_of_opposite_extremes_give_probabilities_of_zero_and_one():
    inside, outside = choices(np.array([700.0, -700.0, 0.0]), np.zeros((3, 2)))
    assert np.allclose(inside, [[1, 1], [0, 0], [0, 0]], rtol=0, atol=1e-300)
    assert (outside <= 1e-300).all()


def test_a_large_sigma_leaves_probabilities_finite():
    market = logit.market(sigma=1e6)
    inside, outside = choices(market.delta, market.x2 @ market.coefficients)
    assert np.isfinite(inside).all()
    assert np.abs(inside.sum(axis=0) + outside - 1).max() < 20 * EPS


def test_growth_multiplies_odds_as_a_change_of_delta_does():
    market = logit.market()
    change = np.linspace(-3, 3, market.delta.size)
    mu = market.x2 @ market.coefficients
    grown, outside = choices(market.delta, mu, np.exp(change))
    moved, outside_moved = choices(market.delta + change, mu)
    assert np.allclose(grown, moved, rtol=1e-13, atol=0)
    assert np.allclose(outside, outside_moved, rtol=1e-13, atol=0)


def share_arguments(growth, weights=None):
    market = logit.market(weights=weights)
    odds = market.delta[:, None] + market.x2 @ market.coefficients
    outside = np.empty(market.weights.size)
    entrance.exponentiate(odds, outside, market.delta.size)
    moved = market._replace(delta=market.delta + np.log(growth))
    scratch = np.empty(outside.size), np.empty(outside.size)
    return moved, (np.empty(growth.size), growth, odds, outside, *scratch, market.weights)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_shares_are_weighted_sums_of_probabilities(sign):
    def some_negative(weights):
        return np.where(np.arange(weights.size) == 2, sign, 1) * weights

    moved, arguments = share_arguments(np.linspace(0.5, 2, 8), some_negative)
    outside_share = entrance.shares_at(*arguments)
    assert np.allclose(arguments[0], moved.shares, rtol=1e-13, atol=0)
    assert outside_share == pytest.approx(moved.weights.sum() - moved.shares.sum(), rel=1e-13)


def test_coefficients_add_loadings_times_the_markets_own_draws():
    rng = np.random.default_rng(1)
    loadings, draws, start = rng.normal(size=(2, 3)), rng.normal(size=(3, 20)), rng.normal(size=(2, 9))
    draws[:, [4, 11]] = np.nan
    found = start.copy()
    entrance.fill_coefficients(found, loadings, draws, 5, 11)
    assert np.allclose(found[:, :6], start[:, :6] + loadings @ draws[:, 5:11], rtol=1e-13)
    assert (found[:, 6:] == start[:, 6:]).all()


def test_a_loading_of_zero_asks_for_no_draw():
    found = np.ones((1, 4))
    entrance.fill_coefficients(found, np.array([[0.0, 2.0]]), np.array([[np.nan] * 4, [1.0] * 4]), 0, 4)
    assert (found == 3).all()


def test_utilities_are_delta_plus_characteristics_times_coefficients():
    rng = np.random.default_rng(2)
    delta, x2, coefficients = rng.normal(size=5), rng.normal(size=(5, 2)), rng.normal(size=(2, 9))
    utilities = np.full((5, 9), np.nan)
    entrance.fill_utilities(utilities, delta, x2, coefficients, 7)
    assert np.allclose(utilities[:, :7], delta[:, None] + (x2 @ coefficients)[:, :7], rtol=1e-13)
    assert np.isnan(utilities[:, 7:]).all()


@pytest.mark.parametrize("shape", [(1, 1), (4, 2), (5, 3), (7, 20), (9, 130)])
def test_sums_over_agents_and_over_products_are_matrix_products(shape):
    rng = np.random.default_rng(3)
    matrix, weights, factors = rng.normal(size=shape), rng.normal(size=shape[1]), rng.normal(size=shape[0])
    sums, combined = np.full(shape[0], np.nan), np.full(shape[1], np.nan)
    entrance.weighted_sums(sums, matrix, weights)
    entrance.combine_rows(combined, matrix, factors)
    assert np.allclose(sums, matrix @ weights, rtol=0, atol=1e-13)
    assert np.allclose(combined, factors @ matrix, rtol=0, atol=1e-13)


def test_reordered_sums_still_tell_what_is_not_finite():
    assert [entrance.is_finite(x) for x in (1.0, np.inf, -np.inf, np.nan)] == [True, False, False, False]


def test_compiled_and_interpreted_kernels_agree():
    market = logit.market()
    mu = market.x2 @ market.coefficients
    growth = np.linspace(0.5, 2, 8)
    names = ("exponentiate", "shares_at", "normalize")
    source = SimpleNamespace(**{name: entrance.interpreted(getattr(choice, name)) for name in names})
    plain = choices(market.delta, mu, growth, source)
    for ours, theirs in zip(choices(market.delta, mu, growth), plain, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-13, atol=0)
    _, first = share_arguments(growth)
    _, second = share_arguments(growth)
    ours, theirs = entrance.shares_at(*first), entrance.interpreted(choice.shares_at)(*second)
    assert ours == pytest.approx(theirs, rel=1e-14)
    assert np.allclose(first[0], second[0], rtol=1e-14, atol=0)
