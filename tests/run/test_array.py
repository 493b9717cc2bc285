from __future__ import annotations

import time

import pytest

from blpsim.errors import ConfigurationError
from blpsim.run.array import Member, duration, member, processors, remaining_seconds


def slurm(index, **changes):
    said = {"ARRAY_JOB_ID": "71", "ARRAY_TASK_ID": index, "ARRAY_TASK_MIN": 0, "ARRAY_TASK_MAX": 99}
    said |= {"ARRAY_TASK_COUNT": 100, "ARRAY_TASK_STEP": 1} | changes
    return {f"SLURM_{name}": str(value) for name, value in said.items()}


@pytest.mark.parametrize(
    ("environment", "number", "expected"),
    [
        (slurm(3), None, Member(rank=3, number=100, job="71")),
        (
            slurm(7, ARRAY_TASK_MIN=5, ARRAY_TASK_MAX=7, ARRAY_TASK_COUNT=3),
            None,
            Member(rank=2, number=3, job="71"),
        ),
        (
            slurm(8, ARRAY_TASK_MAX=12, ARRAY_TASK_COUNT=4, ARRAY_TASK_STEP=4),
            None,
            Member(rank=2, number=4, job="71"),
        ),
        (
            {"PBS_ARRAY_INDEX": "3", "PBS_JOBID": "71[3].server"},
            10,
            Member(rank=3, number=10, job="71"),
        ),
        ({"PBS_ARRAYID": "0", "PBS_JOBID": "71[].server"}, 10, Member(rank=0, number=10, job="71")),
        (
            {
                "JOB_ID": "71",
                "SGE_TASK_ID": "4",
                "SGE_TASK_FIRST": "1",
                "SGE_TASK_LAST": "9",
                "SGE_TASK_STEPSIZE": "1",
            },
            None,
            Member(rank=3, number=9, job="71"),
        ),
        (
            {"LSB_JOBID": "71", "LSB_JOBINDEX": "5", "LSB_JOBINDEX_END": "5", "LSB_JOBINDEX_STEP": "1"},
            None,
            Member(rank=4, number=5, job="71"),
        ),
    ],
)
def test_batch_systems_tell_a_task_its_place_among_how_many(environment, number, expected):
    assert member(environment, number=number) == expected


def test_what_is_said_goes_before_what_the_batch_system_says():
    assert member({}, 4, 5) == Member(rank=4, number=5)
    assert member(slurm(3), 4, 5) == Member(rank=4, number=5, job="71")


@pytest.mark.parametrize(
    ("environment", "given", "said"),
    [
        ({}, (None, 9), "--array-task = nothing"),
        ({"SGE_TASK_ID": "undefined", "JOB_ID": "1"}, (None, 9), "--array-task = nothing"),
        ({"LSB_JOBID": "1", "LSB_JOBINDEX": "0"}, (None, 9), "--array-task = nothing"),
        ({}, (3, None), "--array-tasks = nothing"),
        ({"PBS_ARRAY_INDEX": "3"}, (None, None), "--array-tasks = nothing.*PBS does not say"),
        ({}, (9, 9), "--array-task = 9: expected 0 to 8"),
        ({"PBS_ARRAY_INDEX": "9"}, (None, 9), "PBS_ARRAY_INDEX = 9: expected 0 to 8"),
        (
            slurm(7, ARRAY_TASK_MAX=12, ARRAY_TASK_COUNT=3),
            (None, None),
            "SLURM_ARRAY_TASK_ID = 7.*such as 0-2",
        ),
        (slurm(1, ARRAY_TASK_MAX=6, ARRAY_TASK_COUNT=4), (None, None), "equal steps"),
    ],
)
def test_a_task_that_cannot_know_its_place_is_refused(environment, given, said):
    with pytest.raises(ConfigurationError, match=said):
        member(environment, *given)


def test_processors_are_those_that_the_batch_system_gave():
    assert processors({"SLURM_CPUS_PER_TASK": "4"}) == 4
    assert processors({"NSLOTS": "2", "NCPUS": "0"}) == 2
    assert processors({}) == 1


def test_remaining_time_is_what_the_batch_system_says(tmp_path, monkeypatch):
    assert remaining_seconds({}) is None
    assert remaining_seconds({"SLURM_JOB_END_TIME": str(int(time.time()) + 500)}) == pytest.approx(500, abs=2)
    assert remaining_seconds({"PBS_WALLTIME": "7200"}) == 7200
    monkeypatch.setenv("PATH", str(tmp_path))
    assert remaining_seconds({"SLURM_JOB_ID": "71"}) is None
    squeue = tmp_path / "squeue"
    squeue.write_text('#!/bin/sh\n[ "$3" = 71 ] && echo 1-02:03:04\n')
    squeue.chmod(0o755)
    assert remaining_seconds({"SLURM_JOB_ID": "71"}) == 86_400 + 2 * 3600 + 3 * 60 + 4


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1:30", 90),
        ("2:00:00", 7200),
        ("1-0:00:00", 86_400),
        ("1-2", 93_600),
        ("UNLIMITED", None),
        ("", None),
        ("-5", None),
        ("1:2:3:4", None),
        ("1.5", None),
    ],
)
def test_durations_are_written_as_slurm_writes_them(text, seconds):
    assert duration(text) == seconds
