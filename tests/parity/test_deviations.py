"""Where PyBLP 1.3.0 is not followed, and the evidence."""

import dataclasses

import numpy as np
import pyblp

from .own import own_problem, own_solve
from .peer import peer_problem, peer_solve
from .problems import random_case

CLIPPED = 3
"""A random problem in which the bounds clip costs."""


def test_the_gradient_of_given_gamma_is_right_where_costs_are_clipped():
    """PyBLP zeroes every derivative of omega where costs are clipped, though that with gamma stays -X3."""
    case = random_case(CLIPPED)
    gamma = case.parameters["gamma"].copy()
    gamma[-1] = 0.05
    case = dataclasses.replace(case, parameters={**case.parameters, "gamma": gamma})
    problem = peer_problem(case)
    differences = problem.solve(
        **{name: np.array(value) for name, value in case.parameters.items()},
        **case.options,
        optimization=pyblp.Optimization("return"),
        check_optimality="gradient",
        finite_differences=True,
    ).gradient.ravel()
    analytic = peer_solve(case, problem).gradient.ravel()
    ours = own_solve(case, own_problem(case)).gradient
    scale = np.max(np.abs(differences))
    assert np.max(np.abs(ours - differences)) < 1e-6 * scale
    assert np.abs(analytic - differences)[-1] > 1e-3 * scale
