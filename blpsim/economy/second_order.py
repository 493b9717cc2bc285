"""Whether profits are highest where they are stationary, which costs that fall in quantities make unsure."""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.economy.choices import Choices, choices_by_market
from blpsim.economy.costs import CostCurve
from blpsim.economy.counterfactuals import condition_slopes
from blpsim.economy.equilibrium import PricedDemand, PriceIteration, Prices, equilibrium_prices
from blpsim.model.ownership import PriceSetters
from blpsim.status import Status


def certified_prices(
    demand: PricedDemand,
    costs: Vector,
    setters: PriceSetters,
    iteration: PriceIteration,
    curve: CostCurve | None = None,
) -> Prices:
    """Return ``equilibrium_prices``; where costs depend on quantities, only maxima of profits are any.

    Other markets have infinite residuals. Price takers maximize nothing by their prices.
    """
    found = equilibrium_prices(demand, costs, setters, iteration, curve)
    if curve is None or setters.are_price_takers:
        return found
    stationary = found.residuals < iteration.tolerance
    lost = stationary & ~are_maxima(demand, found, setters, curve, stationary)
    if not lost.any():
        return found
    residuals = np.where(lost, np.inf, found.residuals)
    return found._replace(residuals=residuals, status=Status.EQUILIBRIUM_FAILED)


def are_maxima(
    demand: PricedDemand, found: Prices, setters: PriceSetters, curve: CostCurve, stationary: Booleans
) -> Booleans:
    """Return whether no setter's profits are higher nearby, (T,); False where they are not stationary."""
    costs = curve.at(found.shares)
    slopes = curve.slopes(costs, found.shares)
    offsets = demand.offsets.products
    owned = setters.matrices(offsets)
    at = demand.written_at(np.where(np.repeat(stationary, np.diff(offsets)), found.prices, costs))
    maximal = stationary.copy()
    for t, choices in enumerate(choices_by_market(at)):
        rows = slice(offsets[t], offsets[t + 1])
        if stationary[t]:
            margin = found.prices[rows] - costs[rows]
            second = d_profits(choices, owned[t], margin, slopes[rows])
            maximal[t] = all(_is_negative(second[np.ix_(group, group)]) for group in _together(owned[t]))
    return maximal


def d_profits(choices: Choices, owned: Matrix, margin: Vector, slopes: Vector) -> Matrix:
    """Return derivatives of first-order conditions (rows) by prices (columns), (J, J).

    owned   (J, J) the weight H_jk on k's profit of who sets the price of j
    margin  (J,) prices less marginal costs
    slopes  (J,) derivatives of marginal costs by shares

    Those of the prices that one setter sets are second derivatives of its profits. To those at constant
    costs come - sum_l H_jl c'_l ds_l/dp_j ds_l/dp_k.
    """
    derivatives = choices.d_shares_d_prices
    responses = (owned * derivatives.T) @ (slopes[:, None] * derivatives)
    return condition_slopes(choices, owned, margin) - responses


def _together(owned: Matrix) -> list[np.ndarray]:
    """Return the products of each setter: those priced with the same profits in mind."""
    groups = np.unique(owned, axis=0, return_inverse=True)[1].ravel()
    return [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]


def _is_negative(second: Matrix) -> bool:
    """Return whether a symmetric matrix is negative definite."""
    return bool(np.isfinite(second).all() and np.linalg.eigvalsh((second + second.T) / 2)[-1] < 0)
