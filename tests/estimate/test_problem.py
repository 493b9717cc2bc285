from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from blpsim.errors import ParameterError
from blpsim.estimate import solve as solving
from blpsim.estimate.gmm import GMM, Inversion
from blpsim.estimate.optimizer import Optimizer
from blpsim.model.parameters import Parameters
from blpsim.status import Status
from tests.parity.own import own_problem
from tests.parity.problems import random_case

from .problems import CURVED, DEMAND, SUPPLY, features, posed
from .refusals import refused

LOGIT = 1


def solve(seed=SUPPLY, parameters=None, **options):
    problem = posed(seed)
    return problem.problem.solve(parameters or problem.parameters, GMM(**options))


def test_a_minimum_is_certified_by_gradient_and_hessian():
    result = solve()
    hessian = result.hessian
    assert result.status is Status.CONVERGED
    assert result.gradient_norm == np.abs(result.gradient).max() < 1e-5
    assert result.hessian_min_eigenvalue == pytest.approx(np.linalg.eigvalsh(hessian)[0])
    assert result.hessian_min_eigenvalue > 0
    assert (hessian == hessian.T).all()
    assert result.inversion_residual < 1e-13
    assert not result.at_bound.any()
    assert (result.errors > 0).all()


def test_the_hessian_differentiates_the_gradient():
    problem, result = posed(SUPPLY), solve(method="1s")
    objective, theta = problem.objective(), result.values[problem.layout.theta_positions]
    direction = np.array([0.3, -0.2, 0.5])
    up, down = (objective(theta + s * 1e-4 * direction)[1] for s in (1, -1))
    scale = np.abs(result.hessian).max()
    assert np.abs(result.hessian @ direction - (up - down) / 2e-4).max() < 1e-5 * scale


def test_no_hessian_is_computed_when_none_is_asked_for():
    with_it, without = solve(method="1s"), solve(method="1s", hessian=False)
    assert np.isnan(without.hessian).all()
    assert np.isnan(without.hessian_min_eigenvalue)
    assert without.status is Status.CONVERGED
    assert np.array_equal(without.values, with_it.values)
    assert without.objective_evaluations < with_it.objective_evaluations


def test_one_iteration_reaches_the_limit():
    result = solve(method="1s", optimizer=Optimizer(max_iterations=1))
    assert result.status is Status.ITERATION_LIMIT
    assert result.objective < solve(method="1s", optimizer=Optimizer("return")).objective


def test_stopping_where_the_gradient_is_large_is_not_stationary():
    loose = Optimizer("l-bfgs-b", options={"gtol": 1e3})
    result = solve(method="1s", optimizer=loose)
    assert result.status is Status.NOT_STATIONARY
    assert result.gradient_norm > 1e-2


@pytest.mark.parametrize("limit", [1, 2])
def test_an_inversion_that_is_cut_short_has_failed(limit):
    result = solve(method="1s", iteration=Inversion(max_evaluations=limit))
    assert result.status is Status.INVERSION_FAILED
    assert result.inversion_residual > 1e-13


@pytest.mark.parametrize("method", ["1s", "2s"])
def test_return_evaluates_at_the_given_values(method):
    problem = posed(SUPPLY)
    result = solve(method=method, optimizer=Optimizer("return"))
    positions = problem.layout.theta_positions
    assert result.status is Status.EVALUATED
    assert result.status.is_usable
    assert np.array_equal(result.values[positions], problem.theta)
    assert result.objective_evaluations == (1 if method == "1s" else 2)
    assert np.isfinite(result.errors).all()


def test_plain_logit_has_a_closed_form():
    problem = posed(LOGIT)
    free = dataclasses.replace(problem.parameters, beta=np.full(4, np.nan))
    result = solve(LOGIT, free, method="1s")
    setting = problem.problem.setting
    z, x = setting.demand_instruments.T, setting.x1.T
    projected = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    two_stage = np.linalg.lstsq(projected, setting.start_delta, rcond=None)[0]
    assert features(LOGIT) >= {"logit"}
    assert result.status is Status.EVALUATED
    assert np.allclose(result.values, two_stage, rtol=1e-8)


def test_a_search_that_stays_at_a_saddle_is_not_at_a_minimum(monkeypatch):
    """With nodes that are symmetric around zero the gradient at a sigma of zero is zero."""
    monkeypatch.setattr(solving, "_beside_zero", lambda *_: None)
    problem = posed(DEMAND)
    at_zero = dataclasses.replace(problem.parameters, sigma=np.zeros((1, 1)), free=["sigma"])
    result = solve(DEMAND, at_zero, method="1s", bounds={"sigma": (-5, 5)})
    assert "own nodes" not in features(DEMAND)
    assert result.status is Status.NOT_A_MINIMUM
    assert result.hessian_min_eigenvalue < 0
    assert result.gradient_norm < 1e-10


def test_an_estimate_at_its_bound_is_flagged_and_has_no_error():
    result = solve(method="1s", bounds={"sigma[y,y]": (0, 0.5)})
    place = result.names.index("sigma[y,y]")
    assert result.values[place] == 0.5
    assert result.at_bound.tolist() == [name == "sigma[y,y]" for name in result.names]
    assert np.isnan(result.errors[place])
    assert np.isfinite(np.delete(result.errors, place)).all()
    assert result.gradient_norm < 1e-5 < np.abs(result.gradient).max()


def test_a_sigma_that_is_zero_but_for_rounding_does_not_spoil_the_other_errors(monkeypatch):
    """Its column of the Jacobian is rounding; the errors are those of a sigma of zero, to 1e-8 or so."""
    monkeypatch.setattr(solving, "_beside_zero", lambda *_: None)
    problem, stays = posed(DEMAND), Optimizer("l-bfgs-b", gtol=1e12)
    results = []
    for sigma in (0.0, 1e-15):
        near = dataclasses.replace(problem.parameters, sigma=[[sigma]], free=["sigma"])
        results.append(solve(DEMAND, near, method="1s", optimizer=stays, hessian=False))
    zero, tiny = results
    place = tiny.names.index(next(name for name in tiny.names if name.startswith("sigma")))
    assert tiny.at_bound.tolist() == zero.at_bound.tolist()
    assert tiny.at_bound[place]
    assert np.isfinite(np.delete(tiny.errors, place)).all()
    assert np.allclose(tiny.errors, zero.errors, rtol=1e-8, equal_nan=True)


def test_the_second_step_uses_the_inverse_covariance_of_the_first_ones_moments():
    first, second = solve(method="1s"), solve(method="2s")
    setting = posed(SUPPLY).problem.setting
    order = setting.products.order
    internal = slice(None) if order is None else order
    g = np.vstack(
        (setting.demand_instruments * first.xi[internal], setting.supply_instruments * first.omega[internal])
    )
    covariance = np.cov(g, bias=True)
    assert np.allclose(second.W @ covariance, np.eye(len(g)), rtol=0, atol=1e-6)
    assert second.objective_evaluations > first.objective_evaluations


def test_residuals_and_costs_are_what_the_estimates_imply_in_the_users_order():
    problem, result = posed(SUPPLY), solve()
    setting = problem.problem.setting
    data, order = setting.products.columns, setting.products.order
    blocks = result.parameters.blocks(setting.columns.names)
    xi = result.delta - setting.products.restored(setting.columns.x1.values(data) @ blocks.beta)
    omega = np.log(result.costs) - setting.products.restored(setting.columns.x3.values(data) @ blocks.gamma)
    assert order is not None
    assert np.allclose(result.xi, xi, rtol=0, atol=1e-10)
    assert np.allclose(result.omega, omega, rtol=0, atol=1e-10)


def test_the_order_of_rows_changes_nothing_but_the_order_of_residuals():
    case, rng = random_case(CURVED), np.random.default_rng(0)
    order = rng.permutation(case.products["x"].size)
    shuffled = dataclasses.replace(case, products={n: c[order] for n, c in case.products.items()})
    problems = own_problem(case), own_problem(shuffled)
    first, second = (p.solve(posed(CURVED).parameters, GMM(method="1s")) for p in problems)
    assert np.allclose(first.values, second.values, rtol=1e-6, atol=1e-8)
    assert np.allclose(first.xi[order], second.xi, rtol=0, atol=1e-6)


def test_the_table_has_a_row_for_each_parameter():
    result = solve(method="1s")
    table = result.table()
    assert list(table.index) == list(result.names)
    assert np.array_equal(table["estimate"], result.values)
    assert np.array_equal(table["standard_error"], result.errors)


def test_the_covariance_agrees_with_the_errors():
    result = solve()
    assert np.array_equal(np.sqrt(np.diag(result.covariance)), result.errors)


def test_the_estimates_are_a_start_where_the_optimizer_stays():
    first = solve(method="1s")
    blocks = first.parameters.blocks(posed(SUPPLY).problem.setting.columns.names)
    beta = np.where(np.isnan(posed(SUPPLY).parameters.beta), np.nan, blocks.beta)
    again = solve(
        SUPPLY, Parameters(sigma=blocks.sigma, beta=beta, gamma=posed(SUPPLY).parameters.gamma), method="1s"
    )
    assert np.allclose(again.values, first.values, rtol=1e-4)
    assert again.objective_evaluations < first.objective_evaluations


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("Parameters.beta", {"beta": np.full(3, np.nan)}),
        ("Parameters.beta", {"beta": {"prices": -1, "z": 2}}),
        ("Parameters.free", {"free": ["sigma[z,z]"]}),
    ],
)
def test_parameters_that_the_model_cannot_have_are_refused(field, changes):
    with refused(ParameterError, field):
        posed(SUPPLY).problem.solve(dataclasses.replace(posed(SUPPLY).parameters, **changes))
