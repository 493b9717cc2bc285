"""What cannot be drawn from, or drawn so, is refused when a scenario of real data is written."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import BlpsimError
from blpsim.model.ownership import OwnershipMatrix
from blpsim.model.panel import Agents
from tests.wrong_values import refused_values

from .economies import MARKETS, economy, tables

REFUSED = {
    "no economy": (lambda _: (None, {}), "economy = None"),
    "no finite xi": (lambda e: (dataclasses.replace(e, xi=e.xi * np.nan), {}), "economy.xi"),
    "infinite costs": (lambda e: (dataclasses.replace(e, costs=e.costs * np.inf), {}), "economy.costs"),
    "no supply estimates": (lambda e: (dataclasses.replace(e, omega=None), {}), "that was not estimated"),
    "no firms": (lambda e: (_without(e, "firm_ids"), {}), "products['firm_ids']"),
    "a number of markets": (lambda e: (e, {"markets": 3}), "Redrawn.markets"),
    "no markets": (lambda e: (e, {"markets": 0, "redraw": "markets"}), "Redrawn.markets"),
    "other words": (lambda e: (e, {"redraw": "everything"}), "Redrawn.redraw"),
    "other errors": (lambda e: (e, {"errors": "uniform"}), "Redrawn.errors"),
    "consumers without random coefficients": (
        lambda e: (_logit(e), {"consumers": bs.Integration("product", 5)}),
        "Redrawn.consumers",
    ),
    "levels that markets lack": (
        lambda e: (_with_model(e, "0 + C(firm_ids) + prices"), {"redraw": "markets"}),
        "'firm_ids', of which market",
    ),
    "agents below zero": (
        lambda e: (_weighted(e), {"consumers": bs.Integration("monte_carlo", 5)}),
        "agents.weights",
    ),
    "a matrix of ownership": (
        lambda e: (dataclasses.replace(e, conduct=OwnershipMatrix(np.eye(len(e.delta)))), {}),
        "conduct = a matrix",
    ),
}


def _without(source, name):
    columns = {key: column for key, column in source.products.columns.items() if key != name}
    return dataclasses.replace(source, products=dataclasses.replace(source.products, columns=columns))


def _with_model(source, linear):
    model = dataclasses.replace(source.model, linear=linear, absorb_demand=None)
    parameters = dataclasses.replace(source.parameters, beta=[0.0, 0, 0, -1])
    return dataclasses.replace(source, model=model, parameters=parameters)


def _logit(source):
    ones, none = np.ones(MARKETS), np.empty((0, MARKETS))
    return dataclasses.replace(
        source,
        model=dataclasses.replace(source.model, nonlinear=None, demographics=None),
        parameters=dataclasses.replace(source.parameters, sigma=None, pi=None, free=None),
        agents=Agents(market_offsets=np.arange(MARKETS + 1), nodes=none, demographics=none, weights=ones),
    )


def _weighted(source):
    weights = source.agents.weights.copy()
    weights[0] = -0.1
    return dataclasses.replace(source, agents=dataclasses.replace(source.agents, weights=weights))


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_drawn_from_is_refused_when_it_is_written(change, words):
    source, options = change(economy())
    with pytest.raises(BlpsimError) as caught:
        bs.Scenario.from_economy(source, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_levels_that_every_market_has_may_be_resampled():
    even = np.where(tables()[0].groupby("market_ids").cumcount() % 2, "odd", "even")
    source = _with_model(economy(parity=tuple(even)), "0 + C(parity) + prices")
    source = dataclasses.replace(source, parameters=dataclasses.replace(source.parameters, beta=[0.1, 0, -1]))
    assert bs.Scenario.from_economy(source, redraw="markets").redraw == "markets"


@pytest.mark.parametrize(
    ("argument", "right"),
    [("economy", ()), ("redraw", ()), ("errors", ()), ("markets", (None,)), ("consumers", (None,))],
)
def test_values_of_a_wrong_kind_are_refused(argument, right):
    refused_values(
        lambda **given: bs.Scenario.from_economy(**{"economy": economy(), "redraw": "both", **given}),
        argument,
        right,
    )
