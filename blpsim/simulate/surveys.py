"""Surveys of a scenario's consumers: whom they draw, and how far answers are the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.checks import check, check_count, check_fields
from blpsim.economy.dataset import Dataset
from blpsim.economy.micro_arrays import asked, chosen_values, first_array
from blpsim.economy.respondents import Respondents
from blpsim.economy.second_choices import check_groups
from blpsim.errors import ConfigurationError, DataError
from blpsim.model.expressions import parse_expression
from blpsim.model.model import Model
from blpsim.model.nests import nest_blocks
from blpsim.model.panel import Agents, Products
from blpsim.model.survey_terms import check_term, term_values
from blpsim.model.surveys import Inside, MicroDataset
from blpsim.model.tables import group_codes
from blpsim.simulate.distributions import Distribution, check_distribution
from blpsim.simulate.respondents import Candidates, Fieldwork
from blpsim.status import Status
from blpsim.streams import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Misreport:
    """How a demographic is reported: by a formula, with noise, in bins, in this order."""

    formula: str | None = None
    """Arithmetic on the true demographics, as ``"0.8 * income"``; None for the demographic itself."""
    noise: Distribution | None = None
    """What is added, drawn anew for every respondent."""
    edges: tuple[float, ...] | None = None
    """Where bins begin and end, in increasing order: K of them make K + 1 bins, the outer ones open."""
    values: tuple[float, ...] | None = None
    """What is reported in each bin, K + 1 numbers; None for the middle of inner bins, and for the edge of
    outer ones: answers are coded at the bottom and at the top."""

    def __post_init__(self) -> None:
        """Refuse what nobody can report."""
        check_fields(self)
        if self.formula is not None:
            check_term(self.formula, "Misreport.formula")
        if self.noise is not None:
            check_distribution("Misreport.noise", self.noise)
        if self.formula is None and self.noise is None and self.edges is None:
            why = "else everybody reports the truth"
            raise ConfigurationError("Misreport", "nothing", "a formula, noise, or edges", why)
        if self.edges is not None and (
            not self.edges or not np.isfinite(self.edges).all() or (np.diff(self.edges) <= 0).any()
        ):
            why = "bins are between them"
            raise ConfigurationError("Misreport.edges", self.edges, "finite numbers in increasing order", why)
        bins = 0 if self.edges is None else len(self.edges) + 1
        if self.values is not None and (len(self.values) != bins or not np.isfinite(self.values).all()):
            why = "one is reported in each bin"
            raise ConfigurationError("Misreport.values", self.values, f"{bins} finite numbers", why)

    def reported(self, name: str, truth: Mapping[str, Vector], generator: np.random.Generator) -> Vector:
        """Return what respondents say of a demographic, (n,), given all true ones by name, (n,) each."""
        said = truth[name]
        if self.formula is not None:
            said = term_values(self.formula, truth, said.size, "Misreport.formula")
        if self.noise is not None:
            said = said + self.noise.draw(generator, said.size)
        if self.edges is None:
            return said
        edges = np.array(self.edges, np.float64)
        middles = np.concatenate((edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]))
        values = middles if self.values is None else np.array(self.values, np.float64)
        return np.asarray(values[np.searchsorted(edges, said, side="right")], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How a survey is done in the datasets of a scenario.

    A ``MicroDataset`` in ``Scenario.surveys`` stands for its survey with all defaults.
    """

    dataset: MicroDataset
    """Whom it asks, and about what."""
    respondents: Literal["population", "consumers"] = "population"
    """Who may be drawn:

    population  new people for every respondent, from the distribution that consumers are drawn from, with
                choice probabilities at the prices and mean utilities of the equilibrium. Errors of averages
                are those of independent respondents; shares, whose consumers are few, may say a bit else
    consumers   the very agents whose choices make the shares, as PyBLP's ``simulate_micro_data``: answers
                agree with shares as they do for an estimator with ``integration="generator"``, and as they
                should where agents are a population that was given. For other estimators, averages have
                errors of a finite population besides, which standard errors do not know of
    """
    numbers: tuple[int, ...] | None = None
    """Respondents of each of the survey's markets; None where each respondent's market is drawn, too, in
    proportion to its survey weights. An estimator's survey weights must reflect given numbers."""
    reports: Mapping[str, Misreport] = field(default_factory=dict)
    """How demographics are reported, by their labels; others truly. Respondents are drawn by the truth."""

    def __post_init__(self) -> None:
        """Refuse numbers that are not those of the survey."""
        check_fields(self)
        check("Survey.reports", self.reports, Mapping[str, Misreport])
        if self.numbers is None:
            return
        for number in self.numbers:
            check_count("Survey.numbers", number, "respondents are counted", 0)
        if sum(self.numbers) != self.dataset.observations:
            why = "the survey has so many respondents"
            expected = f"a sum of {self.dataset.observations}"
            raise ConfigurationError("Survey.numbers", sum(self.numbers), expected, why)

    @property
    def name(self) -> str:
        """The survey's name."""
        return self.dataset.name

    def check(self, model: Model, products: Products, labels: tuple[str, ...], weights: Vector) -> None:
        """Refuse a survey that cannot be done.

        products  those of some dataset of the scenario
        labels    of the model's demographics
        weights   (I,) of consumers whose choices make the shares

        Raises
        ------
        ConfigurationError
            For markets, columns and demographics that there are not.
        """
        markets = self.markets(products)
        if self.numbers is not None and len(self.numbers) != markets.size:
            expected, why = f"{markets.size} numbers", "there is one for each market of the survey"
            raise ConfigurationError("Survey.numbers", self.numbers, expected, why)
        unknown = [name for name in self.reports if name not in labels]
        if unknown:
            expected = f"demographics among {', '.join(labels) or 'none'}"
            raise ConfigurationError("Survey.reports", unknown[0], expected, "the model has no other")
        if self.respondents == "consumers" and (weights < 0).any():
            why = "consumers have weights below zero, which are no probabilities"
            raise ConfigurationError("Survey.respondents", "consumers", "population", why)
        without = self.dataset.without
        if without is not None and without not in products.columns:
            expected = f"a column among {', '.join(sorted(products.columns))}"
            raise ConfigurationError("MicroDataset.without", without, expected, "it says what is removed")
        self._check_groups(model, products)

    def markets(self, products: Products) -> Integers:
        """Return the places of the survey's markets, (M,), sorted."""
        names = products.columns["market_ids"][products.market_offsets[:-1]].tolist()
        given = self.dataset.markets
        if given is None:
            return np.arange(len(names))
        missing = [name for name in given if name not in names]
        if missing:
            why = "its people are asked"
            raise ConfigurationError("MicroDataset.markets", missing[0], "a market of the dataset", why)
        return np.array(sorted(names.index(name) for name in given), np.int64)

    def done(self, dataset: Dataset, streams: Streams) -> Respondents | None:
        """Return the respondents of a dataset with an equilibrium; None where they are not found."""
        economy, role = dataset.economy, f"surveys/{self.name}"
        self._check_groups(economy.model, economy.products)
        fresh = self.respondents == "population" and economy.model.nonlinear is not None
        work = Fieldwork(
            economy=economy,
            weighing=SurveyWeights(self.dataset, economy.products),
            markets=self.markets(economy.products),
            role=role,
            streams=streams,
            source=dataset.source if fresh else None,
        )
        numbers = self.dataset.observations if self.numbers is None else np.array(self.numbers)
        found = work.draw(numbers)
        if found is None:
            return None
        names = economy.agents.demographic_names
        truth = dict(zip(names, found.demographics, strict=True))
        said = {
            name: how.reported(name, truth, streams.generator(f"{role}/reports/{name}"))
            for name, how in self.reports.items()
        }
        return _respondents(
            self.dataset, economy.products, found, _with_derived({**truth, **said}, set(said))
        )

    def _check_groups(self, model: Model, products: Products) -> None:
        without = self.dataset.without
        if without is None or model.nests is None:
            return
        nests, groups = nest_blocks(model, products).nests, group_codes(products.columns[without])[0]
        for start, stop in pairwise(products.market_offsets):
            check_groups(nests[start:stop], groups[start:stop], without)


AnySurvey: TypeAlias = MicroDataset | Survey


def read_surveys(given: tuple[AnySurvey, ...]) -> tuple[Survey, ...]:
    """Return surveys, those with all defaults made of what they ask.

    Raises
    ------
    ConfigurationError
        For two of one name.
    """
    check("Scenario.surveys", given, tuple[AnySurvey, ...])
    surveys = tuple(each if isinstance(each, Survey) else Survey(dataset=each) for each in given)
    names = [survey.name for survey in surveys]
    if len(set(names)) < len(names):
        raise ConfigurationError("Scenario.surveys", names, "each name once", "respondents go by it")
    return surveys


def surveyed(dataset: Dataset, surveys: tuple[Survey, ...], streams: Streams) -> Dataset:
    """Return a dataset with its surveys done; one that nobody estimates on as it is."""
    if not surveys or not dataset.status.is_usable:
        return dataset
    found = {survey.name: survey.done(dataset, streams) for survey in surveys}
    answered = {name: each for name, each in found.items() if each is not None}
    status = dataset.status if len(answered) == len(found) else Status.NO_RESPONDENTS
    return replace(dataset, surveys=answered, status=status)


@dataclass(frozen=True, slots=True)
class SurveyWeights:
    """Survey weights of a micro dataset, as those who draw respondents ask for them."""

    dataset: MicroDataset
    products: Products

    @property
    def second_choices(self) -> bool:
        """Whether the survey asks for second choices."""
        return self.dataset.second_choices

    def groups(self, market: int) -> Integers | None:
        """Return which products disappear together, (J,)."""
        if self.dataset.without is None:
            return None
        return group_codes(self._column(self.dataset.without, market))[0]

    def first(self, market: int, people: Agents) -> Matrix:
        """Return weights by first choice, (1 + J, n) or (1 + J, 1)."""
        weights = self.dataset.weights
        if callable(weights) and not self.second_choices:
            array = first_array(weights, asked(self.products, market, people), self._field)
            self._check(array)
            return array
        ones = np.ones((1 + self._column("market_ids", market).size, 1))
        if isinstance(weights, Inside):
            ones[0] = 0.0
        return ones

    def pairs(self, market: int, people: Agents, first: Integers, second: Integers) -> Vector:
        """Return weights by both choices besides, (n,)."""
        weights = self.dataset.weights
        if not self.second_choices:
            return np.ones(first.size)
        if callable(weights):
            values = chosen_values(
                weights, asked(self.products, market, people), (first, second), self._field
            )
            self._check(values)
            return values
        inside = isinstance(weights, Inside) and not weights.second_outside
        return np.where(inside & (second == 0), 0.0, 1.0)

    @property
    def _field(self) -> str:
        return f"MicroDataset({self.dataset.name!r}).weights"

    def _column(self, name: str, market: int) -> NDArray[Any]:
        return self.products.columns[name][slice(*self.products.market_offsets[market : market + 2])]

    def _check(self, weights: NDArray[np.float64]) -> None:
        if (weights < 0).any():
            raise DataError(self._field, float(weights.min()), "0 or more", "they are probabilities, scaled")


def _with_derived(said: dict[str, Vector], reported: set[str]) -> dict[str, Vector]:
    """Return what is said; demographics made of others, as ``income**2``, follow what is said of these."""
    for name in [name for name in said if name not in reported]:
        try:
            needed = {symbol.name for symbol in parse_expression(name).free_symbols}
        except (SyntaxError, ValueError):
            continue
        if needed & reported and needed <= set(said) and needed != {name}:
            said[name] = term_values(name, {key: said[key] for key in needed}, said[name].size, name)
    return said


def _respondents(
    dataset: MicroDataset, products: Products, found: Candidates, said: Mapping[str, Vector]
) -> Respondents:
    counts = np.bincount(found.markets, minlength=products.markets)
    demographics = np.array(list(said.values()), np.float64).reshape(len(said), found.first.size)
    people = Agents(
        market_offsets=np.append(0, np.cumsum(counts)),
        nodes=found.nodes,
        demographics=demographics,
        weights=np.ones(found.first.size),
        demographic_names=tuple(said),
    )
    second = found.second if dataset.second_choices else None
    return Respondents(survey=dataset, products=products, people=people, first=found.first, second=second)
