"""Who answered a survey, what they chose, and averages of what they said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.economy.micro_arrays import asked, chosen_values
from blpsim.errors import ConfigurationError
from blpsim.model.panel import Agents, Products
from blpsim.model.survey_terms import Term, agent_columns, term_values
from blpsim.model.surveys import MicroDataset, MicroMoment, MicroPart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Respondents:
    """The respondents of one survey, N_d of them, sorted by market."""

    survey: MicroDataset
    products: Products = field(repr=False)
    """Those that were chosen from."""
    people: Agents = field(repr=False)
    """The respondents as agents of their markets, with demographics as they were reported."""
    first: Integers = field(repr=False)
    """(N_d,) first choices: 0 is the outside good, j the market's j-th product in internal order."""
    second: Integers | None = field(default=None, repr=False)
    """(N_d,) what they would choose without it, alike; None when nobody asked."""

    @property
    def number(self) -> int:
        """N_d, how many answered."""
        return self.first.size

    @property
    def markets(self) -> Integers:
        """The place of each respondent's market, (N_d,)."""
        return np.repeat(np.arange(self.products.markets), np.diff(self.people.market_offsets))

    def frame(self) -> pd.DataFrame:
        """Return the micro data, a row a respondent.

        ``choice_indices`` are 0 for the outside good and j for the market's j-th product; ``choices`` are
        rows of the data frame of the economy's products, -1 for the outside good. With second choices there
        are ``second_`` columns of both.
        """
        names = self.products.columns["market_ids"][self.products.market_offsets[:-1]]
        columns: dict[str, NDArray[Any]] = {"market_ids": names[self.markets]}
        columns |= dict(zip(self.people.demographic_names, self.people.demographics, strict=True))
        for prefix, chosen in (("", self.first), ("second_", self.second)):
            if chosen is not None:
                columns |= {f"{prefix}choice_indices": chosen, f"{prefix}choices": self._user_rows(chosen)}
        return pd.DataFrame(columns)

    def values(self, part: MicroPart) -> Vector:
        """Return what a part averages, a value a respondent, (N_d,).

        Raises
        ------
        FormulaError
            When a term names what there is not.
        DataError
            When values are not finite.
        """
        self._check(part)
        if callable(part.values):
            return self._of_function(part)
        agents, total = agent_columns(self.people), np.zeros(self.number)
        for product in part.products:
            outside = product.outside
            value = term_values(product.agent, agents, self.number, f"MicroPart({part.name!r})")
            value = value * self._chosen(product.first, outside[0], self.first, part.name)
            if self.second is not None:
                value = value * self._chosen(product.second, outside[1], self.second, part.name)
            total += value
        return total

    def averages(self, parts: Sequence[MicroPart]) -> Vector:
        """Return the averages of parts over respondents, (P,); raises what ``values`` does."""
        return np.array([self.values(part).mean() for part in parts], np.float64)

    def covariances(self, parts: Sequence[MicroPart]) -> Matrix:
        """Return the covariances of these averages that a sample of such respondents has, (P, P)."""
        values = np.array([self.values(part) for part in parts])
        return np.atleast_2d(np.cov(values, bias=True)) / self.number

    def _chosen(self, term: Term, outside: float, choices: Integers, name: str) -> Vector:
        """Return a term of products at choices, (N_d,)."""
        values = term_values(term, self.products.columns, self.products.number, f"MicroPart({name!r})")
        rows = self.products.market_offsets[self.markets] + np.maximum(choices - 1, 0)
        return np.where(choices == 0, outside, values[rows])

    def _of_function(self, part: MicroPart) -> Vector:
        values, field = np.empty(self.number), f"MicroPart({part.name!r}).values"
        function = part.values
        for market, ends in enumerate(pairwise(self.people.market_offsets)):
            rows = slice(*ends)
            chosen = self.first[rows], None if self.second is None else self.second[rows]
            if chosen[0].size and callable(function):
                of = asked(self.products, market, self._of_market(rows))
                values[rows] = chosen_values(function, of, chosen, field)
        return values

    def _of_market(self, rows: slice) -> Agents:
        people, number = self.people, rows.stop - rows.start
        return replace(
            people,
            market_offsets=np.array([0, number]),
            nodes=people.nodes[:, rows],
            demographics=people.demographics[:, rows],
            weights=people.weights[rows],
        )

    def _user_rows(self, choices: Integers) -> Integers:
        rows = self.products.market_offsets[self.markets] + np.maximum(choices - 1, 0)
        rows = rows if self.products.order is None else self.products.order[rows]
        return np.where(choices == 0, -1, rows)

    def _check(self, part: MicroPart) -> None:
        if part.dataset.second_choices and self.second is None:
            why = f"respondents of the survey {self.survey.name!r} said what they chose first alone"
            raise ConfigurationError(
                f"MicroPart({part.name!r}).dataset", part.dataset.name, "first choices", why
            )


class Observed(NamedTuple):
    """Values of micro moments in the data."""

    values: Vector
    """(M,)."""
    covariances: Matrix
    """(M, M) that they have from sample to sample; zero for values that were given."""


def observed(moments: Sequence[MicroMoment], surveys: Mapping[str, Respondents]) -> Observed:
    """Return values of micro moments as respondents' averages have them, but those that are given.

    Covariances are by the delta method, and zero between surveys, which are independent.

    Raises
    ------
    ConfigurationError
        When there is no survey of a name, or it did not ask for second choices.
    FormulaError, DataError
        As ``Respondents.values``.
    """
    parts = list(dict.fromkeys(part for each in moments for part in each.all_parts if each.value is None))
    averages, between = np.zeros(len(parts)), np.zeros((len(parts), len(parts)))
    for name in dict.fromkeys(part.dataset.name for part in parts):
        if name not in surveys:
            expected, why = f"one of {', '.join(surveys) or 'no survey'}", "its respondents are asked"
            raise ConfigurationError("MicroMoment.value", f"None, of the survey {name!r}", expected, why)
        places = [k for k, part in enumerate(parts) if part.dataset.name == name]
        own = [parts[k] for k in places]
        averages[places] = surveys[name].averages(own)
        between[np.ix_(places, places)] = surveys[name].covariances(own)
    values, slopes = np.zeros(len(moments)), np.zeros((len(moments), len(parts)))
    for m, moment in enumerate(moments):
        if moment.value is not None:
            values[m] = moment.value
            continue
        places = [parts.index(part) for part in moment.all_parts]
        values[m] = moment.at(averages[places])
        np.add.at(slopes[m], places, moment.gradient_at(averages[places]))
    return Observed(values, slopes @ between @ slopes.T)
