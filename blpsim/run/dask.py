"""Tasks carried out by Dask's workers on this machine, one thread each."""

from __future__ import annotations

import itertools
import logging
import os
import queue
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, cast

import dask
import distributed
import distributed.protocol

from blpsim.run.forkserver import START_METHOD, start_loading
from blpsim.run.worker import Cargo, carry_out, request_stop, unload
from blpsim.status import Status
from blpsim.study.design import Design
from blpsim.study.records import Block
from blpsim.study.task import Task, lost_block
from blpsim.threads import SINGLE_THREAD, one_thread

RETRIES: Final = 1
"""How often one estimator on one replication is tried again after it took its worker with it."""

Future: TypeAlias = Any
_DISTRIBUTED = cast(Any, distributed)
_POLL_SECONDS: Final = 0.1
_SETTINGS: Final = {
    # No task waits on a busy worker, so that a dying one is blamed for its own task alone.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": "600s",
    "distributed.worker.multiprocessing-method": START_METHOD,
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ": SINGLE_THREAD,
    "distributed.comm.timeouts.connect": "60s",
    # By default Dask looks at its own health fifty times a second, which takes a twentieth of a processor.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "1s",
}


class Delivery(distributed.WorkerPlugin):
    """Gives each worker the design when it starts, those that replace a dead one too."""

    def __init__(self, cargo: Cargo) -> None:
        """Take the design."""
        self.name = f"blpsim-design-{cargo.fingerprint}"
        self._cargo = cargo

    def setup(self, worker: distributed.Worker) -> None:
        """Leave the design with a worker."""
        del worker
        unload(self._cargo)


class DaskLocal:
    """An executor of local worker processes, which listens on loopback and has no dashboard.

    A task whose worker dies is split, down to one estimator on one replication, so that what kills
    workers is recorded as crashed and takes nothing with it.
    """

    def __init__(self, design: Design, workers: int, is_stopped: Callable[[], bool]) -> None:
        """Keep the design; nothing starts yet."""
        self.slots = workers
        self._design, self._is_stopped = design, is_stopped
        self._numbers = itertools.count()
        self._deaths: Counter[Task] = Counter()
        self._running: dict[Future, Task] = {}
        self._arrived: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._told_to_stop = False
        self._open = ExitStack()

    @property
    def busy(self) -> int:
        """How many tasks have been submitted and not come back."""
        return len(self._running)

    def __enter__(self) -> Self:
        """Start the workers and send them the design."""
        fingerprint, source = self._design.fingerprint, self._design.source
        pickled = b"" if source else _DISTRIBUTED.protocol.pickle.dumps(self._design)
        cargo = Cargo(fingerprint=fingerprint, source=source, pickled=pickled)
        start_loading()
        with ExitStack() as opening:
            opening.enter_context(one_thread())
            opening.enter_context(dask.config.set(_SETTINGS))
            cluster = _DISTRIBUTED.LocalCluster(
                n_workers=self.slots,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
            )
            self._cluster = opening.enter_context(cluster)
            self._client = opening.enter_context(_DISTRIBUTED.Client(cluster))
            self._client.register_plugin(Delivery(cargo))
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Let the workers go; kill them when they may still be at work."""
        if self._running:
            for nanny in self._cluster.workers.values():
                if nanny.pid:
                    with suppress(ProcessLookupError):
                        os.kill(nanny.pid, signal.SIGKILL)
        self._running.clear()
        self._open.close()

    def submit(self, task: Task) -> None:
        """Hand a task to the next free worker."""
        key = f"task-{next(self._numbers)}"
        future = self._client.submit(carry_out, task, key=key, pure=False)
        self._running[future] = task
        future.add_done_callback(self._arrived.put)

    def completed(self) -> Iterator[Block]:
        """Yield what has come back since the last call, after waiting a moment for the first."""
        self._pass_stop_on()
        wait = _POLL_SECONDS
        while self._running:
            try:
                future = self._arrived.get(timeout=wait)
            except queue.Empty:
                return
            wait = 0.0
            yield from self._blocks(future)

    def _blocks(self, future: Future) -> Iterator[Block]:
        task = self._running.pop(future)
        error = future.exception()
        block = None if error else future.result()
        future.release()
        if isinstance(error, distributed.KilledWorker):
            yield from self._isolate(task)
        elif error:
            raise error
        elif block is not None:
            yield block

    def _isolate(self, task: Task) -> Iterator[Block]:
        self._deaths[task] += 1
        if self._is_stopped():
            return
        parts = task.parts()
        if len(parts) == 1 and self._deaths[task] > RETRIES:
            yield lost_block(self._design, task, Status.CRASHED, "the worker process died")
            return
        for part in parts:
            self.submit(part)

    def _pass_stop_on(self) -> None:
        if self._is_stopped() and not self._told_to_stop:
            self._told_to_stop = True
            self._client.run(request_stop, on_error="ignore")
