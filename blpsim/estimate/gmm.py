"""How to minimize and infer: one frozen record, the same on real data and in studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from blpsim.arrays import InversionRule, Matrix, Vector
from blpsim.checks import check, check_count, check_fields, numbers
from blpsim.errors import ConfigurationError, ParameterError
from blpsim.estimate.innovations import MomentType
from blpsim.estimate.optimizer import Optimizer
from blpsim.estimate.roots import SCIPY
from blpsim.fingerprint import LATER
from blpsim.kernels.inversion import ANDERSON, CONTRACTION, OUTSIDE_CORRECTED, SIMPLE, SQUAREM
from blpsim.model.layout import Layout
from blpsim.model.surveys import MicroMoment

CovarianceType = Literal["robust", "clustered", "unadjusted"]
Method = Literal["1s", "2s"]
_PAIR = 2
_Places: TypeAlias = tuple[int, tuple[Any, ...], tuple[int, ...]]
_ACCELERATIONS = {"anderson": ANDERSON, "squarem": SQUAREM, "simple": SIMPLE}
_METHODS = (*_ACCELERATIONS, "newton", *SCIPY)
_MAPPINGS = {"outside_corrected": OUTSIDE_CORRECTED, "contraction": CONTRACTION}


@dataclass(frozen=True, slots=True)
class Inversion:
    """How market shares are inverted for mean utilities."""

    method: str = "anderson"
    """Fixed points: "anderson" (memory 3, then SQUAREM and the plain contraction), "squarem", "simple".
    Roots: "newton", which takes the mapping's step where Newton's leads nowhere, and methods of
    ``scipy.optimize.root``: "hybr" and "lm", which use the derivative, too, "df-sane" and "krylov", which
    do not. No other method takes over where one of all these but "anderson" fails."""
    mapping: str = "outside_corrected"
    """"outside_corrected" (Fukasawa 2024) or "contraction" (Berry, Levinsohn and Pakes 1995, damped by
    1 - rho in nests); what is iterated, or at a root moves nothing."""
    tolerance: float = 1e-13
    """Largest |log S - log s| at the solution, whatever the method: each ends where that is reached."""
    max_evaluations: int = 1_000
    """Evaluations of the mapping allowed to each method in a market."""

    def __post_init__(self) -> None:
        """Refuse what certifies nothing."""
        check_fields(self)
        for field_name, allowed in (("method", _METHODS), ("mapping", tuple(_MAPPINGS))):
            if getattr(self, field_name) not in allowed:
                expected = f"one of {', '.join(allowed)}"
                value = getattr(self, field_name)
                raise ConfigurationError(f"Inversion.{field_name}", value, expected, "there is no other yet")
        if not 0 < self.tolerance <= 1e-8:
            why = "a looser inversion moves the optimum"
            raise ConfigurationError("Inversion.tolerance", self.tolerance, "in (0, 1e-8]", why)
        check_count("Inversion.max_evaluations", self.max_evaluations, "evaluations are counted")

    @property
    def rule(self) -> InversionRule:
        """The same, as kernels read it; of a root finder's result they evaluate the mapping once."""
        acceleration, mapping = _ACCELERATIONS.get(self.method, SIMPLE), _MAPPINGS[self.mapping]
        limit = 1 if self.finds_roots else self.max_evaluations
        return InversionRule(acceleration, mapping, self.tolerance, limit)

    @property
    def finds_roots(self) -> bool:
        """Whether delta is found before kernels iterate."""
        return self.method not in _ACCELERATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class GMM:
    """How the GMM objective is formed, minimized, and turned into standard errors."""

    method: Method = "2s"
    """One step, or two with an updated weighting matrix."""
    W_type: CovarianceType = "robust"
    """How updated weighting matrices are computed."""
    se_type: CovarianceType = "robust"
    """How standard errors are computed."""
    center_moments: bool = True
    """Whether moments are centered before their covariance is computed."""
    W: ArrayLike | None = None
    """(M, M) initial weighting matrix; None for that of two-stage least squares."""
    initial_update: bool = False
    """Whether W is updated at the starting values before the first step."""
    bounds: Mapping[str, Any] | None = None
    """By block ("sigma": (lower, upper), arrays) or by name ("sigma[x,x]": (0, 10)); sigma's diagonal is
    never negative unless this says so."""
    costs_bounds: tuple[float | None, float | None] | None = None
    """Bounds into which marginal costs are clipped, and counted."""
    scale_objective: bool = True
    """Whether the objective is g'Wg times N."""
    hessian: bool = True
    """Whether the Hessian is computed, which certifies a minimum."""
    resample_agents: int | Callable[[int], Any] | None = field(default=None, metadata=LATER)
    """Sets of agents whose moments show the simulation error, which covariances of moments then include:
    a number of them, drawn as the problem's or the estimator's agents were, or a function that returns a
    table of agents for 0, 1, ..., and then None."""
    demand_moment_types: MomentType = field(default="levels", metadata=LATER)
    """What demand's moments are of, as in PyBLP: xi, its innovations xi - phi L xi, or differences of
    these, free of what is a product's own; L is a product's market before, and phi is in ``Parameters``."""
    supply_moment_types: MomentType = field(default="levels", metadata=LATER)
    """The same of supply's and omega."""
    covariance_moments_mean: float = field(default=0.0, metadata=LATER)
    """What the mean of xi omega is taken to be in covariance moments E[(xi omega - mean) Z_C]."""
    micro_moments: Sequence[MicroMoment] = field(default=(), metadata=LATER)
    """Moments of micro data, which follow those of products; with them W is updated before the first step
    unless it is given."""
    micro_sample_covariances: ArrayLike | None = field(default=None, metadata=LATER)
    """(MM, MM) covariance of their observed values; None for that which the model implies."""
    optimizer: Optimizer = field(default_factory=Optimizer)
    iteration: Inversion = field(default_factory=Inversion)

    def __post_init__(self) -> None:
        """Refuse unknown methods and types, and bounds of costs that cross."""
        check_fields(self)
        object.__setattr__(self, "micro_moments", tuple(self.micro_moments))
        check("GMM.micro_moments", self.micro_moments, tuple[MicroMoment, ...])
        if self.micro_sample_covariances is not None:
            _check_covariances(self.micro_sample_covariances, len(self.micro_moments))
        if self.W is not None and not np.isfinite(weights := numbers("GMM.W", self.W)).all():
            bad = float(weights[~np.isfinite(weights)][0])
            raise ConfigurationError("GMM.W", bad, "finite numbers", "moments are weighted by them")
        if not np.isfinite(self.covariance_moments_mean):
            got, why = self.covariance_moments_mean, "moments are differences to it"
            raise ConfigurationError("GMM.covariance_moments_mean", got, "a finite number", why)
        if self.resample_agents is not None and not callable(self.resample_agents):
            why = "moments across sets of agents have a covariance"
            check_count("GMM.resample_agents", self.resample_agents, why, 2)
        for name, pair in (self.bounds or {}).items():
            _check_bounds(f"GMM.bounds[{name!r}]", pair)
        lower, upper = self.cost_bounds
        if not lower < upper:
            why = "the lower bound comes first"
            raise ConfigurationError("GMM.costs_bounds", self.costs_bounds, "(lower, upper)", why)

    @property
    def updates_at_start(self) -> bool:
        """Whether W is updated at the starting values."""
        return self.initial_update or (bool(self.micro_moments) and self.W is None)

    @property
    def cost_bounds(self) -> tuple[float, float]:
        """The bounds of costs, infinite where there are none."""
        lower, upper = self.costs_bounds or (None, None)
        return -np.inf if lower is None else lower, np.inf if upper is None else upper

    def theta_bounds(self, layout: Layout) -> tuple[Vector, Vector]:
        """Return lower and upper bounds of theta, (P,) each.

        Raises
        ------
        ParameterError
            When a bound names nothing that is estimated, has a wrong shape, or crosses the other.
        """
        lower, upper = layout.default_bounds()
        places = _block_places(layout) if self.bounds else {}
        for name, pair in (self.bounds or {}).items():
            if name in places:
                _set_block(name, pair, places[name], (lower, upper))
            else:
                _set_element(name, pair, layout, (lower, upper))
        wrong = ~(lower <= upper)
        if wrong.any():
            crossed = layout.theta_names[int(np.argmax(wrong))]
            raise ParameterError("GMM.bounds", crossed, "lower <= upper", "nothing lies between them")
        return lower, upper

    def respected_bounds(self, layout: Layout) -> tuple[Vector, Vector]:
        """Return the bounds of theta, (P,) each, infinite where the optimizer knows none; raises alike."""
        lower, upper = self.theta_bounds(layout)
        if self.optimizer.has_bounds:
            return lower, upper
        return np.full(lower.size, -np.inf), np.full(upper.size, np.inf)


def _check_covariances(given: ArrayLike, size: int) -> None:
    covariances = numbers("GMM.micro_sample_covariances", given)
    if covariances.shape != (size, size) or not np.isfinite(covariances).all():
        expected = f"finite numbers of shape ({size}, {size})"
        why = "each micro moment has a row and a column"
        raise ConfigurationError("GMM.micro_sample_covariances", covariances.shape, expected, why)


def _check_bounds(field: str, pair: object) -> None:
    sides = (
        list(pair) if isinstance(pair, tuple | list) or (isinstance(pair, np.ndarray) and pair.ndim) else []
    )
    if len(sides) != _PAIR or any(np.isnan(numbers(field, side, ParameterError)).any() for side in sides):
        why = "a bound may be infinite but not missing"
        raise ParameterError(field, pair, "(lower, upper)", why)


def _set_element(
    name: str, pair: tuple[ArrayLike, ArrayLike], layout: Layout, bounds: tuple[Vector, Vector]
) -> None:
    if name not in layout.theta_names:
        expected = f"a block or one of {', '.join(layout.theta_names)}"
        raise ParameterError("GMM.bounds", name, expected, "only what the optimizer moves has bounds")
    k = layout.theta_names.index(name)
    for bound, value in zip(bounds, pair, strict=True):
        bound[k] = _shaped(name, value, ())


def _set_block(
    name: str, pair: tuple[ArrayLike, ArrayLike], places: _Places, bounds: tuple[Vector, Vector]
) -> None:
    start, index, shape = places
    for bound, values in zip(bounds, pair, strict=True):
        bound[start : start + index[0].size] = _shaped(name, values, shape)[index]


def _shaped(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Matrix:
    array = np.asarray(values, np.float64)
    if array.shape == shape:
        return array
    try:
        return np.broadcast_to(array, shape)
    except ValueError as error:
        why = "each element that is estimated has its own bound, or all have one"
        field, expected = f"GMM.bounds[{name!r}]", f"shape {shape}, or a number"
        raise ParameterError(field, f"shape {np.shape(values)}", expected, why) from error


def _block_places(layout: Layout) -> dict[str, _Places]:
    """Return where in theta each block starts, its elements in the block, and the block's shape."""
    pi, rho = layout.sigma_rows.size, layout.sigma_rows.size + layout.pi_rows.size
    beta = layout.nonlinear
    return {
        "sigma": (0, (layout.sigma_rows, layout.sigma_cols), layout.sigma0.shape),
        "pi": (pi, (layout.pi_rows, layout.pi_cols), layout.pi0.shape),
        "rho": (rho, (layout.rho_moved,), layout.rho0.shape),
        "beta": (beta, (layout.beta_moved,), layout.beta0.shape),
        "gamma": (beta + layout.beta_moved.size, (layout.gamma_moved,), layout.gamma0.shape),
        "phi": (layout.known_to_kernels, (layout.phi_moved,), layout.phi0.shape),
    }
