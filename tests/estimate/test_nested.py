from __future__ import annotations

import numpy as np
import pytest

from blpsim.kernels.general.objective import evaluate_nested_with_gradient
from blpsim.status import Status
from tests.kernels.entrance import interpreted

from .nested import MARKETS, PRODUCTS, at_start, implied_gradient, model, objective_of, tables
from .problems import central_difference, distance

ROUNDING = 1e-11
"""Ten thousand units in the last place: a few hundred operations on each of a few hundred numbers."""


@pytest.mark.parametrize("rho", [0.3, [0.2, 0.5, 0.7], 0.93])
def test_the_gradient_is_the_objectives_central_difference(rho):
    objective = objective_of(model(), tables(), rho=rho)
    gradient = at_start(objective)[1]
    assert objective.status is Status.EVALUATED
    differences = central_difference(lambda theta: objective(theta)[0], objective.layout.theta0)
    assert distance(gradient, differences) < 1e-7


@pytest.mark.parametrize("rho", [0.3, [0.2, 0.5, 0.7], 0.93])
def test_the_jacobian_implies_the_gradient(rho):
    objective = objective_of(model(), tables(), rho=rho)
    assert implied_gradient(objective, at_start(objective)[1]) < 1e-10


def test_the_gradient_is_right_where_a_correlation_is_zero():
    objective = objective_of(model(), tables(), rho=0.0, free={"rho": True})
    gradient, theta = at_start(objective)[1], objective.layout.theta0
    assert distance(gradient, central_difference(lambda theta: objective(theta)[0], theta)) < 1e-7
    assert implied_gradient(objective, gradient) < 1e-10


def test_nests_without_correlation_are_no_nests():
    free = {"rho": True}
    nested = objective_of(model(), tables(), rho=0.0, free=free)
    plain = objective_of(model(nests=None), tables())
    (value, gradient), (expected, without) = at_start(nested), at_start(plain)
    place = nested.layout.theta_names.index("rho")
    assert value == pytest.approx(expected, rel=ROUNDING)
    assert distance(np.delete(gradient, place), without) < ROUNDING
    assert abs(gradient[place]) > 1e-3 * np.abs(without).max()
    ours, theirs = nested.jacobian(), plain.jacobian()
    column = nested.layout.names.index("rho")
    assert distance(np.delete(ours.xi, column, axis=1), theirs.xi) < ROUNDING
    assert distance(np.delete(ours.omega, column, axis=1), theirs.omega) < ROUNDING


def test_a_correlation_among_single_products_changes_nothing():
    columns = tables() | {"nesting_ids": np.arange(MARKETS * PRODUCTS) % PRODUCTS}
    low, high = (objective_of(model(), columns, rho=rho) for rho in (0.1, 0.8))
    assert at_start(low)[0] == pytest.approx(at_start(high)[0], rel=ROUNDING)
    place = low.layout.theta_names.index("rho")
    assert abs(at_start(low)[1][place]) < 1e-10 * np.abs(at_start(low)[1]).max()


def test_nested_logit_has_the_mean_utilities_of_berry():
    columns = tables()
    objective = objective_of(model(nonlinear=None), columns, rho=[0.2, 0.5, 0.7], sigma=None)
    at_start(objective)
    shares = columns["shares"].reshape(MARKETS, PRODUCTS)
    nests = columns["nesting_ids"].reshape(MARKETS, PRODUCTS)
    within = np.stack([shares[:, nests[0] == n].sum(axis=1) for n in range(3)])[nests[0]].T
    rho = np.array([0.2, 0.5, 0.7])[nests]
    outside = 1 - shares.sum(axis=1, keepdims=True)
    expected = np.log(shares / outside) - rho * np.log(shares / within)
    # The rows are sorted by firm within a market.
    delta = objective.setting.products.restored(objective.state.delta)
    np.testing.assert_allclose(delta, expected.ravel(), rtol=0, atol=1e-12)
    assert objective.inversion_evaluations == MARKETS


def test_conjugate_gradients_and_elimination_give_one_gradient():
    objective, dense = (objective_of(model(), tables(), rho=0.6) for _ in range(2))
    dense.panel = dense.panel._replace(positive_weights=False)
    assert distance(at_start(objective)[1], at_start(dense)[1]) < ROUNDING


def test_compiled_kernels_do_what_their_source_says():
    objective = objective_of(model(), tables(), rho=0.4)
    value, gradient = at_start(objective)
    objective.state.delta[:] = objective.start_delta
    found = interpreted(evaluate_nested_with_gradient)(*objective.arguments)
    assert found[1] == pytest.approx(value, rel=ROUNDING)
    assert distance(objective.unknowns.gradient, gradient) < ROUNDING


@pytest.mark.parametrize("rho", [1.0, 1.5, np.nan])
def test_a_correlation_of_one_is_not_evaluated(rho):
    objective = objective_of(model(), tables(), rho=0.4)
    theta = objective.layout.theta0.copy()
    theta[objective.layout.theta_names.index("rho")] = rho
    objective(theta)
    assert objective.status is Status.NON_FINITE
    assert objective.evaluations == 0
