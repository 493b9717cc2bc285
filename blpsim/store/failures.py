"""``failures.jsonl``: one line a failure, with the command that replays it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blpsim.store.atomic import write_file
from blpsim.study.records import Failure

_KEYS = ("scenario", "estimator", "replication", "status", "exception", "message", "masked", "traceback")
COLUMNS = (*_KEYS, "replay")
"""The keys of a line, and the columns of ``Study.failures``."""


def write_failures(path: Path, failures: Iterable[Failure], source: str | None) -> None:
    """Put all failures at a path, one a line.

    source  the design file, as the user wrote its path
    """
    lines = [json.dumps(line_of(failure, source)) + "\n" for failure in failures]
    write_file(path, "".join(lines).encode())


def read_failures(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of failures, none when it is not there."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.split("\n") if line]


def line_of(failure: Failure, source: str | None) -> dict[str, Any]:
    """Return one line: the failure, and how to see it again."""
    return {
        "scenario": failure.scenario,
        "estimator": failure.estimator,
        "replication": failure.replication,
        "status": failure.status.meaning,
        "exception": failure.exception,
        "message": failure.message,
        "masked": failure.masked,
        "traceback": failure.traceback,
        "replay": replay_command(failure, source),
    }


def replay_command(failure: Failure, source: str | None) -> str:
    """Return the command that runs one failed replication again."""
    words = ["blpsim", "replay", source or "DESIGN", "--scenario", failure.scenario]
    words += ["--replication", str(failure.replication)]
    words += [] if failure.estimator is None else ["--estimator", failure.estimator]
    return shlex.join(words)
