"""Integration: PyBLP's product rule, exact moments, repeatable draws."""

import numpy as np
import pyblp
import pytest

from blpsim.errors import ConfigurationError
from blpsim.model.integration import Integration


@pytest.mark.parametrize(("dimensions", "size"), [(1, 9), (2, 9), (3, 4), (1, 1), (2, 25)])
def test_the_product_rule_is_that_of_pyblp(dimensions, size):
    theirs = pyblp.build_integration(pyblp.Integration("product", size), dimensions)
    nodes, weights = Integration("product", size).rule(dimensions)
    np.testing.assert_allclose(nodes, theirs.nodes, atol=1e-13)
    np.testing.assert_allclose(weights, theirs.weights.ravel(), rtol=1e-11, atol=1e-16)


def test_nine_nodes_are_exact_to_degree_seventeen():
    nodes, weights = Integration("product", 9).rule(1)
    moments = [weights @ nodes[:, 0] ** degree for degree in (0, 1, 2, 4, 16, 17)]
    np.testing.assert_allclose(moments, [1, 0, 1, 3, 2_027_025, 0], rtol=1e-11, atol=1e-8)


def test_the_product_rule_repeats_in_each_market():
    nodes, weights, offsets = Integration("product", 3).build(2, 4)
    single = Integration("product", 3).rule(2)
    np.testing.assert_array_equal(nodes, np.tile(single.nodes.T, 4))
    np.testing.assert_array_equal(weights, np.tile(single.weights, 4))
    assert offsets.tolist() == [0, 9, 18, 27, 36]


@pytest.mark.parametrize("specification", ["product", "monte_carlo", "halton"])
def test_kernels_get_arrays_they_can_read_as_compiled(specification):
    rule = Integration(specification, 5, seed=1).build(2, 3)
    for array in rule:
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_a_changed_array_does_not_change_the_next():
    rule = Integration("product", 3)
    rule.build(1, 2).nodes[:] = 99
    rule.rule(1).nodes[:] = 99
    assert (rule.build(1, 2).nodes != 99).all()


def test_monte_carlo_draws_are_standard_normal_and_new_in_each_market():
    nodes, weights, offsets = Integration("monte_carlo", 10_000).build(2, 2, np.random.default_rng(0))
    assert abs(nodes.mean()) < 4 / np.sqrt(nodes.size)
    assert abs(nodes.var() - 1) < 4 * np.sqrt(2 / nodes.size)
    assert not np.array_equal(nodes[:, :10_000], nodes[:, 10_000:])
    assert offsets.tolist() == [0, 10_000, 20_000]
    np.testing.assert_allclose(np.add.reduceat(weights, offsets[:-1]), 1)


def test_halton_draws_are_normal_and_more_even_than_random_ones():
    nodes = Integration("halton", 500).build(2, 2, np.random.default_rng(0)).nodes
    assert nodes.shape == (2, 1000)
    assert np.isfinite(nodes).all()
    assert (abs(nodes.mean(axis=1)) < 0.01).all()
    assert (abs(nodes.var(axis=1) - 1) < 0.02).all()
    assert not np.array_equal(nodes[:, :500], nodes[:, 500:])


@pytest.mark.parametrize("specification", ["monte_carlo", "halton"])
def test_draws_repeat_with_their_generator_or_seed(specification):
    drawn = [
        Integration(specification, 8).build(2, 3, np.random.default_rng(5)).nodes,
        Integration(specification, 8).build(2, 3, np.random.default_rng(5)).nodes,
        Integration(specification, 8, seed=3).build(2, 3, np.random.default_rng(1)).nodes,
        Integration(specification, 8, seed=3).build(2, 3).nodes,
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[2], drawn[3])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("gauss", 9),
            r"^Integration.specification = gauss: expected 'product' or 'monte_carlo' or 'halton'; ",
        ),
        (("product", 0), r"^Integration.size = 0: expected an integer, 1 or larger; "),
        (("product", 1.5), r"^Integration.size = 1.5: expected an integer, 1 or larger; "),
        (("halton", 9, -1), r"^Integration.seed = -1: expected an integer, 0 or larger; "),
    ],
)
def test_an_impossible_rule_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        Integration(*arguments)


def test_draws_without_a_seed_or_generator_are_refused():
    with pytest.raises(ConfigurationError, match=r"^Integration.seed = None: expected a seed, or "):
        Integration("monte_carlo", 5).rule(1)
