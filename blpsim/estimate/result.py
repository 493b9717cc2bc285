"""What an estimation leaves: estimates, their errors, and how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.checks import check, check_count
from blpsim.economy.economy import Economy
from blpsim.errors import ConfigurationError
from blpsim.estimate.bootstrap import Bootstrap, drawn_values
from blpsim.estimate.delta_method import DeltaMethod, Function, delta_method
from blpsim.estimate.evaluation import economy_at
from blpsim.estimate.first_step import FirstStep
from blpsim.estimate.gmm import GMM
from blpsim.estimate.inference import inferred
from blpsim.estimate.objective import Objective
from blpsim.estimate.setting import Setting
from blpsim.estimate.specification import (
    NOT_TESTED,
    HypothesisTest,
    Restrictions,
    check_inside,
    chi_squared,
    hansen_test,
    lm_test,
    restrictions_at,
    wald_test,
)
from blpsim.model.layout import Layout
from blpsim.model.parameters import Parameters
from blpsim.status import Status

_ROUNDING_ROOT = float(np.sqrt(np.finfo(np.float64).eps))


class Counts(NamedTuple):
    """Work done, and when it began."""

    objective: int
    inversion: int
    inversion_failures: int
    began: float
    """In seconds of ``time.perf_counter``."""


class Origin(NamedTuple):
    """What was estimated, and how."""

    setting: Setting
    layout: Layout
    gmm: GMM


class Minimum(NamedTuple):
    """Where one step ended."""

    theta: Vector
    gradient: Vector
    projected: Vector
    hessian: Matrix
    smallest_eigenvalue: float
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result(FirstStep):
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
    moments_jacobian: Matrix = field(repr=False)
    """(M, P) derivatives of moments by all that is estimated."""
    moments_covariances: Matrix = field(repr=False)
    """(M, M) S, the covariance of moments times N, that standard errors are computed with."""
    simulation_covariances: Matrix = field(repr=False)
    """(M, M) covariance of moments across resampled agents, N times which is in S; zero without any."""
    parameter_sensitivity: Matrix = field(repr=False)
    """(P, M) how estimates move with moments (Andrews, Gentzkow and Shapiro 2017); NaN at a bound."""
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
    """Of the inversion's mapping, in all markets."""
    inversion_failures: int
    """How many inversions of a market missed the tolerance on the way, wherever there was an objective."""
    inversion_residual: float
    clipped_costs: int
    seconds: float
    origin: Origin = field(repr=False)
    """The data, the layout of parameters, and the options."""

    def table(self) -> pd.DataFrame:
        """Return estimates and standard errors, a row a parameter."""
        columns = {"estimate": self.values, "standard_error": self.errors, "at_bound": self.at_bound}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="parameter"))

    @property
    def micro_values(self) -> Vector:
        """Values of micro moments at the estimates, (MM,), of which ``moments`` has the difference."""
        matched = self.origin.gmm.micro_moments
        observed = np.array([moment.value for moment in matched], np.float64)
        return np.asarray(observed - self.moments[self.moments.size - observed.size :], np.float64)

    def micro_table(self) -> pd.DataFrame:
        """Return how micro moments are fit, a row a moment: observed, estimated, and their difference."""
        matched = self.origin.gmm.micro_moments
        observed = np.array([moment.value for moment in matched], np.float64)
        surveys = [", ".join(dict.fromkeys(part.dataset.name for part in m.all_parts)) for m in matched]
        estimated = self.micro_values
        columns = {"observed": observed, "estimated": estimated, "difference": observed - estimated}
        index = pd.Index([moment.name for moment in matched], name="moment")
        return pd.DataFrame({**columns, "dataset": surveys}, index=index)

    def run_hansen_test(self) -> HypothesisTest:
        """Return Hansen's J = N g'Wg, with a degree of freedom for each overidentifying moment.

        As the LM and distance tests, it requires that W is optimal: that of a second step, or a user's.
        """
        degrees = int(self.W.any(axis=0).sum()) - len(self.names)
        return chi_squared(self._j(), degrees)

    def run_wald_test(
        self, restrictions: Restrictions, restrictions_jacobian: ArrayLike | None = None
    ) -> HypothesisTest:
        """Return the Wald statistic of restrictions r = 0, with a degree of freedom for each.

        restrictions           (R,) r at the estimates, or a function of the parameters (P,), in the order
                               of ``names``, that returns it
        restrictions_jacobian  (R, P) its derivatives; central differences of a function by default

        Raises
        ------
        ParameterError
            When shapes are wrong, a restriction follows from others, or concerns a parameter at a bound.
        """
        restricted, jacobian = restrictions_at(restrictions, restrictions_jacobian, self.values)
        concerned = jacobian.any(axis=0)
        check_inside("restrictions", self.at_bound & concerned, self.names)
        covariance = self.covariance[np.ix_(concerned, concerned)]
        return wald_test(restricted, jacobian[:, concerned], covariance)

    def run_lm_test(self, restrictions: int) -> HypothesisTest:
        """Return the Lagrange multiplier statistic of the unrestricted problem at restricted estimates.

        The result is that of ``Optimizer("return")`` at these estimates; it cannot know how many
        restrictions they satisfy, which is the number of degrees of freedom.

        Raises
        ------
        ParameterError
            When a parameter is at a bound.
        """
        check_count("restrictions", restrictions, "they are degrees of freedom")
        check_inside("run_lm_test", self.at_bound, self.names)
        gradient = self.moments_jacobian.T @ self.W @ self.moments
        return lm_test(gradient, self.covariance, self.delta.size, restrictions)

    def run_distance_test(self, unrestricted: Result) -> HypothesisTest:
        """Return J of this restricted estimation less that of an unrestricted one on the same data.

        Its degrees of freedom are the parameters that only the unrestricted one estimates. Source: Newey
        and West (1987).

        Raises
        ------
        ConfigurationError
            When the other has another number of products, or not more parameters.
        """
        check("unrestricted", unrestricted, Result)
        if unrestricted.delta.size != self.delta.size:
            got, expected = f"{unrestricted.delta.size} products", f"{self.delta.size} products"
            raise ConfigurationError("unrestricted", got, expected, "both are estimated on the same data")
        degrees = len(unrestricted.names) - len(self.names)
        if degrees < 1:
            got, expected = f"{len(unrestricted.names)} parameters", f"more than {len(self.names)}"
            raise ConfigurationError("unrestricted", got, expected, "restrictions fix parameters")
        return chi_squared(self._j() - unrestricted._j(), degrees)

    def delta_method(self, function: Function) -> DeltaMethod:
        """Return a function's values at the economy and their standard errors, by the delta method.

        function  of an ``Economy``; a number or an array, whose shape both have

        It is called twice for each parameter, at economies whose mean utilities reproduce the shares.
        Parameters at a bound are held there.

        Raises
        ------
        ConfigurationError
            When the estimation gave no economy.
        """
        setting, layout, gmm = self.origin
        economy, objective = self._known_economy(), Objective(setting, layout, gmm, self.W)
        order = setting.products.order
        delta = self.delta / setting.model.epsilon_scale
        objective.start_delta = delta if order is None else delta[order]
        with np.errstate(all="ignore"):
            return delta_method(function, economy, objective, (self.values, self.covariance))

    def bootstrap(self, draws: int = 1_000, seed: int = 0, equilibrium: bool | None = None) -> Bootstrap:
        """Return a parametric bootstrap: parameters drawn from the distribution of the estimates.

        equilibrium  whether each draw has its own equilibrium prices, as in PyBLP by default with a supply
                     side only; without one, costs are those that the estimates imply

        Raises
        ------
        ConfigurationError
            When the estimation gave no economy, or draws and seed are no natural numbers.
        """
        check_count("draws", draws, "parameters are drawn so often")
        check_count("seed", seed, "draws are repeatable", 0)
        check("equilibrium", equilibrium, bool | None)
        economy = self._known_economy()
        solved = economy.costs is not None if equilibrium is None else equilibrium
        if solved and economy.costs is None:
            economy = replace(economy, costs=economy.implied_costs())
        layout, estimates = self.origin.layout, (self.values, self.covariance)
        values = drawn_values(estimates, layout, self.origin.gmm, draws, seed)
        return Bootstrap(values=values, economy=economy, layout=layout, equilibrium=solved)

    def _j(self) -> float:
        return float(self.delta.size * (self.moments @ self.W @ self.moments))

    def _known_economy(self) -> Economy:
        if self.economy is None:
            why = "functions of it are asked for"
            raise ConfigurationError("Result.economy", None, "an economy at the estimates", why)
        return self.economy


def make_result(
    objective: Objective,
    minimum: Minimum,
    bounds: tuple[Vector, Vector],
    counts: Counts,
) -> Result:
    """Return the result of an estimation whose last evaluation was at the minimum, and succeeded."""
    setting, layout, state = objective.setting, objective.layout, objective.state
    theta, products = minimum.theta, setting.products
    residuals = objective.residuals()
    at_bound = np.zeros(len(layout.names), np.bool_)
    at_bound[layout.theta_positions] = _at_bounds(theta, *bounds)
    inference = inferred(objective, ~at_bound)
    errors = np.sqrt(np.diag(inference.covariance))
    values = layout.values(theta, objective.beta(theta), objective.gamma(theta))
    parameters = layout.unfolded(values, fixed=True)
    hansen = NOT_TESTED
    if objective.gmm.method == "2s":
        hansen = hansen_test(state.moments, objective.moments.weighting, setting.number, len(layout.names))
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
        status=minimum.status if inference.status is Status.EVALUATED else inference.status,
        at_bound=at_bound,
        delta=products.restored(objective.delta),
        xi=products.restored(residuals[0]),
        omega=products.restored(residuals[1]) if setting.supply else residuals[1],
        costs=products.restored(state.costs) if setting.supply else state.costs,
        W=objective.moments.weighting,
        moments=state.moments,
        moments_jacobian=inference.moments_jacobian,
        moments_covariances=inference.moments_covariances,
        simulation_covariances=inference.simulation_covariances,
        parameter_sensitivity=inference.parameter_sensitivity,
        covariance=inference.covariance,
        economy=economy_at(objective, parameters, residuals),
        hansen_j=hansen.j,
        hansen_p=hansen.p,
        objective_evaluations=counts.objective,
        inversion_evaluations=counts.inversion,
        inversion_failures=counts.inversion_failures,
        inversion_residual=float(state.residuals.max()),
        clipped_costs=objective.clipped,
        seconds=time.perf_counter() - counts.began,
        origin=Origin(setting, layout, objective.gmm),
    )


def _at_bounds(theta: Vector, lower: Vector, upper: Vector) -> Booleans:
    """Return which of theta, (P,), are at a bound, or nearer than an objective in doubles can tell.

    The objective is even in a sigma near zero: below the root of the rounding unit it does not change, and
    the derivatives of the moments are rounding, which would spoil all standard errors.
    """
    slack = _ROUNDING_ROOT * np.maximum(1.0, np.abs(theta))
    near: Booleans = (theta <= lower + slack) | (theta >= upper - slack)
    return near


def failed_result(origin: Origin, status: Status, counts: Counts) -> Result:
    """Return the result of an estimation that gave no numbers: NaN everywhere, and how it ended."""
    setting, layout, _ = origin
    size, theta = len(layout.names), layout.theta0.size
    moments = setting.moments + len(origin.gmm.micro_moments)
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
        moments_jacobian=np.full((moments, size), np.nan),
        moments_covariances=np.full((moments, moments), np.nan),
        simulation_covariances=np.full((moments, moments), np.nan),
        parameter_sensitivity=np.full((size, moments), np.nan),
        covariance=np.full((size, size), np.nan),
        economy=None,
        hansen_j=np.nan,
        hansen_p=np.nan,
        objective_evaluations=counts.objective,
        inversion_evaluations=counts.inversion,
        inversion_failures=counts.inversion_failures,
        inversion_residual=np.nan,
        clipped_costs=0,
        seconds=time.perf_counter() - counts.began,
        origin=origin,
    )
