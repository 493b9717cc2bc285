"""How kernels are compiled: once, cached on disk, without Python's lock.

Numba's cache notices a change of a function's own file alone, but a kernel also holds the code of the
kernels that it calls. So each file's cache lies in a folder named by a hash of it and of all it imports.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import config

Function = TypeVar("Function", bound=Callable[..., Any])

_SETTINGS = cast(Any, config)
_LONG = ("forward", "objective", "pricing")
_NESTED = "general"
_REORDERED = {"reassoc", "contract", "nsz"}
_CODES: dict[object, Callable[..., Any]] = {}
_PACKAGE = Path(__file__).resolve().parent.parent
_IMPORTS = re.compile(r"^from blpsim\.([\w.]+) import (\([^)]*\)|.*)", re.MULTILINE)


def kernel(function: Function) -> Function:
    """Return the compiled function, to be called from Python; sums may be reordered so that they vectorize.

    NaN and infinity keep their meaning (no ``nnan``, no ``ninf``), so tests for them survive. Arrays are
    not reference-counted inside, so a kernel neither allocates nor returns one.
    """
    return _compiled(function, _REORDERED)


def inner_kernel(function: Function) -> Function:
    """Return a kernel that only kernels call, made part of each of them.

    Without an entrance from Python it compiles faster. Were it left to the linker, which of several compiled
    copies is called, and so the last bit of a sum, would depend on what else a process has compiled.
    """
    return _compiled(function, _REORDERED, forceinline=True, no_cpython_wrapper=True)


def driver_kernel(function: Function) -> Function:
    """Return an inner kernel that mostly calls others: it is never compiled by itself."""
    return _compiled(function, _REORDERED, inline="always", no_cpython_wrapper=True)


def exact_kernel(function: Function) -> Function:
    """Return an inner kernel with its floating-point operations in the order written.

    Callees inherit the caller's freedom to reorder unless they say otherwise, so this one does.
    """
    return _compiled(function, {"contract"}, forceinline=True, no_cpython_wrapper=True)


def _compiled(function: Function, fastmath: set[str], **options: object) -> Function:
    options |= {"cache": True, "error_model": "numpy", "fastmath": fastmath, "nogil": True, "_nrt": False}
    with _cache_in(_cache_root() / _folder(Path(function.__code__.co_filename))):
        return cast(Function, cast(Any, numba).njit(**options)(function))


def compile_for(function: Callable[..., Any], *arguments: object) -> None:
    """Compile a kernel for the types of these arguments, and do not call it."""
    machine_code(function, arguments)


def machine_code(function: Function, arguments: tuple[Any, ...]) -> Function:
    """Return a kernel's machine code for arguments of these very types, compiled if that was not done yet.

    Called as it is, a kernel looks up the types of all its arrays each time, which takes as long as solving
    three markets.
    """
    key = (function, _traits(arguments))
    if key not in _CODES:
        types = tuple(cast(Any, numba).typeof(argument) for argument in arguments)
        _CODES[key] = cast(Any, function).compile(types)
    return cast(Function, _CODES[key])


def _traits(argument: object) -> object:
    """Return what the type of a kernel's argument depends on."""
    if isinstance(argument, np.ndarray):
        return argument.dtype.char, argument.ndim, argument.flags.num
    if isinstance(argument, tuple):
        return type(argument), *map(_traits, argument)
    return type(argument)


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    before = _SETTINGS.CACHE_DIR
    _SETTINGS.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        _SETTINGS.CACHE_DIR = before


@functools.cache
def _cache_root() -> Path:
    if _SETTINGS.CACHE_DIR:
        return Path(_SETTINGS.CACHE_DIR)
    beside = Path(__file__).resolve().parent
    if os.access(beside, os.W_OK):
        return beside / "__pycache__"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blpsim"


@functools.cache
def _folder(file: Path) -> str:
    sources: dict[Path, bytes] = {}
    pending = [file.resolve(), Path(__file__).resolve()]
    while pending:
        path = pending.pop()
        if path not in sources and path.is_file():
            sources[path] = path.read_bytes()
            pending += _imported(sources[path].decode())
    digest = hashlib.sha256(b"".join(sources[path] for path in sorted(sources))).hexdigest()
    return f"{file.stem}-{digest[:16]}"


def _imported(source: str) -> Iterator[Path]:
    """Yield the files that a source imports from, and those that names it imports would be modules of."""
    for module, names in _IMPORTS.findall(source):
        folder = _PACKAGE.joinpath(*module.split("."))
        yield folder.with_suffix(".py")
        yield from (folder / f"{name}.py" for name in re.findall(r"\w+", names))


def are_compiled(*, nested: bool) -> bool:
    """Return whether the kernels that take long were compiled here before, so that a run starts at once.

    nested  whether those for nests are meant, instead of those without
    """
    beside = Path(__file__).resolve().parent / (_NESTED if nested else "")
    files = (beside / f"{name}.py" for name in _LONG)
    return all(any((_cache_root() / _folder(file)).rglob("*.nbc")) for file in files)
