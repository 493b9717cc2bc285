"""Weighting matrices, covariances of moments, and standard errors, as PyBLP defines them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.errors import DataError
from blpsim.estimate.objective import Jacobian, Objective
from blpsim.estimate.resampling import simulation_error
from blpsim.estimate.setting import Setting
from blpsim.status import Status


class Inference(NamedTuple):
    """How sure estimates are, and what that follows from; fields are those of ``Result``."""

    moments_jacobian: Matrix
    moments_covariances: Matrix
    simulation_covariances: Matrix
    parameter_sensitivity: Matrix
    covariance: Matrix
    """(P, P) of the estimates."""
    status: Status
    """EVALUATED, SINGULAR where rounding makes a variance negative, or why resampled agents failed."""


def two_stage_weighting(setting: Setting) -> Matrix:
    """Return blockdiag((Z'Z / N)^{-1}), (M, M)."""
    demand, supply = setting.demand_instruments, setting.supply_instruments
    weighting = np.zeros((setting.moments,) * 2)
    crossed = (len(demand) + len(supply), setting.covariance_instruments)
    for start, z in ((0, demand), (len(demand), supply), crossed):
        if len(z):
            block = inverted(z @ z.T / setting.number)
            weighting[start : start + len(z), start : start + len(z)] = (block + block.T) / 2
    return weighting


def with_block(matrix: Matrix, block: Matrix) -> Matrix:
    """Return blockdiag(matrix, block), which is the matrix itself where the block is empty."""
    if not block.size:
        return matrix
    size, whole = len(matrix), len(matrix) + len(block)
    both = np.zeros((whole, whole))
    both[:size, :size], both[size:, size:] = matrix, block
    return both


def objective_covariance(objective: Objective, kind: str) -> Matrix:
    """Return S, (M, M), at the last evaluation: zero between moments of products and of micro data."""
    residuals, center = objective.moment_residuals(), objective.gmm.center_moments
    macro = moment_covariance(objective.setting, residuals, kind, center)
    return with_block(macro, objective.micro_covariance())


def inverted(matrix: Matrix) -> Matrix:
    """Return the inverse of a symmetric matrix, or its pseudo-inverse when rows are zero.

    An optimal instrument for a sigma that is estimated to be zero is zero.
    """
    empty = ~matrix.any(axis=0)
    if not empty.any():
        return np.asarray(np.linalg.inv(matrix), np.float64)
    inverse = np.zeros_like(matrix)
    kept = np.ix_(~empty, ~empty)
    inverse[kept] = np.linalg.inv(matrix[kept])
    return inverse


def moment_covariance(setting: Setting, residuals: tuple[Vector, ...], kind: str, center: bool) -> Matrix:
    """Return S, (M, M), from xi and omega, and xi omega less its mean with covariance moments, (N,) each.

    Source: the robust, clustered and unadjusted covariances of Conlon and Gortmaker (2020).
    """
    xi, omega, *products = residuals
    demand, supply = setting.demand_instruments, setting.supply_instruments
    if kind == "unadjusted":
        errors = [(xi, demand), (omega, supply)] if setting.supply else [(xi, demand)]
        errors += [(product, setting.covariance_instruments) for product in products]
        blocks = [[_covariance(u, v) * (y @ z.T) for v, z in errors] for u, y in errors]
        covariance = np.block(blocks) / setting.number
    else:
        g = np.empty((setting.moments, setting.number))
        np.multiply(demand, xi, out=g[: len(demand)])
        if setting.supply:
            np.multiply(supply, omega, out=g[len(demand) : len(demand) + len(supply)])
        for product in products:
            np.multiply(setting.covariance_instruments, product, out=g[len(demand) + len(supply) :])
        if center:
            g -= g.mean(axis=1, keepdims=True)
        if kind == "clustered":
            codes = pd.factorize(_clusters(setting))[0]
            g = np.array([np.bincount(codes, row) for row in g])
        covariance = g @ g.T / setting.number
    return (covariance + covariance.T) / 2


def moments_jacobian(setting: Setting, jacobian: Jacobian) -> Matrix:
    """Return the derivatives of the averaged moments by all that is estimated, G, (M, P)."""
    demand = setting.demand_instruments @ jacobian.xi
    supply = setting.supply_instruments @ jacobian.omega
    blocks = [demand, supply]
    if jacobian.product is not None:
        blocks.append(setting.covariance_instruments @ jacobian.product)
    return np.asarray(np.vstack(blocks) / setting.number, np.float64)


def parameter_covariance(
    g: Matrix, weighting: Matrix, moments: Matrix | None, kept: Booleans, number: int
) -> Matrix:
    """Return the covariance of estimates, (P, P); NaN for parameters that are not kept.

    g        (M, P) derivatives of the averaged moments
    moments  (M, M) covariance of moments, or None when the weighting matrix is its inverse
    kept     (P,) parameters that are not at a bound
    number   N
    """
    g = np.ascontiguousarray(g[:, kept])
    covariance = np.linalg.inv(g.T @ weighting @ g)
    if moments is not None:
        covariance = covariance @ g.T @ weighting @ moments @ weighting @ g @ covariance
    covariance = (covariance + covariance.T) / 2 / number
    if kept.all():
        return np.asarray(covariance, np.float64)
    full = np.full((kept.size, kept.size), np.nan)
    full[np.ix_(kept, kept)] = covariance
    return full


def parameter_sensitivity(g: Matrix, weighting: Matrix, kept: Booleans) -> Matrix:
    """Return how estimates move with the averaged moments, -(G'WG)^{-1}G'W, (P, M); NaN as above.

    Source: Andrews, Gentzkow and Shapiro (2017).
    """
    full = np.full(g.T.shape, np.nan)
    g = g[:, kept]
    full[kept] = -np.linalg.solve(g.T @ weighting @ g, g.T @ weighting)
    return full


def inferred(objective: Objective, kept: Booleans) -> Inference:
    """Return what follows from the moments' covariance at the last evaluation.

    kept  (P,) parameters that are not at a bound
    """
    setting, gmm = objective.setting, objective.gmm
    simulation = simulation_error(objective)
    moments = objective_covariance(objective, gmm.se_type)
    moments = simulation.added(moments, setting.number)
    unadjusted = gmm.se_type == "unadjusted"
    used = objective.moments.weighting
    weighting = inverted(moments) if unadjusted and gmm.method == "1s" else used
    g = moments_jacobian(setting, objective.moment_jacobian())
    if objective.micro is not None:
        g = np.vstack((g, objective.micro_jacobian()))
    between = None if unadjusted else moments
    covariance = parameter_covariance(g, weighting, between, kept, setting.number)
    sensitivity = parameter_sensitivity(g, weighting, kept)
    status = simulation.status
    if status is Status.EVALUATED and not (np.diag(covariance)[kept] >= 0).all():
        status = Status.SINGULAR
    return Inference(g, moments, simulation.covariances, sensitivity, covariance, status)


def _covariance(u: Vector, v: Vector) -> float:
    return float(np.mean((u - u.mean()) * (v - v.mean())))


def _clusters(setting: Setting) -> Vector:
    if "clustering_ids" not in setting.products.columns:
        why = "clustered covariances need them"
        raise DataError("clustering_ids", "no such column", "a cluster for each product", why)
    clusters: Vector = setting.products.columns["clustering_ids"]
    return clusters
