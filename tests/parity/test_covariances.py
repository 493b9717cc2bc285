"""Covariance moments against PyBLP's: all of a problem, and standard errors that differ for a reason."""

from __future__ import annotations

import numpy as np
import pytest

from .compare import differences, distance, excessive, flat, peer_with_given_linear
from .own import own_problem, own_solve
from .peer import peer_problem, peer_solve
from .problems import random_case

SEEDS = [45, 52, 80, 94, 129]


@pytest.mark.parametrize("seed", SEEDS)
def test_covariance_moments_are_pyblps(seed):
    case = random_case(seed)
    assert "covariance moments" in case.features
    assert excessive(differences(case)) == {}
    theirs = peer_solve(case, peer_problem(case))
    ours = own_solve(case, own_problem(case))
    assert distance(ours.moments, flat(theirs.moments)) < 1e-7
    assert distance(ours.moments_covariances, theirs.moments_covariances) < 1e-7
    assert distance(ours.W, theirs.W) < 1e-7


def test_standard_errors_of_what_is_concentrated_out_do_not_depend_on_that():
    """PyBLP's do: its derivatives by theta, which include those of coefficients that are concentrated out,

    stand beside derivatives by these, so that their errors are those of what theta does not explain.
    """
    case = random_case(SEEDS[0])
    problem = peer_problem(case)
    concentrated = peer_solve(case, problem)
    given = peer_with_given_linear(case, problem, concentrated)
    ours = own_solve(case, own_problem(case)).standard_errors
    assert distance(np.asarray(ours.gamma), flat(given.gamma_se)) < 1e-7
    assert distance(flat(concentrated.gamma_se), flat(given.gamma_se)) > 1e-3
    assert distance(flat(concentrated.sigma_se), flat(given.sigma_se)) < 1e-7
