"""Terms of micro data: arithmetic on columns of agents or products, read once and compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Vector
from blpsim.errors import ConfigurationError, DataError, FormulaError
from blpsim.model.expressions import Data, Expression, evaluator, parse_expression
from blpsim.model.panel import Agents

ColumnFunction: TypeAlias = Callable[[Mapping[str, NDArray[Any]]], ArrayLike]
"""Maps columns by name to an element a row."""
Term: TypeAlias = str | ColumnFunction

ONE = "1"


@dataclass(frozen=True, slots=True)
class Multiplied:
    """A term that is the product of others."""

    terms: tuple[Term, ...]

    def __call__(self, data: Data) -> Vector:
        """Return the product of the terms' values, an element a row."""
        number = len(next(iter(data.values())))
        product = np.ones(number)
        for term in self.terms:
            product *= term_values(term, data, number, "Product")
        return product


def multiplied(terms: tuple[Term, ...]) -> Term:
    """Return the product of terms, which is one of them where the others are "1"."""
    kept = tuple(term for term in terms if term != ONE)
    return (kept[0] if kept else ONE) if len(kept) < 2 else Multiplied(kept)


def agent_columns(agents: Agents) -> dict[str, NDArray[Any]]:
    """Return the columns that agents' terms are made of, (I,) each: demographics by label, and nodes0, .."""
    columns: dict[str, NDArray[Any]] = {f"nodes{k}": row for k, row in enumerate(agents.nodes)}
    columns |= dict(zip(agents.demographic_names, agents.demographics, strict=False))
    columns["weights"] = agents.weights
    return columns


def term_values(term: Term, data: Data, number: int, field: str) -> Vector:
    """Return a term at columns of data, (number,).

    A text that is a column's whole name means this column, else arithmetic on columns.

    Raises
    ------
    FormulaError
        When a text cannot be read, or names a column that is not there or not numeric.
    DataError
        When values are not finite, or a function does not return one a row.
    """
    if isinstance(term, str):
        found = _of_text(term, data, field)
    else:
        found = np.asarray(term(data), np.float64)
        if found.shape not in ((), (number,)):
            why = "a term has a value a row"
            raise DataError(field, f"shape {found.shape}", f"shape ({number},)", why)
    values = np.empty(number)
    values[:] = found
    if not np.isfinite(values).all():
        got = float(values[~np.isfinite(values)][0])
        raise DataError(field, got, "finite values", f"averages of '{term}' are taken")
    return values


def _of_text(term: str, data: Data, field: str) -> Vector:
    if term in data:
        expression: Expression = None
        missing, needed = [], [term]
    else:
        expression = _parsed(term, field)
        needed = sorted(symbol.name for symbol in expression.free_symbols)
        missing = [name for name in needed if name not in data]
    if missing:
        expected = f"columns among {', '.join(sorted(data))}"
        raise FormulaError(field, term, expected, f"there is no '{missing[0]}'")
    text = [name for name in needed if data[name].dtype.kind not in "biuf"]
    if text:
        raise FormulaError(field, term, "arithmetic on numeric columns", f"'{text[0]}' is not numeric")
    return np.asarray(data[term] if expression is None else evaluator(expression)(data), np.float64)


@cache
def _parsed(term: str, field: str) -> Expression:
    try:
        return parse_expression(term)
    except (SyntaxError, ValueError) as error:
        expected = "arithmetic on columns, or a function of them"
        raise FormulaError(field, term, expected, str(error)) from error


def check_term(term: Term, field: str) -> None:
    """Refuse a text that cannot be read whatever the columns are."""
    if isinstance(term, str):
        if not term.strip():
            raise ConfigurationError(field, term, 'arithmetic on columns, or "1"', "nothing has no value")
        _parsed(term, field)
