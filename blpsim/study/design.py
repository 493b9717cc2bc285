"""A study's design: the scenarios, the estimators, what is estimated, and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from blpsim.checks import check, check_count, fits, numbers
from blpsim.errors import ConfigurationError
from blpsim.fingerprint import fingerprint
from blpsim.streams import Streams
from blpsim.study.protocols import Estimand, EstimatorProtocol, ScenarioProtocol
from blpsim.study.vary import Varied

Part = TypeVar("Part")


class Source(NamedTuple):
    """The file that a design was read from."""

    path: str
    """Where it was, absolute."""
    text: str
    """What it said."""


class Hashes(NamedTuple):
    """Hashes of a design and of its parts, so that a study may grow but not change.

    Scenarios and estimators can be added to a store, never exchanged; the number of
    replications is in no hash.
    """

    design: str
    """Of everything."""
    scenarios: Mapping[str, str]
    """Of each scenario, with its stream key and the estimands, which are evaluated on it."""
    estimators: Mapping[str, str]
    """Of each estimator."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """A Monte Carlo study: every estimator on every replication of every scenario."""

    name: str
    """Name of the study; its store defaults to ``results/NAME``."""
    seed: int
    """Seed of all its random numbers, 0 or larger."""
    replications: int
    """Number of replications of each scenario, 0 or larger."""
    scenarios: Mapping[str, ScenarioProtocol]
    """Scenarios by name: a mapping, or pairs of a name and a scenario; ``bs.vary`` makes many."""
    estimators: Mapping[str, EstimatorProtocol]
    """Estimators by name: a mapping, or pairs of a name and an estimator."""
    estimands: Mapping[str, Estimand] = field(default_factory=dict)
    """Functions of an economy by name, recorded as further parameters."""
    source: Source | None = field(default=None, repr=False)
    """The file that the design was read from, or None when it was built in a session."""
    names: Mapping[tuple[str, str], tuple[str, ...]] = field(init=False, repr=False)
    """For each scenario and estimator, the names of the parameters that are estimated."""
    parameters: Mapping[str, tuple[str, ...]] = field(init=False, repr=False)
    """For each scenario, the names that are recorded: the truth's, estimators' and estimands'."""
    micro_moments: Mapping[str, tuple[str, ...]] = field(init=False, repr=False)
    """For each estimator, the names of the micro moments that it matches."""
    hashes: Hashes = field(init=False, repr=False)
    """Hashes of the content, of when the design was made: a design file may change later."""

    def __post_init__(self) -> None:
        """Check the design once, and name what each scenario records."""
        _check_name(self.name)
        check_count("Design.seed", self.seed, "random streams start from it", 0)
        check_count("Design.replications", self.replications, "0 plans nothing", 0)
        check("Design.source", self.source, Source | None)
        object.__setattr__(self, "seed", int(self.seed))
        object.__setattr__(self, "replications", int(self.replications))
        for kind in ("scenarios", "estimators", "estimands"):
            object.__setattr__(self, kind, _by_name(kind, getattr(self, kind)))
        for name, scenario in self.scenarios.items():
            _check_scenario(name, scenario)
        for name, estimator in self.estimators.items():
            _check_estimator(name, estimator)
        check("Design.estimands", self.estimands, Mapping[str, Callable[..., float]])
        names = {
            (scenario, name): self._named(scenario, name)
            for scenario in self.scenarios
            for name in self.estimators
        }
        object.__setattr__(self, "names", names)
        parameters = {name: self._recorded(name) for name in self.scenarios}
        object.__setattr__(self, "parameters", parameters)
        micro = {name: self._matched(name) for name in self.estimators}
        object.__setattr__(self, "micro_moments", micro)
        object.__setattr__(self, "hashes", self._hashed())

    def scenario(self, name: str) -> ScenarioProtocol:
        """Return a scenario, without the factors that ``bs.vary`` may have given it."""
        scenario = self._found("scenarios", self.scenarios, name)
        return scenario.scenario if isinstance(scenario, Varied) else scenario

    def estimator(self, name: str) -> EstimatorProtocol:
        """Return an estimator."""
        return self._found("estimators", self.estimators, name)

    def factors(self, name: str) -> Mapping[str, float | str]:
        """Return the factors that tell a scenario from those varied with it."""
        scenario = self._found("scenarios", self.scenarios, name)
        return scenario.labels if isinstance(scenario, Varied) else {}

    def streams(self, name: str, replication: int) -> Streams:
        """Return the random streams of one replication of a scenario."""
        key = self._found("scenarios", self.scenarios, name).stream_key
        return Streams(seed=self.seed, replication=replication, stream_key=key)

    def truth(self, name: str) -> dict[str, float]:
        """Return a scenario's true parameters by name, without the estimands."""
        scenario = self.scenario(name)
        by_name = getattr(scenario, "truth_by_name", None)
        truth = by_name() if callable(by_name) else scenario.truth
        if not isinstance(truth, Mapping):
            raise ConfigurationError(
                f"Design.scenarios[{name!r}].truth", truth, "values by name", "estimates are compared with it"
            )
        field = f"Design.scenarios[{name!r}].truth"
        check(field, truth, Mapping[str, object])
        return {key: float(numbers(f"{field}[{key!r}]", value)) for key, value in truth.items()}

    @property
    def fingerprint(self) -> str:
        """The hash of the design's content, 64 hexadecimal digits; the replication count is not in it."""
        return self.hashes.design

    def _named(self, scenario: str, name: str) -> tuple[str, ...]:
        names = self.estimators[name].names(self.scenario(scenario))
        check(f"Design.estimators[{name!r}].names({scenario!r})", names, tuple[str, ...])
        return tuple(names)

    def _matched(self, name: str) -> tuple[str, ...]:
        names = getattr(self.estimators[name], "micro_names", ())
        check(f"Design.estimators[{name!r}].micro_names", names, tuple[str, ...])
        return tuple(names)

    def _hashed(self) -> Hashes:
        estimands = fingerprint(self.estimands)
        scenarios = {
            name: fingerprint([self.scenario(name), scenario.stream_key, estimands])
            for name, scenario in self.scenarios.items()
        }
        estimators = {name: fingerprint(estimator) for name, estimator in self.estimators.items()}
        whole = fingerprint([self.name, self.seed, scenarios, estimators])
        return Hashes(design=whole, scenarios=scenarios, estimators=estimators)

    def _recorded(self, name: str) -> tuple[str, ...]:
        names = list(self.truth(name))
        for estimator in self.estimators:
            names += self.names[name, estimator]
        for estimand in self.estimands:
            if estimand in names:
                expected = f"a name that no parameter of {name!r} has"
                raise ConfigurationError("Design.estimands", estimand, expected, "names tell them apart")
        return tuple(dict.fromkeys([*names, *self.estimands]))

    def _found(self, kind: str, parts: Mapping[str, Part], name: str) -> Part:
        if not isinstance(name, str) or name not in parts:
            raise ConfigurationError(
                f"Design.{kind}", name, f"one of {', '.join(parts)}", f"the design {self.name!r} has no other"
            )
        return parts[name]


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip() or name in (".", ".."):
        raise ConfigurationError("Design.name", name, "a name that is not empty", "it names the store")


def _by_name(kind: str, parts: Mapping[str, Part] | Iterable[tuple[str, Part]]) -> Mapping[str, Part]:
    check(f"Design.{kind}", parts, Mapping[str, object] | Iterable[object])
    pairs = tuple(parts.items() if isinstance(parts, Mapping) else parts)
    check(f"Design.{kind}", pairs, tuple[tuple[str, object], ...])
    named: dict[str, Part] = {}
    for name, part in pairs:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"Design.{kind}", name, "names that are not empty", "tables show them")
        if name in named:
            raise ConfigurationError(f"Design.{kind}", name, "each name once", "one would hide the other")
        named[name] = part
    if not named and kind != "estimands":
        raise ConfigurationError(f"Design.{kind}", {}, "at least one", "there would be nothing to run")
    return named


def _check_scenario(name: str, scenario: object) -> None:
    if not fits(scenario, ScenarioProtocol):
        raise ConfigurationError(
            f"Design.scenarios[{name!r}]",
            scenario,
            "a Scenario, or anything with generate(streams), truth and stream_key",
            "data are drawn from it",
        )


def _check_estimator(name: str, estimator: object) -> None:
    if not fits(estimator, EstimatorProtocol):
        raise ConfigurationError(
            f"Design.estimators[{name!r}]",
            estimator,
            "an Estimator, or anything with names(scenario) and estimate(dataset, streams)",
            "it is run on every dataset",
        )
