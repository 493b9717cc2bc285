"""Approximate optimal instruments (Conlon and Gortmaker 2020, Algorithm 2; equations 30 and 31).

Expected derivatives of xi and omega with respect to parameters, at xi = omega = 0, weighted by the inverse
covariance of xi and omega. Prices are those in equilibrium, or without a supply side their projection on
the exogenous variables.
"""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Matrix, Tastes, Vector
from blpsim.economy.equilibrium import PricedDemand, equilibrium_prices, shares_at_prices
from blpsim.estimate.gmm import GMM
from blpsim.estimate.objective import Objective
from blpsim.estimate.result import Result
from blpsim.estimate.setting import Setting, make_setting
from blpsim.model.instruments import Excluded
from blpsim.model.layout import Layout
from blpsim.model.nests import nested
from blpsim.model.panel import offsets

_ROUNDING = 1e-10


def optimal_instruments(setting: Setting, layout: Layout, result: Result) -> Excluded | None:
    """Return the excluded instruments, (N, MD) and (N, MS), at an estimate; None without an equilibrium.

    setting  the first estimation's, whose rows are in internal order, as are the result's
    """
    fitted = _fitted_demand(setting, result)
    prices = _expected_prices(setting, result, fitted)
    if prices is None:
        return None
    expected = _at_prices(setting, fitted, prices)
    jacobian = _expected_jacobian(expected, layout, result)
    if not setting.supply:
        at_prices = expected.columns.x1.values(expected.products.columns)[:, setting.price_columns]
        return Excluded(np.hstack((jacobian[0], at_prices)), np.empty((setting.number, 0)))
    inverse = np.linalg.inv(np.cov(result.xi, result.omega, bias=True))
    demand = jacobian[0] * inverse[0, 0] + jacobian[1] * inverse[0, 1]
    supply = jacobian[0] * inverse[1, 0] + jacobian[1] * inverse[1, 1]
    shifters = _shifters(setting)
    return Excluded(np.hstack((demand, shifters[0])), np.hstack((supply, shifters[1])))


def _fitted_demand(setting: Setting, result: Result) -> PricedDemand:
    """Return demand with xi = 0, fixed effects kept."""
    columns, products = setting.columns, setting.products
    blocks = result.parameters.blocks(columns.names)
    used = (blocks.sigma != 0).any(axis=0)
    return PricedDemand(
        data=products.columns,
        delta=result.delta - result.xi,
        x1=columns.x1,
        x2=columns.x2,
        tastes=Tastes(blocks.sigma, blocks.pi, blocks.beta[setting.price_columns], columns.links),
        consumers=setting.agents.consumers(used if columns.x2.names else None),
        offsets=offsets(products, setting.agents),
        nested=nested(setting.model, products, blocks.rho),
    )


def _expected_prices(setting: Setting, result: Result, fitted: PricedDemand) -> Vector | None:
    if not setting.supply:
        z = setting.demand_instruments.T
        coefficients = np.linalg.lstsq(z, setting.products.prices, rcond=None)[0]
        return np.asarray(z @ coefficients, np.float64)
    log_costs = setting.model.costs == "log"
    transformed = (np.log(result.costs) if log_costs else result.costs) - result.omega
    found = equilibrium_prices(fitted, np.exp(transformed) if log_costs else transformed)
    return found.prices if found.status.is_usable else None


def _at_prices(setting: Setting, fitted: PricedDemand, prices: Vector) -> Setting:
    """Return the setting with other prices, and the shares that demand has there."""
    shares = shares_at_prices(fitted, prices)
    products = setting.products.replaced(prices=prices, shares=shares)
    priced = setting.columns.x1.values(products.columns)[:, setting.price_columns]
    excluded = (priced, np.empty((setting.number, 0)))
    return make_setting(setting.model, products, setting.agents, excluded, setting.supply)


def _expected_jacobian(expected: Setting, layout: Layout, result: Result) -> tuple[Matrix, Matrix]:
    """Return derivatives of xi and omega, (N, P) each, for what the optimizer moves."""
    theta = result.values[layout.theta_positions]
    moments = len(expected.demand_instruments) + len(expected.supply_instruments)
    objective = Objective(expected, layout, GMM(), np.eye(moments))
    objective(theta)
    jacobian = objective.jacobian()
    kept = layout.theta_positions
    return _cleaned(jacobian.xi[:, kept]), _cleaned(jacobian.omega[:, kept])


def _cleaned(derivatives: Matrix) -> Matrix:
    """Return derivatives, (N, P), with zero for those that rounding alone makes differ from it.

    With symmetric nodes nothing moves with a sigma that is estimated to be zero.
    """
    return np.where(np.abs(derivatives).max(axis=0) < _ROUNDING, 0.0, derivatives)


def _shifters(setting: Setting) -> tuple[Matrix, Matrix]:
    """Return the other equation's exogenous columns, (N, A) and (N, B), that an equation lacks."""
    data, (x1, _, x3) = setting.products.columns, setting.columns[:3]
    demand, supply = x1.values(data), x3.values(data)
    exogenous = [name for name, priced in zip(x1.names, x1.depends_on_prices, strict=True) if not priced]
    lacking = [k for k, name in enumerate(x3.names) if name not in exogenous]
    missing = [k for k, name in enumerate(x1.names) if name in exogenous and name not in x3.names]
    return supply[:, lacking], demand[:, missing]
