"""What draws of xi and omega lead to at an estimate: prices, shares and derivatives, and their means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from blpsim.arrays import Booleans, Integers, Matrix, Tastes, Vector
from blpsim.economy.equilibrium import PricedDemand, PriceIteration, equilibrium_prices, shares_at_prices
from blpsim.estimate.gmm import GMM
from blpsim.estimate.objective import Objective
from blpsim.estimate.setting import Setting, moved_setting
from blpsim.model.instruments import ErrorMethod
from blpsim.model.layout import Layout
from blpsim.model.nests import nested
from blpsim.model.panel import offsets
from blpsim.model.parameters import Parameters
from blpsim.model.specific import specific_rows
from blpsim.status import Status

_INVERTED = 1e-9
"""Largest |log S - log s| with which derivatives are as precise as instruments need to be."""
_SMALLEST_SHARE = 1e-300


class Fitted(NamedTuple):
    """An estimate, arrays of products in internal order."""

    setting: Setting
    layout: Layout
    parameters: Parameters
    theta: Vector
    """(P,)."""
    delta: Vector
    """(N,)."""
    xi: Vector
    """(N,) less fixed effects; so is omega."""
    omega: Vector
    """(N,), (0,) without a supply side; so are costs."""
    costs: Vector

    @property
    def demand(self) -> PricedDemand:
        """Demand at the observed prices."""
        setting = self.setting
        columns, products = setting.columns, setting.products
        blocks = self.parameters.blocks(columns.names)
        return PricedDemand(
            data=products.columns,
            delta=self.delta,
            x1=columns.x1,
            x2=columns.x2,
            tastes=Tastes(blocks.sigma, blocks.pi, blocks.beta[setting.price_columns], columns.links),
            consumers=setting.agents.consumers(self.layout.sigma_used if columns.x2.names else None),
            offsets=offsets(products, setting.agents),
            nested=nested(setting.model, products, blocks.rho),
            epsilon_scale=setting.model.epsilon_scale,
            specific=specific_rows(setting.agents, products, columns.links),
        )


class Errors(NamedTuple):
    """A draw of what is unobserved about products."""

    xi: Vector
    """(N,)."""
    omega: Vector
    """(N,), or (0,) without a supply side."""


class Expected(NamedTuple):
    """Means over draws of the errors, in internal order."""

    prices: Vector
    """(N,)."""
    shares: Vector
    """(N,)."""
    d_xi: Matrix
    """(N, P) by theta."""
    d_omega: Matrix
    """(N, P) by theta; zero without a supply side."""
    draws: int
    failed: Integers
    """(T,) draws that had no equilibrium in a market, and do not count there."""


class _Realization(NamedTuple):
    prices: Vector
    shares: Vector
    d_xi: Matrix
    d_omega: Matrix
    found: Booleans
    """(T,) markets with an equilibrium; in others numbers mean nothing, but are finite."""


def drawn_errors(
    fitted: Fitted, method: ErrorMethod, draws: int, generator: np.random.Generator
) -> Iterator[Errors]:
    """Yield draws of the errors: zero, normal ones with the residuals' covariance, or pairs of residuals."""
    xi, omega = fitted.xi, fitted.omega
    for _ in range(draws):
        if method == "approximate":
            yield Errors(np.zeros_like(xi), np.zeros_like(omega))
        elif method == "empirical":
            rows = generator.integers(xi.size, size=xi.size)
            yield Errors(xi[rows], omega[rows] if omega.size else omega)
        else:
            yield _normal(xi, omega, generator)


def _normal(xi: Vector, omega: Vector, generator: np.random.Generator) -> Errors:
    """Return a normal draw; as in PyBLP, a covariance has N - 1 in its denominator, a lone variance N."""
    first = generator.standard_normal(xi.size)
    if not omega.size:
        return Errors(np.std(xi) * first, omega)
    variance, covariance, other = _covariance(xi, xi), _covariance(xi, omega), _covariance(omega, omega)
    deviation = np.sqrt(variance)
    slope = covariance / deviation if deviation > 0 else 0.0
    rest = np.sqrt(max(other - slope**2, 0.0))
    return Errors(deviation * first, slope * first + rest * generator.standard_normal(xi.size))


def _covariance(u: Vector, v: Vector) -> float:
    return float(((u - u.mean()) * (v - v.mean())).sum() / (u.size - 1))


def expectation(fitted: Fitted, errors: Iterable[Errors], expected_prices: Vector | None) -> Expected:
    """Return means over draws of the errors; NaN in a market where no draw has an equilibrium.

    expected_prices  (N,) prices whatever the errors; None for those in equilibrium
    """
    number, counts = fitted.setting.number, np.diff(fitted.setting.products.market_offsets)
    size = fitted.layout.theta0.size
    sums = [np.zeros(number), np.zeros(number), np.zeros((number, size)), np.zeros((number, size))]
    draws, failed = 0, np.zeros(counts.size, np.int64)
    demand = fitted.demand
    with np.errstate(all="ignore"):
        for draw in errors:
            realized = _realized(fitted, demand, draw, expected_prices)
            draws, failed = draws + 1, failed + ~realized.found
            kept = np.repeat(realized.found, counts)
            for total, values in zip(sums, realized[:4], strict=True):
                total[kept] += values[kept]
        used = np.repeat(draws - failed, counts).astype(np.float64)
        prices, shares, d_xi, d_omega = ((total.T / used).T for total in sums)
    return Expected(prices, shares, d_xi, d_omega, draws, failed)


def _realized(fitted: Fitted, demand: PricedDemand, errors: Errors, given: Vector | None) -> _Realization:
    setting = fitted.setting
    products = setting.products
    drawn = replace(demand, delta=fitted.delta - fitted.xi + errors.xi)
    costs = _costs(fitted, errors.omega) if setting.supply else fitted.costs
    if given is None:
        equilibrium = equilibrium_prices(drawn, costs, setting.setters)
        prices, found = equilibrium.prices, equilibrium.residuals < PriceIteration().tolerance
    else:
        prices, found = given, np.ones(products.markets, np.bool_)
    # Where there is no equilibrium, what was observed keeps numbers finite.
    counts = np.diff(products.market_offsets)
    kept = np.repeat(found, counts)
    prices = np.where(kept, prices, products.prices)
    shares = shares_at_prices(replace(drawn, delta=np.where(kept, drawn.delta, fitted.delta)), prices)
    found &= _are_shares(shares, products.market_offsets)
    kept = np.repeat(found, counts)
    prices, shares = np.where(kept, prices, products.prices), np.where(kept, shares, products.shares)
    differs = given is not None and setting.supply and setting.model.costs == "log"
    d_xi, d_omega, inverted = _derivatives(
        moved_setting(setting, prices, shares), fitted, costs if differs else None
    )
    return _Realization(prices, shares, d_xi, d_omega, found & inverted)


def _costs(fitted: Fitted, omega: Vector) -> Vector:
    """Return marginal costs, (N,), with another omega, (N,)."""
    if fitted.setting.model.costs == "log":
        return np.asarray(np.exp(np.log(fitted.costs) - fitted.omega + omega), np.float64)
    return fitted.costs - fitted.omega + omega


def _are_shares(shares: Vector, starts: Integers) -> Booleans:
    smallest = np.minimum.reduceat(shares, starts[:-1])
    are: Booleans = (smallest > _SMALLEST_SHARE) & (np.add.reduceat(shares, starts[:-1]) < 1)
    return are


def _derivatives(realized: Setting, fitted: Fitted, costs: Vector | None) -> tuple[Matrix, Matrix, Booleans]:
    """Return derivatives of xi and omega by theta, (N, P) each, and where, (T,), they are right.

    costs  (N,) where they have logs but are not what prices imply; as in PyBLP, they count
    """
    moments = len(realized.demand_instruments) + len(realized.supply_instruments)
    objective = Objective(realized, fitted.layout, GMM(), np.eye(moments))
    if costs is not None:
        objective.moments = objective.moments._replace(log_costs=False)
    objective(fitted.theta)
    inverted: Booleans = objective.state.residuals < _INVERTED
    if objective.status is not Status.EVALUATED:
        nothing = np.zeros((realized.number, fitted.theta.size))
        return nothing, nothing, np.zeros_like(inverted)
    jacobian, moved = objective.jacobian(), fitted.layout.theta_positions
    d_xi, d_omega = jacobian.xi[:, moved], jacobian.omega[:, moved]
    if costs is not None:
        d_omega[:, : moved.size - fitted.layout.gamma_moved.size] /= costs[:, None]
    return d_xi, d_omega, inverted
