"""Tasks carried out in this process, one after the other; a crash takes the study with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from blpsim.study.design import Design
from blpsim.study.records import Block
from blpsim.study.task import Task, run_task
from blpsim.threads import one_thread


class InProcess:
    """An executor without other processes: for tests, debuggers and single replications."""

    slots = 1

    def __init__(self, design: Design, is_stopped: Callable[[], bool]) -> None:
        """Keep the design; nothing starts yet."""
        self._design, self._is_stopped = design, is_stopped
        self._tasks: deque[Task] = deque()
        self._open = ExitStack()

    @property
    def busy(self) -> int:
        """How many tasks wait."""
        return len(self._tasks)

    def __enter__(self) -> Self:
        """Keep the process to one thread."""
        self._open.enter_context(one_thread())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Give the threads back."""
        self._open.close()

    def submit(self, task: Task) -> None:
        """Put a task behind the others."""
        self._tasks.append(task)

    def completed(self) -> Iterator[Block]:
        """Yield the next task's block; nothing once stopped."""
        if self._is_stopped():
            self._tasks.clear()
        elif self._tasks:
            block = run_task(self._design, self._tasks[0], self._is_stopped)
            self._tasks.popleft()
            yield block
