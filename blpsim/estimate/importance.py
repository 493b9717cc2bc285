"""Importance sampling of agents at an estimate (Berry, Levinsohn and Pakes 1995), as PyBLP does it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Vector
from blpsim.economy.choices import inside_probabilities
from blpsim.estimate.gmm import GMM
from blpsim.estimate.inference import two_stage_weighting
from blpsim.estimate.objective import Objective
from blpsim.estimate.realizations import Fitted
from blpsim.model.panel import Agents
from blpsim.status import Status

_ROUNDING = 1e-10


class Sampler(Protocol):
    """What draws: NumPy's Generator, or a RandomState."""

    def uniform(self, *, size: int) -> NDArray[np.float64]:
        """Return numbers in [0, 1), (size,)."""

    def choice(self, a: Integers, *, size: int, replace: bool) -> Integers:
        """Return a random sample of a, (size,)."""


class Sample(NamedTuple):
    """Which candidates were accepted and sampled."""

    positions: Integers
    """(I,) places of the sampled among the candidates, in their order."""
    weights: Vector
    """(I,)."""
    accepted: Integers
    """(T,) candidates that were accepted, of whom the sample is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImportanceSample:
    """Agents from importance sampling, with diagnostics of their weights (Owen 2013), (T,) each."""

    agents: Agents = field(repr=False)
    """The sampled agents, for another ``Problem``; ``agents.frame()`` is a data frame of them."""
    draws: int
    """Agents in each market."""
    accepted: Integers = field(repr=False)
    """(T,) candidates that were accepted, of whom the sample is drawn."""

    @property
    def weight_sums(self) -> Vector:
        """Sums of weights, not far from one if all is well."""
        return self._sums(1)

    @property
    def effective_draws(self) -> Vector:
        """Effective sizes of the samples."""
        return self._sums(1) ** 2 / self._sums(2)

    @property
    def effective_draws_for_variance(self) -> Vector:
        """Effective sizes for estimates of variances."""
        return self._sums(2) ** 2 / self._sums(4)

    @property
    def effective_draws_for_skewness(self) -> Vector:
        """Effective sizes that gauge skewness."""
        return self._sums(2) ** 3 / self._sums(3) ** 2

    def _sums(self, power: int) -> Vector:
        sums: Vector = np.add.reduceat(self.agents.weights**power, self.agents.market_offsets[:-1])
        return sums


def count_alike(agents: Agents) -> bool:
    """Return whether the agents of a market have the same weight."""
    starts = agents.market_offsets[:-1]
    lowest, highest = (extreme.reduceat(agents.weights, starts) for extreme in (np.minimum, np.maximum))
    return bool(np.allclose(lowest, highest, rtol=_ROUNDING, atol=0))


def sample_agents(
    fitted: Fitted, candidates: Agents, draws: int, ar_constant: float, sampler: Sampler
) -> Sample:
    """Return a sample of candidates, accepted with the probability that they buy, over a constant.

    fitted       its delta, (N,), is that at which candidates choose
    candidates   draws from the population; their weights do not count
    draws        agents in each market; fewer in one where fewer are accepted
    ar_constant  1 or larger
    """
    setting = fitted.setting
    demand = fitted._replace(setting=replace(setting, agents=candidates)).demand
    with np.errstate(all="ignore"):
        inside = inside_probabilities(demand)
    bought = np.add.reduceat(setting.products.shares, setting.products.market_offsets[:-1])
    positions, weights, accepted = [], [], []
    for market, (start, stop) in enumerate(_ranges(candidates.market_offsets)):
        probabilities = inside[start:stop]
        cutoffs = sampler.uniform(size=probabilities.size)
        taken = np.flatnonzero(cutoffs < probabilities / ar_constant)
        accepted.append(taken.size)
        if taken.size >= draws:
            taken = np.sort(sampler.choice(taken, size=draws, replace=False))
        positions.append(start + taken)
        weights.append(bought[market] / probabilities[taken] / draws)
    return Sample(np.concatenate(positions), np.concatenate(weights), np.array(accepted))


def sampled(candidates: Agents, sample: Sample, draws: int) -> ImportanceSample:
    """Return the sampled candidates with their weights, ``draws`` in every market."""
    agents = replace(
        candidates,
        market_offsets=np.arange(candidates.market_offsets.size) * draws,
        nodes=np.ascontiguousarray(candidates.nodes[:, sample.positions]),
        demographics=np.ascontiguousarray(candidates.demographics[:, sample.positions]),
        weights=sample.weights,
    )
    return ImportanceSample(agents=agents, draws=draws, accepted=sample.accepted)


def inverted_delta(fitted: Fitted, agents: Agents, gmm: GMM) -> Vector | None:
    """Return the mean utilities, (N,), at which other agents make the observed shares; None without any."""
    setting = replace(fitted.setting, agents=agents, resampled=None)
    objective = Objective(setting, fitted.layout, gmm, two_stage_weighting(setting))
    objective(fitted.theta)
    exact = bool((objective.state.residuals < gmm.iteration.tolerance).all())
    return objective.state.delta.copy() if exact and objective.status is Status.EVALUATED else None


def _ranges(offsets: Integers) -> list[tuple[int, int]]:
    return list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))
