"""A case as blpsim solves it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import blpsim as bs
from blpsim.arrays import Tastes
from blpsim.economy.equilibrium import PricedDemand, equilibrium_prices
from blpsim.estimate.importance import ImportanceSample, Rule, sample_agents
from blpsim.model.agents import read_candidates
from blpsim.model.layout import layout
from blpsim.model.nests import nested
from blpsim.model.ownership import OwnershipMatrix, price_setters
from blpsim.model.panel import Products, offsets
from blpsim.model.specific import specific_rows

from .case import Case
from .peer import SAMPLED, SEED


def own_problem(case: Case) -> Any:
    """Return blpsim's problem."""
    agents = None if case.agents is None else pd.DataFrame(dict(case.agents))
    integration = None if case.nodes is None else bs.Integration(case.rule, case.nodes)
    products = pd.DataFrame(dict(case.products))
    return bs.Problem(
        bs.Model(**case.model), products, agents, integration=integration, ownership=case.ownership
    )


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


def own_sample(case: Case) -> ImportanceSample:
    """Return blpsim's agents, sampled at the case's parameters with PyBLP's draws."""
    here = dataclasses.replace(case, options=dict(case.options) | {"method": "1s"}, optimizer="return")
    fitted = own_solve(here, own_problem(here)).fitted
    setting, candidates = fitted.setting, dict(case.candidates or {})
    del candidates["weights"]
    agents = read_candidates(candidates, None, setting.products, setting.model, np.random.default_rng(0))
    once = [agents, None].__getitem__
    sample = sample_agents(fitted, once, Rule(SAMPLED, 1.0), np.random.RandomState(SEED))
    assert isinstance(sample, ImportanceSample)
    return sample


def own_demand(
    case: Case, delta: NDArray[np.float64], firm_ids: NDArray[Any]
) -> tuple[PricedDemand, Products]:
    """Return demand as a function of prices at the case's parameters, and the products in its order.

    delta     (N,) mean utilities, in the order of the user's rows
    firm_ids  (N,) who owns what
    """
    products = {**case.products, "firm_ids": firm_ids}
    setting = own_problem(dataclasses.replace(case, products=products)).setting
    start = layout(own_parameters(case), setting.columns, setting.supply)
    theta, used = start.theta0, start.sigma_used if setting.columns.x2.names else None
    alpha = start.beta(theta)[setting.price_columns]
    tastes = Tastes(start.sigma(theta), start.pi(theta), alpha, start.links)
    order = setting.products.order
    demand = PricedDemand(
        data=setting.products.columns,
        delta=delta if order is None else delta[order],
        x1=setting.columns.x1,
        x2=setting.columns.x2,
        tastes=tastes,
        consumers=setting.agents.consumers(used),
        offsets=offsets(setting.products, setting.agents),
        nested=nested(setting.model, setting.products, start.rho(theta)),
        epsilon_scale=setting.model.epsilon_scale,
        specific=specific_rows(setting.agents, setting.products, start.links),
    )
    return demand, setting.products


def own_prices(
    case: Case,
    delta: NDArray[np.float64],
    firm_ids: NDArray[Any],
    costs: NDArray[np.float64],
    ownership: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return equilibrium prices, (N,), in the order of the user's rows."""
    demand, products = own_demand(case, delta, firm_ids)
    order = products.order
    setters = price_setters(bs.Conduct.BERTRAND, products)
    if ownership is not None:
        setters = price_setters(OwnershipMatrix(ownership), products)
    found = equilibrium_prices(demand, costs if order is None else costs[order], setters)
    return products.restored(found.prices)
