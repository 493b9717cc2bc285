"""Quadrature: exact for the moments that each rule promises, nested, and PyBLP's."""

import itertools

import numpy as np
import pyblp
import pytest

from blpsim.model.integration import Integration
from blpsim.model.quadrature import gauss_hermite, kronrod_patterson, sparse_grid_size

CASES = [
    *[("nested_product", 1, level) for level in range(1, 26)],
    *[("nested_grid", 1, level) for level in range(1, 26)],
    *[("grid", 1, level) for level in (1, 2, 5, 25)],
    *[("nested_product", dimensions, 5) for dimensions in (2, 3)],
    *[(rule, 2, level) for rule in ("grid", "nested_grid") for level in range(1, 16)],
    *[(rule, 3, level) for rule in ("grid", "nested_grid") for level in (2, 5, 9)],
    *[(rule, 6, level) for rule in ("grid", "nested_grid") for level in (1, 2, 4)],
]


def normal_moment(degree):
    """Return the expectation of a power of a standard normal variable."""
    return 0.0 if degree % 2 else float(np.prod(np.arange(degree - 1.0, 0, -2)))


def size_of_terms(nodes, weights, degrees):
    """Return the sum of the sizes of the terms whose sum is a moment: its rounding is 1e-16 of it."""
    return np.abs(weights) @ np.prod(np.abs(nodes) ** degrees, axis=1)


@pytest.mark.parametrize(("specification", "dimensions", "level"), CASES)
def test_a_rule_is_that_of_pyblp(specification, dimensions, level):
    """PyBLP's table of weights has seventeen digits, and sums to one but for 1e-15."""
    theirs = pyblp.build_integration(pyblp.Integration(specification, level), dimensions)
    nodes, weights = Integration(specification, level).rule(dimensions)
    np.testing.assert_allclose(nodes, theirs.nodes, atol=1e-13)
    scale = np.abs(theirs.weights).max()
    np.testing.assert_allclose(weights, theirs.weights.ravel(), rtol=1e-12, atol=2e-14 * scale)


@pytest.mark.parametrize("level", range(1, 26))
def test_a_nested_rule_is_exact_to_twice_its_level_less_one(level):
    points, masses = kronrod_patterson(level)
    for degree in range(2 * level):
        terms = size_of_terms(points[:, None], masses, np.array([degree]))
        assert abs(masses @ points**degree - normal_moment(degree)) <= 2e-15 * terms


@pytest.mark.parametrize("level", range(1, 25))
def test_points_of_a_nested_rule_are_points_of_the_next(level):
    lower, higher = kronrod_patterson(level).points, kronrod_patterson(level + 1).points
    assert set(lower) <= set(higher)
    np.testing.assert_array_equal(higher, -higher[::-1])


@pytest.mark.parametrize("specification", ["grid", "nested_grid"])
@pytest.mark.parametrize(("dimensions", "level"), [(2, 6), (3, 5), (4, 4), (5, 2)])
def test_a_sparse_grid_is_exact_to_a_total_degree_of_twice_its_level_less_one(
    specification, dimensions, level
):
    nodes, weights = Integration(specification, level).rule(dimensions)
    degrees = itertools.product(range(2 * level), repeat=dimensions)
    for each in (np.array(d) for d in degrees if sum(d) < 2 * level):
        found = weights @ np.prod(nodes**each, axis=1)
        expected = np.prod([normal_moment(degree) for degree in each])
        assert abs(found - expected) <= 2e-15 * size_of_terms(nodes, weights, each)


def test_a_sparse_grid_is_not_exact_beyond_its_degree():
    nodes, weights = Integration("grid", 3).rule(2)
    assert abs(weights @ nodes[:, 0] ** 6 - normal_moment(6)) > 0.1


def test_a_sparse_grid_in_many_dimensions_has_few_nodes():
    assert [Integration("grid", level).rule(4).weights.size for level in (2, 3, 5)] == [9, 41, 385]
    assert Integration("nested_grid", 5).rule(4).weights.size < 385
    assert Integration("grid", 2).rule(40).weights.size == 81


@pytest.mark.parametrize("family", [gauss_hermite, kronrod_patterson])
def test_nodes_are_counted_before_they_are_made(family):
    for dimensions, level in itertools.product((1, 2, 4), (1, 2, 5)):
        products = itertools.product(range(1, level + 1), repeat=dimensions)
        totals = range(max(dimensions, level), level + dimensions)
        expected = sum(
            int(np.prod([family(each).points.size for each in levels]))
            for levels in products
            if sum(levels) in totals
        )
        assert sparse_grid_size(family, dimensions, level) == expected
