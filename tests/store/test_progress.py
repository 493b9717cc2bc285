import json

import pytest

from blpsim.errors import StoreError
from blpsim.status import Status
from blpsim.store.folder import Store
from blpsim.store.progress import progress
from tests.store.made import block, content


def test_counts_are_those_of_the_statuses(tmp_path):
    made = [block("simple", 0, 6), block("simple", 6, 8, estimators=("own",)), block("simple", 4, 8)]
    with Store(tmp_path, content()) as store:
        for one in made:
            store.write(one)
    found = progress(tmp_path)
    expected = [*made[0].arrays["status"][0, :4], *made[2].arrays["status"][0]]
    assert found.counts["simple"]["own"] == {
        Status.PENDING: 2,
        **{Status(int(status)): expected.count(status) for status in set(expected)},
    }
    assert sum(found.counts["simple"]["sums"].values()) == 10
    assert found.counts["complex/é"]["own"] == {Status.PENDING: 10}
    assert found.data_counts == {"simple": {Status.CONVERGED: 8}, "complex/é": {}}
    assert (found.done, found.pending) == (16, 24)
    failed = [status for row in (0, 1) for status in (*made[0].arrays["status"][row, :4],)]
    failed += [status for row in (0, 1) for status in made[2].arrays["status"][row]]
    assert found.failed == sum(Status(int(status)).is_failure for status in failed)


def test_a_running_study_has_a_rate_and_a_remaining_time(tmp_path):
    with Store(tmp_path, content()) as store:
        assert progress(tmp_path).rate is None
        store.write(block("simple", 0, 5))
        found = progress(tmp_path)
        assert found.rate > 0
        assert found.remaining_seconds == found.pending / found.rate
        assert found.holder is not None
    found = progress(tmp_path)
    assert found.rate is None
    assert found.holder is None


def test_what_is_not_planned_is_neither_done_nor_pending(tmp_path):
    with Store(tmp_path, content(plan={"simple": {"own": 4}})) as store:
        store.write(block("simple", 0, 2, estimators=("own",)))
    found = progress(tmp_path)
    assert (found.done, found.pending) == (2, 2)
    assert set(found.counts["simple"]["sums"]) == {Status.NOT_PLANNED}


def test_blocks_that_cannot_be_read_are_counted(tmp_path):
    with Store(tmp_path, content()) as store:
        store.write(block("simple", 0, 5))
    path = next((tmp_path / "journal").glob("*.block"))
    path.write_bytes(path.read_bytes()[:-1])
    found = progress(tmp_path)
    assert (found.corrupt, found.done) == (1, 0)


def test_it_is_plain_json(tmp_path):
    with Store(tmp_path, content()) as store:
        store.write(block("simple", 0, 5))
        values = json.loads(json.dumps(progress(tmp_path).as_json()))
    assert values["counts"]["simple"]["own"]["pending"] == 5
    assert (values["done"], values["pending"]) == (10, 30)
    assert values["running"]["pid"]
    assert values["core_hours"] > 0


def test_a_path_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="the folder of a study"):
        progress(tmp_path)
