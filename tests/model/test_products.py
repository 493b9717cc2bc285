"""Products: read from any table, sorted, restored, and refused in one line."""

import numpy as np
import pandas as pd
import pyblp
import pytest
import xarray as xr

from blpsim.errors import DataError, FormulaError
from blpsim.model.model import Model
from blpsim.model.products import read_products

MODEL = Model(linear="1 + x + prices", nonlinear="1 + log(x)", supply="1 + w")


def table(**changes):
    generator = np.random.default_rng(0)
    data = {
        "market_ids": np.array(["b", "a", "b", "a", "a", "b"]),
        "firm_ids": np.array([2, 1, 1, 2, 1, 1]),
        "shares": np.array([0.1, 0.2, 0.1, 0.05, 0.3, 0.2]),
        "prices": generator.uniform(size=6),
        "x": generator.uniform(1, 2, size=6),
        "w": np.arange(6),
        "demand_instruments0": generator.uniform(size=6),
    } | changes
    return {name: values for name, values in data.items() if values is not None}


def test_products_are_sorted_by_market_and_firm_and_stay_in_their_order_within():
    products = read_products(table(), MODEL)
    assert products.order.tolist() == [1, 4, 3, 2, 5, 0]
    assert products.market_offsets.tolist() == [0, 3, 6]
    assert products.firm_offsets.tolist() == [0, 2, 3, 5, 6]
    assert products.market_firms.tolist() == [0, 2, 4]
    assert (products.number, products.markets) == (6, 2)
    assert products.columns["w"].tolist() == [1, 4, 3, 2, 5, 0]


def test_results_return_in_the_order_of_the_users_rows():
    products = read_products(table(), MODEL)
    assert products.restored(products.columns["w"]).tolist() == list(range(6))
    pd.testing.assert_frame_equal(products.frame(), pd.DataFrame(table()))


def test_sorted_products_are_left_where_they_are():
    products = read_products(table(market_ids=np.repeat([3, 10], 3), firm_ids=np.tile([1, 1, 2], 2)), MODEL)
    assert products.order is None
    assert products.restored(products.shares) is products.shares


@pytest.mark.parametrize(
    "convert",
    [
        pd.DataFrame,
        lambda data: xr.Dataset({name: ("product", values) for name, values in data.items()}),
        lambda data: pd.DataFrame(data).to_records(index=False),
        lambda data: {name: list(values) for name, values in data.items()},
        lambda data: {name: values[:, None] for name, values in data.items()},
    ],
    ids=["frame", "dataset", "records", "lists", "columns"],
)
def test_every_kind_of_table_reads_alike(convert):
    expected, read = read_products(table(), MODEL), read_products(convert(table()), MODEL)
    assert set(read.columns) == set(expected.columns)
    for name, column in expected.columns.items():
        np.testing.assert_array_equal(read.columns[name], column)


def test_a_matrix_of_instruments_becomes_numbered_columns():
    instruments = np.arange(18.0).reshape(6, 3)
    products = read_products(table(demand_instruments0=None, demand_instruments=instruments), MODEL)
    np.testing.assert_array_equal(products.restored(products.matrix("demand_instruments")), instruments)
    assert products.matrix("supply_instruments").shape == (6, 0)
    single = read_products(table(demand_instruments0=None, demand_instruments=instruments[:, 0]), MODEL)
    assert single.matrix("demand_instruments").shape == (6, 1)


def test_more_than_ten_instruments_keep_their_numbers_order():
    columns = {f"demand_instruments{k}": np.full(6, float(k)) for k in reversed(range(12))}
    matrix = read_products(table(**columns), MODEL).matrix("demand_instruments")
    assert matrix[0].tolist() == list(range(12))


def test_identifiers_may_mix_numbers_and_words():
    ids = np.array([10, "b", 9, "b", 10, 9], dtype=object)
    products = read_products(table(market_ids=ids), MODEL)
    assert products.columns["market_ids"][products.market_offsets[:-1]].tolist() == [9, 10, "b"]


def test_without_firms_each_product_is_its_own():
    products = read_products(table(firm_ids=None), Model(linear="1 + x + prices"))
    assert np.diff(products.firm_offsets).tolist() == [1] * 6
    assert products.columns["w"].tolist() == [1, 3, 4, 0, 2, 5]


@pytest.mark.parametrize("dtype", ["object", "Float64", "Int64"])
def test_numbers_stored_as_objects_are_numbers_and_no_categories(dtype):
    frame = pd.DataFrame(table(x=np.arange(1, 7))).astype({"x": dtype})
    products = read_products(frame, MODEL)
    assert MODEL.bind(products.columns).x1.names == ("1", "x", "prices")
    frame.loc[2, "x"] = pd.NA if dtype != "object" else np.nan
    with pytest.raises(DataError, match=r"^Model.linear\[x\] = nan in row 2: expected finite numbers; "):
        read_products(frame, MODEL)


def test_a_category_that_is_missing_is_refused():
    model = Model(linear="1 + prices + C(region)")
    region = np.array(["n", "s", None, "n", "s", "n"], dtype=object)
    with pytest.raises(DataError, match=r"^Model.linear\['region'\] = None in row 2: expected no missing "):
        read_products(table(region=region), model)


def test_data_are_copied_so_that_kernels_may_write_and_users_may_change_theirs():
    data = table()
    data["prices"].flags.writeable = False
    products = read_products(data, MODEL)
    assert products.prices.flags.writeable
    assert not np.shares_memory(products.prices, data["prices"])


def test_columns_can_be_replaced_by_others_of_the_same_length():
    products = read_products(table(), MODEL)
    assert products.replaced(prices=np.zeros(6)).prices.tolist() == [0] * 6
    assert products.prices.any()
    with pytest.raises(DataError, match=r"^prices = \(5,\): expected \(6,\); "):
        products.replaced(prices=np.zeros(5))


def test_products_that_are_read_already_pass():
    products = read_products(table(), MODEL)
    assert read_products(products, MODEL) is products


def test_real_data_survive_sorting():
    data = pd.read_csv(pyblp.data.BLP_PRODUCTS_LOCATION)
    model = Model(linear="1 + hpwt + prices", supply="1 + log(hpwt)")
    pd.testing.assert_frame_equal(read_products(data, model).frame(), data, check_dtype=False)


def test_a_million_products_are_read_in_seconds():
    number = 1_000_000
    ids = np.random.default_rng(0).permutation(np.repeat(np.arange(10_000), 100))
    data = {"market_ids": ids, "shares": np.full(number, 0.005), "prices": np.ones(number)}
    assert read_products(data, Model(linear="1 + prices")).markets == 10_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"market_ids": None}, "products['market_ids'] = no such column: expected one column; "),
        ({"market_ids": np.ones((6, 2))}, "products['market_ids'] = two dimensions: expected one column; "),
        (
            {"market_ids": np.array(["a", None, "a", "a", "b", "b"])},
            "products['market_ids'] = None in row 1: expected no missing values; ",
        ),
        ({"firm_ids": None}, "products['firm_ids'] = no such column: expected one column; "),
        ({"shares": None}, "products['shares'] = no such column: expected one column; "),
        (
            {"shares": np.array([0.1, 0.2, np.nan, 0.1, 0.1, 0.1])},
            "products['shares'] = nan in row 2: expected finite numbers; ",
        ),
        (
            {"shares": np.array([0.1, 0.2, 0.1, 0.1, 0.0, 0.1])},
            "products['shares'] = 0.0 in row 4: expected strictly between 0 and 1; ",
        ),
        (
            {"shares": np.array([0.1, 0.2, 0.1, 1.0, 0.1, 0.1])},
            "products['shares'] = 1.0 in row 3: expected strictly between 0 and 1; ",
        ),
        (
            {"shares": np.array([0.1, 0.25, 0.1, 0.25, 0.5, 0.1])},
            "products['shares'] = a sum of 1.0 in market a: expected a sum below 1; ",
        ),
        (
            {"prices": np.array([1, 1, 1, 1, 1, np.inf])},
            "products['prices'] = inf in row 5: expected finite numbers; ",
        ),
        ({"prices": np.array(["a"] * 6)}, "products['prices'] = dtype('<U1'): expected numbers; "),
        ({"prices": np.ones(5)}, "products['prices'] = 5 rows: expected 6 rows; "),
        (
            {"x": np.array([1, 1, -1, 1, 1, 1.0])},
            "Model.nonlinear[log(x)] = nan in row 2: expected finite numbers; ",
        ),
        (
            {"demand_instruments2": np.ones(6)},
            "products['demand_instruments1'] = 'demand_instruments2' without 'demand_instruments1': ",
        ),
        (
            {"demand_instruments0": np.array([1, np.nan, 1, 1, 1, 1])},
            "products['demand_instruments0'] = nan in row 1: expected finite numbers; ",
        ),
        (
            {"clustering_ids": np.zeros(6)},
            "products['clustering_ids'] = 0.0 only: expected two clusters or more; ",
        ),
        ({"x": np.ones((6, 2, 2))}, "products['x'] = shape (6, 2, 2): expected one or two dimensions; "),
    ],
)
def test_bad_products_are_one_line_naming_field_value_expectation_and_reason(changes, message):
    with pytest.raises(DataError) as caught:
        read_products(table(**changes), MODEL)
    assert str(caught.value).startswith(message)
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [{}, pd.DataFrame(), {"shares": np.empty(0)}])
def test_data_without_rows_are_refused(data):
    with pytest.raises(DataError, match=r"^products = no rows: expected at least one row; "):
        read_products(data, MODEL)


def test_something_else_than_a_table_is_refused():
    with pytest.raises(DataError, match=r"^products = list: expected a data frame, a dict of arrays, "):
        read_products([1, 2], MODEL)


def test_an_unknown_column_is_named():
    with pytest.raises(FormulaError, match="there is no 'w'"):
        read_products(table(w=None), MODEL)
