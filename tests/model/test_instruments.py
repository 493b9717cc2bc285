"""Instruments: PyBLP's sums and differences, Table 2's sets, and no exogenous column twice."""

import numpy as np
import pyblp
import pytest

from blpsim.errors import DataError
from blpsim.model import instruments
from blpsim.model.characteristics import instrument_source
from blpsim.model.model import Model
from blpsim.model.products import read_products

MODEL = Model(linear="1 + x + y + prices", nonlinear="1 + x + y", supply="1 + x + w")


@pytest.fixture(scope="module")
def products():
    generator = np.random.default_rng(0)
    size = 120
    data = {name: generator.uniform(size=size) for name in ("x", "y", "w", "prices")}
    ids = {"market_ids": generator.integers(0, 6, size), "firm_ids": generator.integers(0, 4, size)}
    return read_products(data | ids | {"shares": np.full(size, 0.02)}, MODEL)


def made(kind, products, model=MODEL, **options):
    return kind.build(instrument_source(products, model.bind(products.columns), **options))


def own_columns(products, names):
    return np.column_stack([np.prod([products.columns[n] for n in name], axis=0) for name in names])


def test_own_is_characteristics_squares_and_products_that_equations_lack(products):
    built = made(instruments.Own(), products)
    quadratics = ["xx", "xy", "xw", "yy", "yw", "ww"]
    np.testing.assert_allclose(built.demand, own_columns(products, ["w", *quadratics]))
    np.testing.assert_allclose(built.supply, own_columns(products, ["y", *quadratics]))


def test_sums_are_those_of_pyblp(products):
    built = made(instruments.Sums(), products)
    theirs = pyblp.build_blp_instruments(pyblp.Formulation("1 + x + y"), products.columns)
    np.testing.assert_allclose(built.demand[:, 7:], theirs, atol=1e-13)
    np.testing.assert_array_equal(built.demand[:, 1:], built.supply[:, 1:])


@pytest.mark.parametrize(
    ("kind", "version"), [(instruments.Local(), "local"), (instruments.Quadratic(), "quadratic")]
)
def test_differentiation_instruments_are_those_of_pyblp(kind, version, products):
    built = made(kind, products)
    formula = pyblp.Formulation("0 + x + y")
    theirs = pyblp.build_differentiation_instruments(formula, products.columns, version)
    np.testing.assert_allclose(built.demand[:, 7:], theirs, rtol=1e-12)
    own = made(instruments.Own(), products)
    np.testing.assert_array_equal(built.demand[:, :7], own.demand)


def test_blp_instruments_sum_each_equations_own_columns(products):
    built = made(instruments.BLP(), products)
    for side, shifter, formula in (("demand", "w", "1 + x + y"), ("supply", "y", "1 + x + w")):
        columns = getattr(built, side)
        theirs = pyblp.build_blp_instruments(pyblp.Formulation(formula), products.columns)
        np.testing.assert_array_equal(columns[:, 0], products.columns[shifter])
        np.testing.assert_allclose(columns[:, 1:], theirs, atol=1e-13)


def test_prices_with_random_coefficients_bring_their_expectation_as_a_characteristic(products):
    model = Model(linear="1 + x + prices", nonlinear="0 + x + prices", supply="1 + x + w")
    expected = np.random.default_rng(1).uniform(size=products.number)
    built = made(instruments.Quadratic(), products, model, expected_prices=expected)
    data = {**products.columns, "prices": expected}
    theirs = pyblp.build_differentiation_instruments(
        pyblp.Formulation("0 + x + prices"), data, version="quadratic"
    )
    np.testing.assert_allclose(built.demand[:, -4:], theirs, rtol=1e-12)


def test_expected_prices_are_projected_on_own_when_nobody_gives_them(products):
    model = Model(linear="1 + x + prices", nonlinear="0 + x + prices", supply="1 + x + w")
    own = own_columns(products, ["x", "w", "xx", "xw", "ww"])
    exogenous = np.column_stack([np.ones(products.number), own])
    expected = exogenous @ np.linalg.lstsq(exogenous, products.prices)[0]
    given = made(instruments.Local(), products, model, expected_prices=expected)
    np.testing.assert_array_equal(made(instruments.Local(), products, model).demand, given.demand)


def test_a_squared_column_of_the_model_and_the_square_of_a_dummy_are_not_repeated(products):
    dummies = products.replaced(x=(products.columns["x"] > 0.5).astype(float))
    model = Model(linear="1 + x + y + I(y**2) + prices")
    built = made(instruments.Own(), dummies, model)
    rows = [column for column in built.demand.T]
    repeated = [dummies.columns["x"], dummies.columns["y"], dummies.columns["y"] ** 2]
    assert not any(np.allclose(row, column) for row in rows for column in repeated)


def test_without_a_supply_side_there_are_no_supply_instruments(products):
    model = Model(linear="1 + x + y + prices", nonlinear="0 + x")
    for kind in (instruments.Own(), instruments.Sums(), instruments.BLP()):
        assert made(kind, products, model).supply.shape == (products.number, 0)


def test_logit_sums_the_characteristics_of_x1(products):
    model = Model(linear="1 + x + y + prices")
    theirs = pyblp.build_blp_instruments(pyblp.Formulation("1 + x + y"), products.columns)
    np.testing.assert_allclose(made(instruments.Sums(), products, model).demand[:, -6:], theirs, atol=1e-13)


def test_instruments_need_firms(products):
    columns = {name: column for name, column in products.columns.items() if name != "firm_ids"}
    model = Model(linear="1 + x + y + prices")
    with pytest.raises(DataError, match=r"^products\['firm_ids'\] = no such column: expected one column; "):
        made(instruments.Sums(), read_products(columns, model), model)


def test_given_instruments_are_the_datas_own(products):
    columns = {
        f"{side}_instruments{k}": np.full(120, 1.0 + k) for side in ("demand", "supply") for k in (0, 1)
    }
    with_columns = products.replaced(**columns)
    built = made(instruments.Given(), with_columns)
    assert np.array_equal(built.demand, np.tile([1.0, 2.0], (120, 1)))
    assert np.array_equal(built.supply, built.demand)
    demand = Model(linear="1 + x + y + prices", nonlinear="1 + x + y")
    assert made(instruments.Given(), with_columns, demand).supply.shape == (120, 0)


@pytest.mark.parametrize("side", ["demand", "supply"])
def test_given_instruments_that_are_not_there_are_refused(products, side):
    other = {"demand": "supply", "supply": "demand"}[side]
    with pytest.raises(DataError, match=rf"^products\['{side}_instruments0'\]"):
        made(instruments.Given(), products.replaced(**{f"{other}_instruments0": np.ones(120)}))
