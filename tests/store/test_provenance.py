import json
import subprocess

import pytest

from blpsim.errors import StoreError
from blpsim.store import provenance


def git(folder, *words):
    settings = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(("git", "-C", str(folder), *settings, *words), check=True, capture_output=True)


def test_the_design_s_repository_gives_commit_and_dirty_flag(tmp_path):
    design = tmp_path / "design.py"
    design.write_text("design = 1\n")
    assert provenance.provenance(design)["commit"] is None
    git(tmp_path, "init")
    git(tmp_path, "add", "design.py")
    git(tmp_path, "commit", "-m", "a design")
    clean = provenance.provenance(design)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    design.write_text("design = 2\n")
    assert provenance.provenance(design)["dirty"] is True


def test_it_is_plain_json_and_names_what_bits_depend_on(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = provenance.provenance(None)
    assert json.loads(json.dumps(found)) == found
    assert found["threads"]["OMP_NUM_THREADS"] == "1"
    assert {"numpy", "scipy", "numba", "xarray", "zarr"} <= found["versions"].keys()
    assert all(found["versions"][name] for name in ("blpsim", "numpy", "numba"))
    assert found["cpu"]["model"]
    assert any(library["internal_api"] for library in found["blas"])


def test_differences_name_what_may_change_bits_and_nothing_else():
    earlier = provenance.provenance(None)
    now = {
        **earlier,
        "hostname": "other",
        "started": "later",
        "versions": {**earlier["versions"], "dask": "9"},
    }
    assert provenance.differences(earlier, now) == []
    now = {**earlier, "versions": {**earlier["versions"], "numpy": "9"}, "python": "4"}
    was = earlier["versions"]["numpy"]
    assert provenance.differences(earlier, now) == [
        f"Python 4, was {earlier['python']}",
        f"numpy 9, was {was}",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_spoiled_provenance_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "provenance.json"
    assert provenance.read_runs(path) == []
    path.write_text(text)
    with pytest.raises(StoreError, match=r"provenance\.json cannot be read"):
        provenance.read_runs(path)
