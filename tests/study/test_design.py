from __future__ import annotations

import dataclasses
import pickle

import pytest

from blpsim.errors import ConfigurationError
from blpsim.study.design import Design
from blpsim.study.vary import vary

from .toys import Mean, Median, Normals


def designed(**changes):
    settings = {
        "name": "toy",
        "seed": 7,
        "replications": 3,
        "scenarios": {"normals": Normals()},
        "estimators": {"mean": Mean(), "robust/median": Median()},
    }
    return Design(**{**settings, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": " "}, "Design.name = ' ': expected a name that is not empty; it names the store"),
        ({"seed": -1}, "Design.seed = -1: expected an integer, 0 or larger"),
        ({"seed": 1.5}, "Design.seed = 1.5: expected an integer"),
        ({"replications": -5}, "Design.replications = -5: expected an integer, 0 or larger"),
        ({"replications": True}, "Design.replications = True: expected an integer"),
        ({"scenarios": {}}, "Design.scenarios = {}: expected at least one"),
        ({"estimators": []}, "Design.estimators = {}: expected at least one"),
        (
            {"scenarios": [("a", Normals()), ("a", Normals())]},
            "Design.scenarios = a: expected each name once",
        ),
        ({"estimators": [("a", Mean()), ("a", Mean())]}, "Design.estimators = a: expected each name once"),
        ({"scenarios": {"": Normals()}}, "Design.scenarios = '': expected names that are not empty"),
        ({"scenarios": {"a": Mean()}}, r"Design.scenarios\['a'\] = Mean"),
        (
            {"estimators": {"a": 3}},
            r"Design.estimators\['a'\] = 3: expected an Estimator, or anything with names",
        ),
        ({"estimands": {"mean": len}}, "Design.estimands = mean: expected a name that no parameter"),
    ],
)
def test_a_design_that_cannot_be_is_refused_in_one_line(changes, message):
    with pytest.raises(ConfigurationError, match=f"^{message}") as raised:
        designed(**changes)
    assert "\n" not in str(raised.value)


def test_parts_are_named_in_the_order_written():
    design = designed(scenarios=[("b", Normals()), ("a/1", Normals())], estimands={"last": float})
    assert list(design.scenarios) == ["b", "a/1"]
    assert design.parameters["a/1"] == ("mean", "spread", "median", "last")


def test_a_name_that_is_not_there_says_what_is():
    with pytest.raises(
        ConfigurationError, match=r"Design\.estimators = mode: expected one of mean, robust/median"
    ):
        designed().estimator("mode")


def test_the_replication_count_is_in_no_hash_and_all_else_is():
    design = designed()
    assert dataclasses.replace(design, replications=1000).hashes == design.hashes
    changes = {
        "name": "other",
        "seed": 8,
        "scenarios": {"normals": Normals(mean=2.0)},
        "estimators": {"mean": Mean(scale=2.0), "robust/median": Median()},
        "estimands": {"double": lambda economy: 2 * economy},
    }
    hashes = {dataclasses.replace(design, **{name: value}).fingerprint for name, value in changes.items()}
    assert len({design.fingerprint, *hashes}) == 6


def test_adding_a_scenario_or_an_estimator_leaves_the_hashes_of_the_others():
    before = designed().hashes
    after = designed(
        scenarios={"new": Normals(mean=3.0), "normals": Normals()},
        estimators={"new": Mean(scale=2.0), "mean": Mean(), "robust/median": Median()},
    ).hashes
    assert after.scenarios["normals"] == before.scenarios["normals"]
    assert {name: after.estimators[name] for name in before.estimators} == before.estimators
    assert after.design != before.design


def test_the_stream_key_and_the_estimands_are_in_a_scenarios_hash():
    plain = designed().hashes.scenarios["normals"]
    keyed = designed(scenarios={"normals": Normals(stream_key="k")}).hashes.scenarios["normals"]
    more = designed(estimands={"double": lambda economy: 2 * economy}).hashes.scenarios["normals"]
    assert len({plain, keyed, more}) == 3


def test_streams_depend_on_seed_key_and_replication_alone():
    design = designed(scenarios=vary(Normals(), {"mean": (0.0, 1.0)}))
    draws = {name: design.streams(name, 4).generator("x").random() for name in design.scenarios}
    assert len(set(draws.values())) == 1
    assert design.streams("mean=1.0", 5).generator("x").random() not in draws.values()


def test_a_design_can_be_sent_to_another_process():
    design = designed()
    assert pickle.loads(pickle.dumps(design)).fingerprint == design.fingerprint
