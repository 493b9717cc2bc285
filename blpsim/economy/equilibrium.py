"""Prices at which no firm wants to change its own, and shares at any prices, all markets at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Booleans, Consumers, Integers, Matrix, Offsets, Slopes, Specific, Tastes, Vector
from blpsim.checks import check_count, check_fields
from blpsim.economy.costs import CostCurve
from blpsim.errors import ConfigurationError
from blpsim.kernels.general.pricing import nested_pricing, solve_nested_equilibrium
from blpsim.kernels.inversion import MEMORY
from blpsim.kernels.pricing import LONGEST_MOVE, Equilibrium, Histories, accelerate_markets, solve_equilibrium
from blpsim.kernels.zeta import HISTORY_ROWS, PricedUtilities, pricing_bench
from blpsim.model.columns import PRICES, Columns
from blpsim.model.nests import Nested, one_nest
from blpsim.model.ownership import PriceSetters
from blpsim.model.specific import no_specific
from blpsim.status import Status

_ACCELERATED_EVALUATIONS = 100
_SMALLEST_SHARE = 1e-300
"""Exponentials are clamped at exp(-708), so that smaller shares are not what the model says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceIteration:
    """How the zeta-markup equation of Morrow and Skerlos (2011) is solved."""

    tolerance: float = 1e-12
    """The largest derivative of a firm's profit with respect to a price that counts as zero."""
    max_evaluations: int = 5_000
    """Evaluations allowed when the accelerated iteration has failed."""

    def __post_init__(self) -> None:
        """Refuse a tolerance that certifies nothing."""
        check_fields(self)
        if not 0 < self.tolerance <= 1e-6:
            why = "a looser one leaves prices that are no equilibrium"
            raise ConfigurationError("PriceIteration.tolerance", self.tolerance, "in (0, 1e-6]", why)
        check_count("PriceIteration.max_evaluations", self.max_evaluations, "nothing would be evaluated")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PricedDemand:
    """Demand as a function of prices, everything else fixed."""

    data: Mapping[str, NDArray[Any]]
    """Columns of products, with the prices at which ``delta`` holds."""
    delta: Vector
    """(N,) mean utilities at these prices."""
    x1: Columns
    x2: Columns
    tastes: Tastes
    """Their alpha has a coefficient for each X1 column that depends on prices."""
    consumers: Consumers
    offsets: Offsets
    nested: Nested | None = None
    epsilon_scale: float = 1.0
    specific: Specific | None = None
    """What differs by agent and product; None without any."""

    @property
    def is_affine(self) -> bool:
        """Whether utilities are affine in prices."""
        return bool(self.x1.is_affine_in_prices.all() and self.x2.is_affine_in_prices.all())

    @property
    def has_one_slope(self) -> bool:
        """Whether each agent's utility is linear in prices, with the same slope for all products."""
        slopes, specific = self.tangent().slopes, self.specific
        if specific is not None and (self.tastes.pi[slopes.x2.any(axis=0)][:, specific.places] != 0).any():
            return False
        return self.is_affine and not slopes.varies

    def tangent(self) -> PricedUtilities:
        """Return the utilities, affine in prices, with the true values and slopes where demand is written.

        They are in units of the idiosyncratic part's scale, as kernels take them.
        """
        level, unit = np.ascontiguousarray(self.data[PRICES], np.float64), self.epsilon_scale
        x1, x2 = self._x1_slopes(self.data) / unit, self.x2.price_derivative(self.data) / unit
        return PricedUtilities(
            self.delta / unit - level * (x1 @ self.tastes.alpha),
            self.x2.values(self.data) / unit - level[:, None] * x2,
            Slopes(x1, x2, _varies(x1) or _varies(x2)),
            self.tastes,
            self.consumers,
        )

    def written_at(self, prices: Vector) -> PricedDemand:
        """Return the same demand, written down at other prices, (N,)."""
        at, depends = {**self.data, PRICES: prices}, self.x1.depends_on_prices
        moved = self.x1.values(at)[:, depends] - self.x1.values(self.data)[:, depends]
        return replace(self, data=at, delta=self.delta + moved @ self.tastes.alpha)

    def _x1_slopes(self, at: Mapping[str, NDArray[Any]]) -> Matrix:
        return np.ascontiguousarray(self.x1.price_derivative(at)[:, self.x1.depends_on_prices])


class Prices(NamedTuple):
    """Equilibrium prices of all markets."""

    prices: Vector
    """(N,)."""
    shares: Vector
    """(N,) shares at these prices."""
    residuals: Vector
    """(T,) largest derivative of profit in each market; infinite where it is not finite."""
    evaluations: Integers
    """(T,) evaluations of the zeta map."""
    status: Status
    """CONVERGED, or EQUILIBRIUM_FAILED when some market's first-order conditions do not hold."""


def equilibrium_prices(
    demand: PricedDemand,
    costs: Vector,
    setters: PriceSetters | None = None,
    iteration: PriceIteration | None = None,
    curve: CostCurve | None = None,
) -> Prices:
    """Return the prices and shares of all markets in equilibrium, and whether they are one.

    costs    (N,)  marginal costs, constant in quantities; with a curve only where iterations start
    setters        who sets the prices, by default each firm those of its products
    curve          marginal costs that depend on quantities, solved for together with prices; None: constant

    Source: Morrow and Skerlos (2011), iterated from prices equal to costs with Anderson acceleration.
    """
    iteration = iteration or PriceIteration()
    takers = setters is not None and setters.are_price_takers
    if takers and curve is None:
        return at_given_prices(demand.written_at(costs))
    offsets = demand.offsets if setters is None or takers else setters.within(demand.offsets)
    with np.errstate(all="ignore"):
        solve = _solve_affine if demand.is_affine else _solve_curved
        if curve is not None:
            solve = partial(_solve_curved, curve=curve)
        ownership = None if setters is None or takers else setters.ownership
        solver = _solver(demand, offsets, ownership)
        if takers:
            solver = partial(_take_prices, solve=solver)
        equilibrium = solve(demand, costs, offsets, iteration, solver)
    prices = costs + equilibrium.markups
    status = Status.EQUILIBRIUM_FAILED
    if np.all(equilibrium.residuals < iteration.tolerance) and _are_shares(equilibrium.shares, offsets):
        status = Status.CONVERGED
    return Prices(prices, equilibrium.shares, equilibrium.residuals, equilibrium.evaluations, status)


def shares_at_prices(demand: PricedDemand, prices: Vector) -> Vector:
    """Return the shares, (N,), that demand has at prices (N,)."""
    step, solve = _empty(demand.offsets), _solver(demand, demand.offsets)
    solve(step, demand.written_at(prices).tangent(), demand.offsets, prices, 0.0, (0, 1))
    return step.shares


def at_given_prices(demand: PricedDemand) -> Prices:
    """Return the shares at the prices where demand is written down, which no firm sets.

    The status is EQUILIBRIUM_FAILED when shares are not positive with a positive outside share.
    """
    prices, markets = demand.data[PRICES], demand.offsets.products.size - 1
    shares = shares_at_prices(demand, prices)
    if _are_shares(shares, demand.offsets):
        return Prices(prices, shares, np.zeros(markets), np.ones(markets, np.int64), Status.CONVERGED)
    residuals = np.full(markets, np.inf)
    return Prices(prices, shares, residuals, np.ones(markets, np.int64), Status.EQUILIBRIUM_FAILED)


def _are_shares(shares: Vector, offsets: Offsets) -> bool:
    return bool(
        np.all(shares > _SMALLEST_SHARE) and np.all(np.add.reduceat(shares, offsets.products[:-1]) < 1)
    )


def _varies(slopes: Matrix) -> bool:
    return bool((slopes != slopes[:1]).any())


def _empty(offsets: Offsets) -> Equilibrium:
    products, markets = int(offsets.products[-1]), offsets.products.size - 1
    evaluations = np.zeros(markets, np.int64)
    return Equilibrium(np.zeros(products), np.empty(products), np.empty(markets), evaluations)


def _solver(demand: PricedDemand, offsets: Offsets, ownership: Matrix | None = None) -> Callable[..., None]:
    """Return the kernel that solves for equilibria of this demand, with its scratch space.

    ownership  (N, n*) as ``PriceSetters`` has it
    """
    coefficients, nested, specific = demand.tastes.sigma.shape[0], demand.nested, demand.specific
    if nested is None and ownership is None and specific is None:
        return partial(solve_equilibrium, bench=pricing_bench(offsets, coefficients))
    if nested is None:
        blocks = one_nest(offsets.products)
        nested = Nested(blocks, np.ones(blocks.groups.size))
    if ownership is None:
        ownership = np.ones((int(offsets.products[-1]), int(np.diff(offsets.firm_products).max())))
    nests = (nested.blocks.offsets, nested.blocks.nests, nested.kappa)
    specific = no_specific(coefficients) if specific is None else specific
    pricing = nested_pricing(nests, offsets, ownership, coefficients, specific)
    return partial(solve_nested_equilibrium, pricing=pricing)


def _take_prices(
    step: Equilibrium,
    utilities: PricedUtilities,
    offsets: Offsets,
    costs: Vector,
    tolerance: float,
    limits: tuple[int, int],
    solve: Callable[..., None],
) -> None:
    """Step like the kernels towards prices that equal costs; residuals are the largest differences."""
    prices, gaps = costs + step.markups, np.abs(step.markups)
    solve(step, utilities, offsets, prices, tolerance, limits)
    step.markups[:] = 0.0
    gaps = np.where(np.isfinite(gaps), gaps, np.inf)
    step.residuals[:] = np.maximum.reduceat(gaps, offsets.products[:-1])


def _solve_affine(
    demand: PricedDemand,
    costs: Vector,
    offsets: Offsets,
    iteration: PriceIteration,
    solve: Callable[..., None],
) -> Equilibrium:
    equilibrium, limits = _empty(offsets), (_ACCELERATED_EVALUATIONS, iteration.max_evaluations)
    solve(equilibrium, demand.tangent(), offsets, costs, iteration.tolerance, limits)
    return equilibrium


def _solve_curved(
    demand: PricedDemand,
    costs: Vector,
    offsets: Offsets,
    iteration: PriceIteration,
    solve: Callable[..., None],
    curve: CostCurve | None = None,
) -> Equilibrium:
    """Iterate with formulas evaluated again at each step's prices."""
    search = _Search(demand, costs, offsets, iteration.tolerance, _empty(offsets), solve, curve)
    every = np.ones(offsets.products.size - 1, np.bool_)
    failed = search.advance(every, _ACCELERATED_EVALUATIONS, accelerated=True)
    search.restart(failed)
    failed = search.advance(failed, iteration.max_evaluations, accelerated=False)
    residuals = np.where(failed, np.inf, search.equilibrium.residuals)
    return search.equilibrium._replace(residuals=residuals)


class _Search(NamedTuple):
    """Zeta iterations over markets that share evaluations of the formulas."""

    demand: PricedDemand
    costs: Vector
    offsets: Offsets
    tolerance: float
    equilibrium: Equilibrium
    solve: Callable[..., None]
    curve: CostCurve | None = None
    """With one, costs are where iterations start, and markups are over these."""

    def advance(self, markets: Booleans, limit: int, *, accelerated: bool) -> Booleans:
        """Return which markets have no equilibrium after so many evaluations; others stay at theirs."""
        widest = np.diff(self.offsets.products).max()
        histories = Histories(np.empty((markets.size, HISTORY_ROWS, widest)), np.empty((MEMORY + 1, MEMORY)))
        active, lost = markets.copy(), markets.copy()
        for evaluation in range(limit):
            if not active.any():
                break
            moves = self._moves()
            self.equilibrium.evaluations[active] += 1
            settled = self._are_settled(moves)
            lost &= ~(active & settled)
            active &= ~settled & np.isfinite(self.equilibrium.residuals)
            if accelerated:
                products = self.offsets.products
                accelerate_markets(self.equilibrium.markups, moves, products, active, histories, evaluation)
            else:
                self.equilibrium.markups[:] += np.where(self._by_product(active), moves, 0.0)
        return lost

    def restart(self, markets: Booleans) -> None:
        """Put the markups of these markets back to zero."""
        self.equilibrium.markups[self._by_product(markets)] = 0.0

    def _by_product(self, markets: Booleans) -> Booleans:
        return np.repeat(markets, np.diff(self.offsets.products))

    def _moves(self) -> Vector:
        """Return zeta less the markups, (N,), and fill in shares and residuals."""
        step = _empty(self.offsets)._replace(
            shares=self.equilibrium.shares, residuals=self.equilibrium.residuals
        )
        step.markups[:] = self.equilibrium.markups
        utilities = self.demand.written_at(self.costs + self.equilibrium.markups).tangent()
        if self.curve is not None:
            return self._moves_of_prices(step, utilities, self.curve)
        self.solve(step, utilities, self.offsets, self.costs, 0.0, (0, 1))
        return step.markups - self.equilibrium.markups

    def _moves_of_prices(self, step: Equilibrium, utilities: PricedUtilities, curve: CostCurve) -> Vector:
        """Return zeta plus the costs at these prices' shares, less the prices, (N,)."""
        prices = self.costs + self.equilibrium.markups
        step.markups[:] = 0.0
        self.solve(step, utilities, self.offsets, prices, 0.0, (0, 1))
        costs = curve.at(step.shares)
        step.markups[:] = prices - costs
        self.solve(step, utilities, self.offsets, costs, 0.0, (0, 1))
        return costs + step.markups - prices

    def _are_settled(self, moves: Vector) -> Booleans:
        prices = np.maximum(np.abs(self.costs + self.equilibrium.markups), np.finfo(float).tiny)
        longest = np.maximum.reduceat(np.abs(moves) / prices, self.offsets.products[:-1])
        return (self.equilibrium.residuals < self.tolerance) & (longest < LONGEST_MOVE)
