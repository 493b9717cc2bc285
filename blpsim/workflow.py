"""Running a study: find what is missing, carry it out, write each block as it arrives, publish."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blpsim.checks import check, check_count
from blpsim.errors import StoreError
from blpsim.kernels.compile import are_compiled
from blpsim.model.conduct import Conduct, Ownership
from blpsim.run.executor import Executor
from blpsim.run.inprocess import InProcess
from blpsim.run.interrupt import Interrupt
from blpsim.status import Status
from blpsim.store.content import content_of
from blpsim.store.folder import Store
from blpsim.store.journal import Journal
from blpsim.store.study import Study, open_study
from blpsim.study.design import Design
from blpsim.study.plan import Plan, gaps
from blpsim.study.records import FIELDS, TIMINGS, Block
from blpsim.study.task import Task, run_task
from blpsim.threads import one_thread

_QUEUED_PER_SLOT = 2
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How far a run has come; a unit is one estimator on one replication of one scenario."""

    total: int
    """Units that the design asks for."""
    done: int
    """Units that are on disk."""
    computed: int
    """Units that this run computed."""
    failed: int
    """Units of this run that gave no usable estimate."""
    seconds: float
    """Time since the run began."""
    is_compiling: bool = False
    """Whether the first task takes long because it compiles kernels, which happens once a machine."""

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.computed / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """How long the rest takes at this rate; None while there is none."""
        return (self.total - self.done) / self.rate if self.rate else None


Listener = Callable[[Moment], None]


def run(
    design: Design,
    store: str | Path | None = None,
    *,
    workers: int | None = None,
    replications: int | None = None,
    block_size: int | None = None,
    retry: Iterable[Status] = (),
    listener: Listener | None = None,
) -> Study:
    """Return the study after computing what its store lacks.

    store         its folder, ``results/NAME`` by default
    workers       processes, one a processor by default; 0 computes in this process
    replications  instead of the design's
    block_size    replications of each block; by default what takes some seconds
    retry         statuses of estimates that are computed again
    listener      is told how far the run has come

    A design from a file reaches each worker as the file's text, one built in a session by cloudpickle,
    once. Workers import the script that calls this, so call it under ``if __name__ == "__main__":``.

    Raises StoreError for a store that cannot be continued, ConfigurationError for options that cannot
    be, and KeyboardInterrupt after a clean stop, with everything finished on disk and published.
    """
    check("design", design, Design)
    check("listener", listener, Callable[[Moment], None] | None)
    check("retry", retry, Iterable[Status])
    check("retry", statuses := tuple(retry), tuple[Status, ...])
    if replications is not None:
        design = dataclasses.replace(design, replications=replications)
    workers = _workers(workers)
    if block_size is not None:
        check_count("block_size", block_size, "a block holds replications")
    with Interrupt() as interrupt, Store(store_of(design, store), content_of(design)) as opened:
        session = _Run(design=design, store=opened, retry=frozenset(statuses), listener=listener or _ignore)
        session.carry_out(workers, block_size, interrupt.is_requested)
        opened.publish()
        if interrupt.is_requested():
            raise KeyboardInterrupt
    return open_study(opened.path)


def store_of(design: Design, store: str | Path | None = None) -> Path:
    """Return the folder of a design's store."""
    check("store", store, str | os.PathLike | None)
    return Path("results") / design.name if store is None else Path(store)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replay:
    """One replication, run again."""

    block: Block
    """What it gave."""
    differences: tuple[str, ...] | None
    """The variables that differ from a store's, but for timings; None when no store was named."""

    @property
    def data_status(self) -> Status:
        """How the drawing of the data ended."""
        return Status(int(self.block.arrays["data_status"][0]))

    @property
    def statuses(self) -> tuple[Status, ...]:
        """How each estimator ended."""
        return tuple(Status(int(status)) for status in self.block.arrays["status"][:, 0])


def replay(
    design: Design,
    scenario: str,
    replication: int,
    estimators: tuple[str, ...],
    store: str | Path | None = None,
) -> Replay:
    """Return one replication, run again in this process; nothing is written.

    store  a folder whose records are compared with what comes out

    Raises ConfigurationError for names that the design does not have, StoreError for a store of other
    content or code, or without the replication.
    """
    task = _single(design, scenario, replication, estimators)
    with one_thread():
        block = run_task(design, task)
    if store is None:
        return Replay(block=block, differences=None)
    journal = Journal(Path(store) / "journal")
    journal.refuse_other_content(content_of(design), Path(store))
    for header in reversed(journal.headers(scenario)):
        if header.start <= replication < header.stop and set(estimators) <= set(header.estimators):
            return Replay(block=block, differences=tuple(_differences(block, journal.read(header))))
    what = f"{scenario!r}, replication {replication}"
    raise StoreError("STORE", str(store), f"a store with {what}", "it is compared with what is replayed")


def replay_openly(design: Design, scenario: str, replication: int, estimators: tuple[str, ...]) -> None:
    """Run one replication in this process and let whatever it raises through, for a debugger."""
    _single(design, scenario, replication, estimators)
    streams = design.streams(scenario, replication)
    with one_thread():
        dataset = design.scenario(scenario).generate(streams)
        for name in estimators:
            design.estimator(name).estimate(dataset, streams)


def _single(design: Design, scenario: str, replication: int, estimators: tuple[str, ...]) -> Task:
    design.scenario(scenario)
    for name in estimators:
        design.estimator(name)
    return Task(
        design=design.fingerprint,
        scenario=scenario,
        estimators=estimators,
        start=replication,
        stop=replication + 1,
    )


def _differences(block: Block, stored: Block) -> Iterator[str]:
    """Yield the variables in which a block of one replication differs from the same in a larger block."""
    rows = [stored.estimators.index(name) for name in block.estimators]
    columns = [stored.parameters.index(name) for name in block.parameters if name in stored.parameters]
    kept = [block.parameters.index(stored.parameters[column]) for column in columns]
    at = block.start - stored.start
    for name, field in FIELDS.items():
        if name in TIMINGS:
            continue
        there, here = stored.arrays[name], block.arrays[name]
        for axis, dim in enumerate(field.dims):
            chosen = {
                "estimator": rows,
                "replication": [at],
                "parameter": columns,
                "start": range(block.starts),
            }
            there = there.take(chosen[dim], axis)
            here = here.take(kept, axis) if dim == "parameter" else here
        if not np.array_equal(there, here, equal_nan=True):
            yield name


class _Run:
    def __init__(self, *, design: Design, store: Store, retry: frozenset[Status], listener: Listener) -> None:
        self._design, self._store, self._listener = design, store, listener
        # A block that repeats others counts instead of them only if it says that it is newer.
        self._revision = store.journal.next_revision() if retry else 0
        self._missing = list(self._gaps(retry))
        self._total = design.replications * len(design.scenarios) * len(design.estimators)
        self._before = self._total - sum(gap.replications * len(gap.estimators) for gap in self._missing)
        self._computed, self._failed, self._began = 0, 0, time.monotonic()
        self._uncompiled = _uncompiled(design) if self._missing else []
        self._may_compile = bool(self._uncompiled)

    def carry_out(self, workers: int, block_size: int | None, is_stopped: Callable[[], bool]) -> None:
        """Compute what is missing, and write it."""
        self._tell()
        if not self._missing:
            return
        with self._patience(), ExitStack() as open_parts:
            if self._may_compile and workers > 0:
                from blpsim.run.compiling import compile_kernels

                for nested in self._uncompiled:
                    compile_kernels(is_stopped, nested=nested)
                self._may_compile = False
            executor = open_parts.enter_context(_executor(self._design, workers, is_stopped))
            plan = Plan(self._missing, executor.slots, block_size)
            while not is_stopped():
                self._submit(plan, executor)
                if not executor.busy:
                    break
                for block in executor.completed():
                    self._keep(block, plan)
            while executor.busy:
                for block in executor.completed():
                    self._keep(block, plan)

    def _submit(self, plan: Plan, executor: Executor) -> None:
        room = 1 if self._may_compile else _QUEUED_PER_SLOT * executor.slots
        while executor.busy < room and (task := plan.next_task()) is not None:
            executor.submit(task)

    def _keep(self, block: Block, plan: Plan) -> None:
        self._store.write(block, revision=self._revision)
        plan.observe(block)
        statuses = block.arrays["status"]
        self._computed += statuses.size
        self._failed += sum(Status(int(status)).is_failure for status in statuses.ravel())
        self._may_compile = False
        self._tell()

    def _gaps(self, retry: frozenset[Status]) -> Iterator[Task]:
        estimators, replications = tuple(self._design.estimators), self._design.replications
        fingerprint = self._design.fingerprint
        for name in self._design.scenarios:
            statuses = self._store.journal.done(name, estimators, replications).statuses
            missing = np.isin(statuses, [int(Status.PENDING), *map(int, retry)])
            whole = Task(design=fingerprint, scenario=name, estimators=estimators, start=0, stop=replications)
            yield from gaps(whole, missing)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Say that kernels are compiled if the first block is long in coming and they may be."""
        timer = threading.Timer(_PATIENCE_SECONDS, lambda: self._tell(is_compiling=self._may_compile))
        if self._may_compile:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _tell(self, *, is_compiling: bool = False) -> None:
        self._listener(
            Moment(
                total=self._total,
                done=self._before + self._computed,
                computed=self._computed,
                failed=self._failed,
                seconds=time.monotonic() - self._began,
                is_compiling=is_compiling,
            )
        )


@contextmanager
def _executor(design: Design, workers: int, is_stopped: Callable[[], bool]) -> Iterator[Executor]:
    if workers == 0:
        with InProcess(design, is_stopped) as inprocess:
            yield inprocess
        return
    from blpsim.run.dask import DaskLocal

    with DaskLocal(design, workers, is_stopped) as dask:
        yield dask


def _workers(workers: int | None) -> int:
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    check_count("workers", workers, "0 computes in this process", 0)
    return workers


def _uncompiled(design: Design) -> list[bool]:
    """Return whether kernels for nests and ownership, or others, or both, are to be compiled for a design."""
    scenarios = [design.scenario(name) for name in design.scenarios]
    estimators: list[object] = [None, *design.estimators.values()]
    kinds = {_is_general(scenario, estimator) for scenario in scenarios for estimator in estimators}
    ours = any(type(p).__module__.startswith("blpsim.") for p in (*scenarios, *design.estimators.values()))
    return [nested for nested in sorted(kinds) if ours and not are_compiled(nested=nested)]


def _is_general(scenario: object, estimator: object) -> bool:
    """Return whether an estimator, or with None the scenario, needs the kernels for nests and the like."""
    model = getattr(estimator, "model", None) or getattr(scenario, "model", None)
    conduct = getattr(estimator, "conduct", None) or getattr(scenario, "conduct", None)
    if getattr(model, "nests", None) is not None or isinstance(conduct, Ownership):
        return True
    if getattr(scenario, "differs_by_product", False):
        return True
    return estimator is not None and conduct == Conduct.PERFECT_COMPETITION


def _ignore(moment: Moment) -> None:
    """Tell nobody."""
    del moment
