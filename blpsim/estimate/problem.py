"""Problems on real data, and their solution by GMM."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.economy.economy import Economy
from blpsim.errors import ParameterError
from blpsim.estimate.evaluation import Evaluation, economy_at, evaluated
from blpsim.estimate.gmm import GMM
from blpsim.estimate.inference import inverted, moment_covariance, parameter_covariance, two_stage_weighting
from blpsim.estimate.objective import Objective
from blpsim.estimate.optimizer import Optimum
from blpsim.estimate.setting import Setting, check_setting, make_setting
from blpsim.estimate.specification import NOT_TESTED, hansen_test
from blpsim.model.agents import read_agents
from blpsim.model.integration import Integration
from blpsim.model.layout import Layout, layout
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products
from blpsim.model.parameters import Parameters
from blpsim.model.products import read_products
from blpsim.model.tables import Table
from blpsim.status import Status

_NEAR, _CUSTOMARY = 10.0, 1e-5
_RESTARTS = 2
_DIFFERENCE = 6e-6


class Minimum(NamedTuple):
    """Where one step ended."""

    theta: Vector
    gradient: Vector
    projected: Vector
    hessian: Matrix
    smallest_eigenvalue: float
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """The estimates of a problem; arrays of products are in the order of the user's rows."""

    names: tuple[str, ...]
    """(P,) names of all that is estimated."""
    values: Vector
    """(P,)."""
    errors: Vector
    """(P,) standard errors, NaN at a bound."""
    parameters: Parameters
    standard_errors: Parameters
    objective: float
    gradient: Vector = field(repr=False)
    """With respect to theta: sigma, pi, beta and gamma as far as they are not concentrated out."""
    gradient_norm: float
    """Largest element of the projected gradient."""
    hessian: Matrix = field(repr=False)
    hessian_min_eigenvalue: float
    status: Status
    at_bound: Booleans = field(repr=False)
    delta: Vector = field(repr=False)
    xi: Vector = field(repr=False)
    omega: Vector = field(repr=False)
    costs: Vector = field(repr=False)
    W: Matrix = field(repr=False)
    moments: Vector = field(repr=False)
    covariance: Matrix = field(repr=False)
    """(P, P) of the estimates."""
    economy: Economy = field(repr=False)
    """The economy at the estimate."""
    hansen_j: float
    """Hansen's J at the second step; NaN after one step, and without overidentifying moments."""
    hansen_p: float
    """The probability of a larger J when all moments are zero."""
    objective_evaluations: int
    inversion_evaluations: int
    inversion_residual: float
    clipped_costs: int
    seconds: float

    def table(self) -> pd.DataFrame:
        """Return estimates and standard errors, a row a parameter."""
        columns = {"estimate": self.values, "standard_error": self.errors, "at_bound": self.at_bound}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="parameter"))


class Problem:
    """A model and data."""

    def __init__(
        self,
        model: Model,
        products: Table | Products,
        agents: Table | Agents | None = None,
        integration: Integration | None = None,
    ) -> None:
        """Read and check the data.

        Raises
        ------
        DataError
            For data that the model cannot be estimated on, naming the column and what is wrong with it.
        """
        read = read_products(products, model)
        excluded = (read.matrix("demand_instruments"), read.matrix("supply_instruments"))
        supply = model.supply is not None
        self.setting = make_setting(
            model, read, read_agents(agents, integration, read, model), excluded, supply
        )
        check_setting(self.setting, _instrument_names(self.setting))

    def solve(self, parameters: Parameters, gmm: GMM | None = None) -> Result:
        """Return the estimates, starting from the parameters.

        Raises
        ------
        ParameterError
            For parameters that the model does not have, and when there are more of them than instruments.
        """
        bound = layout(parameters, self.setting.columns, self.setting.supply)
        _check_identification(self.setting, bound)
        return solve(self.setting, bound, gmm or GMM())

    def evaluate(self, parameters: Parameters, gmm: GMM | None = None) -> Evaluation:
        """Return the objective, its gradient, and what they are made of, at these parameters.

        The weighting matrix is that of the first step: ``gmm.W``, or two-stage least squares'.

        Raises
        ------
        ParameterError
            For parameters that the model does not have.
        """
        bound = layout(parameters, self.setting.columns, self.setting.supply)
        return evaluated(_first_step(self.setting, bound, gmm or GMM()))


def solve(setting: Setting, layout: Layout, gmm: GMM) -> Result:
    """Return the estimates of a setting by one- or two-step GMM."""
    began = time.perf_counter()
    theta, lower_upper = layout.theta0.copy(), gmm.theta_bounds(layout)
    if not gmm.optimizer.has_bounds:
        lower_upper = (np.full(theta.size, -np.inf), np.full(theta.size, np.inf))
    objective = _first_step(setting, layout, gmm)
    minimum = _minimize(objective, theta, lower_upper)
    counts = [objective.evaluations, objective.inversion_evaluations]
    if gmm.method == "2s":
        second = Objective(setting, layout, gmm, _updated(objective))
        second.start_delta = objective.state.delta.copy()
        objective = second
        minimum = _minimize(objective, minimum.theta, lower_upper)
        counts = [counts[0] + objective.evaluations, counts[1] + objective.inversion_evaluations]
    return _result(objective, minimum, lower_upper, (counts[0], counts[1]), began)


def _first_step(setting: Setting, layout: Layout, gmm: GMM) -> Objective:
    weighting = two_stage_weighting(setting) if gmm.W is None else np.array(gmm.W, np.float64)
    objective = Objective(setting, layout, gmm, weighting)
    if gmm.initial_update:
        objective(layout.theta0)
        objective = Objective(setting, layout, gmm, _updated(objective))
    return objective


def _minimize(objective: Objective, start: Vector, bounds: tuple[Vector, Vector]) -> Minimum:
    gmm = objective.gmm
    optimum = _restarted(objective, start, bounds)
    theta = optimum.theta
    size = theta.size
    hessian = np.full((size, size), np.nan)
    if gmm.hessian and not gmm.optimizer.stays:
        hessian = _hessian(objective, theta)
    _, gradient = objective(theta)
    projected = _projected(theta, gradient, *bounds)
    free = (theta > bounds[0]) & (theta < bounds[1])
    smallest = np.nan
    if free.any() and np.isfinite(hessian).all():
        smallest = float(np.linalg.eigvalsh(hessian[np.ix_(free, free)])[0])
    status = _status(objective, optimum, projected, smallest, hessian)
    return Minimum(theta, gradient, projected, hessian, smallest, status)


def _restarted(objective: Objective, start: Vector, bounds: tuple[Vector, Vector]) -> Optimum:
    """Return where the optimizer stops, started again where rounding noise broke off a line search."""
    optimizer = objective.gmm.optimizer
    optimum = optimizer.minimize(objective, start, *bounds)
    for _ in range(_RESTARTS if optimizer.uses_gradient else 0):
        norm = np.abs(_projected(optimum.theta, optimum.gradient, *bounds)).max(initial=0.0)
        if optimum.reached_limit or norm <= _near(objective):
            break
        again = optimizer.minimize(objective, optimum.theta, *bounds)
        if not again.value < optimum.value:
            break
        optimum = again._replace(iterations=optimum.iterations + again.iterations)
    return optimum


def _near(objective: Objective) -> float:
    """Return the projected gradient at which rounding may end a search that did not reach its tolerance.

    Below the customary 1e-5 of an objective in units of N, a tighter tolerance may be out of reach.
    """
    scale = objective.moments.scale / objective.setting.number
    return max(_NEAR * objective.gmm.optimizer.gtol, _CUSTOMARY * scale)


def _hessian(objective: Objective, theta: Vector) -> Matrix:
    rows = []
    for k in range(theta.size):
        step = np.zeros(theta.size)
        step[k] = _DIFFERENCE * max(1.0, abs(theta[k]))
        rows.append((objective(theta + step)[1] - objective(theta - step)[1]) / (2 * step[k]))
    hessian = np.array(rows, np.float64).reshape(theta.size, theta.size)
    symmetric: Matrix = (hessian + hessian.T) / 2
    return symmetric


def _projected(theta: Vector, gradient: Vector, lower: Vector, upper: Vector) -> Vector:
    projected = gradient.copy()
    projected[(theta <= lower) & (gradient > 0)] = 0.0
    projected[(theta >= upper) & (gradient < 0)] = 0.0
    return projected


def _status(
    objective: Objective, optimum: Optimum, projected: Vector, smallest: float, hessian: Matrix
) -> Status:
    optimizer = objective.gmm.optimizer
    if objective.status is not Status.EVALUATED:
        return objective.status
    if not objective.state.residuals.max() < objective.gmm.iteration.tolerance:
        return Status.INVERSION_FAILED
    if optimizer.stays or projected.size == 0:
        return Status.EVALUATED
    norm = float(np.abs(projected).max())
    if norm > optimizer.gtol:
        stopped = Status.PRECISION_LIMITED if norm <= _near(objective) else Status.NOT_STATIONARY
        return Status.ITERATION_LIMIT if optimum.reached_limit else stopped
    if smallest < -1e-8 * float(np.abs(hessian).max(initial=0.0)):
        return Status.NOT_A_MINIMUM
    return Status.CONVERGED


def _updated(objective: Objective) -> Matrix:
    gmm = objective.gmm
    covariance = moment_covariance(objective.setting, objective.residuals(), gmm.W_type, gmm.center_moments)
    weighting = inverted(covariance)
    return np.asarray((weighting + weighting.T) / 2, np.float64)


def _result(
    objective: Objective,
    minimum: Minimum,
    bounds: tuple[Vector, Vector],
    counts: tuple[int, int],
    began: float,
) -> Result:
    setting, layout, gmm, state = objective.setting, objective.layout, objective.gmm, objective.state
    theta, products = minimum.theta, setting.products
    residuals = objective.residuals()
    at_bound = np.zeros(len(layout.names), np.bool_)
    at_bound[layout.theta_positions] = (theta <= bounds[0]) | (theta >= bounds[1])
    used = objective.moments.weighting
    covariance = moment_covariance(setting, residuals, gmm.se_type, gmm.center_moments)
    unadjusted = gmm.se_type == "unadjusted"
    first = unadjusted and gmm.method == "1s"
    weighting = np.asarray(inverted(covariance) if first else used, np.float64)
    kept = ~at_bound
    variances = parameter_covariance(
        setting, objective.jacobian(), weighting, None if unadjusted else covariance, kept
    )
    errors = np.sqrt(np.diag(variances))
    values = layout.values(theta, objective.beta(theta), objective.gamma(theta))
    parameters = layout.unfolded(values, fixed=True)
    hansen = NOT_TESTED
    if gmm.method == "2s":
        hansen = hansen_test(state.moments, used, setting.number, len(layout.names))
    return Result(
        names=layout.names,
        values=values,
        errors=errors,
        parameters=parameters,
        standard_errors=layout.unfolded(errors),
        objective=objective.moments.scale * float(state.moments @ state.weighted),
        gradient=minimum.gradient,
        gradient_norm=float(np.abs(minimum.projected).max(initial=0.0)),
        hessian=minimum.hessian,
        hessian_min_eigenvalue=minimum.smallest_eigenvalue,
        status=minimum.status,
        at_bound=at_bound,
        delta=products.restored(state.delta),
        xi=products.restored(residuals[0]),
        omega=products.restored(residuals[1]) if setting.supply else residuals[1],
        costs=products.restored(state.costs) if setting.supply else state.costs,
        W=used,
        moments=state.moments,
        covariance=variances,
        economy=economy_at(objective, parameters, residuals),
        hansen_j=hansen.j,
        hansen_p=hansen.p,
        objective_evaluations=counts[0],
        inversion_evaluations=counts[1],
        inversion_residual=float(state.residuals.max()),
        clipped_costs=objective.clipped,
        seconds=time.perf_counter() - began,
    )


def _check_identification(setting: Setting, layout: Layout) -> None:
    instruments = len(setting.demand_instruments) + len(setting.supply_instruments)
    if len(layout.names) > instruments:
        expected = f"at most {instruments} parameters, the number of instruments"
        why = "fewer moments than parameters identify nothing"
        raise ParameterError("Parameters", f"{len(layout.names)} parameters", expected, why)


def _instrument_names(setting: Setting) -> tuple[tuple[str, ...], tuple[str, ...]]:
    x1 = setting.columns.x1
    exogenous = tuple(n for n, p in zip(x1.names, x1.depends_on_prices, strict=True) if not p)
    demand = len(setting.demand_instruments) - len(exogenous)
    supply = max(0, len(setting.supply_instruments) - len(setting.x3))
    names = tuple(f"demand_instruments{k}" for k in range(demand)) + exogenous
    return names, tuple(f"supply_instruments{k}" for k in range(supply)) + setting.columns.x3.names
