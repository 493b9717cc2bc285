"""SciPy's optimizers behind one frozen configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from blpsim.arrays import Vector
from blpsim.checks import check_count, check_fields
from blpsim.errors import ConfigurationError

_GTOL, _NEVER, _STEP, _VALUE = (1.0, 1), (0.0, 1), (1e-3, 1), (1.0, 2)
_TOLERANCES: Mapping[str, Mapping[str, tuple[float, int]]] = {
    "l-bfgs-b": {"gtol": _GTOL, "ftol": _NEVER},
    "bfgs": {"gtol": _GTOL},
    "cg": {"gtol": _GTOL},
    "newton-cg": {"xtol": _NEVER, "eps": (1e-5, 0)},
    "tnc": {"gtol": _GTOL, "ftol": _NEVER, "xtol": _NEVER},
    "slsqp": {"ftol": _NEVER},
    "trust-constr": {"gtol": _NEVER, "xtol": (1e-3, 1), "barrier_tol": (1e-7, 1)},
    "nelder-mead": {"xatol": _STEP, "fatol": _VALUE},
    "powell": {"xtol": _STEP, "ftol": _VALUE},
}
"""SciPy's tolerances, as factors and powers of gtol. Where curvature is c, a gradient of g is a step of g / c
and g^2 / 2c of the objective away from the minimum, so methods that know values alone get such tolerances."""
_ENDED_BY_GRADIENT = {"newton-cg", "slsqp", "trust-constr"}
"""Methods whose own tests see steps, values or a barrier: the projected gradient ends their searches."""
_BOUNDED = {"l-bfgs-b", "tnc", "slsqp", "trust-constr", "nelder-mead"}
"""Powell's has none here: its line searches leap to the best point between bounds, or to a worse one."""
_WITHOUT_GRADIENT = {"nelder-mead", "powell"}
ROUNDING = 1e-12
"""Relative difference of objectives that rounding, the inversion's above all, may make."""
_PATIENCE = 6

Function = Callable[[Vector], tuple[float, Vector]]


class Optimum(NamedTuple):
    """Where an optimizer stopped."""

    theta: Vector
    """(P,)."""
    value: float
    """The objective there."""
    gradient: Vector
    """(P,) what the optimizer knows of it; NaN for methods that do not use it."""
    success: bool
    """The optimizer's own flag, which is no evidence of a minimum either way."""
    reached_limit: bool
    """Whether it used up its iterations."""
    message: str


class _FlatError(Exception):
    """A search has come to where values differ by rounding alone."""


class _StationaryError(Exception):
    """A search has come to where the projected gradient counts as zero."""


class _Watched:
    """A function of which a search is ended that gets no farther, as rounding alone moves its values.

    Line searches would go on for dozens of evaluations there, until they fail.
    """

    def __init__(self, function: Function, bounds: tuple[Vector, Vector], gtol: float) -> None:
        self.function, self.bounds, self.gtol = function, bounds, gtol
        lower = bounds[0]
        self.theta, self.best, self.gradient = lower, np.inf, lower
        self._flat, self._latest = 0, (b"", lower)

    def value(self, theta: Vector) -> float:
        """Return the value at theta, (P,)."""
        value, gradient = self.function(theta)
        self._latest = theta.tobytes(), gradient
        if self.gtol > 0 and value <= self.best and self._norm(theta, gradient) <= self.gtol:
            self.theta, self.best, self.gradient = theta.copy(), value, gradient
            raise _StationaryError
        rounding = ROUNDING * abs(self.best) if self.best < np.inf else 0.0
        flat = value <= self.best + rounding
        if value < self.best - rounding or (flat and self._is_flatter(theta, gradient)):
            self.theta, self.best, self.gradient, self._flat = theta.copy(), value, gradient, 0
            return value
        self._flat = self._flat + 1 if flat else 0
        if self._flat == _PATIENCE:
            raise _FlatError
        return value

    def slope(self, theta: Vector) -> Vector:
        """Return the gradient at theta, (P,), where the value was nearly always asked for just before."""
        at, gradient = self._latest
        return gradient if at == theta.tobytes() else self.function(theta)[1]

    def _is_flatter(self, theta: Vector, gradient: Vector) -> bool:
        return self._norm(theta, gradient) < self._norm(self.theta, self.gradient) / 2

    def _norm(self, theta: Vector, gradient: Vector) -> float:
        return float(np.abs(projected_gradient(theta, gradient, *self.bounds)).max())


def projected_gradient(theta: Vector, gradient: Vector, lower: Vector, upper: Vector) -> Vector:
    """Return the gradient, (P,), with zeros where it points out of the bounds, (P,) each."""
    inside = gradient.copy()
    inside[(theta <= lower) & (gradient > 0)] = 0.0
    inside[(theta >= upper) & (gradient < 0)] = 0.0
    return inside


@dataclass(frozen=True, slots=True)
class Optimizer:
    """How the objective is minimized."""

    method: str = "l-bfgs-b"
    """A method of ``scipy.optimize.minimize``, in lower case, or "return": stay at the start."""
    gtol: float = 1e-5
    """Largest element of the projected gradient that counts as zero, by which a minimum is judged. Of
    "nelder-mead" and "powell", which know no gradient, it sets the tolerances of steps and values."""
    max_iterations: int = 1_000
    """Major iterations."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Other options, passed to SciPy as they are."""

    def __post_init__(self) -> None:
        """Refuse unknown methods and tolerances that are not positive."""
        check_fields(self)
        if self.method != "return" and self.method not in _TOLERANCES:
            expected = f"'return' or one of {', '.join(_TOLERANCES)}"
            raise ConfigurationError("Optimizer.method", self.method, expected, "SciPy has no other for this")
        if not 0 < self.gtol < np.inf:
            why = "no optimizer reaches a gradient of exactly zero"
            raise ConfigurationError("Optimizer.gtol", self.gtol, "a positive number", why)
        why = "use Optimizer('return') to stay at the start"
        check_count("Optimizer.max_iterations", self.max_iterations, why)

    @property
    def stays(self) -> bool:
        """Whether the start is where it ends."""
        return self.method == "return"

    @property
    def uses_gradient(self) -> bool:
        """Whether the method moves by the gradient."""
        return not self.stays and self.method not in _WITHOUT_GRADIENT

    @property
    def has_bounds(self) -> bool:
        """Whether the method respects bounds; others ignore them, as PyBLP's do."""
        return self.method in _BOUNDED

    def minimize(self, function: Function, start: Vector, lower: Vector, upper: Vector) -> Optimum:
        """Return where the method stops.

        function  returns the objective and its gradient, (P,)
        start     (P,), clipped into the bounds
        lower     (P,), and upper (P,): infinite where there is no bound; ignored by methods without bounds
        """
        if self.stays or start.size == 0:
            return Optimum(start, np.nan, np.full(start.size, np.nan), True, False, "")
        if not self.has_bounds:
            lower, upper = np.full(start.size, -np.inf), np.full(start.size, np.inf)
        start = np.clip(start, lower, upper)
        if not self.uses_gradient:
            return self._search(lambda theta: function(theta)[0], None, start, (lower, upper))
        gtol = self.gtol if self.method in _ENDED_BY_GRADIENT else 0.0
        watched = _Watched(function, (lower, upper), gtol)
        try:
            return self._search(watched.value, watched.slope, start, (lower, upper))
        except _FlatError:
            success, message = False, "values differ by rounding alone"
        except _StationaryError:
            success, message = True, "the projected gradient is within gtol"
        return Optimum(watched.theta, watched.best, watched.gradient, success, False, message)

    def _search(
        self,
        value: Callable[[Vector], float],
        slope: Callable[[Vector], Vector] | None,
        start: Vector,
        bounds: tuple[Vector, Vector],
    ) -> Optimum:
        # It takes long to load, and who plans a study or hands it out minimizes nothing.
        from scipy import optimize

        library: Any = optimize
        outcome = library.minimize(
            value,
            start,
            jac=slope,
            method=self.method,
            bounds=library.Bounds(*bounds) if self.has_bounds else None,
            options=self._options(),
        )
        theta = np.array(outcome.x, np.float64)
        work = int(outcome.nfev if self.method == "tnc" else getattr(outcome, "nit", 0))
        gradient = np.full(theta.size, np.nan)
        if self.uses_gradient:
            gradient = np.array(outcome.grad if self.method == "trust-constr" else outcome.jac, np.float64)
        return Optimum(
            theta,
            float(outcome.fun),
            gradient,
            bool(outcome.success),
            work >= self.max_iterations,
            str(outcome.message),
        )

    def _options(self) -> dict[str, Any]:
        defaults = _TOLERANCES[self.method].items()
        tolerances = {name: factor * self.gtol**power for name, (factor, power) in defaults}
        limit = "maxfun" if self.method == "tnc" else "maxiter"
        return {**tolerances, limit: self.max_iterations, **self.options}
