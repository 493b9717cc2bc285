"""Which site ``--on`` means: an address, a scheduler file, or a cluster's profile."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from blpsim.errors import ConfigurationError
from blpsim.run.jobs import JobSite
from blpsim.run.profile import read_profile
from blpsim.run.sites import AddressSite, Site
from blpsim.run.workers import Workers

_PROTOCOLS: Final = ("tcp", "tls")
_PROFILES: Final = Path("cluster")


def site_of(workers: Workers) -> Site:
    """Return where the workers are, which is not here.

    Raises ConfigurationError for what is no address, scheduler file or profile.
    """
    on = workers.on
    if "://" not in on and not on.endswith(".json"):
        if workers.number == 0:
            raise ConfigurationError("--workers", 0, f"1 or more jobs with --on {on}", "they are the workers")
        return JobSite(on, read_profile(profile_path(on)), workers.number)
    if workers.number is not None:
        why = "whoever started the scheduler starts its workers"
        raise ConfigurationError("--workers", workers.number, f"no such option with --on {on}", why)
    if "://" in on and on.partition("://")[0] not in _PROTOCOLS:
        raise ConfigurationError("--on", on, "tcp://HOST:PORT or tls://HOST:PORT", "Dask knows no other here")
    return AddressSite(on)


def profile_path(on: str) -> Path:
    """Return where a profile is: at the path, or under its name among those in ``cluster``."""
    path = Path(on)
    named = _PROFILES / f"{on}.toml"
    return named if not path.suffix and not path.exists() and named.is_file() else path
