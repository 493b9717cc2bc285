"""A case as PyBLP 1.3.0 solves it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyblp

from .case import Case, Columns

pyblp.options.verbose = False
pyblp.options.digits = 12
pyblp.options.weights_tol = np.inf

SAMPLED, SEED = 20, 7
"""Agents sampled in each market, and the seed of their draws."""


def peer_problem(case: Case) -> pyblp.Problem:
    """Return PyBLP's problem."""
    agents, owned = _agents(case), {} if case.ownership is None else {"ownership": case.ownership}
    formulated = case.model.get("demographics")
    return pyblp.Problem(
        formulations(case.model),
        stacked(case.products, "demand_instruments", "supply_instruments", "covariance_instruments") | owned,
        None if formulated is None else pyblp.Formulation(formulated),
        None if agents is None else stacked(agents, "nodes"),
        integration=None if case.nodes is None else pyblp.Integration(case.rule, case.nodes),
        rc_types=case.model.get("rc_types"),
        epsilon_scale=case.model.get("epsilon_scale", 1.0),
        costs_type=case.model.get("costs", "linear"),
    )


def _agents(case: Case) -> Columns | None:
    """Return agents whose availability is theirs, too, where a rule makes nodes.

    PyBLP then takes demographics market by market, but leaves availability in the order of the table's rows.
    """
    if case.agents is None or case.nodes is None or "availability0" not in case.agents:
        return case.agents
    order = np.argsort(case.agents["market_ids"], kind="stable")
    return {name: column[order] for name, column in case.agents.items()}


def formulations(model: Mapping[str, Any]) -> tuple[pyblp.Formulation | None, ...]:
    """Return PyBLP's formulations of X1, X2 and X3, as many as the model has."""
    linear = pyblp.Formulation(model["linear"], absorb=model.get("absorb_demand"))
    nonlinear = pyblp.Formulation(model["nonlinear"]) if "nonlinear" in model else None
    supply = None
    if "supply" in model:
        supply = pyblp.Formulation(model["supply"], absorb=model.get("absorb_supply"))
    return (linear, nonlinear, supply) if supply else (linear, nonlinear) if nonlinear else (linear,)


def stacked(columns: Columns, *families: str) -> dict[str, Any]:
    """Return the columns with numbered ones (``nodes0``, ``nodes1``, ...) joined into matrices."""
    out: dict[str, Any] = {}
    for family in families:
        members = [name for name in columns if name.startswith(family) and name[len(family) :].isdigit()]
        if members:
            members.sort(key=lambda name: int(name[len(family) :]))
            out[family] = np.column_stack([columns[name] for name in members])
    numbered = tuple(families)
    out.update({n: v for n, v in columns.items() if not (n.startswith(numbered) and n[-1:].isdigit())})
    return out


def peer_solve(
    case: Case, problem: pyblp.Problem, hessian: bool = False, optimizer: str | None = None
) -> pyblp.ProblemResults:
    """Return PyBLP's results; without the Hessian unless it is asked for."""
    method = optimizer or case.optimizer
    settings: dict[str, Any] = {}
    if method != "return":
        settings = {"gtol": case.gtol} | ({"ftol": 0} if method == "l-bfgs-b" else {})
    parameters = {name: np.array(value) for name, value in case.parameters.items()}
    if "phi" in parameters:
        parameters["phi"] = np.diag(parameters["phi"])
    return problem.solve(
        **parameters,
        **{f"{name}_bounds": pair for name, pair in case.bounds.items()},
        **case.options,
        optimization=pyblp.Optimization(method, settings),
        check_optimality="both" if hessian else "gradient",
    )


def peer_sample(case: Case) -> pyblp.ImportanceSamplingResults:
    """Return PyBLP's agents, sampled at the case's parameters."""
    here = dataclasses.replace(case, options=dict(case.options) | {"method": "1s"}, optimizer="return")
    found = peer_solve(here, peer_problem(here))
    candidates = stacked(case.candidates or {}, "nodes")
    return found.importance_sampling(SAMPLED, seed=SEED, agent_data=candidates, delta=found.delta)


def peer_optimal_problem(case: Case) -> pyblp.Problem:
    """Return PyBLP's problem with optimal instruments at the case's parameters, a first estimate.

    Their largest elements are one. That changes no estimate, but PyBLP refuses to weight the moments of an
    instrument for a sigma near zero, whose derivative is as near to zero.
    """
    here = dataclasses.replace(case, options=dict(case.options) | {"method": "1s"}, optimizer="return")
    optimal = peer_solve(here, peer_problem(here)).compute_optimal_instruments()
    for instruments in (optimal.demand_instruments, optimal.supply_instruments):
        instruments /= np.abs(instruments).max(axis=0, initial=0)
    return optimal.to_problem()
