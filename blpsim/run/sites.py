"""Where Dask's workers are: on this machine, or with a scheduler that somebody else has started."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, cast

import distributed

from blpsim.errors import BlpsimWarning, ConfigurationError
from blpsim.run.forkserver import start_loading

Client: TypeAlias = Any
Future: TypeAlias = Any
_DISTRIBUTED = cast(Any, distributed)
_CONNECT_SECONDS: Final = 30
_COUNT_SECONDS: Final = 5.0


class Site(Protocol):
    """How workers are reached, looked after and left."""

    @property
    def name(self) -> str:
        """What a user called it."""

    @property
    def slots(self) -> int:
        """How many tasks can be carried out at once."""

    def connect(self, opening: ExitStack) -> Client:
        """Return a client of the workers' scheduler; what must be closed is left with the stack."""

    def maintain(self) -> None:
        """Replace workers that were lost; called every few seconds."""

    def leave(self, running: Sequence[Future], plugin: str) -> None:
        """Let go of tasks that may still be running, and of what workers were given."""


class LocalSite:
    """Worker processes on this machine, which listen on loopback and have no dashboard."""

    name = "local"

    def __init__(self, workers: int) -> None:
        """Say how many; nothing starts yet."""
        self.slots = workers
        self._cluster: Any = None

    def connect(self, opening: ExitStack) -> Client:
        """Return a client after starting the workers."""
        start_loading()
        cluster = _DISTRIBUTED.LocalCluster(
            n_workers=self.slots,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
        )
        self._cluster = opening.enter_context(cluster)
        return opening.enter_context(_DISTRIBUTED.Client(cluster))

    def maintain(self) -> None:
        """Leave it to the processes that watch the workers."""

    def leave(self, running: Sequence[Future], plugin: str) -> None:
        """Kill the workers when they may still be at work."""
        del plugin
        for nanny in self._cluster.workers.values() if running else ():
            if nanny.pid:
                with suppress(ProcessLookupError):
                    os.kill(nanny.pid, signal.SIGKILL)


class AddressSite:
    """The workers of a scheduler that runs already; it and they go on when the study has ended.

    Keys for ``tls://`` come from Dask's own configuration, ``distributed.comm.tls``.
    """

    def __init__(self, address: str) -> None:
        """Say where: ``tcp://HOST:PORT``, ``tls://HOST:PORT`` or the path of a scheduler file."""
        self.name = address
        self._client: Client = None
        self._counted, self._slots = -_COUNT_SECONDS, 1

    @property
    def slots(self) -> int:
        """How many threads the workers have now; at least one, for those that are yet to come."""
        if time.monotonic() - self._counted >= _COUNT_SECONDS:
            self._counted = time.monotonic()
            self._slots = max(sum(self._client.nthreads().values()), 1)
        return self._slots

    def connect(self, opening: ExitStack) -> Client:
        """Return a client.

        Raises ConfigurationError when no scheduler answers.
        """
        try:
            client = _DISTRIBUTED.Client(_address(self.name), timeout=_CONNECT_SECONDS)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            expected = "the address of a Dask scheduler that answers"
            raise ConfigurationError("--on", self.name, expected, why) from error
        self._client = opening.enter_context(client)
        if any(threads > 1 for threads in client.nthreads().values()):
            text = f"workers of {self.name} have several threads: start them with --nthreads 1"
            warnings.warn(text, BlpsimWarning, stacklevel=2)
        return self._client

    def maintain(self) -> None:
        """Leave the workers to whoever started them."""

    def leave(self, running: Sequence[Future], plugin: str) -> None:
        """Cancel the tasks, and take the design from the workers."""
        if self._client.status != "running":
            return
        with suppress(OSError, TimeoutError, ValueError, RuntimeError):
            self._client.cancel(list(running))
            self._client.unregister_worker_plugin(plugin)


def _address(name: str) -> str:
    """Return a scheduler's address, also from the file in which it leaves it."""
    if "://" in name:
        return name
    try:
        return str(json.loads(Path(name).read_bytes())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(getattr(error, "strerror", None) or "it holds no address")
        raise ConfigurationError("--on", name, "a scheduler file that Dask wrote", why) from error
