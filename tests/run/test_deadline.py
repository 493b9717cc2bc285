from __future__ import annotations

import pytest

from blpsim.run import deadline
from blpsim.run.deadline import Deadline
from blpsim.study.design import Design
from blpsim.study.task import Task, run_task
from tests.study.toys import Mean, Median, Normals


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(deadline.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("seconds", "margin"), [(10_000, 60), (100, 10)])
def test_a_run_ends_a_minute_before_its_time_or_a_tenth_of_little_time(clock, seconds, margin):
    limit = Deadline(seconds)
    clock[0] += seconds - margin - 0.01
    assert not limit.is_reached()
    clock[0] += 0.02
    assert limit.is_reached()


def test_a_run_ends_early_enough_for_the_longest_replication_seen(clock):
    design = Design(
        name="d",
        seed=1,
        replications=2,
        scenarios={"n": Normals()},
        estimators={"mean": Mean(), "median": Median()},
    )
    block = run_task(design, Task(design="d", scenario="n", estimators=("mean", "median"), start=0, stop=2))
    block.arrays["data_seconds"][:] = [1, 1]
    block.arrays["seconds"][:] = [[5, 99], [5, float("nan")]]
    limit = Deadline(1000)
    limit.observe(block)
    clock[0] += 799.99
    assert not limit.is_reached()
    clock[0] += 0.02
    assert limit.is_reached()


def test_without_a_time_a_run_ends_never(clock):
    limit = Deadline(None)
    clock[0] += 1e9
    assert not limit.is_reached()
