"""What an estimation leaves: estimates, their errors, and how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.economy.economy import Economy
from blpsim.estimate.evaluation import economy_at
from blpsim.estimate.inference import inverted, moment_covariance, parameter_covariance
from blpsim.estimate.objective import Objective
from blpsim.estimate.setting import Setting
from blpsim.estimate.specification import NOT_TESTED, hansen_test
from blpsim.model.layout import Layout
from blpsim.model.parameters import Parameters
from blpsim.status import Status

_ROUNDING_ROOT = float(np.sqrt(np.finfo(np.float64).eps))


class Counts(NamedTuple):
    """Work done, and when it began."""

    objective: int
    inversion: int
    began: float
    """In seconds of ``time.perf_counter``."""


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
    economy: Economy | None = field(repr=False)
    """The economy at the estimate; None when the estimation gave no numbers."""
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


def make_result(
    objective: Objective,
    minimum: Minimum,
    bounds: tuple[Vector, Vector],
    counts: Counts,
) -> Result:
    """Return the result of an estimation whose last evaluation was at the minimum, and succeeded."""
    setting, layout, gmm, state = objective.setting, objective.layout, objective.gmm, objective.state
    theta, products = minimum.theta, setting.products
    residuals = objective.residuals()
    at_bound = np.zeros(len(layout.names), np.bool_)
    at_bound[layout.theta_positions] = _at_bounds(theta, *bounds)
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
        objective_evaluations=counts.objective,
        inversion_evaluations=counts.inversion,
        inversion_residual=float(state.residuals.max()),
        clipped_costs=objective.clipped,
        seconds=time.perf_counter() - counts.began,
    )


def _at_bounds(theta: Vector, lower: Vector, upper: Vector) -> Booleans:
    """Return which of theta, (P,), are at a bound, or nearer than an objective in doubles can tell.

    The objective is even in a sigma near zero: below the root of the rounding unit it does not change, and
    the derivatives of the moments are rounding, which would spoil all standard errors.
    """
    slack = _ROUNDING_ROOT * np.maximum(1.0, np.abs(theta))
    near: Booleans = (theta <= lower + slack) | (theta >= upper - slack)
    return near


def failed_result(setting: Setting, layout: Layout, status: Status, counts: Counts) -> Result:
    """Return the result of an estimation that gave no numbers: NaN everywhere, and how it ended."""
    size, theta = len(layout.names), layout.theta0.size
    moments = len(setting.demand_instruments) + len(setting.supply_instruments)
    nothing, products = np.full(size, np.nan), np.full(setting.number, np.nan)
    costs = products if setting.supply else np.empty(0)
    return Result(
        names=layout.names,
        values=nothing,
        errors=nothing,
        parameters=layout.unfolded(nothing),
        standard_errors=layout.unfolded(nothing),
        objective=np.nan,
        gradient=np.full(theta, np.nan),
        gradient_norm=np.nan,
        hessian=np.full((theta, theta), np.nan),
        hessian_min_eigenvalue=np.nan,
        status=status,
        at_bound=np.zeros(size, np.bool_),
        delta=products,
        xi=products,
        omega=costs,
        costs=costs,
        W=np.full((moments, moments), np.nan),
        moments=np.full(moments, np.nan),
        covariance=np.full((size, size), np.nan),
        economy=None,
        hansen_j=np.nan,
        hansen_p=np.nan,
        objective_evaluations=counts.objective,
        inversion_evaluations=counts.inversion,
        inversion_residual=np.nan,
        clipped_costs=0,
        seconds=time.perf_counter() - counts.began,
    )
