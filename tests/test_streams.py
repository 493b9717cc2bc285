from __future__ import annotations

import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest

from blpsim.errors import BlpsimError
from blpsim.streams import Streams
from tests.wrong_values import refused_values

BASE = Streams(seed=2020, replication=7, stream_key="simple")

OTHERS = {
    "another role": (BASE, "omega"),
    "another replication": (Streams(seed=2020, replication=8, stream_key="simple"), "xi"),
    "another seed": (Streams(seed=2021, replication=7, stream_key="simple"), "xi"),
    "another key": (BASE.keyed("complex"), "xi"),
    "no key": (Streams(seed=2020, replication=7), "xi"),
    "role and key exchanged": (BASE.keyed("xi"), "simple"),
    "seed and replication exchanged": (Streams(seed=7, replication=2020, stream_key="simple"), "xi"),
    "a replication past 32 bits": (Streams(seed=2020, replication=7 + 2**32, stream_key="simple"), "xi"),
    "a seed past 32 bits": (Streams(seed=2020 + 2**32, replication=7, stream_key="simple"), "xi"),
}


def draws(streams: Streams, role: str, number: int = 2_000) -> np.ndarray:
    return streams.generator(role).standard_normal(number)


def test_a_stream_starts_again_at_every_call_whatever_was_drawn_before():
    first = draws(BASE, "xi")
    draws(BASE, "omega")
    assert np.array_equal(first, draws(Streams(seed=2020, replication=7, stream_key="simple"), "xi"))


def test_a_stream_is_the_same_in_another_process_with_another_hash_seed():
    program = (
        "from blpsim.streams import Streams; import sys;"
        "print(Streams(seed=2020, replication=7, stream_key='simple').generator('xi').bytes(16).hex())"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", program]
        printed = subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        assert printed.stdout.decode().strip() == BASE.generator("xi").bytes(16).hex()


def test_published_draws_do_not_change():
    assert BASE.generator("xi").bytes(8).hex() == "4a501417505ef380"


@pytest.mark.parametrize("other", OTHERS)
def test_a_stream_that_differs_in_anything_is_uncorrelated(other):
    streams, role = OTHERS[other]
    correlation = np.corrcoef(draws(BASE, "xi"), draws(streams, role))[0, 1]
    assert abs(correlation) < 5 / np.sqrt(2_000)


def test_no_two_of_many_streams_start_alike():
    firsts = {
        Streams(seed=seed, replication=replication, stream_key=key).generator(role).bytes(8)
        for seed, replication, key, role in itertools.product(range(4), range(40), ("", "a", "b"), ("x", "y"))
    }
    assert len(firsts) == 4 * 40 * 3 * 2


@pytest.mark.parametrize("field", ["seed", "replication"])
@pytest.mark.parametrize("value", [-1, 1.5, "1", None, True])
def test_a_seed_or_replication_that_is_no_natural_number_is_refused_by_name(field, value):
    with pytest.raises(BlpsimError, match=rf"^Streams\.{field} = "):
        Streams(**{"seed": 0, "replication": 0, field: value})


def test_numpy_integers_give_the_streams_of_pythons():
    same = Streams(seed=np.int64(2020), replication=np.uint8(7), stream_key="simple")
    assert np.array_equal(draws(same, "xi"), draws(BASE, "xi"))
    assert pickle.loads(pickle.dumps(BASE)) == BASE


@pytest.mark.parametrize(("field", "right"), [("seed", ()), ("replication", ()), ("stream_key", ("abc",))])
def test_streams_refuse_wrong_values(field, right):
    refused_values(lambda **changes: Streams(**{"seed": 1, "replication": 0, **changes}), field, right)
