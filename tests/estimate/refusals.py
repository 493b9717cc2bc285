"""What every refusal must say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from blpsim.errors import BlpsimError


@contextmanager
def refused(kind: type[BlpsimError], field: str, got: object = None) -> Iterator[SimpleNamespace]:
    """Check an error's kind, field and value, and that its one line also says what is expected and why."""
    found = SimpleNamespace(error=None)
    with pytest.raises(kind) as caught:
        yield found
    found.error = error = caught.value
    assert type(error) is kind
    assert error.field == field
    if got is not None:
        assert error.got == (got if isinstance(got, str) else repr(got))
    assert len(error.expected) > 3
    assert len(error.why) > 10
    assert str(error) == f"{error.field} = {error.got}: expected {error.expected}; {error.why}"
    assert "\n" not in str(error)
