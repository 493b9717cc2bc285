"""Columns of matrices, compiled to functions of arrays: their values and their price derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from blpsim.arrays import Booleans, Matrix
from blpsim.model.expressions import Data, Evaluator, Expression, derivative, evaluator, symbol

PRICES = "prices"
SHARES = "shares"


class Indicator(NamedTuple):
    """Whether a categorical variable is at one of its levels."""

    variable: str
    level: Any

    @property
    def name(self) -> str:
        """The label, as ``region['north']`` or ``year[1990]``."""
        return f"{self.variable}[{self.level!r}]"


class Column(NamedTuple):
    """One column of a matrix: an expression times indicators."""

    expression: Expression
    indicators: tuple[Indicator, ...]

    @property
    def name(self) -> str:
        """PyBLP's label: ``1``, ``prices``, ``log(hpwt)``, ``prices*x``, ``region['north']*x``."""
        symbols = [symbol(indicator.name) for indicator in self.indicators]
        return str(sp.Mul(self.expression, *symbols))

    def differentiated(self, variable: str) -> Column:
        """Return the column of derivatives with respect to one of its variables."""
        return self._replace(expression=derivative(self.expression, variable))

    def evaluator(self) -> Evaluator:
        """Return the function of data that fills the column."""
        value = evaluator(self.expression)
        if not self.indicators:
            return value
        indicators = self.indicators

        def masked(data: Data) -> NDArray[np.float64]:
            mask = np.logical_and.reduce([data[variable] == level for variable, level in indicators])
            return np.where(mask, value(data), 0.0)

        return masked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """The columns of a formula whose categorical variables have their levels."""

    names: tuple[str, ...]
    """(K,) PyBLP's labels, in the formula's order."""
    variables: frozenset[str]
    """The data that the columns are made of."""
    depends_on_prices: Booleans
    """(K,)"""
    is_affine_in_prices: Booleans
    """(K,) whether the second derivative is zero everywhere."""
    depends_on_shares: Booleans
    """(K,)"""
    columns: tuple[Column, ...] = field(repr=False)
    _fill: tuple[tuple[tuple[int, Evaluator], ...], ...] = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle needs: the columns, since compiled functions are made again."""
        return make_columns, (self.columns,)

    def values(self, data: Data) -> Matrix:
        """Return the columns, (N, K), at arrays of length N by name."""
        return self._filled(0, data)

    def price_derivative(self, data: Data) -> Matrix:
        """Return the derivatives of the columns with respect to the price, (N, K)."""
        return self._filled(1, data)

    def price_curvature(self, data: Data) -> Matrix:
        """Return the second derivatives of the columns with respect to the price, (N, K)."""
        return self._filled(2, data)

    def share_derivative(self, data: Data) -> Matrix:
        """Return the derivatives of the columns with respect to the product's share, (N, K)."""
        derivative = np.zeros((len(data[SHARES]), len(self.names)))
        for k in np.flatnonzero(self.depends_on_shares):
            derivative[:, k] = self.columns[k].differentiated(SHARES).evaluator()(data)
        return derivative

    def _filled(self, order: int, data: Data) -> Matrix:
        fill, shape = self._fill[order], (len(next(iter(data.values()))), len(self.names))
        matrix = np.empty(shape) if len(fill) == shape[1] else np.zeros(shape)
        for k, evaluate in fill:
            matrix[:, k] = evaluate(data)
        return matrix


def make_columns(columns: tuple[Column, ...] = ()) -> Columns:
    """Return the compiled columns; none of them make matrices (N, 0)."""
    first = [column.differentiated(PRICES) for column in columns]
    second = [column.differentiated(PRICES) for column in first]
    depends = np.array([_is_nonzero(column) for column in first], np.bool_)
    curved = np.array([_is_nonzero(column) for column in second], np.bool_)
    variables = {indicator.variable for column in columns for indicator in column.indicators}
    variables |= {variable.name for column in columns for variable in column.expression.free_symbols}
    return Columns(
        names=tuple(column.name for column in columns),
        variables=frozenset(variables),
        depends_on_prices=depends,
        is_affine_in_prices=~curved,
        depends_on_shares=np.array([_has_shares(column) for column in columns], np.bool_),
        columns=columns,
        _fill=tuple(_compiled(group) for group in (columns, first, second)),
    )


def _is_nonzero(column: Column) -> bool:
    return not column.expression.is_zero


def _has_shares(column: Column) -> bool:
    return symbol(SHARES) in column.expression.free_symbols


def _compiled(columns: Sequence[Column]) -> tuple[tuple[int, Evaluator], ...]:
    return tuple((k, column.evaluator()) for k, column in enumerate(columns) if _is_nonzero(column))


NO_COLUMNS = make_columns()
"""What a part that a model lacks has."""
