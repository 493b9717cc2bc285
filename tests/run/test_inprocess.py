from __future__ import annotations

from blpsim.run.inprocess import InProcess
from blpsim.study.design import Design
from blpsim.study.task import Task
from tests.study.toys import Mean, Normals

DESIGN = Design(name="d", seed=1, replications=9, scenarios={"n": Normals()}, estimators={"m": Mean()})


def task(start, stop):
    return Task(design=DESIGN.fingerprint, scenario="n", estimators=("m",), start=start, stop=stop)


def test_tasks_come_back_one_at_a_time_in_their_order():
    with InProcess(DESIGN, lambda: False) as executor:
        executor.submit(task(0, 2))
        executor.submit(task(2, 5))
        assert executor.busy == 2
        assert [(block.start, block.stop) for block in executor.completed()] == [(0, 2)]
        assert [(block.start, block.stop) for block in executor.completed()] == [(2, 5)]
        assert executor.busy == 0
        assert list(executor.completed()) == []


def test_once_stopped_the_running_task_returns_what_it_has_and_the_others_nothing():
    asked = iter([False, False, True, True])
    with InProcess(DESIGN, lambda: next(asked)) as executor:
        executor.submit(task(0, 5))
        executor.submit(task(5, 9))
        assert [(block.start, block.stop) for block in executor.completed()] == [(0, 2)]
        assert list(executor.completed()) == []
        assert executor.busy == 0
