import json
import shutil
import subprocess
import sys

import pytest
import xarray as xr

from blpsim.errors import StoreError
from blpsim.status import Status
from blpsim.store.failures import COLUMNS
from blpsim.store.folder import Store
from blpsim.store.study import open_study
from tests.store.made import block, content, value
from tests.wrong_values import refused_values


@pytest.fixture
def path(tmp_path):
    with Store(tmp_path / "store", content(source="my designs/design.py")) as store:
        store.write(block("simple", 0, 5))
        store.publish()
    return tmp_path / "store"


def test_results_are_those_published(path):
    results = open_study(path).results
    assert open_study(path).is_published
    assert results.attrs["design_hash"] == "d" * 64
    one = results.estimate.sel(scenario="simple", estimator="own", replication=3, parameter="beta[1]")
    assert float(one) == value("estimate", "simple", "own", 3, "beta[1]")


def test_results_of_a_study_that_runs_come_from_the_journal(path):
    with Store(path, content()) as store:
        store.write(block("simple", 5, 7))
        study = open_study(path)
        assert not study.is_published
        assert (study.results.status.sel(scenario="simple", estimator="own", replication=[5, 6]) > 0).all()
        live = study.results.load().drop_attrs()
        rows = len(study.failures)
        store.publish()
    study = open_study(path)
    assert study.is_published
    xr.testing.assert_identical(study.results.load().drop_attrs(), live)
    assert len(study.failures) == rows


def test_a_store_whose_journal_was_not_copied_still_opens(path):
    shutil.rmtree(path / "journal")
    study = open_study(path)
    assert study.results.sizes["replication"] == 10
    assert len(study.failures) > 0


@pytest.mark.parametrize("text", ["", "junk", "[]", "{}", '{"attributes": 5}'])
def test_a_published_dataset_that_cannot_be_read_gives_way_to_the_journal(path, text):
    expected = open_study(path).results.load().drop_attrs()
    (path / "results.zarr" / "zarr.json").write_text(text)
    assert not open_study(path).is_published
    xr.testing.assert_identical(open_study(path).results.load().drop_attrs(), expected)


def test_a_store_is_opened_from_a_path_only():
    refused_values(open_study, "path", field="store")


def test_failures_carry_the_command_that_replays_them(path):
    failures = open_study(path).failures
    assert tuple(failures.columns) == COLUMNS
    first = failures.iloc[0]
    assert first.replay == (
        f"blpsim replay 'my designs/design.py' --scenario simple --replication {first.replication}"
        f" --estimator {first.estimator}"
    )
    assert first.traceback.endswith("ValueError: bad value")
    assert set(failures.status) <= {status.meaning for status in Status if status.is_failure}


def test_a_failure_is_one_line_of_json_whatever_its_message(path):
    lines = (path / "failures.jsonl").read_bytes().splitlines()
    assert len(lines) == len(open_study(path).failures) > 0
    assert all(set(json.loads(line)) == set(COLUMNS) for line in lines)
    assert json.loads(lines[0])["message"].endswith("\u2028\udc80")


def test_a_study_without_failures_has_an_empty_table(tmp_path):
    with Store(tmp_path, content()) as store:
        store.write(block("simple", 0, 5, status=Status.CONVERGED))
        store.publish()
    failures = open_study(tmp_path).failures
    assert len(failures) == 0
    assert tuple(failures.columns) == COLUMNS


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_path_that_is_no_store_is_refused_in_one_line(tmp_path, kind):
    place = tmp_path / kind
    if kind == "empty":
        place.mkdir()
    if kind == "file":
        place.touch()
    with pytest.raises(StoreError, match="expected the folder of a study") as caught:
        open_study(place)
    assert str(place) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_of_which_nothing_has_run_says_so(tmp_path):
    with Store(tmp_path, content()):
        pass
    with pytest.raises(StoreError, match="nothing of it has been computed yet"):
        _ = open_study(tmp_path).results


def test_opening_a_store_to_write_imports_neither_xarray_nor_zarr():
    text = "import sys, blpsim.store.folder, blpsim.store.study, blpsim.store.progress; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert not {"xarray", "zarr", "dask"} & set(ran.stdout.split())
