"""Estimates with approximate optimal instruments are PyBLP's, computed at the same first estimate."""

import dataclasses

import numpy as np
import pyblp
import pytest

import blpsim as bs

SCENARIO = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
    markets=bs.Markets(number=20, firms=bs.Choice(2, 5), products_per_firm=bs.Choice(3, 4)),
    characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
    errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    consumers=bs.Integration("monte_carlo", 200),
)
STREAMS = bs.Streams(seed=2020, replication=1)
TIGHT = bs.Optimizer("l-bfgs-b", gtol=1e-8)
TOLERANCE = 1e-5
"""Both optimizers stop where the gradient is about 1e-8, the Hessian being of order one or more."""


def chain(supply):
    sums = bs.Estimator(
        supply=supply,
        integration=bs.Integration("product", 9),
        starts=bs.Starts(1, around="truth", width=0),
        gmm=bs.GMM(method="1s", hessian=False, optimizer=TIGHT),
    )
    optimal = bs.instruments.Optimal(first=sums)
    return dataclasses.replace(
        sums, instruments=optimal, gmm=bs.GMM(method="2s", hessian=False, optimizer=TIGHT)
    )


def peer(economy, first, supply):
    """Return PyBLP's estimates in the order beta, sigma, gamma."""
    formulations = [pyblp.Formulation("1 + x + prices"), pyblp.Formulation("0 + x")]
    formulations += [pyblp.Formulation("1 + x + w")] if supply else []
    names = ("market_ids", "firm_ids", "prices", "shares", "x", "w")
    data = {name: economy.products.columns[name] for name in names}
    data["demand_instruments"] = first.setting.demand_instruments[:-2].T
    if supply:
        data["supply_instruments"] = first.setting.supply_instruments[:-3].T
    problem = pyblp.Problem(tuple(formulations), data, integration=pyblp.Integration("product", 9))
    values = dict(zip(first.best.names, first.best.values, strict=True))
    sigma = values["sigma[x,x]"]
    start = {"beta": [None, None, values["beta[prices]"]]} if supply else {}
    stay = pyblp.Optimization("return")
    result = problem.solve(sigma, method="1s", optimization=stay, check_optimality="gradient", **start)
    instruments = result.compute_optimal_instruments()
    shifters = {"supply_shifter_formulation": pyblp.Formulation("0 + w")} if supply else {}
    second = instruments.to_problem(**shifters)
    optimization = pyblp.Optimization("l-bfgs-b", {"gtol": 1e-8, "ftol": 0})
    found = second.solve(sigma, method="2s", optimization=optimization, check_optimality="gradient", **start)
    return np.concatenate([found.beta.ravel(), found.sigma.ravel(), found.gamma.ravel()])


@pytest.mark.parametrize("supply", [False, True], ids=["demand", "supply"])
def test_estimates_with_optimal_instruments_equal_pyblps(supply):
    dataset = SCENARIO.generate(STREAMS)
    streams = STREAMS.keyed(SCENARIO.stream_key)
    estimator = chain(supply)
    ours = estimator.estimate(dataset, streams)
    first = estimator.instruments.first.solution(dataset, streams)
    theirs = peer(dataset.economy, first, supply)
    assert ours.status.is_usable
    assert np.max(np.abs(ours.values - theirs)) < TOLERANCE * np.max(np.abs(theirs))
