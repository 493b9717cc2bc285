from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from blpsim.status import Status
from blpsim.study.design import Design
from blpsim.study.records import FIELDS, TIMINGS
from blpsim.study.replication import masked
from blpsim.study.task import Task, lost_block, run_task

from .toys import Mean, Median, Normals


def designed(scenario=None, estimator=None, **changes):
    settings = {
        "name": "toy",
        "seed": 7,
        "replications": 6,
        "scenarios": {"normals": scenario or Normals()},
        "estimators": {"mean": estimator or Mean(), "robust/median": Median()},
    }
    return Design(**{**settings, **changes})


def task(design, start=0, stop=6, estimators=None):
    return Task(
        design=design.fingerprint,
        scenario="normals",
        estimators=tuple(estimators or design.estimators),
        start=start,
        stop=stop,
    )


def run(design, *replications, **options):
    return run_task(design, task(design, *replications, **options))


def test_a_block_holds_each_estimate_under_its_name_and_nothing_elsewhere():
    block = run(designed())
    assert block.parameters == ("mean", "spread", "median")
    assert (block.arrays["status"] == [[Status.CONVERGED] * 6, [Status.EVALUATED] * 6]).all()
    assert np.isfinite(block.arrays["estimate"][0, :, :2]).all()
    assert np.isnan(block.arrays["estimate"][0, :, 2]).all()
    assert np.isnan(block.arrays["estimate"][1, :, :2]).all()
    assert np.isfinite(block.arrays["estimate"][1, :, 2]).all()
    np.testing.assert_array_equal(block.arrays["truth"], [[1, 2, np.nan]] * 6)
    assert (block.arrays["objective"][0] == 0.25).all()
    assert np.isnan(block.arrays["objective"][1]).all()
    assert (block.arrays["start_status"] == [[[1, 1]] * 6, [[0, 0]] * 6]).all()
    assert np.isfinite(block.arrays["start_value"][0, :, :, :2]).all()
    assert (block.arrays["seconds"] >= 0).all()
    assert block.failures == ()


@pytest.mark.parametrize("estimators", [("mean",), ("robust/median",), ("mean", "robust/median")])
def test_records_depend_on_no_block_and_on_no_other_estimator(estimators):
    whole = run(designed())
    part = run(designed(), 2, 5, estimators=estimators)
    rows = [list(whole.estimators).index(name) for name in estimators]
    for name in FIELDS.keys() - set(TIMINGS):
        expected = whole.arrays[name]
        if "estimator" in FIELDS[name].dims:
            expected = expected[rows, 2:5]
            if "start" in FIELDS[name].dims:
                expected = expected[:, :, : part.starts]
        else:
            expected = expected[2:5]
        np.testing.assert_array_equal(part.arrays[name], expected, err_msg=name)


def test_an_exception_in_an_estimator_is_a_status_with_its_traceback_and_spares_the_others():
    block = run(designed(estimator=Mean(fails={2: "raises"})))
    statuses = block.arrays["status"]
    assert statuses[0, 2] == Status.ERROR
    assert (np.delete(statuses[0], 2) == Status.CONVERGED).all()
    assert (statuses[1] == Status.EVALUATED).all()
    assert np.isnan(block.arrays["estimate"][0, 2]).all()
    (failure,) = block.failures
    assert (failure.scenario, failure.estimator, failure.replication) == ("normals", "mean", 2)
    assert (failure.exception, failure.message) == ("ArithmeticError", "cannot divide 3.5e-7 by 0")
    assert failure.masked == "cannot divide # by #"
    assert "in estimate" in failure.traceback
    assert failure.traceback.endswith("ArithmeticError: cannot divide 3.5e-7 by 0\n")


@pytest.mark.parametrize(
    ("how", "status", "exception"),
    [
        ("raises", Status.ERROR, "ValueError"),
        ("exits", Status.ERROR, "SystemExit"),
        ("no equilibrium", Status.EQUILIBRIUM_FAILED, ""),
    ],
)
def test_without_a_dataset_there_is_one_failure_and_no_estimator_runs(how, status, exception):
    block = run(designed(scenario=Normals(fails={4: how})))
    assert block.arrays["data_status"].tolist() == [1, 1, 1, 1, status, 1]
    assert (block.arrays["status"][:, 4] == Status.NO_DATA).all()
    (failure,) = block.failures
    assert (failure.estimator, failure.replication, failure.status) == (None, 4, status)
    assert failure.exception == exception


def test_a_numerical_failure_keeps_its_estimates():
    block = run(designed(estimator=Mean(fails={0: "does not converge"})))
    assert block.arrays["status"][0, 0] == Status.ITERATION_LIMIT
    assert np.isfinite(block.arrays["estimate"][0, 0, :2]).all()
    assert [failure.status for failure in block.failures] == [Status.ITERATION_LIMIT]


def test_an_estimate_of_the_wrong_shape_is_an_error_that_says_so():
    block = run(designed(estimator=Mean(fails={0: "wrong shape"})))
    assert block.arrays["status"][0, 0] == Status.ERROR
    assert block.failures[0].message.startswith("Estimate.values = shape (1,): expected shape (2,)")


class Errors(NamedTuple):
    standard_errors: list


@dataclass(frozen=True)
class Differentiating(Mean):
    def estimate(self, dataset, streams):
        found = super().estimate(dataset, streams)

        def method(function):
            return Errors([0.1 * value for value in function(found.economy)])

        return SimpleNamespace(**found._asdict(), delta_method=method)


def test_estimands_have_the_standard_errors_of_an_estimates_delta_method():
    estimands = {"double": lambda economy: 2 * economy, "triple": lambda economy: 3 * economy}
    arrays = run(designed(estimator=Differentiating(), estimands=estimands)).arrays
    assert np.array_equal(arrays["standard_error"][0, :, -2:], 0.1 * arrays["estimate"][0, :, -2:])
    assert np.isnan(arrays["standard_error"][1, :, -2:]).all()
    assert np.isnan(run(designed(estimands=estimands)).arrays["standard_error"][:, :, -2:]).all()


def test_estimands_are_recorded_at_the_truth_and_at_the_estimate():
    block = run(designed(estimands={"double": lambda economy: 2 * economy}))
    assert block.parameters == ("mean", "spread", "median", "double")
    np.testing.assert_array_equal(block.arrays["estimate"][0, :, 3], 2 * block.arrays["estimate"][0, :, 0])
    np.testing.assert_array_equal(block.arrays["truth"][:, 3], block.arrays["estimate"][0, :, 3])
    assert np.isnan(block.arrays["estimate"][1, :, 3]).all()


def test_an_estimand_that_fails_is_recorded():
    def fails(_):
        raise KeyError("elasticity")

    block = run(designed(estimands={"broken": fails}), 0, 1)
    assert block.arrays["data_status"][0] == Status.ERROR
    assert block.failures[0].exception == "KeyError"


def test_warnings_inside_a_replication_are_not_printed():
    class Warns(Median):
        def estimate(self, dataset, streams):
            warnings.warn("noise", stacklevel=1)
            np.log(np.zeros(1))
            return super().estimate(dataset, streams)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        block = run(designed(estimator=Warns()), 0, 1)
    assert block.arrays["status"][0, 0] == Status.EVALUATED


def test_an_interrupt_is_not_a_failure():
    class Interrupted(Median):
        def estimate(self, *_):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(designed(estimator=Interrupted()), 0, 1)


def test_a_task_that_is_stopped_returns_what_it_has():
    design = designed()
    asked = iter([False, False, True])
    block = run_task(design, task(design, 1, 6), lambda: next(asked))
    assert (block.start, block.stop) == (1, 4)
    assert block.arrays["estimate"].shape == (2, 3, 3)


def test_a_lost_block_says_how_it_was_lost():
    design = designed()
    block = lost_block(design, task(design, 3, 4), Status.CRASHED, "the worker died")
    assert (block.arrays["status"] == Status.CRASHED).all()
    np.testing.assert_array_equal(block.arrays["truth"], [[1, 2, np.nan]])
    assert [failure.estimator for failure in block.failures] == ["mean", "robust/median"]


def test_a_task_splits_by_replication_then_by_estimator():
    whole = task(designed(), 2, 5)
    assert [(part.start, part.stop) for part in whole.parts()] == [(2, 3), (3, 4), (4, 5)]
    assert [part.estimators for part in whole.parts()[0].parts()] == [("mean",), ("robust/median",)]
    single = whole.parts()[0].parts()[0]
    assert single.parts() == [single]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("row 12 of 1e-3 and -0.5", "row # of # and #"),
        ("at 0x7f3a", "at #"),
        ("column nodes0, x1 and 3D", "column nodes0, x1 and 3D"),
        ("shape (3, 4)", "shape (#, #)"),
    ],
)
def test_numbers_in_messages_are_masked_and_names_are_not(message, expected):
    assert masked(message) == expected
