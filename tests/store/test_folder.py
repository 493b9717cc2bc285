import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import xarray as xr

from blpsim.errors import BlpsimWarning, StoreError
from blpsim.status import Status
from blpsim.store import provenance, swap
from blpsim.store.folder import Store
from blpsim.store.study import open_study
from tests.store.made import ESTIMATORS, SCENARIOS, block, content

ROOT = Path(__file__).parents[2]


def computed(path, *, made=None, start=0, stop=10, scenarios=("simple",), estimators=("own", "sums")):
    with Store(path, content() if made is None else made) as store:
        for scenario in scenarios:
            store.write(block(scenario, start, stop, estimators=estimators))
        store.publish()


def variables(path):
    with xr.open_zarr(path / "results.zarr", chunks=None) as results:
        return results.load().drop_attrs()


def test_a_run_leaves_the_files_that_the_contract_names_and_no_others(tmp_path):
    design = tmp_path / "design.py"
    design.write_text("raise SystemExit('never run')\n")
    computed(tmp_path / "store", made=content(source=str(design), source_text=design.read_text()))
    names = {path.name for path in (tmp_path / "store").iterdir()}
    assert names == {
        "journal",
        "results.zarr",
        "design.json",
        "design.py",
        "provenance.json",
        "failures.jsonl",
        "lock",
    }
    assert (tmp_path / "store" / "design.py").read_text() == design.read_text()


def test_attributes_tell_the_design_its_hash_and_where_it_ran(tmp_path):
    computed(tmp_path / "store")
    attributes = xr.open_zarr(tmp_path / "store" / "results.zarr").attrs
    assert json.loads(attributes["design"])["scenarios"] == SCENARIOS
    assert (attributes["design_hash"], attributes["seed"], attributes["title"]) == ("d" * 64, 7, "made")
    assert json.loads(attributes["versions"])["numba"]
    for name in ("cpu", "cpu_features", "threads", "blas", "commit", "dirty", "started", "ended", "platform"):
        assert name in attributes
    assert attributes["wall_hours"] > 0
    assert attributes["core_hours"] > 0


def test_a_continued_store_equals_one_made_at_once(tmp_path):
    once, later = tmp_path / "once", tmp_path / "later"
    computed(once, scenarios=tuple(SCENARIOS))
    one = content(scenarios={"simple": "1" * 64}, replications=4)
    computed(later, made=one, stop=4)
    computed(later, made=content(scenarios={"simple": "1" * 64}), start=4)
    computed(later, scenarios=("complex/é",))
    xr.testing.assert_identical(variables(once), variables(later))
    assert (once / "failures.jsonl").read_bytes() == (later / "failures.jsonl").read_bytes()


def test_an_estimator_added_later_is_pending_until_it_ran(tmp_path):
    computed(tmp_path, made=content(estimators={"own": "a" * 64}), estimators=("own",))
    with Store(tmp_path, content()) as store:
        store.publish()
        assert (variables(tmp_path).status.sel(estimator="sums") == Status.PENDING).all()
        store.write(block("simple", 0, 10, estimators=("sums",)))
        store.publish()
    results = variables(tmp_path)
    assert results.estimator.values.tolist() == list(ESTIMATORS)
    assert (results.status.sel(scenario="simple") != Status.PENDING).all()


def test_what_is_no_longer_in_the_design_stays_in_the_results(tmp_path):
    computed(tmp_path)
    computed(tmp_path, made=content(scenarios={"complex/é": "2" * 64}), scenarios=("complex/é",), stop=2)
    assert variables(tmp_path).scenario.values.tolist() == ["complex/é", "simple"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "other"}, "it holds the study 'made'"),
        ({"seed": 8}, "the study's seed is 8 now, but was 7"),
        ({"scenarios": {"simple": "9" * 64}}, "scenario 'simple' is"),
        ({"code": "9" * 64}, "blpsim's code is"),
    ],
)
def test_a_store_made_by_another_design_is_refused_untouched(tmp_path, change, said):
    computed(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(StoreError, match=said), Store(tmp_path, content(**change)):
        pass
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_store_in_which_nothing_was_computed_may_become_another_design_s(tmp_path):
    with Store(tmp_path, content()):
        pass
    computed(tmp_path, made=content(name="other", seed=9, scenarios={"simple": "9" * 64}))
    assert open_study(tmp_path).design.name == "other"


@pytest.mark.parametrize("place", ["file/store", "file", "/proc/store"])
def test_an_unwritable_path_is_one_line(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="expected a path that can be written; ") as caught:
        Store(tmp_path / place, content()).__enter__()
    assert "\n" not in str(caught.value)


def test_a_folder_of_other_files_is_not_made_a_store(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match="it holds other files"):
        Store(tmp_path, content()).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_second_command_on_the_same_store_is_refused(tmp_path):
    with (
        Store(tmp_path, content()),
        pytest.raises(StoreError, match="a store that no other command writes to"),
    ):
        Store(tmp_path, content()).__enter__()
    with Store(tmp_path, content()):
        pass


def test_a_refused_command_gives_the_lock_back(tmp_path):
    computed(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreError, match="seed"):
            Store(tmp_path, content(seed=8)).__enter__()


def test_publishing_alone_needs_no_design_and_adds_no_run(tmp_path):
    computed(tmp_path)
    before = variables(tmp_path), (tmp_path / "provenance.json").read_bytes()
    (tmp_path / "failures.jsonl").unlink()
    with Store(tmp_path) as store:
        store.publish()
    xr.testing.assert_identical(variables(tmp_path), before[0])
    assert (tmp_path / "provenance.json").read_bytes() == before[1]
    assert (tmp_path / "failures.jsonl").exists()


def test_publishing_without_blocks_does_not_replace_results_by_nothing(tmp_path):
    computed(tmp_path)
    before = variables(tmp_path)
    for path in (tmp_path / "journal").glob("*.block"):
        path.unlink()
    with Store(tmp_path) as store, pytest.raises(StoreError, match="by an empty dataset"):
        store.publish()
    xr.testing.assert_identical(variables(tmp_path), before)


def test_publishing_what_is_no_store_is_refused_and_makes_nothing(tmp_path):
    with pytest.raises(StoreError, match="the folder of a study"):
        Store(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_flipped_byte_is_reported_and_its_replications_are_missing(tmp_path):
    with Store(tmp_path, content()) as store:
        store.write(block("simple", 0, 5))
        store.write(block("simple", 5, 10))
    path = sorted((tmp_path / "journal").glob("*.block"))[0]
    text = path.read_bytes()
    path.write_bytes(text[:-1] + bytes([text[-1] ^ 4]))
    with pytest.warns(BlpsimWarning, match="1 corrupt blocks moved to"), Store(tmp_path, content()) as store:
        assert store.journal.done("simple", ("own",), 10).done("own").tolist() == [False] * 5 + [True] * 5


def test_every_run_that_computed_is_in_the_provenance(tmp_path):
    computed(tmp_path, stop=5)
    computed(tmp_path, start=5)
    runs = provenance.read_runs(tmp_path / "provenance.json")
    assert len(runs) == 2
    assert all(run["ended"] and run["wall_seconds"] > 0 and run["core_seconds"] > 0 for run in runs)


def test_going_on_with_other_software_is_a_warning(tmp_path, monkeypatch):
    computed(tmp_path, stop=5)
    monkeypatch.setattr(provenance, "cpu", lambda: {"model": "another", "features": ["avx"]})
    with pytest.warns(BlpsimWarning, match="goes on with processor another, was"):
        computed(tmp_path, start=5)


def test_going_on_unchanged_warns_of_nothing(tmp_path):
    computed(tmp_path, stop=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        computed(tmp_path, start=5)


DRIVER = """
import sys
from blpsim.store.folder import Store
from tests.store.made import block, content
made = [block("simple", start, start + 1) for start in range(10)]
with Store(sys.argv[1], content()) as store:
    print("ready", flush=True)
    done = store.journal.done("simple", ("own", "sums"), 10).done("own")
    for missing in (block for block in made if not done[block.start]):
        store.write(missing)
        store.publish()
"""


def test_killed_drivers_are_resumed_and_the_results_never_seen_half(tmp_path):
    store, reference = tmp_path / "store", tmp_path / "reference"
    computed(reference)
    kills = 0
    for delay in (0.05, 0.3, 0.1, 0.45, None):
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(store)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        assert driver.stdout.readline() == b"ready\n", driver.stderr.read()
        if delay is not None:
            time.sleep(delay)
            driver.send_signal(signal.SIGKILL)
            if (store / "results.zarr").exists():
                variables(store)
        _, said = driver.communicate()
        kills += driver.returncode == -signal.SIGKILL
        assert driver.returncode in (0, -signal.SIGKILL), said
    assert kills >= 2
    xr.testing.assert_identical(variables(store), variables(reference))
    assert not [name for name in os.listdir(store) if name.startswith(".")]


def test_a_file_system_that_refuses_later_is_one_line_too_and_gives_the_lock_back(tmp_path, monkeypatch):
    def refuse(_target):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(swap, "finish", refuse)
        with pytest.raises(StoreError, match="can be written; Permission denied"):
            Store(tmp_path, content()).__enter__()
    with Store(tmp_path, content()):
        pass
