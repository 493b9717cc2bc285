"""What the data say at given values of the parameters, and the economy that has these values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from blpsim.arrays import Matrix, Vector
from blpsim.economy.economy import Economy
from blpsim.estimate.objective import Objective
from blpsim.model.panel import Agents
from blpsim.model.parameters import Parameters
from blpsim.status import Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """A problem at given values of its parameters; arrays of products are in the order of the user's rows."""

    parameters: Parameters
    """The given values, and those of beta and gamma that are concentrated out."""
    status: Status
    """EVALUATED, or why there is no objective."""
    objective: float
    """NaN where there is none."""
    gradient: Vector = field(repr=False)
    """(P,) with respect to theta: sigma, pi, beta and gamma as far as they are not concentrated out."""
    delta: Vector = field(repr=False)
    xi: Vector = field(repr=False)
    omega: Vector = field(repr=False)
    """(N,), or (0,) without a supply side; so are costs."""
    costs: Vector = field(repr=False)
    W: Matrix = field(repr=False)
    moments: Vector = field(repr=False)
    """(M,) averages."""
    economy: Economy | None = field(repr=False)
    """The economy with these values; None where there is none."""
    inversion_evaluations: int
    inversion_residual: float
    clipped_costs: int


def evaluated(objective: Objective) -> Evaluation:
    """Return the evaluation at the layout's starting values; NaN where nothing could be computed."""
    layout, products, theta = objective.layout, objective.setting.products, objective.layout.theta0
    value, gradient = objective(theta)
    state, status = objective.state, objective.status
    if status is Status.EVALUATED and not state.residuals.max() < objective.gmm.iteration.tolerance:
        status = Status.INVERSION_FAILED
    lost = status not in (Status.EVALUATED, Status.INVERSION_FAILED)
    if lost:
        for array in (state.delta, state.xi, state.omega, state.costs, state.moments, state.linear):
            array.fill(np.nan)
    residuals = (state.xi, state.omega) if lost else objective.residuals()
    parameters = layout.parameters(theta, objective.beta(theta), objective.gamma(theta))
    exists, supply = status is Status.EVALUATED, objective.setting.supply
    return Evaluation(
        parameters=parameters,
        status=status,
        objective=value if exists else np.nan,
        gradient=gradient.copy() if exists else np.full(theta.size, np.nan),
        delta=products.restored(objective.delta),
        xi=products.restored(residuals[0]),
        omega=products.restored(residuals[1]) if supply else residuals[1],
        costs=products.restored(state.costs) if supply else state.costs,
        W=objective.moments.weighting,
        moments=state.moments,
        economy=None if lost else economy_at(objective, parameters, residuals),
        inversion_evaluations=objective.inversion_evaluations,
        inversion_residual=float(state.residuals.max()),
        clipped_costs=objective.clipped,
    )


def economy_at(objective: Objective, parameters: Parameters, residuals: tuple[Vector, Vector]) -> Economy:
    """Return the economy with the parameters at which the objective was last evaluated.

    residuals  (N,) xi and omega there, in internal order
    """
    setting, products = objective.setting, objective.setting.products
    return Economy(
        model=setting.model,
        products=products,
        agents=_with_all_nodes(objective),
        parameters=parameters,
        delta=products.restored(objective.delta),
        xi=products.restored(residuals[0]),
        omega=products.restored(residuals[1]) if setting.supply else None,
        costs=products.restored(objective.state.costs) if setting.supply else None,
        conduct=setting.conduct,
    )


def economy_with(objective: Objective, values: Vector) -> Economy | None:
    """Return the economy with any values, (P,), of all that is estimated; None where it has no numbers.

    Mean utilities reproduce the observed shares, and xi and omega are what the values leave of them,
    those of linear coefficients that an estimation would concentrate out included.
    """
    layout, setting = objective.layout, objective.setting
    theta = values[layout.theta_positions]
    objective(theta)
    residual = objective.state.residuals.max(initial=0.0)
    if objective.status is not Status.EVALUATED or not residual < objective.gmm.iteration.tolerance:
        return None
    parameters = layout.unfolded(values, fixed=True)
    xi, omega = objective.residuals()
    xi += setting.x1.T @ (objective.beta(theta) - np.asarray(parameters.beta, np.float64))
    if setting.supply:
        omega += setting.x3.T @ (objective.gamma(theta) - np.asarray(parameters.gamma, np.float64))
    return economy_at(objective, parameters, (xi, omega))


def _with_all_nodes(objective: Objective) -> Agents:
    """Return agents with a row of nodes for each X2 column, though an estimated sigma may be zero."""
    setting, used = objective.setting, objective.layout.sigma_used
    if used.size == len(setting.agents.nodes) or not setting.columns.x2.names:
        return setting.agents
    return replace(setting.agents, nodes=setting.agents.consumers(used).nodes)
