import json
from types import SimpleNamespace

import pytest

from blpsim.errors import StoreError
from blpsim.store.content import content_of, read_content
from blpsim.study.code import code_hash
from tests.store.made import content


def test_design_json_brings_the_content_back(tmp_path):
    made = content(factors={"simple": {"gamma": 0.1, "label": "é"}}, description={"replications": 10})
    (tmp_path / "design.json").write_text(json.dumps(made.as_json()))
    assert read_content(tmp_path) == made


def test_everything_is_planned_unless_said_otherwise():
    assert content().planned("simple", "own") == 10
    assert content(plan={"simple": {"own": 3}}).planned("simple", "sums") == 0
    assert content().planned("nowhere", "own") == 0


def test_joined_contents_keep_what_only_the_earlier_one_has_and_has_results_of():
    earlier = content(scenarios={"simple": "1" * 64, "gone": "8" * 64, "never": "9" * 64}, replications=20)
    now = content(
        scenarios={"new": "3" * 64, "simple": "1" * 64}, estimators={"optimal": "6" * 64}, hash="e" * 64
    )
    joined = now.joined(earlier, {"gone", "own"})
    assert list(joined.scenarios) == ["new", "simple", "gone"]
    assert list(joined.estimators) == ["optimal", "own"]
    assert joined.hash == "e" * 64
    plan = {scenario: dict(row) for scenario, row in joined.plan.items()}
    assert plan["new"] == {"optimal": 10, "own": 0}
    assert plan["simple"] == {"optimal": 10, "own": 20}
    assert plan["gone"] == {"optimal": 0, "own": 20}


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": 1}', '{"format": 2}', '{"name": "x"}'])
def test_a_folder_that_is_no_store_is_refused_in_one_line(tmp_path, text):
    if text is not None:
        (tmp_path / "design.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        read_content(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_design_s_content_is_its_names_hashes_factors_and_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hashes = SimpleNamespace(design="d" * 64, scenarios={"simple": "1" * 64}, estimators={"own": "a" * 64})
    design = SimpleNamespace(
        name="made",
        seed=7,
        replications=10,
        scenarios={"simple": range(3)},
        estimators={"own": {"starts": 3}},
        estimands={},
        source=SimpleNamespace(path=str(tmp_path / "a" / "design.py"), text="design = ..."),
        hashes=hashes,
        factors=lambda name: {"gamma": len(name)},
    )
    found = content_of(design)
    assert (found.name, found.seed, found.replications, found.hash) == ("made", 7, 10, "d" * 64)
    assert (found.scenarios, found.estimators) == (hashes.scenarios, hashes.estimators)
    assert found.factors == {"simple": {"gamma": 6}}
    assert found.description["estimators"] == {"own": {"starts": 3}}
    assert (found.source, found.source_text) == ("a/design.py", "design = ...")
    assert found.code == code_hash()
    assert "source_text" not in found.as_json()
