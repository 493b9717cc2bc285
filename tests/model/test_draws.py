"""Draws: standard normal, repeatable, and as even as each kind promises."""

import numpy as np
import pytest
from scipy.special import ndtr

from blpsim.model.draws import DrawShape, antithetic, halton, latin_hypercube, modified_latin_hypercube, sobol
from blpsim.model.integration import Integration

RANDOM = ["monte_carlo", "antithetic", "halton", "sobol", "lhs", "mlhs"]
K, T, SIZE = 3, 4, 64
SHAPE = DrawShape(K, T, SIZE)


def drawn(draws, seed=0):
    """Return points in the unit cube, (K, T, I)."""
    return ndtr(draws(SHAPE, np.random.default_rng(seed))).reshape(K, T, SIZE)


@pytest.mark.parametrize("specification", RANDOM)
def test_draws_are_standard_normal_in_every_dimension_and_independent_across_them(specification):
    nodes = Integration(specification, 2_000).build(3, 10, np.random.default_rng(1)).nodes
    number = nodes.shape[1]
    assert np.isfinite(nodes).all()
    assert (np.abs(nodes.mean(axis=1)) < 4 / np.sqrt(number)).all()
    # Draws come in pairs at worst, which doubles the variance of second moments.
    covariance = nodes @ nodes.T / number
    assert (np.abs(covariance - np.eye(3)) < 4 * np.sqrt(2 * (1 + np.eye(3)) / number)).all()


@pytest.mark.parametrize("specification", RANDOM)
def test_weights_are_equal_and_markets_have_draws_of_their_own(specification):
    nodes, weights, offsets = Integration(specification, 8).build(2, 3, np.random.default_rng(1))
    assert offsets.tolist() == [0, 8, 16, 24]
    assert (weights == 1 / 8).all()
    first, second, third = np.split(nodes, 3, axis=1)
    assert not np.intersect1d(first, second).size
    assert not np.intersect1d(second, third).size


@pytest.mark.parametrize("specification", RANDOM)
def test_one_market_has_the_draws_that_its_rule_has(specification):
    rule = Integration(specification, 8, seed=4)
    np.testing.assert_array_equal(rule.rule(3).nodes, rule.build(3, 1).nodes.T)


@pytest.mark.parametrize("specification", RANDOM)
def test_draws_change_with_their_generator_only(specification):
    build = Integration(specification, 8).build
    one, same, other = (build(2, 3, np.random.default_rng(seed)).nodes for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert not np.intersect1d(one, other).size


def test_antithetic_draws_of_a_market_come_with_their_negatives():
    nodes = antithetic(SHAPE, np.random.default_rng(0)).reshape(K, T, SIZE)
    np.testing.assert_array_equal(nodes[:, :, : SIZE // 2], -nodes[:, :, SIZE // 2 :])
    assert np.unique(np.abs(nodes)).size == K * T * SIZE // 2


@pytest.mark.parametrize("draws", [latin_hypercube, modified_latin_hypercube])
def test_a_latin_hypercube_has_one_draw_in_each_stratum_of_each_dimension(draws):
    strata = np.floor(drawn(draws) * SIZE)
    np.testing.assert_array_equal(np.sort(strata, axis=2), np.broadcast_to(np.arange(SIZE), strata.shape))


@pytest.mark.parametrize("draws", [latin_hypercube, modified_latin_hypercube])
def test_strata_are_shuffled_on_their_own_in_each_dimension_and_market(draws):
    ranks = np.argsort(drawn(draws), axis=2).reshape(K * T, SIZE)
    assert np.unique(ranks, axis=0).shape == (K * T, SIZE)


def test_modified_draws_are_equally_far_from_each_other_and_others_are_not():
    def gaps(draws):
        return np.diff(np.sort(drawn(draws), axis=2), axis=2)

    np.testing.assert_allclose(gaps(modified_latin_hypercube), 1 / SIZE, atol=1e-14)
    assert gaps(latin_hypercube).std() > 0.2 / SIZE
    shifts = drawn(modified_latin_hypercube).min(axis=2)
    assert np.unique(shifts).size == K * T


def test_each_market_has_a_balanced_block_of_sobols_sequence():
    cells = np.floor(drawn(sobol) * 8).astype(int)
    for t in range(T):
        counts = np.zeros((8, 8))
        np.add.at(counts, (cells[0, t], cells[1, t]), 1)
        assert (counts == 1).all()


def test_sizes_that_are_no_power_of_two_take_the_same_sequence_without_a_word(recwarn):
    odd = Integration("sobol", 10).build(2, 3, np.random.default_rng(0)).nodes
    even = Integration("sobol", 32).build(2, 1, np.random.default_rng(0)).nodes
    np.testing.assert_array_equal(odd, even[:, :30])
    assert not recwarn.list


def test_haltons_sequence_fills_the_intervals_of_its_bases():
    points = ndtr(halton(DrawShape(2, 1, 72), np.random.default_rng(0)))
    for row, base in zip(points, (8, 9), strict=True):
        assert (np.bincount(np.floor(row * base).astype(int)) == 72 // base).all()


@pytest.mark.parametrize("specification", ["antithetic", "halton", "sobol", "lhs", "mlhs"])
def test_a_smooth_integral_is_nearer_than_with_independent_draws(specification):
    def error(name):
        nodes = Integration(name, 256, seed=1).build(2, 50).nodes.reshape(2, 50, 256)
        return (1 / (1 + np.exp(-1 - nodes.sum(axis=0)))).mean(axis=1).std()

    assert error(specification) < 0.7 * error("monte_carlo")
