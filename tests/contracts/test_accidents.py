from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from blpsim.status import Status
from blpsim.store.journal import Journal
from blpsim.store.lock import Lock
from blpsim.store.study import open_study
from blpsim.study.design import Design
from blpsim.workflow import run
from tests.study.toys import Mean, Median, Normals

SLOW = """
import blpsim as bs
from tests.study.toys import Mean, Normals
design = bs.Design(name="slow", seed=1, replications=200, scenarios={"normals": Normals(seconds=0.1)},
                   estimators={"mean": Mean()})
"""

STUCK = """
import time
import blpsim as bs
from tests.study.toys import Mean, Normals
class Stuck(Normals):
    def generate(self, streams):
        time.sleep(60 if streams.replication > 1 else 0)
        return Normals.generate(self, streams)
design = bs.Design(name="stuck", seed=1, replications=200, scenarios={"normals": Stuck()},
                   estimators={"mean": Mean()})
"""


def designed(**fails):
    return Design(
        name="accidents",
        seed=1,
        replications=12,
        scenarios={"normals": Normals(fails=fails.get("scenario", {}))},
        estimators={"mean": Mean(fails=fails.get("mean", {})), "robust/median": Median()},
    )


def test_what_kills_a_worker_is_recorded_as_crashed_and_takes_no_neighbour_with_it(tmp_path):
    healthy = run(designed(), tmp_path / "healthy", workers=0).results
    study = run(designed(mean={4: "kills"}), tmp_path / "study", workers=2, block_size=6)
    status = study.results["status"].sel(scenario="normals")
    assert status.sel(estimator="mean", replication=4) == Status.CRASHED
    assert (np.delete(status.sel(estimator="mean").values, 4) == Status.CONVERGED).all()
    assert (status.sel(estimator="robust/median") == Status.EVALUATED).all()
    for name in ("truth", "data_status", "outside_share"):
        np.testing.assert_array_equal(study.results[name], healthy[name])
    others = [number for number in range(12) if number != 4]
    np.testing.assert_array_equal(
        study.results["estimate"].isel(replication=others), healthy["estimate"].isel(replication=others)
    )
    assert study.failures["status"].tolist() == ["crashed"]


def test_what_crashed_is_computed_again_when_it_is_asked_for(tmp_path):
    design = designed(mean={2: "does not converge"})
    run(design, tmp_path, workers=0)
    first = len(Journal(tmp_path / "journal"))
    run(design, tmp_path, workers=0)
    assert len(Journal(tmp_path / "journal")) == first
    run(design, tmp_path, workers=0, retry=[Status.ITERATION_LIMIT])
    (again,) = [header for header in Journal(tmp_path / "journal").headers() if header.revision]
    assert (again.start, again.stop, again.estimators) == (2, 3, ("mean",))


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_ends_cleanly_with_everything_finished_published(tmp_path, workers):
    (tmp_path / "design.py").write_text(SLOW)
    store = tmp_path / "store"
    process = started(tmp_path, store, workers)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    study = open_study(store)
    assert study.is_published
    done = int((study.results["status"] == Status.CONVERGED).sum())
    assert 0 < done < 200
    assert done == sum(header.stop - header.start for header in Journal(store / "journal").headers())


def test_a_batch_system_s_request_to_end_leaves_what_was_finished_published_and_the_lock_free(tmp_path):
    (tmp_path / "design.py").write_text(SLOW)
    store = tmp_path / "store"
    process = started(tmp_path, store, 1)
    assert Lock(store / "lock").holder().pid == process.pid
    process.terminate()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert open_study(store).is_published
    assert Lock(store / "lock").holder() is None


def test_a_second_driver_is_refused_and_told_who_the_first_is(tmp_path):
    (tmp_path / "design.py").write_text(SLOW)
    store = tmp_path / "store"
    process = started(tmp_path, store, 0)
    command = [sys.executable, "-m", "blpsim.cli", "run", str(tmp_path / "design.py"), "--store", str(store)]
    second = subprocess.run([*command, "--workers", "0"], capture_output=True, text=True, timeout=120)
    assert second.returncode == 1
    assert f"process {process.pid} on " in second.stderr
    process.kill()
    process.communicate()
    third = subprocess.run(
        [*command, "--workers", "0", "--walltime", "2"], capture_output=True, text=True, timeout=120
    )
    assert third.returncode == 130, third.stderr
    assert not third.stderr.startswith("slow: 0 of 200")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_second_ctrl_c_ends_at_once_without_loss(tmp_path, workers):
    (tmp_path / "design.py").write_text(STUCK)
    store = tmp_path / "store"
    process = started(tmp_path, store, workers)
    done = len(Journal(store / "journal"))
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert time.monotonic() - began < 10
    journal = Journal(store / "journal")
    assert len(journal) >= done
    assert journal.verify() == {}


def started(folder, store, workers):
    """Return a run that has written its first block."""
    command = [sys.executable, "-m", "blpsim.cli", "run", str(folder / "design.py")]
    process = subprocess.Popen(
        [*command, "--store", str(store), "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal interrupts the workers too
    )
    until = time.monotonic() + 120
    while not len(Journal(store / "journal")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.02)
    return process
