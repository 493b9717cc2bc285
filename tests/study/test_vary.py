from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from blpsim.errors import ConfigurationError
from blpsim.streams import Streams
from blpsim.study.design import Design
from blpsim.study.vary import replaced, vary

from .toys import Mean, Normals


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    gamma: object = (2.0, 1.0, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    truth: Truth = Truth()
    parts: Mapping[str, Normals] = field(default_factory=lambda: {"x": Normals(), "w": Normals()})
    stream_key: str = "nested"

    def truth_by_name(self):
        values = self.truth.gamma
        return (
            dict(values)
            if isinstance(values, Mapping)
            else dict(zip(("gamma[1]", "gamma[x]", "gamma[w]"), values, strict=True))
        )

    def generate(self, streams):
        return streams.generator("x").random()


def test_a_scenario_is_made_for_each_combination_with_its_factors():
    made = vary(Normals(), {"mean": (0, 0.5), "size": (10, 20)}, prefix="n/")
    assert list(made) == [
        "n/mean=0, size=10",
        "n/mean=0, size=20",
        "n/mean=0.5, size=10",
        "n/mean=0.5, size=20",
    ]
    assert made["n/mean=0.5, size=20"].scenario == Normals(mean=0.5, size=20)
    design = Design(name="d", seed=1, replications=1, scenarios=made, estimators={"mean": Mean()})
    assert design.factors("n/mean=0.5, size=20") == {"mean": 0.5, "size": 20}
    assert design.truth("n/mean=0.5, size=20") == {"mean": 0.5, "spread": 2.0}


def test_varied_scenarios_share_their_random_numbers_unless_told_otherwise():
    shared = vary(Nested(), {"stream_key": ("a", "b")})
    apart = vary(Nested(), {"stream_key": ("a", "b")}, common_random_numbers=False)
    streams = Streams(seed=1, replication=0)
    assert len({scenario.generate(streams) for scenario in shared.values()}) == 1
    assert len({scenario.generate(streams) for scenario in apart.values()}) == 2


def test_a_parameter_is_found_by_its_name_though_its_block_is_an_array():
    changed = replaced(Nested(), "truth.gamma[w]", 0.5)
    assert changed.truth_by_name() == {"gamma[1]": 2.0, "gamma[x]": 1.0, "gamma[w]": 0.5}
    assert replaced(changed, "truth.gamma[x]", 0.0).truth_by_name()["gamma[w]"] == 0.5


def test_items_of_mappings_and_arrays_are_exchanged_and_the_original_is_not():
    original = Nested()
    assert replaced(original, "parts[w].mean", 9.0).parts == {"x": Normals(), "w": Normals(mean=9.0)}
    np.testing.assert_array_equal(replaced(original, "truth.gamma[0]", 7).truth.gamma, [7, 1, 0.2])
    assert original == Nested()


@pytest.mark.parametrize(
    ("path", "got", "expected"),
    [
        ("sizes", "sizes", "one of truth, parts, stream_key"),
        ("truth.delta", "delta", "one of gamma"),
        ("parts[y].mean", "y", "one of x, w"),
        ("truth.gamma[z]", "z", r"one of gamma\[1\], gamma\[x\], gamma\[w\]"),
        ("truth.gamma[5]", "5", "one of gamma"),
        ("stream_key.x", "x", "something that has parts"),
        ("truth..gamma", "truth..gamma", "attributes joined by dots"),
        ("", "''", "attributes joined by dots"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path, got, expected):
    with pytest.raises(ConfigurationError, match=expected) as raised:
        vary(Nested(), {path: (1, 2)})
    assert raised.value.got == got


def test_factors_without_values_or_with_the_same_value_twice_are_refused():
    with pytest.raises(ConfigurationError, match="a sequence of values"):
        vary(Normals(), {"mean": ()})
    with pytest.raises(ConfigurationError, match="values that differ"):
        vary(Normals(), {"mean": (1, 1)})
