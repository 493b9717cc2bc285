import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from blpsim.errors import StoreError
from blpsim.status import Status
from blpsim.store.blocks import check_block
from blpsim.store.journal import Journal
from tests.store.made import block, content, ending

BOTH = ("own", "sums")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def test_what_is_done_is_what_the_blocks_say(journal):
    journal.write(block("simple", 2, 5), content())
    journal.write(block("simple", 5, 6, estimators=("own",)), content())
    cover = Journal(journal.folder).done("simple", BOTH, 8)
    assert cover.done("own").tolist() == [False, False, True, True, True, True, False, False]
    assert cover.done("sums").tolist() == [False, False, True, True, True, False, False, False]
    assert cover.statuses[0, 2:6].tolist() == [ending("simple", "own", r) for r in range(2, 6)]
    assert not journal.done("complex/é", BOTH, 8).statuses.any()


def test_fewer_replications_than_the_blocks_have_may_be_asked_for(journal):
    journal.write(block("simple", 0, 5), content())
    journal.write(block("simple", 5, 9), content())
    assert journal.done("simple", BOTH, 3).statuses.shape == (2, 3)
    assert journal.done("simple", BOTH, 3).done("own").all()


def test_a_later_revision_supersedes_whatever_the_order_of_writing(tmp_path):
    old, new = block("simple", 0, 4, status=Status.CRASHED), block("simple", 1, 2, status=Status.CONVERGED)
    for folder, order in (("a", (old, new)), ("b", (new, old))):
        (tmp_path / folder).mkdir()
        journal = Journal(tmp_path / folder)
        for made in order:
            journal.write(made, content(), revision=int(made is new))
        assert journal.next_revision() == 2
        assert Journal(journal.folder).done("simple", ("own",), 4).statuses[0].tolist() == [15, 1, 15, 15]


def test_a_lost_worker_never_replaces_a_result(journal):
    journal.write(block("simple", 0, 2, status=Status.NOT_STATIONARY), content())
    journal.write(block("simple", 0, 3, status=Status.TIMED_OUT), content(), revision=1)
    assert journal.done("simple", ("own",), 3).statuses[0].tolist() == [6, 6, 16]


def test_pending_replications_inside_a_block_are_not_done(journal):
    made = block("simple", 0, 3, status=Status.CONVERGED)
    made.arrays["status"][:, 1] = Status.PENDING
    journal.write(made, content())
    assert journal.done("simple", ("own",), 3).done("own").tolist() == [True, False, True]


def test_the_same_block_twice_is_one_file(journal):
    journal.write(block("simple", 0, 2), content())
    journal.write(block("simple", 0, 2), content())
    assert len(list(journal.folder.iterdir())) == len(journal) == 1


def test_a_corrupt_block_is_reported_counts_as_missing_and_is_moved_aside(journal):
    path = journal.write(block("simple", 0, 2), content())
    journal.write(block("simple", 2, 4), content())
    text = path.read_bytes()
    path.write_bytes(text[:-5] + b"\0" + text[-4:])
    again = Journal(journal.folder)
    assert again.verify() == {path.name: "its checksum is wrong"}
    assert again.done("simple", ("own",), 4).done("own").tolist() == [False, False, True, True]
    assert again.repair() == 1
    assert (journal.folder / "corrupt" / path.name).exists()
    assert len(Journal(journal.folder)) == 1
    again.write(block("simple", 0, 2), content())
    assert path.read_bytes() == text


def test_blocks_of_other_processes_are_seen_after_a_refresh(journal):
    other = Journal(journal.folder)
    other.write(block("simple", 0, 2), content())
    assert len(journal) == 0
    journal.refresh()
    assert len(journal) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 8}, "the study's seed is 8 now, but was 7"),
        ({"scenarios": {"simple": "3" * 64}}, "scenario 'simple' is 333333333333 now"),
        ({"estimators": {"own": "4" * 64}}, "estimator 'own' is 444444444444 now"),
        ({"code": "e" * 64}, "blpsim's code is eeeeeeeeeeee now"),
    ],
)
def test_other_content_is_refused_with_what_is_other(journal, change, said):
    journal.write(block("simple", 0, 2), content())
    with pytest.raises(StoreError, match=said) as caught:
        journal.refuse_other_content(content(**change), Path("results/made"))
    assert "\n" not in str(caught.value)
    assert "results/made" in str(caught.value)


def test_added_scenarios_and_estimators_are_not_other_content(journal):
    journal.write(block("simple", 0, 2), content())
    more = content(
        scenarios={"new": "5" * 64, "simple": "1" * 64}, estimators={"own": "a" * 64, "optimal": "6" * 64}
    )
    journal.refuse_other_content(more, Path("results/made"))


def test_a_full_disk_is_one_line(journal, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        journal.write(block("simple", 0, 2), content())
    assert list(journal.folder.iterdir()) == []


def test_only_temporary_files_of_dead_writers_are_removed(journal):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    host = os.uname().nodename
    orphan = journal.folder / f".x.block.{host}~{dead.pid}~12.tmp"
    living = journal.folder / f".y.block.{host}~{os.getpid()}~0.tmp"
    remote = journal.folder / ".z.block.elsewhere~1~1.tmp"
    for path in (orphan, living, remote):
        path.touch()
    journal.repair()
    assert not orphan.exists()
    assert living.exists()
    assert remote.exists()


WRITER = """
import sys
from pathlib import Path
from blpsim.store.journal import Journal
from tests.store.made import block, content
journal, made = Journal(Path(sys.argv[1])), block("simple", 0, 40)
print("ready", flush=True)
for start in range(10_000):
    object.__setattr__(made, "start", start * 40)
    object.__setattr__(made, "stop", start * 40 + 40)
    journal.write(made, content())
"""


def test_sigkill_in_the_middle_of_writing_never_leaves_half_a_block(tmp_path):
    draws = random.Random(1)
    total = 0
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
        )
        writer.stdout.readline()
        time.sleep(draws.uniform(0.05, 0.2))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        blocks = list(tmp_path.glob("*.block"))
        for path in blocks:
            check_block(path)
        total = len(blocks)
        Journal(tmp_path).repair()
        assert sorted(tmp_path.iterdir()) == sorted(blocks)
    assert total > 10


def test_headers_of_many_blocks_are_cheap(journal, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    made = block("simple", 0, 50)
    for start in range(400):
        object.__setattr__(made, "start", 50 * start)
        object.__setattr__(made, "stop", 50 * start + 50)
        journal.write(made, content())
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        again = Journal(journal.folder)
        best = min(best, time.perf_counter() - began)
    assert len(again) == 400
    assert best < 400 * 1e-3
