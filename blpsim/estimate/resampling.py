"""Simulation error: how moments vary with the agents that stand for the population."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from blpsim.arrays import Matrix, Vector
from blpsim.errors import ConfigurationError
from blpsim.estimate.objective import Objective
from blpsim.model.panel import Agents
from blpsim.status import Status

_FEWEST = 2


class SimulationError(NamedTuple):
    """What resampled agents add to the uncertainty about moments."""

    covariances: Matrix
    """(M, M) of the averaged moments across resampled agents; zero without any, NaN where one set failed."""
    status: Status
    """EVALUATED, or why some agents gave no moments."""

    def added(self, covariance: Matrix, number: int) -> Matrix:
        """Return the covariance of moments, (M, M), with N times that of their averages."""
        return np.asarray(covariance + number * self.covariances, np.float64)


def simulation_error(objective: Objective) -> SimulationError:
    """Return the error that is left by the agents, at the theta of the last evaluation.

    Raises
    ------
    ConfigurationError
        When there are fewer than two sets of agents.

    Source: the covariance that PyBLP's ``resample_agent_data`` estimates. PyBLP adds it to S as it is,
    although S is the covariance of averages times N; here it is multiplied by N as well.
    """
    size = objective.moments.weighting.shape[0]
    resampled = objective.setting.resampled
    if resampled is None:
        return SimulationError(np.zeros((size, size)), Status.EVALUATED)
    moments: list[Vector] = []
    while (agents := resampled(len(moments))) is not None:
        status = agents if isinstance(agents, Status) else _evaluated(objective, agents, moments)
        if status is not Status.EVALUATED:
            return SimulationError(np.full((size, size), np.nan), status)
    if len(moments) < _FEWEST:
        got, why = f"{len(moments)} sets of agents", "their moments have a covariance"
        raise ConfigurationError("GMM.resample_agents", got, "at least two", why)
    return SimulationError(np.cov(np.array(moments).T).reshape(size, size), Status.EVALUATED)


def _evaluated(objective: Objective, agents: Agents, moments: list[Vector]) -> Status:
    """Add the averaged moments, (M,), that other agents give, and return how the evaluation ended."""
    setting = replace(objective.setting, agents=agents)
    other = Objective(setting, objective.layout, objective.gmm, objective.moments.weighting)
    other.start_delta = objective.state.delta
    other(objective.theta.copy())
    if other.status is Status.EVALUATED:
        if not other.state.residuals.max() < objective.gmm.iteration.tolerance:
            return Status.INVERSION_FAILED
        moments.append(other.state.moments.copy())
    return other.status
