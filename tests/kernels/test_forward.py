from __future__ import annotations

import numpy as np
import pytest

from blpsim.arrays import Directions
from blpsim.kernels.evaluation import NO_DERIVATIVE
from blpsim.kernels.forward import jacobians
from tests.estimate.problems import FEATURES, central_difference, distance, posed


@pytest.mark.parametrize("seed", FEATURES)
def test_derivatives_of_residuals_are_their_central_differences_at_fixed_linear_coefficients(seed):
    """Of the residuals before concentrating out: those of delta and of transformed costs."""
    problem = posed(seed)
    objective, layout = problem.objective(), problem.layout
    supply, k = problem.problem.setting.supply, layout.theta_positions
    nonlinear = np.array([name.startswith(("sigma", "pi")) for name in layout.theta_names])
    priced = np.array([name in priced_names(problem) for name in layout.theta_names])

    def delta_and_costs(theta):
        objective(theta)
        costs = np.log(objective.state.costs) if objective.moments.log_costs else objective.state.costs
        return np.stack((objective.delta, costs if supply else objective.delta))

    differences = central_difference(delta_and_costs, problem.theta)
    objective(problem.theta)
    jacobian = objective.jacobian()
    d_xi, d_omega = jacobian.xi[:, k].T, jacobian.omega[:, k].T
    if nonlinear.any():
        assert distance(d_xi[nonlinear], differences[nonlinear, 0]) < 1e-8
    if supply:
        moved = nonlinear | priced
        assert distance(d_omega[moved], differences[moved, 1]) < 1e-8
    else:
        assert (jacobian.omega == 0).all()


def priced_names(problem):
    columns = problem.problem.setting.columns.x1
    return [f"beta[{n}]" for n, p in zip(columns.names, columns.depends_on_prices, strict=True) if p]


@pytest.mark.parametrize("seed", [1, 7, 15])
def test_derivatives_by_linear_coefficients_are_minus_their_columns(seed):
    problem = posed(seed)
    objective, setting = problem.objective(), problem.problem.setting
    objective(problem.theta)
    jacobian = objective.jacobian()
    for place, name in enumerate(problem.layout.names):
        block, _, label = name.rstrip("]").partition("[")
        if block == "beta":
            k = setting.columns.x1.names.index(label)
            assert np.array_equal(jacobian.xi[:, place], -setting.x1[k])
        elif block == "gamma":
            k = setting.columns.x3.names.index(label)
            assert np.array_equal(jacobian.omega[:, place], -setting.x3[k])
            assert (jacobian.xi[:, place] == 0).all()


def test_probabilities_of_zero_have_no_derivative():
    problem = posed(13)
    objective = problem.objective()
    objective(problem.theta)
    objective.state.probabilities[:] = 0.0
    objective.state.shares[:] = 0.0
    directions = objective_directions(problem)
    number = problem.problem.setting.number
    room = np.empty((directions.kind.size, number)), np.empty((directions.kind.size, number))
    ended = jacobians(objective.panel, objective.state, objective.bench, directions, *room)
    assert ended == NO_DERIVATIVE


def objective_directions(problem):
    rows = problem.layout.sigma_rows.size
    return Directions(np.zeros(rows, np.int64), problem.layout.sigma_rows, problem.layout.sigma_cols)
