"""Micro moments as PyBLP 1.3.0 has them, on random problems of both engines."""

from __future__ import annotations

import functools

import pytest

from .compare import TOLERANCE
from .micro import micro_differences, random_micro

FEATURES = {
    3: {"supply", "given covariances", "second choices"},
    40: {"apart rho", "groups", "covariance"},
    58: {"arrays", "common rho", "groups", "supply"},
    59: {"demand only", "groups", "covariance"},
    90: {"supply", "given covariances", "few markets", "second choices", "everyone"},
    103: {"supply", "ratio", "covariance", "second choices", "inside"},
    92: {"arrays", "demand only", "second choices", "everyone"},
}
"""Seeds of random problems, and what each is here for."""


@functools.cache
def micro(seed):
    return random_micro(seed)


@pytest.mark.parametrize("seed", FEATURES)
def test_values_gradients_weights_and_errors_equal_pyblps(seed):
    found = micro_differences(micro(seed))
    assert {name: value for name, value in found.items() if not value <= TOLERANCE} == {}, micro(
        seed
    ).features


@pytest.mark.parametrize("seed", FEATURES)
def test_a_random_problem_still_has_what_it_is_here_for(seed):
    assert FEATURES[seed] <= set(micro(seed).features)
