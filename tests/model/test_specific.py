"""What differs by agent and product, read from tables with PyBLP's names."""

from __future__ import annotations

import numpy as np
import pytest

from blpsim.errors import DataError
from blpsim.model.agents import read_agents
from blpsim.model.model import Model
from blpsim.model.products import read_products
from blpsim.model.specific import product_ranks, specific_rows, without_products

MODEL = Model(linear="1 + prices", nonlinear="0 + prices", demographics="0 + income + log(distance)")
LINKS = np.zeros(1, np.int64)


@pytest.fixture(scope="module")
def products():
    """Return a product of market a, and three of market b, whose firms are in no order."""
    data = {
        "market_ids": ["b", "a", "b", "b"],
        "firm_ids": [3, 1, 2, 1],
        "shares": [0.1, 0.2, 0.3, 0.1],
        "prices": [1.0, 2.0, 3.0, 4.0],
    }
    return read_products(data, MODEL)


def table(**changes):
    data = {
        "market_ids": np.array(["b", "a", "b"]),
        "weights": np.array([0.4, 1.0, 0.6]),
        "nodes0": np.arange(3.0),
        "income": np.array([1.0, 2.0, 4.0]),
        "distance0": np.array([1.0, 2.0, 3.0]),
        "distance1": np.array([4.0, np.nan, 6.0]),
        "distance2": np.array([7.0, 0.0, 9.0]),
        "availability0": np.array([1.0, 1.0, 0.0]),
        "availability1": np.array([0.0, -9.0, 1.0]),
        "availability2": np.array([0.5, 0.0, 1.0]),
    } | changes
    return {name: values for name, values in data.items() if values is not None}


def test_columns_count_the_products_of_a_market_in_the_order_of_its_rows(products):
    agents = read_agents(table(), None, products, MODEL)
    assert agents.demographic_names == ("income", "log(distance)")
    assert agents.demographics.tolist() == [[2.0, 1.0, 4.0], [0.0, 0.0, 0.0]]
    assert product_ranks(products).tolist() == [0, 2, 1, 0]
    rows = specific_rows(agents, products, LINKS)
    assert rows.places.tolist() == [1]
    np.testing.assert_array_equal(rows.demographics[0, :1], np.log([2.0]))
    np.testing.assert_allclose(rows.demographics[1:, :2], np.log([[7, 9], [4, 6], [1, 3]]))
    np.testing.assert_array_equal(rows.available[0, :1], [1.0])
    np.testing.assert_array_equal(rows.available[1:, :2], [[0.5, 1], [0, 1], [1, 0]])


def test_what_is_beyond_a_markets_products_is_ignored(products):
    first = specific_rows(read_agents(table(), None, products, MODEL), products, LINKS)
    changed = table(distance2=np.array([7.0, 5.0, 9.0]), availability1=np.array([0.0, 3.0, 1.0]))
    second = specific_rows(read_agents(changed, None, products, MODEL), products, LINKS)
    np.testing.assert_array_equal(first.demographics[:, :2], second.demographics[:, :2])
    np.testing.assert_array_equal(first.available[:, :2], second.available[:, :2])


def test_a_matrix_is_as_good_as_numbered_columns(products):
    columns = table()
    stacked = {name: np.column_stack([columns.pop(f"{name}{j}") for j in range(3)]) for name in ("distance",)}
    ours = read_agents(columns | stacked, None, products, MODEL).specific
    theirs = read_agents(table(), None, products, MODEL).specific
    np.testing.assert_array_equal(ours.demographics, theirs.demographics)


def test_the_frame_of_agents_reads_as_the_table_they_come_from(products):
    plain = Model(linear="1 + prices", nonlinear="0 + prices", demographics="0 + income + distance")
    agents = read_agents(table(), None, products, plain)
    again = read_agents(agents.frame(), None, products, plain)
    np.testing.assert_array_equal(again.specific.demographics, agents.specific.demographics)
    np.testing.assert_array_equal(again.specific.availability, agents.specific.availability)
    np.testing.assert_array_equal(again.demographics, agents.demographics)


def test_categories_that_differ_by_product_have_the_levels_of_all_products(products):
    model = Model(linear="1 + prices", nonlinear="0 + prices", demographics="0 + region")
    regions = {f"region{j}": np.array([*levels]) for j, levels in enumerate(["nns", "sns", "sww"])}
    agents = read_agents(table() | regions, None, products, model)
    assert agents.demographic_names == ("region['n']", "region['s']", "region['w']")
    rows = specific_rows(agents, products, LINKS)
    np.testing.assert_array_equal(rows.demographics[9:12, :2], [[0, 1], [0, 0], [0, 0]])


def test_agents_of_some_products_keep_theirs(products):
    agents = read_agents(table(), None, products, MODEL)
    kept = np.array([True, False, True, True])
    left = without_products(agents, kept, np.array([0, 1, 4]))
    np.testing.assert_array_equal(left.specific.availability[:2, 1:], agents.specific.availability[1:, 1:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"distance2": None},
            "agents = no 'distance2': expected columns distance0 to distance2; there",
        ),
        ({"availability2": None}, "agents = no 'availability2': expected columns availability0 to"),
        ({"distance1": np.array([np.inf, 1, 1])}, r"agents\['distance1'\] = inf in row 0: expected finite"),
        (
            {"availability2": np.array([-1.0, 1, 1])},
            r"agents\['availability2'\] = -1.0 in row 0: expected",
        ),
        ({"availability2": np.array([*"abc"])}, r"agents\['availability0'\] = <U\d+: expected numbers"),
        ({"availability1": np.zeros(3)}, r"agents\['availability1'\] = zero for everybody in market b: "),
        ({"distance0": np.array([0.0, 1, 1])}, r"Model.demographics\[log\(distance\)\] = -inf in row 0: "),
    ],
)
def test_bad_columns_are_refused(products, changes, message):
    with pytest.raises(DataError, match=message):
        read_agents(table(**changes), None, products, MODEL)


def test_weightless_agents_do_not_make_a_product_available(products):
    weightless = table(weights=np.array([0.0, 1.0, 1.0]), availability0=np.array([1.0, 1.0, 0.0]))
    with pytest.raises(DataError, match=r"agents\['availability0'\] = zero for everybody in market b"):
        read_agents(weightless, None, products, MODEL)
