from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from blpsim.study.plan import Plan, gaps
from blpsim.study.task import Task


def task(start=0, stop=100, scenario="s", estimators=("a", "b")):
    return Task(design="d", scenario=scenario, estimators=estimators, start=start, stop=stop)


def handed_out(plan):
    return list(iter(plan.next_task, None))


def block(seconds, replications=1, scenario="s"):
    arrays = {"seconds": np.full((2, replications), seconds / 2), "data_seconds": np.zeros(replications)}
    return SimpleNamespace(
        arrays=arrays, scenario=scenario, estimators=("a", "b"), start=0, stop=replications
    )


def test_gaps_are_runs_in_which_the_same_estimators_are_missing():
    missing = np.array([[1, 1, 0, 0, 1, 0], [1, 1, 0, 1, 1, 0]], bool)
    found = [(gap.start, gap.stop, gap.estimators) for gap in gaps(task(0, 6), missing)]
    assert found == [(0, 2, ("a", "b")), (3, 4, ("b",)), (4, 5, ("a", "b"))]


@pytest.mark.parametrize("replications", [0, 4])
def test_where_nothing_is_missing_there_is_no_gap(replications):
    assert list(gaps(task(0, replications), np.zeros((2, replications), bool))) == []


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_tasks_of_a_stated_size_cover_every_replication_once(size):
    tasks = handed_out(Plan([task(0, 60), task(3, 10, "t")], 2, size))
    covered = [(each.scenario, number) for each in tasks for number in range(each.start, each.stop)]
    assert covered == [("s", number) for number in range(60)] + [("t", number) for number in range(3, 10)]
    assert max(each.replications for each in tasks) <= size


def test_tasks_are_single_replications_until_their_time_is_known():
    plan = Plan([task()], 2)
    assert [plan.next_task().replications for _ in range(3)] == [1, 1, 1]
    plan.observe(block(0.1))
    assert plan.next_task().replications > 1


def test_blocks_last_some_seconds_and_shrink_towards_the_end():
    plan = Plan([task(0, 10_000)], 2)
    plan.observe(block(0.1))
    seconds = [each.replications * 0.1 for each in handed_out(plan)]
    assert seconds[0] == pytest.approx(10)
    assert sorted(seconds[:-1], reverse=True) == seconds[:-1]
    assert seconds[-2] <= 1
    assert sum(seconds) == pytest.approx(1000)


def test_a_replication_longer_than_a_block_is_a_block():
    plan = Plan([task(0, 5)], 2)
    plan.observe(block(60))
    assert [each.replications for each in handed_out(plan)] == [1] * 5


def test_units_count_what_has_not_been_handed_out():
    plan = Plan([task(0, 10)], 1, 4)
    assert plan.units == 20
    plan.next_task()
    assert plan.units == 12
