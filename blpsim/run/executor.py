"""What carries out tasks: one interface, whatever the machine."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from blpsim.study.records import Block
from blpsim.study.task import Task


class Executor(Protocol):
    """Carries out tasks between entering and leaving it; which one, and how, changes no number."""

    @property
    def slots(self) -> int:
        """How many tasks it can carry out at once."""

    @property
    def busy(self) -> int:
        """How many tasks have been submitted and not come back."""

    def __enter__(self) -> Self:
        """Make it ready."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Let its workers go."""

    def submit(self, task: Task) -> None:
        """Hand it a task."""

    def completed(self) -> Iterator[Block]:
        """Yield what has come back since the last call, after waiting a moment for the first.

        Once it is asked to stop, running tasks come back with what they have and others with nothing.
        """
