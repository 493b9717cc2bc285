"""Tests, sensitivity, simulation error and the bootstrap, as PyBLP 1.3.0 has them.

Elements are compared with the largest of PyBLP's: both packages reach mean utilities to 1e-13, which
inverse covariances of moments magnify to 1e-9.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np
import pyblp
import pytest

import blpsim as bs
from blpsim.estimate.bootstrap import drawn_economy

from .case import Case, Columns
from .compare import TOLERANCE, distance, flat
from .own import own_gmm, own_parameters, own_problem, own_solve
from .peer import peer_problem, peer_solve, stacked
from .problems import random_case

SEEDS = (0, 3, 4, 5, 7, 9)
"""Demand alone and with supply, fixed effects, bounded costs; each kind of covariance, one and two steps."""

OWN_NODES = (4, 7)
"""Of these, those whose agents are given, without and with a supply side."""


class Both(NamedTuple):
    case: Case
    ours: Any
    theirs: pyblp.ProblemResults
    order: Any
    """Places in blpsim's names of PyBLP's parameters."""


@functools.cache
def both(seed):
    """Return both packages' results at a random problem's start."""
    case = random_case(seed)
    ours = own_solve(case, own_problem(case))
    bound = ours.origin.layout
    order = np.concatenate((bound.theta_positions, bound.concentrated_positions))
    return Both(case, ours, peer_solve(case, peer_problem(case)), order)


@pytest.mark.parametrize("seed", SEEDS)
def test_sensitivities_and_what_they_follow_from_equal_pyblps(seed):
    _, ours, theirs, order = both(seed)
    assert distance(ours.moments_jacobian[:, order], theirs.moments_jacobian) < TOLERANCE
    assert distance(ours.moments_covariances, theirs.moments_covariances) < TOLERANCE
    assert distance(ours.parameter_sensitivity[order], theirs.parameter_sensitivity) < TOLERANCE
    covariance = theirs.parameter_covariances / ours.delta.size
    assert distance(ours.covariance[np.ix_(order, order)], covariance) < TOLERANCE


@pytest.mark.parametrize("seed", SEEDS)
def test_statistics_of_hansen_lm_and_wald_equal_pyblps(seed):
    _, ours, theirs, order = both(seed)
    assert ours.run_hansen_test().statistic == pytest.approx(theirs.run_hansen_test(), rel=TOLERANCE)
    assert ours.run_lm_test(2).statistic == pytest.approx(theirs.run_lm_test(), rel=TOLERANCE)
    jacobian = np.random.default_rng(seed).normal(size=(2, order.size))
    restricted, placed = jacobian @ ours.values[order] - 1, np.zeros_like(jacobian)
    placed[:, order] = jacobian
    expected = theirs.run_wald_test(restricted, jacobian)
    assert ours.run_wald_test(restricted, placed).statistic == pytest.approx(expected, rel=TOLERANCE)
    found = ours.run_wald_test(lambda values: placed @ values - 1)
    assert found.statistic == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_distance_statistic_equals_pyblps(scaled):
    case = random_case(4)
    case = dataclasses.replace(case, options=dict(case.options) | {"scale_objective": scaled})
    fixed = {name: np.array(value) for name, value in case.parameters.items()}
    fixed["sigma"] = np.zeros_like(fixed["sigma"])
    simple = dataclasses.replace(case, parameters=fixed)
    ours = [own_solve(each, own_problem(each)) for each in (simple, case)]
    theirs = [peer_solve(each, peer_problem(each)) for each in (simple, case)]
    found = ours[0].run_distance_test(ours[1])
    expected = float(np.squeeze(theirs[0].run_distance_test(theirs[1])))
    assert found.statistic == pytest.approx(expected, rel=TOLERANCE)
    assert found.degrees_of_freedom == len(ours[1].names) - len(ours[0].names)


def resampled(case: Case, index: int) -> Columns | None:
    """Return the case's agents with other nodes, four times."""
    if index == 4:
        return None
    generator, agents = np.random.default_rng([7, index]), dict(case.agents or {})
    for name in agents:
        if name.startswith("nodes"):
            agents[name] = generator.normal(size=agents[name].size)
    return agents


def both_resampled(seed, **options):
    """Return both packages' results when agents are resampled."""
    case = random_case(seed)
    case = dataclasses.replace(case, options=dict(case.options) | options)
    gmm = dataclasses.replace(own_gmm(case), resample_agents=functools.partial(resampled, case))
    ours = own_problem(case).solve(own_parameters(case), gmm)
    theirs = dataclasses.replace(
        case,
        options=dict(case.options)
        | {
            "resample_agent_data": lambda index: (
                None if (agents := resampled(case, index)) is None else stacked(agents, "nodes")
            )
        },
    )
    return ours, peer_solve(theirs, peer_problem(case))


@pytest.mark.parametrize("seed", OWN_NODES)
def test_the_covariance_of_moments_across_resampled_agents_equals_pyblps(seed):
    ours, theirs = both_resampled(seed, method="1s")
    assert distance(ours.simulation_covariances, theirs.simulation_covariances) < TOLERANCE


@pytest.mark.parametrize("seed", OWN_NODES)
def test_s_has_the_simulation_error_of_averages_times_the_number_of_products(seed):
    """PyBLP adds it once: ``test_deviations`` says why that is too little."""
    ours, theirs = both_resampled(seed, method="1s")
    once = theirs.moments_covariances - theirs.simulation_covariances
    expected = once + ours.delta.size * theirs.simulation_covariances
    assert distance(ours.moments_covariances, expected) < TOLERANCE


def drawn(theirs: Any, index: int, layout: Any) -> Any:
    """Return the parameters of one of PyBLP's draws, in the order of blpsim's names."""
    sigma, pi = theirs.bootstrapped_sigma[index], theirs.bootstrapped_pi[index]
    rho = flat(theirs.bootstrapped_rho[index])[layout.rho_moved]
    parts = sigma[layout.sigma_rows, layout.sigma_cols], pi[layout.pi_rows, layout.pi_cols], rho
    beta, gamma = (flat(block[index]) for block in (theirs.bootstrapped_beta, theirs.bootstrapped_gamma))
    moved = beta[layout.beta_moved], gamma[layout.gamma_moved]
    return layout.values(np.concatenate((*parts, *moved)), beta, gamma)


@pytest.mark.parametrize("seed", [4, 13, 20, 37, 46])
def test_the_economies_of_pyblps_draws_have_its_mean_utilities_prices_and_shares(seed):
    case, ours, result, _ = both(seed)
    theirs = result.bootstrap(draws=3, seed=seed)
    layout = ours.origin.layout
    for index in range(3):
        values = drawn(theirs, index, layout)
        found = drawn_economy(ours.economy, layout, values, case.has_supply)
        assert found is not None
        frame = found.products.frame()
        assert distance(found.delta, flat(theirs.bootstrapped_delta[index])) < TOLERANCE
        assert distance(frame["prices"].to_numpy(), flat(theirs.bootstrapped_prices[index])) < TOLERANCE
        assert distance(frame["shares"].to_numpy(), flat(theirs.bootstrapped_shares[index])) < TOLERANCE
        assert distance(found.shares(), frame["shares"].to_numpy()) < TOLERANCE


def test_draws_have_the_estimates_mean_and_covariance():
    """Three Monte Carlo errors of a mean, and four of a covariance in units of standard deviations."""
    ours, number = both(4).ours, 4_000
    draws = ours.bootstrap(draws=number, seed=1).values
    inside = (np.diag(ours.covariance) ** 0.5 * 4 < np.abs(ours.values)) | np.array(
        [not name.startswith("sigma") for name in ours.names]
    )
    scaled = ((draws - ours.values) / ours.errors)[:, inside]
    correlation = (ours.covariance / np.outer(ours.errors, ours.errors))[np.ix_(inside, inside)]
    assert np.abs(scaled.mean(axis=0)).max() < 3.5 / np.sqrt(number)
    assert np.abs(np.cov(scaled.T) - correlation).max() < 4 * np.sqrt(2 / number)
    assert inside.sum() > 1
    assert isinstance(ours, bs.Result)
