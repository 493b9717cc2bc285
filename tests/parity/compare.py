"""How far blpsim is from PyBLP, quantity by quantity, relative to PyBLP's largest element."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

import blpsim as bs

from .case import Case
from .own import own_prices, own_problem, own_sample, own_solve
from .peer import peer_problem, peer_sample, peer_solve

Array = NDArray[Any]

TOLERANCE = 1e-7
"""Largest difference of each quantity, relative to the largest element of PyBLP's."""

PRICES_TOLERANCE = 1e-9
"""Largest difference of equilibrium prices."""


def differences(case: Case) -> dict[str, float]:
    """Return the relative difference of every quantity that the case has; prices' is absolute."""
    if case.candidates is not None:
        sampled, found = sampled_differences(case)
        with warnings.catch_warnings():
            # Weights of sampled agents do not sum to one.
            warnings.simplefilter("ignore", bs.BlpsimWarning)
            return differences(sampled) | found
    theirs = peer_quantities(case)
    ours = own_quantities(case)
    found = {name: distance(ours[name], theirs[name]) for name in theirs if name != "prices"}
    if "prices" in theirs:
        found["prices"] = float(np.max(np.abs(ours["prices"] - theirs["prices"])))
    return found


def sampled_differences(case: Case) -> tuple[Case, dict[str, float]]:
    """Return the case with agents sampled among its candidates, and how they and PyBLP's differ."""
    peers = peer_sample(case).sampled_agents
    peers = peers[np.argsort(peers.market_ids.ravel(), kind="stable")]
    ours = own_sample(case).agents.frame()
    nodes = [name for name in ours if name.startswith("nodes")]
    found = {"weights": distance(flat(ours["weights"]), flat(peers.weights))}
    found["nodes"] = distance(flat(ours[nodes]), flat(peers.nodes[:, : len(nodes)]))
    table = {name: ours[name].to_numpy() for name in ours}
    return dataclasses.replace(case, agents=table, candidates=None), found


def distance(ours: Array, theirs: Array) -> float:
    """Return max |ours - theirs| / max |theirs|; infinite when shapes or missing elements differ."""
    if ours.shape != theirs.shape or not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        return np.inf
    if theirs.size == 0:
        return 0.0
    return float(np.nanmax(np.abs(ours - theirs)) / np.nanmax(np.abs(theirs)))


def excessive(found: dict[str, float]) -> dict[str, float]:
    """Return the differences that are too large."""
    limits = {name: PRICES_TOLERANCE if name == "prices" else TOLERANCE for name in found}
    return {name: value for name, value in found.items() if not value <= limits[name]}


def peer_quantities(case: Case) -> dict[str, Array]:
    """Return what PyBLP computes, in the order of the user's rows."""
    problem = peer_problem(case)
    result = peer_solve(case, problem)
    found = {name: flat(getattr(result, name)) for name in (*_common(case), *_linear(case))}
    sure = peer_with_given_linear(case, problem, result) if problem.MC else result
    errors = [flat(getattr(sure, f"{n}_se")) for n in _blocks(case)]
    if "phi" in case.parameters:
        errors.append(np.diag(result.phi_se)[case.parameters["phi"] != 0])
    found["standard errors"] = np.concatenate(errors)
    if case.has_supply:
        transformed = flat(result.tilde_costs)
        costs = np.exp(transformed) if case.model.get("costs") == "log" else transformed
        owners = {"firm_ids": merged(case)} if case.ownership is None else {"ownership": merged_owners(case)}
        found |= {"costs": costs, "prices": flat(result.compute_prices(**owners, costs=costs))}
    return found


def peer_with_given_linear(case: Case, problem: Any, result: Any) -> Any:
    """Return PyBLP's results at the same values, where no linear coefficient is concentrated out.

    With covariance moments its standard errors of those that are concentrated out are not theirs:
    ``test_covariances`` says why.
    """
    parameters = dict(case.parameters) | {n: flat(getattr(result, n)) for n in _linear(case)}
    # Steps before the last would be at these values, too, and so weight moments otherwise.
    options = dict(case.options) | {"method": "1s", "initial_update": False, "W": result.W}
    return peer_solve(dataclasses.replace(case, parameters=parameters, options=options), problem)


def own_quantities(case: Case) -> dict[str, Array]:
    """Return what blpsim computes, by the same names."""
    result = own_solve(case, own_problem(case))
    found = {name: flat(getattr(result, name)) for name in _common(case)}
    found |= {name: flat(getattr(result.parameters, name)) for name in _linear(case)}
    errors = [flat(getattr(result.standard_errors, name)) for name in _blocks(case)]
    if "phi" in case.parameters:
        moved = case.parameters["phi"] != 0
        errors.append(flat(result.standard_errors.phi)[moved])
        found["gradient"] = with_phi_earlier(found["gradient"], case, int(moved.sum()))
    found["standard errors"] = np.concatenate(errors)
    if case.has_supply:
        costs = flat(result.costs)
        prices = own_prices(case, flat(result.delta), merged(case), costs, merged_owners(case))
        found |= {"costs": costs, "prices": prices}
    return found


def with_phi_earlier(gradient: Array, case: Case, number: int) -> Array:
    """Return a gradient whose last elements, as many, are where PyBLP has them: before beta's and gamma's."""
    names = ("beta", "gamma")
    given = sum(int((~np.isnan(case.parameters[name])).sum()) for name in names if name in case.parameters)
    first, linear, phi = np.split(gradient, [gradient.size - number - given, gradient.size - number])
    return np.concatenate((first, phi, linear))


def flat(values: Any) -> Array:
    """Return the values as one vector of numbers."""
    return np.asarray(values, dtype=float).ravel()


def _common(case: Case) -> tuple[str, ...]:
    return ("objective", "gradient", "delta", "xi", *(("omega",) if case.has_supply else ()))


def _linear(case: Case) -> tuple[str, ...]:
    return ("beta", "gamma") if case.has_supply else ("beta",)


def _blocks(case: Case) -> tuple[str, ...]:
    return tuple(name for name in ("beta", "sigma", "pi", "rho", "gamma") if name in case.parameters)


def merged(case: Case) -> Array:
    """Return firm ids after the first two firms of the data have merged."""
    ids = case.products["firm_ids"].copy()
    first, second = np.unique(ids)[:2]
    ids[ids == second] = first
    return ids


def merged_owners(case: Case) -> Array | None:
    """Return ownership matrices after the same two firms have merged, None where firms own products."""
    if case.ownership is None:
        return None
    owners, first = case.ownership.copy(), merged(case)
    joined = first == np.unique(case.products["firm_ids"])[0]
    for market in np.unique(case.products["market_ids"]):
        rows = np.flatnonzero((case.products["market_ids"] == market) & joined)
        places = np.searchsorted(np.flatnonzero(case.products["market_ids"] == market), rows)
        owners[np.ix_(rows, places)] = 1.0
    return owners
