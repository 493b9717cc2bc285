from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from blpsim.errors import DataError
from blpsim.estimate.inference import (
    inverted,
    moment_covariance,
    moments_jacobian,
    parameter_covariance,
    parameter_sensitivity,
    two_stage_weighting,
)

from .problems import CURVED, DEMAND, SUPPLY, posed
from .refusals import refused

KINDS = ("robust", "clustered", "unadjusted")
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def evaluated(seed):
    problem = posed(seed)
    objective = problem.objective()
    objective(problem.theta)
    return problem.problem.setting, objective


def instruments(setting):
    """Return Z, (M, 2 N): demand moments use xi, supply moments omega."""
    demand, supply = setting.demand_instruments, setting.supply_instruments
    if not setting.supply:
        return demand
    rows, number = len(demand) + len(supply), setting.number
    z = np.zeros((rows, 2 * number))
    z[: len(demand), :number], z[len(demand) :, number:] = demand, supply
    return z


def contributions(setting, residuals):
    """Return g_n, (N, M), a product a row."""
    xi, omega = residuals
    g = (setting.demand_instruments * xi).T
    return np.hstack((g, (setting.supply_instruments * omega).T)) if setting.supply else g


@pytest.mark.parametrize("seed", [DEMAND, SUPPLY])
def test_two_stage_weights_invert_the_instruments_second_moments(seed):
    setting = posed(seed).problem.setting
    weighting, demand = two_stage_weighting(setting), len(setting.demand_instruments)
    for block, z in (
        (slice(demand), setting.demand_instruments),
        (slice(demand, None), setting.supply_instruments),
    ):
        product = weighting[block, block] @ z @ z.T / setting.number
        assert np.allclose(product, np.eye(len(z)), rtol=0, atol=1e-8)
    assert (weighting[:demand, demand:] == 0).all()
    assert (weighting == weighting.T).all()


@EVERY_KIND
@pytest.mark.parametrize("seed", [DEMAND, SUPPLY])
@pytest.mark.parametrize("center", [False, True])
def test_covariances_of_moments_are_symmetric_and_positive(seed, kind, center):
    setting, objective = evaluated(seed)
    covariance = moment_covariance(setting, objective.residuals(), kind, center)
    assert (covariance == covariance.T).all()
    assert np.linalg.eigvalsh(covariance)[0] > 0


@pytest.mark.parametrize("seed", [DEMAND, SUPPLY])
def test_the_robust_covariance_is_the_mean_outer_product_of_contributions(seed):
    setting, objective = evaluated(seed)
    residuals = objective.residuals()
    g = contributions(setting, residuals)
    plain = moment_covariance(setting, residuals, "robust", False)
    centered = moment_covariance(setting, residuals, "robust", True)
    assert np.allclose(plain, np.mean([np.outer(row, row) for row in g], axis=0), rtol=1e-10, atol=1e-12)
    assert np.allclose(centered, np.cov(g.T, bias=True), rtol=1e-10, atol=1e-12)


def test_clusters_sum_contributions_before_they_are_multiplied():
    setting, objective = evaluated(SUPPLY)
    residuals, g = objective.residuals(), contributions(setting, objective.residuals())
    ids = setting.products.columns["clustering_ids"]
    sums = np.array([g[ids == one].sum(axis=0) for one in np.unique(ids)])
    found = moment_covariance(setting, residuals, "clustered", False)
    assert len(sums) < setting.number
    assert np.allclose(found, sums.T @ sums / setting.number, rtol=1e-10, atol=1e-12)


def test_clusters_of_one_product_are_robust():
    setting, objective = evaluated(SUPPLY)
    alone = setting.products.replaced(clustering_ids=np.arange(setting.number))
    single = dataclasses.replace(setting, products=alone)
    clustered, robust = (
        moment_covariance(single, objective.residuals(), kind, True) for kind in ("clustered", "robust")
    )
    assert np.allclose(clustered, robust, rtol=1e-12)


def test_clusters_that_are_not_named_are_asked_for():
    setting, objective = evaluated(SUPPLY)
    columns = {n: c for n, c in setting.products.columns.items() if n != "clustering_ids"}
    unnamed = dataclasses.replace(setting, products=dataclasses.replace(setting.products, columns=columns))
    with refused(DataError, "clustering_ids"):
        moment_covariance(unnamed, objective.residuals(), "clustered", True)


def test_the_unadjusted_covariance_has_the_errors_own_covariance():
    setting, objective = evaluated(SUPPLY)
    xi, omega = objective.residuals()
    sigma = np.cov(np.stack((xi, omega)), bias=True)
    z, number = instruments(setting), setting.number
    expected = z @ np.kron(sigma, np.eye(number)) @ z.T / number
    found = moment_covariance(setting, (xi, omega), "unadjusted", True)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_an_instrument_of_zeros_has_a_weight_of_zero():
    matrix = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 3.0]])
    inverse = inverted(matrix)
    assert np.allclose(inverse, np.linalg.pinv(matrix), rtol=1e-12)
    assert (inverse[1] == 0).all()


def test_a_singular_covariance_is_not_inverted():
    with pytest.raises(np.linalg.LinAlgError):
        inverted(np.ones((2, 2)))


@pytest.mark.parametrize("seed", [DEMAND, SUPPLY, CURVED, 15])
def test_standard_errors_are_the_sandwich_and_the_bread_with_optimal_weights(seed):
    setting, objective = evaluated(seed)
    jacobian, n = objective.jacobian(), setting.number
    parts = [setting.demand_instruments @ jacobian.xi]
    parts += [setting.supply_instruments @ jacobian.omega] if setting.supply else []
    g = np.vstack(parts) / n
    s = moment_covariance(setting, objective.residuals(), "robust", True)
    kept = np.ones(g.shape[1], bool)
    weighting = two_stage_weighting(setting)
    half = np.linalg.inv(g.T @ weighting @ g) @ g.T @ weighting
    found = moments_jacobian(setting, jacobian)
    sandwich = parameter_covariance(found, weighting, s, kept, n)
    optimal = np.linalg.inv(s)
    bread = parameter_covariance(found, optimal, None, kept, n)
    full = parameter_covariance(found, optimal, s, kept, n)
    assert np.allclose(sandwich, half @ s @ half.T / n, rtol=1e-6, atol=1e-12)
    assert np.allclose(bread, full, rtol=1e-5, atol=1e-10)
    assert (np.diag(bread) <= np.diag(sandwich) * (1 + 1e-8)).all()


def test_parameters_at_a_bound_are_dropped_and_the_others_know_it():
    setting, objective = evaluated(SUPPLY)
    g, weighting = moments_jacobian(setting, objective.jacobian()), two_stage_weighting(setting)
    kept = np.array([not name.startswith("sigma[y") for name in posed(SUPPLY).layout.names])
    every = np.ones(kept.sum(), bool)
    found = parameter_covariance(g, weighting, None, kept, setting.number)
    without = parameter_covariance(g[:, kept], weighting, None, every, setting.number)
    assert np.isnan(found[~kept]).all()
    assert np.isnan(found[:, ~kept]).all()
    assert np.array_equal(found[np.ix_(kept, kept)], without)
    sensitivity = parameter_sensitivity(g, weighting, kept)
    assert np.isnan(sensitivity[~kept]).all()
    assert np.array_equal(sensitivity[kept], parameter_sensitivity(g[:, kept], weighting, every))
