from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.streams import Streams
from tests.parity.own import own_gmm, own_parameters, own_problem
from tests.parity.peer import peer_problem, peer_solve
from tests.parity.problems import random_case
from tests.simulate.scenarios import scenario

SEEDS = (0, 1, 2, 3, 5, 8)


@pytest.fixture(scope="module", params=SEEDS)
def solved(request):
    case = random_case(request.param)
    case = dataclasses.replace(case, options=dict(case.options) | {"method": "1s"})
    return case, own_problem(case), peer_solve(case, peer_problem(case))


def test_an_evaluation_has_what_pyblp_finds_at_the_same_values(solved):
    case, problem, peer = solved
    found = problem.evaluate(own_parameters(case), own_gmm(case))
    assert found.status is bs.Status.EVALUATED
    assert found.objective == pytest.approx(peer.objective.item(), rel=1e-8)
    scale = np.abs(peer.gradient).max(initial=0.0)
    np.testing.assert_allclose(found.gradient, peer.gradient.ravel(), rtol=1e-6, atol=1e-7 * scale)
    for name in ("delta", "xi", "moments") + (("omega",) if case.has_supply else ()):
        theirs = getattr(peer, name).ravel()
        np.testing.assert_allclose(getattr(found, name), theirs, rtol=1e-6, atol=1e-8, err_msg=name)
    if case.has_supply:
        theirs = peer.compute_costs().ravel()
        np.testing.assert_allclose(found.economy.implied_costs(), theirs, rtol=1e-7)


def test_a_result_has_the_economy_that_pyblp_sees_at_the_estimate(solved):
    case, problem, peer = solved
    economy = problem.solve(own_parameters(case), own_gmm(case)).economy
    own = peer.extract_diagonals(peer.compute_elasticities()).ravel()
    np.testing.assert_allclose(economy.own_elasticities(), own, rtol=1e-7)
    np.testing.assert_allclose(economy.hhi(), peer.compute_hhi().ravel(), rtol=1e-8)


def estimated(dataset, **changes):
    gmm = bs.GMM(method="1s", optimizer=bs.Optimizer("return"))
    parts = {"integration": bs.Integration("product", 7), "starts": bs.Starts(1, width=0.0), "gmm": gmm}
    return bs.Estimator(**parts | changes).estimate(dataset, Streams(seed=1, replication=0))


@pytest.fixture(scope="module")
def dataset():
    return scenario().generate(Streams(seed=1, replication=0))


def test_an_estimate_has_an_economy_of_the_datasets_type(dataset):
    estimate = estimated(dataset)
    assert type(estimate.economy) is type(dataset.economy)
    np.testing.assert_allclose(estimate.economy.shares(), dataset.economy.products.shares, rtol=1e-9)
    assert estimate.economy.parameters.sigma.item() == 3.0
    ratios = estimate.economy.own_elasticities() / dataset.economy.own_elasticities()
    assert np.median(ratios) == pytest.approx(1, abs=0.05)


def test_an_estimate_of_demand_alone_takes_costs_from_conduct(dataset):
    economy = estimated(dataset, supply=False).economy
    assert economy.costs is None
    prices = dataset.economy.products.prices
    np.testing.assert_allclose(economy.markups(), (prices - economy.implied_costs()) / prices)
    assert (economy.equilibrium().status) is bs.Status.CONVERGED


def test_an_evaluation_that_fails_says_so(solved):
    case, problem, _ = solved
    hasty = dataclasses.replace(own_gmm(case), iteration=bs.Inversion(max_evaluations=1))
    found = problem.evaluate(own_parameters(case), hasty)
    if "nonlinear" not in case.model:
        assert found.status is bs.Status.EVALUATED  # plain logit starts at its solution
        return
    assert found.status is bs.Status.INVERSION_FAILED
    assert np.isnan(found.objective)
    assert np.isnan(found.gradient).all()


def test_an_evaluation_of_what_overflows_is_no_number(dataset):
    economy = dataset.economy
    products = economy.products.frame()
    for k in range(4):
        products[f"demand_instruments{k}"] = products["x"] ** (k + 2) + products["w"]
    problem = bs.Problem(economy.model, products, integration=bs.Integration("product", 7))
    found = problem.evaluate(bs.Parameters(beta=[np.nan, np.nan, -1.0], sigma=[[1e300]]), bs.GMM())
    assert found.status.is_failure
    assert found.economy is None
    for values in (found.objective, found.gradient, found.delta, found.xi, found.costs, found.moments):
        assert np.isnan(values).all()
    assert np.isnan(found.parameters.beta[:2]).all()
