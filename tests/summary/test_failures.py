import numpy as np
import pytest
import xarray as xr

from blpsim.errors import StoreError
from blpsim.status import Status
from blpsim.summary.failures import USED, attempted, failures, is_used, status_counts, status_meanings, usable
from tests.summary.made import FLAGS, results

ENDED = [
    [
        Status.CONVERGED,
        Status.EVALUATED,
        Status.PRECISION_LIMITED,
        Status.ERROR,
        Status.ERROR,
        Status.PENDING,
    ],
    [Status.NOT_PLANNED] * 4 + [Status.SINGULAR, Status.CONVERGED],
]


def made():
    return results(np.zeros((1, 2, 6, 1)), status=np.array([ENDED]))["status"]


def test_used_statuses_are_the_usable_ones():
    assert USED == ("converged", "evaluated", "precision_limited")
    assert is_used(made())[0, 0].values.tolist() == [True, True, True, False, False, False]


def test_pending_and_unplanned_replications_were_not_attempted():
    counts = status_counts(made())
    assert attempted(counts).values.tolist() == [[5, 2]]
    assert usable(counts).values.tolist() == [[3, 1]]


def test_failures_are_what_was_attempted_and_not_used_most_frequent_first():
    assert list(failures(status_counts(made())).items()) == [("error", 2), ("singular", 1)]


def test_meanings_come_from_the_dataset_not_from_this_version():
    status = xr.DataArray(
        [[[7, 7, 9]]],
        dims=("scenario", "estimator", "replication"),
        coords={"scenario": ["s"], "estimator": ["e"]},
        attrs={"flag_values": np.array([7, 9], np.int8), "flag_meanings": "converged diverged"},
    )
    assert status_meanings(status) == {7: "converged", 9: "diverged"}
    counts = status_counts(status)
    assert (usable(counts).item(), attempted(counts).item()) == (2, 3)
    assert failures(counts) == {"diverged": 1}


@pytest.mark.parametrize("attrs", [{}, {"flag_values": [0, 1], "flag_meanings": "pending"}])
def test_a_status_without_meanings_is_refused(attrs):
    status = made()
    status.attrs = attrs
    with pytest.raises(StoreError, match=r"^status\.attrs = .* as many flag_values as flag_meanings"):
        status_counts(status)


def test_a_status_that_no_flag_explains_is_refused():
    status = made()
    status[0, 0, 2] = 99
    status.attrs = FLAGS
    with pytest.raises(StoreError, match=r"^status = \[99\]: expected one of its flag_values"):
        status_counts(status)
