"""Moments in innovations against PyBLP's, whose cross terms of phi are left at zero."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyblp
import pytest

import blpsim as bs

from .compare import distance

LINEAR, NONLINEAR, SUPPLY = "1 + x + prices", "0 + x", "1 + x + w"
SIGMA, PHI = [[2.5]], (0.4, 0.3)
CASES: dict[str, dict[str, Any]] = {
    "demand": {"types": ("innovations",)},
    "demand, differenced": {"types": ("differenced_innovations",), "W_type": "unadjusted"},
    "both": {"types": ("innovations", "innovations"), "W_type": "clustered", "se_type": "clustered"},
    "both, differenced": {"types": ("differenced_innovations", "differenced_innovations"), "method": "1s"},
    "mixed": {"types": ("innovations", "differenced_innovations"), "center_moments": False},
    "supply alone": {"types": ("levels", "innovations"), "se_type": "unadjusted", "method": "1s"},
    "log costs": {"types": ("innovations", "innovations"), "costs": "log", "initial_update": True},
    "fixed phi": {"types": ("innovations",), "fixed": True, "scale_objective": False},
}


@functools.cache
def products():
    """Return products of a panel with gaps, in no order, with lag_indices."""
    made = bs.Scenario(
        model=bs.Model(linear=LINEAR, nonlinear=NONLINEAR, supply=SUPPLY),
        truth=bs.Parameters(beta=[-4, 4, -1], sigma=[[2.0]], gamma=[2, 1, 0.2]),
        markets=bs.Markets(number=8, firms=5, products_per_firm=5, panel=True),
        characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
        errors=bs.Errors(xi_variance=0.2, omega_variance=0.1, covariance=0.05, phi=0.5),
        consumers=bs.Integration("product", 5),
    )
    frame = made.generate(bs.Streams(seed=3, replication=0)).products
    rng = np.random.default_rng(0)
    frame = frame[rng.uniform(size=len(frame)) > 0.1].sample(frac=1, random_state=1).reset_index(drop=True)
    keys = {
        (t, j): row for row, (t, j) in enumerate(zip(frame["market_ids"], frame["product_ids"], strict=True))
    }
    lags = [keys.get((t - 1, j), row) for (t, j), row in keys.items()]
    sums = frame.groupby("market_ids")["x"].transform("sum")
    columns = {"demand": [frame["w"], sums, frame["w"] ** 2, sums * frame["x"], frame["x"] ** 2]}
    columns["supply"] = [sums, frame["x"] ** 2]
    extra = {f"{side}_instruments{k}": c for side, found in columns.items() for k, c in enumerate(found)}
    return frame.assign(lag_indices=lags, **extra)


def formulas_of(case):
    """Return X1, X3, and starting values of beta and gamma; a constant has no differences."""
    pairs = zip((LINEAR, SUPPLY), case["types"], strict=False)
    formulas = [formula.replace("1", "0", 1) if "diff" in kind else formula for formula, kind in pairs]
    starts = [[np.nan, np.nan, -0.9], [np.nan] * 3]
    values = [start["0" in formula :] for formula, start in zip(formulas, starts, strict=False)]
    return [*formulas, None][:2], values


def options_of(case):
    return {name: value for name, value in case.items() if name not in ("types", "costs", "fixed")}


def types_of(case):
    sides = ("demand_moment_types", "supply_moment_types")
    return dict(zip(sides, case["types"], strict=False))


def own(case, frame=None, optimizer="return", **changes):
    (linear, supply), values = formulas_of(case)
    frame = products() if frame is None else frame
    model = bs.Model(linear=linear, nonlinear=NONLINEAR, supply=supply, costs=case.get("costs", "linear"))
    problem = bs.Problem(model, frame, integration=bs.Integration("product", 5))
    given = dict(zip(("beta", "gamma"), values, strict=False))
    phi = list(PHI[: len(case["types"])])
    if case["types"][0] == "levels":
        phi[0] = 0.0
    free = {"phi[xi]": False} if case.get("fixed") else None
    parameters = bs.Parameters(sigma=SIGMA, phi=phi, free=free, **given)
    gmm = bs.GMM(
        optimizer=bs.Optimizer(optimizer), hessian=False, **options_of(case), **types_of(case), **changes
    )
    return problem.solve(parameters, gmm)


def peer(case):
    ((linear, supply), values), frame = formulas_of(case), products()
    formulations = [pyblp.Formulation(linear), pyblp.Formulation(NONLINEAR)]
    formulations += [pyblp.Formulation(supply)] if supply else []
    pyblp.options.verbose = False
    problem = pyblp.Problem(
        tuple(formulations),
        frame,
        integration=pyblp.Integration("product", 5),
        costs_type=case.get("costs", "linear"),
    )
    phi = np.diag([0.0 if case["types"][0] == "levels" else PHI[0], PHI[1]]) if supply else PHI[0]
    bounds = {"phi_bounds": (PHI[0], PHI[0])} if case.get("fixed") else {}
    given = {name: np.array(v) for name, v in zip(("beta", "gamma"), values, strict=False)}
    return problem.solve(
        sigma=SIGMA,
        phi=phi,
        optimization=pyblp.Optimization("return"),
        check_optimality="gradient",
        **given,
        **bounds,
        **options_of(case),
        **types_of(case),
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_moments_in_innovations_are_pyblps(case):
    """Tolerances are those of the random problems; phi follows the others in our theta, sigma in PyBLP's."""
    ours, theirs = own(case), peer(case)
    count = sum(name.startswith("phi") for name in ours.names)
    assert count == (0 if case.get("fixed") else sum(kind != "levels" for kind in case["types"]))
    gradient = np.concatenate((ours.gradient[:1], ours.gradient[2:], ours.gradient[1:2]))
    assert distance(gradient, theirs.gradient.ravel()) < 1e-7
    assert distance(np.array(ours.objective), np.array(theirs.objective.item())) < 1e-7
    for name in ("delta", "xi", *(("omega",) if len(case["types"]) > 1 else ())):
        assert distance(getattr(ours, name), getattr(theirs, name).ravel()) < 1e-7
    assert distance(np.array(ours.parameters.beta), theirs.beta.ravel()) < 1e-7
    assert distance(ours.moments, theirs.moments.ravel()) < 1e-7
    theirs_errors = [theirs.beta_se.ravel(), theirs.sigma_se.ravel(), theirs.gamma_se.ravel()]
    ours_errors = ours.errors[: len(ours.names) - count]
    assert distance(ours_errors, np.concatenate(theirs_errors)) < 1e-7
    if count:
        assert distance(ours.errors[-count:], np.diag(theirs.phi_se)[-count:]) < 1e-7


def test_product_ids_of_consecutive_markets_are_lags_as_well():
    case = CASES["both"]
    plain = own(case)
    named = own(case, products().drop(columns="lag_indices"))
    assert np.array_equal(plain.gradient, named.gradient)
    assert plain.objective == named.objective
