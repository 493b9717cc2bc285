"""Estimators of studies: instruments, integration, starts and GMM, applied to one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from blpsim.arrays import Booleans, Matrix, Vector
from blpsim.economy.dataset import Dataset
from blpsim.errors import ConfigurationError
from blpsim.estimate.gmm import GMM
from blpsim.estimate.problem import Result, solve
from blpsim.estimate.setting import Setting, make_setting
from blpsim.model.characteristics import instrument_source
from blpsim.model.instruments import Instruments, Sums
from blpsim.model.integration import Integration
from blpsim.model.layout import Layout, layout
from blpsim.model.model import Model, ModelNames
from blpsim.model.parameters import Parameters
from blpsim.status import Status
from blpsim.streams import Streams


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """One start of the optimizer and where it led."""

    value: Vector
    """(P,) NaN for what is concentrated out."""
    estimate: Vector
    """(P,)."""
    objective: float
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """What an estimator returns."""

    values: Vector
    """(P,) NaN where there is none."""
    standard_errors: Vector
    """(P,)."""
    status: Status
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    at_bound: Booleans | tuple[()] = ()
    """(P,) whether an estimate is at a bound."""
    starts: tuple[Start, ...] = ()
    covariance: Matrix | None = None
    """(P, P)."""


@dataclass(frozen=True, slots=True)
class Starts:
    """Where the optimizer starts: uniform draws around the truth, the same for every estimator."""

    number: int = 3
    """How many starts; the lowest objective wins."""
    around: Literal["truth"] = "truth"
    width: float = 0.5
    """Starts lie within this fraction of the truth."""

    def __post_init__(self) -> None:
        """Refuse no starts, and widths that could change signs."""
        if self.number < 1:
            raise ConfigurationError("Starts.number", self.number, "1 or more", "something must start")
        if self.around != "truth":
            raise ConfigurationError("Starts.around", self.around, "'truth'", "there is no other centre yet")
        if not 0 <= self.width < 1:
            why = "a width of 1 starts at zero, where the gradient of sigma vanishes"
            raise ConfigurationError("Starts.width", self.width, "in [0, 1)", why)

    def draw(self, theta: Vector, generator: np.random.Generator) -> Matrix:
        """Return starts, (S, P)."""
        draws = generator.uniform(1 - self.width, 1 + self.width, (self.number, theta.size))
        return np.asarray(theta * draws, np.float64)


class Scenario(Protocol):
    """What an estimator asks of a scenario."""

    @property
    def model(self) -> Model:
        """The true model."""

    @property
    def truth(self) -> Parameters:
        """The true parameters."""

    @property
    def names(self) -> ModelNames:
        """Labels of the model's columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """BLP by GMM on the datasets of a scenario."""

    instruments: Instruments = field(default_factory=Sums)
    """Excluded instruments."""
    integration: Integration | None = None
    """Nodes of the estimator, which are never those of the generator; None for a model without X2."""
    supply: bool = True
    """Whether the supply side is estimated."""
    starts: Starts = field(default_factory=Starts)
    bounds: Mapping[str, tuple[float, float]] | None = None
    """Bounds by name; they replace those of ``gmm``."""
    gmm: GMM = field(default_factory=GMM)

    def names(self, scenario: Scenario) -> tuple[str, ...]:
        """Return the names of what is estimated: beta, sigma, pi, gamma."""
        if self.supply and scenario.model.supply is None:
            why = "the scenario's model has no supply formula"
            raise ConfigurationError("Estimator.supply", True, "False", why)
        if (self.integration is None) != (scenario.model.nonlinear is None):
            why = "random coefficients are integrated over consumers, and an estimator names its own"
            raise ConfigurationError("Estimator.integration", self.integration, "an Integration", why)
        blocks = {"beta", "sigma", "pi"} | ({"gamma"} if self.supply else set())
        values = scenario.truth.by_name(scenario.names)
        return tuple(name for name in values if name.partition("[")[0] in blocks)

    def estimate(self, dataset: Dataset, streams: Streams) -> Estimate:
        """Return the estimate on one dataset: the start with the lowest objective."""
        economy = dataset.economy
        agents = dataset.draw_agents(economy.model, self.integration, streams, "estimation")
        columns = economy.model.bind(economy.products.columns, agents.demographic_names)
        excluded = self.instruments.build(instrument_source(economy.products, columns))
        setting = make_setting(
            economy.model, economy.products, agents, (excluded.demand, excluded.supply), self.supply
        )
        bound = layout(self._start(economy.parameters, setting), setting.columns, self.supply)
        gmm = self.gmm if self.bounds is None else replace(self.gmm, bounds=self.bounds)
        lower, upper = gmm.theta_bounds(bound)
        starts = self.starts.draw(bound.theta0, streams.generator("starts"))
        try:
            results = [self._solve(setting, bound, gmm, np.clip(s, lower, upper)) for s in starts]
        except np.linalg.LinAlgError:
            nothing = np.full(len(bound.names), np.nan)
            return Estimate(values=nothing, standard_errors=nothing, status=Status.SINGULAR)
        return _best(results, starts, bound)

    def _start(self, truth: Parameters, setting: Setting) -> Parameters:
        names = setting.columns.names
        beta = truth.blocks(names).beta
        kept = setting.columns.x1.depends_on_prices & self.supply
        return replace(truth, beta=np.where(kept, beta, np.nan), gamma=None, free=None)

    def _solve(self, setting: Setting, bound: Layout, gmm: GMM, theta: Vector) -> Result:
        return solve(setting, replace(bound, theta0=theta), gmm)


def _best(results: list[Result], starts: Matrix, bound: Layout) -> Estimate:
    usable = [result for result in results if result.status.is_usable]
    best = min(usable or results, key=lambda result: result.objective)
    recorded = []
    for result, theta in zip(results, starts, strict=True):
        value = np.full(len(bound.names), np.nan)
        value[bound.theta_positions] = theta
        recorded.append(
            Start(value=value, estimate=result.values, objective=result.objective, status=result.status)
        )
    return Estimate(
        values=best.values,
        standard_errors=best.errors,
        status=best.status,
        diagnostics={
            "objective": best.objective,
            "gradient_norm": best.gradient_norm,
            "hessian_min_eigenvalue": best.hessian_min_eigenvalue,
            "objective_evaluations": sum(result.objective_evaluations for result in results),
            "inversion_evaluations": sum(result.inversion_evaluations for result in results),
            "inversion_residual": best.inversion_residual,
            "clipped_costs": best.clipped_costs,
        },
        at_bound=best.at_bound,
        starts=tuple(recorded),
        covariance=best.covariance,
    )
