"""Scenarios that differ from one another in stated factors and share their random numbers."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np

from blpsim.checks import check
from blpsim.errors import ConfigurationError
from blpsim.streams import Streams
from blpsim.study.protocols import ScenarioProtocol

_STEP = re.compile(r"\.?(?P<attribute>[A-Za-z_]\w*)|\[(?P<item>[^\[\]]+)\]")


class Step(NamedTuple):
    """One step of a path into a scenario: an attribute, or an item of a mapping or an array."""

    key: str
    """The attribute's name, or what stands between the brackets."""
    is_item: bool
    """Whether it is an item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Varied:
    """A scenario and the factors that tell it from those varied with it."""

    scenario: ScenarioProtocol
    """The scenario."""
    labels: Mapping[str, float | str]
    """The factors' paths and values, as the coordinates of a store show them."""
    stream_key: str
    """The key of its random streams; common to all that one ``vary`` makes, unless told otherwise."""

    @property
    def truth(self) -> object:
        """The scenario's true parameters."""
        return self.scenario.truth

    def generate(self, streams: Streams) -> object:
        """Return the dataset of one replication."""
        return self.scenario.generate(streams if streams.stream_key else streams.keyed(self.stream_key))


def vary(
    scenario: ScenarioProtocol,
    factors: Mapping[str, Sequence[object]],
    *,
    prefix: str = "",
    common_random_numbers: bool = True,
) -> dict[str, Varied]:
    """Return scenarios by name, one for each combination of the factors' values.

    scenario               what is varied
    factors                values by path: ``{"truth.gamma[w]": (0, 0.1, 0.2), "markets.number": (20, 80)}``
    prefix                 begins each name, when one design varies several scenarios
    common_random_numbers  whether all share the scenario's stream key, so that comparisons are paired

    Raises ConfigurationError for a path that leads nowhere, and for a factor without values.
    """
    check("vary.scenario", scenario, ScenarioProtocol)
    check("vary.factors", factors, Mapping[str, object])
    check("vary.prefix", prefix, str)
    check("vary.common_random_numbers", common_random_numbers, bool)
    for path, values in factors.items():
        if isinstance(values, str | bytes | Mapping) or not np.iterable(values) or not len(list(values)):
            raise ConfigurationError(
                f"vary.factors[{path!r}]", values, "a sequence of values", "each gives a scenario"
            )
    made: dict[str, Varied] = {}
    for values in itertools.product(*factors.values()):
        point = dict(zip(factors, values, strict=True))
        labels = {path: _label(value) for path, value in point.items()}
        varied = _at_point(scenario, point)
        name = prefix + ", ".join(f"{path.rpartition('.')[2]}={label}" for path, label in labels.items())
        if name in made:
            raise ConfigurationError(
                "vary.factors", name, "values that differ", "each gives a scenario its name"
            )
        key = scenario.stream_key if common_random_numbers else varied.stream_key
        made[name] = Varied(scenario=varied, labels=labels, stream_key=key)
    return made


def replaced(target: object, path: str, value: object) -> object:
    """Return a copy of a frozen object with the value at a dotted path exchanged.

    A parameter is named as results name it, ``truth.gamma[w]``, however its block was written.

    Raises ConfigurationError where the path leads nowhere.
    """
    by_name = getattr(target, "truth_by_name", None)
    names = by_name() if callable(by_name) else {}
    return _Replacement(path=path, value=value, truth=names).of(target, _steps(path))


def _at_point(scenario: ScenarioProtocol, point: Mapping[str, object]) -> ScenarioProtocol:
    for path, value in point.items():
        scenario = cast(ScenarioProtocol, replaced(scenario, path, value))
    return scenario


def _settable(target: object) -> list[str]:
    if not dataclasses.is_dataclass(target) or isinstance(target, type):
        return []
    return [field.name for field in dataclasses.fields(target) if field.init]


def _exchanged(target: object, name: str, value: object) -> object:
    return dataclasses.replace(cast(Any, target), **{name: value})


def _steps(path: str) -> list[Step]:
    steps: list[Step] = []
    position = 0
    while match := _STEP.match(path, position):
        item = match["item"]
        steps.append(Step(key=match["attribute"] if item is None else item, is_item=item is not None))
        position = match.end()
    if not steps or position < len(path):
        expected = "attributes joined by dots and items in brackets, as in truth.gamma[w]"
        raise ConfigurationError("vary.factors", path, expected, "it says what is varied")
    return steps


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replacement:
    path: str
    value: object
    truth: Mapping[str, float]

    def of(self, target: object, steps: Sequence[Step]) -> object:
        """Return the target with the value at the end of the steps exchanged."""
        if not steps:
            return self.value
        step, *rest = steps
        if step.is_item:
            return self._with_item(target, step.key, rest)
        if step.key not in _settable(target):
            raise self._nowhere(step.key, _settable(target))
        if len(rest) == 1 and rest[0].is_item and f"{step.key}[{rest[0].key}]" in self.truth:
            return _exchanged(target, step.key, self._named_block(step.key, rest[0].key))
        return _exchanged(target, step.key, self.of(getattr(target, step.key), rest))

    def _named_block(self, block: str, key: str) -> dict[str, object]:
        values = {name: value for name, value in self.truth.items() if name.startswith(f"{block}[")}
        return {**values, f"{block}[{key}]": self.value}

    def _with_item(self, target: object, key: str, rest: Sequence[Step]) -> object:
        if isinstance(target, Mapping):
            if key not in target:
                raise self._nowhere(key, list(target))
            return {**target, key: self.of(target[key], rest)}
        array = np.array(target)
        try:
            index = tuple(int(number) for number in key.split(","))
            array[index] = self.of(array[index], rest)
        except (ValueError, IndexError, TypeError) as error:
            raise self._nowhere(key, [*self.truth, f"a position in an array {array.shape}"]) from error
        return array

    def _nowhere(self, key: str, known: Sequence[str]) -> ConfigurationError:
        expected = f"one of {', '.join(known)}" if known else "something that has parts"
        return ConfigurationError(f"vary.factors[{self.path!r}]", key, expected, "the path leads nowhere")


def _label(value: object) -> float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    return float(value) if isinstance(value, float | np.floating) else int(value)
