"""Arithmetic on columns: from text to SymPy expressions, and from those to functions of arrays."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import NDArray

Data: TypeAlias = Mapping[str, NDArray[Any]]
Expression: TypeAlias = Any
"""A SymPy expression; SymPy's own annotations cover it only in part."""
Evaluator: TypeAlias = Callable[[Data], Any]
"""Maps columns by name to an array (N,), or to a scalar that fits any N."""

symbol: Callable[[str], Expression] = sp.Symbol
_differentiated: Callable[[Expression, Expression], Expression] = sp.diff

FUNCTIONS: dict[str, Callable[[Expression], Expression]] = {
    "log": sp.log,
    "exp": sp.exp,
    "sqrt": sp.sqrt,
    "I": lambda argument: argument,
}
_OPERATORS: dict[type[ast.operator], Callable[[Expression, Expression], Expression]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.Pow: lambda left, right: left**right,
}


def parse_expression(source: str) -> Expression:
    """Return the SymPy expression of a factor such as ``x``, ``log(w)`` or ``I(1 / prices)``.

    Raises
    ------
    ValueError
        When the factor contains anything but columns, numbers, ``+ - * / **``, log, exp, sqrt and I.
    """
    return _translated(ast.parse(source, mode="eval").body)


def _translated(node: ast.expr) -> Expression:
    if isinstance(node, ast.Name):
        return symbol(node.id)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return sp.sympify(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -1 if isinstance(node.op, ast.USub) else 1
        return sign * _translated(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_translated(node.left), _translated(node.right))
    if isinstance(node, ast.Call) and ast.unparse(node.func) in FUNCTIONS and _is_unary(node):
        return FUNCTIONS[ast.unparse(node.func)](_translated(node.args[0]))
    allowed = "columns, numbers, + - * / **, log, exp, sqrt, I and C"
    raise ValueError(f"'{ast.unparse(node)}' is not made of {allowed}")


def _is_unary(call: ast.Call) -> bool:
    return len(call.args) == 1 and not call.keywords


@cache
def derivative(expression: Expression, variable: str) -> Expression:
    """Return the derivative of an expression with respect to one of its variables."""
    return _differentiated(expression, symbol(variable))


@cache
def evaluator(expression: Expression) -> Evaluator:
    """Return the function of columns that an expression stands for; it costs microseconds to call."""
    if expression.is_Symbol:
        return itemgetter(expression.name)
    if not expression.free_symbols:
        value = float(expression)
        return lambda _: value
    names = sorted(variable.name for variable in expression.free_symbols)
    function = sp.lambdify([symbol(name) for name in names], expression, "numpy")
    return lambda data: function(*[np.asarray(data[name], np.float64) for name in names])
