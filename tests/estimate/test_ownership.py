"""Objectives with price setters who have others' profits in mind, with nests and without."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import ConfigurationError
from blpsim.estimate.objective import Objective
from blpsim.kernels.general.objective import evaluate_nested_with_gradient
from blpsim.status import Status
from tests.kernels.entrance import interpreted
from tests.parity.problems import random_case, reordered_ownership

from .nested import MARKETS, PRODUCTS, at_start, implied_gradient, model, objective_of, tables
from .problems import central_difference, distance, posed
from .refusals import refused

ROUNDING = 1e-11
"""Ten thousand units in the last place: a few hundred operations on each of a few hundred numbers."""

CURVED = (13, 37, 105)
"""Problems with slopes of utility that differ between products, without nests."""


def asymmetric(own=1.0, seed=0):
    """Return stacked matrices, asymmetric between products, with this on the diagonal."""
    weights = np.random.default_rng(seed).uniform(0, 0.5, (MARKETS, PRODUCTS, PRODUCTS))
    weights[:, range(PRODUCTS), range(PRODUCTS)] = own
    return weights.reshape(-1, PRODUCTS)


def objective(nests, ownership, rho=(0.2, 0.5, 0.7), **changes):
    """Return an objective with nests or without, and with this ownership; demand is elastic."""
    given = {"rho": list(rho)} if nests else {}
    given["beta"] = [np.nan, np.nan, -5.0]
    made = dataclasses.replace(model(nests="nesting_ids" if nests else None), **changes)
    return objective_of(made, tables(), ownership, **given)


OWNERS = {
    "product by product": asymmetric(),
    "off the unit diagonal": asymmetric(own=0.7),
    "alike for all who set prices": np.tile(np.linspace(0.5, 1.1, PRODUCTS), (MARKETS * PRODUCTS, 1)),
    "firm by firm": bs.Ownership({(0, 1): 0.3, (1, 0): 0.1, (2, 0): 0.4}),
}


@pytest.mark.parametrize("costs", ["linear", "log"])
@pytest.mark.parametrize("nests", [False, True])
@pytest.mark.parametrize("ownership", OWNERS.values(), ids=OWNERS)
def test_the_gradient_is_the_objectives_central_difference(nests, ownership, costs):
    made = objective(nests, ownership, costs=costs)
    gradient = at_start(made)[1]
    assert made.status is Status.EVALUATED
    differences = central_difference(lambda theta: made(theta)[0], made.layout.theta0)
    assert distance(gradient, differences) < 1e-7
    assert implied_gradient(made, gradient) < 1e-10


@pytest.mark.parametrize("seed", CURVED)
def test_the_gradient_is_right_where_products_slopes_differ(seed):
    case = posed(seed)
    number = case.problem.setting.products.market_offsets
    firms = random_case(seed).products["firm_ids"]
    names = {name: k for k, name in enumerate(np.unique(firms).tolist())}
    rule = bs.Ownership(lambda f, g: 1.0 if f == g else 0.1 + 0.05 * names[f] - 0.02 * names[g])
    read = bs.Problem(
        case.problem.setting.model, case.problem.setting.products, case.problem.setting.agents, conduct=rule
    )
    made = Objective(read.setting, case.layout, case.gmm, case.weighting)
    gradient = made(case.theta)[1]
    differences = central_difference(lambda theta: made(theta)[0], case.theta)
    assert distance(gradient, differences) < 1e-6
    assert read.setting.setters.products.size < number[-1]


@pytest.mark.parametrize("nests", [False, True])
def test_the_direction_of_ownership_matters(nests):
    matrix = asymmetric()
    turned = matrix.reshape(MARKETS, PRODUCTS, PRODUCTS).swapaxes(1, 2).reshape(matrix.shape)
    one, other = objective(nests, matrix), objective(nests, turned)
    at_start(one), at_start(other)
    assert distance(one.state.eta, other.state.eta) > 1e-2
    np.testing.assert_allclose(one.state.delta, other.state.delta, rtol=1e-12)


@pytest.mark.parametrize("nests", [False, True])
def test_a_monopoly_is_one_firm_and_a_product_alone_its_own(nests):
    for name, kappa, firms in (("monopoly", 1.0, 0), ("single_product", None, np.arange(PRODUCTS))):
        columns = tables() | {"firm_ids": np.tile(np.broadcast_to(firms, PRODUCTS), MARKETS)}
        made = model(nests="nesting_ids" if nests else None)
        given = {"rho": 0.4} if nests else {}
        by_name, by_firms = objective_of(made, tables(), name, **given), objective_of(made, columns, **given)
        values = [at_start(by_name), at_start(by_firms)]
        if kappa is not None:
            values.append(at_start(objective_of(made, tables(), bs.Ownership(kappa), **given)))
        # Rows are sorted by firm, so that sums over products have other orders.
        for value, gradient in values[1:]:
            assert value == pytest.approx(values[0][0], rel=ROUNDING)
            assert distance(gradient, values[0][1]) < ROUNDING


@pytest.mark.parametrize("nests", [False, True])
def test_price_takers_charge_their_costs(nests):
    made = objective(nests, "perfect_competition")
    gradient = at_start(made)[1]
    np.testing.assert_array_equal(made.state.costs, made.setting.products.prices)
    differences = central_difference(lambda theta: made(theta)[0], made.layout.theta0)
    assert distance(gradient, differences) < 1e-7
    assert implied_gradient(made, gradient) < 1e-10
    assert not made.jacobian().omega[:, made.layout.theta_positions].any()


def test_the_kernels_for_ownership_agree_with_those_without():
    """With one stake of 1e-14 the matrix is not that of the firms, but the markups are to 14 digits."""
    plain = objective(False, None)
    owned = objective(False, bs.Ownership({(0, 1): 1e-14}))
    assert plain.nesting is None
    assert owned.nesting is not None
    (value, gradient), (other, others) = at_start(plain), at_start(owned)
    assert other == pytest.approx(value, rel=ROUNDING)
    assert distance(others, gradient) < ROUNDING
    assert distance(owned.jacobian().omega, plain.jacobian().omega) < ROUNDING


def test_compiled_kernels_do_what_their_source_says():
    made = objective(True, asymmetric())
    value, gradient = at_start(made)
    made.state.delta[:] = made.start_delta
    found = interpreted(evaluate_nested_with_gradient)(*made.arguments)
    assert found[1] == pytest.approx(value, rel=ROUNDING)
    assert distance(made.unknowns.gradient, gradient) < ROUNDING


def test_the_order_of_rows_does_not_matter():
    columns, matrix = tables(), asymmetric()
    order = np.random.default_rng(1).permutation(MARKETS * PRODUCTS)
    mixed = {name: column[order] for name, column in columns.items()}
    turned = reordered_ownership(matrix, columns["market_ids"], order)
    given = {"ownership": turned}
    at_columns = bs.Problem(model(nests=None), mixed | given, integration=bs.Integration("product", 5))
    straight = bs.Problem(
        model(nests=None), columns, integration=bs.Integration("product", 5), ownership=matrix
    )
    start = bs.Parameters(beta=[np.nan, np.nan, -1.0], sigma=[[0.8]])
    one, other = straight.evaluate(start), at_columns.evaluate(start)
    assert other.objective == pytest.approx(one.objective, rel=ROUNDING)
    np.testing.assert_allclose(other.costs, one.costs[order], rtol=1e-11)
    np.testing.assert_allclose(other.economy.implied_costs(), other.costs, rtol=1e-9)
    np.testing.assert_allclose(other.economy.equilibrium().prices, mixed["prices"], rtol=1e-9)


def test_only_one_argument_says_who_sets_prices():
    columns, rule = tables(), bs.Integration("product", 5)
    with refused(ConfigurationError, "ownership", "monopoly"):
        bs.Problem(model(), columns | {"ownership": asymmetric()}, integration=rule, ownership="monopoly")
    for more, changes in (({"ownership": asymmetric()}, {}), ({}, {"ownership": asymmetric()})):
        with refused(ConfigurationError, "conduct", "monopoly"):
            bs.Problem(model(), columns | more, integration=rule, conduct="monopoly", **changes)
