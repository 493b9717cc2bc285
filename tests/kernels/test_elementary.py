from __future__ import annotations

import numpy as np
import pytest

from blpsim.kernels import elementary

from .entrance import fill_exp, fill_log, interpreted

ULP = np.finfo(float).eps


def exp(x):
    x = np.atleast_1d(np.asarray(x, float))
    values = np.full(x.size, np.nan)
    fill_exp(values, x)
    return values


def log(x):
    x = np.atleast_1d(np.asarray(x, float))
    values = np.full(x.size, np.nan)
    fill_log(values, x)
    return values


GRID = np.concatenate((np.linspace(-708, 709, 20_001), np.linspace(-1, 1, 2_001), [0.0, 1e-300, -1e-17]))


def test_exp_is_within_two_units_in_the_last_place():
    assert np.abs(exp(GRID) / np.exp(GRID) - 1).max() <= 2 * ULP


def test_exp_of_zero_is_one():
    assert exp(0.0) == 1.0


@pytest.mark.parametrize("x", [-708.0, -708.1, -1e4, -1e308, -np.inf])
def test_exp_of_very_negative_numbers_is_never_zero(x):
    assert exp(x) == exp(-708.0)
    assert exp(x) > np.finfo(float).tiny


@pytest.mark.parametrize("x", [709.0, 710.0, 1e308, np.inf])
def test_exp_of_very_large_numbers_is_never_infinite(x):
    assert exp(x) == exp(709.0)
    assert np.isfinite(exp(x))


def test_exp_keeps_nan_among_other_numbers():
    values = exp(np.where(np.arange(64) % 7 == 3, np.nan, 1.0))
    assert np.isnan(values[3::7]).all()
    assert np.isfinite(np.delete(values, np.s_[3::7])).all()


def test_log_is_within_two_units_in_the_last_place():
    x = np.concatenate((np.geomspace(1e-307, 1e307, 20_001), np.linspace(0.5, 2, 2_000)))
    x = x[x != 1]
    assert np.abs(log(x) / np.log(x) - 1).max() <= 2 * ULP


def test_log_of_one_is_zero():
    assert log(1.0) == 0.0


def test_log_keeps_relative_precision_near_one():
    h = np.geomspace(1e-15, 1e-2, 200)
    x = 1 + h
    assert np.allclose(log(x), np.log1p(x - 1), rtol=2 * ULP, atol=0)


def test_log_of_what_has_none_is_not_a_finite_number():
    assert log(0.0) == -np.inf
    assert np.isnan(log([-1.0, -np.inf, np.nan])).all()


def test_log_inverts_exp():
    x = np.linspace(-700, 700, 1_401)
    assert np.abs(log(exp(x)) - x).max() < 2e-13


@pytest.mark.parametrize(("kernel", "function"), [("exp", exp), ("log", log)])
def test_compiled_and_interpreted_differ_by_fused_operations_alone(kernel, function):
    x = np.linspace(0.01, 700, 501)
    source = interpreted(getattr(elementary, kernel))
    assert np.allclose(function(x), [source(np.float64(value)) for value in x], rtol=2 * ULP, atol=0)
