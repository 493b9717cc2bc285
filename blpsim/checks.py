"""Values held to types, as annotations write them: every refusal of a wrong type comes from here."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from blpsim.errors import BlpsimError, ConfigurationError

_CLASSES: Mapping[object, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
}
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
    for name, form in _forms(owner).items():
        check(f"{owner.__name__}.{name}", getattr(record, name), form)


def check(field: str, value: object, form: object, error: type[BlpsimError] = ConfigurationError) -> None:
    """Refuse a value that is not of a type, or has a part that is not.

    form  the type, as an annotation writes it: ``float | None``, ``Mapping[str, Callable[..., float]]``;
          numbers are never NaN, and True is none
    """
    forms = _alternatives(form)
    fitting = next((each for each in forms if _is_one(value, each)), None)
    if fitting is None:
        said = [_said(each) for each in forms]
        raise error(field, value, " or ".join(expected for expected, _ in said), said[0][1])
    for part_field, part, part_form in _parts(field, value, fitting):
        check(part_field, part, part_form, error)


def check_count(field: str, value: object, why: str, least: int = 1) -> None:
    """Refuse anything but an integer that is not below the least, with a ConfigurationError."""
    if not fits(value, int) or not isinstance(value, int | np.integer) or value < least:
        raise ConfigurationError(field, value, f"an integer, {least} or larger", why)


def fits(value: object, form: object) -> bool:
    """Return whether a value is of a type, as an annotation writes it, whatever its parts are."""
    return any(_is_one(value, each) for each in _alternatives(form))


def numbers(field: str, value: object, error: type[BlpsimError] = ConfigurationError) -> NDArray[np.float64]:
    """Return numbers as a new array of floats; text is none, nor is a lone True."""
    try:
        array = np.array(value)
        if array.dtype.kind in ("biufO" if array.ndim else "iufO"):
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise error(field, value, "numbers", "it is computed with")


@cache
def _forms(owner: type) -> dict[str, object]:
    hints = get_type_hints(owner)
    return {field.name: hints[field.name] for field in fields(owner) if field.init}


@cache
def _alternatives(form: object) -> tuple[object, ...]:
    return get_args(form) if get_origin(form) in (Union, types.UnionType) else (form,)


def _is_one(value: object, form: object) -> bool:
    kind: Any = type(None) if form is None else get_origin(form) or form
    # NumPy's ArrayLike is a named alias from Python 3.12 on; what an array holds is for `numbers` to refuse.
    if kind in (Any, object) or hasattr(kind, "__value__"):
        return True
    if kind is Literal:
        return isinstance(value, str) and value in get_args(form)
    if kind in _CLASSES:
        is_one = isinstance(value, _CLASSES[kind])
        return is_one and (kind is bool or (not isinstance(value, bool) and bool(value == value)))
    if kind is Iterable:
        return bool(np.iterable(value)) and not isinstance(value, str | bytes)
    if kind is tuple:
        return isinstance(value, tuple | list) and _has_length(value, get_args(form))
    # A class has the methods of its instances, but is none.
    return isinstance(value, kind) and (kind is Callable or not isinstance(value, type))


def _has_length(value: tuple[object, ...] | list[object], forms: tuple[object, ...]) -> bool:
    return Ellipsis in forms or len(value) == len(forms)


def _parts(field: str, value: object, form: object) -> Iterator[tuple[str, object, object]]:
    kind, inner = get_origin(form), get_args(form)
    if kind is Mapping and isinstance(value, Mapping):
        yield from ((field, key, inner[0]) for key in value)
        yield from ((f"{field}[{key!r}]", part, inner[1]) for key, part in value.items())
    elif kind is tuple and isinstance(value, tuple | list):
        each = inner[:1] * len(value) if Ellipsis in inner else inner
        yield from ((f"{field}[{k}]", part, each[k]) for k, part in enumerate(value))


def _said(form: object) -> tuple[str, str]:
    kind: Any = get_origin(form) or form
    if kind is Literal:
        return " or ".join(map(repr, get_args(form))), "there is no other"
    if kind is tuple and Ellipsis not in get_args(form):
        return f"{len(get_args(form))} parts", "its parts are read in order"
    article = "an" if str(kind.__name__)[0] in "AEIO" else "a"
    return _SAID.get(kind, (f"{article} {kind.__name__}", "its parts are used by name"))
