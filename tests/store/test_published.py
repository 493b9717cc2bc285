import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from blpsim.status import Status
from blpsim.store import published
from blpsim.store.journal import Journal
from blpsim.store.published import preview, publish
from blpsim.study.records import FIELDS, TIMINGS
from tests.store.made import PARAMETERS, block, content, value

FACTORS = {
    "simple": {"gamma": 0, "label": "é", "truth.pi[x / y, z]": 1},
    "complex/é": {"gamma": 0.5, "status": 2},
}


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal")
    journal.folder.mkdir()
    return journal


def fill(journal, *, size=5, replications=10, seconds=None):
    for scenario in PARAMETERS:
        for start in range(0, replications, size):
            journal.write(block(scenario, start, min(start + size, replications), seconds=seconds), content())


def digests(path):
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.filterwarnings("error")
def test_the_published_dataset_is_what_the_contract_says(tmp_path, journal):
    fill(journal)
    publish(tmp_path, journal, content(factors=FACTORS), {"seed": 7})
    with xr.open_zarr(tmp_path / "results.zarr") as results:
        assert set(results.data_vars) == set(FIELDS)
        for name, field in FIELDS.items():
            assert results[name].dims == ("scenario", *field.dims)
            assert results[name].dtype == field.dtype
        assert results.scenario.values.tolist() == ["simple", "complex/é"]
        assert results.estimator.values.tolist() == ["own", "sums"]
        assert results.parameter.values.tolist() == ["beta[1]", "beta[prices]", "sigma[x,x]"]
        assert results.micro_moment.values.tolist() == ["age", "income"]
        fitted = results.micro_fitted.sel(estimator="sums", replication=6, micro_moment="income")
        assert float(fitted.sel(scenario="simple")) == value("micro_fitted", "simple", "sums", 6, "income")
        assert results.replication.values.tolist() == list(range(10))
        assert results.start.values.tolist() == [0, 1]
        assert results.attrs == {"seed": 7}
        one = results.estimate.sel(
            scenario="complex/é", estimator="sums", replication=6, parameter="sigma[x,x]"
        )
        assert float(one) == value("estimate", "complex/é", "sums", 6, "sigma[x,x]")
        assert np.isnan(results.estimate.sel(scenario="simple", parameter="sigma[x,x]")).all()


def test_statuses_carry_their_meanings_as_cf_flags(tmp_path, journal):
    fill(journal)
    publish(tmp_path, journal, content(), {})
    results = xr.open_zarr(tmp_path / "results.zarr")
    for name in ("status", "data_status", "start_status"):
        attributes = results[name].attrs
        meanings = dict(zip(attributes["flag_values"], attributes["flag_meanings"].split(), strict=True))
        assert meanings == {int(status): status.meaning for status in Status}


def test_factors_are_coordinates_of_the_scenarios(tmp_path, journal):
    fill(journal)
    publish(tmp_path, journal, content(factors=FACTORS), {})
    results = xr.open_zarr(tmp_path / "results.zarr")
    assert results.gamma.dims == results.label.dims == ("scenario",)
    assert {"gamma", "label", "factor_status"} <= set(results.coords)
    assert results.gamma.values.tolist() == [0.0, 0.5]
    assert results.label.values.tolist() == ["é", ""]
    np.testing.assert_array_equal(results["truth.pi[x___y,_z]"].values, [1.0, np.nan])
    np.testing.assert_array_equal(results["factor_status"].values, [np.nan, 2.0])


READER = """
import sys, warnings
sys.modules["blpsim"] = None
warnings.simplefilter("error")
import xarray as xr
results = xr.open_zarr(sys.argv[1]).load()
assert results.estimator.values.tolist() == ["own", "sums"]
print(float(results.estimate.sel(scenario="complex/é", estimator="own", replication=3, parameter="beta[1]")))
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("numba", "dill", "cloudpickle")))
"""


def test_it_opens_with_xarray_and_zarr_alone_and_without_a_warning(tmp_path, journal):
    fill(journal)
    publish(tmp_path, journal, content(factors=FACTORS), {"seed": 7})
    command = [sys.executable, "-I", "-c", READER, str(tmp_path / "results.zarr")]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout.split()[0]) == value("estimate", "complex/é", "own", 3, "beta[1]")


def test_rebuilding_gives_identical_bytes(tmp_path, journal):
    fill(journal)
    publish(tmp_path, journal, content(factors=FACTORS), {})
    first = digests(tmp_path / "results.zarr")
    publish(tmp_path, journal, content(factors=FACTORS), {})
    assert digests(tmp_path / "results.zarr") == first
    assert len(first) > len(FIELDS)


def test_other_blocks_and_times_change_no_byte_but_those_of_the_timings(tmp_path):
    seen = []
    for name, size, seconds in (("a", 10, 1.0), ("b", 1, 2.0), ("c", 4, 3.0)):
        journal = Journal(tmp_path / name / "journal")
        journal.folder.mkdir(parents=True)
        fill(journal, size=size, seconds=seconds)
        publish(tmp_path / name, journal, content(), {"ended": name})
        seen.append(digests(tmp_path / name / "results.zarr"))
    for other in seen[1:]:
        assert other.keys() == seen[0].keys()
        changed = {path.split("/")[0] for path in other if other[path] != seen[0][path]}
        assert changed == {*TIMINGS, "zarr.json"}


@pytest.mark.parametrize("limits", [(64, 64), (200, 1000), (200, 10**9), (10**9, 10**9)])
def test_any_size_of_chunk_and_shard_gives_the_same_numbers(tmp_path, journal, monkeypatch, limits):
    fill(journal)
    expected = preview(journal, content()).load()
    monkeypatch.setattr(published, "_CHUNK_BYTES", limits[0])
    monkeypatch.setattr(published, "_SHARD_BYTES", limits[1])
    publish(tmp_path, journal, content(), {"title": "made"})
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "results.zarr", chunks=None).load(), expected)


def test_small_studies_are_few_files(tmp_path, journal):
    fill(journal)
    publish(tmp_path, journal, content(), {})
    arrays = len(FIELDS) + 6
    assert len(digests(tmp_path / "results.zarr")) == 2 * arrays + 1


def test_metadata_are_consolidated(tmp_path, journal):
    fill(journal)
    publish(tmp_path, journal, content(), {})
    metadata = json.loads((tmp_path / "results.zarr" / "zarr.json").read_text())
    assert metadata["zarr_format"] == 3
    assert set(FIELDS) < set(metadata["consolidated_metadata"]["metadata"])


def test_a_study_without_a_block_publishes_pending_everywhere(tmp_path, journal):
    publish(tmp_path, journal, content(), {})
    results = xr.open_zarr(tmp_path / "results.zarr")
    assert results.sizes["replication"] == 10
    assert (results.status == Status.PENDING).all()


def test_failures_come_in_the_order_of_scenarios_replications_and_estimators(tmp_path, journal):
    fill(journal, size=3)
    failures = publish(tmp_path, journal, content(), {})
    keys = [(failure.scenario != "simple", failure.replication, failure.estimator) for failure in failures]
    assert keys == sorted(keys)
    assert published.failures(journal, content()) == failures
    results = xr.open_zarr(tmp_path / "results.zarr")
    assert len(failures) == sum(Status(int(s)).is_failure for s in results.status.values.ravel()) > 0
