"""Formulas: PyBLP's columns and labels, exact derivatives, and errors that name the column."""

import pickle

import numpy as np
import pyblp
import pytest

from blpsim.errors import FormulaError
from blpsim.model.formula import compile_formula

FORMULAS = [
    "0 + prices",
    "1 + x*prices + log(hpwt) + C(a)",
    "x + prices:x + I(x**2)",
    "x/prices",
    "(x + y)/hpwt",
    "(x + y + hpwt)**2",
    "(x + y + hpwt)**3",
    "x*y*hpwt",
    "I(-prices) - 1",
    "log(x):exp(y)",
    "C(a):x",
    "0 + C(a)",
    "0 + x:C(a)",
    "a",
    "0 + n + C(n)",
    "C(a)*C(n)",
    "C(n):C(a) + x",
    "C(n):C(a):y + y",
    "I(x + y) + I(1/prices)",
    "1",
    "a:y",
    "C(a):prices + x",
    "0 + C(a) + C(n)",
    "x:C(a) + C(a)",
    "x + x:C(a)",
    "I(2*x)",
    "I((x - 1)**2)",
    "log(x*y)",
    "x:y + y:x",
    "x:x",
    "x + y - x",
    "0 + prices:C(a) + C(a)",
    "I(x**0.5)",
    "I(1/n)",
]


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    columns = {name: generator.uniform(1, 2, 60) for name in ("x", "y", "prices", "hpwt")}
    return columns | {"a": generator.choice(["p", "q", "r"], 60), "n": generator.choice([1, 2, 3], 60)}


@pytest.mark.parametrize("source", FORMULAS)
def test_columns_stand_in_the_order_and_have_the_values_of_pyblp(source, data):
    matrix, _, _ = pyblp.Formulation(source)._build_matrix(data)
    columns = compile_formula(source, "Model.linear").bind(data)
    np.testing.assert_allclose(columns.values(data), matrix, rtol=1e-14)
    assert len(columns.names) == matrix.shape[1] == len(set(columns.names))


@pytest.mark.parametrize("source", ["1 + x*prices + log(hpwt)", "I(1/prices) + x/prices", "exp(y):log(x)"])
def test_labels_are_those_of_pyblp(source, data):
    _, formulations, _ = pyblp.Formulation(source)._build_matrix(data)
    columns = compile_formula(source, "Model.linear").bind(data)
    assert columns.names == tuple(str(formulation) for formulation in formulations)


def test_labels_of_indicators_show_their_levels(data):
    columns = compile_formula("0 + C(a):x + C(n)", "Model.linear").bind(data)
    assert columns.names == ("a['p']*x", "a['q']*x", "a['r']*x", "n[1]", "n[2]", "n[3]")


def test_levels_of_python_objects_are_found(data):
    objects = data | {"a": data["a"].astype(object)}
    formula = compile_formula("1 + C(a)", "Model.linear")
    np.testing.assert_array_equal(formula.bind(objects).values(objects), formula.bind(data).values(data))


def test_derivatives_with_respect_to_prices_are_exact(data):
    source = "1 + x + prices + log(prices) + I(1/prices) + x:prices + C(a):prices"
    columns = compile_formula(source, "Model.linear").bind(data)
    p, x, zero = data["prices"], data["x"], np.zeros(60)
    dummies = [data["a"] == level for level in ("q", "r")]
    first = [zero, zero, zero + 1, 1 / p, -1 / p**2, x, *dummies]
    second = [zero, zero, zero, -1 / p**2, 2 / p**3, zero, zero, zero]
    np.testing.assert_allclose(columns.price_derivative(data), np.column_stack(first), rtol=1e-15)
    np.testing.assert_allclose(columns.price_curvature(data), np.column_stack(second), rtol=1e-14)
    assert columns.depends_on_prices.tolist() == [False, False, True, True, True, True, True, True]
    assert columns.is_affine_in_prices.tolist() == [True, True, True, False, False, True, True, True]


def test_absorbed_fixed_effects_take_the_intercept_and_one_level(data):
    matrix, _, _ = pyblp.Formulation("1 + x + C(a)", absorb="C(n)")._build_matrix(data)
    columns = compile_formula("1 + x + C(a)", "Model.linear", absorbed=True).bind(data)
    np.testing.assert_array_equal(columns.values(data), matrix)
    assert columns.names == ("x", "a['q']", "a['r']")


def test_integer_columns_can_be_divided_and_raised_to_negative_powers(data):
    columns = compile_formula("0 + I(1/n) + I(n**-2)", "f").bind(data)
    np.testing.assert_allclose(columns.values(data), np.column_stack([1 / data["n"], 1.0 / data["n"] ** 2]))


def test_a_formula_is_compiled_and_bound_once(data):
    formula = compile_formula("1 + x", "Model.linear")
    assert compile_formula("1 + x", "Model.linear") is formula
    assert formula.bind(data) is formula.bind({**data, "x": data["y"]})


def test_columns_survive_pickling(data):
    columns = compile_formula("1 + log(prices) + C(a)", "f").bind(data)
    copy = pickle.loads(pickle.dumps(columns))
    assert copy.names == columns.names
    np.testing.assert_array_equal(copy.values(data), columns.values(data))


def test_variables_are_the_data_the_columns_need(data):
    columns = compile_formula("1 + x:log(y) + C(a)", "f").bind(data)
    assert columns.variables == {"x", "y", "a"}


def test_an_unknown_column_is_named_with_those_that_exist(data):
    with pytest.raises(FormulaError) as caught:
        compile_formula("1 + sugar", "Model.linear").bind(data)
    assert str(caught.value) == (
        "Model.linear = 1 + sugar: expected columns among a, hpwt, n, prices, x, y; there is no 'sugar'"
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("y ~ x", "operator '~'"),
        ("x | y", "operator '|'"),
        ("2*x", "number 2"),
        ("log(x", "Expected: )"),
        ("np.log(x)", "np.log(x)"),
        ("sin(x)", "sin(x)"),
        ("log(x, y)", "log(x, y)"),
        ("C(x + y)", "single column"),
        ("x**y", "positive integer"),
        ("1:x", "intercept cannot be interacted"),
        ("x + I(1)", "second constant"),
        ("0", "without terms"),
        ("", "empty"),
    ],
)
def test_a_formula_that_cannot_be_read_says_why_on_one_line(source, reason):
    with pytest.raises(FormulaError) as caught:
        compile_formula(source, "Model.linear")
    message = str(caught.value)
    assert message.startswith(f"Model.linear = {source}: expected " if source else "Model.linear = '': ")
    assert reason in message
    assert "\n" not in message


def test_arithmetic_on_words_is_refused(data):
    with pytest.raises(FormulaError, match="'a' is not numeric"):
        compile_formula("log(a)", "Model.linear").bind(data)


def test_a_formula_that_absorption_empties_is_refused():
    with pytest.raises(FormulaError, match="absorb the intercept"):
        compile_formula("1", "Model.linear", absorbed=True)
