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
from blpsim.run.array import Member
from blpsim.run.deadline import Deadline
from blpsim.run.executor import Executor
from blpsim.run.inprocess import InProcess
from blpsim.run.interrupt import Interrupt
from blpsim.run.workers import LOCAL, Workers, local_number, workers_of
from blpsim.status import Status
from blpsim.store.content import content_of
from blpsim.store.folder import Store
from blpsim.store.joint import JointStore
from blpsim.store.journal import Journal
from blpsim.store.missing import missing, missing_share, units, wholes
from blpsim.store.study import Study, open_study
from blpsim.study.design import Design
from blpsim.study.plan import Plan
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
    workers: int | Workers | None = None,
    replications: int | None = None,
    block_size: int | None = None,
    retry: Iterable[Status] = (),
    listener: Listener | None = None,
) -> Study:
    """Return the study after computing what its store lacks.

    store         its folder, ``results/NAME`` by default
    workers       processes, one a processor by default; 0 computes in this process; or who they are
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
    check("workers", workers, int | Workers | None)
    crew = workers_of(workers)
    if crew.on != LOCAL:
        from blpsim.run.choice import site_of

        site_of(crew)
    if block_size is not None:
        check_count("block_size", block_size, "a block holds replications")
    with Interrupt() as interrupt, Store(store_of(design, store), content_of(design)) as opened:
        lacking = list(missing(design, opened.journal, statuses))
        # A block that repeats others counts instead of them only if it says that it is newer.
        revision = opened.journal.next_revision() if statuses else 0
        total = units(wholes(design))
        session = _Run(design, opened, lacking, listener or _ignore, total=total, revision=revision)
        is_stopped = session.carry_out(crew, interrupt, block_size)
        opened.publish()
        if is_stopped:
            raise KeyboardInterrupt
    return open_study(opened.path)


def run_share(
    design: Design,
    store: str | Path | None = None,
    *,
    member: Member,
    workers: int | Workers | None = None,
    replications: int | None = None,
    listener: Listener | None = None,
) -> None:
    """Compute one task's share of what a study's store lacks, as one of a job array that share it.

    member  which of the tasks this is

    The tasks of one job share what was missing when the first of them looked; each writes its own
    blocks, and none publishes. Other arguments, and what is raised, are those of ``run``; nothing
    but the folder need be common to the machines.
    """
    if replications is not None:
        design = dataclasses.replace(design, replications=replications)
    crew, folder = workers_of(workers), store_of(design, store)
    joint = JointStore(folder, content_of(design), member.job, member.rank)
    with Interrupt() as interrupt, joint as opened:
        share = missing_share(design, opened, member.rank, member.number)
        session = _Run(design, opened, share, listener or _ignore, total=units(share))
        if session.carry_out(crew, interrupt):
            raise KeyboardInterrupt


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
    matched = [stored.micro_moments.index(name) for name in block.micro_moments]
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
                "micro_moment": matched,
            }
            there = there.take(np.array(chosen[dim], np.int64), axis)
            here = here.take(kept, axis) if dim == "parameter" else here
        if not np.array_equal(there, here, equal_nan=True):
            yield name


class _Run:
    def __init__(
        self,
        design: Design,
        store: Store | JointStore,
        lacking: list[Task],
        listener: Listener,
        *,
        total: int,
        revision: int = 0,
    ) -> None:
        self._design, self._store, self._listener = design, store, listener
        self._missing, self._revision, self._total = lacking, revision, total
        self._before = total - units(lacking)
        self._computed, self._failed, self._began = 0, 0, time.monotonic()
        self._uncompiled = _uncompiled(design) if lacking else []
        self._may_compile = bool(self._uncompiled)
        self._deadline = Deadline(None)

    def carry_out(self, workers: Workers, interrupt: Interrupt, block_size: int | None = None) -> bool:
        """Compute what is missing, and write it; return whether it was stopped before the end."""
        self._deadline = Deadline(workers.walltime_seconds)

        def is_stopped() -> bool:
            return interrupt.is_requested() or self._deadline.is_reached()

        self._tell()
        if self._missing:
            self._compute(workers, block_size, is_stopped)
        is_over = self._deadline.is_reached() and self._before + self._computed < self._total
        return interrupt.is_requested() or is_over

    def _compute(self, workers: Workers, block_size: int | None, is_stopped: Callable[[], bool]) -> None:
        with self._patience(), ExitStack() as open_parts:
            if self._may_compile and workers.on == LOCAL and workers.number != 0:
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
        self._deadline.observe(block)
        statuses = block.arrays["status"]
        self._computed += statuses.size
        self._failed += sum(Status(int(status)).is_failure for status in statuses.ravel())
        self._may_compile = False
        self._tell()

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


def _executor(design: Design, workers: Workers, is_stopped: Callable[[], bool]) -> Executor:
    if workers.on == LOCAL and local_number(workers) == 0:
        return InProcess(design, is_stopped)
    from blpsim.run.dask import DaskExecutor, DaskLocal

    if workers.on == LOCAL:
        return DaskLocal(design, local_number(workers), is_stopped)
    from blpsim.run.choice import site_of

    return DaskExecutor(design, site_of(workers), is_stopped)


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
