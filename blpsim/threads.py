"""One thread for BLAS, OpenMP and Numba: replications run side by side, and no bits depend on threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import threadpoolctl

SINGLE_THREAD: Final = dict.fromkeys(
    (
        "BLIS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
"""What a process needs in its environment before it loads any of these libraries."""

_limits = cast(Any, threadpoolctl).threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep this process's libraries, and those of processes it starts, to one thread."""
    with one_thread_environment(), _limits(limits=1):
        yield


@contextmanager
def one_thread_environment() -> Iterator[None]:
    """Let libraries that are loaded from now on, here or in processes that are started, have one thread."""
    before = {name: os.environ.get(name) for name in SINGLE_THREAD}
    os.environ.update(SINGLE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def limit_this_process() -> None:
    """Keep this process's libraries to one thread for good."""
    os.environ.update(SINGLE_THREAD)
    _limits(limits=1)
