"""Covariance moments E[xi omega Z_C], whose gradient is a seed like those of the other moments.

Linear coefficients are concentrated out by the other moments alone, as in PyBLP, so that they do not minimize
the objective, and their derivatives are part of its gradient. Source: MacKay and Miller (2023).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from blpsim.arrays import Matrix, Moments, Nesting, State, Vector
from blpsim.estimate.setting import Setting
from blpsim.kernels.compile import machine_code
from blpsim.kernels.evaluation import FINE, NOT_FINITE
from blpsim.kernels.general.split import differentiate_nested_alone, evaluate_nested_alone
from blpsim.kernels.split import differentiate_alone, evaluate_alone


class CovarianceMoments(NamedTuple):
    """What makes covariance moments, and the way from errors to the objective and back."""

    setting: Setting
    mean: float

    def product(self, errors: tuple[Vector, Vector]) -> Vector:
        """Return what is multiplied by instruments, (N,): xi omega less its mean."""
        return np.asarray(errors[0] * errors[1] - self.mean, np.float64)

    def evaluate(
        self, arguments: tuple[Any, ...], errors: Callable[[], tuple[Vector, Vector]]
    ) -> tuple[int, float, int, int, int]:
        """Return what ``evaluate_with_gradient`` does, after filling moments and the gradient.

        arguments  what that is called with, whose moments and state have room for covariance moments, too
        errors     returns xi and omega, (N,) each, less their fixed effects, after an evaluation
        """
        panel, unknowns, moments, *nesting, state, bench, rule = arguments
        size = moments.weighting.shape[0] - len(self.setting.covariance_instruments)
        block = np.ascontiguousarray(moments.weighting[:size, :size])
        inner = state._replace(moments=state.moments[:size], weighted=state.weighted[:size])
        evaluate, differentiate = _kernels(nesting)
        within = moments._replace(weighting=block)
        given = (panel, unknowns, within, *nesting, inner, bench, rule)
        code, *counts = machine_code(evaluate, given)(*given)
        if code != FINE:
            return code, 0.0, *counts
        found = errors()
        state.moments[size:] = self.setting.covariance_instruments @ self.product(found) / self.setting.number
        np.matmul(moments.weighting, state.moments, out=state.weighted)
        objective = moments.scale * float(state.moments @ state.weighted)
        if not np.isfinite(objective):
            return NOT_FINITE, objective, *counts
        seeds = self._seeds(moments, state, found)
        # A single instrument with a weight of one has a given seed.
        scaled = np.full(2, self.setting.number / (2.0 * moments.scale))
        seeded = moments._replace(demand_instruments=seeds[:1], supply_instruments=seeds[1:])
        inner = inner._replace(weighted=scaled)
        given = (panel, unknowns, seeded, *nesting, inner, bench)
        return machine_code(differentiate, given)(*given), objective, *counts

    def _seeds(self, moments: Moments, state: State, errors: tuple[Vector, Vector]) -> Matrix:
        """Return derivatives of the objective by the state's delta and transformed costs, (2, N)."""
        setting, (xi, omega) = self.setting, errors
        demand, supply = moments.demand_instruments, moments.supply_instruments
        split, size = len(demand), len(demand) + len(supply)
        factor = 2.0 * moments.scale / setting.number
        crossed = state.weighted[size:] @ setting.covariance_instruments
        by_xi, by_omega = _absorbed(setting, crossed * omega, crossed * xi)
        by_xi = factor * (state.weighted[:split] @ demand + setting.model.epsilon_scale * by_xi)
        by_omega = factor * (state.weighted[split:size] @ supply + by_omega)
        pulled = np.concatenate((moments.free_demand @ by_xi, moments.free_supply @ by_omega))
        averages = pulled @ moments.concentration / setting.number
        return np.vstack((by_xi - averages[:split] @ demand, by_omega - averages[split:] @ supply))

    def jacobian(self, errors: tuple[Vector, Vector], d_xi: Matrix, d_omega: Matrix) -> Matrix:
        """Return the derivatives of xi omega, (N, P), from those of errors with or without fixed effects."""
        by_xi, by_omega = _absorbed(self.setting, d_xi, d_omega)
        return np.asarray(by_xi * errors[1][:, None] + by_omega * errors[0][:, None], np.float64)


def _absorbed(setting: Setting, demand: Matrix, supply: Matrix) -> tuple[Matrix, Matrix]:
    """Return columns, (N,) or (N, P), of demand and supply less their fixed effects."""
    if setting.demand_absorber is not None:
        demand = setting.demand_absorber.residualize(demand)
    if setting.supply_absorber is not None:
        supply = setting.supply_absorber.residualize(supply)
    return demand, supply


def _kernels(nesting: list[Nesting]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if nesting:
        return evaluate_nested_alone, differentiate_nested_alone
    return evaluate_alone, differentiate_alone
