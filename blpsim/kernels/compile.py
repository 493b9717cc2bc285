"""How kernels are compiled: once, cached on disk, without Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_REORDERED = {"reassoc", "contract", "nsz"}


def kernel(function: Function) -> Function:
    """Return the compiled function; sums may be reordered so that they vectorize.

    NaN and infinity keep their meaning (no ``nnan``, no ``ninf``), so tests for them survive.
    """
    return cast(Function, numba.njit(cache=True, nogil=True, _nrt=False, error_model="numpy", fastmath=_REORDERED)(function))


def exact_kernel(function: Function) -> Function:
    """Return the compiled function with its floating-point operations in the order written.

    Callees inherit the caller's freedom to reorder unless they say otherwise, so this one does.
    """
    return cast(Function, numba.njit(cache=True, nogil=True, _nrt=False, error_model="numpy", fastmath={"contract"})(function))
