"""Wrong values for the fields of public classes, and what every refusal of one must say."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pytest

from blpsim.errors import BlpsimError


class Stranger:
    """An object of a class that no field knows."""


WRONG = (
    None,
    "abc",
    -1,
    2.5,
    float("nan"),
    True,
    ["a"],
    [None],
    {1: 2},
    {"a": None},
    (1,),
    Stranger(),
    Stranger,
    np.array([1.0, 2.0]),
    np.array(np.nan),
    pd.DataFrame({"a": [1]}),
    b"x",
    1j,
)


def refused_values(
    make: Callable[..., object], argument: str, right: Iterable[object] = (), field: str = ""
) -> None:
    """Check that an argument refuses every wrong value but those that are right for it, which it takes.

    make   gives the object, its other arguments being right
    right  which of the values are not wrong, by their representation
    field  what the refusal must name, when it is not the argument
    """
    fine = {repr(value) for value in right}
    for value in WRONG:
        if repr(value) in fine:
            make(**{argument: value})
            continue
        with pytest.raises(BlpsimError) as caught:
            make(**{argument: value})
        said = caught.value
        assert (field or argument) in said.field, f"{value!r}: {said}"
        assert len(said.expected) > 3, f"{value!r}: {said}"
        assert len(said.why) > 8, f"{value!r}: {said}"
