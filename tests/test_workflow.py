from __future__ import annotations

import dataclasses

import pytest

from blpsim import workflow
from blpsim.errors import ConfigurationError, StoreError
from blpsim.estimate.estimator import Estimator
from blpsim.model.conduct import Ownership
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.run.workers import Workers
from blpsim.simulate.distributions import Bernoulli
from blpsim.status import Status
from blpsim.store.journal import Journal
from blpsim.store.study import open_study
from blpsim.study.design import Design
from blpsim.workflow import replay, replay_openly, run
from tests.simulate.scenarios import scenario
from tests.study.toys import Mean, Median, Normals
from tests.wrong_values import Stranger, refused_values


@pytest.fixture
def design():
    return Design(
        name="toy",
        seed=3,
        replications=6,
        scenarios={"n": Normals(fails={5: "raises"})},
        estimators={"mean": Mean(fails={1: "does not converge"}), "median": Median()},
    )


def blocks(store):
    headers = Journal(store / "journal").headers()
    return sorted((header.start, header.stop, header.estimators) for header in headers)


def test_the_store_defaults_to_results_and_the_designs_name(design, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(design, workers=0).path.resolve() == tmp_path / "results" / "toy"


def test_only_what_is_missing_is_computed(design, tmp_path):
    run(design, tmp_path, workers=0, replications=2, block_size=2)
    run(
        dataclasses.replace(design, estimators={"median": Median()}),
        tmp_path,
        workers=0,
        replications=4,
        block_size=9,
    )
    run(design, tmp_path, workers=0, block_size=9)
    both = ("mean", "median")
    assert blocks(tmp_path) == [(0, 2, both), (2, 4, ("mean",)), (2, 4, ("median",)), (4, 6, both)]


def test_a_listener_hears_of_every_block_and_of_failures(design, tmp_path):
    moments = []
    run(design, tmp_path, workers=0, replications=2, block_size=2)
    run(design, tmp_path, workers=0, block_size=2, listener=moments.append)
    assert [(each.done, each.computed, each.failed) for each in moments] == [(4, 0, 0), (8, 4, 0), (12, 8, 2)]
    assert all(each.total == 12 for each in moments)
    assert moments[-1].remaining_seconds == 0
    assert moments[0].remaining_seconds is None


@pytest.mark.parametrize("number", [0, 1])
def test_a_run_stops_before_its_walltime_with_what_was_finished_published(tmp_path, number):
    slow = Design(
        name="slow",
        seed=1,
        replications=1000,
        scenarios={"n": Normals(seconds=0.02)},
        estimators={"median": Median()},
    )
    with pytest.raises(KeyboardInterrupt):
        run(slow, tmp_path, workers=Workers(number=number, walltime_seconds=3 * number + 0.5))
    study = open_study(tmp_path)
    assert study.is_published
    assert 0 < int((study.results["status"] == Status.EVALUATED).sum()) < 1000


def test_a_run_that_ends_before_its_walltime_is_whole(design, tmp_path):
    run(design, tmp_path, workers=Workers(number=0, walltime_seconds=1000.0))
    assert len(open_study(tmp_path).results["replication"]) == 6


@pytest.mark.parametrize(("option", "value"), [("workers", -1), ("block_size", 0), ("replications", -1)])
def test_options_that_cannot_be_are_refused_before_anything_is_touched(design, tmp_path, option, value):
    with pytest.raises(ConfigurationError, match=option):
        run(design, tmp_path / "store", **{"workers": 0, option: value})
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("argument", "right"),
    [
        ("design", ()),
        ("store", (None, "abc")),
        ("workers", (None,)),
        ("replications", (None,)),
        ("block_size", (None,)),
        ("retry", ()),
        ("listener", (None, Stranger)),
    ],
)
def test_an_argument_of_a_wrong_kind_is_refused(design, tmp_path, monkeypatch, argument, right):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workflow, "open_study", lambda path: path)
    monkeypatch.setattr(workflow._Run, "carry_out", lambda *_: None)
    given = {"design": design, "workers": 0}
    refused_values(lambda **changes: run(**{**given, **changes}), argument, right)


def test_a_path_that_cannot_be_written_is_one_line(design, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as raised:
        run(design, tmp_path / "file" / "store", workers=0)
    assert "\n" not in str(raised.value)


def test_a_replay_has_the_stores_bits_and_says_so(design, tmp_path):
    run(design, tmp_path, workers=0)
    again = replay(design, "n", 1, ("median",), tmp_path)
    assert again.differences == ()
    assert again.statuses == (Status.EVALUATED,)
    whole = replay(design, "n", 1, ("mean", "median"), tmp_path)
    assert whole.differences == ()
    assert whole.statuses[0] == Status.ITERATION_LIMIT


def test_a_replay_that_differs_says_in_what(design, tmp_path, monkeypatch):
    run(design, tmp_path, workers=0)
    monkeypatch.setattr(
        Mean, "estimate", lambda *_: Median().estimate(*_)._replace(values=[0, 0], standard_errors=[1, 1])
    )
    monkeypatch.setattr(workflow, "content_of", lambda _: None)
    monkeypatch.setattr(Journal, "refuse_other_content", lambda *_: None)
    assert {"estimate", "standard_error", "status"} <= set(
        replay(design, "n", 0, ("mean",), tmp_path).differences
    )


@pytest.mark.parametrize(("scenario", "estimator"), [("m", "mean"), ("n", "mode")])
def test_a_replay_of_what_is_not_there_is_refused(design, scenario, estimator):
    with pytest.raises(ConfigurationError, match="expected one of"):
        replay(design, scenario, 0, (estimator,))


def test_a_replay_beyond_the_store_is_refused(design, tmp_path):
    run(design, tmp_path, workers=0)
    with pytest.raises(StoreError, match="replication 99"):
        replay(design, "n", 99, ("mean",), tmp_path)


def test_an_open_replay_raises_what_the_replication_raises(design):
    with pytest.raises(ValueError, match="replication 5 of seed 3 is cursed"):
        replay_openly(design, "n", 5, ("mean",))


PLAIN = Model(linear="1 + x + prices", supply="1 + x + w")
NESTS = dataclasses.replace(PLAIN, nests="firm_ids")


@pytest.mark.parametrize(
    ("conduct", "estimator", "kinds"),
    [
        ("bertrand", {}, [False]),
        ("monopoly", {"conduct": "single"}, [False]),
        ("perfect_competition", {}, [False, True]),
        ("bertrand", {"conduct": "perfect_competition"}, [False, True]),
        (Ownership(0.5), {}, [True]),
        (Ownership(0.5), {"conduct": "bertrand"}, [False, True]),
        ("bertrand", {"model": NESTS, "parameters": Parameters(rho=0.2)}, [False, True]),
    ],
)
def test_kernels_are_compiled_for_what_scenarios_and_estimators_assume(
    monkeypatch, conduct, estimator, kinds
):
    monkeypatch.setattr(workflow, "are_compiled", lambda **_: False)
    process = scenario(
        model=PLAIN, truth=Parameters(beta=[-7, 6, -1], gamma=[2, 1, 2]), consumers=None, conduct=conduct
    )
    design = Design(
        name="a", seed=1, replications=1, scenarios={"s": process}, estimators={"e": Estimator(**estimator)}
    )
    assert workflow._uncompiled(design) == kinds


def test_agents_who_differ_by_product_need_the_kernels_for_nests(monkeypatch):
    monkeypatch.setattr(workflow, "are_compiled", lambda **_: False)
    process = scenario(availability=Bernoulli(0.8))
    estimators = {"e": Estimator(integration="generator")}
    design = Design(name="a", seed=1, replications=1, scenarios={"s": process}, estimators=estimators)
    assert workflow._uncompiled(design) == [True]
