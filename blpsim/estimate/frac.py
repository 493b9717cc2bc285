"""Starting values by FRAC, the fast, robust and approximately correct estimator of Salanie and Wolak (2022).

To second order in random coefficients, log odds are linear: with e_m = sum_k S_k x_km in the market,

    log S_j / S_0 = x_j'b + sum_m (x_jm / 2 - e_m) x_jm V_mm
                          + sum_{m<n} (x_jm x_jn - e_m x_jn - e_n x_jm) V_mn,

where V is the covariance of coefficients and b their mean. Two-stage least squares estimates both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blpsim.arrays import Booleans, Integers, Matrix, Vector
from blpsim.errors import ConfigurationError
from blpsim.estimate.setting import Setting
from blpsim.model.layout import Layout
from blpsim.model.model import Model

_COLLINEAR = 1e-8
_SMALLEST = 0.1
"""What a random coefficient's standard deviation adds to utility at least: the gradient vanishes at zero."""


class Artificial(NamedTuple):
    """Regressors that random coefficients add to those of logit."""

    random: Integers
    """(R,) X2 columns with random coefficients."""
    pairs: Integers
    """(C, 2) pairs of them, by their place in random, whose covariance is estimated."""
    covariances: Matrix
    """(N, C) regressors whose coefficients are these covariances."""
    means: Matrix
    """(N, E) regressors whose coefficients are the estimated elements of pi."""


def check_frac(field: str, model: Model, *, differs_by_product: bool) -> None:
    """Refuse models that the expansion is not of.

    differs_by_product  whether something about an agent does

    Raises
    ------
    ConfigurationError
        For models with nests, with coefficients that are no linear functions of tastes, and with
        demographics or choice sets that differ by agent and product.
    """
    if differs_by_product:
        why = "in the expansion an agent's choice set and demographics are the same for all products"
        raise ConfigurationError(field, "frac", "other starts where these differ by product", why)
    if model.nests is not None:
        why = "the expansion is that of logit without nests"
        raise ConfigurationError(field, "frac", "other starts for a model with nests", why)
    if any(rc_type != "linear" for rc_type in model.rc_types or ()):
        why = "FRAC estimates the covariance of coefficients, which are linear in sigma and pi"
        raise ConfigurationError(field, "frac", f"other starts for rc_types {model.rc_types}", why)


def frac_start(setting: Setting, layout: Layout) -> Vector:
    """Return theta, (P,), as FRAC estimates it; elements that it does not identify stay where they are.

    Sigma is the lower triangular root of the covariances, which are made positive definite: each
    coefficient's standard deviation, times the root mean square of its characteristic, is a tenth or more.
    Elements of pi follow to first order from how means of demographics vary between markets. Gamma stays.
    """
    artificial = _artificial(setting, layout)
    added = np.hstack((artificial.covariances, artificial.means))
    response = setting.start_delta * setting.model.epsilon_scale
    if setting.demand_absorber is not None:
        response = setting.demand_absorber.residualize(response)
        added = setting.demand_absorber.residualize(added) if added.shape[1] else added
    regressors = np.hstack((setting.x1.T, added))
    coefficients = _two_stage(response, regressors, setting.demand_instruments.T)
    beta, covariances, means = np.split(
        coefficients, np.cumsum([len(setting.x1), artificial.pairs.shape[0]]).tolist()
    )
    return _theta(layout, beta, _sigma(setting, layout, artificial, covariances), means)


def _artificial(setting: Setting, layout: Layout) -> Artificial:
    products, x2 = setting.products, setting.columns.x2.values(setting.products.columns)
    loads = layout.sigma0 != 0
    loads[layout.sigma_rows, layout.sigma_cols] = True
    random = np.flatnonzero(loads.any(axis=1))
    common = (loads[random].astype(np.int64) @ loads[random].T.astype(np.int64)) > 0
    pairs = np.argwhere(np.triu(common)).reshape(-1, 2)
    counts, starts = np.diff(products.market_offsets), products.market_offsets[:-1]
    x = x2[:, random]
    inside = np.repeat(np.add.reduceat(products.shares[:, None] * x, starts, axis=0), counts, axis=0)
    first, second = pairs[:, 0], pairs[:, 1]
    covariances = x[:, first] * x[:, second] - inside[:, first] * x[:, second]
    covariances -= inside[:, second] * x[:, first]
    covariances[:, first == second] /= 2
    means = np.repeat(_mean_demographics(setting), counts, axis=0)[:, layout.pi_cols]
    unit = setting.model.epsilon_scale
    return Artificial(random, pairs, covariances / unit, x2[:, layout.pi_rows] * means)


def _mean_demographics(setting: Setting) -> Matrix:
    """Return the means of demographics, (T, D)."""
    agents = setting.agents
    starts = agents.market_offsets[:-1]
    sums = np.add.reduceat(agents.demographics * agents.weights, starts, axis=1)
    return np.asarray((sums / np.add.reduceat(agents.weights, starts)).T, np.float64)


def _two_stage(response: Vector, regressors: Matrix, instruments: Matrix) -> Vector:
    """Return two-stage least squares' coefficients, NaN where instruments or earlier columns leave none."""
    basis = np.linalg.qr(instruments)[0]
    fitted = basis.T @ regressors
    kept = _independent(fitted, np.linalg.norm(regressors, axis=0))
    coefficients = np.full(regressors.shape[1], np.nan)
    coefficients[kept] = np.linalg.lstsq(fitted[:, kept], basis.T @ response, rcond=None)[0]
    return coefficients


def _independent(columns: Matrix, scales: Vector) -> Booleans:
    """Return which columns, (P,), are no combination of those before them; scales are their sizes."""
    kept = np.zeros(columns.shape[1], np.bool_)
    basis = np.empty((columns.shape[0], 0))
    for k, column in enumerate(columns.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > _COLLINEAR * max(scales[k], _COLLINEAR):
            kept[k] = True
            basis = np.column_stack((basis, rest / size))
    return kept


def _sigma(setting: Setting, layout: Layout, artificial: Artificial, covariances: Vector) -> Matrix:
    """Return the root of the covariances, (K2, K2), NaN in rows with one that is not identified."""
    random, pairs = artificial.random, artificial.pairs
    x = setting.columns.x2.values(setting.products.columns)[:, random]
    sizes = np.sqrt(np.maximum((x**2).mean(axis=0), np.finfo(float).tiny))
    scaled = np.zeros((random.size, random.size))
    scaled[pairs[:, 0], pairs[:, 1]] = scaled[pairs[:, 1], pairs[:, 0]] = covariances
    unknown = np.asarray(np.isnan(scaled).any(axis=1), np.bool_)
    scaled = np.where(unknown[:, None] | unknown, np.eye(random.size), scaled * np.outer(sizes, sizes))
    values, vectors = np.linalg.eigh(scaled)
    positive = (vectors * np.maximum(values, _SMALLEST**2)) @ vectors.T
    root = np.linalg.cholesky(positive) / sizes[:, None]
    root[unknown] = np.nan
    sigma = np.zeros_like(layout.sigma0)
    sigma[np.ix_(random, random)] = root
    return sigma


def _theta(layout: Layout, beta: Vector, sigma: Matrix, means: Vector) -> Vector:
    theta = layout.theta0.copy()
    parts = (sigma[layout.sigma_rows, layout.sigma_cols], means)
    found = np.full(theta.size, np.nan)
    found[: layout.nonlinear] = np.concatenate((*parts, layout.rho0[layout.rho_moved]))
    start = layout.nonlinear
    found[start : start + layout.beta_moved.size] = beta[layout.beta_moved]
    return np.where(np.isfinite(found), found, theta)
