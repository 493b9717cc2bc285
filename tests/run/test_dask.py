from __future__ import annotations

import itertools
import os
import socket

import numpy as np
import psutil
import pytest

from blpsim.errors import ConfigurationError
from blpsim.run.dask import DaskLocal
from blpsim.status import Status
from blpsim.study.design import Design, Source
from blpsim.study.task import Task
from tests.study.toys import Estimate, Normals

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Surroundings:
    """An estimator whose estimates are the worker's settings."""

    def names(self, _):
        return ("pid", "threads", "addresses")

    def estimate(self, *_):
        threads = sum(os.environ.get(name) == "1" for name in THREADS)
        connections = psutil.Process().net_connections() + psutil.Process(os.getppid()).net_connections()
        outside = [
            each.laddr for each in connections if each.status == "LISTEN" and each.laddr.ip != "127.0.0.1"
        ]
        return Estimate(
            np.array([os.getpid(), threads, len(outside)], float), np.full(3, np.nan), Status.EVALUATED
        )


def designed(estimator):
    return Design(name="d", seed=1, replications=9, scenarios={"n": Normals()}, estimators={"m": estimator})


def tasks(design, sizes):
    starts = np.cumsum([0, *sizes]).tolist()
    return [
        Task(design=design.fingerprint, scenario="n", estimators=("m",), start=start, stop=stop)
        for start, stop in itertools.pairwise(starts)
    ]


def completed(executor):
    blocks = []
    while executor.busy:
        blocks.extend(executor.completed())
    return blocks


def test_workers_are_other_processes_with_one_thread_that_listen_on_loopback_alone():
    design = designed(Surroundings())
    with DaskLocal(design, 2, lambda: False) as executor:
        for task in tasks(design, [1] * 8):
            executor.submit(task)
        values = np.concatenate([block.arrays["estimate"][0, :, -3:] for block in completed(executor)])
        own = psutil.Process().net_connections()
    assert len(values) == 8
    assert os.getpid() not in values[:, 0]
    assert (values[:, 1] == len(THREADS)).all()
    assert (values[:, 2] == 0).all()
    assert {each.laddr.ip for each in own if each.status == "LISTEN" and each.family == socket.AF_INET} == {
        "127.0.0.1"
    }


def test_a_design_that_cannot_be_made_on_a_worker_ends_the_run_with_its_error(tmp_path):
    text = f"import os\nif os.getpid() != {os.getpid()}:\n    raise ValueError('not here')\n"
    source = Source(path=str(tmp_path / "design.py"), text=text)
    design = Design(
        name="d",
        seed=1,
        replications=9,
        scenarios={"n": Normals()},
        estimators={"m": Surroundings()},
        source=source,
    )
    with DaskLocal(design, 1, lambda: False) as executor:
        executor.submit(tasks(design, [1])[0])
        with pytest.raises(ConfigurationError, match="not here"):
            completed(executor)
