"""Formulas, read and compiled once; binding them to data gives their columns."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from blpsim.errors import FormulaError
from blpsim.model.coding import choose_codings
from blpsim.model.columns import Column, Columns, Indicator, make_columns
from blpsim.model.expressions import Data, Expression, parse_expression, symbol
from blpsim.model.terms import INTERCEPT, Term, parse_terms


class Factor(NamedTuple):
    """A factor of a term: an expression, unless it is categorical."""

    text: str
    expression: Expression
    is_categorical: bool

    @property
    def variables(self) -> frozenset[str]:
        """The names of the data that the factor needs."""
        return frozenset(variable.name for variable in self.expression.free_symbols)

    @property
    def is_variable(self) -> bool:
        """Whether the factor is just a column of the data."""
        return bool(self.expression.is_Symbol)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Formula:
    """A formula that has been read; ``bind`` gives its categorical variables their levels."""

    source: str
    """The formula as written."""
    field: str
    """Where it stands, for error messages, as ``Model.linear``."""
    absorbed: bool
    """Whether fixed effects absorb the intercept."""
    terms: tuple[tuple[Factor, ...], ...]
    """The factors of each term, in the order written."""
    variables: frozenset[str]
    """The names of the data that the formula needs."""
    marked: frozenset[str]
    """Those that are categorical whatever their type."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle needs: the source, which is read again."""
        return compile_formula, (self.source, self.field, self.absorbed)

    def bind(self, data: Data) -> Columns:
        """Return the formula's columns, with the levels that categorical variables have in the data.

        As with PyBLP, a column that is not numeric is categorical without being wrapped in ``C()``.

        Raises
        ------
        FormulaError
            When a column does not exist, or arithmetic is asked of one that is not numeric.
        """
        categorical = frozenset(name for name in self.variables if not self._is_numeric(name, data))
        if not categorical and not self.marked:
            return _bound(self)
        levels = {name: _levels(data[name]) for name in sorted(categorical | self.marked)}
        return make_columns(tuple(self._columns(categorical, levels)))

    @property
    def numeric_names(self) -> tuple[str, ...]:
        """The labels of the columns when no variable is categorical.

        Raises
        ------
        FormulaError
            When one is marked by ``C()``, so that labels depend on data.
        """
        if self.marked:
            why = f"the levels of '{min(self.marked)}' are known only from data"
            raise FormulaError(self.field, self.source, "numeric variables", why)
        return _bound(self).names

    def _is_numeric(self, name: str, data: Data) -> bool:
        if name not in data:
            expected = f"columns among {', '.join(sorted(data))}"
            raise FormulaError(self.field, self.source, expected, f"there is no '{name}'")
        return data[name].dtype.kind in "iuf"

    def _columns(self, categorical: frozenset[str], levels: dict[str, list[Any]]) -> Iterator[Column]:
        split = [([], []) if not term else self._split(term, categorical) for term in self.terms]
        shapes = [(frozenset(f.text for f in numeric), tuple(c)) for numeric, c in split]
        prefix = [(frozenset[str](), ())] if self.absorbed else []
        codings = choose_codings([*prefix, *shapes])[len(prefix) :]
        for (numeric, names), alternatives in zip(split, codings, strict=True):
            expression = sp.Mul(*[factor.expression for factor in numeric])
            for coding in alternatives:
                kept = [name for name in reversed(names) if name in coding]
                choices = [[Indicator(n, level) for level in levels[n][not coding[n] :]] for n in kept]
                for indicators in product(*choices):
                    yield Column(expression, tuple(reversed(indicators)))

    def _split(self, term: tuple[Factor, ...], categorical: frozenset[str]) -> tuple[list[Factor], list[str]]:
        numeric: list[Factor] = []
        names: list[str] = []
        for factor in term:
            if factor.is_categorical or (factor.is_variable and factor.expression.name in categorical):
                names.append(factor.expression.name)
            elif bad := categorical & factor.variables:
                why = f"'{min(bad)}' is not numeric, so '{factor.text}' has no value"
                raise FormulaError(self.field, self.source, "arithmetic on numeric columns", why)
            else:
                numeric.append(factor)
        return numeric, list(dict.fromkeys(names))


@cache
def _bound(formula: Formula) -> Columns:
    return make_columns(tuple(formula._columns(frozenset(), {})))


def _levels(values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind == "O":
        return sorted(set(values.tolist()), key=str)
    levels: list[Any] = np.unique(values).tolist()
    return levels


@cache
def compile_formula(source: str, field: str, absorbed: bool = False) -> Formula:
    """Return the formula, read and checked as far as that is possible without data.

    source    as ``"1 + x + prices + log(hpwt) + C(region)"``
    field     where it stands, for error messages
    absorbed  whether fixed effects absorb the intercept, so that it is dropped

    Raises
    ------
    FormulaError
        When the formula cannot be read or has no terms left.
    """
    terms = [term for term in parse_terms(source, field) if not absorbed or term != INTERCEPT]
    if not terms:
        raise FormulaError(field, source, "at least one term", "the fixed effects absorb the intercept")
    factors = tuple(_factors(term, source, field) for term in terms)
    for term in factors:
        if term and not any(factor.expression.free_symbols for factor in term):
            raise FormulaError(field, source, "columns that vary", f"'{term[0].text}' is a second constant")
    every = [factor for term in factors for factor in term]
    return Formula(
        source=source,
        field=field,
        absorbed=absorbed,
        terms=factors,
        variables=frozenset(name for factor in every for name in factor.variables),
        marked=frozenset(factor.expression.name for factor in every if factor.is_categorical),
    )


def _factors(term: Term, source: str, field: str) -> tuple[Factor, ...]:
    try:
        return tuple(_factor(text) for text in term)
    except ValueError as error:
        raise FormulaError(field, source, "a formula of columns and arithmetic in I()", str(error)) from error


def _factor(text: str) -> Factor:
    node = ast.parse(text, mode="eval").body
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "C":
        if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Name):
            raise ValueError(f"'{text}' must mark a single column as categorical")
        return Factor(text, symbol(node.args[0].id), is_categorical=True)
    return Factor(text, parse_expression(text), is_categorical=False)
