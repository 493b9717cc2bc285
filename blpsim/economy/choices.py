"""How the agents of each market choose at the prices where demand is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from blpsim.arrays import Consumers, Integers, Matrix, Specific, Tastes, Tensor, Vector
from blpsim.economy.equilibrium import PricedDemand
from blpsim.kernels.links import LOG, LOGIT
from blpsim.model.nests import Nested


class Chosen(NamedTuple):
    """What agents do at their utilities."""

    probabilities: NDArray[Any]
    """(J, I)."""
    conditionals: NDArray[Any]
    """(J, I) given the nest."""
    inclusive: NDArray[Any]
    """(I,)."""


class Choices(NamedTuple):
    """How the agents of one market choose at the prices where demand is written.

    Utilities and their derivatives are in units of ``Model.epsilon_scale``.
    """

    probabilities: Matrix
    """(J, I)."""
    slopes: Matrix
    """(J, I) derivatives of an agent's utility from a product with respect to its price."""
    curvatures: Matrix
    """(J, I) second derivatives."""
    inclusive: Vector
    """(I,) log(1 + sum_j exp V_ij)."""
    weights: Vector
    """(I,)."""
    nest: Integers
    """(J,) each product's nest in the market; without nests each is alone."""
    kappa: Vector
    """(J,) 1 / (1 - rho) of each product's nest."""
    conditionals: Matrix
    """(J, I) probabilities given the nest."""
    utilities: Matrix
    """(J, I)."""
    available: Matrix | None = None
    """(J, I) what multiplies odds, zero where an agent cannot choose a product; None: one everywhere."""

    @property
    def has_nests(self) -> bool:
        """Whether some products are closer substitutes than others."""
        return bool((self.kappa != 1).any())

    @property
    def near(self) -> Matrix:
        """Kappa less one where two products are in the same nest, else zero, (J, J)."""
        return np.where(self.nest[:, None] == self.nest, self.kappa - 1, 0.0)

    @property
    def shares(self) -> Vector:
        """The products' shares, (J,)."""
        return np.asarray(self.probabilities @ self.weights, np.float64)

    @property
    def d_shares_d_prices(self) -> Matrix:
        """The derivatives of shares with respect to prices, (J, J)."""
        chosen = Chosen(self.probabilities, self.conditionals, self.inclusive)
        return np.asarray(self.derivatives(chosen, self.slopes), np.float64)

    def derivatives(self, chosen: Chosen, slopes: NDArray[Any]) -> NDArray[Any]:
        """Return derivatives of shares with respect to prices, (J, J), at choices and slopes (J, I)."""
        sloped = chosen.probabilities * slopes * self.weights
        stolen = chosen.probabilities @ sloped.T
        if self.has_nests:
            stolen = stolen + self.near * (chosen.conditionals @ sloped.T)
        return np.asarray(np.diag(self.kappa * sloped.sum(axis=1)) - stolen)

    @property
    def own_derivatives(self) -> Vector:
        """The derivative of each share with respect to the product's own price, (J,)."""
        kappa = self.kappa[:, None]
        kept = kappa - (kappa - 1) * self.conditionals - self.probabilities
        own = self.probabilities * kept * self.slopes
        return np.asarray(own @ self.weights, np.float64)


def choices_by_market(demand: PricedDemand) -> Iterator[Choices]:
    """Yield the choices in each market at the prices where demand is written."""
    x1, x2_slopes, _ = demand.tangent().slopes
    depends, alpha, unit = demand.x1.depends_on_prices, demand.tastes.alpha, demand.epsilon_scale
    bends, x2_bends = (x.price_curvature(demand.data) / unit for x in (demand.x1, demand.x2))
    steepness, curvature, x2 = x1 @ alpha, bends[:, depends] @ alpha, demand.x2.values(demand.data) / unit
    delta = demand.delta / unit
    consumers, tastes, offsets = demand.consumers, demand.tastes, demand.offsets
    for market in range(offsets.products.size - 1):
        rows = slice(*offsets.products[market : market + 2])
        agents = slice(*offsets.agents[market : market + 2])
        coefficients = _coefficients(tastes, consumers, agents, demand.specific, rows)
        utilities = delta[rows, None] + _times(x2[rows], coefficients)
        slopes = steepness[rows, None] + _times(x2_slopes[rows], coefficients)
        curvatures = curvature[rows, None] + _times(x2_bends[rows], coefficients)
        nest, kappa = _nests(demand.nested, market, utilities.shape[0], rows)
        available = _available(demand.specific, rows, utilities.shape[1])
        chosen = choose(utilities, nest, kappa, available)
        yield Choices(
            probabilities=chosen.probabilities,
            slopes=slopes,
            curvatures=curvatures,
            inclusive=chosen.inclusive,
            weights=consumers.weights[agents],
            nest=nest,
            kappa=kappa,
            conditionals=chosen.conditionals,
            utilities=utilities,
            available=available,
        )


def inside_probabilities(demand: PricedDemand, markets: Iterable[int]) -> Iterator[tuple[int, Vector]]:
    """Yield some markets, each with the probabilities that its agents buy, (I,), where demand is written."""
    x2, offsets = demand.x2.values(demand.data) / demand.epsilon_scale, demand.offsets
    for market in markets:
        rows = slice(*offsets.products[market : market + 2])
        agents = slice(*offsets.agents[market : market + 2])
        coefficients = _coefficients(demand.tastes, demand.consumers, agents, demand.specific, rows)
        utilities = _times(x2[rows], coefficients)
        utilities += demand.delta[rows, None] / demand.epsilon_scale
        yield market, _inside(utilities, demand, market, rows)


def _inside(utilities: Matrix, demand: PricedDemand, market: int, rows: slice) -> Vector:
    available = _available(demand.specific, rows, utilities.shape[1])
    if demand.nested is not None or available is not None:
        nests = _nests(demand.nested, market, utilities.shape[0], rows)
        chosen = choose(utilities, *nests, available)
        return np.asarray(chosen.probabilities.sum(axis=0), np.float64)
    largest = utilities.max(axis=0, initial=0.0)
    utilities -= largest
    odds = np.exp(utilities, out=utilities).sum(axis=0)
    return np.asarray(odds / (odds + np.exp(-largest)), np.float64)


def _coefficients(
    tastes: Tastes, consumers: Consumers, agents: slice, specific: Specific | None, rows: slice
) -> Tensor:
    """Return the random coefficients of some agents, (K2, I), or (K2, J, I) where they differ by product."""
    coefficients = tastes.sigma @ consumers.nodes[:, agents]
    coefficients = coefficients + tastes.pi @ consumers.demographics[:, agents]
    if specific is not None and specific.places.size:
        size = coefficients.shape[1]
        tensor = specific.demographics.reshape(specific.places.size, -1, specific.demographics.shape[1])
        moved = np.tensordot(tastes.pi[:, specific.places], tensor[:, rows, :size], 1)
        coefficients = coefficients[:, None] + moved
    log, logit = tastes.links == LOG, tastes.links == LOGIT
    coefficients[log] = np.exp(coefficients[log])
    coefficients[logit] = expit(coefficients[logit])
    return coefficients


def _times(x: Matrix, coefficients: Tensor) -> Matrix:
    """Return characteristics (J, K2) times coefficients (K2, I) or (K2, J, I), (J, I)."""
    if coefficients.ndim == 2:
        return np.asarray(x @ coefficients, np.float64)
    return np.asarray(np.einsum("jk,kji->ji", x, coefficients), np.float64)


def _available(specific: Specific | None, rows: slice, agents: int) -> Matrix | None:
    if specific is None or not len(specific.available):
        return None
    return specific.available[rows, :agents]


def choose(utilities: NDArray[Any], nest: Integers, kappa: Vector, available: Matrix | None = None) -> Chosen:
    """Return how agents choose at utilities (J, I), real or complex, with nests and kappas (J,) each.

    available  (J, I) what multiplies odds; None: one everywhere
    """
    if available is not None:
        return _choose_among(utilities, nest, kappa, available)
    largest = utilities.real.max(axis=0, initial=0.0)
    if nest.max() + 1 == nest.size and (kappa == 1).all():
        odds = np.exp(utilities - largest)
        total = np.exp(-largest) + odds.sum(axis=0)
        return Chosen(odds / total, np.ones_like(odds), largest + np.log(total))
    starts = np.unique(nest, return_index=True)[1]
    inside = nest[:, None] == nest[starts]
    powers = kappa[:, None] * (utilities - largest)
    highest = np.stack([powers.real[inside[:, h]].max(axis=0) for h in range(starts.size)])
    place = inside.argmax(axis=1)
    odds = np.exp(powers - highest[place])
    sums, share = inside.T.astype(np.float64) @ odds, 1 / kappa[starts, None]
    nests = np.exp(share * (highest + np.log(sums)))
    total = np.exp(-largest) + nests.sum(axis=0)
    conditionals = odds / sums[place]
    return Chosen(conditionals * (nests / total)[place], conditionals, largest + np.log(total))


def _choose_among(utilities: NDArray[Any], nest: Integers, kappa: Vector, available: Matrix) -> Chosen:
    """Return how agents choose with odds multiplied by availability (J, I), which may leave a nest empty."""
    seen = available > 0
    largest = np.where(seen, utilities.real, 0.0).max(axis=0, initial=0.0)
    starts = np.unique(nest, return_index=True)[1]
    inside = (nest[:, None] == nest[starts]).astype(np.float64)
    place, share = inside.argmax(axis=1), 1 / kappa[starts, None]
    powers = kappa[:, None] * (utilities - largest)
    highest = np.stack(
        [
            np.where(seen[inside[:, h] > 0], powers.real[inside[:, h] > 0], -np.inf).max(axis=0)
            for h in range(starts.size)
        ]
    )
    highest[np.isneginf(highest)] = 0.0
    odds = np.exp(np.where(seen, powers - highest[place], 0.0)) * available
    sums = inside.T @ odds
    empty = inside.T @ available == 0
    sums = np.where(empty, 1.0, sums)
    nests = np.where(empty, 0.0, np.exp(share * (highest + np.log(sums))))
    total = np.exp(-largest) + nests.sum(axis=0)
    conditionals = odds / sums[place]
    return Chosen(conditionals * (nests / total)[place], conditionals, largest + np.log(total))


def _nests(nested: Nested | None, market: int, products: int, rows: slice) -> tuple[Integers, Vector]:
    if nested is None:
        return np.arange(products), np.ones(products)
    nest = nested.blocks.nests[rows]
    return nest, nested.kappa[nested.blocks.offsets[market] + nest]
