"""Optimal instruments (Conlon and Gortmaker 2020, Algorithm 2; equations 30 and 31).

Expected derivatives of xi and omega with respect to parameters, weighted by the inverse covariance of xi
and omega. Prices are those in equilibrium, or without a supply side their projection on the exogenous
variables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from blpsim.arrays import Booleans, Integers, Matrix, Vector
from blpsim.estimate.realizations import Errors, Fitted, expectation
from blpsim.estimate.setting import Setting
from blpsim.model.instruments import Excluded
from blpsim.model.panel import Products, numbered

_ROUNDING = 1e-10
_CONSTANT = "1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptimalInstruments:
    """Optimal instruments at an estimate; arrays of products are in the order of the user's rows."""

    demand_instruments: Matrix = field(repr=False)
    """(N, MD) all that are excluded: weighted derivatives by theta, then without a supply side X1 at expected
    prices, with one the X3 columns that X1 lacks."""
    supply_instruments: Matrix = field(repr=False)
    """(N, MS) weighted derivatives, then X3 columns with shares concentrated out, at expected ones, then
    the X1 columns that X3 lacks; MS = 0 without a supply side."""
    expected_prices: Vector = field(repr=False)
    """(N,) means over draws, as all that is expected."""
    expected_shares: Vector = field(repr=False)
    """(N,)."""
    expected_xi_by_theta_jacobian: Matrix = field(repr=False)
    """(N, P)."""
    expected_omega_by_theta_jacobian: Matrix = field(repr=False)
    """(N, P), zero without a supply side."""
    inverse_covariance_matrix: Matrix = field(repr=False)
    """(2, 2) of xi and omega; (1, 1) one without a supply side, whose variance only scales instruments."""
    draws: int
    """Draws of xi and omega."""
    failed_draws: Integers = field(repr=False)
    """(T,) draws that had no equilibrium in a market, and do not count there."""
    _products: Products = field(repr=False)

    @property
    def products(self) -> pd.DataFrame:
        """The products, N rows, with these excluded instruments in place of theirs: data of a new problem."""
        frame = self._products.frame()
        for name, matrix in (
            ("demand_instruments", self.demand_instruments),
            ("supply_instruments", self.supply_instruments),
        ):
            frame = frame.drop(columns=numbered(self._products.columns, name))
            added = {f"{name}{k}": column for k, column in enumerate(matrix.T)}
            frame = frame.assign(**added)
        return frame

    @property
    def excluded(self) -> Excluded:
        """The excluded instruments."""
        return Excluded(self.demand_instruments, self.supply_instruments)


def optimal_instruments(
    fitted: Fitted, errors: Iterable[Errors], expected_prices: Vector | None = None
) -> OptimalInstruments | None:
    """Return the instruments at an estimate; None when some market has no equilibrium with any errors.

    expected_prices  (N,) in internal order; None for those in equilibrium with each draw, or without a
                     supply side or with costs that depend on quantities their projection on the exogenous
    """
    setting = fitted.setting
    if expected_prices is None and not (setting.supply and setting.constant_costs):
        expected_prices = projected_prices(setting)
    expected = expectation(fitted, errors, expected_prices)
    if (expected.failed == expected.draws).any():
        return None
    kept = _needed(fitted)
    d_xi, d_omega = (_cleaned(part[:, kept]) for part in (expected.d_xi, expected.d_omega))
    if setting.supply:
        inverse: Matrix = np.linalg.inv(np.cov(fitted.xi, fitted.omega, bias=True)).astype(np.float64)
        demand = d_xi * inverse[0, 0] + d_omega * inverse[0, 1]
        supply = d_xi * inverse[1, 0] + d_omega * inverse[1, 1]
        supply = np.hstack((supply, _bought(fitted, expected.shares)))
        others = _shifters(setting)
    else:
        inverse, demand, supply = np.ones((1, 1)), d_xi, np.empty((setting.number, 0))
        others = (_priced(fitted, expected.prices), supply)
    restored = setting.products.restored
    return OptimalInstruments(
        demand_instruments=restored(np.hstack((demand, others[0]))),
        supply_instruments=restored(np.hstack((supply, others[1]))),
        expected_prices=restored(expected.prices),
        expected_shares=restored(expected.shares),
        expected_xi_by_theta_jacobian=restored(expected.d_xi),
        expected_omega_by_theta_jacobian=restored(expected.d_omega),
        inverse_covariance_matrix=inverse,
        draws=expected.draws,
        failed_draws=expected.failed,
        _products=setting.products,
    )


def projected_prices(setting: Setting) -> Vector:
    """Return the projection of prices on demand's instruments, (N,); fixed effects of prices stay."""
    z, prices = setting.demand_instruments.T, setting.products.prices
    if setting.demand_absorber is None:
        return np.asarray(z @ np.linalg.lstsq(z, prices, rcond=None)[0], np.float64)
    within = setting.demand_absorber.residualize(prices)
    fitted = z @ np.linalg.lstsq(z, within, rcond=None)[0]
    return np.asarray(fitted + prices - within, np.float64)


def _needed(fitted: Fitted) -> Booleans:
    """Return which of theta, (P,), need instruments: not the coefficients of exogenous columns."""
    x1, layout = fitted.setting.columns.x1, fitted.layout
    kept = np.ones(layout.theta0.size, np.bool_)
    start = layout.nonlinear
    kept[start : start + layout.beta_moved.size] = x1.depends_on_prices[layout.beta_moved]
    supply, gamma = start + layout.beta_moved.size, layout.gamma_moved
    kept[supply:] = False
    kept[supply : supply + gamma.size] = fitted.setting.columns.x3.depends_on_shares[gamma]
    return kept


def _cleaned(derivatives: Matrix) -> Matrix:
    """Return derivatives, (N, P), with zero for those that rounding alone makes differ from it.

    With symmetric nodes nothing moves with a sigma that is estimated to be zero.
    """
    return np.where(np.abs(derivatives).max(axis=0) < _ROUNDING, 0.0, derivatives)


def _priced(fitted: Fitted, prices: Vector) -> Matrix:
    """Return X1 columns with prices whose coefficients are concentrated out, (N, E), at these prices."""
    setting = fitted.setting
    data = setting.products.replaced(prices=prices).columns
    concentrated = np.isnan(fitted.layout.beta0) & setting.columns.x1.depends_on_prices
    return setting.columns.x1.values(data)[:, concentrated]


def _bought(fitted: Fitted, shares: Vector) -> Matrix:
    """Return X3 columns with shares whose coefficients are concentrated out, (N, E), at these shares."""
    setting = fitted.setting
    data = setting.products.replaced(shares=shares).columns
    concentrated = np.isnan(fitted.layout.gamma0) & setting.columns.x3.depends_on_shares
    return setting.columns.x3.values(data)[:, concentrated]


def _shifters(setting: Setting) -> tuple[Matrix, Matrix]:
    """Return the other equation's exogenous columns, (N, A) and (N, B), that an equation lacks.

    As in PyBLP, a constant shifts nothing.
    """
    data, (x1, _, x3) = setting.products.columns, setting.columns[:3]
    demand, supply = x1.values(data), x3.values(data)
    exogenous = [name for name, priced in zip(x1.names, x1.depends_on_prices, strict=True) if not priced]
    fixed = zip(x3.names, x3.depends_on_shares, strict=True)
    lacking = [k for k, (n, s) in enumerate(fixed) if not s and n not in (*exogenous, _CONSTANT)]
    had = (*x3.names, _CONSTANT)
    missing = [k for k, name in enumerate(x1.names) if name in exogenous and name not in had]
    return supply[:, lacking], demand[:, missing]
