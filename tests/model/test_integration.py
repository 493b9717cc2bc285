"""Integration: PyBLP's product rule, exact moments, repeatable draws."""

from typing import get_args

import numpy as np
import pyblp
import pytest

from blpsim.errors import ConfigurationError
from blpsim.model.integration import Integration, Specification

RULES = get_args(Specification)


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


@pytest.mark.parametrize("specification", RULES)
def test_kernels_get_arrays_they_can_read_as_compiled(specification):
    rule = Integration(specification, 4, seed=1).build(2, 3)
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


@pytest.mark.parametrize("specification", [rule for rule in RULES if Integration(rule, 8).is_random])
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
            r"^Integration.specification = gauss: expected 'product' or 'nested_product' or .*'mlhs'; ",
        ),
        (("product", 0), r"^Integration.size = 0: expected an integer, 1 or larger; "),
        (("product", 1.5), r"^Integration.size = 1.5: expected an integer, 1 or larger; "),
        (("halton", 9, -1), r"^Integration.seed = -1: expected an integer, 0 or larger; "),
        (("antithetic", 9), r"^Integration.size = 9: expected an even number; "),
        (("product", 101), r"^Integration.size = 101: expected at most 100; "),
        (("grid", 101), r"^Integration.size = 101: expected at most 100; "),
        (("nested_product", 26), r"^Integration.size = 26: expected at most 25; "),
        (("nested_grid", 26), r"^Integration.size = 26: expected at most 25; "),
    ],
)
def test_an_impossible_rule_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        Integration(*arguments)


def test_draws_without_a_seed_or_generator_are_refused():
    with pytest.raises(ConfigurationError, match=r"^Integration.seed = None: expected a seed, or "):
        Integration("monte_carlo", 5).rule(1)


@pytest.mark.parametrize(
    ("specification", "size", "dimensions", "message"),
    [
        ("product", 9, 7, r"^Integration.size = 9: expected at most 1,000,000 nodes a market; .* 4,782,969 "),
        ("nested_product", 10, 5, r"^Integration.size = 10: expected at most 1,000,000 nodes a market; "),
        ("grid", 25, 6, r"^Integration.size = 25: expected at most 1,000,000 nodes a market; "),
        ("nested_grid", 10, 50, r"^Integration.size = 10: expected at most 1,000,000 nodes a market; "),
        ("sobol", 8, 21_202, r"^Integration.specification = sobol: expected another rule; "),
        ("halton", 8, 0, r"^dimensions = 0: expected an integer, 1 or larger; "),
        ("product", 8, 0, r"^dimensions = 0: expected an integer, 1 or larger; "),
    ],
)
def test_dimensions_that_a_rule_does_not_come_in_are_refused_at_once(
    specification, size, dimensions, message
):
    rule = Integration(specification, size, seed=0)
    for refusing in (rule.check, rule.rule, lambda number: rule.build(number, 3)):
        with pytest.raises(ConfigurationError, match=message):
            refusing(dimensions)


@pytest.mark.parametrize("specification", RULES)
def test_weights_sum_to_one_and_only_those_of_grids_and_nested_rules_are_negative(specification):
    weights = [Integration(specification, 10, seed=0).rule(k).weights for k in (1, 2)]
    np.testing.assert_allclose([each.sum() for each in weights], 1, rtol=1e-12)
    negative = any((each < 0).any() for each in weights)
    assert negative == (specification in ("grid", "nested_grid", "nested_product"))
