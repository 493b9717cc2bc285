from __future__ import annotations

import numpy as np
import pandas as pd
import pyblp
import pytest

import blpsim as bs
from blpsim.model.conduct import Conduct
from blpsim.model.ownership import OwnershipMatrix, given_ownership, price_setters, read_ownership
from blpsim.model.products import read_products

MODEL = bs.Model(linear="1 + prices", supply="1 + w")
MARKETS = np.array(list("babbabbaab"))
FIRMS = np.array([2, 0, 1, 0, 1, 2, 1, 3, 0, 0])


def table(**columns):
    """Return two markets of four and six products, whose rows nobody sorted."""
    number = MARKETS.size
    return {
        "market_ids": MARKETS,
        "firm_ids": FIRMS,
        "shares": np.full(number, 0.05),
        "prices": np.ones(number),
        "w": np.arange(number) / 10,
    } | columns


@pytest.fixture
def products():
    return read_products(pd.DataFrame(table()), MODEL)


def dense(how, products):
    """Return H of each market, rows and columns in the order of the user's rows."""
    found = {}
    for market, owned in zip(
        "ab", price_setters(how, products).matrices(products.market_offsets), strict=True
    ):
        inside = products.columns["market_ids"] == market
        ranks = np.argsort(products.order[inside])
        found[market] = owned[np.ix_(ranks, ranks)]
    return found


def kappa_of(f, g):
    return 1.0 if f == g else 0.1 * f + 0.01 * g


KAPPAS = {"function": kappa_of, "number": 0.3, "mapping": {(0, 1): 0.2, (1, 3): 0.4}, "none": 0.0}


@pytest.mark.parametrize("kappa", KAPPAS.values(), ids=KAPPAS)
def test_a_rule_and_the_matrix_that_is_built_from_it_are_one(products, kappa):
    rule = bs.Ownership(kappa)
    matrix = bs.build_ownership(table(), kappa)
    by_rule, by_matrix = dense(rule, products), dense(OwnershipMatrix(matrix), products)
    for market in "ab":
        firms = FIRMS[market == MARKETS].tolist()
        if kappa is kappa_of:
            np.testing.assert_array_equal(by_rule[market], [[kappa_of(f, g) for g in firms] for f in firms])
        np.testing.assert_array_equal(by_rule[market], by_matrix[market])


@pytest.mark.parametrize("specification", [kappa_of, None, "monopoly", "single"])
def test_matrices_are_built_as_pyblp_builds_them(specification):
    np.testing.assert_array_equal(
        bs.build_ownership(table(), specification), pyblp.build_ownership(table(), specification)
    )


@pytest.mark.parametrize("conduct", [Conduct.BERTRAND, Conduct.MONOPOLY, Conduct.SINGLE_PRODUCT])
def test_a_matrix_of_a_conduct_leads_to_the_engine_without_matrices(products, conduct):
    names = {Conduct.BERTRAND: None, Conduct.MONOPOLY: "monopoly", Conduct.SINGLE_PRODUCT: "single"}
    found = price_setters(OwnershipMatrix(bs.build_ownership(table(), names[conduct])), products)
    known = price_setters(conduct, products)
    assert found.ownership is known.ownership is None
    for name in ("markets", "products"):
        np.testing.assert_array_equal(getattr(found, name), getattr(known, name))


@pytest.mark.parametrize("pair", [(1, 2), (2, 1)])
def test_blocks_end_where_nobody_has_the_others_profits_in_mind(products, pair):
    setters = price_setters(bs.Ownership({pair: 0.5}), products)
    # Market a has firms 0 0 1 3, market b has firms 0 0 1 1 2 2.
    assert setters.products.tolist() == [0, 2, 3, 4, 6, 10]
    assert setters.markets.tolist() == [0, 3, 5]
    expected = np.kron([[1, 0.5], [0, 1]], np.ones((2, 2)))
    if pair == (2, 1):
        expected = expected[::-1, ::-1]
    np.testing.assert_array_equal(setters.ownership[6:], expected)
    np.testing.assert_array_equal(setters.ownership[:2, :2], 1)


@pytest.mark.parametrize("pair", [(0, 3), (3, 0)])
def test_a_firm_between_two_that_share_profits_is_in_their_block(products, pair):
    setters = price_setters(bs.Ownership({pair: 0.5}), products)
    assert setters.products.tolist() == [0, 4, 6, 8, 10]
    np.testing.assert_array_equal(setters.ownership[2], [0, 0, 1, 0])


def test_nobody_sets_prices_that_equal_costs(products):
    setters = price_setters(Conduct.PERFECT_COMPETITION, products)
    assert setters.are_price_takers
    assert not price_setters(Conduct.BERTRAND, products).are_price_takers


def test_columns_hold_a_matrix():
    matrix = bs.build_ownership(table(), kappa_of)
    for columns in ({"ownership": matrix}, {f"ownership{k}": column for k, column in enumerate(matrix.T)}):
        read = read_products(table(**columns), MODEL)
        np.testing.assert_array_equal(given_ownership(read).values, matrix)
    assert given_ownership(read_products(table(), MODEL)) is None


def wrong_matrix(place, value):
    matrix = bs.build_ownership(table(), kappa_of)
    matrix[place] = value
    return matrix


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.eye(10), r"ownership = shape \(10, 10\): expected shape \(10, 6\)"),
        (np.ones((9, 5)), r"ownership = shape \(9, 5\): expected shape \(10, 6\)"),
        (wrong_matrix((3, 1), np.nan), "ownership = .* in row 3: expected finite numbers"),
        (
            wrong_matrix((7, 2), 0.0),
            "ownership = .* in row 7: expected positive numbers for a product itself",
        ),
        (bs.Ownership({(0, "Fiat"): 1.0}), "Ownership.kappa = Fiat: expected names in firm_ids"),
        (bs.Ownership(np.eye(2)), "Ownership.kappa = a matrix for firms 0 to 1"),
        ("cartel", "ownership = cartel: expected one of bertrand"),
    ],
)
def test_ownership_that_does_not_fit_the_products_is_refused(products, given, words):
    with pytest.raises(bs.BlpsimError, match=words):
        read_ownership("ownership", given, products)


def test_what_is_beyond_the_products_of_a_market_does_not_count(products):
    matrix = bs.build_ownership(table(), kappa_of)
    other = np.where(np.isnan(matrix), 7.0, matrix)
    np.testing.assert_array_equal(
        price_setters(OwnershipMatrix(matrix), products).ownership,
        price_setters(OwnershipMatrix(other), products).ownership,
    )


@pytest.mark.parametrize("given", ["perfect_competition", "cartel", 2.0, np.ones(3)])
def test_matrices_of_nothing_that_owns_are_not_built(given):
    with pytest.raises(bs.ConfigurationError, match=r"^(kappa_specification|Ownership\.kappa)"):
        bs.build_ownership(table(), given)


def test_a_rule_needs_to_know_whose_products_they_are():
    columns = table()
    del columns["firm_ids"]
    with pytest.raises(bs.DataError, match=r"products\['firm_ids'\] = no such column"):
        bs.build_ownership(columns)
