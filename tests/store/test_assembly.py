import dataclasses

import numpy as np
import pytest

from blpsim.status import Status
from blpsim.store.assembly import assembled, axes
from blpsim.store.journal import Journal
from blpsim.study.records import FIELDS
from tests.store.made import block, content, value


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def of(journal, scenario, made=None):
    made = content() if made is None else made
    return assembled(journal, made, axes(journal, made), scenario)


def same(one, other):
    assert one.failures == other.failures
    for name in FIELDS:
        assert one.arrays[name].tobytes() == other.arrays[name].tobytes(), name


def folder(tmp_path, name):
    (tmp_path / name).mkdir()
    return Journal(tmp_path / name)


def test_blocks_of_any_size_in_any_order_give_the_same_bits(tmp_path):
    whole, split = folder(tmp_path, "whole"), folder(tmp_path, "split")
    for scenario in ("simple", "complex/é"):
        whole.write(block(scenario, 0, 10), content())
        for start, stop in ((7, 10), (3, 8), (0, 3), (2, 4)):
            split.write(block(scenario, start, stop), content())
        same(of(whole, scenario), of(split, scenario))


def test_an_estimator_added_later_gives_the_same_bits_as_both_at_once(tmp_path):
    once, twice = folder(tmp_path, "once"), folder(tmp_path, "twice")
    once.write(block("simple", 0, 10), content())
    twice.write(block("simple", 0, 10, estimators=("sums",)), content())
    twice.write(block("simple", 0, 10, estimators=("own",)), content())
    one, other = of(once, "simple"), of(twice, "simple")
    # "own" alone has one start here, beside "sums" it has two.
    for part in (one, other):
        for name in ("start_value", "start_estimate", "start_objective", "start_status"):
            part.arrays[name][0, :, 1:] = 0
        for name in ("micro_observed", "micro_fitted"):
            part.arrays[name][0, :, axes(once, content()).micro_moments.index("age")] = 0
    same(one, other)


def test_every_number_is_where_its_names_say(journal):
    journal.write(block("complex/é", 4, 9), content())
    journal.write(block("simple", 0, 2), content())
    arrays = of(journal, "complex/é").arrays
    assert arrays["estimate"][1, 6, 2] == value("estimate", "complex/é", "sums", 6, "sigma[x,x]")
    assert arrays["start_value"][1, 6, 1, 0] == value("start_value", "complex/é", "sums", 6, 1, "beta[1]")
    assert arrays["truth"][8, 1] == value("truth", "complex/é", 8, "beta[prices]")
    assert arrays["data_seconds"][4] == value("data_seconds", "complex/é", 4)
    assert np.isnan(arrays["estimate"][:, :4]).all()
    assert (arrays["status"][:, :4] == Status.PENDING).all()


def test_parameters_are_the_union_of_the_scenarios_and_nan_where_a_scenario_has_none(journal):
    journal.write(block("simple", 0, 2), content())
    journal.write(block("complex/é", 0, 2), content())
    assert axes(journal, content()).parameters == ("beta[1]", "beta[prices]", "sigma[x,x]")
    arrays = of(journal, "simple").arrays
    assert np.isnan(arrays["estimate"][:, :, 2]).all()
    assert not np.isnan(arrays["estimate"][:, :2, :2]).any()


def test_the_order_of_parameters_does_not_depend_on_which_block_came_first(tmp_path):
    few, many = ("beta[1]", "beta[prices]"), ("beta[1]", "sigma[x,x]", "beta[prices]")
    for name, revisions in (("a", (0, 1)), ("b", (1, 0))):
        journal = folder(tmp_path, name)
        narrow = block("simple", 0, 2, parameters=few, estimators=("own",))
        journal.write(narrow, content(), revision=revisions[0])
        journal.write(block("simple", 0, 2, parameters=many), content(), revision=revisions[1])
        assert axes(journal, content()).parameters == many
        assert of(journal, "simple").arrays["truth"][1, 1] == value("truth", "simple", 1, "sigma[x,x]")


def test_a_retry_replaces_numbers_and_failures_of_what_it_ran_alone(journal):
    crashed = block("simple", 0, 3, status=Status.CRASHED)
    crashed.arrays["estimate"][...] = np.nan
    journal.write(crashed, content())
    journal.write(block("simple", 1, 2, status=Status.CONVERGED), content(), revision=1)
    found = of(journal, "simple")
    assert found.arrays["status"][0, :3].tolist() == [15, 1, 15]
    assert np.isnan(found.arrays["estimate"][0, :3, 0]).tolist() == [True, False, True]
    expected = [(replication, estimator) for replication in (0, 2) for estimator in ("own", "sums")]
    assert [(failure.replication, failure.estimator) for failure in found.failures] == expected


def test_a_failure_of_the_data_is_told_once_however_many_blocks_have_it(journal):
    for estimator in ("own", "sums"):
        made = block("simple", 0, 2, estimators=(estimator,), status=Status.NO_DATA)
        made.arrays["data_status"][...] = Status.EQUILIBRIUM_FAILED
        failure = dataclasses.replace(made.failures[0], estimator=None, status=Status.EQUILIBRIUM_FAILED)
        journal.write(dataclasses.replace(made, failures=(*made.failures, failure)), content())
    found = [(failure.replication, failure.estimator) for failure in of(journal, "simple").failures]
    assert found == [(0, None), (0, "own"), (0, "sums"), (1, "own"), (1, "sums")]


def test_data_that_a_lost_worker_did_not_draw_do_not_hide_those_that_were_drawn(journal):
    journal.write(block("simple", 0, 2, estimators=("own",)), content())
    lost = block("simple", 0, 2, estimators=("sums",), status=Status.CRASHED)
    lost.arrays["data_status"][...] = Status.CRASHED
    lost.arrays["truth"][...] = np.nan
    journal.write(lost, content(), revision=1)
    arrays = of(journal, "simple").arrays
    assert arrays["data_status"][:2].tolist() == [1, 1]
    assert not np.isnan(arrays["truth"][:2, :2]).any()
    assert arrays["status"][1, :2].tolist() == [15, 15]


def test_what_the_design_does_not_ask_for_is_not_planned(journal):
    journal.write(block("simple", 0, 2), content())
    made = content(plan={"simple": {"own": 5}, "complex/é": {"own": 5, "sums": 3}})
    statuses = of(journal, "simple", made).arrays["status"]
    assert statuses[0, 2:].tolist() == [Status.PENDING] * 3
    assert statuses[1, 2:].tolist() == [Status.NOT_PLANNED] * 3
    assert (statuses[:, :2] != Status.PENDING).all()


def test_a_corrupt_block_is_left_out_and_reported(journal):
    path = journal.write(block("simple", 0, 2), content())
    journal.write(block("simple", 2, 4), content())
    text = path.read_bytes()
    path.write_bytes(text[:-5] + b"\0" + text[-4:])
    statuses = of(journal, "simple").arrays["status"]
    assert (statuses[:, :2] == Status.PENDING).all()
    assert (statuses[:, 2:4] != Status.PENDING).all()
    assert list(journal.corrupt) == [path.name]
