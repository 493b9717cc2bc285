"""How blpsim ends on extreme problems, and whether what it says of them is true."""

from __future__ import annotations

import signal
import warnings

import numpy as np
from numpy.typing import NDArray

import blpsim as bs

from .problems import Extreme

SECONDS = 60
"""An evaluation that takes longer hangs."""

TOLERANCE = 1e-8
"""Difference of log shares from those that plain arithmetic gives at delta.

The inversion's tolerance is 1e-13; utilities of up to 1e5 have a rounding unit of 1.5e-11, and a nest
multiplies it by up to 1 / (1 - 0.99).
"""


class HangingError(Exception):
    """An evaluation takes too long."""

    @classmethod
    def end(cls, *_: object) -> None:
        """End what hangs."""
        raise cls


def outcome(problem: Extreme) -> str:
    """Return how an evaluation ended: a status, or "refused" by a BlpsimError.

    Raises
    ------
    AssertionError
        When a number that counts as one is none, or is wrong.
    """
    signal.signal(signal.SIGALRM, HangingError.end)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _outcome(problem)
    except bs.BlpsimError:
        return "refused"
    finally:
        signal.alarm(0)


def _outcome(problem: Extreme) -> str:
    built = bs.Problem(problem.model, problem.products, problem.agents)
    evaluation = built.evaluate(problem.parameters, problem.gmm)
    if evaluation.status is bs.Status.EVALUATED:
        finite = (evaluation.gradient, evaluation.delta, evaluation.xi, evaluation.costs, evaluation.omega)
        assert np.isfinite(evaluation.objective)
        assert all(np.isfinite(array).all() for array in finite)
        assert evaluation.inversion_residual < problem.gmm.iteration.tolerance
        apart = np.abs(log_shares(problem, evaluation.delta) - np.log(problem.products["shares"]))
        assert apart.max() < TOLERANCE, apart.max()
    else:
        assert np.isnan(evaluation.objective)
        assert np.isnan(evaluation.gradient).all()
    try:
        result = built.solve(problem.parameters, problem.gmm)
    except bs.BlpsimError:
        return evaluation.status.meaning
    if result.status.is_usable:
        assert np.isfinite(result.values).all()
        assert np.isfinite(result.objective)
        assert np.isfinite(result.errors[~result.at_bound]).all()
    return evaluation.status.meaning


def log_shares(problem: Extreme, delta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logs of shares at delta, (N,), market by market in plain arithmetic."""
    logs = np.empty(delta.size)
    market = problem.products["market_ids"]
    for t in np.unique(market):
        here = market == t
        mu, weights = _deviations(problem, here, t)
        utilities = delta[here, None] + mu
        nests, rho = np.arange(here.sum()), 0.0
        if problem.model.nests is not None:
            nests, rho = problem.products["nesting_ids"][here], float(np.asarray(problem.parameters.rho))
        probabilities = _probabilities(utilities / (1 - rho), nests, rho)
        logs[here] = np.log(probabilities @ weights)
    return logs


def _probabilities(scaled: NDArray[np.float64], nests: NDArray[np.int64], rho: float) -> NDArray[np.float64]:
    groups = [np.flatnonzero(nests == nest) for nest in np.unique(nests)]
    inclusive = np.array([np.logaddexp.reduce(scaled[group], axis=0) for group in groups])
    levels = (1 - rho) * inclusive
    total = np.logaddexp.reduce(np.vstack((np.zeros(levels.shape[1]), levels)), axis=0)
    logs = np.empty_like(scaled)
    for group, value, level in zip(groups, inclusive, levels, strict=True):
        logs[group] = scaled[group] - value + level - total
    return np.asarray(np.exp(logs))


def _deviations(
    problem: Extreme, here: NDArray[np.bool_], market: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mu, (J, I), and weights, (I,), of a market."""
    if problem.agents is None:
        return np.zeros((int(here.sum()), 1)), np.ones(1)
    inside = problem.agents["market_ids"] == market
    sigma = np.asarray(problem.parameters.sigma)
    nodes = np.array([problem.agents[f"nodes{k}"][inside] for k in range(len(sigma))])
    coefficients = sigma @ nodes
    for k, kind in enumerate(problem.model.rc_types or ()):
        if kind == "log":
            coefficients[k] = np.exp(np.minimum(coefficients[k], 700.0))
        elif kind == "logit":
            coefficients[k] = 1 / (1 + np.exp(-coefficients[k]))
    x2 = np.array([problem.products[name][here] for name in ("prices", "x", "y")[: len(sigma)]])
    return np.asarray(x2.T @ coefficients), problem.agents["weights"][inside]
