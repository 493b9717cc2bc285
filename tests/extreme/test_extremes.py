from __future__ import annotations

import numpy as np
import pytest

import blpsim as bs

from . import outcomes
from .problems import extreme

ENDS = {"evaluated", "inversion_failed", "singular", "non_finite", "refused"}
NEGATIVE_VARIANCE = 72


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_extreme_problems_end_in_a_true_number_or_in_a_status(first):
    assert {outcomes.outcome(extreme(seed)) for seed in range(first, first + 25)} <= ENDS


def test_a_variance_that_rounding_makes_negative_is_a_status():
    problem = extreme(NEGATIVE_VARIANCE)
    built = bs.Problem(problem.model, problem.products, problem.agents)
    result = built.solve(problem.parameters, problem.gmm)
    assert np.isnan(result.errors).any()
    assert result.status is bs.Status.SINGULAR


def test_wrong_shares_are_noticed(monkeypatch):
    monkeypatch.setattr(outcomes, "log_shares", lambda *_: np.full(1, -1.0))
    with pytest.raises(AssertionError):
        outcomes.outcome(extreme(0))
