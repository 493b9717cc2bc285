from __future__ import annotations

import dataclasses
import functools
import importlib.util
import itertools
import operator
import subprocess
import sys
import threading
from enum import Enum
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from blpsim.errors import ConfigurationError
from blpsim.fingerprint import LATER, fingerprint
from blpsim.status import Status
from blpsim.streams import Streams

RATE = 0.25


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    name: str
    weights: object = None
    workers: int = dataclasses.field(default=1, compare=False)


def added(**fields):
    """Return a design as a later release would define it, with two more fields."""
    later = {"default": None, "metadata": LATER}, {"default": 0.5, "metadata": LATER}
    new = [("nests", object, dataclasses.field(**later[0])), ("rate", float, dataclasses.field(**later[1]))]
    kind = dataclasses.make_dataclass("Design", new, bases=(Design,), frozen=True, kw_only=True)
    kind.__module__, kind.__qualname__ = "blpsim.invented", "Design"
    return fingerprint(kind(name="a", **fields))


class Sampler:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    def draw(self, number: int) -> np.ndarray:
        return np.full(number, self.scale * RATE)


def scaled(scale: float):
    return lambda values: values * scale


def by_default(values, scale=2.0, *, shift=0):
    return values * scale + shift


def recursive(n: int) -> int:
    return 1 if n == 0 else n * recursive(n - 1)


@numba.njit
def compiled(x):
    return x + 1


def values() -> dict[str, object]:
    """Return values no two of which have the same content."""
    return {**plain_values(), **tables(), **functions(), **instances()}


def plain_values() -> dict[str, object]:
    scalars = [
        None,
        True,
        1,
        1.0,
        -0.0,
        0.0,
        np.nan,
        np.inf,
        "1",
        b"1",
        1j,
        Colour.RED,
        Colour.BLUE,
        Status.ERROR,
    ]
    several = [[1, 2], [[1], 2], {"x": 1, "y": 2}, {"y": 2, "x": 1}, range(3), np]
    return {"set": {"x", "y", "z"}, **{repr(value): value for value in (*scalars, *several)}}


def tables() -> dict[str, object]:
    return {
        "float64 array": np.arange(4.0),
        "int64 array": np.arange(4),
        "row": np.arange(4.0)[None],
        "bool array": np.ones(4, bool),
        "strings": np.array(["a", "b"]),
        "objects": np.array(["a", 1], dtype=object),
        "objects as text": np.array(["a", "1"], dtype=object),
        "frame": pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}),
        "frame renamed": pd.DataFrame({"a": [1.0, 2.0], "c": ["x", "y"]}),
        "series": pd.Series([1.0, 2.0], name="s"),
    }


def functions() -> dict[str, object]:
    increment, decrement = (lambda x: x + 1), (lambda x: x - 1)
    return {
        "increment": increment,
        "decrement": decrement,
        "closure": scaled(2.0),
        "other closure": scaled(3.0),
        "defaults": by_default,
        "partial": functools.partial(by_default, scale=3.0),
        "other partial": functools.partial(by_default, scale=4.0),
        "method": Sampler(1.0).draw,
        "method of another": Sampler(2.0).draw,
        "unbound": Sampler.draw,
        "builtin method": "a,b".split,
        "builtin method of another": "b,a".split,
        "recursive": recursive,
        "compiled": compiled,
        "cached": functools.lru_cache(by_default),
        **{function.__name__: function for function in (np.exp, np.log, np.mean, np.median, len, max)},
    }


def instances() -> dict[str, object]:
    return {
        "class": Sampler,
        "object": Sampler(1.0),
        "other object": Sampler(2.0),
        "design": Design(name="a"),
        "design renamed": Design(name="b"),
        "design weighted": Design(name="a", weights=np.ones(2)),
        "streams": Streams(seed=1, replication=2),
        "item": operator.itemgetter(1),
        "normal": scipy.stats.norm(0, 1),
        "wider normal": scipy.stats.norm(0, 2),
    }


VALUES = values()


def imported(path: Path, source: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(f"design_{len(str(path))}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_values_that_differ_have_hashes_that_differ():
    hashes = {name: fingerprint(value) for name, value in VALUES.items()}
    same = [pair for pair in itertools.combinations(hashes, 2) if hashes[pair[0]] == hashes[pair[1]]]
    assert not same


@pytest.mark.parametrize("name", VALUES)
def test_a_value_built_again_has_the_same_hash(name):
    assert fingerprint(values()[name]) == fingerprint(VALUES[name])
    assert len(fingerprint(VALUES[name])) == 64


def test_hashes_are_the_same_in_processes_with_other_hash_seeds():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_fingerprint import fingerprint, values\n"
        "print(*[fingerprint(value) for value in values().values()])"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    for seed in ("1", "2"):
        printed = subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        assert printed.stdout.decode().split() == [fingerprint(value) for value in VALUES.values()]


def test_equal_contents_of_other_types_of_number_and_memory_layout_are_one_content():
    matrix = np.arange(6.0).reshape(2, 3)
    assert fingerprint(np.int64(3)) == fingerprint(3)
    assert fingerprint(np.float64(0.1)) == fingerprint(0.1)
    assert fingerprint(np.asfortranarray(matrix)) == fingerprint(matrix)
    assert fingerprint(matrix.astype(">f8")) == fingerprint(matrix)


def test_fields_that_a_release_added_count_once_they_leave_their_defaults():
    changed = [{"nests": 2}, {"rate": 0.25}, {"rate": 0}, {"nests": np.zeros(2)}, {"nests": 2, "rate": 0.25}]
    hashes = {added(), *(added(**fields) for fields in changed)}
    assert len(hashes) == 1 + len(changed)
    assert added() == added(nests=None) == added(rate=0.5) == before()


def before():
    """Return the hash of the same design without the added fields."""
    kind = dataclasses.make_dataclass("Design", [], bases=(Design,), frozen=True, kw_only=True)
    kind.__module__, kind.__qualname__ = "blpsim.invented", "Design"
    return fingerprint(kind(name="a"))


def test_fields_that_a_dataclass_does_not_compare_do_not_count():
    assert fingerprint(Design(name="a", workers=1)) == fingerprint(Design(name="a", workers=8))


BASE = """
STEP = 1
def helper(x):
    return x + STEP

def estimand(economy):
    return helper(economy.markups)

class Estimator:
    start = 5

    def estimate(self, dataset, streams):
        return helper(dataset)

first, second = (lambda e: e + 1), (lambda e: e + 2)
"""

UNCHANGED = {
    "a comment": BASE.replace("    return x", "    # why\n    return x"),
    "another line": "import numpy\n\n\n" + BASE,
    "another layout": BASE.replace("helper(economy.markups)", "helper(\n        economy.markups\n    )"),
    "an unrelated function": BASE + "\ndef unrelated():\n    return 3\n",
}
CHANGED = {
    "its body": BASE.replace("economy.markups", "economy.costs").replace(
        "helper(dataset)", "helper(2 * dataset)"
    ),
    "a function that it calls": BASE.replace("x + STEP", "x - STEP"),
    "a global that it reads through another": BASE.replace("STEP = 1", "STEP = 2"),
}


@pytest.mark.parametrize("part", ["estimand", "Estimator"])
@pytest.mark.parametrize("change", UNCHANGED)
def test_where_and_how_a_function_is_written_does_not_count(tmp_path, part, change):
    here = imported(tmp_path / "here.py", BASE)
    there = imported(tmp_path / "far" / "away" / "there.py", UNCHANGED[change])
    assert fingerprint(getattr(here, part)) == fingerprint(getattr(there, part))


@pytest.mark.parametrize("part", ["estimand", "Estimator"])
@pytest.mark.parametrize("change", CHANGED)
def test_what_a_function_does_counts(tmp_path, part, change):
    before = imported(tmp_path / "before.py", BASE)
    after = imported(tmp_path / "after.py", CHANGED[change])
    assert fingerprint(getattr(before, part)) != fingerprint(getattr(after, part))


def test_a_value_written_in_a_class_counts(tmp_path):
    before = imported(tmp_path / "before.py", BASE)
    after = imported(tmp_path / "after.py", BASE.replace("start = 5", "start = 6"))
    assert fingerprint(before.Estimator()) != fingerprint(after.Estimator())


def test_lambdas_of_one_line_are_told_apart_and_only_their_own_change_counts(tmp_path):
    before = imported(tmp_path / "before.py", BASE)
    after = imported(tmp_path / "after.py", BASE.replace("e + 2", "e + 3"))
    assert fingerprint(before.first) == fingerprint(after.first)
    assert len({fingerprint(each) for each in (before.first, before.second, after.second)}) == 3


def test_a_function_without_a_file_counts_by_its_code():
    spaces = [{"__name__": "typed_in"} for _ in range(3)]
    for space, source in zip(spaces, ("x + 1", "x  +  1", "x + 2"), strict=True):
        exec(f"def f(x):\n    return {source}", space)
    same, again, other = (fingerprint(space["f"]) for space in spaces)
    assert same == again != other


def test_a_value_that_contains_itself_ends():
    loop: list[object] = [1]
    loop.append(loop)
    other: list[object] = [2]
    other.append(other)
    assert fingerprint(loop) != fingerprint(other)


def test_a_value_without_readable_content_is_refused_with_its_type():
    with pytest.raises(ConfigurationError, match=r"^lock = "):
        fingerprint({"guard": threading.Lock()})
