"""Estimates with approximate optimal instruments are PyBLP's, computed at the same first estimate."""

import dataclasses

import numpy as np
import pytest

import blpsim as bs

from .solved import TOLERANCE, solved_by_both

SCENARIO = bs.Scenario(
    model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
    truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
    markets=bs.Markets(number=20, firms=bs.Choice(2, 5), products_per_firm=bs.Choice(3, 4)),
    characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1)},
    errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    consumers=bs.Integration("monte_carlo", 200),
)
LOGNORMAL = dataclasses.replace(
    SCENARIO,
    model=bs.Model(linear="1 + x", nonlinear="0 + I(-prices)", rc_types=("log",), supply="1 + x + w"),
    truth=bs.Parameters(beta=[1, 3], sigma=[[0.5]], gamma=[2, 1, 1]),
)
STREAMS = bs.Streams(seed=2020, replication=1)
TIGHT = bs.Optimizer("l-bfgs-b", gtol=1e-8)


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


@pytest.mark.parametrize("scenario", [SCENARIO, LOGNORMAL], ids=["random x", "lognormal price"])
@pytest.mark.parametrize("supply", [False, True], ids=["demand", "supply"])
def test_estimates_with_optimal_instruments_equal_pyblps(scenario, supply):
    dataset = scenario.generate(STREAMS)
    ours, theirs = solved_by_both(chain(supply), dataset, STREAMS.keyed(scenario.stream_key))
    assert ours.status.is_usable
    assert np.max(np.abs(ours.values - theirs.values)) < TOLERANCE * np.max(np.abs(theirs.values))
