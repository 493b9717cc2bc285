from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from blpsim.estimate.gmm import GMM, Inversion
from blpsim.model.layout import layout
from blpsim.status import Status

from .problems import DEMAND, FEATURES, SUPPLY, central_difference, distance, features, posed

EVERY_PROBLEM = pytest.mark.parametrize("seed", FEATURES)
GRADIENT_TOLERANCE = 1e-8
"""Norm-wise, since elements near zero have only the differences' absolute precision: a hundred times the
worst seen, and a millionth of what a wrong sign or a forgotten term would make of any of these problems."""


@EVERY_PROBLEM
def test_the_problems_exercise_what_they_are_chosen_for(seed):
    assert features(seed) >= FEATURES[seed]


@EVERY_PROBLEM
def test_the_gradient_is_the_objectives_central_difference(seed):
    problem = posed(seed)
    objective = problem.objective()
    value, gradient = objective(problem.theta)
    differences = central_difference(lambda theta: objective(theta)[0], problem.theta)
    assert objective.status is Status.EVALUATED
    assert value > 0
    assert distance(gradient, differences) < GRADIENT_TOLERANCE


@pytest.mark.parametrize("seed", [SUPPLY, 15, 31])
def test_the_gradient_holds_with_dense_weights_across_equations(seed):
    problem = posed(seed)
    size, rng = len(problem.weighting), np.random.default_rng(seed)
    root = np.linalg.cholesky(problem.weighting) @ (np.eye(size) + 0.1 * rng.normal(size=(size, size)))
    objective = problem._replace(weighting=root @ root.T).objective()
    gradient = objective(problem.theta)[1]
    differences = central_difference(lambda theta: objective(theta)[0], problem.theta)
    assert distance(gradient, differences) < GRADIENT_TOLERANCE


@EVERY_PROBLEM
def test_the_jacobian_implies_the_gradient_and_no_slope_in_what_is_concentrated_out(seed):
    problem, objective = posed(seed), posed(seed).objective()
    gradient = objective(problem.theta)[1]
    setting, jacobian = problem.problem.setting, objective.jacobian()
    g = np.vstack((setting.demand_instruments @ jacobian.xi, setting.supply_instruments @ jacobian.omega))
    implied = 2 * objective.moments.scale * g.T @ problem.weighting @ objective.state.moments / setting.number
    layout = problem.layout
    assert distance(implied[layout.theta_positions], gradient) < 1e-11
    assert np.abs(implied[layout.concentrated_positions]).max(initial=0) < 1e-9 * np.abs(gradient).max()


@EVERY_PROBLEM
def test_the_objective_is_scaled_squared_moments_of_the_residuals(seed):
    problem, objective = posed(seed), posed(seed).objective()
    value, _ = objective(problem.theta)
    setting, (xi, omega) = problem.problem.setting, objective.residuals()
    moments = setting.demand_instruments @ xi
    if setting.supply:
        moments = np.concatenate((moments, setting.supply_instruments @ omega))
    moments /= setting.number
    scale = setting.number if problem.gmm.scale_objective else 1
    assert value == pytest.approx(scale * moments @ problem.weighting @ moments, rel=1e-9)
    # Alternating projections leave 1e-9 of fixed effects in instruments, a hundredth of it in their averages.
    absorbed = (setting.demand_absorber, setting.supply_absorber)
    projected = any(absorber is not None and absorber.groups.shape[1] > 1 for absorber in absorbed)
    assert np.allclose(moments, objective.state.moments, rtol=0, atol=1e-10 if projected else 1e-12)


@pytest.mark.parametrize("seed", [DEMAND, SUPPLY, 15])
def test_an_objective_that_is_not_scaled_is_smaller_by_the_number_of_products(seed):
    problem = posed(seed)
    scaled, plain = (problem.objective(GMM(scale_objective=flag))(problem.theta) for flag in (True, False))
    number = problem.problem.setting.number
    assert scaled[0] == pytest.approx(number * plain[0], rel=1e-13)
    assert np.allclose(scaled[1], number * plain[1], rtol=1e-12)


@pytest.mark.parametrize("seed", [DEMAND, SUPPLY, 15, 31])
@pytest.mark.parametrize("method", ["anderson", "squarem", "simple"])
@pytest.mark.parametrize("mapping", ["outside_corrected", "contraction"])
def test_the_way_of_inverting_does_not_change_delta(seed, method, mapping):
    problem = posed(seed)
    expected, other = (
        problem.objective(),
        problem.objective(GMM(iteration=Inversion(method, mapping, max_evaluations=50_000))),
    )
    expected(problem.theta)
    other(problem.theta)
    assert np.abs(other.state.delta - expected.state.delta).max() < 1e-10


def test_a_looser_inversion_needs_fewer_evaluations_and_says_how_far_it_came():
    problem = posed(SUPPLY)
    tight, loose = problem.objective(), problem.objective(GMM(iteration=Inversion(tolerance=1e-8)))
    tight(problem.theta)
    loose(problem.theta)
    assert loose.inversion_evaluations < tight.inversion_evaluations
    assert tight.state.residuals.max() < 1e-13 < loose.state.residuals.max() < 1e-8


@pytest.mark.parametrize("shift", [-300.0, 60.0, 300.0])
def test_where_the_inversion_starts_changes_the_objective_by_rounding_alone(shift):
    problem = posed(SUPPLY)
    expected, other = problem.objective(), problem.objective()
    other.start_delta = other.start_delta + shift
    value, gradient = expected(problem.theta)
    moved, moved_gradient = other(problem.theta)
    assert moved == pytest.approx(value, rel=1e-10)
    assert distance(moved_gradient, gradient) < 1e-10
    assert (other.state.evaluations != expected.state.evaluations).any()


def test_evaluations_leave_no_trace_in_later_ones():
    problem = posed(31)
    fresh, used = problem.objective(), problem.objective()
    used(1.3 * problem.theta)
    used(np.full(problem.theta.size, np.nan))
    for ours, theirs in zip(used(problem.theta), fresh(problem.theta), strict=True):
        assert np.array_equal(ours, theirs)


def test_no_point_is_evaluated_twice_in_a_row():
    problem = posed(SUPPLY)
    objective, other = problem.objective(), problem.theta + 0.01
    for theta in (problem.theta, problem.theta, other, other, problem.theta):
        objective(theta)
    assert objective.evaluations == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_are_penalized_without_an_evaluation(bad):
    problem = posed(SUPPLY)
    objective, theta = problem.objective(), problem.theta
    value, gradient = objective(theta)
    theta[1] = bad
    penalty, same = objective(theta)
    assert penalty > 1e6 * value
    assert np.array_equal(same, gradient)
    assert (objective.status, objective.evaluations, objective.failures) == (Status.NON_FINITE, 1, 1)


@pytest.mark.parametrize(("seed", "sigma"), [(SUPPLY, 1e200), (SUPPLY, 1e308), (DEMAND, 1e308)])
def test_an_absurd_sigma_is_not_finite_and_is_penalized(seed, sigma):
    problem = posed(seed)
    objective, theta = problem.objective(), problem.theta
    theta[0] = sigma
    penalty, gradient = objective(theta)
    assert objective.status is Status.NON_FINITE
    assert penalty >= 1e10
    assert np.isfinite(gradient).all()
    assert not np.isnan(objective.state.residuals).any()
    value, _ = objective(problem.theta)
    assert objective.status is Status.EVALUATED
    assert value == problem.objective()(problem.theta)[0]


def test_a_price_coefficient_of_zero_has_no_markups():
    problem = posed(20)
    objective = problem.objective()
    penalty, _ = objective(np.zeros(1))
    assert problem.layout.theta_names == ("beta[prices]",)
    assert objective.status is Status.SINGULAR
    assert penalty >= 1e10


def test_clipped_costs_are_counted_and_stay_within_their_bounds():
    problem = posed(SUPPLY)
    free = problem.objective()
    free(problem.theta)
    lower, upper = np.quantile(free.state.costs, [0.2, 0.9])
    bounded = problem.objective(GMM(costs_bounds=(lower, upper)))
    bounded(problem.theta)
    outside = (free.state.costs < lower) | (free.state.costs > upper)
    assert free.clipped == 0
    assert bounded.clipped == outside.sum() > 0
    assert np.allclose(bounded.state.costs, np.clip(free.state.costs, lower, upper), rtol=1e-12)


def test_the_derivative_of_a_clipped_cost_is_zero():
    problem = posed(3)
    objective = problem.objective()
    objective(problem.theta)
    lower, _ = problem.gmm.cost_bounds
    clipped = objective.state.costs <= lower
    moved = [name.startswith(("sigma", "pi", "beta[prices]")) for name in problem.layout.names]
    omega = objective.jacobian().omega[:, moved]
    assert 0 < clipped.sum() == objective.clipped < clipped.size
    assert (omega[clipped] == 0).all()
    assert (omega[~clipped] != 0).any(axis=1).all()


def test_coefficients_that_are_concentrated_out_minimize_the_objective():
    problem, objective = posed(SUPPLY), posed(SUPPLY).objective()
    best, _ = objective(problem.theta)
    beta, gamma = objective.beta(problem.theta), objective.gamma(problem.theta)
    parameters = dataclasses.replace(problem.parameters, beta=beta, gamma=gamma)
    names = problem.problem.setting.columns.names
    assert np.isfinite(beta).all()
    assert np.isfinite(gamma).all()

    def at(changes):
        given = parameters.replaced(changes, names)
        return _given(problem, given)

    assert at({}) == pytest.approx(best, rel=1e-9)
    for name, value in {"beta[x]": beta[-1], "gamma[w]": gamma[2], "gamma[y]": gamma[3]}.items():
        assert at({name: value * 1.05}) > best
        assert at({name: value * 0.95}) > best


def _given(problem, parameters):
    setting = problem.problem.setting
    bound = layout(parameters, setting.columns, setting.supply)
    return problem._replace(layout=bound).objective()(bound.theta0)[0]
