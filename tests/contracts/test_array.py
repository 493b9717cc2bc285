"""Tasks of a job array are processes that share a folder and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from blpsim.store.folder import Store
from blpsim.store.journal import Journal
from blpsim.store.study import open_study
from blpsim.study.load import load_design
from blpsim.workflow import run

from .bits import DESIGN, bits

PLANNED = 3 * 60 * 2


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = tmp_path_factory.mktemp("expected")
    run(load_design(DESIGN), store, workers=0)
    return bits(store)


def begun(store, index, *, job, last=2, workers=0):
    command = [sys.executable, "-m", "blpsim.cli", "run", str(DESIGN), "--store", str(store), "--on", "array"]
    place = {"JOB_ID": job, "TASK_ID": index, "TASK_MIN": 0, "TASK_MAX": last, "TASK_COUNT": last + 1}
    environment = {f"SLURM_ARRAY_{name}": str(value) for name, value in place.items()}
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*processes):
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


def estimates(journal):
    return sum((header.stop - header.start) * len(header.estimators) for header in journal.headers())


def test_an_array_of_which_a_task_is_killed_gives_the_bits_of_a_plain_run_once_it_is_submitted_again(
    expected, tmp_path
):
    victim, *others = [begun(tmp_path, index, job=1) for index in range(3)]
    until = time.monotonic() + 120
    while not len(Journal(tmp_path / "journal")):
        assert time.monotonic() < until
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    ended(*others)
    journal = Journal(tmp_path / "journal")
    assert 0 < estimates(journal) < PLANNED
    ended(*(begun(tmp_path, index, job=2, last=1) for index in range(2)))
    journal.refresh()
    # No estimate is there twice: the second array shared what the first had left.
    assert estimates(journal) == PLANNED
    with Store(tmp_path) as store:
        store.publish()
    assert bits(tmp_path) == expected
    study = open_study(tmp_path)
    runs = study.provenance
    assert [each["array"]["job"] for each in runs] == ["1", "2"]
    assert runs[1]["array"]["tasks"] == [0, 1]
    # Each task's seconds are rounded to thousandths.
    seconds = sum(each["core_seconds"] for each in runs)
    tasks = sum(len(each["array"]["tasks"]) for each in runs)
    assert seconds <= study.results.attrs["core_hours"] * 3600 + 0.0005 * tasks + 1e-9


def test_a_task_started_again_under_its_number_goes_on_with_its_own_share(expected, tmp_path):
    (first,) = ended(begun(tmp_path, 0, job=7))
    assert "when all tasks have ended: blpsim publish" in first
    share = estimates(Journal(tmp_path / "journal"))
    assert 0 < share < PLANNED / 2
    ended(begun(tmp_path, 0, job=7))
    assert estimates(Journal(tmp_path / "journal")) == share
    ended(begun(tmp_path, 2, job=7), begun(tmp_path, 1, job=7, workers=1))
    with Store(tmp_path) as store:
        store.publish()
    assert bits(tmp_path) == expected
