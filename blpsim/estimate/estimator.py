"""Estimators of studies: instruments, integration, starts and GMM, applied to one dataset."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from blpsim.arrays import Matrix
from blpsim.checks import check, check_fields
from blpsim.economy.dataset import Dataset
from blpsim.errors import ConfigurationError
from blpsim.estimate.frac import check_frac, frac_start
from blpsim.estimate.gmm import GMM
from blpsim.estimate.importance import Rule, TooFew, inverted_delta, sample_agents
from blpsim.estimate.observed import check_observed, with_observed
from blpsim.estimate.setting import Setting, has_logs, make_setting, with_covariances
from blpsim.estimate.solution import Estimate, Solution
from blpsim.estimate.solve import solve
from blpsim.estimate.starts import Bounds, Starts, columns_on, starting_values, true_values
from blpsim.fingerprint import LATER
from blpsim.model.blocks import PHI
from blpsim.model.characteristics import instrument_source
from blpsim.model.columns import PRICES, SHARES
from blpsim.model.conduct import Conduct, Ownership, read_conduct
from blpsim.model.formula import compile_formula
from blpsim.model.importance import ImportanceSampling
from blpsim.model.instruments import Excluded, Instruments, Optimal, Sums
from blpsim.model.integration import Integration
from blpsim.model.layout import Layout, layout
from blpsim.model.model import Model, ModelColumns, ModelNames
from blpsim.model.panel import Agents
from blpsim.model.parameters import Parameters
from blpsim.model.resampling import Resampled, check_random
from blpsim.status import Status
from blpsim.streams import Streams


@runtime_checkable
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
    """BLP by GMM on the datasets of a scenario; another model or conduct than its own is misspecification."""

    model: Model | None = field(default=None, metadata=LATER)
    """The model that is estimated; None: the scenario's."""
    parameters: Parameters | None = field(default=None, metadata=LATER)
    """Values of another model's parameters that starts are drawn around, block by block; without them, and by
    default, parameters that the scenario has by the same names start around their true values."""
    conduct: Conduct | Ownership | str | None = field(default=None, metadata=LATER)
    """How prices are taken to be set, by the supply side and at the estimated economy; None: as they are."""
    instruments: Instruments | Optimal = field(default_factory=Sums)
    """Excluded instruments; ``Optimal(first=...)`` computes them at another estimator's estimate."""
    integration: Integration | ImportanceSampling | Literal["generator"] | None = None
    """Nodes of the estimator, which are those of the generator only when it is asked for by name; None for a
    model without X2."""
    covariance_instruments: str | None = field(default=None, metadata=LATER)
    """A formula of instruments Z_C of covariance moments E[xi omega Z_C], as ``"1"`` where errors are not
    correlated, which need a supply side; None without any. Source: MacKay and Miller (2023)."""
    availability: bool = field(default=True, metadata=LATER)
    """Whether agents' choice sets are known; else all are taken to choose among all products."""
    supply: bool = True
    """Whether the supply side is estimated."""
    starts: Starts = field(default_factory=Starts)
    bounds: Mapping[str, Any] | Bounds | None = None
    """Bounds by name, or around the truth; they replace those of ``gmm``."""
    gmm: GMM = field(default_factory=GMM)

    def __post_init__(self) -> None:
        """Refuse parts of other kinds, and bounds that are none."""
        check_fields(self)
        if self.conduct is not None:
            object.__setattr__(self, "conduct", read_conduct("Estimator.conduct", self.conduct))
        if self.parameters is not None and self.model is None:
            why = "starts are drawn around the scenario's truth"
            raise ConfigurationError("Estimator.parameters", self.parameters, "None without a model", why)
        if isinstance(self.instruments, Optimal):
            check("Optimal.first", self.instruments.first, Estimator)
            if any((*self._innovative, *cast(Estimator, self.instruments.first)._innovative)):
                why = "expected derivatives are those of errors, not of innovations"
                raise ConfigurationError("Estimator.instruments", "Optimal", "others with innovations", why)
        if isinstance(self.integration, ImportanceSampling):
            check("ImportanceSampling.first", self.integration.first, Estimator)
            got = cast(Estimator, self.integration.first).model
            if got != self.model:
                expected, why = "the model that is estimated", "agents are sampled by their choices in it"
                raise ConfigurationError("ImportanceSampling.first.model", got, expected, why)
        self._check_covariances()
        if isinstance(self.bounds, Mapping):
            replace(self.gmm, bounds=self.bounds)
        if callable(self.gmm.resample_agents):
            why = "an estimator's agents are drawn from its own stream"
            raise ConfigurationError(
                "Estimator.gmm.resample_agents", self.gmm.resample_agents, "a number of sets", why
            )

    def _check_covariances(self) -> None:
        """Refuse covariance instruments that are endogenous, or have no moments to belong to."""
        source, field_name = self.covariance_instruments, "Estimator.covariance_instruments"
        if source is None:
            return
        if not self.supply:
            why = "covariance moments are those of xi and omega, which a supply side has"
            raise ConfigurationError(field_name, source, "None without a supply side", why)
        if any(self._innovative):
            why = "covariance moments are of xi and omega, not of innovations"
            raise ConfigurationError(field_name, source, "None with innovations", why)
        if {PRICES, SHARES} & set(compile_formula(source, field_name).variables):
            why = "errors move prices and shares, which are no instruments"
            raise ConfigurationError(field_name, source, "exogenous columns", why)

    def names(self, scenario: Scenario) -> tuple[str, ...]:
        """Return the names of what is estimated: beta, sigma, pi, rho, gamma."""
        check("scenario", scenario, Scenario)
        model = scenario.model if self.model is None else self.model
        if self.supply and model.supply is None:
            why = "the model has no supply formula"
            raise ConfigurationError("Estimator.supply", True, "False", why)
        if (self.integration is None) != (model.nonlinear is None):
            expected = "an Integration" if self.integration is None else "None for a model without X2"
            why = "random coefficients are integrated over consumers, and an estimator names its own"
            raise ConfigurationError("Estimator.integration", self.integration, expected, why)
        if self.starts.around == "frac":
            differs = getattr(scenario, "differs_by_product", False)
            check_frac("Estimator.starts.around", model, differs_by_product=differs)
        if self.gmm.resample_agents is not None:
            rule = getattr(self.integration, "integration", self.integration)
            given = rule if isinstance(rule, Integration) else None
            check_random("Estimator.integration", given, model.demographics is not None)
        check_observed(self.gmm, scenario)
        columns = None if self.model is None else columns_on(scenario, self.model)
        names = scenario.names if columns is None else columns.names
        if isinstance(self.integration, Integration | ImportanceSampling):
            self.integration.check(len(names.x2))
        elif self.integration is not None and (names.x2, names.demographics) != (
            scenario.names.x2,
            scenario.names.demographics,
        ):
            why = "the generator's have nodes and demographics of its own model"
            raise ConfigurationError("Estimator.integration", self.integration, "an Integration", why)
        if columns is not None:
            known = (scenario.truth, scenario.names)
            start = starting_values(self.parameters, known, columns, self.supply)
            bound = layout(start, columns, self.supply)
            self._check_phi(scenario, {bound.names[place] for place in bound.theta_positions})
            return bound.names
        blocks = {"beta", "sigma", "pi", "rho"} | ({"gamma"} if self.supply else set())
        values = scenario.truth.by_name(scenario.names)
        moved = self._check_phi(scenario, values)
        return tuple(name for name in values if name.partition("[")[0] in blocks or name in moved)

    def _check_phi(self, scenario: Scenario, known: Collection[str]) -> set[str]:
        """Return names of the autocorrelations that are estimated, after refusing that some are not known."""
        moved = {name for name, place in PHI.items() if self._innovative[place[0]]}
        if missing := moved - set(known):
            field, owner = (
                ("Scenario.truth", scenario.truth)
                if self.model is None
                else ("Estimator.parameters", self.parameters)
            )
            why = "an estimator of innovations estimates what it has a value to start from of"
            got = None if owner is None else owner.phi
            raise ConfigurationError(f"{field}.phi", got, f"a {min(missing)} that is not zero", why)
        return moved

    @property
    def micro_names(self) -> tuple[str, ...]:
        """Names of the micro moments that are matched."""
        return tuple(moment.name for moment in self.gmm.micro_moments)

    @property
    def _innovative(self) -> tuple[bool, bool]:
        """Whether moments of demand and of supply are in innovations."""
        demand, supply = self.gmm.demand_moment_types, self.gmm.supply_moment_types
        return demand != "levels", self.supply and supply != "levels"

    def estimate(self, dataset: Dataset, streams: Streams) -> Estimate:
        """Return the estimate on one dataset: the start with the lowest objective."""
        check("dataset", dataset, Dataset)
        check("streams", streams, Streams)
        return self.solution(dataset, streams).estimate()

    def solution(self, dataset: Dataset, streams: Streams) -> Solution:
        """Return all starts' results on one dataset; estimators that build on this one share it."""
        for estimator, known in _shared(dataset, streams):
            if estimator == self:
                return known
        solution = self._solution(dataset, streams)
        _shared(dataset, streams).append((self, solution))
        return solution

    def _solution(self, dataset: Dataset, streams: Streams) -> Solution:
        economy, columns = dataset.economy, self._columns(dataset, streams)
        if self.model is None:
            start = true_values(economy.parameters, columns, self.supply, self._innovative)
        else:
            known = (economy.parameters, economy.names)
            start = starting_values(self.parameters, known, columns, self.supply)
        bound = layout(start, columns, self.supply)
        if not has_logs(dataset.measured):
            return Solution(layout=bound, failure=Status.NON_FINITE)
        try:
            return self._solved(dataset, streams, columns, bound)
        except np.linalg.LinAlgError:
            return Solution(layout=bound, failure=Status.SINGULAR)

    def _solved(self, dataset: Dataset, streams: Streams, columns: ModelColumns, bound: Layout) -> Solution:
        products, failed = dataset.measured, Solution(layout=bound)
        first, failed_draws = self._first(dataset, streams), None
        agents = self._agents(dataset, streams, "estimation")
        if isinstance(agents, Status):
            return replace(failed, failure=agents)
        if isinstance(self.instruments, Optimal):
            optimal = cast(Estimator, self.instruments.first).solution(dataset, streams)
            if not optimal.is_usable:
                return replace(failed, failure=Status.FIRST_STEP_FAILED)
            found = optimal.optimal_instruments(self.instruments, streams)
            if found is None:
                return replace(failed, failure=Status.EQUILIBRIUM_FAILED)
            excluded, failed_draws = found.excluded, int(found.failed_draws.sum())
        else:
            excluded = self._excluded(dataset, columns)
        how = self.conduct or dataset.economy.conduct
        how = read_conduct("Estimator.conduct", how) if isinstance(how, str) else how
        setting = make_setting(self._model(dataset), products, agents, excluded, self.supply, how)
        if self.covariance_instruments is not None:
            formula = compile_formula(self.covariance_instruments, "Estimator.covariance_instruments")
            instruments = formula.bind(products.columns).values(products.columns)
            setting = with_covariances(setting, instruments)
        setting = replace(setting, resampled=self._resampled(dataset, streams))
        gmm = with_observed(self._bounded(bound, columns), dataset)
        if gmm is None:
            return replace(failed, failure=Status.NON_FINITE)
        starts = self._starts(setting, bound, first, streams)
        thetas = [np.clip(start, *gmm.theta_bounds(bound)) for start in starts]
        results = tuple(solve(setting, replace(bound, theta0=theta), gmm) for theta in thetas)
        return replace(
            failed, setting=setting, results=results, starts=np.array(thetas), failed_draws=failed_draws
        )

    def _first(self, dataset: Dataset, streams: Streams) -> Solution | None:
        """Return the first step where this one starts: that of agents, which follows that of instruments."""
        for step in (self.integration, self.instruments):
            if isinstance(step, ImportanceSampling | Optimal):
                return cast(Estimator, step.first).solution(dataset, streams)
        return None

    def _agents(self, dataset: Dataset, streams: Streams, role: str) -> Agents | Status:
        """Return the agents that are integrated over, or why there are none."""
        agents = self._drawn_agents(dataset, streams, role)
        return agents if isinstance(agents, Status) or self.availability else agents.unlimited()

    def _drawn_agents(self, dataset: Dataset, streams: Streams, role: str) -> Agents | Status:
        model, rule = self._model(dataset), self.integration
        if not isinstance(rule, Integration | ImportanceSampling | None):
            return dataset.left(dataset.economy.agents)
        if not isinstance(rule, ImportanceSampling):
            return dataset.draw_agents(model, rule, streams, role)
        first = cast(Estimator, rule.first).solution(dataset, streams)
        if not first.is_usable:
            return Status.FIRST_STEP_FAILED
        fitted = first.best.fitted
        if rule.delta is not None:
            precise = dataset.draw_agents(model, rule.delta, streams, f"{role}/delta")
            precise = precise if self.availability else precise.unlimited()
            delta = inverted_delta(fitted, precise, first.best.origin.gmm)
            if delta is None:
                return Status.INVERSION_FAILED
            fitted = fitted._replace(delta=delta)

        def candidates(number: int) -> Agents | None:
            if number == rule.sets:
                return None
            named = f"{role}/candidates {number}"
            drawn = dataset.draw_agents(model, rule.integration, streams, named)
            return drawn if self.availability else drawn.unlimited()

        generator = streams.generator(f"{role}/importance sampling")
        sample = sample_agents(fitted, candidates, Rule(rule.draws, rule.ar_constant), generator)
        return Status.SAMPLING_FAILED if isinstance(sample, TooFew) else sample.agents

    def _model(self, dataset: Dataset) -> Model:
        return dataset.economy.model if self.model is None else self.model

    def _columns(self, dataset: Dataset, streams: Streams) -> ModelColumns:
        """Return the columns of the estimated model, with labels of the demographics that its agents have."""
        model, rule, known = self._model(dataset), self.integration, dataset.economy.agents
        if self.model is not None and isinstance(rule, Integration | ImportanceSampling | None):
            rule = rule.integration if isinstance(rule, ImportanceSampling) else rule
            known = dataset.draw_agents(model, rule, streams, "estimation")
        return model.bind(dataset.measured.columns, known.demographic_names)

    def _resampled(self, dataset: Dataset, streams: Streams) -> Resampled | None:
        number = self.gmm.resample_agents
        if number is None or callable(number):
            return None

        def resampled(index: int) -> Agents | Status | None:
            role = f"estimation/resampled {index}"
            return None if index >= number else self._agents(dataset, streams, role)

        return resampled

    def _bounded(self, bound: Layout, columns: ModelColumns) -> GMM:
        if self.bounds is None:
            return self.gmm
        if not isinstance(self.bounds, Bounds):
            return replace(self.gmm, bounds=self.bounds)
        priced = [
            f"beta[{n}]" for n, p in zip(columns.x1.names, columns.x1.depends_on_prices, strict=True) if p
        ]
        return replace(self.gmm, bounds=self.bounds.by_name(bound, priced))

    def _excluded(self, dataset: Dataset, columns: ModelColumns) -> Excluded:
        instruments = cast(Instruments, self.instruments)
        model, products = self._model(dataset), dataset.measured
        nests = None if model.nests is None else model.nest_codes(products.columns)
        return instruments.build(instrument_source(products, columns, nests=nests))

    def _starts(self, setting: Setting, bound: Layout, first: Solution | None, streams: Streams) -> Matrix:
        if first is None:
            around = frac_start(setting, bound) if self.starts.around == "frac" else bound.theta0
            return self.starts.draw(around, streams.generator("starts"))
        values = dict(zip(first.layout.names, first.best.values, strict=True))
        fallback = dict(zip(bound.theta_names, bound.theta0, strict=True))
        return np.array([[values.get(name, fallback[name]) for name in bound.theta_names]])


class _Memory(threading.local):
    """The solutions on the dataset that this thread works on: chains share their first steps."""

    def __init__(self) -> None:
        self.of: tuple[object, Streams] | None = None
        self.solutions: list[tuple[Estimator, Solution]] = []


_MEMORY = _Memory()


def _shared(dataset: Dataset, streams: Streams) -> list[tuple[Estimator, Solution]]:
    if _MEMORY.of is None or _MEMORY.of[0] is not dataset or _MEMORY.of[1] != streams:
        _MEMORY.of, _MEMORY.solutions = (dataset, streams), []
    return _MEMORY.solutions
