"""Choice in nests, one market at a time, agents innermost.

With kappa = 1 / (1 - rho), an agent's odds of j are exp(kappa V_ij), a nest's sum of them is D_ih, and
its inclusive value is IV_ih = log(D_ih) / kappa. A product outside any nest is a nest with kappa = 1.

Source: Grigolon and Verboven (2014); Brenkers and Verboven (2006).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.kernels.choice import copy, dot, fill
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.elementary import exp, log

NOTHING = -1e300
"""The utility of what cannot be chosen."""


class NestedMarket(NamedTuple):
    """One market: its nests H, its agents, and what their choices are made of."""

    nest: Integers
    """(J,) the nest of each product, from 0 in every market."""
    kappa: Vector
    """(H,)."""
    weights: Vector
    """(I,)."""
    odds: Matrix
    """(J, I*) exp(kappa V_ij - m_ih), at last s_ij given the nest."""
    highest: Matrix
    """(H, I*) m_ih, the largest kappa V_ij of the nest."""
    scale: Matrix
    """(H, I*) exp(m_ih / kappa - M_i), with M_i the largest utility, or 0."""
    inside: Matrix
    """(H, I*) D_ih without its scale."""
    nests: Matrix
    """(H, I*) probabilities q_ih of the nests."""
    pull: Matrix
    """(H, I*) scratch."""
    outside: Vector
    """(I,) exp(-M_i)."""
    total: Vector
    """(I,) scratch."""
    available: Matrix
    """(J, I*) what multiplies odds; (0, I*) where everything is in every choice set."""
    deviations: Matrix
    """(J, I*) mu where it has parts by agent and product, else (0, I*)."""


@inner_kernel
def hide_unavailable(market: NestedMarket) -> None:
    """Lower the utilities, which odds hold, of what is not in an agent's choice set: nests forget them."""
    for j in range(market.available.shape[0]):
        row, available = market.odds[j], market.available[j]
        for i in range(market.weights.size):
            row[i] = row[i] if available[i] > 0.0 else NOTHING


@inner_kernel
def withhold_unavailable(market: NestedMarket) -> None:
    """Multiply odds by availability; nests without any product in an agent's choice set have a scale of 0."""
    if market.available.shape[0] == 0:
        return
    agents = market.weights.size
    for h in range(market.kappa.size):
        fill(market.pull[h][:agents], 0.0)
    for j in range(market.available.shape[0]):
        row, available, pull = market.odds[j], market.available[j], market.pull[market.nest[j]]
        for i in range(agents):
            row[i] *= available[i]
            pull[i] += available[i]
    for h in range(market.kappa.size):
        pull, scale, highest = market.pull[h], market.scale[h], market.highest[h]
        for i in range(agents):
            scale[i] = scale[i] if pull[i] > 0.0 else 0.0
            highest[i] = highest[i] if pull[i] > 0.0 else 0.0


@inner_kernel
def forget_empty_nests(market: NestedMarket) -> None:
    """Put one for the sums of nests without any product in an agent's choice set, whose scale is zero."""
    if market.available.shape[0] == 0:
        return
    for h in range(market.kappa.size):
        inside = market.inside[h]
        for i in range(market.weights.size):
            inside[i] = inside[i] if inside[i] > 0.0 else 1.0


@inner_kernel
def exponentiate_nests(market: NestedMarket) -> None:
    """Turn odds, which hold utilities V_ij, into odds, and fill highest, scale and outside."""
    odds, ceiling, agents = market.odds, market.total, market.weights.size
    hide_unavailable(market)
    fill(ceiling, 0.0)
    for h in range(market.kappa.size):
        fill(market.highest[h][:agents], -np.inf)
    for j in range(market.nest.size):
        h, row = market.nest[j], odds[j]
        kappa, highest = market.kappa[h], market.highest[h]
        for i in range(agents):
            highest[i] = max(highest[i], kappa * row[i])
            ceiling[i] = max(ceiling[i], row[i])
    for h in range(market.kappa.size):
        share, highest, scale = 1.0 / market.kappa[h], market.highest[h], market.scale[h]
        for i in range(agents):
            scale[i] = exp(share * highest[i] - ceiling[i])
    for j in range(market.nest.size):
        h, row = market.nest[j], odds[j]
        kappa, highest = market.kappa[h], market.highest[h]
        for i in range(agents):
            row[i] = exp(kappa * row[i] - highest[i])
    withhold_unavailable(market)
    for i in range(agents):
        market.outside[i] = exp(-ceiling[i])


@inner_kernel
def fill_nest_odds(nest: Vector, scale: Vector, inside: Vector, share: float) -> None:
    """Fill nest (I,) with a nest's odds, scale times inside to the power 1 - rho, which share is."""
    if share == 1.0:
        for i in range(nest.size):
            nest[i] = scale[i] * inside[i]
    else:
        for i in range(nest.size):
            nest[i] = scale[i] * exp(share * log(inside[i]))


@inner_kernel
def fill_nest_probabilities(market: NestedMarket, growth: Vector) -> None:
    """Fill inside and nests at odds times growth (J,), and total with 1 / sum of all alternatives."""
    agents, total = market.weights.size, market.total
    for h in range(market.kappa.size):
        fill(market.inside[h][:agents], 0.0)
    for j in range(growth.size):
        inside, row, factor = market.inside[market.nest[j]], market.odds[j], growth[j]
        for i in range(agents):
            inside[i] += factor * row[i]
    forget_empty_nests(market)
    copy(total, market.outside)
    for h in range(market.kappa.size):
        fill_nest_odds(market.nests[h][:agents], market.scale[h], market.inside[h], 1.0 / market.kappa[h])
        nest = market.nests[h]
        for i in range(agents):
            total[i] += nest[i]
    for i in range(agents):
        total[i] = 1.0 / total[i]
    for h in range(market.kappa.size):
        nest = market.nests[h]
        for i in range(agents):
            nest[i] *= total[i]


@inner_kernel
def nested_shares_at(market: NestedMarket, shares: Vector, nest_shares: Vector, growth: Vector) -> float:
    """Fill shares (J,) and nest shares (H,) at odds times growth (J,); return s0."""
    weights = market.weights
    fill_nest_probabilities(market, growth)
    for h in range(market.kappa.size):
        nest, inside, pull = market.nests[h], market.inside[h], market.pull[h]
        for i in range(weights.size):
            pull[i] = weights[i] * nest[i] / inside[i]
        nest_shares[h] = dot(weights, nest[: weights.size])
    for j in range(shares.size):
        row, pull = market.odds[j], market.pull[market.nest[j]]
        total = 0.0
        for i in range(weights.size):
            total += row[i] * pull[i]
        shares[j] = total * growth[j]
    outside_share = 0.0
    for i in range(weights.size):
        outside_share += weights[i] * market.outside[i] * market.total[i]
    return outside_share


@inner_kernel
def finish_nests(market: NestedMarket, probabilities: Matrix, inclusive: Matrix, growth: Vector) -> None:
    """Turn odds times growth (J,) into probabilities given the nest, and fill what follows from them.

    probabilities  (J, I*)
    inclusive      (H, I*) inclusive values
    """
    agents = market.weights.size
    for h in range(market.kappa.size):
        share, highest, inside = 1.0 / market.kappa[h], market.highest[h], market.inside[h]
        value, pull = inclusive[h], market.pull[h]
        for i in range(agents):
            value[i] = share * (highest[i] + log(inside[i]))
            pull[i] = 1.0 / inside[i]
    for j in range(growth.size):
        h, row, factor, chosen = market.nest[j], market.odds[j], growth[j], probabilities[j]
        nest, pull = market.nests[h], market.pull[h]
        for i in range(agents):
            row[i] *= factor * pull[i]
            chosen[i] = row[i] * nest[i]
