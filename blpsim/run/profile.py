"""A cluster's profile: which batch system, and what each of its jobs asks for; a TOML file."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Final

from blpsim.checks import check, check_count
from blpsim.errors import ConfigurationError
from blpsim.run.array import duration

SCHEDULERS: Final = ("slurm", "pbs", "sge", "lsf", "htcondor")

_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?) ?(MB|MiB|GB|GiB)")
_BYTES: Final = {"MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
_WALLTIME: Final = re.compile(r"(?:\d+-)?\d{1,3}:\d\d:\d\d")
_LEAST_SECONDS: Final = 300
_LEAST_BYTES: Final = 200 * 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What jobs of workers ask of a batch system."""

    scheduler: str
    """slurm, pbs, sge, lsf or htcondor."""
    memory: str
    """Of each worker, such as 2GB."""
    walltime: str
    """Of each job, [D-]HH:MM:SS; a worker leaves shortly before, and another job replaces it."""
    jobs: int = 10
    """How many jobs there are at once, unless the command says."""
    workers_per_job: int = 1
    """Processes of each job, one processor each; more where the batch system gives out whole machines."""
    queue: str | None = None
    """The queue or partition."""
    account: str | None = None
    """Who pays."""
    interface: str | None = None
    """The network interface that machines and this one share, such as ib0; by default the usual one."""
    setup: tuple[str, ...] = ()
    """Shell commands before the worker, such as the activation of an environment."""
    directives: tuple[str, ...] = ()
    """Further options of the job, as the batch system's scripts have them."""
    resources: str | None = None
    """PBS's and Grid Engine's resources where the usual ones do not do; LSF and Slurm take directives."""
    disk: str = "1GB"
    """Of each job on HTCondor."""
    scratch: str = "/tmp"
    """A folder on the machine's own disk."""
    logs: str | None = None
    """The folder for what jobs print; by default the batch system's choice."""
    keys: str = "~/.blpsim"
    """A folder that all machines share, for the keys of the encrypted connections."""

    def __post_init__(self) -> None:
        """Check the profile once."""
        for field in fields(self):
            check(f"Profile.{field.name}", getattr(self, field.name), _FORMS[field.name])
        if self.scheduler not in SCHEDULERS:
            expected = f"one of {', '.join(SCHEDULERS)}"
            raise ConfigurationError("Profile.scheduler", self.scheduler, expected, "jobs are sent to it")
        check_count("Profile.jobs", self.jobs, "each runs workers")
        check_count("Profile.workers_per_job", self.workers_per_job, "each has one processor")
        if _bytes("memory", self.memory) < _LEAST_BYTES:
            why = "a worker's libraries alone take as much"
            raise ConfigurationError("Profile.memory", self.memory, "at least 200MB", why)
        _bytes("disk", self.disk)
        self._check_walltime()
        if self.resources is not None and self.scheduler not in ("pbs", "sge"):
            why = f"{self.scheduler} takes `directives`"
            raise ConfigurationError("Profile.resources", self.resources, "PBS or Grid Engine", why)

    @property
    def walltime_seconds(self) -> float:
        """The walltime in seconds."""
        return duration(self.walltime) or 0.0

    @property
    def job_memory_bytes(self) -> int:
        """The memory of a whole job, in bytes."""
        return math.ceil(self.workers_per_job * _bytes("memory", self.memory))

    def _check_walltime(self) -> None:
        if _WALLTIME.fullmatch(self.walltime) is None:
            expected = "[D-]HH:MM:SS, such as 04:00:00"
            raise ConfigurationError(
                "Profile.walltime", self.walltime, expected, "it is a job's longest time"
            )
        if self.walltime_seconds < _LEAST_SECONDS:
            why = "a worker must start, compute something and leave in it"
            raise ConfigurationError("Profile.walltime", self.walltime, "at least 00:05:00", why)


_FORMS: Final[dict[str, Any]] = {
    "scheduler": str,
    "memory": str,
    "walltime": str,
    "jobs": int,
    "workers_per_job": int,
    "queue": str | None,
    "account": str | None,
    "interface": str | None,
    "setup": tuple[str, ...],
    "directives": tuple[str, ...],
    "resources": str | None,
    "disk": str,
    "scratch": str,
    "logs": str | None,
    "keys": str,
}


def read_profile(path: str | Path) -> Profile:
    """Return the profile in a TOML file.

    Raises ConfigurationError when it cannot be read, or says what no profile can.
    """
    file = Path(path)
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
        expected = (
            "local, array, the address of a Dask scheduler, its scheduler file, or a profile's TOML file"
        )
        raise ConfigurationError("--on", str(path), expected, why) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError("--on", str(path), "a file in TOML", str(error)) from error
    known = [field.name for field in fields(Profile)]
    for name in values:
        if name not in known:
            expected = f"one of {', '.join(known)}"
            raise ConfigurationError(f"{path}", name, expected, "nothing in a profile is ignored")
    for field in fields(Profile):
        if field.default is MISSING and field.name not in values:
            why = "a job must ask for it"
            raise ConfigurationError(f"{path}: {field.name}", "nothing", _EXAMPLES[field.name], why)
    for name in ("setup", "directives"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    return Profile(**values)


_EXAMPLES: Final = {
    "scheduler": f"one of {', '.join(SCHEDULERS)}",
    "memory": "a worker's memory, such as 2GB",
    "walltime": "a job's longest time, such as 04:00:00",
}


def _bytes(name: str, text: str) -> float:
    found = _MEMORY.fullmatch(text)
    if found is None:
        expected = "a number and MB, GB, MiB or GiB, such as 2GB"
        raise ConfigurationError(f"Profile.{name}", text, expected, "batch systems differ in what 2000 means")
    return float(found[1]) * _BYTES[found[2]]
