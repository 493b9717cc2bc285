import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from blpsim.errors import StoreError
from blpsim.store.holder import Holder, this_process
from blpsim.store.lock import Lock

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from blpsim.store.lock import Lock
Lock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path):
    return Lock(tmp_path / "lock")


@pytest.fixture
def other(lock):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_that_another_process_holds_names_it(lock, other):
    with pytest.raises(StoreError, match=rf"process {other.pid} on .* does; wait for it"):
        lock.acquire()
    assert lock.holder().pid == other.pid


def test_a_dead_holder_is_taken_over_from(lock, other):
    other.kill()
    other.wait()
    assert lock.holder() is None
    lock.acquire()
    assert lock.holder() == this_process()


def test_a_killed_holder_that_nobody_has_waited_for_is_dead(lock, other):
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    lock.acquire()
    assert lock.holder() == this_process()


def test_a_lock_given_back_can_be_taken_again(lock):
    lock.acquire()
    with pytest.raises(StoreError, match=str(os.getpid())):
        lock.acquire()
    lock.release()
    assert lock.holder() is None
    lock.acquire()


def test_releasing_what_another_process_holds_changes_nothing(lock, other):
    lock.release()
    assert lock.holder().pid == other.pid


def test_a_holder_on_another_machine_is_believed_to_live(lock):
    lock.path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 5}))
    with pytest.raises(StoreError, match=r"process 1 on elsewhere does; wait for it, or delete .*lock"):
        lock.acquire()


def test_a_later_process_with_the_same_number_is_not_the_holder():
    me = this_process()
    assert me.is_alive()
    assert not Holder(host=me.host, pid=me.pid, started=me.started + 1).is_alive()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"host": "a"}', b"\xff\xff"])
def test_a_lock_whose_writer_died_while_writing_it_is_free(lock, text):
    lock.path.write_bytes(text)
    lock.acquire()
    assert lock.holder() == this_process()
