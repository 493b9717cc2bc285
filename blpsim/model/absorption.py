"""Fixed effects: read from formulas, and taken out of matrices."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix
from blpsim.errors import DataError, FormulaError
from blpsim.model.expressions import Data
from blpsim.model.formula import Formula, compile_formula


@cache
def compile_absorption(source: str, where: str) -> Formula:
    """Return the formula of fixed effects, as ``"C(a) + C(b):C(c)"``, whose intercept means nothing.

    Raises
    ------
    FormulaError
        When a term is not made of categorical variables.
    """
    formula = compile_formula(source, where, absorbed=True)
    for factor in (factor for term in formula.terms for factor in term):
        if not (factor.is_categorical or factor.is_variable):
            why = f"'{factor.text}' is not categorical, so it has no fixed effects"
            raise FormulaError(where, source, "terms such as C(product_ids)", why)
    return formula


def fixed_effects(formula: Formula, data: Data) -> Integers:
    """Return the groups whose means are taken out, (N, G): 0, 1, .. in each of G dimensions."""
    dimensions = []
    for term in formula.terms:
        names = [factor.expression.name for factor in term]
        unmarked = [factor.expression.name for factor in term if not factor.is_categorical]
        _check(formula, data, names, unmarked)
        dimensions.append(_groups([np.asarray(data[name]) for name in names]))
    return np.column_stack(dimensions)


def _check(formula: Formula, data: Data, names: list[str], unmarked: list[str]) -> None:
    for name in names:
        if name not in data:
            expected = f"columns among {', '.join(sorted(data))}"
            raise FormulaError(formula.field, formula.source, expected, f"there is no '{name}'")
        if pd.isna(data[name]).any():
            why = "a missing value belongs to no fixed effect"
            raise DataError(name, "a missing value", "a value in every row", why)
    for name in unmarked:
        if data[name].dtype.kind in "iuf":
            why = f"'{name}' is numeric; write C({name}) if each of its values is a fixed effect"
            raise FormulaError(formula.field, formula.source, "categorical variables", why)


def _groups(columns: list[NDArray[Any]]) -> Integers:
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        inner, levels = pd.factorize(column)
        codes = pd.factorize(codes * len(levels) + inner)[0].astype(np.int64)
    return codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Absorber:
    """Takes fixed effects out of columns."""

    groups: Integers
    """(N, G) group of each product in each dimension."""
    counts: Integers = field(init=False, repr=False)
    """Sizes of the groups of the first dimension."""

    def __post_init__(self) -> None:
        """Count the groups."""
        object.__setattr__(self, "counts", np.bincount(self.groups[:, 0]))

    def residualize(self, matrix: Matrix) -> Matrix:
        """Return the columns, (N, K) or (N,), less their projection on the fixed effects.

        One dimension is demeaned exactly; several by alternating projections (pyhdfe's default, as PyBLP's).
        """
        if self.groups.shape[1] > 1:
            return self._projected(matrix)
        codes = self.groups[:, 0]
        if matrix.ndim == 1:
            return matrix - (np.bincount(codes, matrix, self.counts.size) / self.counts)[codes]
        columns = [np.bincount(codes, column, self.counts.size) for column in matrix.T]
        means = np.column_stack(columns) if columns else np.empty((self.counts.size, 0))
        return matrix - (means / self.counts[:, None])[codes]

    def _projected(self, matrix: Matrix) -> Matrix:
        from pyhdfe import create

        algorithm = create(self.groups, drop_singletons=False, compute_degrees=False)
        columns: Matrix = algorithm.residualize(matrix.reshape(len(matrix), -1))
        return columns.reshape(matrix.shape)


def make_absorber(formula: Formula, data: Data) -> Absorber:
    """Return what takes a formula's fixed effects out of matrices with the data's rows.

    Raises
    ------
    FormulaError
        When a variable does not exist or is numeric without ``C()``.
    DataError
        When a variable has missing values.
    """
    return Absorber(groups=fixed_effects(formula, data))
