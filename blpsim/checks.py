"""Values held to types, as annotations write them: every refusal of a wrong type comes from here."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from blpsim.errors import BlpsimError, ConfigurationError

_CLASSES: Mapping[object, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
}
_WITH_PARTS = (Mapping, tuple)
# What a value of a kind is called, and what makes it necessary.
_SAID: Mapping[object, tuple[str, str]] = {
    str: ("text", "it is read as text"),
    bool: ("True or False", "it is a switch"),
    int: ("an integer", "it is counted with"),
    float: ("a number", "it is computed with"),
    type(None): ("None", "there is nothing else to say"),
    Mapping: ("a mapping", "values are found by their names"),
    Iterable: ("a list", "each of its parts is used"),
    tuple: ("a tuple", "its parts are read in order"),
    Callable: ("a function", "it is called"),
}


def check_fields(record: object) -> None:
    """Refuse a record with a value that is not of its field's type, with a ConfigurationError."""
    owner: type = type(record)
    for name, form in _field_forms(owner).items():
        value = getattr(record, name)
        kind = type(value)
        if kind in form.classes and (kind is not float or value == value):
            continue
        if kind is not str or value not in form.words:
            _check(f"{owner.__name__}.{name}", value, form.kinds, ConfigurationError)


def check(field: str, value: object, form: object, error: type[BlpsimError] = ConfigurationError) -> None:
    """Refuse a value that is not of a type, or has a part that is not.

    form  the type, as an annotation writes it: ``float | None``, ``Mapping[str, Callable[..., float]]``;
          numbers are never NaN, and True is none
    """
    _check(field, value, _kinds(form), error)


def _check(field: str, value: object, kinds: tuple[_Kind, ...], error: type[BlpsimError]) -> None:
    if _holds(value, kinds):
        return
    fitting = next((kind for kind in kinds if _is_one(value, kind)), None)
    if fitting is None:
        said = [_said(kind) for kind in kinds]
        raise error(field, value, " or ".join(expected for expected, _ in said), said[0][1])
    for label, part, part_kinds in _parts(value, fitting):
        _check(field if label is None else f"{field}[{label!r}]", part, part_kinds, error)


def _holds(value: object, kinds: tuple[_Kind, ...]) -> bool:
    for kind in kinds:
        if _is_one(value, kind):
            if kind.origin not in _WITH_PARTS:
                return True
            return all(_holds(part, part_kinds) for _, part, part_kinds in _parts(value, kind))
    return False


def check_count(field: str, value: object, why: str, least: int = 1) -> None:
    """Refuse anything but an integer that is not below the least, with a ConfigurationError."""
    if not fits(value, int) or not isinstance(value, int | np.integer) or value < least:
        raise ConfigurationError(field, value, f"an integer, {least} or larger", why)


def fits(value: object, form: object) -> bool:
    """Return whether a value is of a type, as an annotation writes it, whatever its parts are."""
    return any(_is_one(value, kind) for kind in _kinds(form))


def numbers(field: str, value: object, error: type[BlpsimError] = ConfigurationError) -> NDArray[np.float64]:
    """Return numbers as a new array of floats; text is none, nor is a lone True."""
    try:
        array = np.array(value)
        if array.dtype.kind in ("biufO" if array.ndim else "iufO"):
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise error(field, value, "numbers", "it is computed with")


class _Kind(NamedTuple):
    """One alternative of an annotation, read once, because typing's own functions take microseconds."""

    origin: Any
    """A class, or what typing calls the origin."""
    inner: tuple[Any, ...]
    """The kinds of its parts and Ellipsis, for a mapping or a tuple; the values of a Literal."""
    is_anything: bool
    """Whether every value but None is one.

    NumPy's ArrayLike is a named alias from Python 3.12 on; what an array holds is for `numbers` to refuse.
    """


class _Form(NamedTuple):
    """A field's annotation, and what of it can be seen at once, as most values can."""

    kinds: tuple[_Kind, ...]
    classes: frozenset[type]
    """Values of just these classes are right, unless they are NaN."""
    words: frozenset[str]
    """The values of a Literal."""


@cache
def _field_forms(owner: type) -> dict[str, _Form]:
    hints = get_type_hints(owner)
    return {field.name: _form(_kinds(hints[field.name])) for field in fields(owner) if field.init}


def _form(kinds: tuple[_Kind, ...]) -> _Form:
    whole = [kind.origin for kind in kinds if isinstance(kind.origin, type) and not kind.inner]
    classes = {origin for origin in whole if origin not in (*_WITH_PARTS, object)}
    words = frozenset(word for kind in kinds if kind.origin is Literal for word in kind.inner)
    return _Form(kinds, frozenset(classes | ({int} if float in classes else set())), words)


@cache
def _kinds(form: object) -> tuple[_Kind, ...]:
    alternatives = get_args(form) if get_origin(form) in (Union, types.UnionType) else (form,)
    return tuple(_kind(each) for each in alternatives)


def _kind(form: object) -> _Kind:
    origin = type(None) if form is None else get_origin(form) or form
    inner = get_args(form)
    if origin in _WITH_PARTS:
        inner = tuple(part if part is Ellipsis else _kinds(part) for part in inner)
    return _Kind(origin, inner, origin in (Any, object) or hasattr(origin, "__value__"))


def _is_one(value: object, kind: _Kind) -> bool:
    origin = kind.origin
    if value is None or kind.is_anything:
        return value is not None or origin in (Any, object, type(None))
    if origin is Literal:
        return isinstance(value, str) and value in kind.inner
    if origin in _CLASSES:
        is_one = isinstance(value, _CLASSES[origin])
        return is_one and (origin is bool or (not isinstance(value, bool) and bool(value == value)))
    if origin is Iterable:
        return bool(np.iterable(value)) and not isinstance(value, str | bytes)
    if origin is tuple:
        return isinstance(value, tuple | list) and _has_length(value, kind.inner)
    # A class has the methods of its instances, but is none.
    return isinstance(value, origin) and (origin is Callable or not isinstance(value, type))


def _has_length(value: tuple[object, ...] | list[object], inner: tuple[object, ...]) -> bool:
    return Ellipsis in inner or len(value) == len(inner)


def _parts(value: object, kind: _Kind) -> Iterator[tuple[object, object, tuple[_Kind, ...]]]:
    """Return the parts of a value, with what tells them apart; a mapping's keys tell themselves apart."""
    inner = kind.inner
    if kind.origin is Mapping and isinstance(value, Mapping):
        yield from ((None, key, inner[0]) for key in value if inner)
        yield from ((key, part, inner[1]) for key, part in value.items() if inner)
    elif kind.origin is tuple and isinstance(value, tuple | list):
        each = inner[:1] * len(value) if Ellipsis in inner else inner
        yield from ((k, part, each[k]) for k, part in enumerate(value))


def _said(kind: _Kind) -> tuple[str, str]:
    origin = kind.origin
    if origin is Literal:
        return " or ".join(map(repr, kind.inner)), "there is no other"
    if origin is tuple and Ellipsis not in kind.inner:
        return f"{len(kind.inner)} parts", "its parts are read in order"
    article = "an" if str(origin.__name__)[0] in "AEIO" else "a"
    return _SAID.get(origin, (f"{article} {origin.__name__}", "its parts are used by name"))
