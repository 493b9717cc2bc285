"""Design files: read once, run from the text, so that a worker needs no file."""

from __future__ import annotations

import dataclasses
import linecache
import os
import sys
import traceback
import types
from pathlib import Path

from blpsim.checks import check
from blpsim.errors import BlpsimError, ConfigurationError
from blpsim.study.design import Design, Source
from blpsim.threads import one_thread

_MODULE = "blpsim_design"


def load_design(path: str | Path) -> Design:
    """Return the design that a file defines as ``design``.

    Raises ConfigurationError when the file cannot be read, fails, or defines no design.
    """
    check("DESIGN", path, str | os.PathLike)
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        expected = "a Python file that defines `design`"
        raise ConfigurationError("DESIGN", str(path), expected, reason) from error
    return design_from(Source(path=str(file.resolve()), text=text))


def design_from(source: Source) -> Design:
    """Return the design that a design file's text defines as ``design``; the file may be elsewhere.

    Raises ConfigurationError when the text fails or defines no design.
    """
    design = _executed(source).get("design")
    if not isinstance(design, Design):
        expected = "a file that defines `design = blpsim.Design(...)`"
        got = "nothing named design" if design is None else f"design of type {type(design).__name__}"
        raise ConfigurationError(f"DESIGN {source.path}", got, expected, "the study is read from it")
    return dataclasses.replace(design, source=source)


def _executed(source: Source) -> dict[str, object]:
    """Return the names that the text defines; its folder is importable from then on."""
    module = types.ModuleType(_MODULE)
    module.__file__ = source.path
    folder = str(Path(source.path).parent)
    if folder not in sys.path:
        sys.path.append(folder)
    sys.modules[_MODULE] = module
    # Functions count by their source in the design's hash, on workers that have no file too.
    lines = source.text.splitlines(keepends=True)
    linecache.cache[source.path] = (len(source.text), None, lines, source.path)
    try:
        # What a design estimates has the bits, and so the hash, that it has on a worker.
        with one_thread():
            exec(compile(source.text, source.path, "exec"), module.__dict__)
    except BlpsimError:
        raise
    except (SystemExit, Exception) as error:
        got = f"{type(error).__name__}: {error}"
        where = f"DESIGN {source.path}{_line(source, error)}"
        raise ConfigurationError(where, got, "a file that runs", "the design is read from it") from error
    return module.__dict__


def _line(source: Source, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == source.path]
    return f":{lines[-1]}" if lines else ""
