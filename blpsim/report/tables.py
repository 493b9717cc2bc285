"""Tables of performance: text for a terminal or a pipe, markdown, LaTeX, HTML and CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import xarray as xr

from blpsim.checks import check_fields
from blpsim.errors import ConfigurationError, DataError
from blpsim.report.diagnostics import work
from blpsim.report.formats import WRITERS
from blpsim.report.grid import DIMENSIONS, comparison, pivot, whole
from blpsim.report.layout import Page, Row, Section, performance
from blpsim.summary.diagnostics import Diagnosis, diagnose
from blpsim.summary.measures import MEASURES
from blpsim.summary.published import beside
from blpsim.summary.summarize import HasResults, Summary, summarize

_NARROWEST_RULE = 40


def text(shown: Summary | Diagnosis, width: int = 100) -> str:
    """Return a summary or a diagnosis as plain text that fits a width.

    A number's error stands beside it where there is room, else below it; measures that do not fit side
    by side continue in a further panel. Names are never cut.
    """
    page = _page(shown)
    form = _form(page.heads, page.sections, width)
    lines = [line for part in page.opening for line in _wrapped(part, width)]
    for section in page.sections:
        lines += ["", f"── {section.scenario} ".ljust(form.width, "─")]
        for number, panel in enumerate(form.panels):
            lines += [*([""] if number else []), *_panel(section, panel, form, opens=number == 0)]
    lines += ["", *(line for note in page.notes for line in _wrapped(note, width))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def markdown(shown: Summary | Diagnosis) -> str:
    """Return a summary or a diagnosis as markdown, one table a scenario."""
    page = _page(shown)
    title, ended = page.opening
    columns = [" ".join(head.split("\n")) for head in page.heads]
    lines = [f"**{title}**", "", ended]
    for section in page.sections:
        lines += ["", f"### {section.scenario}", ""]
        lines += [f"- {_escaped(group.estimator)}: {group.outcome}" for group in section.groups]
        lines += ["", _piped([*page.labels, *columns])]
        lines += [_piped(["---"] * len(page.labels) + ["---:"] * len(columns), escape=False)]
        for group in section.groups:
            for row in group.rows:
                name = row.parameter + (f" ({row.note})" if row.note else "")
                labels = [group.estimator, name, row.truth][: len(page.labels)]
                lines.append(_piped([*labels, *map(str, row.cells)]))
    return "\n".join([*lines, "", *(f"- {' '.join(note.split())}" for note in page.notes)]) + "\n"


def csv(shown: Summary | Diagnosis) -> str:
    """Return one line a number, in full precision: the ``table`` of a summary or a diagnosis."""
    return shown.table.to_csv(index=False, lineterminator="\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Which table of a study to write, and how."""

    form: Literal["text", "markdown", "latex", "html", "csv"] = "text"
    """The format."""
    diagnostics: bool = False
    """Whether evaluations, failures and time are shown instead of performance."""
    measures: tuple[str, ...] = ()
    """Names of measures, or "all"; left empty, the usual ones, or those that were published."""
    rows: tuple[str, ...] = ()
    """What rows are, outermost first; with ``columns``, or neither."""
    columns: tuple[str, ...] = ()
    """What columns are, outermost first."""
    common: bool = False
    """Whether only replications enter of which all estimators of a scenario are usable."""
    published: Path | None = None
    """A CSV file of published numbers to show beside the study's."""

    def __post_init__(self) -> None:
        """Refuse fields of wrong types, and options of which one would be ignored."""
        check_fields(self)
        special = (
            ("rows and columns", bool(self.rows or self.columns)),
            ("published", self.published is not None),
            ("diagnostics", self.diagnostics),
        )
        used = [name for name, is_used in special if is_used]
        if len(used) > 1:
            why = "each is a table of its own"
            raise ConfigurationError("summarize", " with ".join(used), "one of them", why)
        if self.diagnostics and (self.measures or self.common):
            got = "diagnostics with measures or common"
            raise ConfigurationError("summarize", got, "one of them", "diagnostics are of all estimations")
        if bool(self.rows) != bool(self.columns):
            got = f"{', '.join(self.rows or self.columns)} alone"
            raise ConfigurationError("rows and columns", got, "both, or neither", "a table needs both")


def table(study: HasResults | xr.Dataset, wanted: Table) -> str:
    """Return a study's table in the format that is asked for.

    Raises
    ------
    ConfigurationError
        If a measure or a dimension is unknown.
    DataError
        If published numbers cannot be read or found.
    """
    if wanted.published is not None:
        return _beside(study, wanted, wanted.published)
    found: Summary | Diagnosis
    if wanted.diagnostics:
        found = diagnose(study)
    else:
        found = summarize(study, measures=wanted.measures or MEASURES, common=wanted.common)
    if wanted.form == "csv":
        return csv(found)
    if wanted.rows and isinstance(found, Summary):
        return WRITERS[wanted.form](pivot(found, wanted.rows, wanted.columns))
    pages = {"text": text, "markdown": markdown}
    return pages[wanted.form](found) if wanted.form in pages else WRITERS[wanted.form](whole(found))


def _beside(study: HasResults | xr.Dataset, wanted: Table, path: Path) -> str:
    try:
        numbers = pd.read_csv(path, dtype={name: str for name in DIMENSIONS}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError("published", str(path), "a CSV file with a header", str(error)) from error
    named = tuple(name for name in dict.fromkeys(numbers.get("measure", ())) if name != "convergence")
    summary = summarize(study, measures=wanted.measures or named or MEASURES, common=wanted.common)
    found = beside(summary, numbers)
    if wanted.form == "csv":
        return found.to_csv(index=False, lineterminator="\n")
    return WRITERS[wanted.form](comparison(found))


def _page(shown: Summary | Diagnosis) -> Page:
    return performance(shown) if isinstance(shown, Summary) else work(shown)


class _Column(NamedTuple):
    place: int
    head: tuple[str, str]
    number: int
    width: int


class _Form(NamedTuple):
    """How the text is set: the same for every scenario, so that columns line up."""

    label: int
    gap: int
    width: int
    is_inline: bool
    panels: tuple[tuple[_Column, ...], ...]


def _form(labels: Sequence[str], found: Sequence[Section], width: int) -> _Form:
    rows = [row for section in found for group in section.groups for row in group.rows]
    for is_inline, gap in ((True, 2), (False, 2), (False, 1)):
        label = 1 + max((len(part) for row in rows for part in _labels(row, is_inline=is_inline)), default=0)
        columns = [_column(place, head, rows, is_inline=is_inline) for place, head in enumerate(labels)]
        total = label + sum(gap + column.width for column in columns)
        if total <= width:
            return _Form(label, gap, total, is_inline, (tuple(columns),))
    panels = tuple(_panels(columns, width - label))
    return _Form(label, 1, max(width, _NARROWEST_RULE), False, panels)


def _column(place: int, label: str, rows: Sequence[Row], *, is_inline: bool) -> _Column:
    above, _, below = label.partition("\n")
    head = (above, below) if below else ("", above)
    number = max((len(row.cells[place].number) for row in rows), default=0)
    error = max((len(row.cells[place].error) for row in rows), default=0)
    content = number + 1 + error if is_inline else max(number + 1, error)
    return _Column(place, head, number, max(content, *(len(part) for part in head)))


def _panels(columns: Sequence[_Column], room: int) -> Iterator[tuple[_Column, ...]]:
    """Yield runs of columns that fit into the room, at least one column each."""
    panel: list[_Column] = []
    for column in columns:
        if panel and sum(1 + one.width for one in [*panel, column]) > room:
            yield tuple(panel)
            panel = []
        panel.append(column)
    yield tuple(panel)


def _panel(section: Section, columns: Sequence[_Column], form: _Form, *, opens: bool) -> Iterator[str]:
    """Yield a scenario's lines for some measures; the outcome is said in the first panel only."""
    for level in (0, 1):
        yield _line("", form, [(column.head[level], column.width) for column in columns])
    for group in section.groups:
        if opens or group.rows:
            heading = f"{group.estimator}   {group.outcome}" if opens else group.estimator
            yield from _wrapped(heading, form.width)
        for row in group.rows:
            yield from _row(row, columns, form)
            if opens and row.note:
                yield f"    {row.note}"


def _row(row: Row, columns: Sequence[_Column], form: _Form) -> Iterator[str]:
    cells = [(row.cells[column.place], column.width) for column in columns]
    labels = _labels(row, is_inline=form.is_inline)
    if form.is_inline:
        yield _line(labels[0], form, [(str(cell), width) for cell, width in cells])
    else:
        yield _line(labels[0], form, [(f"{cell.number} ", width) for cell, width in cells])
        yield _line(labels[1], form, [(cell.error, width) for cell, width in cells])


def _labels(row: Row, *, is_inline: bool) -> tuple[str, str]:
    """Return what stands before a row's numbers, and before their errors when these stand below."""
    truth = f"true {row.truth}" if row.truth else ""
    if is_inline:
        return f"  {row.parameter} ({truth})" if truth else f"  {row.parameter}", ""
    return f"  {row.parameter}", f"    {truth}"


def _line(label: str, form: _Form, cells: Sequence[tuple[str, int]]) -> str:
    return label.ljust(form.label) + "".join(" " * form.gap + cell.rjust(width) for cell, width in cells)


def _wrapped(line: str, width: int) -> list[str]:
    """Return lines broken at spaces only: names and numbers stay whole."""
    folder = textwrap.TextWrapper(
        width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return folder.wrap(line)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _piped(cells: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(_escaped(cell) if escape else cell for cell in cells)} |"
