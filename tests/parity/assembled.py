"""The kernels put together by hand, as plainly as can be: one GMM estimate at given parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from blpsim.arrays import (
    Bench,
    Consumers,
    Directions,
    InversionRule,
    Moments,
    Panel,
    Slopes,
    State,
)
from blpsim.estimate.unknowns import make_unknowns
from blpsim.kernels.forward import jacobians
from blpsim.kernels.inversion import ANDERSON, OUTSIDE_CORRECTED
from blpsim.kernels.objective import evaluate_with_gradient
from blpsim.model.absorption import make_absorber
from blpsim.model.agents import read_agents
from blpsim.model.integration import Integration
from blpsim.model.layout import layout
from blpsim.model.model import Model
from blpsim.model.panel import offsets
from blpsim.model.parameters import Parameters
from blpsim.model.products import read_products

from .case import Case

Array = NDArray[Any]

RULE = InversionRule(ANDERSON, OUTSIDE_CORRECTED, 1e-13, 100)


def packed(array: Array) -> Array:
    """Return the array as kernels read it."""
    return np.ascontiguousarray(array)


class Assembled:
    """A case's data as kernels read them, and the steps of GMM in NumPy."""

    def __init__(self, case: Case) -> None:
        self.case, self.options = case, case.options
        self.model = Model(**case.model)
        self.products = read_products(dict(case.products), self.model)
        rule = None if case.nodes is None else Integration(case.rule, case.nodes)
        table = None if case.agents is None else dict(case.agents)
        agents = read_agents(table, rule, self.products, self.model)
        named = None if table is None else self.model.bind_demographics(table)
        self.columns = self.model.bind(self.products.columns, named)
        self.layout = layout(Parameters(**case.parameters), self.columns, case.has_supply)
        self.offsets = offsets(self.products, agents)
        used = self.layout.sigma_used
        self.consumers = Consumers(*map(packed, agents.consumers(used if used.size else None)))
        self.number, self.supply = self.products.number, case.has_supply
        self.theta = self.layout.theta0
        self.beta, self.gamma = self.layout.beta(self.theta), self.layout.gamma(self.theta)
        self.free = np.flatnonzero(np.isnan(self.beta)), np.flatnonzero(np.isnan(self.gamma))
        self.given = self.layout.beta_given, self.layout.gamma_given

    @cached_property
    def priced(self) -> Array:
        """Positions of the X1 columns that depend on prices."""
        return np.flatnonzero(self.columns.x1.depends_on_prices)

    @cached_property
    def x(self) -> tuple[Array, Array]:
        """X1 and X3."""
        data = self.products.columns
        return self.columns.x1.values(data), self.columns.x3.values(data)

    def absorbed(self, side: int, matrix: Array) -> Array:
        """Return a matrix without the fixed effects of demand (0) or supply (1)."""
        formula = (self.model.demand_absorption, self.model.supply_absorption)[side]
        if formula is None or matrix.size == 0:
            return matrix
        return make_absorber(formula, self.products.columns).residualize(matrix)

    @cached_property
    def z(self) -> tuple[Array, Array]:
        """Instruments of both sides, without fixed effects; none for supply when there is none."""
        exogenous = np.setdiff1d(np.arange(self.beta.size), self.priced)
        demand = np.c_[self.products.matrix("demand_instruments"), self.x[0][:, exogenous]]
        supply = np.c_[self.products.matrix("supply_instruments"), self.x[1]]
        supply = supply if self.supply else np.empty((self.number, 0))
        return self.absorbed(0, demand), self.absorbed(1, supply)

    @cached_property
    def panel(self) -> Panel:
        """The data of all markets."""
        data, at = self.products.columns, self.offsets
        x1 = self.columns.x1.price_derivative(data)[:, self.priced]
        x2 = self.columns.x2.price_derivative(data)
        varies = bool((x1 != x1[:1]).any() or (x2 != x2[:1]).any())
        weights = np.add.reduceat(self.consumers.weights, at.agents[:-1])
        outside = weights - np.add.reduceat(self.products.shares, at.products[:-1])
        return Panel(
            at,
            self.consumers,
            packed(self.columns.x2.values(data)),
            Slopes(packed(x1), packed(x2), varies),
            packed(self.products.prices),
            packed(self.products.shares),
            np.log(self.products.shares),
            np.log(outside),
            bool((self.consumers.weights > 0).all()),
        )

    @cached_property
    def logit_delta(self) -> Array:
        """The mean utilities of plain logit."""
        return self.panel.log_shares - np.repeat(self.panel.log_outside, np.diff(self.offsets.products))

    def moments(self, weighting: Array) -> Moments:
        """Return the linear side of the objective at a weighting matrix."""
        parts = [self.absorbed(side, self.x[side]) for side in (0, 1)]
        free = [x[:, at] for x, at in zip(parts, self.free, strict=True)]
        given = [x[:, at] for x, at in zip(parts, self.given, strict=True)]
        z_x = scipy.linalg.block_diag(*(z.T @ x / self.number for z, x in zip(self.z, free, strict=True)))
        lower, upper = self.options.get("costs_bounds") or (None, None)
        return Moments(
            packed(given[0].T),
            packed(free[0].T),
            packed(given[1].T),
            packed(free[1].T),
            packed(self.z[0].T),
            packed(self.z[1].T),
            self.logit_delta - self.absorbed(0, self.logit_delta),
            np.zeros(self.number),
            packed(weighting),
            packed(np.linalg.pinv(z_x.T @ weighting @ z_x) @ z_x.T @ weighting),
            float(self.number if self.options.get("scale_objective", True) else 1),
            np.array([-np.inf if lower is None else lower, np.inf if upper is None else upper]),
            self.case.model.get("costs") == "log",
        )

    def state(self) -> State:
        """Return room for an evaluation."""
        n, markets, at = self.number, self.products.markets, self.offsets
        agents, firm = _widest(at.agents), _widest(at.firm_products)
        k2, moments = self.panel.x2.shape[1], sum(z.shape[1] for z in self.z)
        vectors = {name: np.zeros(n) for name in ("own", "eta", "costs", "xi", "omega", "delta", "shares")}
        return State(
            probabilities=np.zeros((n, agents)),
            slopes=np.zeros((n if self.panel.slopes.varies else markets, agents)),
            link_slopes=np.zeros((k2 if self.layout.links.any() else 0, self.consumers.weights.size)),
            gamma=np.zeros((n, firm)),
            factors=np.zeros((n, firm)),
            pivots=np.zeros(n, np.int64),
            moments=np.zeros(moments),
            weighted=np.zeros(moments),
            linear=np.zeros(sum(at.size for at in self.free)),
            demand_seed=np.zeros(n),
            supply_seed=np.zeros(n),
            evaluations=np.zeros(markets, np.int64),
            residuals=np.zeros(markets),
            d_sigma=np.zeros((k2, k2)),
            d_pi=np.zeros((k2, self.consumers.demographics.shape[0])),
            d_alpha=np.zeros(self.priced.size),
            **vectors,
        )

    def bench(self) -> Bench:
        """Return scratch space."""
        at = self.offsets
        agents, products, firms = _widest(at.agents), _widest(at.products), _widest(at.firms)
        return Bench(
            np.zeros((6 + self.panel.x2.shape[1], agents)),
            np.zeros((20, products)),
            np.zeros((2 * firms, agents)),
            np.zeros((products, products)),
            np.zeros((4, 3)),
            np.zeros(products, np.int64),
        )


def _widest(offsets: Array) -> int:
    return int(np.diff(offsets).max(initial=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """What one step of GMM leaves."""

    objective: float
    gradient: Array
    beta: Array
    gamma: Array
    xi: Array
    omega: Array
    state: State
    moments: Moments
    weighting: Array


def step_at(data: Assembled, weighting: Array, delta: Array) -> Step:
    """Return the objective, its gradient and the residuals at the case's parameters."""
    state, bench, moments = data.state(), data.bench(), data.moments(weighting)
    state.delta[:] = delta
    unknowns = make_unknowns(data.layout, data.priced, supply=data.supply)
    ended, objective, *_ = evaluate_with_gradient(data.panel, unknowns, moments, state, bench, RULE)
    xi = data.absorbed(0, state.xi.copy())
    omega = data.absorbed(1, state.omega.copy())
    assert ended == 0
    derivatives = unknowns.given.d_beta, unknowns.given.d_gamma
    beta, gamma = data.beta.copy(), data.gamma.copy()
    beta[data.free[0]], gamma[data.free[1]] = np.split(state.linear, [data.free[0].size])
    return Step(
        objective=objective,
        gradient=_gradient(data, state, derivatives),
        beta=beta,
        gamma=gamma,
        xi=xi,
        omega=omega,
        state=state,
        moments=moments,
        weighting=weighting,
    )


def _gradient(data: Assembled, state: State, derivatives: tuple[Array, Array]) -> Array:
    at = data.layout
    beta, gamma = np.zeros(data.beta.size), np.zeros(data.gamma.size)
    beta[data.given[0]], gamma[data.given[1]] = derivatives
    beta[data.priced] += state.d_alpha
    return np.concatenate(
        (
            state.d_sigma[at.sigma_rows, at.sigma_cols],
            state.d_pi[at.pi_rows, at.pi_cols],
            beta[at.beta_moved],
            gamma[at.gamma_moved],
        )
    )


def covariance(data: Assembled, step: Step, kind: str) -> Array:
    """Return the covariance of moments as PyBLP defines it."""
    errors, instruments = [step.xi, step.omega][: 1 + data.supply], data.z[: 1 + data.supply]
    if kind == "unadjusted":
        scales = np.atleast_2d(np.cov(np.array(errors), bias=True))
        blocks = [
            [scales[a, b] * z.T @ y for b, y in enumerate(instruments)] for a, z in enumerate(instruments)
        ]
        return np.block(blocks) / data.number
    terms = np.hstack([e[:, None] * z for e, z in zip(errors, instruments, strict=True)])
    if data.options["center_moments"]:
        terms = terms - terms.mean(axis=0)
    if kind == "clustered":
        codes = np.unique(data.products.columns["clustering_ids"], return_inverse=True)[1]
        sums = np.zeros((codes.max() + 1, terms.shape[1]))
        np.add.at(sums, codes, terms)
        terms = sums
    return terms.T @ terms / data.number


def residual_derivatives(data: Assembled, step: Step) -> tuple[Array, Array]:
    """Return d xi and d omega with respect to theta and then what is concentrated out, (N, P) each."""
    at = data.layout
    prices = [int(np.flatnonzero(data.priced == k)[0]) for k in at.beta_moved if k in data.priced]
    prices = prices if data.supply else []
    kinds = [0] * at.sigma_rows.size + [1] * at.pi_rows.size + [2] * len(prices)
    rows, draws = (*at.sigma_rows, *at.pi_rows, *prices), (*at.sigma_cols, *at.pi_cols, *([0] * len(prices)))
    directions = Directions(*(np.array(values, np.int64) for values in (kinds, rows, draws)))
    d_xi = np.zeros((len(kinds), data.number))
    d_eta = np.zeros((len(kinds) if data.supply else 0, data.number))
    if kinds:
        assert jacobians(data.panel, step.state, data.bench(), directions, d_xi, d_eta) == 0
    nonlinear = at.sigma_rows.size + at.pi_rows.size
    d_omega = -_cost_slopes(step)[:, None] * d_eta.T if data.supply else np.zeros((data.number, nonlinear))
    moved = np.concatenate((at.beta_moved, at.gamma_moved + data.beta.size)).astype(int)
    free = np.concatenate((data.free[0], data.free[1] + data.beta.size)).astype(int)
    linear = np.concatenate((moved, free))
    blocks = np.zeros((2, data.number, data.beta.size + data.gamma.size))
    blocks[0, :, : data.beta.size] = -data.x[0]
    if data.supply:
        blocks[1, :, data.beta.size :] = -data.x[1]
        blocks[1][:, [data.priced[k] for k in prices]] = d_omega[:, nonlinear:]
    demand, supply = (block[:, linear] for block in blocks)
    return np.c_[d_xi[:nonlinear].T, demand], np.c_[d_omega[:, :nonlinear], supply]


def _cost_slopes(step: Step) -> Array:
    costs, (lower, upper) = step.state.costs, step.moments.cost_bounds
    slopes = 1 / costs if step.moments.log_costs else np.ones(costs.size)
    return np.where((costs <= lower) | (costs >= upper), 0.0, slopes)


def standard_errors(data: Assembled, step: Step, first: bool) -> Array:
    """Return standard errors of theta and then of what is concentrated out."""
    kind = data.options["se_type"]
    covariances = covariance(data, step, kind)
    weighting = np.linalg.inv(covariances) if kind == "unadjusted" and first else step.weighting
    parts = zip(data.z, residual_derivatives(data, step), strict=True)
    slopes = np.vstack([z.T @ derivative / data.number for z, derivative in parts])
    bread = np.linalg.inv(slopes.T @ weighting @ slopes)
    if kind == "unadjusted":
        return np.sqrt(np.diag(bread) / data.number)
    half = bread @ slopes.T @ weighting
    return np.sqrt(np.diag(half @ covariances @ half.T) / data.number)


def kernel_quantities(case: Case) -> dict[str, Array]:
    """Return what the kernels compute, in the order of the user's rows."""
    data = Assembled(case)
    weighting = data.options.get("W")
    if weighting is None:
        used = data.z[: 1 + data.supply]
        weighting = scipy.linalg.block_diag(*(np.linalg.inv(z.T @ z / data.number) for z in used))
    updates = int(bool(data.options.get("initial_update"))) + (data.options["method"] == "2s")
    step = step_at(data, weighting, data.logit_delta)
    for _ in range(updates):
        updated = np.linalg.inv(covariance(data, step, data.options["W_type"]))
        step = step_at(data, updated, step.state.delta)
    found = {"objective": np.array([step.objective]), "gradient": step.gradient, "beta": step.beta}
    found |= {"delta": data.products.restored(step.state.delta), "xi": data.products.restored(step.xi)}
    if case.has_supply:
        found |= {"omega": data.products.restored(step.omega), "gamma": step.gamma}
        found["costs"] = data.products.restored(step.state.costs)
    return found | {"standard errors": standard_errors(data, step, data.options["method"] == "1s")}
