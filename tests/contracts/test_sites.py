"""The same study with workers that are elsewhere has the same bits."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from blpsim.errors import ConfigurationError
from blpsim.run import jobs as running
from blpsim.run.workers import Workers
from blpsim.store.journal import Journal
from blpsim.study.design import Design
from blpsim.study.load import load_design
from blpsim.workflow import run
from tests.run.sites import address, install_slurm, jobs, scheduler
from tests.study.toys import Median, Normals

from .bits import DESIGN, bits

ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = tmp_path_factory.mktemp("expected")
    run(load_design(DESIGN), store, workers=0)
    return bits(store)


def test_a_scheduler_that_runs_already_gives_the_same_bits_time_and_again(expected, tmp_path):
    with scheduler(tmp_path, workers=2) as file:
        run(load_design(DESIGN), tmp_path / "one", workers=Workers(on=str(file)))
        run(load_design(DESIGN), tmp_path / "two", workers=Workers(on=address(file)))
        slow = Design(
            name="slow",
            seed=1,
            replications=1000,
            scenarios={"n": Normals(seconds=0.02)},
            estimators={"median": Median()},
        )
        # A run that was stopped leaves workers that work on.
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run(slow, tmp_path / "slow", workers=Workers(on=address(file), walltime_seconds=3.0))
    assert bits(tmp_path / "one") == expected
    assert bits(tmp_path / "two") == expected
    starts = {header.start for header in Journal(tmp_path / "slow" / "journal").headers()}
    assert len(starts) > 1


def test_a_run_whose_scheduler_dies_says_so_with_what_was_finished_on_disk(tmp_path):
    slow = Design(
        name="slow",
        seed=1,
        replications=1000,
        scenarios={"n": Normals(seconds=0.05)},
        estimators={"median": Median()},
    )
    with scheduler(tmp_path, workers=1) as file:
        pid = int(_listener(address(file)))

        def kill():
            until = time.monotonic() + 60
            while len(Journal(tmp_path / "slow" / "journal")) < 2 and time.monotonic() < until:
                time.sleep(0.02)
            os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(ConfigurationError, match="Dask's scheduler has gone; run it again"):
            run(slow, tmp_path / "slow", workers=Workers(on=address(file)))
        thread.join()
    assert len(Journal(tmp_path / "slow" / "journal")) >= 2


def test_jobs_that_are_killed_are_replaced_and_the_bits_are_the_same(expected, tmp_path, monkeypatch):
    install_slurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{tmp_path / 'slurm'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(running, "_REPAIR_SECONDS", 0.5)
    profile = tmp_path / "slurm.toml"
    profile.write_text(
        f'scheduler = "slurm"\nmemory = "1GB"\nwalltime = "00:10:00"\ninterface = "lo"\n'
        f'setup = ["export PYTHONPATH={ROOT}"]\nscratch = "{tmp_path}"\nkeys = "{tmp_path / "keys"}"\n'
    )
    slain, modes = [], set()

    def kill(moment):
        modes.update(path.stat().st_mode & 0o777 for path in (tmp_path / "keys").glob("*"))
        if moment.computed and not slain:
            slain.append(jobs(tmp_path / "slurm")[0])
            os.killpg(slain[0], signal.SIGKILL)

    store = tmp_path / "store"
    run(load_design(DESIGN), store, workers=Workers(on=str(profile), number=1), listener=kill, block_size=8)
    assert bits(store) == expected
    assert slain
    assert modes == {0o700}
    assert list((tmp_path / "keys").iterdir()) == []
    # All that live are cancelled; the one that was killed may be, when its loss is noticed late.
    assert set(jobs(tmp_path / "slurm")) <= set(slain)


def _listener(where):
    import psutil

    port = int(where.rpartition(":")[2])
    (pid,) = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == "LISTEN" and each.laddr.port == port
    }
    return pid
