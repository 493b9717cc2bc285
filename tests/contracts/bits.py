"""What a study leaves, so that two ways of running it can be compared bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blpsim.store.study import open_study
from blpsim.study.records import TIMINGS

DESIGN = Path(__file__).with_name("design.py")


def bits(store):
    """Return every variable and coordinate but the timings as bytes, and the failures."""
    study = open_study(store)
    arrays = {
        name: (
            array.dtype.str,
            array.shape,
            np.asarray(array).tolist() if array.dtype == object else array.values.tobytes(),
        )
        for name, array in study.results.variables.items()
        if name not in TIMINGS
    }
    return arrays, study.failures.drop(columns=["traceback"]).to_dict("records")
