"""Inversion by root finders: they move delta to a root, and the objective's kernel certifies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from blpsim.arrays import Bench, InversionRule, Matrix, Nesting, Panel, State, Unknowns, Vector
from blpsim.kernels.compile import machine_code
from blpsim.kernels.general.newton import MARGIN, equations_at, invert_by_newton

Solved = tuple[Nesting, State, Bench]

SCIPY: Mapping[str, Mapping[str, Any]] = {
    "hybr": {"xtol": 0.0},
    "lm": {"xtol": 0.0, "ftol": 0.0, "gtol": 0.0},
    "df-sane": {"fatol": 0.0, "ftol": 0.0},
    "krylov": {"fatol": 0.0},
}
"""Methods of ``scipy.optimize.root``, and what keeps them from stopping before the residual says so."""
_WITH_DERIVATIVE = {"hybr", "lm"}
_LIMITS = {"hybr": "maxfev", "lm": "maxiter", "df-sane": "maxfev"}
_FAR = 1e10
_NO_MATRIX = np.empty((0, 0))


class _FoundError(Exception):
    """An evaluation whose residual is within the tolerance ends the search."""


class _LimitError(Exception):
    """So does one too many."""


class _Equations:
    """One market's equations as SciPy calls them."""

    def __init__(self, call: Callable[..., float], size: int, rule: InversionRule) -> None:
        self.call, self.rule, self.evaluations = call, rule, 0
        self.best: Vector | None = None
        self._least = np.inf
        self._delta, self._step = np.empty(size), np.empty(size)
        self._matrix = np.empty((size, size))

    def value(self, delta: Vector) -> Vector:
        """Return minus the mapping's step at delta, (J,)."""
        if self.evaluations == self.rule.max_evaluations:
            raise _LimitError
        self.evaluations += 1
        self._delta[:] = delta
        residual = self.call((self._delta, self._step, _NO_MATRIX))
        if residual < self._least:
            self.best, self._least = self._delta.copy(), residual
        if residual < MARGIN * self.rule.tolerance:
            raise _FoundError
        return -self._step if np.isfinite(self._step).all() else np.full(delta.size, _FAR)

    def derivative(self, delta: Vector) -> Matrix:
        """Return the derivative of that, (J, J); nearly always where the value was asked for just before."""
        self._delta[:] = delta
        self.call((self._delta, self._step, self._matrix))
        return np.where(np.isfinite(self._matrix), self._matrix, 0.0)


class Roots:
    """Replaces mean utilities by roots, market by market."""

    def __init__(
        self, method: str, rule: InversionRule, panel: Panel, unknowns: Unknowns, worked: Solved
    ) -> None:
        """Keep the arrays, which the objective fills."""
        self.method, self.rule = method, rule
        self.panel, self.unknowns, self.worked = panel, unknowns, worked
        self._equations: Callable[..., float] | None = None

    def search(self) -> int:
        """Replace the state's delta, where it starts, by the best that is found; return evaluations used."""
        if self.method not in SCIPY:
            arguments = (self.panel, self.unknowns, *self.worked, self.rule)
            return machine_code(invert_by_newton, arguments)(*arguments)
        if not np.isfinite(self.unknowns.theta).all():
            return 0
        offsets, delta = self.panel.offsets.products, self.worked[1].delta
        return sum(self._search(t, delta[offsets[t] : offsets[t + 1]]) for t in range(offsets.size - 1))

    def _search(self, t: int, delta: Vector) -> int:
        from scipy import optimize

        def call(point: tuple[Vector, Vector, Matrix]) -> float:
            arguments = (t, self.panel, self.unknowns, self.worked, self.rule, point)
            if self._equations is None:
                self._equations = machine_code(equations_at, arguments)
            return self._equations(*arguments)

        library: Any = optimize
        equations = _Equations(call, delta.size, self.rule)
        jacobian = equations.derivative if self.method in _WITH_DERIVATIVE else None
        limit = {_LIMITS.get(self.method, "maxiter"): self.rule.max_evaluations}
        options = {**SCIPY[self.method], **limit}
        with suppress(_FoundError, _LimitError, ValueError, ArithmeticError):
            library.root(equations.value, delta.copy(), method=self.method, jac=jacobian, options=options)
        if equations.best is not None:
            delta[:] = equations.best
        return equations.evaluations
