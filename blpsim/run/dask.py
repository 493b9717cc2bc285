"""Tasks carried out by Dask's workers, wherever they are, one thread each."""

from __future__ import annotations

import itertools
import queue
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, cast

import dask
import distributed
import distributed.protocol

from blpsim.errors import ConfigurationError
from blpsim.run.forkserver import START_METHOD
from blpsim.run.sites import LocalSite, Site
from blpsim.run.worker import Cargo, carry_out, request_stop, unload
from blpsim.status import Status
from blpsim.study.code import code_hash
from blpsim.study.design import Design
from blpsim.study.records import Block
from blpsim.study.task import Task, lost_block
from blpsim.threads import SINGLE_THREAD, one_thread

RETRIES: Final = 1
"""How often one estimator on one replication is tried again after it took its worker with it."""

Future: TypeAlias = Any
_DISTRIBUTED = cast(Any, distributed)
_POLL_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 2.0
_FETCH_SECONDS: Final = 10
_SETTINGS: Final = {
    # No task waits on a busy worker, so that a dying one is blamed for its own task alone.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": "600s",
    "distributed.deploy.lost-worker-timeout": "5s",
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


class DaskExecutor:
    """An executor of the workers at a site.

    A task whose worker dies is split, down to one estimator on one replication, so that what kills
    workers is recorded as crashed and takes nothing with it.
    """

    def __init__(self, design: Design, site: Site, is_stopped: Callable[[], bool]) -> None:
        """Keep the design; nothing starts yet."""
        self._design, self._site, self._is_stopped = design, site, is_stopped
        # Another run may be at work at the same site: its tasks have other keys.
        self._token, self._numbers = secrets.token_hex(8), itertools.count()
        self._deaths: Counter[Task] = Counter()
        self._running: dict[Future, Task] = {}
        self._arrived: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._told_to_stop = False
        self._looked, self._waiting = time.monotonic(), set[Future]()
        self._open = ExitStack()

    @property
    def slots(self) -> int:
        """How many tasks can be carried out at once."""
        return self._site.slots

    @property
    def busy(self) -> int:
        """How many tasks have been submitted and not come back."""
        return len(self._running)

    def __enter__(self) -> Self:
        """Reach the workers, and send them the design."""
        fingerprint, source = self._design.fingerprint, self._design.source
        pickled = b"" if source else _DISTRIBUTED.protocol.pickle.dumps(self._design)
        delivery = Delivery(Cargo(fingerprint=fingerprint, code=code_hash(), source=source, pickled=pickled))
        with ExitStack() as opening:
            opening.enter_context(one_thread())
            opening.enter_context(dask.config.set(_SETTINGS))
            self._client = self._site.connect(opening)
            self._client.register_plugin(delivery)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Let the workers go, those too that may still be at work."""
        try:
            self._site.leave(list(self._running), f"blpsim-design-{self._design.fingerprint}")
        finally:
            self._running.clear()
            self._open.close()

    def submit(self, task: Task) -> None:
        """Hand a task to the next free worker."""
        key = f"task-{self._token}-{next(self._numbers)}"
        future = self._client.submit(carry_out, task, key=key, pure=False)
        self._running[future] = task
        future.add_done_callback(self._arrived.put)

    def completed(self) -> Iterator[Block]:
        """Yield what has come back since the last call, after waiting a moment for the first."""
        self._look()
        wait = _POLL_SECONDS
        while self._running:
            try:
                future = self._arrived.get(timeout=wait)
            except queue.Empty:
                return
            wait = 0.0
            if future in self._running:
                yield from self._blocks(future)

    def _blocks(self, future: Future) -> Iterator[Block]:
        task = self._running[future]
        if future.cancelled():
            why = "Dask's scheduler has gone; run it again"
            raise ConfigurationError("--on", self._site.name, "workers that can be reached", why)
        try:
            error = future.exception(timeout=_FETCH_SECONDS)
            block = None if error else future.result(timeout=_FETCH_SECONDS)
        except TimeoutError:
            # Its worker died with the result, which is computed again once there is another.
            future.add_done_callback(self._arrived.put)
            return
        del self._running[future]
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

    def _look(self) -> None:
        """Pass a request to stop on at once; now and then, look after the workers."""
        is_stopped = self._is_stopped()
        if is_stopped and not self._told_to_stop:
            self._told_to_stop = True
            self._client.run(request_stop, self._design.fingerprint, on_error="ignore")
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if is_stopped:
            self._forget_waiting()
        else:
            self._site.maintain()

    def _forget_waiting(self) -> None:
        """Take back what no worker is at, which may never begin; a result may be on its way for a while."""
        processing = {key for keys in self._client.processing().values() for key in keys}
        waiting = {each for each in self._running if not each.done() and each.key not in processing}
        for future in waiting & self._waiting:
            del self._running[future]
            future.cancel()
        self._waiting = waiting


class DaskLocal(DaskExecutor):
    """An executor of local worker processes, which listens on loopback and has no dashboard."""

    def __init__(self, design: Design, workers: int, is_stopped: Callable[[], bool]) -> None:
        """Keep the design; nothing starts yet."""
        super().__init__(design, LocalSite(workers), is_stopped)
