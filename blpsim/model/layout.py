"""Parameters bound to a model's columns: what an optimizer moves, in PyBLP's order, and what is reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np

from blpsim.arrays import Booleans, Integers, Matrix, Vector
from blpsim.errors import ParameterError
from blpsim.model.blocks import Block, Blocks, Position, block_names
from blpsim.model.columns import NO_COLUMNS
from blpsim.model.model import ModelColumns, ModelNames
from blpsim.model.parameters import Parameters

_MATRICES = ("sigma", "pi")
_ORDER = ("sigma", "pi", "rho", "beta", "gamma", "phi")
HIGHEST_RHO = 0.99
"""PyBLP's default upper bound."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """Where each parameter stands in theta, in its block, and among those reported.

    As in PyBLP, theta holds the estimated elements of sigma (its lower triangle, by rows), pi (by rows),
    rho, beta and gamma; elements of beta and gamma without a value are concentrated out. Those of phi come
    last, which kernels do not see.
    """

    x1_names: tuple[str, ...]
    x2_names: tuple[str, ...]
    x3_names: tuple[str, ...]
    demographic_names: tuple[str, ...]
    nest_names: tuple[str, ...]
    names: tuple[str, ...]
    """All that is estimated: beta, sigma, pi, rho, gamma, phi."""
    theta_names: tuple[str, ...]
    """(P,) what the optimizer moves."""
    theta0: Vector
    """(P,) starting values."""
    sigma0: Matrix
    """(K2, K2) starting values, fixed elements included."""
    pi0: Matrix
    """(K2, D)."""
    rho0: Vector
    """(H,) or (1,) starting values, (0,) without nests."""
    beta0: Vector
    """(K1,) NaN where concentrated out."""
    gamma0: Vector
    """(K3,) NaN where concentrated out."""
    phi0: Vector
    """(0,), (1,) or (2,) starting values."""
    sigma_rows: Integers
    """Row in sigma of the elements of theta that begin it."""
    sigma_cols: Integers
    pi_rows: Integers
    """Row in pi of the elements of theta that follow."""
    pi_cols: Integers
    rho_moved: Integers
    """Positions in rho of the elements of theta that follow those of pi."""
    beta_given: Integers
    """Positions in beta that are not concentrated out."""
    gamma_given: Integers
    """Positions in gamma that are not concentrated out."""
    beta_moved: Integers
    """Positions in beta of the elements of theta that follow those of rho."""
    gamma_moved: Integers
    """Positions in gamma of the elements of theta that follow those of beta."""
    phi_moved: Integers
    """Positions in phi of the last elements of theta."""
    sigma_used: Booleans
    """(K2,) columns of sigma with an element that is not fixed at zero."""
    links: Integers
    """(K2,) codes of the random coefficients' types."""
    theta_positions: Integers
    """(P,) places of theta's elements in ``names``."""
    concentrated_positions: Integers
    """Places in ``names`` of what is concentrated out, beta before gamma."""
    fixed_names: tuple[str, ...]
    """Elements whose values, other than zero, are not estimated."""
    reported: Integers = field(repr=False)
    """Places of ``names`` among all of beta, theta's elements of sigma, pi and rho, and all of gamma."""

    @property
    def _stops(self) -> tuple[int, int, int, int]:
        sigma = self.sigma_rows.size
        pi = sigma + self.pi_rows.size
        rho = pi + self.rho_moved.size
        return sigma, pi, rho, rho + self.beta_moved.size

    @property
    def nonlinear(self) -> int:
        """How many elements of theta are of sigma, pi and rho; they come first."""
        return self._stops[2]

    def default_bounds(self) -> tuple[Vector, Vector]:
        """Return lower and upper bounds, (P,) each, as in PyBLP: sigma's diagonal is not negative.

        Elements of rho lie in [0, 0.99]. A negative start of a diagonal element is its own lower bound.
        """
        lower, upper = np.full(self.theta0.size, -np.inf), np.full(self.theta0.size, np.inf)
        diagonal = np.flatnonzero(self.sigma_rows == self.sigma_cols)
        lower[diagonal] = np.minimum(0, self.theta0[diagonal])
        _, start, stop, _ = self._stops
        lower[start:stop], upper[start:stop] = 0, np.maximum(HIGHEST_RHO, self.theta0[start:stop])
        return lower, upper

    @property
    def known_to_kernels(self) -> int:
        """How many elements of theta are not of phi."""
        return self.theta0.size - self.phi_moved.size

    def phi(self, theta: Vector) -> Vector:
        """Return phi, (0,), (1,) or (2,), at theta."""
        phi = self.phi0.copy()
        phi[self.phi_moved] = theta[self.known_to_kernels :]
        return phi

    def sigma(self, theta: Vector) -> Matrix:
        """Return sigma, (K2, K2), at theta."""
        sigma = self.sigma0.copy()
        sigma[self.sigma_rows, self.sigma_cols] = theta[: self.sigma_rows.size]
        return sigma

    def pi(self, theta: Vector) -> Matrix:
        """Return pi, (K2, D), at theta."""
        start, stop, _, _ = self._stops
        pi = self.pi0.copy()
        pi[self.pi_rows, self.pi_cols] = theta[start:stop]
        return pi

    def rho(self, theta: Vector) -> Vector:
        """Return rho, (H,), at theta."""
        _, start, stop, _ = self._stops
        rho = self.rho0.copy()
        rho[self.rho_moved] = theta[start:stop]
        return rho

    def beta(self, theta: Vector) -> Vector:
        """Return beta, (K1,), at theta, NaN where concentrated out."""
        _, _, start, stop = self._stops
        beta = self.beta0.copy()
        beta[self.beta_moved] = theta[start:stop]
        return beta

    def gamma(self, theta: Vector) -> Vector:
        """Return gamma, (K3,), at theta, NaN where concentrated out."""
        gamma = self.gamma0.copy()
        gamma[self.gamma_moved] = theta[self._stops[3] : self.known_to_kernels]
        return gamma

    def values(self, theta: Vector, beta: Vector, gamma: Vector) -> Vector:
        """Return the values that ``names`` names.

        beta   (K1,)  what is concentrated out is read here, the rest in theta
        gamma  (K3,)
        """
        start, stop = self._stops[2:]
        given = beta.copy(), gamma.copy()
        given[0][self.beta_moved] = theta[start:stop]
        given[1][self.gamma_moved] = theta[stop : self.known_to_kernels]
        moved = theta[self.known_to_kernels :]
        return np.concatenate((given[0], theta[:start], given[1], moved))[self.reported]

    def parameters(self, theta: Vector, beta: Vector, gamma: Vector) -> Parameters:
        """Return the parameters at theta, with the values of beta and gamma that are concentrated out."""
        return self.unfolded(self.values(theta, beta, gamma), fixed=True)

    def unfolded(self, values: Vector, *, fixed: bool = False) -> Parameters:
        """Return parameters from values, or from their standard errors, aligned with ``names``.

        fixed  whether elements that are not estimated keep their values, instead of being NaN
        """
        sigma = self.sigma0.copy() if fixed else np.full_like(self.sigma0, np.nan)
        pi = self.pi0.copy() if fixed else np.full_like(self.pi0, np.nan)
        kept = self.fixed_names if fixed else ()
        k1, start = self.beta0.size, self._stops[2]
        everything = np.concatenate((self.beta0, np.empty(start), self.gamma0, self.phi0[self.phi_moved]))
        everything = everything if fixed else np.full_like(everything, np.nan)
        everything[self.reported] = values
        nonlinear = everything[k1 : k1 + start]
        sigma[self.sigma_rows, self.sigma_cols] = nonlinear[: self.sigma_rows.size]
        pi[self.pi_rows, self.pi_cols] = nonlinear[self._stops[0] : self._stops[1]]
        rho = self.rho0.copy() if fixed else np.full_like(self.rho0, np.nan)
        rho[self.rho_moved] = nonlinear[self._stops[1] :]
        stop = k1 + start + self.gamma0.size
        phi = self.phi0.copy() if fixed else np.full_like(self.phi0, np.nan)
        phi[self.phi_moved] = everything[stop:]
        return Parameters(
            beta=everything[:k1],
            sigma=sigma if sigma.size else None,
            pi=pi if pi.size else None,
            rho=rho if rho.size else None,
            gamma=everything[k1 + start : stop] if self.gamma0.size else None,
            phi=phi if phi.size else None,
            free={**dict.fromkeys(self.theta_names, True), **dict.fromkeys(kept, False)},
        )


def layout(parameters: Parameters, columns: ModelColumns, supply: bool) -> Layout:
    """Return where the parameters of a model stand.

    supply  whether the supply side is estimated; if not, gamma and X3 are left out

    Raises
    ------
    ParameterError
        For wrong names, shapes or values, and when a coefficient on prices is to be concentrated out
        although there is a supply side.
    """
    return _layout(parameters, columns, supply)


@lru_cache(maxsize=256)
def _layout(parameters: Parameters, columns: ModelColumns, supply: bool) -> Layout:
    if not supply:
        columns = columns._replace(x3=NO_COLUMNS)
        phi, free = _of_xi(parameters.phi), _without_gamma(parameters.free)
        parameters = replace(parameters, gamma=None, phi=phi, free=free)
    names = columns.names
    blocks = parameters.blocks(names)
    if supply:
        _check_price_coefficients(columns, blocks)
    estimated = parameters.estimated(names, blocks)
    places = _places(names, parameters.has_common_rho, blocks.phi.size, tuple(estimated.items()))
    at = places.at
    return Layout(
        x1_names=names.x1,
        x2_names=names.x2,
        x3_names=names.x3,
        demographic_names=names.demographics,
        nest_names=names.nests,
        names=places.names,
        theta_names=places.theta_names,
        theta0=_starting_values(blocks, at),
        sigma0=blocks.sigma,
        pi0=blocks.pi,
        rho0=blocks.rho,
        beta0=blocks.beta,
        gamma0=blocks.gamma,
        phi0=blocks.phi,
        sigma_rows=at["sigma"][0],
        sigma_cols=at["sigma"][1],
        pi_rows=at["pi"][0],
        pi_cols=at["pi"][1],
        rho_moved=at["rho"][0],
        beta_given=np.flatnonzero(~np.isnan(blocks.beta)),
        gamma_given=np.flatnonzero(~np.isnan(blocks.gamma)),
        beta_moved=at["beta"][0],
        gamma_moved=at["gamma"][0],
        phi_moved=at["phi"][0],
        sigma_used=_used(blocks.sigma, at["sigma"][1]),
        links=columns.links,
        theta_positions=places.theta_positions,
        concentrated_positions=places.concentrated_positions,
        fixed_names=_fixed(parameters, names, estimated),
        reported=places.reported,
    )


def _fixed(parameters: Parameters, names: ModelNames, estimated: Mapping[str, bool]) -> tuple[str, ...]:
    if all(dict(cast(Mapping[str, bool], parameters.free or {})).values()):
        return ()
    values = parameters.by_name(names, zeros=True)
    return tuple(name for name, is_free in estimated.items() if not is_free and values[name])


class _Places(NamedTuple):
    """What of a layout does not depend on values, but on which elements are estimated."""

    names: tuple[str, ...]
    theta_names: tuple[str, ...]
    at: Mapping[str, tuple[Integers, ...]]
    """Positions of theta's elements in each block, dimension by dimension."""
    theta_positions: Integers
    concentrated_positions: Integers
    reported: Integers


@lru_cache(maxsize=256)
def _places(
    names: ModelNames, common_rho: bool, errors: int, estimated: tuple[tuple[str, bool], ...]
) -> _Places:
    is_estimated = dict(estimated)
    elements = block_names(names, common_rho=common_rho, errors=errors)
    moved = {block: [n for n in elements[block] if is_estimated.get(n, False)] for block in elements}
    linear = {block: [n for n in elements[block] if is_estimated.get(n, True)] for block in ("beta", "gamma")}
    nonlinear = (*moved["sigma"], *moved["pi"], *moved["rho"])
    theta_names = (*nonlinear, *moved["beta"], *moved["gamma"], *moved["phi"])
    reported = (*linear["beta"], *nonlinear, *linear["gamma"], *moved["phi"])
    places = {name: place for place, name in enumerate(reported)}
    return _Places(
        reported,
        theta_names,
        {block: _positions(elements[block], moved[block], block in _MATRICES) for block in elements},
        np.array([places[name] for name in theta_names], np.int64),
        np.array([places[name] for name in reported if name not in is_estimated], np.int64),
        _reported(elements, linear, (len(nonlinear), len(moved["phi"]))),
    )


def _without_gamma(free: Iterable[str] | Mapping[str, bool] | None) -> dict[str, bool]:
    marked = free if isinstance(free, Mapping) else dict.fromkeys(free or (), True)
    return {name: value for name, value in marked.items() if not name.startswith(("gamma", "phi[omega"))}


def _of_xi(phi: Block) -> Block:
    """Return the autocorrelation of xi alone."""
    if isinstance(phi, Mapping):
        return {name: value for name, value in phi.items() if "omega" not in name}
    return None if phi is None else np.atleast_1d(np.asarray(phi, np.float64)).ravel()[:1]


def _positions(elements: Mapping[str, Position], names: list[str], of_matrix: bool) -> tuple[Integers, ...]:
    positions = np.array([elements[name] for name in names], np.int64).reshape(-1, 2 if of_matrix else 1)
    return tuple(np.ascontiguousarray(column) for column in positions.T)


def _starting_values(blocks: Blocks, at: Mapping[str, tuple[Integers, ...]]) -> Vector:
    parts = [getattr(blocks, block)[at[block]] for block in _ORDER]
    return np.concatenate(parts)


def _used(sigma: Matrix, columns_moved: Integers) -> Booleans:
    used: Booleans = (sigma != 0).any(axis=0)
    used[columns_moved] = True
    return used


def _reported(
    elements: Mapping[str, Mapping[str, Position]], linear: Mapping[str, list[str]], sizes: tuple[int, int]
) -> Integers:
    nonlinear, autocorrelations = sizes
    beta = [elements["beta"][name][0] for name in linear["beta"]]
    gamma = [elements["gamma"][name][0] for name in linear["gamma"]]
    start = len(elements["beta"])
    places = [*beta, *range(start, start + nonlinear), *(start + nonlinear + k for k in gamma)]
    stop = start + nonlinear + len(elements["gamma"])
    return np.array([*places, *range(stop, stop + autocorrelations)], np.int64)


def _check_price_coefficients(columns: ModelColumns, blocks: Blocks) -> None:
    unknown = columns.x1.depends_on_prices & np.isnan(blocks.beta)
    if unknown.any():
        name = columns.x1.names[int(np.argmax(unknown))]
        expected = f"a starting value of beta[{name}]"
        why = "with a supply side markups need the coefficients on prices"
        raise ParameterError("Parameters.beta", f"no beta[{name}]", expected, why)
