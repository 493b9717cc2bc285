from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from blpsim.errors import ConfigurationError
from blpsim.estimate.gmm import GMM
from blpsim.estimate.optimizer import Optimizer, projected_gradient
from blpsim.status import Status

from .problems import SUPPLY, posed
from .refusals import refused

PRECISION = {
    "l-bfgs-b": 1e-5,
    "bfgs": 1e-5,
    "cg": 1e-5,
    "newton-cg": 1e-5,
    "tnc": 1e-5,
    "slsqp": 1e-5,
    "nelder-mead": 1e-4,
    "powell": 1e-3,
}
"""How near to each other methods end that stop by different rules: those without a gradient are farther."""

UNBOUNDED = (np.array([-np.inf, -np.inf]), np.array([np.inf, np.inf]))


def bowl(theta):
    """Return a quadratic with its minimum of 3 at (1, -2), and its gradient."""
    away = theta - [1.0, -2.0]
    return 3 + away[0] ** 2 + 5 * away[1] ** 2 + away[0] * away[1], np.array(
        [2 * away[0] + away[1], 10 * away[1] + away[0]]
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("method", "newton"),
        ("method", "L-BFGS-B"),
        ("method", None),
        ("gtol", 0),
        ("gtol", -1e-5),
        ("gtol", float("nan")),
        ("max_iterations", 0),
        ("max_iterations", -1),
    ],
)
def test_an_optimizer_that_cannot_stop_is_refused(field, value):
    with refused(ConfigurationError, f"Optimizer.{field}", value):
        Optimizer(**{field: value})


@pytest.mark.parametrize("method", PRECISION)
def test_every_method_finds_the_bottom_of_a_bowl(method):
    found = Optimizer(method, gtol=1e-8).minimize(bowl, np.zeros(2), *UNBOUNDED)
    assert np.abs(found.theta - [1, -2]).max() < 1e-5
    assert found.value == pytest.approx(3)
    assert not found.reached_limit
    assert np.isnan(found.gradient).all() == (method in ("nelder-mead", "powell"))


@pytest.mark.parametrize("method", PRECISION)
def test_every_method_reaches_the_same_estimates(method):
    problem = posed(SUPPLY)
    expected = solved("l-bfgs-b", 1e-9)
    found = solved(method, 1e-9)
    scale = np.maximum(np.abs(expected.values), 0.1)
    assert (np.abs(found.values - expected.values) / scale).max() < PRECISION[method]
    assert found.objective == pytest.approx(expected.objective, abs=1e-4 * PRECISION[method] + 1e-9)
    assert (expected.values[problem.layout.theta_positions] != problem.theta).all()


def solved(method, gtol):
    problem = posed(SUPPLY)
    return problem.problem.solve(problem.parameters, GMM(method="1s", optimizer=Optimizer(method, gtol)))


@pytest.mark.parametrize("method", ["l-bfgs-b", "tnc", "slsqp", "nelder-mead"])
def test_methods_with_bounds_stay_within_them(method):
    assert Optimizer(method).has_bounds
    lower, upper = np.array([2.0, -10.0]), np.array([5.0, -2.5])
    seen = []

    def watched(theta):
        seen.append(theta.copy())
        return bowl(theta)

    found = Optimizer(method, gtol=1e-8).minimize(watched, np.zeros(2), lower, upper)
    assert np.allclose(found.theta, [2.0, -2.5], atol=1e-6)
    assert (np.array(seen) >= lower - 1e-12).all()
    assert (np.array(seen) <= upper + 1e-12).all()


@pytest.mark.parametrize("method", ["bfgs", "cg", "newton-cg", "powell"])
def test_methods_without_bounds_say_so_and_ignore_them(method):
    assert not Optimizer(method).has_bounds
    found = Optimizer(method, gtol=1e-8).minimize(
        bowl, np.zeros(2), np.array([2.0, 0.0]), np.array([5.0, 9.0])
    )
    assert np.abs(found.theta - [1, -2]).max() < 1e-5


@pytest.mark.parametrize("method", ["l-bfgs-b", "bfgs", "cg", "newton-cg", "slsqp", "nelder-mead"])
def test_a_limit_of_one_iteration_is_reached(method):
    found = Optimizer(method, gtol=1e-12, max_iterations=1).minimize(bowl, np.zeros(2), *UNBOUNDED)
    assert found.reached_limit
    assert found.value > 3


def test_return_stays_without_an_evaluation():
    start = np.array([4.0, 5.0])
    found = Optimizer("return").minimize(None, start, *UNBOUNDED)
    assert np.array_equal(found.theta, start)
    assert not Optimizer("return").uses_gradient


def test_nothing_to_move_needs_no_evaluation():
    found = Optimizer().minimize(None, np.empty(0), np.empty(0), np.empty(0))
    assert found.theta.size == 0
    assert not found.reached_limit


def test_options_reach_scipy_and_win_over_defaults():
    loose = Optimizer(options={"gtol": 1e3}).minimize(bowl, np.zeros(2), *UNBOUNDED)
    assert np.array_equal(loose.theta, [0, 0])


def test_a_tighter_tolerance_ends_nearer():
    gradients = [
        np.abs(Optimizer("bfgs", gtol).minimize(bowl, np.zeros(2), *UNBOUNDED).gradient).max()
        for gtol in (1.0, 1e-8)
    ]
    assert gradients[1] < 1e-8 < gradients[0] < 1.0


@pytest.mark.parametrize("gtol", [1e-5, 1e-6])
@pytest.mark.parametrize("method", [*PRECISION, "trust-constr"])
def test_what_a_method_finds_is_a_minimum_by_its_gradient(method, gtol):
    """Whatever the method's own test is: of steps, of values or of a barrier.

    Below the customary 1e-5 rounding may end a line search first; which one depends on the data's last bits.
    """
    result = solved(method, gtol)
    assert result.gradient_norm <= 1e-5
    assert result.status is Status.CONVERGED or (gtol < 1e-5 and result.status is Status.PRECISION_LIMITED)


@pytest.mark.parametrize("method", ["slsqp", "newton-cg", "trust-constr"])
def test_the_gradient_ends_searches_whose_own_test_is_another(method):
    seen = []

    def counted(theta):
        seen.append(np.abs(bowl(theta)[1]).max())
        return bowl(theta)

    found = Optimizer(method, gtol=1e-3).minimize(counted, np.zeros(2), *UNBOUNDED)
    assert found.success
    assert found.message == "the projected gradient is within gtol"
    assert np.abs(found.gradient).max() == seen[-1] <= 1e-3
    assert min(norm for norm in seen if norm != seen[-1]) > 1e-3


@pytest.mark.parametrize("method", ["nelder-mead", "powell"])
def test_a_methods_own_tolerances_are_passed_on(method):
    names = {"nelder-mead": ("xatol", "fatol"), "powell": ("xtol", "ftol")}[method]
    used = []
    for tolerance in (1e-1, 1e-12):
        seen = []
        optimizer = Optimizer(method, options=dict.fromkeys(names, tolerance))
        optimizer.minimize(lambda theta, seen=seen: (seen.append(0), bowl(theta))[1], np.zeros(2), *UNBOUNDED)
        used.append(len(seen))
    assert used[0] < 0.8 * used[1]


class Noisy:
    """A quadratic with rounding noise in its values and gradients, which notes its gradients."""

    def __init__(self):
        self.norms = []

    def __call__(self, theta):
        value, gradient = bowl(theta)
        noise = np.sin(1e12 * theta + [1, 2])
        gradient = gradient + 1e-8 * noise
        self.norms.append(np.abs(gradient).max())
        return value + 1e-13 * noise[0], gradient


@pytest.mark.parametrize("method", ["l-bfgs-b", "bfgs", "cg", "tnc"])
def test_a_search_among_values_that_differ_by_rounding_is_ended_where_the_gradient_is_least(method):
    noisy = Noisy()
    found = Optimizer(method, gtol=1e-12).minimize(noisy, np.zeros(2), *UNBOUNDED)
    assert found.message == "values differ by rounding alone"
    assert not found.success
    least = int(np.argmin(noisy.norms))
    assert np.abs(found.gradient).max() <= 2 * noisy.norms[least]
    assert len(noisy.norms) - least < 15


def test_a_search_through_a_narrow_valley_is_not_ended():
    def valley(theta):
        return 1 + optimize.rosen(theta), optimize.rosen_der(theta)

    found = Optimizer(gtol=1e-8).minimize(valley, np.array([-1.2, 1.0]), *UNBOUNDED)
    assert found.success
    assert np.abs(found.theta - 1).max() < 1e-7


def test_a_gradient_out_of_the_bounds_is_none():
    theta, gradient = np.array([0.0, 0, 1, 1, 0.5]), np.array([1.0, -1, 1, -1, 3])
    inside = projected_gradient(theta, gradient, np.zeros(5), np.ones(5))
    assert inside.tolist() == [0, -1, 1, 0, 3]
    assert gradient[0] == 1
