from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import blpsim as bs
from blpsim.model.characteristics import instrument_source
from blpsim.model.layout import layout
from blpsim.model.model import Model
from blpsim.model.nests import UNCORRELATED, nest_blocks, nested
from blpsim.model.products import read_products

MODEL = Model(linear="1 + x + prices", nonlinear="0 + x", nests="kind")
KINDS = ["b", "a", "b", "b", "c", "a", "a"]


def table(**columns):
    """Return two markets of four and three products."""
    number = len(KINDS)
    return {
        "market_ids": [0] * 4 + [1] * 3,
        "firm_ids": [0, 0, 1, 1, 0, 1, 1],
        "shares": np.arange(1, number + 1) / 40,
        "prices": np.ones(number),
        "x": np.arange(number) ** 2 / 10,
        "kind": KINDS,
    } | columns


@pytest.fixture
def products():
    return read_products(pd.DataFrame(table()), MODEL)


def test_each_market_has_the_nests_of_its_products(products):
    blocks = nest_blocks(MODEL, products)
    assert blocks.offsets.tolist() == [0, 2, 4]
    assert blocks.nests.tolist() == [1, 0, 1, 1, 1, 0, 0]
    assert blocks.groups.tolist() == [0, 1, 0, 2]
    np.testing.assert_allclose(blocks.shares(products.shares, products.market_offsets) * 40, [2, 8, 13, 5])


def test_without_nests_all_products_of_a_market_are_in_one_without_correlation(products):
    blocks = nest_blocks(dataclasses.replace(MODEL, nests=None), products)
    assert blocks.groups.tolist() == [UNCORRELATED] * 2
    assert blocks.nests.tolist() == [0] * 7
    assert nested(dataclasses.replace(MODEL, nests=None), products, np.empty(0)) is None


@pytest.mark.parametrize(
    ("rho", "kappa"),
    [([0.5], [2, 2, 2, 2]), ([0.0, 0.5, 0.75], [1, 2, 1, 4]), ([0.75, 0.0, 0.5], [4, 1, 4, 2])],
)
def test_rho_is_one_for_all_or_one_a_nest(products, rho, kappa):
    np.testing.assert_allclose(nested(MODEL, products, np.array(rho)).kappa, kappa)


@pytest.mark.parametrize(
    ("rho", "names"),
    [
        (0.3, ["rho"]),
        ([0.3], ["rho"]),
        ({"rho": 0.3}, ["rho"]),
        ([0.3, 0.4, 0.5], ["rho[a]", "rho[b]", "rho[c]"]),
        ({"a": 0.3, "rho[c]": 0.5}, ["rho[a]", "rho[c]"]),
        ([0.3, 0.0, 0.5], ["rho[a]", "rho[c]"]),
    ],
)
def test_a_rho_is_named_after_its_nest_and_zeros_are_fixed(products, rho, names):
    found = layout(bs.Parameters(sigma=[[1]], rho=rho), MODEL.bind(products.columns), False)
    assert list(found.theta_names) == ["sigma[x,x]", *names]
    assert list(found.names) == ["beta[1]", "beta[x]", "beta[prices]", "sigma[x,x]", *names]
    lower, upper = found.default_bounds()
    assert lower.tolist() == [0.0] * (1 + len(names))
    assert upper.tolist() == [np.inf] + [0.99] * len(names)
    again = found.unfolded(np.full(len(found.names), 0.5))
    assert set(again.elements(MODEL.bind(products.columns).names)["rho"]) >= set(names)


@pytest.mark.parametrize("rho", [1.0, -0.1, [0.2, 1.2, 0.3]])
def test_a_correlation_outside_its_range_is_refused(products, rho):
    with pytest.raises(bs.BlpsimError, match=r"Parameters\.rho = .*expected in \[0, 1\)"):
        bs.Parameters(sigma=[[1]], rho=rho).blocks(MODEL.bind(products.columns).names)


@pytest.mark.parametrize("rho", [None, [0.1, 0.2], {"d": 0.5}])
def test_a_rho_that_does_not_fit_the_nests_is_refused(products, rho):
    with pytest.raises(bs.BlpsimError, match=r"Parameters\.rho"):
        bs.Parameters(sigma=[[1]], rho=rho).blocks(MODEL.bind(products.columns).names)


def test_a_rho_without_nests_is_refused(products):
    plain = dataclasses.replace(MODEL, nests=None)
    with pytest.raises(bs.BlpsimError, match=r"Model\.nests has no columns"):
        bs.Parameters(sigma=[[1]], rho=0.5).blocks(plain.bind(products.columns).names)


def test_nests_that_are_not_in_the_data_are_refused():
    columns = table()
    del columns["kind"]
    with pytest.raises(bs.BlpsimError, match="kind"):
        read_products(columns, MODEL)
    with pytest.raises(bs.BlpsimError, match="kind"):
        read_products(table(kind=[*KINDS[:-1], None]), MODEL)


@pytest.mark.parametrize("kind", [bs.instruments.Sums, bs.instruments.Local, bs.instruments.Quadratic])
def test_instruments_count_other_products_of_the_nest(products, kind):
    columns, codes = MODEL.bind(products.columns), MODEL.nest_codes(products.columns)
    without = kind().build(instrument_source(products, columns)).demand
    found = kind().build(instrument_source(products, columns, nests=codes)).demand
    np.testing.assert_array_equal(found[:, :-2], without)
    assert found[:, -2].tolist() == [0, 0, 1, 1, 0, 1, 1]
    assert found[:, -1].tolist() == [2, 0, 1, 1, 0, 0, 0]


def test_own_instruments_count_no_others(products):
    columns, codes = MODEL.bind(products.columns), MODEL.nest_codes(products.columns)
    own = [
        bs.instruments.Own().build(instrument_source(products, columns, nests=n)).demand
        for n in (None, codes)
    ]
    np.testing.assert_array_equal(*own)
