"""Tables as rows and columns that every format writes alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import isnan
from typing import NamedTuple

import pandas as pd
import xarray as xr

from blpsim.checks import check
from blpsim.errors import ConfigurationError
from blpsim.report.diagnostics import work
from blpsim.report.layout import Page, names_along, notes, opening, performance, truth_of
from blpsim.report.numbers import NOTHING, Cell, rounded, shown, with_error
from blpsim.summary.compare import Comparison
from blpsim.summary.diagnostics import Diagnosis
from blpsim.summary.measures import Measure
from blpsim.summary.summarize import Summary

DIMENSIONS = ("scenario", "estimator", "parameter", "measure")


class Line(NamedTuple):
    """One row of a table."""

    labels: tuple[str, ...]
    """What it is of."""
    cells: tuple[Cell, ...]
    """Its numbers."""


class Grid(NamedTuple):
    """A table, before it is in some format."""

    title: str
    """What it is of."""
    labels: tuple[str, ...]
    """Heads of the columns that say what a row is of."""
    heads: tuple[tuple[str, ...], ...]
    """Heads of the columns of numbers, from the outermost level to the innermost."""
    lines: tuple[Line, ...]
    """Its rows."""
    notes: tuple[str, ...]
    """What a reader must know to read the numbers: how estimations ended, then what numbers mean."""


def whole(found: Summary | Diagnosis) -> Grid:
    """Return the table with a row a scenario, estimator and parameter, and a column a measure."""
    page = performance(found) if isinstance(found, Summary) else work(found)
    labels = ("scenario", *page.labels)
    lines = [
        Line((section.scenario, group.estimator, row.parameter, row.truth)[: len(labels)], row.cells)
        for section in page.sections
        for group in section.groups
        for row in group.rows
    ]
    heads = (tuple(" ".join(head.split("\n")) for head in page.heads),)
    doubts = found.warnings if isinstance(found, Summary) else ()
    said = (*_outcomes(page), *_flat(page.notes), *doubts)
    return Grid(page.opening[0], labels, heads, tuple(lines), said)


def pivot(summary: Summary, rows: Sequence[str], columns: Sequence[str]) -> Grid:
    """Return the table with chosen dimensions along its rows, and the others along its columns.

    rows, columns  scenario, estimator, parameter and measure, each once; the first is the outermost. One
                   that is in neither must have a single name, which the title then says

    Rows and columns without any number are left out.

    Raises
    ------
    ConfigurationError
        If a dimension is unknown, named twice, or left out although it has several names.
    """
    left_out = _left_out(summary.dataset, rows, columns)
    dataset = summary.dataset
    names = {name: list(names_along(dataset, name)) for name in DIMENSIONS}
    measures = {measure.name: measure for measure in summary.measures}
    single = {name: names[name][0] for name in left_out}
    across = [
        single | dict(zip(columns, place, strict=True)) for place in product(*(names[c] for c in columns))
    ]
    across = [place for place in across if _is_there(dataset, place)]
    lines = []
    for place in product(*(names[row] for row in rows)):
        here = dict(zip(rows, place, strict=True))
        if not _is_there(dataset, single | here):
            continue
        cells = tuple(_cell(dataset, measures, here | column) for column in across)
        lines.append(Line(_row_labels(dataset, here, single, measures), cells))
    labels = (*rows, "truth") if _has_truth(rows, single) else tuple(rows)
    heads = tuple(tuple(_label(column, place[column], measures) for place in across) for column in columns)
    title = ", ".join([opening(dataset)[0], *(_label(name, single[name], measures) for name in left_out)])
    said = (*_outcomes(performance(summary)), *_flat(notes(summary)), *summary.warnings)
    return Grid(title, labels, heads, tuple(lines), said)


def comparison(table: pd.DataFrame, title: str = "published and reproduced") -> Grid:
    """Return the table of published numbers beside reproduced ones, from what ``beside`` gives."""
    lines = []
    names = table[list(DIMENSIONS)].astype(str).to_numpy().tolist()
    columns = ["published", "published_mcse", "value", "mcse", "z", "used", "attempted"]
    for labels, row in zip(names, table[columns].to_numpy(dtype=float).tolist(), strict=True):
        given, given_error, value, error, z, used, attempted = row
        numbers = (_given(given, given_error), with_error(value, error))
        apart = Cell(NOTHING if isnan(z) else rounded(z, 1), "")
        entered = Cell(NOTHING if isnan(used) else f"{used:,.0f} of {attempted:,.0f}", "")
        lines.append(Line(tuple(labels), (*numbers, apart, entered)))
    heads = (("published", "reproduced", "difference in SE", "used"),)
    said = (
        "(0.012) Monte Carlo standard error; a published number without one has the reproduction's",
        "the difference is over the root of the sum of both squared errors",
    )
    return Grid(title, DIMENSIONS, heads, tuple(lines), said)


def differences(found: Comparison) -> Grid:
    """Return the table of differences to a baseline, in percentage points where measures are shares."""
    shares = {measure.name: measure.is_proportion for measure in found.measures}
    labels = {measure.name: " ".join(measure.label.split("\n")) for measure in found.measures}
    keys = ["scenario", "estimator", "parameter"]
    wide = found.table.set_index([*keys, "measure"])[["difference", "difference_mcse"]]
    lines = []
    for place in dict.fromkeys(found.table[keys].itertuples(index=False, name=None)):
        cells = []
        for name, is_share in shares.items():
            scale, key = 100 if is_share else 1, (*place, name)
            pair = wide.loc[key].to_numpy(dtype=float) if key in wide.index else (float("nan"),) * 2
            cells.append(with_error(scale * float(pair[0]), scale * float(pair[1])))
        lines.append(Line(tuple(map(str, place)), tuple(cells)))
    lost = found.table[["used_alone", "baseline_used_alone"]].sum(axis=None)
    low, high = found.table["used"].min(), found.table["used"].max()
    said = [
        f"{low:,} replications have both" if low == high else f"{low:,} to {high:,} replications have both"
    ]
    said += ["replications of which only one is usable are left out"] if lost else []
    title = f"Differences to {found.baseline}"
    return Grid(title, tuple(keys), (tuple(labels.values()),), tuple(lines), tuple(said))


def _given(value: float, error: float) -> Cell:
    """Return a published number as it was published, when it is the only thing known of it."""
    return Cell(f"{value:g}", "") if isnan(error) else with_error(value, error)


def _left_out(dataset: xr.Dataset, rows: Sequence[str], columns: Sequence[str]) -> list[str]:
    check("rows", rows, Sequence[str])
    check("columns", columns, Sequence[str])
    for field, names in (("rows", rows), ("columns", columns)):
        for name in names:
            if name not in DIMENSIONS:
                expected = f"names among {', '.join(DIMENSIONS)}"
                raise ConfigurationError(field, name, expected, "these are what numbers differ by")
    both = [*rows, *columns]
    if not rows or not columns or len(set(both)) < len(both):
        why = "a table has rows and columns, and a number one place in it"
        raise ConfigurationError("rows and columns", ", ".join(both), "each dimension once, one in each", why)
    left_out = [name for name in DIMENSIONS if name not in both]
    for name in left_out:
        if dataset.sizes[name] != 1:
            why = f"there are {dataset.sizes[name]}; select one, or put it into rows or columns"
            raise ConfigurationError("rows and columns", ", ".join(both), f"a place for {name}", why)
    return left_out


def _is_there(dataset: xr.Dataset, place: dict[str, str]) -> bool:
    return bool(dataset["value"].sel(place).notnull().any())


def _cell(dataset: xr.Dataset, measures: dict[str, Measure], place: dict[str, str]) -> Cell:
    here = dataset[["value", "mcse", "lower", "upper"]].sel(place)
    value, mcse, lower, upper = (float(here[name]) for name in ("value", "mcse", "lower", "upper"))
    return shown(value, mcse, lower, upper, is_share=measures[place["measure"]].is_proportion)


def _label(dimension: str, name: str, measures: dict[str, Measure]) -> str:
    return " ".join(measures[name].label.split("\n")) if dimension == "measure" else name


def _has_truth(rows: Sequence[str], single: dict[str, str]) -> bool:
    """Return whether a row has one true value: its parameter and scenario are known."""
    return "parameter" in rows and ("scenario" in rows or "scenario" in single)


def _row_labels(
    dataset: xr.Dataset, here: dict[str, str], single: dict[str, str], measures: dict[str, Measure]
) -> tuple[str, ...]:
    labels = tuple(_label(name, value, measures) for name, value in here.items())
    if not _has_truth(tuple(here), single):
        return labels
    place = {name: value for name, value in (single | here).items() if name in ("scenario", "parameter")}
    return (*labels, truth_of(dataset[["truth", "truth_varies"]].sel(place)))


def _outcomes(page: Page) -> Iterator[str]:
    """Yield how every estimator's replications ended, one phrase for several that ended alike."""
    alike: dict[str, list[str]] = {}
    for section in page.sections:
        for group in section.groups:
            alike.setdefault(group.outcome, []).append(f"{section.scenario}, {group.estimator}")
    several = sum(len(names) for names in alike.values()) > 1
    for said, names in alike.items():
        everywhere = len(alike) == 1 and several
        yield f"everywhere: {said} each" if everywhere else f"{'; '.join(names)}: {said}"


def _flat(lines: Sequence[str]) -> Iterator[str]:
    yield from (" ".join(line.split()) for line in lines)
