from __future__ import annotations

import os

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from blpsim.threads import SINGLE_THREAD, one_thread


def threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_libraries_and_children_have_one_thread_inside_and_what_they_had_before_outside(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    with threadpool_limits(limits=2):
        before = threads()
        with one_thread():
            assert threads() == {1}
            assert {os.environ[name] for name in SINGLE_THREAD} == {"1"}
        assert threads() == before
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "NUMBA_NUM_THREADS" not in os.environ
