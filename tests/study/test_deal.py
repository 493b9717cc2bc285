from __future__ import annotations

import numpy as np
import pytest

from blpsim.study.deal import deal, within
from blpsim.study.task import Task


def task(scenario, start, stop, estimators=("a", "b")):
    return Task(design="d", scenario=scenario, estimators=estimators, start=start, stop=stop)


def covered(tasks):
    return sorted(
        (each.scenario, number, name)
        for each in tasks
        for number in range(each.start, each.stop)
        for name in each.estimators
    )


GAPS = [task("slow", 0, 7), task("quick", 3, 1000), task("slow", 9, 10, ("b",)), task("middle", 0, 2)]
SECONDS = [9.0, 0.01, 4.0, 2.5]


@pytest.mark.parametrize("number", [1, 3, 8, 100])
def test_shares_have_every_missing_estimate_once(number):
    shares = deal(GAPS, SECONDS, number)
    assert len(shares) == number
    assert covered([each for share in shares for each in share]) == covered(GAPS)


def test_shares_last_equally_long_within_the_longest_replication_even_where_counts_differ():
    cost = dict(zip(["slow", "quick", "middle"], [9.0, 0.01, 2.5], strict=True))
    shares = deal([task("slow", 0, 7), task("quick", 0, 5000), task("middle", 0, 8)], list(cost.values()), 3)
    loads = [sum(cost[each.scenario] * each.replications for each in share) for share in shares]
    assert max(loads) - min(loads) <= 9.0
    assert len({sum(each.replications for each in share) for share in shares}) > 1


def test_wrong_predictions_still_give_each_its_part_of_every_gap():
    shares = deal([task("slow", 0, 100), task("quick", 0, 300)], [1.0, 1.0], 10)
    assert {tuple(each.replications for each in share) for share in shares} == {(10, 30)}


def test_replications_of_no_time_are_dealt_in_blocks():
    shares = deal([task("quick", 0, 1000)], [0.001], 4)
    assert sorted(each.replications for share in shares for each in share) == [500, 500]


def test_dealing_twice_gives_the_same():
    assert deal(GAPS, SECONDS, 5) == deal(GAPS, SECONDS, 5)


def test_what_is_left_of_a_share_is_what_is_missing_of_it():
    share = [task("slow", 0, 10), task("quick", 5, 8)]
    found = within(share, [task("slow", 2, 4), task("slow", 8, 20, ("b",)), task("quick", 0, 5)])
    assert found == [task("slow", 2, 4), task("slow", 8, 10, ("b",))]
    generator = np.random.default_rng(1)
    edges = np.sort(generator.choice(50, 6, replace=False)).tolist()
    gaps = [task("s", *edges[:2]), task("s", *edges[2:4], ("b",)), task("s", *edges[4:])]
    shares = deal([task("s", 0, 50)], [1.0], 7)
    assert covered([each for share in shares for each in within(share, gaps)]) == covered(gaps)
