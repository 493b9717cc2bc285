from __future__ import annotations

import numpy as np
import pytest

from blpsim.kernels import linear

from . import entrance, logit


def factorized(matrix, longer=2):
    """Return LU factors in rows that are longer than needed, pivots, and whether the matrix is regular."""
    factors = np.full((len(matrix), len(matrix) + longer), np.nan)
    factors[:, : len(matrix)] = matrix
    pivots = np.full(len(matrix), -1)
    return factors, pivots, entrance.factorize(factors, pivots)


def random_system(size):
    """Return a matrix that needs pivots, and a right-hand side."""
    rng = np.random.default_rng(size)
    matrix = rng.normal(size=(size, size))
    if size > 1:
        np.fill_diagonal(matrix, 0.0)
    return matrix, rng.normal(size=size)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 12, 40])
def test_factors_solve_the_system_and_the_transposed_one(size):
    matrix, right = random_system(size)
    factors, pivots, regular = factorized(matrix)
    assert regular
    solution, transposed = right.copy(), right.copy()
    entrance.solve_factorized(solution, factors, pivots)
    entrance.solve_factorized_transposed(transposed, factors, pivots)
    scale = np.linalg.cond(matrix) * 1e-14
    assert np.abs(solution - np.linalg.solve(matrix, right)).max() < scale * np.abs(solution).max()
    assert np.abs(transposed - np.linalg.solve(matrix.T, right)).max() < scale * np.abs(transposed).max()


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.0]],
        [[1.0, 2.0], [2.0, 4.0]],
        [[0.0, 0.0], [0.0, 1.0]],
        [[np.nan, 1.0], [1.0, 1.0]],
        [[1.0, 0.0], [0.0, np.nan]],
        [[np.inf, 1.0], [1.0, 1.0]],
    ],
)
def test_a_matrix_that_is_singular_or_not_finite_is_no_regular_one(matrix):
    assert not factorized(np.array(matrix))[2]


def delta_derivative(probabilities, weights):
    products = len(probabilities)
    derivative = np.full((products, products), np.nan)
    entrance.fill_delta_derivative(derivative, probabilities, products, weights, np.empty(weights.size))
    return derivative


def negative(weights):
    return np.concatenate(([-0.3], weights[1:]))


@pytest.mark.parametrize("weights", [None, negative])
def test_the_derivative_by_delta_is_symmetric_and_the_central_difference_of_shares(weights):
    market = logit.market(weights=weights)
    derivative = delta_derivative(market.probabilities, market.weights)
    assert (derivative == derivative.T).all()
    step = 1e-5
    for k in range(market.delta.size):
        change = step * (np.arange(market.delta.size) == k)
        up, down = (market._replace(delta=market.delta + s * change).shares for s in (1, -1))
        assert np.allclose(derivative[:, k], (up - down) / (2 * step), rtol=0, atol=1e-10)


def test_the_derivative_by_delta_has_row_sums_that_move_the_outside_good():
    market = logit.market()
    p, w = market.probabilities, market.weights
    assert np.allclose(delta_derivative(p, w).sum(axis=1), p * (1 - p.sum(axis=0)) @ w, rtol=1e-12)


def conjugate(market, right):
    solution, products = right.copy(), right.size
    work, agents = np.full((4, products), np.nan), np.full(market.weights.size, np.nan)
    converged = entrance.solve_by_conjugate_gradients(
        solution, market.probabilities, market.shares, market.weights, work, agents
    )
    return converged, solution


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (6, 1), (8, 12), (30, 200)])
@pytest.mark.parametrize("level", [-12.0, -2.0, 1.0])
def test_conjugate_gradients_equal_a_dense_solve(shape, level):
    market = logit.market(*shape, level=level)
    right = np.random.default_rng(4).normal(size=shape[0])
    converged, solution = conjugate(market, right)
    dense = np.linalg.solve(delta_derivative(market.probabilities, market.weights), right)
    assert converged
    assert np.abs(solution - dense).max() < 1e-9 * np.abs(dense).max()


def test_conjugate_gradients_of_nothing_are_nothing():
    converged, solution = conjugate(logit.market(), np.zeros(8))
    assert converged
    assert (solution == 0).all()


@pytest.mark.parametrize(
    ("level", "weights", "precision"), [(-2.0, None, 1e-9), (-2.0, negative, 1e-9), (20.0, None, 1e-3)]
)
def test_a_system_is_solved_whatever_the_weights_and_the_outside_share(level, weights, precision):
    market = logit.market(30, 5, level=level, weights=weights)
    right = market.probabilities @ np.linspace(-1, 1, 5) + np.linspace(0, 1, 30) * market.shares
    solution = right.copy()
    positive = bool((market.weights > 0).all())
    assert entrance.solve_delta_derivative(
        solution, market.shares, market.probabilities, market.weights, positive, logit.bench(30, 5)
    )
    residual = delta_derivative(market.probabilities, market.weights) @ solution - right
    assert np.abs(residual).max() < precision * np.abs(right).max()


def test_a_derivative_that_is_zero_is_not_regular():
    market = logit.market()
    nothing = np.zeros_like(market.probabilities)
    right = np.ones(8)
    assert not entrance.solve_delta_derivative(
        right, np.zeros(8), nothing, market.weights, False, logit.bench(8, 12)
    )


def test_compiled_and_interpreted_kernels_agree():
    matrix, _ = random_system(7)
    factors, pivots, _ = factorized(matrix)
    plain, plain_pivots = matrix.copy(), np.zeros(7, np.int64)
    assert entrance.interpreted(linear.factorize)(plain, plain_pivots)
    assert (plain_pivots == pivots).all()
    assert np.allclose(factors[:, :7], plain, rtol=1e-11)
    market = logit.market()
    arguments = (market.probabilities, market.shares, market.weights, np.empty((4, 8)), np.empty(12))
    source = np.linspace(0, 1, 8)
    assert entrance.interpreted(linear.solve_by_conjugate_gradients)(source, *arguments)
    assert np.allclose(source, conjugate(market, np.linspace(0, 1, 8))[1], rtol=1e-10)
