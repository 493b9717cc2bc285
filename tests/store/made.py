"""Blocks and contents whose numbers are a function of what they are, so that any two writers agree."""

import functools
import hashlib

import numpy as np

from blpsim.status import Status
from blpsim.store.content import Content
from blpsim.study.records import FIELDS, Block, Failure

SCENARIOS = {"simple": "1" * 64, "complex/é": "2" * 64}
ESTIMATORS = {"own": "a" * 64, "sums": "b" * 64}
PARAMETERS = {"simple": ("beta[1]", "beta[prices]"), "complex/é": ("beta[1]", "beta[prices]", "sigma[x,x]")}
MICRO_MOMENTS = ("income", "age")
"""What "sums" matches; "own" alone matches the first, and beside "sums" both."""


def content(**changes):
    values = {
        "name": "made",
        "seed": 7,
        "replications": 10,
        "hash": "d" * 64,
        "code": "c" * 64,
        "scenarios": SCENARIOS,
        "estimators": ESTIMATORS,
    }
    return Content(**(values | changes))


@functools.cache
def value(*key):
    """A number between 0 and 1 that depends on nothing but the key."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:6], "big") / 2**48


def ending(scenario, estimator, replication):
    draw = value("status", scenario, estimator, replication)
    return Status.CONVERGED if draw < 0.7 else Status.NOT_STATIONARY if draw < 0.85 else Status.ERROR


def block(scenario, start, stop, *, estimators=("own", "sums"), parameters=None, status=None, seconds=None):
    parameters = PARAMETERS[scenario] if parameters is None else parameters
    starts = 2 if "sums" in estimators else 1
    labels = {
        "estimator": estimators,
        "replication": range(start, stop),
        "parameter": parameters,
        "start": range(starts),
        "micro_moment": MICRO_MOMENTS[:starts],
    }
    arrays = {}
    for name, field in FIELDS.items():
        axes = [labels[dim] for dim in field.dims]
        array = np.full([len(axis) for axis in axes], field.fill, field.dtype)
        for place in np.ndindex(array.shape):
            key = tuple(axis[at] for axis, at in zip(axes, place, strict=True))
            array[place] = value(name, scenario, *key) if array.dtype.kind == "f" else Status.CONVERGED
        arrays[name] = array
    for axis, estimator in enumerate(estimators):
        arrays["status"][axis] = [status or ending(scenario, estimator, r) for r in range(start, stop)]
    if seconds is not None:
        arrays["seconds"][...] = arrays["data_seconds"][...] = seconds
    return Block(
        scenario=scenario,
        estimators=estimators,
        parameters=parameters,
        start=start,
        stop=stop,
        arrays=arrays,
        micro_moments=MICRO_MOMENTS[:starts],
        failures=failures(scenario, estimators, start, arrays["status"]),
    )


def failures(scenario, estimators, start, statuses):
    return tuple(
        Failure(
            scenario=scenario,
            estimator=estimator,
            replication=start + column,
            status=Status(int(statuses[axis, column])),
            exception="ValueError",
            message=f"bad value {start + column}\u2028\udc80",
            masked="bad value #",
            traceback="Traceback (most recent call last):\n  …\nValueError: bad value",
        )
        for column in range(statuses.shape[1])
        for axis, estimator in enumerate(estimators)
        if Status(int(statuses[axis, column])).is_failure
    )
