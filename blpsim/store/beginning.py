"""How a run on a store begins: its folder is made, and what is there is checked against the content."""

from __future__ import annotations

import json
import re
from pathlib import Path

from blpsim.store.atomic import write_file
from blpsim.store.content import Content, read_content
from blpsim.store.journal import Journal
from blpsim.store.refusal import refused, unwritable

_OURS = re.compile(r"journal|array|\..+\.tmp")


def make_folder(path: Path) -> None:
    """Make a store's folder with its journal's, where they are not there yet.

    Raises StoreError when it cannot be made, or when what is there is no store.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not _is_store(path):
            raise refused(path, "a store, or an empty folder", "it holds other files")
        (path / "journal").mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def begun(path: Path, journal: Journal, content: Content) -> Content:
    """Return what is computed from now on joined with what was, after writing it to the store.

    Raises StoreError when the journal's blocks came from another study, other content or code.
    """
    headers = journal.headers()
    if headers:
        earlier = read_content(path)
        if earlier.name != content.name:
            why = f"it holds the study {earlier.name!r}; choose another store"
            raise refused(path, f"a store of the study {content.name!r}", why)
        journal.refuse_other_content(content, path)
        kept = {name for header in headers for name in (header.scenario, *header.estimators)}
        content = content.joined(earlier, kept)
    text = json.dumps(content.as_json(), indent=1, ensure_ascii=False) + "\n"
    _put(path / "design.json", text.encode())
    if content.source_text is not None:
        _put(path / "design.py", content.source_text.encode())
    return content


def _put(path: Path, text: bytes) -> None:
    """Write a file unless it says so already: of a thousand tasks that begin at once, few write."""
    if not path.is_file() or path.read_bytes() != text:
        write_file(path, text)


def _is_store(path: Path) -> bool:
    """Return whether a folder is a store, or empty, or one in which another task begins just now."""
    names = [entry.name for entry in path.iterdir()]
    return "lock" in names or "design.json" in names or all(_OURS.fullmatch(name) for name in names)
