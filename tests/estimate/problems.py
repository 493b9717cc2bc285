"""Small problems with an objective each, made once a process."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.estimate.gmm import GMM
from blpsim.estimate.inference import two_stage_weighting
from blpsim.estimate.objective import Objective
from blpsim.estimate.problem import Problem
from blpsim.model.layout import Layout, layout
from blpsim.model.parameters import Parameters
from tests.parity.own import own_gmm, own_parameters, own_problem
from tests.parity.problems import random_case

Array = NDArray[Any]

DEMAND, SUPPLY, CURVED, NESTED_SUPPLY = 38, 10, 13, 46
"""Seeds of demand alone (one sigma), of log costs and a random price coefficient, and of three
sigmas, and of nests."""

FEATURES = {
    0: {"supply", "linear costs", "full sigma", "bounded costs", "2 effects, demand", "not scaled"},
    1: {"demand only", "logit", "given linear"},
    2: {"demand only", "diagonal sigma", "2 effects, demand"},
    3: {"supply", "full sigma", "1 demographics", "bounded costs", "given linear"},
    4: {"demand only", "given linear", "own nodes"},
    105: {"supply", "log coefficient", "logit coefficient", "full sigma", "no price in X1", "bounded costs"},
    89: {"supply", "scaled epsilon", "log coefficient", "logit coefficient", "log costs", "own nodes"},
    134: {"demand only", "log coefficient", "logit coefficient", "full sigma", "log(prices)"},
    161: {"log coefficient", "logit coefficient", "sigma without a node"},
    194: {"supply", "log coefficient", "logit coefficient", "no price in X1", "2 effects, demand"},
    7: {"supply", "linear costs", "full sigma", "2 demographics", "2 effects, supply"},
    8: {"log costs", "x:prices", "bounded costs"},
    9: {"full sigma", "2 demographics", "log(prices)", "product rule"},
    13: {"supply", "diagonal sigma", "own nodes", "given linear"},
    14: {"x:prices", "2 demographics", "given W"},
    15: {"log costs", "full sigma", "log(prices)", "x:prices", "1 demographics"},
    20: {"supply", "log costs", "logit"},
    22: {"I(-prices)", "x:prices", "given W"},
    26: {"demand only", "sigma without a node", "2 demographics"},
    31: {"full sigma", "log(prices)", "x:prices", "1 effects, demand", "1 effects, supply"},
    42: {"supply", "common rho", "log coefficient", "2 demographics"},
    46: {"log costs", "apart rho", "own nodes"},
    174: {"logit"},
    56: {"demand only", "apart rho", "1 effects, demand"},
    82: {"supply", "full sigma", "nested product rule", "apart rho"},
    37: {"supply", "log(prices)", "sigma without a node"},
}
"""Seeds of random problems, and what each is here for."""


class Posed(NamedTuple):
    """A problem, where to start, how to estimate, and the first step's objective."""

    problem: Problem
    parameters: Parameters
    layout: Layout
    gmm: GMM
    weighting: Array

    @property
    def theta(self) -> Array:
        """(P,) the start."""
        return self.layout.theta0.copy()

    def objective(self, gmm: GMM | None = None) -> Objective:
        """Return a new objective."""
        return Objective(self.problem.setting, self.layout, gmm or self.gmm, self.weighting)


@functools.cache
def posed(seed: int) -> Posed:
    """Return the random problem of a seed."""
    case = random_case(seed)
    problem, parameters, gmm = own_problem(case), own_parameters(case), own_gmm(case)
    setting = problem.setting
    weighting = two_stage_weighting(setting) if gmm.W is None else np.array(gmm.W, float)
    return Posed(problem, parameters, layout(parameters, setting.columns, setting.supply), gmm, weighting)


@functools.cache
def features(seed: int) -> frozenset[str]:
    """Return what the problem of a seed exercises."""
    return frozenset(random_case(seed).features)


def central_difference(function: Any, theta: Array) -> Array:
    """Return fourth-order central differences of a function of theta, (P, ...).

    The step balances h^4 against rounding over h: 1e-10 of the largest derivative is what both leave.
    """
    rows = []
    for k in range(theta.size):
        step = np.zeros(theta.size)
        step[k] = 2e-4 * max(0.1, abs(theta[k]))
        near = function(theta + step) - function(theta - step)
        far = function(theta + 2 * step) - function(theta - 2 * step)
        rows.append((8 * near - far) / (12 * step[k]))
    return np.array(rows)


def distance(ours: Array, theirs: Array) -> float:
    """Return max |ours - theirs| over max |theirs|."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
