from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from blpsim.errors import DataError
from blpsim.estimate.setting import logit_delta
from tests.parity.own import own_problem
from tests.parity.problems import random_case

from .problems import DEMAND, SUPPLY, posed
from .refusals import refused


def problem(seed=SUPPLY, products=None, **model):
    """Return the seed's problem with other columns and formulas; columns are functions of the old ones."""
    case = random_case(seed)
    columns = dict(case.products)
    columns |= {name: make(columns) for name, make in (products or {}).items()}
    columns = {name: column for name, column in columns.items() if column is not None}
    return own_problem(dataclasses.replace(case, products=columns, model=dict(case.model) | model))


@pytest.mark.parametrize(
    ("where", "column", "changes"),
    [
        ("X1", "2*x", {"linear": "1 + prices + x + I(2*x)"}),
        ("X1", "z", {"linear": "1 + prices + x + z", "products": {"z": lambda c: c["x"] * 0 + 3}}),
        ("X3", "w + x", {"supply": "1 + x + w + y + I(x + w)"}),
        ("supply instruments", "w", {"products": {"supply_instruments0": lambda c: 2 * c["w"] + 1}}),
        (
            "demand instruments",
            "demand_instruments1",
            {"products": {"demand_instruments1": lambda c: -c["demand_instruments0"]}},
        ),
        (
            "demand instruments",
            "demand_instruments1",
            {"products": {"demand_instruments1": lambda c: 0 * c["x"]}},
        ),
        ("demand instruments", "x", {"products": {"demand_instruments2": lambda c: 3 - c["x"]}}),
    ],
)
def test_a_column_that_others_explain_is_named(where, column, changes):
    with refused(DataError, where, column):
        problem(**changes)


def test_a_column_that_absorbed_fixed_effects_explain_is_named():
    with refused(DataError, "X1", "brandish"):
        problem(
            DEMAND,
            {"brandish": lambda c: np.unique(c["brand"], return_inverse=True)[1] ** 2.0},
            linear="0 + y + brandish + prices",
        )


def test_more_columns_than_products_are_refused():
    few = random_case(SUPPLY)
    kept = few.products["market_ids"] == few.products["market_ids"][0]
    kept &= np.cumsum(kept) <= 5
    columns = {name: column[kept] for name, column in few.products.items()}
    with refused(DataError, "demand instruments") as found:
        own_problem(dataclasses.replace(few, products=columns))
    assert found.error.expected == "at most 5"


def test_columns_on_very_different_scales_are_not_collinear():
    scaled = problem(
        products={
            "demand_instruments0": lambda c: 1e9 * c["demand_instruments0"],
            "demand_instruments1": lambda c: 1e-6 * c["demand_instruments1"],
        }
    )
    assert len(scaled.setting.demand_instruments) == len(posed(SUPPLY).problem.setting.demand_instruments)


def test_instruments_are_the_excluded_ones_then_the_exogenous_columns():
    setting = posed(SUPPLY).problem.setting
    data = setting.products.columns
    assert setting.columns.x1.names == ("1", "prices", "x")
    demand, supply = setting.demand_instruments, setting.supply_instruments
    assert np.array_equal(demand[0], data["demand_instruments0"])
    assert np.array_equal(demand[-2:], [np.ones(setting.number), data["x"]])
    assert np.array_equal(supply[-4:], setting.x3)
    assert np.array_equal(supply[0], data["supply_instruments0"])


def test_arrays_of_the_setting_are_contiguous_rows():
    for seed in (DEMAND, SUPPLY):
        setting = posed(seed).problem.setting
        for rows in (setting.x1, setting.x3, setting.demand_instruments, setting.supply_instruments):
            assert rows.flags.c_contiguous
            assert rows.shape[1] == setting.number


@pytest.mark.parametrize("seed", [0, 2, 7])
def test_absorbed_columns_have_no_mean_in_any_level(seed):
    problem = posed(seed).problem
    setting = problem.setting
    sides = {
        "absorb_demand": np.vstack((setting.x1, setting.demand_instruments)),
        "absorb_supply": np.vstack((setting.x3, setting.supply_instruments)),
    }
    for side, rows in sides.items():
        if getattr(setting.model, side) is not None:
            for effect in ("brand", "region"):
                codes = np.unique(setting.products.columns[effect], return_inverse=True)[1]
                sums = np.array([np.bincount(codes, row) for row in rows])
                assert np.abs(sums).max() < 1e-8 * np.abs(rows).sum(axis=1).max()


def test_plain_logits_delta_explains_shares_without_random_coefficients():
    products = posed(SUPPLY).problem.setting.products
    delta = logit_delta(products)
    odds = np.exp(delta)
    totals = 1 + np.add.reduceat(odds, products.market_offsets[:-1])
    assert np.allclose(
        odds / np.repeat(totals, np.diff(products.market_offsets)), products.shares, rtol=1e-12
    )


@pytest.mark.parametrize(("seed", "varies"), [(SUPPLY, False), (5, False), (8, True), (9, True)])
def test_slopes_vary_where_the_derivative_of_utility_by_price_does(seed, varies):
    assert posed(seed).problem.setting.panel(posed(seed).layout).slopes.varies == varies


def test_negative_weights_are_noticed():
    setting = posed(SUPPLY).problem.setting
    weights = setting.agents.weights.copy()
    weights[0] *= -1
    spoiled = dataclasses.replace(setting, agents=dataclasses.replace(setting.agents, weights=weights))
    assert setting.panel(posed(SUPPLY).layout).positive_weights
    assert not spoiled.panel(posed(SUPPLY).layout).positive_weights
