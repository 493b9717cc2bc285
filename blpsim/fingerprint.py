"""Hashes of content: the same value gives the same hash in every process and on every machine.

What a user writes counts by its source, wherever the file lies and however it is laid out; what
a library defines counts by its name, so that a new release of it leaves hashes alone.
"""

from __future__ import annotations

import ast
import copyreg
import dataclasses
import dis
import functools
import hashlib
import inspect
import json
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Set
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from blpsim.errors import ConfigurationError

Within = tuple[object, ...]
Scalar = None | bool | int | float | str | bytes | np.generic
LATER = {"later": True}
"""Metadata of dataclass fields that a release added: at their defaults they do not count, so that content
keeps the hash, and a scenario the random numbers, that it had before them."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_GENERATED = "<string>"  # the file that dataclasses name for the methods they write


def fingerprint(value: object) -> str:
    """Return the SHA-256, 64 hexadecimal digits, of a value's content.

    Functions count by their source, defaults, closure and the globals they use; dataclasses by
    the fields that they compare; mappings in their order, sets in none. Raises ConfigurationError
    for a value whose content cannot be read, such as a lock or an open file.
    """
    return hashlib.sha256(json.dumps(_plain(value, ())).encode()).hexdigest()


def _plain(value: object, within: Within) -> object:
    """Return a value as nested lists of JSON scalars; `within` holds what encloses it, to end cycles."""
    for depth, enclosing in enumerate(reversed(within)):
        if value is enclosing:
            return ["enclosing", depth]
    for kinds, read in _READERS:
        if isinstance(value, kinds):
            return read(value, within)
    return _instance(value, (*within, value))


def _scalar(value: Scalar, within: Within) -> object:
    if isinstance(value, np.generic):
        return _plain(value.item(), within)
    if isinstance(value, float):
        return ["float", value.hex()]
    return ["bytes", value.hex()] if isinstance(value, bytes) else value


def _array(array: np.ndarray, within: Within) -> object:
    if array.dtype.kind not in "biuf":
        return ["array", list(array.shape), [_plain(element, within) for element in array.ravel().tolist()]]
    array = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return ["array", array.dtype.str, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def _frame(frame: pd.DataFrame | pd.Series, within: Within) -> object:
    columns = frame.items() if isinstance(frame, pd.DataFrame) else [(frame.name, frame)]
    return ["frame", [[str(name), _array(column.to_numpy(), within)] for name, column in columns]]


def _mapping(mapping: Mapping[object, object], within: Within) -> object:
    within = (*within, mapping)
    return ["mapping", [[_plain(key, within), _plain(item, within)] for key, item in mapping.items()]]


def _sequence(items: list[object] | tuple[object, ...], within: Within) -> object:
    within = (*within, items)
    return ["sequence", [_plain(item, within) for item in items]]


def _set(items: Set[object], within: Within) -> object:
    return ["set", sorted(json.dumps(_plain(item, within)) for item in items)]


def _enum(member: Enum, within: Within) -> object:
    return ["enum", type(member).__name__, member.name, _plain(member.value, within)]


def _generator(generator: object, _: Within) -> object:
    return ["generator", type(generator).__qualname__]  # SciPy's distributions hold one, seeded by the clock


def _module(module: types.ModuleType, _: Within) -> object:
    return ["module", module.__name__]


def _partial(partial: functools.partial[object], within: Within) -> object:
    within = (*within, partial)
    return ["partial", *(_plain(part, within) for part in (partial.func, partial.args, partial.keywords))]


def _method(method: types.MethodType | types.BuiltinMethodType, within: Within) -> object:
    owner = method.__self__
    if isinstance(method, types.MethodType):
        return ["method", _plain(method.__func__, within), _plain(owner, within)]
    bound = owner is not None and not isinstance(owner, types.ModuleType)
    return ["builtin", f"{method.__module__}.{method.__qualname__}", _plain(owner, within) if bound else None]


def _function(function: types.FunctionType, within: Within) -> object:
    within = (*within, function)
    closure = [_plain(value, within) for value in _closed_over(function)]
    defaults = _plain([function.__defaults__, function.__kwdefaults__], within)
    if _is_library(function.__module__):
        return ["function", f"{function.__module__}.{function.__qualname__}", closure, defaults]
    return ["function", _source(function), closure, defaults, _uses(function, within)]


def _class(kind: type, within: Within) -> object:
    if _is_library(kind.__module__):
        return ["class", f"{kind.__module__}.{kind.__qualname__}"]
    within = (*within, kind)
    bases = [_plain(base, within) for base in kind.__bases__]
    return ["class", kind.__name__, bases, [[name, _plain(part, within)] for name, part in _members(kind)]]


def _instance(value: object, within: Within) -> object:
    kind = _plain(type(value), within)
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if _counts(field, value)]
        return [kind, [[name, _plain(getattr(value, name), within)] for name in names]]
    if hasattr(value, "__wrapped__"):
        return ["wrapped", kind, _plain(value.__wrapped__, within)]
    reduced = _reduced(value)
    if isinstance(reduced, str):
        return ["global", kind, reduced]
    parts = [list(part) if isinstance(part, Iterator) else part for part in reduced]
    return ["instance", [_plain(part, within) for part in parts]]


def _counts(field: dataclasses.Field[Any], value: object) -> bool:
    if not field.metadata.get("later", False):
        return field.compare
    given, default = getattr(value, field.name), field.default
    return field.compare and not (type(given) is type(default) and given == default)


def _reduced(value: object) -> str | tuple[object, ...]:
    """Return what pickle would keep of a value: a global's name, or a callable, its arguments and a state."""
    reducer = copyreg.dispatch_table.get(type(value))
    try:
        return reducer(value) if reducer else value.__reduce_ex__(2)
    except TypeError as error:
        name, why = type(value).__qualname__, "a study is known by its content, and this has none to be read"
        raise ConfigurationError(name, value, "a value that can be pickled", why) from error


_READERS: tuple[tuple[Any, Callable[[Any, Within], object]], ...] = (
    (Enum, _enum),
    ((type(None), bool, int, float, str, bytes, np.generic), _scalar),
    ((np.random.Generator, np.random.RandomState), _generator),
    (np.ndarray, _array),
    ((pd.DataFrame, pd.Series), _frame),
    (Mapping, _mapping),
    (Set, _set),
    ((list, tuple), _sequence),
    (type, _class),
    (types.FunctionType, _function),
    ((types.MethodType, types.BuiltinMethodType), _method),
    (functools.partial, _partial),
    (types.ModuleType, _module),
)


_WRITTEN = tuple(kind for kinds, _ in _READERS for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))


def _is_library(module: str | None) -> bool:
    root = (module or "").partition(".")[0]
    if root in sys.stdlib_module_names or root in ("blpsim", "builtins"):
        return True
    location = getattr(sys.modules.get(root), "__file__", None) or ""
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(location).parts)


def _members(kind: type) -> Iterator[tuple[str, object]]:
    """Yield the methods and values written in a class, not what Python adds to it."""
    for name, member in vars(kind).items():
        part = getattr(member, "fget", None) or getattr(member, "func", None) or member
        part = getattr(part, "__func__", part)
        if isinstance(part, types.FunctionType):
            if part.__code__.co_filename != _GENERATED:
                yield name, part
        elif not name.startswith("__") and isinstance(part, _WRITTEN):
            yield name, part


def _closed_over(function: types.FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            yield "not assigned yet"


def _uses(function: types.FunctionType, within: Within) -> object:
    """Return the global values that a function's code reads, with their names."""
    names = sorted({name for code in _nested(function.__code__) for name in _global_names(code)})
    known = function.__globals__
    return [[name, _plain(known[name], within)] for name in names if name in known]


def _global_names(code: types.CodeType) -> Iterator[str]:
    return (step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _source(function: types.FunctionType) -> object:
    """Return a function's source without comments and layout, or its code where the source is not kept."""
    code = function.__code__
    try:
        lines, _ = inspect.findsource(function)
    except (OSError, TypeError):
        return _code(code)
    nodes = [node for node in _definitions("".join(lines)) if _first_line(node) == code.co_firstlineno]
    if function.__name__ == "<lambda>":
        spans = set(code.co_positions())
        nodes = [node for node in nodes if isinstance(node, ast.Lambda) and _span(node.body) in spans]
    else:
        nodes = [node for node in nodes if not isinstance(node, ast.Lambda)]
    return ast.unparse(nodes[0]) if nodes else _code(code)


@functools.lru_cache(maxsize=64)
def _definitions(source: str) -> tuple[Definition, ...]:
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, Definition))


def _first_line(node: Definition) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _span(node: ast.expr) -> tuple[int, int | None, int, int | None]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _code(code: types.CodeType) -> object:
    constants = [_code(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts]
    return ["code", code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames)]
