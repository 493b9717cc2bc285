"""Importance sampling of agents at an estimate (Berry, Levinsohn and Pakes 1995), as PyBLP does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.economy.choices import inside_probabilities
from blpsim.estimate.gmm import GMM
from blpsim.estimate.inference import two_stage_weighting
from blpsim.estimate.objective import Objective
from blpsim.estimate.realizations import Fitted
from blpsim.model.panel import Agents, ProductSpecific
from blpsim.status import Status

_ROUNDING = 1e-10


class Sampler(Protocol):
    """What draws: NumPy's Generator, or a RandomState."""

    def uniform(self, *, size: int) -> NDArray[np.float64]:
        """Return numbers in [0, 1), (size,)."""

    def choice(self, a: Integers, *, size: int, replace: bool) -> Integers:
        """Return a random sample of a, (size,)."""


class Rule(NamedTuple):
    """How many agents are sampled in each market, and the constant of accepting candidates."""

    draws: int
    ar_constant: float


class TooFew(NamedTuple):
    """A market that accepted too few candidates."""

    market: int
    accepted: int


class _People(NamedTuple):
    """Candidates of one market, n of them, who were accepted."""

    nodes: Matrix
    """(M, n)."""
    demographics: Matrix
    """(D, n)."""
    probabilities: Vector
    """(n,) with which they buy."""
    specific: ProductSpecific | None

    @property
    def number(self) -> int:
        """How many they are."""
        return self.probabilities.size


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
    fitted: Fitted, candidates: Callable[[int], Agents | None], rule: Rule, sampler: Sampler
) -> ImportanceSample | TooFew:
    """Return a sample of candidates, accepted with the probability that they buy, over a constant.

    fitted      its delta, (N,), is that at which candidates choose
    candidates  returns draws from the population for 0, 1, ..., which are asked for until every market has
                accepted enough, or None when there are no more; their weights do not count
    """
    markets = fitted.setting.products.markets
    accepted: dict[int, _People] = {}
    sampled: dict[int, _People] = {}
    latest, number = fitted.setting.agents, 0
    while len(sampled) < markets:
        agents = candidates(number)
        if agents is None:
            short = min(set(range(markets)) - set(sampled))
            return TooFew(short, accepted[short].number if accepted else 0)
        demand = fitted._replace(setting=replace(fitted.setting, agents=agents)).demand
        missing = [market for market in range(markets) if market not in sampled]
        for market, probabilities in inside_probabilities(demand, missing):
            found = _accepted(agents, market, probabilities, (rule, sampler))
            accepted[market] = _joined([accepted[market], found]) if number else found
            if accepted[market].number >= rule.draws:
                sampled[market] = _sampled(accepted[market], rule.draws, sampler)
        latest, number = agents, number + 1
    counts = np.array([accepted[market].number for market in range(markets)])
    people = [sampled[market] for market in range(markets)]
    return ImportanceSample(agents=_weighted(fitted, people, latest), draws=rule.draws, accepted=counts)


def _accepted(agents: Agents, market: int, probabilities: Vector, how: tuple[Rule, Sampler]) -> _People:
    rule, sampler = how
    cutoffs = sampler.uniform(size=probabilities.size)
    taken = np.flatnonzero(cutoffs < probabilities / rule.ar_constant)
    places = agents.market_offsets[market] + taken
    nodes, demographics = agents.nodes[:, places], agents.demographics[:, places]
    specific = None if agents.specific is None else agents.specific.taken(places)
    return _People(nodes, demographics, probabilities[taken], specific)


def _joined(parts: Sequence[_People]) -> _People:
    nodes, demographics, probabilities, specific = zip(*parts, strict=True)
    known = [part for part in specific if part is not None]
    joined = ProductSpecific.joined(known) if known else None
    return _People(np.hstack(nodes), np.hstack(demographics), np.concatenate(probabilities), joined)


def _sampled(accepted: _People, draws: int, sampler: Sampler) -> _People:
    chosen = np.sort(sampler.choice(np.arange(accepted.number), size=draws, replace=False))
    nodes, demographics, probabilities, specific = accepted
    specific = None if specific is None else specific.taken(chosen)
    return _People(nodes[:, chosen], demographics[:, chosen], probabilities[chosen], specific)


def _weighted(fitted: Fitted, people: Sequence[_People], agents: Agents) -> Agents:
    """Return the people of each market as agents with weights that undo how they were sampled."""
    products, everybody = fitted.setting.products, _joined(people)
    bought = np.add.reduceat(products.shares, products.market_offsets[:-1])
    counts = np.array([each.number for each in people])
    return replace(
        agents,
        market_offsets=np.concatenate((np.zeros(1, np.int64), np.cumsum(counts))),
        nodes=np.ascontiguousarray(everybody.nodes),
        demographics=np.ascontiguousarray(everybody.demographics),
        weights=np.repeat(bought / counts, counts) / everybody.probabilities,
        specific=everybody.specific,
    )


def inverted_delta(fitted: Fitted, agents: Agents, gmm: GMM) -> Vector | None:
    """Return the mean utilities, (N,), at which other agents make the observed shares; None without any."""
    setting = replace(fitted.setting, agents=agents, resampled=None)
    macro = replace(gmm, micro_moments=(), micro_sample_covariances=None)
    objective = Objective(setting, fitted.layout, macro, two_stage_weighting(setting))
    objective(fitted.theta)
    exact = bool((objective.state.residuals < gmm.iteration.tolerance).all())
    return objective.delta if exact and objective.status is Status.EVALUATED else None
