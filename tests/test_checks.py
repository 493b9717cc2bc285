from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pytest

from blpsim.checks import check, check_count, check_fields, fits, numbers
from blpsim.errors import ConfigurationError, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    name: str = "a"
    part: Part | None = None
    widths: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    made: str = field(init=False, default="")


@runtime_checkable
class Draws(Protocol):
    def draw(self) -> int: ...


class Drawn:
    def draw(self) -> int:
        return 1


RIGHT = [
    (1, int),
    (np.int64(1), int),
    (1, float),
    (np.float32(1), float),
    (np.inf, float),
    (np.bool_(True), bool),
    ("a", Literal["a", "b"]),
    (None, int | None),
    (len, Callable[..., float]),
    (Part, Callable[..., float]),
    ([1, 2], Iterable[int]),
    ([1, 2.5], tuple[int, float]),
    ((), tuple[int, ...]),
    ({}, Mapping[str, int]),
    (Part(), Part),
    (Drawn(), Draws),
    (object(), Any),
]
WRONG = [
    (True, int),
    (1.0, int),
    (np.nan, float),
    (True, float),
    ("1", float),
    (1, bool),
    ("c", Literal["a", "b"]),
    (["a"], Literal["a", "b"]),
    (np.array([1, 2]), Literal["a", "b"]),
    (None, int),
    (1, Callable[..., float]),
    ("ab", Iterable[str]),
    (np.array(1.0), Iterable[float]),
    ([1], tuple[int, float]),
    ([1, "a"], tuple[int, ...]),
    ({1: 1}, Mapping[str, int]),
    ({"a": "b"}, Mapping[str, int]),
    (Part, Part),
    (Drawn, Draws),
    (5, Draws),
]


@pytest.mark.parametrize(("value", "form"), RIGHT)
def test_a_value_of_its_type_passes(value, form):
    check("x", value, form)
    assert fits(value, form)


@pytest.mark.parametrize(("value", "form"), WRONG)
def test_a_value_of_another_type_is_refused(value, form):
    with pytest.raises(DataError, match=r"^x"):
        check("x", value, form, DataError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "Whole.name = None: expected text; it is read as text"),
        ({"part": 5}, "Whole.part = 5: expected a Part or None; its parts are used by name"),
        ({"part": Part}, f"Whole.part = {Part!r}: expected a Part or None; its parts are used by name"),
        ({"widths": 1}, "Whole.widths = 1: expected a mapping; values are found by their names"),
        ({"widths": {1: (1, 2)}}, "Whole.widths = 1: expected text; it is read as text"),
        ({"widths": {"a": 1}}, "Whole.widths['a'] = 1: expected 2 parts; its parts are read in order"),
        ({"widths": {"a": ("b", 1)}}, "Whole.widths['a'][0] = b: expected a number; it is computed with"),
    ],
)
def test_a_record_is_refused_by_the_first_wrong_part_of_a_field(changes, message):
    check_fields(Whole())
    with pytest.raises(ConfigurationError) as caught:
        check_fields(Whole(**changes))
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None, np.nan])
def test_a_count_is_an_integer_from_the_least_on(value):
    check_count("x", 1, "things are counted")
    check_count("x", np.int64(0), "things are counted", 0)
    with pytest.raises(ConfigurationError, match=r"^x = .*: expected an integer, 1 or larger; "):
        check_count("x", value, "things are counted")


@pytest.mark.parametrize("value", ["1", ["1"], b"1", True, 1j, {"a": 1}, [[1], [1, 2]], object()])
def test_what_is_no_number_is_no_array_of_numbers(value):
    with pytest.raises(DataError, match="expected numbers"):
        numbers("x", value, DataError)


def test_numbers_are_copied_as_floats_and_none_is_nan():
    given = np.array([1.0, 2.0])
    assert not np.shares_memory(numbers("x", given), given)
    np.testing.assert_array_equal(numbers("x", [1, None]), [1, np.nan])
