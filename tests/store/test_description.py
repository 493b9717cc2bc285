import dataclasses
import functools
import json

import numpy as np
import pandas as pd

from blpsim.status import Status
from blpsim.store.description import described


@dataclasses.dataclass(frozen=True)
class Record:
    shown: object
    hidden: object = dataclasses.field(default=None, repr=False)


def own_elasticity(economy):
    return economy


def test_records_come_by_field_and_functions_by_name():
    value = {
        "a": Record((1, 2.5, None)),
        3: own_elasticity,
        "p": functools.partial(own_elasticity, 2, key="x"),
    }
    found = described(value)
    assert found["a"] == {"type": "Record", "shown": [1, 2.5, None]}
    assert found["3"].endswith(".own_elasticity")
    assert found["p"]["keywords"] == {"key": "x"}
    assert found["p"]["arguments"] == [2]


def test_small_arrays_come_whole_and_large_ones_and_tables_by_shape():
    assert described(np.array([[1.0, np.inf], [np.float32(2), 3]])) == [[1.0, "inf"], [2.0, 3.0]]
    assert described(np.zeros((100, 11))) == "float64 array (100, 11)"
    assert described(pd.DataFrame({"x": range(3)})) == "DataFrame (3, 1)"


def test_anything_at_all_becomes_json():
    odd = [
        float("nan"),
        np.int8(3),
        {2, 1},
        Status.ERROR,
        object(),
        type,
        print,
        b"x",
        np.bool_(True),
        range(3),
    ]
    assert json.loads(json.dumps(described(odd), allow_nan=False))[:4] == ["nan", 3, [1, 2], 14]
