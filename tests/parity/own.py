"""A case as blpsim solves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import blpsim as bs

from .case import Case


def own_problem(case: Case) -> Any:
    """Return blpsim's problem."""
    agents = None if case.agents is None else pd.DataFrame(dict(case.agents))
    integration = None if case.nodes is None else bs.Integration("product", case.nodes)
    products = pd.DataFrame(dict(case.products))
    return bs.Problem(bs.Model(**case.model), products, agents, integration=integration)


def own_parameters(case: Case) -> Any:
    """Return blpsim's parameters at the start."""
    return bs.Parameters(**{name: np.array(value) for name, value in case.parameters.items()})


def own_gmm(case: Case, hessian: bool = False) -> Any:
    """Return blpsim's options."""
    options = dict(case.options)
    if case.bounds:
        options["bounds"] = dict(case.bounds)
    optimizer = bs.Optimizer(case.optimizer, gtol=case.gtol)
    return bs.GMM(optimizer=optimizer, hessian=hessian, **options)


def own_solve(case: Case, problem: Any, hessian: bool = False) -> Any:
    """Return blpsim's result; without the Hessian unless it is asked for."""
    return problem.solve(own_parameters(case), own_gmm(case, hessian))
