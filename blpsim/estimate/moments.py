"""Moments of products as kernels read them, and how linear coefficients are concentrated out."""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Matrix, Moments
from blpsim.estimate.gmm import GMM
from blpsim.estimate.setting import Setting
from blpsim.model.layout import Layout


def make_moments(setting: Setting, layout: Layout, gmm: GMM, weighting: Matrix) -> Moments:
    """Return what moments are made of, with utilities in units of ``Model.epsilon_scale``.

    weighting  (M, M)
    """
    number, supply = setting.number, setting.supply
    free_demand = np.isnan(layout.beta0)
    free_supply = np.isnan(layout.gamma0)
    unit = setting.model.epsilon_scale
    x1, demand, other = setting.x1 / unit, setting.demand_instruments * unit, setting.supply_instruments
    log_costs = setting.model.costs == "log"
    transformed = np.log(setting.products.prices) if log_costs else setting.products.prices
    unweighted = Moments(
        np.ascontiguousarray(x1[layout.beta_given]),
        np.ascontiguousarray(x1[free_demand]),
        np.ascontiguousarray(setting.x3[layout.gamma_given]) if supply else np.empty((0, number)),
        np.ascontiguousarray(setting.x3[free_supply]) if supply else np.empty((0, number)),
        demand,
        other,
        np.zeros(number)
        if setting.demand_absorber is None
        else setting.start_delta - setting.demand_absorber.residualize(setting.start_delta),
        np.zeros(number)
        if setting.supply_absorber is None
        else transformed - setting.supply_absorber.residualize(transformed),
        np.empty((0, 0)),
        np.empty((0, 0)),
        float(number) if gmm.scale_objective else 1.0,
        np.array(gmm.cost_bounds, np.float64),
        log_costs,
    )
    return weighted_moments(unweighted, setting, weighting, len(gmm.micro_moments))


def weighted_moments(moments: Moments, setting: Setting, weighting: Matrix, micro: int) -> Moments:
    """Return the moments with a weighting matrix, and the concentration that follows from it."""
    weighted = moments._replace(weighting=np.ascontiguousarray(weighting))
    return weighted._replace(concentration=concentration(weighted, setting.number, micro))


def concentration(moments: Moments, number: int, micro: int) -> Matrix:
    """Return what maps moments of the dependent variables to concentrated coefficients, (L1 + L3, M).

    micro  the number of micro moments; covariance moments do not count
    """
    demand, supply = moments.demand_instruments, moments.supply_instruments
    columns, costs = moments.free_demand, moments.free_supply
    linear = np.zeros((len(demand) + len(supply) + micro, len(columns) + len(costs)))
    linear[: len(demand), : len(columns)] = demand @ columns.T / number
    linear[len(demand) : len(demand) + len(supply), len(columns) :] = supply @ costs.T / number
    projected = linear.T @ moments.weighting[: len(linear), : len(linear)]
    return np.ascontiguousarray(np.linalg.solve(projected @ linear, projected))
