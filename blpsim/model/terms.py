"""Wilkinson formulas as lists of terms, in the order in which PyBLP's users expect their columns."""

from __future__ import annotations

import ast
from typing import NamedTuple, TypeAlias

from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import ASTNode, Token

from blpsim.errors import FormulaError

Term: TypeAlias = tuple[str, ...]
"""The factors that a term multiplies, as written; none for the intercept."""

INTERCEPT: Term = ()


class _Sum(NamedTuple):
    intercept: bool | None
    terms: tuple[Term, ...]


def parse_terms(source: str, field: str) -> tuple[Term, ...]:
    """Return the terms of a formula, the intercept first, the others as written.

    formulaic reads the operators; their expansion keeps the order of writing instead of sorting by
    degree, as patsy (and so PyBLP) does.

    Raises
    ------
    FormulaError
        When the formula cannot be read, has a left-hand side, or has no terms.
    """
    try:
        tree = DefaultFormulaParser(include_intercept=False).get_ast(source)
        total = _evaluated(tree)
    except (FormulaicError, SyntaxError, TypeError, AttributeError, ValueError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise FormulaError(field, source, "a formula such as '1 + x + log(w):C(region)'", reason) from error
    terms = total.terms if total.intercept is False else (INTERCEPT, *total.terms)
    if not terms:
        raise FormulaError(field, source, "at least one term", "a formula without terms has no columns")
    return terms


def _evaluated(node: object) -> _Sum:
    if isinstance(node, Token):
        return _leaf(node)
    if not isinstance(node, ASTNode):
        raise ValueError("the formula is empty")
    symbol, arguments = str(node.operator.symbol), list(node.args)
    if len(arguments) == 1 and symbol in "+-":
        arguments.insert(0, None)
    if symbol == "**":
        return _power(_evaluated(arguments[0]), str(arguments[1]))
    sides = [_Sum(None, ()) if argument is None else _evaluated(argument) for argument in arguments]
    if symbol not in _OPERATIONS or len(sides) != 2:
        raise ValueError(f"the operator '{symbol}' is not one of + - * / : **")
    return _OPERATIONS[symbol](*sides)


def _leaf(token: Token) -> _Sum:
    text = str(token.token).strip()
    if text in ("0", "1"):
        return _Sum(text == "1", ())
    if token.kind is Token.Kind.VALUE:
        raise ValueError(f"the number {text} is not a term; put arithmetic into I()")
    return _Sum(None, ((ast.unparse(ast.parse(text, mode="eval")),),))


def _merged(*groups: tuple[Term, ...]) -> tuple[Term, ...]:
    unique = {frozenset(term): term for group in reversed(groups) for term in reversed(group)}
    first = {frozenset(term): None for group in groups for term in group}
    return tuple(unique[key] for key in first)


def _added(left: _Sum, right: _Sum) -> _Sum:
    intercept = left.intercept if right.intercept is None else right.intercept
    return _Sum(intercept, _merged(left.terms, right.terms))


def _removed(left: _Sum, right: _Sum) -> _Sum:
    gone = {frozenset(term) for term in right.terms}
    intercept = left.intercept if right.intercept is None else not right.intercept
    return _Sum(intercept, tuple(term for term in left.terms if frozenset(term) not in gone))


def _interacted(left: _Sum, right: _Sum) -> _Sum:
    if left.intercept is not None or right.intercept is not None:
        raise ValueError("an intercept cannot be interacted")
    return _Sum(None, _merged(tuple(tuple(dict.fromkeys(a + b)) for a in left.terms for b in right.terms)))


def _crossed(left: _Sum, right: _Sum) -> _Sum:
    return _Sum(None, _merged(left.terms, right.terms, _interacted(left, right).terms))


def _nested(left: _Sum, right: _Sum) -> _Sum:
    whole = _Sum(left.intercept, (tuple(dict.fromkeys(factor for term in left.terms for factor in term)),))
    return _Sum(None, _merged(left.terms, _interacted(whole, right).terms))


def _power(base: _Sum, exponent: str) -> _Sum:
    if not exponent.isdigit() or int(exponent) < 1:
        raise ValueError("** takes a positive integer outside I()")
    total = product = base
    for _ in range(1, min(int(exponent), len(base.terms))):
        product = _interacted(base, product)
        total = _Sum(None, _merged(total.terms, product.terms))
    return total


_OPERATIONS = {"+": _added, "-": _removed, ":": _interacted, "*": _crossed, "/": _nested}
