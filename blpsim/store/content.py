"""What a store's numbers come from: the design's values as names, hashes and plain JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from blpsim.store.description import described
from blpsim.store.refusal import refused, unreadable
from blpsim.study.code import code_hash

if TYPE_CHECKING:
    from blpsim.study.design import Design

Factor: TypeAlias = float | int | str | bool

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A design as a store sees it: nothing here runs, everything here is text and numbers."""

    name: str
    """The study's name."""
    seed: int
    """The study's seed."""
    replications: int
    """Replications that the design asks of every scenario and estimator."""
    hash: str
    """The design's hash."""
    code: str
    """The hash of the code that computes the numbers."""
    scenarios: Mapping[str, str]
    """Each scenario's hash, in the design's order."""
    estimators: Mapping[str, str]
    """Each estimator's hash, in the design's order."""
    factors: Mapping[str, Mapping[str, Factor]] = field(default_factory=dict)
    """What varies between scenarios: by scenario, each factor's value."""
    description: Mapping[str, Any] = field(default_factory=dict)
    """The design for people, as plain JSON."""
    source: str | None = None
    """The design file's path as the user wrote it, for the commands that replay failures."""
    source_text: str | None = field(default=None, repr=False, compare=False)
    """What the design file says, kept beside the results and never run."""
    plan: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Replications asked for, by scenario and estimator; left empty, all of them."""

    def __post_init__(self) -> None:
        """Plan everything where nothing else was said."""
        if not self.plan:
            row = dict.fromkeys(self.estimators, self.replications)
            object.__setattr__(self, "plan", {scenario: dict(row) for scenario in self.scenarios})

    def planned(self, scenario: str, estimator: str) -> int:
        """Return how many replications of a scenario the estimator was asked for, 0 when none."""
        return self.plan.get(scenario, {}).get(estimator, 0)

    def joined(self, earlier: Content, kept: Set[str]) -> Content:
        """Return this content and, behind it, what an earlier one has besides; plans keep the larger number.

        kept  names of the scenarios and estimators that the journal has blocks of; others are forgotten
        """
        scenarios = {**self.scenarios, **_besides(earlier.scenarios, self.scenarios, kept)}
        estimators = {**self.estimators, **_besides(earlier.estimators, self.estimators, kept)}
        plan = {
            scenario: {
                estimator: max(self.planned(scenario, estimator), earlier.planned(scenario, estimator))
                for estimator in estimators
            }
            for scenario in scenarios
        }
        factors = {**earlier.factors, **self.factors}
        return replace(self, scenarios=scenarios, estimators=estimators, factors=factors, plan=plan)

    def as_json(self) -> dict[str, Any]:
        """Return what ``design.json`` holds."""
        return {
            "format": _FORMAT,
            "name": self.name,
            "seed": self.seed,
            "replications": self.replications,
            "hash": self.hash,
            "code": self.code,
            "source": self.source,
            "scenarios": dict(self.scenarios),
            "estimators": dict(self.estimators),
            "factors": {scenario: dict(values) for scenario, values in self.factors.items()},
            "plan": {scenario: dict(row) for scenario, row in self.plan.items()},
            "description": dict(self.description),
        }


def content_of(design: Design) -> Content:
    """Return what a store must know of a design."""
    hashes, source = design.hashes, design.source
    parts = {"scenarios": design.scenarios, "estimators": design.estimators, "estimands": design.estimands}
    return Content(
        name=design.name,
        seed=design.seed,
        replications=design.replications,
        hash=hashes.design,
        code=code_hash(),
        scenarios=hashes.scenarios,
        estimators=hashes.estimators,
        factors={name: design.factors(name) for name in design.scenarios},
        description={kind: described(part) for kind, part in parts.items()},
        source=None if source is None else _nearby(Path(source.path)),
        source_text=None if source is None else source.text,
    )


def read_content(path: Path) -> Content:
    """Return what a store's ``design.json`` says.

    Raises StoreError when there is none, or when it is not one of ours.
    """
    try:
        values: dict[str, Any] = json.loads((path / "design.json").read_bytes())
        if values.pop("format") != _FORMAT:
            raise refused(path, f"a store of format {_FORMAT}", "another version of blpsim made it")
        return Content(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise unreadable(path / "design.json", error) from error


def _nearby(path: Path) -> str:
    """Return a path as a user here would write it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _besides(earlier: Mapping[str, str], now: Mapping[str, str], kept: Set[str]) -> dict[str, str]:
    return {name: value for name, value in earlier.items() if name in kept and name not in now}
