from __future__ import annotations

import pickle

import pytest

from blpsim.errors import ConfigurationError
from blpsim.run import worker
from blpsim.run.worker import Cargo, carry_out, request_stop, unload
from blpsim.study.code import code_hash
from blpsim.study.design import Design, Source
from blpsim.study.task import Task
from tests.study.toys import Mean, Normals

TEXT = """
import blpsim as bs
from tests.study.toys import Mean, Normals
with open("COUNTER", "a") as file:
    file.write("x")
design = bs.Design(name="d", seed=1, replications=4, scenarios={"n": Normals(mean=MEAN)},
                   estimators={"m": Mean()})
"""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(worker, "limit_this_process", lambda: None)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    worker._design.cache_clear()
    yield
    worker._STOP.clear()


def sent(source, fingerprint, code=None):
    code = code or code_hash()
    unload(Cargo(fingerprint=fingerprint, code=code, source=source))
    return Task(design=fingerprint, scenario="n", estimators=("m",), start=0, stop=2)


def test_a_task_is_a_few_hundred_bytes():
    task = Task(
        design="d" * 64, scenario="simple", estimators=("demand/sums", "supply/optimal"), start=0, stop=9
    )
    assert len(pickle.dumps(task)) < 500


def test_a_design_file_runs_once_for_all_tasks(tmp_path):
    counter = tmp_path / "counter"
    text = TEXT.replace("COUNTER", str(counter)).replace("MEAN", "0.0")
    design = Design(
        name="d", seed=1, replications=4, scenarios={"n": Normals(mean=0.0)}, estimators={"m": Mean()}
    )
    task = sent(Source(path="/nowhere/design.py", text=text), design.fingerprint)
    assert carry_out(task).stop == 2
    assert carry_out(task).stop == 2
    assert counter.read_text() == "x"


def test_a_design_file_that_gives_another_design_on_a_worker_is_refused(tmp_path):
    text = TEXT.replace("COUNTER", str(tmp_path / "counter")).replace("MEAN", "3.0")
    task = sent(Source(path="/nowhere/design.py", text=text), "0" * 64)
    with pytest.raises(ConfigurationError, match="must define the same design each time"):
        carry_out(task)


def test_a_worker_that_is_asked_to_stop_begins_nothing():
    request_stop("unknown")
    task = Task(design="unknown", scenario="n", estimators=("m",), start=0, stop=2)
    assert carry_out(task) is None


def test_a_worker_with_other_code_is_refused():
    task = sent(Source(path="/nowhere/design.py", text=TEXT), "f" * 64, code="0" * 64)
    with pytest.raises(ConfigurationError, match="install the same version where the workers are"):
        carry_out(task)


def test_a_worker_that_is_sent_a_design_again_has_forgotten_that_it_was_asked_to_stop():
    request_stop("f" * 64)
    task = sent(Source(path="/nowhere/design.py", text="design = 1"), "f" * 64)
    with pytest.raises(ConfigurationError, match="design of type int"):
        carry_out(task)
