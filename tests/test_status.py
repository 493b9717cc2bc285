from __future__ import annotations

import re

import pytest

from blpsim.status import Status

STORED = (
    "pending converged not_planned evaluated precision_limited iteration_limit not_stationary not_a_minimum"
    " inversion_failed non_finite singular equilibrium_failed no_data first_step_failed"
    " error crashed timed_out"
)


def test_the_integers_of_stores_already_written_keep_their_meaning():
    meanings = {int(status): status.meaning for status in Status}
    assert [meanings[integer] for integer in range(17)] == STORED.split()


@pytest.mark.parametrize("status", Status)
def test_a_status_is_usable_or_a_failure_or_not_tried_and_never_two_of_them(status):
    not_tried = status in (Status.PENDING, Status.NOT_PLANNED)
    assert [status.is_usable, status.is_failure, not_tried].count(True) == 1


def test_only_certified_minima_evaluations_and_precision_limits_enter_summaries():
    usable = {status.meaning for status in Status if status.is_usable}
    assert usable == {"converged", "evaluated", "precision_limited"}


@pytest.mark.parametrize("status", Status)
def test_a_meaning_is_one_word_of_the_flag_meanings_and_fits_int8(status):
    assert re.fullmatch(r"[a-z_]+", status.meaning)
    assert 0 <= status <= 127
