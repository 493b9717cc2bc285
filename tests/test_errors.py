from __future__ import annotations

import pickle

import numpy as np
import pytest

from blpsim import errors
from blpsim.errors import BlpsimError, ConfigurationError, DataError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BlpsimError)]


def test_a_message_names_field_value_expectation_and_reason_in_this_order():
    error = BlpsimError("Inversion.tolerance", 0.001, "in (0, 1e-8]", "a looser inversion moves the optimum")
    assert str(error) == (
        "Inversion.tolerance = 0.001: expected in (0, 1e-8]; a looser inversion moves the optimum"
    )


@pytest.mark.parametrize("got", [np.zeros((40, 40)), "a\nlong " * 100, {"key": "line\nbreak"}])
def test_a_message_is_one_short_line_whatever_the_value(got):
    message = str(DataError("shares", got, "a vector", "a product has one share"))
    assert "\n" not in message
    assert len(message) < 200


def test_an_empty_string_is_visible_in_a_message():
    assert str(ConfigurationError("Design.name", " ", "a name", "a store is named for it")).startswith(
        "Design.name = ' ': "
    )


def test_a_string_stands_in_a_message_without_quotes():
    assert str(DataError("Model.linear", "1 + x", "a", "b")).startswith("Model.linear = 1 + x: ")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_back_from_another_process_as_it_was(kind):
    error = kind("field", [1, 2], "something else", "why not")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error)
    assert (back.field, back.got, back.expected, back.why) == (
        error.field,
        "[1, 2]",
        "something else",
        "why not",
    )


def test_every_kind_is_caught_as_a_blpsim_error_and_none_as_a_warning():
    assert len(KINDS) >= 6
    assert not any(issubclass(kind, Warning) for kind in KINDS)
    assert issubclass(errors.BlpsimWarning, UserWarning)
