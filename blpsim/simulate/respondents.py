"""Respondents of a survey, drawn with the probabilities that consumers make the choices it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np

from blpsim.arrays import Booleans, Integers, Matrix, Vector
from blpsim.economy.choices import Choices, choices_by_market
from blpsim.economy.dataset import AgentSource
from blpsim.economy.economy import Economy
from blpsim.economy.second_choices import first_choice_probabilities, second_choice_probabilities
from blpsim.model.integration import Integration
from blpsim.model.panel import Agents
from blpsim.streams import Streams

_AT_ONCE = 2_000_000
"""Numbers in the largest matrix of probabilities."""
_FEWEST = 200
_MOST_A_RESPONDENT = 2_000
"""Candidates for each respondent before the search is given up."""


class Weighing(Protocol):
    """How likely a survey is to have consumers, by who they are and what they choose.

    The weight of two choices is the product of what the methods return; 0 stands for the outside good, and j
    for the market's j-th product.
    """

    @property
    def second_choices(self) -> bool:
        """Whether the survey asks what is chosen when the first choice is no longer offered."""

    def groups(self, market: int) -> Integers | None:
        """Return which products of a market disappear together with a first choice, (J,); None: it alone."""

    def first(self, market: int, people: Agents) -> Matrix:
        """Return weights by first choice, (1 + J, n) or (1 + J, 1), of some people of a market."""

    def pairs(self, market: int, people: Agents, first: Integers, second: Integers) -> Vector:
        """Return weights by both choices, (n,), besides those by first choice."""


class Candidates(NamedTuple):
    """Consumers who might be respondents, C of them, and what they choose."""

    markets: Integers
    """(C,) places of their markets."""
    nodes: Matrix
    """(K2, C)."""
    demographics: Matrix
    """(D, C)."""
    first: Integers
    """(C,) 0 for the outside good, j for the market's j-th product."""
    second: Integers
    """(C,) the same; 0 throughout when nobody asks."""
    weights: Vector
    """(C,) how likely each is accepted, up to a factor."""

    def taken(self, rows: Integers) -> Candidates:
        """Return some of them, at these places."""
        return Candidates(
            self.markets[rows],
            self.nodes[:, rows],
            self.demographics[:, rows],
            self.first[rows],
            self.second[rows],
            self.weights[rows],
        )


class Place(NamedTuple):
    """One market of a survey, with I agents."""

    market: int
    choices: Choices
    agents: Agents
    """The market's alone."""
    scores: Matrix
    """(1 + J, I) probabilities of first choices times their weights."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fieldwork:
    """Whom a survey may ask, and where."""

    economy: Economy
    weighing: Weighing
    markets: Integers
    """(M,) places of the markets where the survey is, sorted."""
    role: str
    """Begins the names of the streams."""
    streams: Streams
    source: AgentSource | None = field(default=None, repr=False)
    """Draws people; None where respondents are among the agents whose choices make the shares."""

    def draw(self, numbers: int | Integers) -> Candidates | None:
        """Return respondents, sorted by market; None where next to nobody has a positive weight.

        numbers  of all markets together, each of which counts alike, or (M,) of each

        Candidates are drawn, with their choices, until enough are accepted, in proportion to their weights:
        with probabilities relative to the largest weight among them.
        """
        pooled = isinstance(numbers, int)
        wanted = np.atleast_1d(np.asarray(numbers, np.int64))
        masses = self._masses()
        if not (masses.any() if pooled else masses[wanted > 0].all()):
            return None
        stratum = np.zeros(self.economy.products.markets, np.int64)
        stratum[self.markets] = 0 if pooled else np.arange(self.markets.size)
        generator, pool = self.streams.generator(self.role), _Pool(stratum, wanted)
        most = 1 + _AT_ONCE // (1 + int(np.diff(self.economy.products.market_offsets).max()))
        while pool.is_open:
            size = np.minimum(pool.next_size(), most)
            counts = generator.multinomial(size[0], masses / masses.sum()) if pooled else size
            found = self._candidates(counts, generator, f"{self.role}/people {pool.rounds}")
            pool.add(found.taken(generator.permutation(found.first.size)), generator)
        return pool.respondents()

    def _masses(self) -> Vector:
        """Return how likely candidates are from each market, (M,), up to a factor."""
        if self.source is not None:
            return np.ones(self.markets.size)
        places = self._places(self.economy.agents)
        return np.array([place.choices.weights @ place.scores.sum(axis=0) for place in places])

    def _candidates(self, counts: Integers, generator: np.random.Generator, role: str) -> Candidates:
        """Return candidates, (M,) of each market, with their choices.

        role  begins the names of the streams of new people
        """
        source, agents = self.source, self.economy.agents
        if source is not None:
            agents = self._people(source, counts, role)
        found = []
        for place, number in zip(self._places(agents), counts.tolist(), strict=True):
            totals = place.scores.sum(axis=0)
            heard = np.arange(number)
            if source is None:
                heard = _places(totals * place.choices.weights, number, generator)
                totals = np.ones_like(totals)
            found.append(self._chosen(place, heard, totals, generator))
        return _joined(found)

    def _people(self, source: AgentSource, counts: Integers, role: str) -> Agents:
        """Return new people, (M,) in the survey's markets and nobody elsewhere."""
        rule, products = Integration("monte_carlo", max(int(counts.max()), 1)), self.economy.products
        drawn = source.draw_agents(self.economy.model, rule, products, self.streams, role)
        everywhere = np.zeros(products.markets, np.int64)
        everywhere[self.markets] = counts
        ends = np.append(0, np.cumsum(everywhere))
        rows = np.arange(ends[-1]) + np.repeat(drawn.market_offsets[:-1] - ends[:-1], everywhere)
        return _some(drawn, rows, ends)

    def _places(self, agents: Agents) -> Iterator[Place]:
        """Yield the survey's markets with these agents."""
        asked = set(self.markets.tolist())
        everywhere = choices_by_market(replace(self.economy, agents=agents).demand())
        for market, choices in enumerate(everywhere):
            if market in asked:
                rows = np.arange(*agents.market_offsets[market : market + 2])
                own = _some(agents, rows, np.array([0, rows.size]))
                weights = self.weighing.first(market, own)
                yield Place(market, choices, own, first_choice_probabilities(choices) * weights)

    def _chosen(
        self, place: Place, heard: Integers, totals: Vector, generator: np.random.Generator
    ) -> Candidates:
        """Return candidates with their choices.

        heard   (n,) their places among the market's agents
        totals  (I,) weights of these
        """
        market, people = place.market, _some(place.agents, heard, np.array([0, heard.size]))
        first = _rows(place.scores[:, heard], generator)
        second = np.zeros_like(first)
        if self.weighing.second_choices:
            groups, step = self.weighing.groups(market), 1 + _AT_ONCE // len(place.scores)
            for k in range(0, heard.size, step):
                those = (place.choices, heard[k : k + step], first[k : k + step], groups)
                second[k : k + step] = _rows(second_choice_probabilities(*those), generator)
        weights = totals[heard] * self.weighing.pairs(market, people, first, second)
        markets = np.full(heard.size, market)
        return Candidates(markets, people.nodes, people.demographics, first, second, weights)


class _Pool:
    """Candidates that were drawn so far, and who of them is accepted."""

    def __init__(self, stratum: Integers, wanted: Integers) -> None:
        """Begin with nobody.

        stratum  (T,) what a market's candidates are compared within
        wanted   (S,) how many respondents each stratum is to have
        """
        self._stratum, self._wanted = stratum, wanted
        self._found: list[Candidates] = []
        self._lots: list[Vector] = []
        self._accepted = np.zeros_like(wanted)
        self._tried = np.zeros_like(wanted)

    @property
    def rounds(self) -> int:
        """How often candidates were added."""
        return len(self._found)

    @property
    def is_open(self) -> bool:
        """Whether somebody is missing who might still be found."""
        missing = self._accepted < self._wanted
        exhausted = self._tried > _MOST_A_RESPONDENT * (self._wanted + _FEWEST)
        return bool(missing.any() and not (missing & exhausted).any())

    def next_size(self) -> Integers:
        """Return how many candidates of each stratum are likely to be enough, (S,)."""
        rate = np.maximum(self._accepted, 1) / np.maximum(self._tried, 1)
        missing = np.maximum(self._wanted - self._accepted, 0)
        return np.where(missing > 0, np.ceil(1.1 * missing / rate) + _FEWEST, 0).astype(np.int64)

    def add(self, found: Candidates, generator: np.random.Generator) -> None:
        """Take candidates, in random order, and draw lots for them."""
        self._found.append(found)
        self._lots.append(generator.random(found.first.size))
        codes, accepted, _ = self._compared()
        self._tried = np.bincount(codes, minlength=self._wanted.size)
        self._accepted = np.bincount(codes[accepted], minlength=self._wanted.size)

    def respondents(self) -> Candidates | None:
        """Return the first who were accepted, sorted by market; None where they are too few."""
        if (self._accepted < self._wanted).any():
            return None
        codes, accepted, candidates = self._compared()
        rows = np.flatnonzero(accepted)
        rows = rows[np.argsort(codes[rows], kind="stable")]
        starts = np.append(0, np.cumsum(self._accepted))[codes[rows]]
        chosen = candidates.taken(rows[np.arange(rows.size) - starts < self._wanted[codes[rows]]])
        return chosen.taken(np.argsort(chosen.markets, kind="stable"))

    def _compared(self) -> tuple[Integers, Booleans, Candidates]:
        """Return the candidates' strata, (C,), whether they are accepted, (C,), and themselves."""
        candidates, lots = _joined(self._found), np.concatenate(self._lots)
        codes, largest = self._stratum[candidates.markets], np.zeros(self._wanted.size)
        np.maximum.at(largest, codes, candidates.weights)
        return codes, candidates.weights > lots * largest[codes], candidates


def _joined(parts: Sequence[Candidates]) -> Candidates:
    markets, nodes, demographics, first, second, weights = zip(*parts, strict=True)
    return Candidates(
        np.concatenate(markets),
        np.concatenate(nodes, axis=1),
        np.concatenate(demographics, axis=1),
        np.concatenate(first),
        np.concatenate(second),
        np.concatenate(weights),
    )


def _some(agents: Agents, rows: Integers, offsets: Integers) -> Agents:
    """Return some agents by their places, with offsets of their markets."""
    return replace(
        agents,
        market_offsets=offsets,
        nodes=np.ascontiguousarray(agents.nodes[:, rows]),
        demographics=np.ascontiguousarray(agents.demographics[:, rows]),
        weights=agents.weights[rows],
        market_ids=None,
        specific=None if agents.specific is None else agents.specific.taken(rows),
    )


def _places(scores: Vector, number: int, generator: np.random.Generator) -> Integers:
    """Return places, (number,), drawn in proportion to scores, (I,)."""
    ends = np.cumsum(scores)
    places = np.searchsorted(ends, generator.random(number) * ends[-1], side="right")
    # Rounding may lead beyond the last one with a positive score.
    return np.asarray(np.minimum(places, np.searchsorted(ends, ends[-1])), np.int64)


def _rows(scores: Matrix, generator: np.random.Generator) -> Integers:
    """Return a row for each column, (n,), drawn in proportion to its scores, (A, n)."""
    ends = np.cumsum(scores, axis=0)
    rows = (ends <= generator.random(scores.shape[1]) * ends[-1]).sum(axis=0)
    return np.asarray(np.minimum(rows, (ends < ends[-1]).sum(axis=0)), np.int64)
