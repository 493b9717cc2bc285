"""What an estimator's starts led to on one dataset, and the estimate that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.economy.economy import Economy
from blpsim.errors import ConfigurationError
from blpsim.estimate.delta_method import DeltaMethod, Function
from blpsim.estimate.optimal import OptimalInstruments, optimal_instruments
from blpsim.estimate.realizations import drawn_errors
from blpsim.estimate.result import Result
from blpsim.estimate.setting import Setting
from blpsim.model.instruments import Optimal
from blpsim.model.layout import Layout
from blpsim.status import Status
from blpsim.streams import Streams


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """One start of the optimizer and where it led."""

    value: Vector
    """(P,) NaN for what is concentrated out."""
    estimate: Vector
    """(P,)."""
    objective: float
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """What an estimator returns."""

    values: Vector
    """(P,) NaN where there is none."""
    standard_errors: Vector
    """(P,)."""
    status: Status
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    at_bound: Booleans | tuple[()] = ()
    """(P,) whether an estimate is at a bound."""
    starts: tuple[Start, ...] = ()
    covariance: Matrix | None = None
    """(P, P)."""
    economy: Economy | None = None
    """The economy at the estimate, which estimands are functions of; None where there is none."""
    micro_observed: Vector | tuple[()] = ()
    """(MM,) values of micro moments in the micro data."""
    micro_fitted: Vector | tuple[()] = ()
    """(MM,) what they are expected to be at the estimate."""
    result: Result | None = field(default=None, repr=False)
    """All that the estimation left; None where there is no estimate."""

    def delta_method(self, function: Function) -> DeltaMethod:
        """Return a function's values at the economy and their standard errors; see ``Result``."""
        if self.result is None:
            why = "functions of it are asked for"
            raise ConfigurationError("Estimate.result", None, "an estimate with a result", why)
        return self.result.delta_method(function)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """What an estimator's starts led to on one dataset."""

    layout: Layout
    setting: Setting | None = None
    results: tuple[Result, ...] = ()
    """One a start."""
    starts: Matrix | tuple[()] = ()
    """(S, P) theta."""
    failure: Status = Status.CONVERGED
    """Why there are no results."""
    failed_draws: int | None = None
    """Draws of errors that optimal instruments leave out, without an equilibrium, over all markets; None
    without optimal instruments."""

    @property
    def is_usable(self) -> bool:
        """Whether there is an estimate that others can build on."""
        return bool(self.results) and self.best.status.is_usable

    @property
    def best(self) -> Result:
        """The usable result with the lowest objective, or the lowest of all."""
        usable = [result for result in self.results if result.status.is_usable]
        return min(usable or self.results, key=lambda result: result.objective)

    def optimal_instruments(self, how: Optimal, streams: Streams) -> OptimalInstruments | None:
        """Return optimal instruments at the best result, a usable one; None without an equilibrium."""
        fitted, generator = self.best.fitted, streams.generator("optimal instruments")
        return optimal_instruments(fitted, drawn_errors(fitted, how.method, how.draws, generator))

    def estimate(self) -> Estimate:
        """Return the estimate: the start with the lowest objective."""
        if not self.results:
            nothing = np.full(len(self.layout.names), np.nan)
            return Estimate(values=nothing, standard_errors=nothing, status=self.failure)
        return _estimate(self)


def _estimate(solution: Solution) -> Estimate:
    bound, results, best = solution.layout, solution.results, solution.best
    recorded = []
    for result, theta in zip(results, solution.starts, strict=True):
        value = np.full(len(bound.names), np.nan)
        value[bound.theta_positions] = theta
        recorded.append(
            Start(value=value, estimate=result.values, objective=result.objective, status=result.status)
        )
    micro = best.origin.gmm.micro_moments
    observed = np.array([moment.value for moment in micro], np.float64)
    return Estimate(
        values=best.values,
        standard_errors=best.errors,
        status=best.status,
        diagnostics={
            "objective": best.objective,
            "gradient_norm": best.gradient_norm,
            "hessian_min_eigenvalue": best.hessian_min_eigenvalue,
            "objective_evaluations": sum(result.objective_evaluations for result in results),
            "inversion_evaluations": sum(result.inversion_evaluations for result in results),
            "inversion_failures": sum(result.inversion_failures for result in results),
            "inversion_residual": best.inversion_residual,
            "clipped_costs": best.clipped_costs,
            "hansen_j": best.hansen_j,
            "hansen_p": best.hansen_p,
            **({} if solution.failed_draws is None else {"failed_draws": solution.failed_draws}),
        },
        at_bound=best.at_bound,
        starts=tuple(recorded),
        covariance=best.covariance,
        economy=best.economy if best.status.is_usable else None,
        micro_observed=observed,
        micro_fitted=observed - best.moments[best.moments.size - observed.size :],
        result=best,
    )
