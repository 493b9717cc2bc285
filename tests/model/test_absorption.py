"""Absorption: the same as regressing on dummies, and as PyBLP."""

import numpy as np
import pyblp
import pytest

from blpsim.errors import DataError, FormulaError
from blpsim.model.absorption import compile_absorption, make_absorber


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    return {"a": generator.integers(0, 5, 80), "b": generator.choice(["u", "v", "w"], 80), "x": np.ones(80)}


@pytest.fixture(scope="module")
def matrix():
    return np.random.default_rng(1).normal(size=(80, 3))


def absorbed(source, data, matrix):
    return make_absorber(compile_absorption(source, "Model.absorb_demand"), data).residualize(matrix)


def on_dummies(groups, matrix):
    levels = [(group, level) for group in groups for level in np.unique(group)]
    dummies = np.column_stack([group == level for group, level in levels]).astype(float)
    return matrix - dummies @ np.linalg.lstsq(dummies, matrix)[0]


def test_one_dimension_takes_out_group_means(data, matrix):
    np.testing.assert_allclose(absorbed("C(a)", data, matrix), on_dummies([data["a"]], matrix), atol=1e-14)


def test_a_vector_stays_a_vector(data, matrix):
    np.testing.assert_array_equal(absorbed("C(a)", data, matrix[:, 0]), absorbed("C(a)", data, matrix)[:, 0])
    assert absorbed("C(a) + b", data, matrix[:, 0]).shape == (80,)


def test_no_columns_stay_no_columns(data, matrix):
    assert absorbed("C(a)", data, matrix[:, :0]).shape == (80, 0)


def test_two_dimensions_are_projected_out(data, matrix):
    expected = on_dummies([data["a"], data["b"]], matrix)
    np.testing.assert_allclose(absorbed("C(a) + C(b)", data, matrix), expected, atol=1e-7)


def test_an_interaction_is_one_dimension_of_pairs(data, matrix):
    pairs = np.array([f"{a}{b}" for a, b in zip(data["a"], data["b"], strict=True)])
    np.testing.assert_allclose(absorbed("C(a):C(b)", data, matrix), on_dummies([pairs], matrix), atol=1e-14)


@pytest.mark.parametrize("source", ["C(a)", "C(a) + C(b)", "C(a):C(b)"])
def test_residuals_are_those_of_pyblp(source, data, matrix):
    formulation = pyblp.Formulation("0 + x", absorb=source)
    theirs, errors = formulation._build_absorb(formulation._build_ids(data))(matrix)
    assert not errors
    np.testing.assert_allclose(absorbed(source, data, matrix), theirs, atol=1e-13)


def test_many_columns_and_groups_are_absorbed_at_once():
    generator = np.random.default_rng(0)
    groups = {"a": generator.integers(0, 50_000, 500_000)}
    residuals = absorbed("C(a)", groups, generator.normal(size=(500_000, 2)))
    sums = np.bincount(groups["a"], residuals[:, 0])
    assert abs(sums).max() < 1e-12


def test_numbers_are_absorbed_only_when_marked_as_categories(data, matrix):
    with pytest.raises(FormulaError, match=r"'a' is numeric; write C\(a\)"):
        absorbed("a", data, matrix)
    np.testing.assert_array_equal(absorbed("b", data, matrix), absorbed("C(b)", data, matrix))


def test_bad_fixed_effects_are_refused(data, matrix):
    with pytest.raises(FormulaError, match=r"^Model.absorb_demand = C\(z\): .* there is no 'z'"):
        absorbed("C(z)", data, matrix)
    with pytest.raises(DataError, match=r"^a = a missing value: expected a value in every row; "):
        absorbed("C(a)", data | {"a": np.where(data["a"] == 0, np.nan, data["a"])}, matrix)
    with pytest.raises(FormulaError, match=r"^Model.absorb_demand = I\(a \+ 1\): expected terms such as "):
        compile_absorption("I(a + 1)", "Model.absorb_demand")
