"""One task of a job array: which it is, of how many, and how long it may go on, as batch systems say it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from blpsim.errors import ConfigurationError

_SQUEUE_PATIENCE_SECONDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One of a job array's tasks."""

    rank: int
    """Its place among them, from 0."""
    number: int
    """How many there are."""
    job: str | None = None
    """What the batch system calls the array, the same for all its tasks; None outside of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _System:
    """The variables in which a batch system tells a task its place; not all systems have all of them."""

    name: str
    index: str
    job: str
    first: str = ""
    last: str = ""
    step: str = ""
    count: str = ""


_SYSTEMS: Final = (
    _System(
        name="Slurm",
        index="SLURM_ARRAY_TASK_ID",
        job="SLURM_ARRAY_JOB_ID",
        first="SLURM_ARRAY_TASK_MIN",
        last="SLURM_ARRAY_TASK_MAX",
        step="SLURM_ARRAY_TASK_STEP",
        count="SLURM_ARRAY_TASK_COUNT",
    ),
    _System(name="PBS", index="PBS_ARRAY_INDEX", job="PBS_JOBID"),
    _System(name="Torque", index="PBS_ARRAYID", job="PBS_JOBID"),
    _System(
        name="Grid Engine",
        index="SGE_TASK_ID",
        job="JOB_ID",
        first="SGE_TASK_FIRST",
        last="SGE_TASK_LAST",
        step="SGE_TASK_STEPSIZE",
    ),
    _System(
        name="LSF",
        index="LSB_JOBINDEX",
        job="LSB_JOBID",
        last="LSB_JOBINDEX_END",
        step="LSB_JOBINDEX_STEP",
    ),
)
_PROCESSORS: Final = ("SLURM_CPUS_PER_TASK", "NCPUS", "PBS_NUM_PPN", "NSLOTS", "LSB_DJOB_NUMPROC")


def member(environment: Mapping[str, str], index: int | None = None, number: int | None = None) -> Member:
    """Return which task this is, by the batch system's variables where the arguments do not say.

    index   the task's number, from 0 when it is given here
    number  how many tasks the array has

    Raises ConfigurationError when neither says it, or when the numbers are not in equal steps.
    """
    system = next((each for each in _SYSTEMS if environment.get(each.index, "").isdigit()), None)
    # Outside of an array, LSF numbers a job 0.
    if system is not None and system.name == "LSF" and environment[system.index] == "0":
        system = None
    job = None if system is None else environment.get(system.job, "").split("[")[0] or None
    if index is not None:
        return _placed(Member(rank=index, number=_number(number, system), job=job), "--array-task", index)
    if system is None:
        expected = "a number from 0, or a task of a Slurm, PBS, Grid Engine or LSF job array"
        raise ConfigurationError("--array-task", "nothing", expected, "each task computes its own share")
    return _placed(_by_system(system, environment, job, number), system.index, environment[system.index])


def processors(environment: Mapping[str, str]) -> int:
    """Return how many processors the batch system gave this task; 1 when it does not say."""
    said = (environment.get(name, "") for name in _PROCESSORS)
    return next((int(value) for value in said if value.isdigit() and int(value)), 1)


def remaining_seconds(environment: Mapping[str, str]) -> float | None:
    """Return how long the batch system lets this job go on; None when it does not say."""
    ends = environment.get("SLURM_JOB_END_TIME", "")
    if ends.isdigit():
        return float(ends) - time.time()
    if job := environment.get("SLURM_JOB_ID"):
        return _asked_slurm(job)
    # Torque tells the whole walltime; the job began just now.
    whole = environment.get("PBS_WALLTIME", "")
    return float(whole) if whole.isdigit() else None


def duration(text: str) -> float | None:
    """Return the seconds of ``S``, ``M:S``, ``H:M:S`` or ``D-H:M:S``; None when it is none of these."""
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in (*parts, *([days] if dash else []))) or len(parts) > 3:
        return None
    if dash:
        parts = [*parts, *["0"] * (3 - len(parts))]
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return float(seconds + 86_400 * int(days or 0))


def _by_system(
    system: _System, environment: Mapping[str, str], job: str | None, number: int | None
) -> Member:
    index = int(environment[system.index])
    first = _value(environment, system.first, 1 if system.name == "LSF" else 0)
    last = _value(environment, system.last, None)
    count = _value(environment, system.count, None)
    if first is None or last is None:
        return Member(rank=index, number=_number(number, system), job=job)
    step = _value(environment, system.step, 1) or 1
    if count not in (None, 1) and step == 1:
        step = max((last - first) // (count - 1), 1)
    rank, between = divmod(index - first, step)
    expected = 1 + (last - first) // step
    if between or count not in (None, expected):
        wanted = f"an array numbered in equal steps, such as 0-{(count or expected) - 1}"
        why = "a task cannot know its place otherwise, and any array takes what is missing"
        raise ConfigurationError(system.index, index, wanted, why)
    return Member(rank=rank, number=expected if number is None else number, job=job)


def _number(number: int | None, system: _System | None) -> int:
    if number is None:
        tells = "the batch system" if system is None else system.name
        why = f"{tells} does not say how many tasks there are"
        raise ConfigurationError("--array-tasks", "nothing", "how many tasks the array has", why)
    return number


def _placed(placed: Member, field: str, index: object) -> Member:
    if not 0 <= placed.rank < placed.number:
        expected = f"0 to {placed.number - 1} in an array of {placed.number} tasks"
        raise ConfigurationError(field, index, expected, "each task computes the share with its number")
    return placed


def _value(environment: Mapping[str, str], name: str, otherwise: int | None) -> int | None:
    value = environment.get(name, "") if name else ""
    return int(value) if value.isdigit() else otherwise


def _asked_slurm(job: str) -> float | None:
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%L"]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=_SQUEUE_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return duration(said.stdout.strip()) if said.returncode == 0 else None
