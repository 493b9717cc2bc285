"""Workers that are jobs of a batch system, by dask-jobqueue: their scripts, and who replaces lost ones."""

from __future__ import annotations

import getpass
import logging
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, cast

import dask
import distributed

from blpsim.errors import ConfigurationError
from blpsim.run.keys import key_folder
from blpsim.run.profile import Profile
from blpsim.threads import SINGLE_THREAD

Client: TypeAlias = Any
Future: TypeAlias = Any
JobQueue: TypeAlias = Any
_DISTRIBUTED = cast(Any, distributed)
_CONFIG: Final = "blpsim"
_LEAVE_SECONDS: Final = 90
_STAGGER_SECONDS: Final = 30
_REPAIR_SECONDS: Final = 15.0
_QUEUE_PATIENCE_SECONDS: Final = 30


class _System(NamedTuple):
    """What differs between batch systems."""

    cluster: str
    """Dask-jobqueue's name of the class."""
    queue: tuple[str, ...]
    """The command that lists a user's jobs; {user} stands for the user."""
    job: str
    """A job's number, as the start of a line of what that prints."""


_SYSTEMS: Final = {
    "slurm": _System("SLURMCluster", ("squeue", "--me", "--noheader", "--format", "%A"), r"\s*(\d+)"),
    "pbs": _System("PBSCluster", ("qstat", "-u", "{user}"), r"\s*(\d+)"),
    "sge": _System("SGECluster", ("qstat", "-u", "{user}"), r"\s*(\d+)"),
    "lsf": _System("LSFCluster", ("bjobs", "-noheader", "-o", "jobid", "-u", "{user}"), r"\s*(\d+)"),
    "htcondor": _System("HTCondorCluster", ("condor_q", "-af:j", "JobStatus"), r"\s*(\d+\.\d+)"),
}


def job_script(profile: Profile) -> str:
    """Return the script of each job, with a place for the scheduler's address and no keys yet."""
    job_class: Any = _cluster_class(profile).job_cls
    with dask.config.set(_settings(profile)):
        job = job_class(
            scheduler="tls://ADDRESS:PORT", name="blpsim-worker", protocol="tls://", **_job_options(profile)
        )
        return str(job.job_script())


class JobSite:
    """Workers as jobs of a batch system, over connections that only this run has the keys of."""

    def __init__(self, name: str, profile: Profile, jobs: int | None = None) -> None:
        """Say which and how many; nothing starts yet."""
        self.name = name
        self._profile, self._jobs = profile, profile.jobs if jobs is None else jobs
        self._cluster: Any = None
        self._repaired = time.monotonic()

    @property
    def slots(self) -> int:
        """How many workers there are once all jobs run."""
        return self._jobs * self._profile.workers_per_job

    def connect(self, opening: ExitStack) -> Client:
        """Return a client of a scheduler in this process, after submitting the jobs."""
        profile = self._profile
        folder = opening.enter_context(key_folder(Path(profile.keys)))
        job_queue = _cluster_class(profile)
        submit = job_queue.job_cls.submit_command
        if shutil.which(submit) is None:
            why = f"there is no {submit} here: run this where jobs are submitted"
            raise ConfigurationError("--on", self.name, "a batch system", why)
        opening.enter_context(dask.config.set(_settings(profile)))
        try:
            cluster = job_queue(
                security=True,
                protocol="tls://",
                shared_temp_directory=str(folder),
                scheduler_options={"dashboard_address": "127.0.0.1:0", "dashboard": False},
                silence_logs=logging.CRITICAL,
                **_job_options(profile),
            )
        except (OSError, ValueError, ImportError, RuntimeError) as error:
            raise self._refused(error) from error
        opening.callback(_close_keys, cluster)
        self._cluster = opening.enter_context(cluster)
        # A cluster that closes insists on jobs having begun, also on those that were refused.
        opening.callback(cluster._created.clear)
        client = opening.enter_context(_DISTRIBUTED.Client(cluster))

        async def begin() -> None:
            cluster.scale(jobs=self._jobs)
            # Whoever waits for this very attempt hears what the batch system says.
            await cluster._correct_state()

        try:
            cluster.sync(begin)
        except RuntimeError as error:
            raise self._refused(error) from error
        return client

    def _refused(self, error: Exception) -> ConfigurationError:
        """Return the error about what the batch system, or Dask, said no to."""
        _, _, said = str(error).rpartition("stderr:")
        return ConfigurationError("--on", self.name, "a profile that works here", " ".join(said.split()))

    def maintain(self) -> None:
        """Submit again what the queue no longer has: jobs that died, left or were cancelled."""
        if time.monotonic() - self._repaired < _REPAIR_SECONDS:
            return
        self._repaired = time.monotonic()
        queued = _queued(self._profile.scheduler)
        if queued is None:
            return

        async def forget() -> None:
            workers = self._cluster.workers
            gone = [name for name, job in workers.items() if str(job.job_id) not in queued]
            for name in gone:
                del workers[name]

        self._cluster.sync(forget)
        self._cluster.scale(jobs=self._jobs)

    def leave(self, running: Sequence[Future], plugin: str) -> None:
        """Leave all to the cluster's end, which cancels the jobs."""
        del running, plugin


def _close_keys(cluster: JobQueue) -> None:
    """Remove the files of keys, which dask-jobqueue leaves to the cluster's last moment."""
    for name, value in vars(cluster).items():
        if name.startswith("_job_") and hasattr(value, "close"):
            value.close()


def _cluster_class(profile: Profile) -> JobQueue:
    try:
        import dask_jobqueue
    except ImportError as error:
        expected = "dask-jobqueue to be installed: pip install 'blpsim[cluster]'"
        raise ConfigurationError("--on", profile.scheduler, expected, "it talks to batch systems") from error
    return getattr(cast(Any, dask_jobqueue), _SYSTEMS[profile.scheduler].cluster)


def _settings(profile: Profile) -> dict[str, Any]:
    """Return dask-jobqueue's defaults under a name of ours, so that no file in a user's home changes them."""
    import dask_jobqueue

    defaults = Path(cast(Any, dask_jobqueue).__file__).with_name("jobqueue.yaml")
    (known,) = dask.config.collect_yaml([str(defaults)])
    return {f"jobqueue.{_CONFIG}": known["jobqueue"][profile.scheduler]}


def _job_options(profile: Profile) -> dict[str, Any]:
    """Return dask-jobqueue's options."""
    number, lifetime = profile.workers_per_job, round(profile.walltime_seconds) - _LEAVE_SECONDS
    leaving = ["--lifetime", f"{lifetime}s", "--lifetime-stagger", f"{_STAGGER_SECONDS}s"]
    options: dict[str, Any] = {
        "config_name": _CONFIG,
        "cores": number,
        "processes": number,
        "memory": f"{profile.job_memory_bytes}B",
        "job_name": "blpsim",
        "interface": profile.interface,
        "local_directory": profile.scratch,
        "log_directory": profile.logs,
        "death_timeout": 120,
        "worker_extra_args": ["--no-dashboard", *leaving],
        "job_script_prologue": [
            *(f"export {name}={value}" for name, value in SINGLE_THREAD.items()),
            *profile.setup,
        ],
        "job_extra_directives": list(profile.directives),
    }
    return options | _SPECIFIC[profile.scheduler](profile)


def _of_slurm(profile: Profile) -> dict[str, Any]:
    return {"queue": profile.queue, "account": profile.account, "walltime": profile.walltime}


def _of_pbs(profile: Profile) -> dict[str, Any]:
    return _of_slurm(profile) | {"resource_spec": profile.resources, "walltime": _hours(profile)}


def _of_sge(profile: Profile) -> dict[str, Any]:
    return {
        "queue": profile.queue,
        "project": profile.account,
        "walltime": _hours(profile),
        "resource_spec": profile.resources or f"h_vmem={profile.job_memory_bytes // 10**6}M",
    }


def _of_lsf(profile: Profile) -> dict[str, Any]:
    hours = _hours(profile).rpartition(":")[0]
    return {"queue": profile.queue, "project": profile.account, "walltime": hours, "lsf_units": "mb"}


def _of_htcondor(profile: Profile) -> dict[str, Any]:
    pairs = dict(line.partition("=")[::2] for line in profile.directives)
    extra = {key.strip(): value.strip() for key, value in pairs.items()}
    extra |= {"+MaxRuntime": str(round(profile.walltime_seconds))}
    if profile.account is not None:
        extra["accounting_group"] = profile.account
    return {"disk": profile.disk, "job_extra_directives": extra}


_SPECIFIC: Final = {
    "slurm": _of_slurm,
    "pbs": _of_pbs,
    "sge": _of_sge,
    "lsf": _of_lsf,
    "htcondor": _of_htcondor,
}


def _hours(profile: Profile) -> str:
    """Return the walltime as HH:MM:SS: not every batch system knows days."""
    minutes, seconds = divmod(round(profile.walltime_seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def _queued(scheduler: str) -> set[str] | None:
    """Return the numbers of the user's jobs in the queue; None when it does not answer, to decide nothing."""
    system = _SYSTEMS[scheduler]
    command = [word.format(user=getpass.getuser()) for word in system.queue]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=_QUEUE_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if said.returncode else set(re.findall(f"^{system.job}", said.stdout, re.MULTILINE))
