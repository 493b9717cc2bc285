"""The GMM objective of one step as a function of theta, with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from blpsim.arrays import (
    Bench,
    Directions,
    Integers,
    Matrix,
    Moments,
    Panel,
    State,
    Vector,
    rows_on_lines,
)
from blpsim.errors import ConfigurationError
from blpsim.estimate.covariances import CovarianceMoments
from blpsim.estimate.gmm import GMM
from blpsim.estimate.innovations import Differencing, make_differencing
from blpsim.estimate.micro import Micro
from blpsim.estimate.moments import concentration, make_moments, weighted_moments
from blpsim.estimate.nesting import make_nesting, nested_logit_delta, one_nest_each
from blpsim.estimate.roots import Roots
from blpsim.estimate.setting import Setting
from blpsim.estimate.unknowns import make_unknowns
from blpsim.kernels.compile import compile_for, machine_code
from blpsim.kernels.evaluation import COEFFICIENTS, FINE, NOT_FINITE
from blpsim.kernels.forward import ALPHA, PI, SIGMA, jacobians
from blpsim.kernels.general.forward import RHO, nested_jacobians
from blpsim.kernels.general.objective import evaluate_nested_with_gradient
from blpsim.kernels.inversion import MEMORY
from blpsim.kernels.objective import evaluate_with_gradient
from blpsim.model.layout import Layout
from blpsim.status import Status

_PENALTY = 1e10
_STATUSES = {FINE: Status.EVALUATED, NOT_FINITE: Status.NON_FINITE}


class Jacobian(NamedTuple):
    """Derivatives of xi and omega, (N, P) each, P = all that is estimated, in the layout's order of names."""

    xi: Matrix
    omega: Matrix
    product: Matrix | None = None
    """Of xi omega, with covariance moments."""


class Objective:
    """The objective of one GMM step; the last evaluation stays in ``state``.

    Kernels take utilities in units of ``Model.epsilon_scale``, so that the state's delta and xi are in these
    units. Instruments are in their inverse, which leaves moments and linear coefficients as they are.
    """

    def __init__(self, setting: Setting, layout: Layout, gmm: GMM, weighting: Matrix) -> None:
        """Arrange arrays for kernels.

        weighting  (M, M)
        """
        self.setting, self.layout, self.gmm = setting, layout, gmm
        self.panel = setting.panel(layout)
        types = (gmm.demand_moment_types, gmm.supply_moment_types)
        self._differencing = make_differencing(setting, layout, types)
        self._covariances: CovarianceMoments | None = None
        if len(setting.covariance_instruments):
            self._covariances = CovarianceMoments(setting, gmm.covariance_moments_mean)
        self.moments = make_moments(setting, layout, gmm, weighting)
        self._instruments = self.moments.demand_instruments, self.moments.supply_instruments
        if self._differencing is not None:
            taken = (rows.copy() for rows in self._instruments)
            self.moments = self.moments._replace(
                demand_instruments=next(taken), supply_instruments=next(taken)
            )
        self.state = _state(self.panel, self.moments, layout.links)
        self.bench = _bench(self.panel)
        self._rule = gmm.iteration.rule
        prices = setting.price_columns if setting.supply else np.empty(0, np.int64)
        self.unknowns = make_unknowns(layout, prices, supply=setting.supply)
        self.nesting = make_nesting(setting, layout, self.panel)
        self._kernel: Callable[..., Any] = evaluate_with_gradient
        if self.nesting is not None:
            self._kernel = evaluate_nested_with_gradient
        self.micro: Micro | None = None
        self._evaluate: Callable[..., Any] | None = None
        if gmm.micro_moments:
            _check_micro(setting)
            data, kernels = (setting.products, setting.agents), (self.panel, self.nesting)
            self.micro = Micro(gmm.micro_moments, data, kernels)
            self._evaluate = self.micro.evaluate
        self._roots = self._root_finder() if gmm.iteration.finds_roots else None
        self.theta = layout.theta0.copy()
        self._begin(nested_logit_delta(setting, layout.rho0))

    def _root_finder(self) -> Roots:
        iteration = self.gmm.iteration
        nesting = one_nest_each(self.layout, self.panel) if self.nesting is None else self.nesting
        rule = self._rule._replace(max_evaluations=iteration.max_evaluations)
        return Roots(iteration.method, rule, self.panel, self.unknowns, (nesting, self.state, self.bench))

    def reweighted(self, weighting: Matrix) -> Objective:
        """Return the objective with another weighting matrix, (M, M); both share arrays, which it overwrites.

        Its inversions start where the last evaluation ended.
        """
        other = copy(self)
        other.moments = weighted_moments(self.moments, self.setting, weighting, len(self.gmm.micro_moments))
        other._begin(self.state.delta.copy())
        return other

    def _begin(self, start_delta: Vector) -> None:
        self.start_delta = start_delta
        self.evaluations = self.inversion_evaluations = self.failures = self.clipped = 0
        self.inversion_failures = 0
        self.status = Status.PENDING
        self._last = (_PENALTY, np.zeros(self.layout.theta0.size))
        self._at: bytes | None = None

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the kernel is called with."""
        nesting = () if self.nesting is None else (self.nesting,)
        return self.panel, self.unknowns, self.moments, *nesting, self.state, self.bench, self._rule

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        """Return the objective and its gradient, (P,); where there is none, a penalty that leads back."""
        at = theta.tobytes()
        if at == self._at:
            return self._last
        self.theta = theta.copy()
        self.state.delta[:] = self.start_delta
        self.unknowns.theta[:] = theta[: self.layout.known_to_kernels]
        if self._differencing is not None:
            self._difference(self._differencing, self.layout.phi(theta))
        searched = self._roots.search() if self._roots is not None else None
        code, objective, self.clipped, evaluations, failures = self._evaluated()
        self.evaluations += 1 if evaluations else 0  # Of theta that is not finite nothing is evaluated.
        self.inversion_evaluations += evaluations if searched is None else searched
        self.status = _STATUSES.get(code, Status.SINGULAR)
        if code != FINE:
            return self._penalized()
        self.inversion_failures += failures
        gradient = self.unknowns.gradient.copy()
        if self._differencing is not None:
            gradient = np.append(gradient, self._d_phi(self._differencing))
        self._last, self._at = (objective, gradient), at
        return self._last

    def _evaluated(self) -> tuple[int, float, int, int, int]:
        """Return what the kernel does, with covariance moments as well."""
        arguments = self.arguments
        if self._covariances is not None:
            return self._covariances.evaluate(arguments, self.residuals)
        if self._evaluate is None:
            self._evaluate = machine_code(self._kernel, arguments)
        found: tuple[int, float, int, int, int] = self._evaluate(*arguments)
        return found

    def _difference(self, differencing: Differencing, phi: Vector) -> None:
        """Take instruments with which errors have the moments that innovations have."""
        fields = (self.moments.demand_instruments, self.moments.supply_instruments)
        for side, (taken, rows) in enumerate(zip(fields, self._instruments, strict=True)):
            if len(rows):
                taken[:] = differencing.instruments(side, rows, float(np.append(phi, [0.0, 0.0])[side]))
        self.moments.concentration[:] = concentration(
            self.moments, self.setting.number, len(self.gmm.micro_moments)
        )

    def _d_phi(self, differencing: Differencing) -> Vector:
        """Return the gradient by the estimated elements of phi, at linear coefficients that are best."""
        errors, sizes = (self.state.xi, self.state.omega), [len(rows) for rows in self._instruments]
        weighted = np.split(self.state.weighted, np.cumsum(sizes))
        scale = 2 * self.moments.scale / self.setting.number
        return np.array(
            [
                scale * weighted[side] @ (self._instruments[side] @ differencing.d_phi(side, errors[side]))
                for side in self.layout.phi_moved
            ]
        )

    def _penalized(self) -> tuple[float, Vector]:
        self.failures += 1
        self._at = None
        return max(_PENALTY, 10 * abs(self._last[0])), self._last[1]

    def beta(self, theta: Vector) -> Vector:
        """Return all of beta, (K1,), after an evaluation."""
        beta = self.layout.beta(theta)
        beta[np.isnan(beta)] = self.state.linear[: self.moments.free_demand.shape[0]]
        return beta

    def gamma(self, theta: Vector) -> Vector:
        """Return all of gamma, (K3,), after an evaluation."""
        gamma = self.layout.gamma(theta)
        gamma[np.isnan(gamma)] = self.state.linear[self.moments.free_demand.shape[0] :]
        return gamma

    @property
    def delta(self) -> Vector:
        """Mean utilities, (N,), after an evaluation."""
        return self.state.delta * self.setting.model.epsilon_scale

    def residuals(self) -> tuple[Vector, Vector]:
        """Return xi and omega, (N,) each, less their fixed effects, after an evaluation."""
        xi, omega = self.state.xi * self.setting.model.epsilon_scale, self.state.omega.copy()
        if self.setting.demand_absorber is not None:
            xi = self.setting.demand_absorber.residualize(xi)
        if self.setting.supply_absorber is not None:
            omega = self.setting.supply_absorber.residualize(omega)
        return xi, omega

    def moment_residuals(self) -> tuple[Vector, ...]:
        """Return what is multiplied by instruments, (N,) each: xi and omega, or their innovations.

        With covariance moments xi omega less its mean follows.
        """
        errors = self.residuals()
        if self._covariances is not None:
            return *errors, self._covariances.product(errors)
        if self._differencing is None:
            return errors
        phi = np.append(self.layout.phi(self.theta), [0.0, 0.0])
        xi, omega = (self._differencing.residual(side, errors[side], phi[side]) for side in (0, 1))
        return xi, omega if omega.size else errors[1]

    def moment_jacobian(self) -> Jacobian:
        """Return the derivatives of ``moment_residuals``, (N, P) each, in the layout's order of names."""
        found, differencing = self.jacobian(), self._differencing
        if self._covariances is not None:
            product = self._covariances.jacobian(self.residuals(), found.xi, found.omega)
            return found._replace(product=product)
        if differencing is None:
            return found
        phi, errors = np.append(self.layout.phi(self.theta), [0.0, 0.0]), self.residuals()
        sides = [
            differencing.residual(side, rows.T, phi[side]).T if side == 0 or self.setting.supply else rows
            for side, rows in enumerate(found[:2])
        ]
        for place, side in zip(self._phi_places, self.layout.phi_moved, strict=True):
            sides[side][:, place] = differencing.d_phi(int(side), errors[side])
        return Jacobian(*sides)

    @property
    def _phi_places(self) -> Integers:
        return self.layout.theta_positions[self.layout.known_to_kernels :]

    def jacobian(self) -> Jacobian:
        """Return the derivatives of xi and omega by all that is estimated, after an evaluation."""
        layout, setting = self.layout, self.setting
        prices = self.unknowns.places.prices
        directions = _directions(layout, prices)
        supply, k1, linear = setting.supply, layout.beta0.size, layout.beta0.size + layout.nonlinear
        stop = k1 + directions.kind.size
        xi = np.zeros((stop + len(setting.x3) + layout.phi_moved.size, setting.number))
        omega = np.zeros_like(xi)
        d_xi, d_omega = xi[k1:stop], omega[k1 : stop if supply else k1]
        if self.nesting is None:
            arguments = (self.panel, self.state, self.bench, directions, d_xi, d_omega)
            machine_code(jacobians, arguments)(*arguments)
        else:
            nested = (self.panel, self.nesting, self.state, self.bench, directions, d_xi, d_omega)
            machine_code(nested_jacobians, nested)(*nested)
        d_xi *= setting.model.epsilon_scale
        np.negative(setting.x1, out=xi[:k1])
        if supply:
            d_omega *= -self._d_costs()
            omega[prices] = omega[linear:stop]
            np.negative(setting.x3, out=omega[stop : stop + len(setting.x3)])
        # Between what is of theta and gamma stand the price coefficients' ways through markups.
        kept = np.where(layout.reported < linear, layout.reported, layout.reported + prices.size)
        return Jacobian(xi[kept].T, omega[kept].T)

    def micro_jacobian(self) -> Matrix:
        """Return the derivatives of micro moments, (MM, P), in the layout's order of names."""
        micro, layout = self.micro, self.layout
        if micro is None:
            return np.zeros((0, len(layout.names)))
        rows = np.zeros((len(micro.moments), len(layout.names)))
        kernels = layout.theta_positions[: layout.known_to_kernels]
        rows[:, kernels] = micro.jacobian(self.arguments[:-1], self.unknowns)
        return rows

    def micro_covariance(self) -> Matrix:
        """Return the covariance of micro moments times N, (MM, MM)."""
        if self.micro is None:
            return np.zeros((0, 0))
        given = self.gmm.micro_sample_covariances
        if given is not None:
            return np.array(given, np.float64) * self.setting.number
        return self.micro.covariance(self.arguments[3:-1])

    def _d_costs(self) -> Vector:
        costs, (lower, upper) = self.state.costs, self.moments.cost_bounds
        inside = (costs > lower) & (costs < upper)
        derivative: Vector = np.where(inside, 1 / costs if self.moments.log_costs else 1.0, 0.0)
        return derivative


def _check_micro(setting: Setting) -> None:
    """Refuse micro moments beside what they are not combined with."""
    expected, field = "no micro moments", "GMM.micro_moments"
    if len(setting.covariance_instruments):
        raise ConfigurationError(field, "covariance moments, too", expected, "they are not combined")
    if setting.agents.specific is not None:
        why = "respondents' terms and choice sets are the same for all products"
        raise ConfigurationError(field, "agents whose data differ by product", expected, why)


def compile_jacobians(objective: Objective) -> None:
    """Compile the kernel of ``Objective.jacobian``, which is not called."""
    directions, room = _directions(objective.layout, objective.unknowns.places.prices), np.empty((0, 0))
    compile_for(jacobians, objective.panel, objective.state, objective.bench, directions, room, room)


def _directions(layout: Layout, price_columns: Integers) -> Directions:
    sigma, pi, rho, prices = (
        layout.sigma_rows,
        layout.pi_rows,
        layout.rho_moved,
        np.arange(price_columns.size),
    )
    none = np.zeros(rho.size + prices.size, np.int64)
    return Directions(
        np.repeat(np.array([SIGMA, PI, RHO, ALPHA]), [sigma.size, pi.size, rho.size, prices.size]),
        np.concatenate((sigma, pi, rho, prices)),
        np.concatenate((layout.sigma_cols, layout.pi_cols, none)),
    )


def _state(panel: Panel, moments: Moments, links: Integers) -> State:
    number, markets = panel.shares.size, panel.log_outside.size
    agents = int(np.diff(panel.offsets.agents).max())
    firm = int(np.diff(panel.offsets.firm_products).max(initial=0))
    supply = moments.supply_instruments.shape[0] > 0
    rows, k2 = number if supply else 0, panel.x2.shape[1]
    m = moments.weighting.shape[0]
    return State(
        delta=np.empty(number),
        shares=np.empty(number),
        probabilities=rows_on_lines(number, agents),
        slopes=rows_on_lines(rows if panel.slopes.varies else markets, agents),
        link_slopes=np.empty((k2 if links.any() else 0, panel.consumers.weights.size)),
        gamma=np.empty((rows, firm)),
        factors=np.empty((rows, firm)),
        pivots=np.zeros(rows, np.int64),
        own=np.empty(rows),
        eta=np.zeros(rows),
        costs=np.empty(rows),
        xi=np.empty(number),
        omega=np.empty(rows),
        moments=np.empty(m),
        weighted=np.empty(m),
        linear=np.empty(moments.concentration.shape[0]),
        demand_seed=np.empty(number),
        supply_seed=np.empty(rows),
        evaluations=np.zeros(markets, np.int64),
        residuals=np.full(markets, np.inf),
        d_sigma=np.empty((k2, k2)),
        d_pi=np.empty((k2, panel.consumers.demographics.shape[0])),
        d_alpha=np.empty(panel.slopes.x1.shape[1]),
    )


def _bench(panel: Panel) -> Bench:
    agents = int(np.diff(panel.offsets.agents).max())
    products = int(np.diff(panel.offsets.products).max())
    firms = int(np.diff(panel.offsets.firms).max())
    return Bench(
        rows_on_lines(COEFFICIENTS + panel.x2.shape[1], agents),
        rows_on_lines(20, products),
        rows_on_lines(2 * firms, agents),
        np.empty((products, products)),
        np.empty((MEMORY + 1, MEMORY)),
        np.zeros(products, np.int64),
    )
