"""Entrances to kernels that only kernels call, and kernels as plain Python.

Python that calls a kernel without an entrance crashes, so tests call these. They are compiled and cached
as blpsim's own, so that a change of a kernel compiles its entrance again.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from blpsim.kernels import adjoint, choice, elementary, inversion, linear, links, markups
from blpsim.kernels.choice import is_finite as inner_is_finite
from blpsim.kernels.compile import kernel


def interpreted(compiled: Any) -> Callable[..., Any]:
    """Return one of blpsim's kernels as a Python function that calls Python functions."""
    function = _source(compiled)

    def call(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return call


@functools.cache
def _source(compiled: Any) -> Any:
    code, names = compiled.py_func.__code__, compiled.py_func.__globals__
    callees = {name: _source(names[name]) for name in code.co_names if hasattr(names.get(name), "py_func")}
    return types.FunctionType(code, names | callees)


@kernel
def fill_exp(values, x):
    """Fill values (N,) with exp(x), in a loop that vectorizes."""
    for n in range(values.size):
        values[n] = elementary.exp(x[n])


@kernel
def fill_log(values, x):
    """Fill values (N,) with log(x)."""
    for n in range(values.size):
        values[n] = elementary.log(x[n])


@kernel
def is_finite(value):
    return inner_is_finite(value)


@kernel
def fill_coefficients(coefficients, loadings, draws, first, last):
    choice.fill_coefficients(coefficients, loadings, draws, first, last)


@kernel
def fill_utilities(utilities, delta, x2, coefficients, agents):
    choice.fill_utilities(utilities, delta, x2, coefficients, agents)


@kernel
def apply_links(coefficients, codes, agents):
    links.apply_links(coefficients, codes, agents)


@kernel
def fill_link_slopes(slopes, coefficients, codes, first, last):
    links.fill_link_slopes(slopes, coefficients, codes, first, last)


@kernel
def multiply_by_link_slopes(derivatives, slopes, first, last):
    links.multiply_by_link_slopes(derivatives, slopes, first, last)


@kernel
def exponentiate(utilities, outside, products):
    choice.exponentiate(utilities, outside, products)


@kernel
def shares_at(shares, growth, odds, outside, inverse, scaled, weights):
    return choice.shares_at(shares, growth, odds, outside, inverse, scaled, weights)


@kernel
def normalize(odds, growth, inverse):
    choice.normalize(odds, growth, inverse)


@kernel
def weighted_sums(sums, matrix, weights):
    choice.weighted_sums(sums, matrix, weights)


@kernel
def combine_rows(combined, matrix, factors):
    choice.combine_rows(combined, matrix, factors)


@kernel
def factorize(matrix, pivots):
    return linear.factorize(matrix, pivots)


@kernel
def solve_factorized(right, factors, pivots):
    linear.solve_factorized(right, factors, pivots)


@kernel
def solve_factorized_transposed(right, factors, pivots):
    linear.solve_factorized_transposed(right, factors, pivots)


@kernel
def fill_delta_derivative(derivative, probabilities, products, weights, scratch):
    linear.fill_delta_derivative(derivative, probabilities, products, weights, scratch)


@kernel
def solve_by_conjugate_gradients(solution, probabilities, shares, weights, work, agents):
    return linear.solve_by_conjugate_gradients(solution, probabilities, shares, weights, work, agents)


@kernel
def solve_delta_derivative(solution, shares, probabilities, weights, positive, bench):
    return linear.solve_delta_derivative(solution, shares, probabilities, weights, positive, bench)


@kernel
def solve_normal_equations(gram, right, size):
    return inversion.solve_normal_equations(gram, right, size)


@kernel
def anderson_step(delta, step, work, small, evaluation):
    inversion.anderson_step(delta, step, work, small, evaluation)


@kernel
def squarem_step(delta, step, work, evaluation):
    inversion.squarem_step(delta, step, work, evaluation)


@kernel
def invert_shares(delta, odds, outside, bench, target, rule):
    return inversion.invert_shares(delta, odds, outside, bench, target, rule)


@kernel
def fill_firm_block(gamma, own, probabilities, slopes, slope_step, weights, scratch):
    markups.fill_firm_block(gamma, own, probabilities, slopes, slope_step, weights, scratch)


@kernel
def solve_firm_markups(eta, factors, pivots, gamma, own, shares):
    return markups.solve_firm_markups(eta, factors, pivots, gamma, own, shares)


@kernel
def supply_seeds(right, m, eta, gamma, own):
    adjoint.supply_seeds(right, m, eta, gamma, own)


@kernel
def fill_firm_sums(sums, total, probabilities, slopes, slope_step, m, eta):
    adjoint.fill_firm_sums(sums, total, probabilities, slopes, slope_step, m, eta)


@kernel
def fill_demand_product(v, row, common, weights, multiplier):
    adjoint.fill_demand_product(v, row, common, weights, multiplier)


@kernel
def fill_supply_product(values, row, common, weights, sums, slope, scalars):
    return adjoint.fill_supply_product(values, row, common, weights, sums, slope, scalars)


@kernel
def add_loadings(gradient, derivatives, draws, first, last):
    adjoint.add_loadings(gradient, derivatives, draws, first, last)
