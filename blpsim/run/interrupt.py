"""Ctrl-C: the first asks a run to stop, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from typing import Any, Self


class Interrupt:
    """Turns the first Ctrl-C (or SIGTERM) inside ``with`` into a request to stop; the second raises."""

    def __init__(self) -> None:
        """Begin without a request."""
        self._requests = 0
        self._before: dict[int, Any] = {}

    def is_requested(self) -> bool:
        """Return whether someone asked to stop."""
        return self._requests > 0

    def __enter__(self) -> Self:
        """Listen to both signals; only a process's main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave both signals to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, *_: object) -> None:
        self._requests += 1
        if self._requests > 1:
            raise KeyboardInterrupt
