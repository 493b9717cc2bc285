"""Micro moments in estimation: their values, their derivatives, and their covariance.

A part's expectation is a total over another, v_p = Num_p / Den_d, and a moment is f(observed) - f(v).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from typing import Any, NamedTuple, cast

import numpy as np

from blpsim.arrays import Matrix, Nesting, Panel, State, Unknowns, Vector
from blpsim.errors import ConfigurationError
from blpsim.estimate.respondent_arrays import is_whole
from blpsim.estimate.respondents import Asked, make_surveyed
from blpsim.kernels.compile import machine_code
from blpsim.kernels.evaluation import FINE, NOT_FINITE
from blpsim.kernels.general.micro_objective import (
    differentiate_nested_micro,
    solve_nested_markets,
    sum_nested_respondents,
)
from blpsim.kernels.micro_objective import differentiate_micro, solve_markets, sum_respondents
from blpsim.model.panel import Agents, Products
from blpsim.model.surveys import MicroDataset, MicroMoment, MicroPart, Product

Evaluated = tuple[int, float, int, int, int]


class Kernels(NamedTuple):
    """Those of an engine."""

    solve: Callable[..., Any]
    differentiate: Callable[..., Any]
    sum: Callable[..., Any]


_PLAIN = Kernels(solve_markets, differentiate_micro, sum_respondents)
_NESTED = Kernels(solve_nested_markets, differentiate_nested_micro, sum_nested_respondents)


class Micro:
    """The micro moments of an objective, and what an evaluation leaves behind of them."""

    def __init__(
        self,
        moments: Sequence[MicroMoment],
        data: tuple[Products, Agents],
        kernels: tuple[Panel, Nesting | None],
    ) -> None:
        """Arrange arrays for kernels.

        Raises
        ------
        BlpsimError
            When surveys, parts or values do not fit the data.
        """
        self.moments = tuple(moments)
        self.parts = tuple(dict.fromkeys(part for moment in moments for part in moment.all_parts))
        self.datasets = _datasets(self.parts)
        self._data, (self._panel, self._nesting) = data, kernels
        self._kernels = _PLAIN if self._nesting is None else _NESTED
        self._places = [[self.parts.index(part) for part in moment.all_parts] for moment in self.moments]
        self._survey = np.array([self.datasets.index(part.dataset) for part in self.parts], np.int64)
        asked = [each for p, part in enumerate(self.parts) for each in _asked(part.dataset, (part,), p)]
        whole = [Asked(each, Product(), len(self.parts) + d) for d, each in enumerate(self.datasets)]
        totals = len(self.parts) + len(self.datasets)
        self.surveyed = make_surveyed([*asked, *whole], totals, len(self.moments), data, kernels)
        self.observed = np.array([_observed(moment) for moment in self.moments])
        self.values = np.full(len(self.moments), np.nan)
        self.gradients = np.zeros((len(self.moments), len(self.parts)))

    @property
    def part_values(self) -> Vector:
        """The parts' expectations, (P,), after an evaluation."""
        totals = self.surveyed.totals
        with np.errstate(all="ignore"):
            values: Vector = totals[: len(self.parts)] / totals[len(self.parts) :][self._survey]
        return values

    def evaluate(self, *arguments: object) -> Evaluated:
        """Return what a kernel of the objective returns, from the same arguments."""
        *given, rule = arguments
        state = cast(State, given[-2])
        kernel, bundled = self._kernels.solve, (*given[:3], *self._bundled(given[3:]))
        every = *bundled, rule, self.surveyed
        code, evaluations, failures = machine_code(kernel, every)(*every)
        if code != FINE:
            return code, 0.0, 0, evaluations, failures
        if not self._fill_slopes():
            return NOT_FINITE, 0.0, 0, evaluations, failures
        macro = state.moments.size - len(self.moments)
        state.moments[macro:] = state.weighted[macro:] = self.observed - self.values
        code, objective, clipped = self._differentiated(bundled, alone=False)
        return code, objective, clipped, evaluations, failures

    def _bundled(self, rooms: Sequence[Any]) -> tuple[Any, ...]:
        """Return the nesting, the state and the bench as kernels take them: in one, with a nesting."""
        return tuple(rooms) if self._nesting is None else (tuple(rooms),)

    def _differentiated(self, arguments: tuple[Any, ...], *, alone: bool) -> tuple[int, float, int]:
        every = *arguments, self.surveyed, alone
        found: tuple[int, float, int] = machine_code(self._kernels.differentiate, every)(*every)
        return found

    def _fill_slopes(self) -> bool:
        """Fill values, gradients and slopes by totals; return whether they are finite."""
        parts, number = self.part_values, len(self.parts)
        slopes, whole = self.surveyed.slopes, self.surveyed.totals[number:]
        for m, moment in enumerate(self.moments):
            places = self._places[m]
            with np.errstate(all="ignore"):
                self.values[m] = moment.at(parts[places])
                gradient = moment.gradient_at(parts[places])
            self.gradients[m] = 0.0
            np.add.at(self.gradients[m], places, gradient)
        if not (np.isfinite(self.values).all() and np.isfinite(self.gradients).all()):
            return False
        slopes[:, :number] = self.gradients / whole[self._survey]
        slopes[:, number:] = 0.0
        np.add.at(slopes.T[number:], self._survey, -(slopes[:, :number] * parts).T)
        return bool(np.isfinite(slopes).all())

    def jacobian(self, arguments: tuple[Any, ...], unknowns: Unknowns) -> Matrix:
        """Return the derivatives of the moments by theta, (MM, P), after an evaluation.

        arguments  what the kernel is called with, its rule left out
        """
        arguments = *arguments[:3], *self._bundled(arguments[3:])
        rows = np.empty((len(self.moments), unknowns.gradient.size))
        for m, row in enumerate(rows):
            self.surveyed.factors[:] = -self.surveyed.slopes[m]
            code, _, _ = self._differentiated(arguments, alone=True)
            row[:] = unknowns.gradient if code == FINE else np.nan
        return rows

    def covariance(self, rooms: tuple[Any, ...]) -> Matrix:
        """Return the covariance of the moments times N, (MM, MM), by the delta method, after an evaluation.

        rooms  the nesting where there is one, the state, and the bench

        Source: Conlon and Gortmaker (2025).
        """
        number = self._data[0].number
        pairs = [
            (p, q)
            for p, q in combinations_with_replacement(range(len(self.parts)), 2)
            if self._survey[p] == self._survey[q]
        ]
        asked = [
            each
            for place, (p, q) in enumerate(pairs)
            for each in _asked(self.parts[p].dataset, (self.parts[p], self.parts[q]), place)
        ]
        surveyed = make_surveyed(asked, len(pairs), 0, self._data, (self._panel, self._nesting))
        arguments = self._panel, *self._bundled(rooms), surveyed
        machine_code(self._kernels.sum, arguments)(*arguments)
        whole, means = self.surveyed.totals[len(self.parts) :], self.part_values
        between = np.zeros((len(self.parts), len(self.parts)))
        for (p, q), total in zip(pairs, surveyed.totals, strict=True):
            dataset = self.parts[p].dataset
            deviation = total / whole[self._survey[p]] - means[p] * means[q]
            between[p, q] = between[q, p] = deviation * number / dataset.observations
        covariance: Matrix = self.gradients @ between @ self.gradients.T
        return covariance


def _asked(dataset: MicroDataset, parts: tuple[MicroPart, ...], total: int) -> list[Asked]:
    """Return what is summed of the product of one or two parts."""
    if is_whole(dataset, parts):
        return [Asked(dataset, Product(), total, parts)]
    products = [Product()]
    for part in parts:
        products = [left * right for left in products for right in part.products]
    return [Asked(dataset, each, total) for each in products]


def _datasets(parts: Sequence[MicroPart]) -> tuple[MicroDataset, ...]:
    datasets = tuple(dict.fromkeys(part.dataset for part in parts))
    names = [dataset.name for dataset in datasets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        why = "surveys are told apart by their names"
        raise ConfigurationError("MicroDataset.name", twice, "a name a survey", why)
    return datasets


def _observed(moment: MicroMoment) -> float:
    if moment.value is None:
        why = "nothing else says what was observed"
        raise ConfigurationError(f"MicroMoment({moment.name!r}).value", None, "a number", why)
    return float(moment.value)
