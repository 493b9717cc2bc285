"""The page of a study: one HTML file that needs nothing else, neither files nor a network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from blpsim.checks import check
from blpsim.errors import StoreError
from blpsim.report import figures, tables
from blpsim.report.formats import html, latex
from blpsim.report.grid import Grid, Line, differences, whole
from blpsim.report.layout import names_along, opening, truth_of
from blpsim.report.narrative import aims, performed, runs, spelled_out
from blpsim.report.numbers import Cell
from blpsim.store.study import Study
from blpsim.summary.compare import compare
from blpsim.summary.diagnostics import diagnose
from blpsim.summary.failures import NOT_ATTEMPTED
from blpsim.summary.summarize import Summary, summarize

_SECTIONS = (
    ("design", "Design"),
    ("results", "Results"),
    ("figures", "Figures"),
    ("failures", "Failures"),
    ("provenance", "Provenance"),
    ("downloads", "Downloads"),
)
_MOST_KINDS, _LONGEST = 12, 300


def write(study: Study, folder: str | Path, forms: Sequence[figures.Format] = ()) -> Path:
    """Write a study's page, ``index.html``, into a folder, and return its path.

    study   a study that ``open_study`` opened
    folder  where to write; it is made where it is not there
    forms   formats in which figures are written, too, into ``figures`` beside the page

    Raises
    ------
    StoreError
        If the store lacks something, or the folder cannot be written.
    """
    check("study", study, Study)
    place = Path(folder)
    source = page(study)
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / "index.html").write_text(source, encoding="utf-8")
        if forms:
            figures.save(study, place / "figures", tuple(forms))
    except OSError as error:
        raise StoreError("output", str(place), "a folder to write into", str(error)) from error
    return place / "index.html"


def page(study: Study) -> str:
    """Return a study's page as HTML."""
    summary, design = summarize(study), study.design
    dataset = summary.dataset
    title, ended = opening(dataset)
    description = design.description
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    source = files("blpsim.report").joinpath("templates/page.html").read_text(encoding="utf-8")
    names = list(names_along(dataset, "estimator"))
    apart = _differences(study, names[0]) if len(names) > 1 else None
    said = performed(summary)
    return environment.from_string(source).render(
        title=design.name,
        version=version("blpsim"),
        opening=title,
        ended=ended,
        sections=_SECTIONS,
        warnings=summary.warnings,
        aims=aims(_source(study)),
        scenarios=description.get("scenarios", {}),
        estimators=description.get("estimators", {}),
        described=_definitions,
        scrolled=_scrolled,
        mechanisms=said.mechanisms,
        estimands=said.estimands,
        methods=said.methods,
        performance=said.performance,
        truths=_truths(summary),
        results=whole(summary),
        differences=apart,
        baseline=names[0],
        figures=_figures(study),
        statuses=_statuses(summary),
        failures=list(_failures(study)),
        work=whole(diagnose(study)),
        provenance=[*runs(design, study.provenance)],
        downloads=list(_downloads(study, summary)),
    )


def _scrolled(grid: Grid, label: str) -> str:
    """Return a table that scrolls by itself where it is too wide, and its notes."""
    table, _, notes = html(grid).partition("</table>")
    head = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
    return head + table + "</table></div>" + notes.replace("<ul>", '<ul class="notes">', 1)


def _definitions(parts: Mapping[str, Any]) -> str:
    """Return parts of a design, a line each of their fields."""
    rows = []
    for name, value in parts.items():
        fields = "".join(f"<li>{_field(*field)}</li>" for field in spelled_out(value))
        rows.append(f"<dt>{escape(name)}</dt><dd><ul>{fields}</ul></dd>")
    return f'<dl class="design">{"".join(rows)}</dl>' if parts else ""


def _field(name: str, value: str) -> str:
    return f"<b>{escape(name)}</b> {escape(value)}" if name else escape(value)


def _figures(study: Study) -> Iterator[dict[str, str]]:
    for drawing in figures.drawings(study):
        data = b64encode(figures.written(drawing.draw(), "svg")).decode()
        yield {"title": drawing.title, "caption": drawing.caption, "data": data}


def _differences(study: Study, baseline: str) -> Grid | None:
    found = compare(study, baseline, measures=("median_bias", "rmse", "coverage"))
    return None if found.table.empty else differences(found)


def _truths(summary: Summary) -> Grid:
    """Return the true values, a row a parameter, a column a scenario."""
    scenarios = list(names_along(summary.dataset, "scenario"))
    lines = []
    for parameter in names_along(summary.dataset, "parameter"):
        here = summary.dataset[["truth", "truth_varies"]].sel(parameter=parameter)
        truths = [truth_of(here.sel(scenario=scenario)) for scenario in scenarios]
        if any(truths):
            lines.append(Line((parameter,), tuple(Cell(truth or "-", "") for truth in truths)))
    varies = bool(summary.dataset["truth_varies"].any())
    notes = ("~1 the truth differs by replication, this is its mean",) if varies else ()
    return Grid("True values", ("parameter",), (tuple(scenarios),), tuple(lines), notes)


def _statuses(summary: Summary) -> Grid:
    """Return how many replications ended how, a row a scenario and estimator."""
    counts = summary.dataset["count"].transpose("scenario", "estimator", "status")
    occurred = [name for name in names_along(counts.to_dataset(name="count"), "status")]
    occurred = [name for name in occurred if int(counts.sel(status=name).sum())]
    lines = []
    for scenario in names_along(summary.dataset, "scenario"):
        for estimator in names_along(summary.dataset, "estimator"):
            here = summary.dataset.sel(scenario=scenario, estimator=estimator)
            rate, low, high = (100 * float(here[f"convergence{end}"]) for end in ("", "_lower", "_upper"))
            used = f"{rate:.1f}" if rate == rate else "-"
            bounds = f"({low:.1f} to {high:.1f})" if rate == rate else ""
            each = [Cell(str(int(here["count"].sel(status=name))), "") for name in occurred]
            numbers = (Cell(str(int(here["attempted"])), ""), Cell(str(int(here["usable"])), ""))
            lines.append(Line((scenario, estimator), (*numbers, Cell(used, bounds), *each)))
    heads = ("attempted", "used", "used, %", *(name.replace("_", " ") for name in occurred))
    waiting = ", ".join(name.replace("_", " ") for name in NOT_ATTEMPTED)
    notes = (f"in parentheses Wilson's 95 % interval; {waiting} are not attempted",)
    return Grid("How replications ended", ("scenario", "estimator"), (heads,), tuple(lines), notes)


def _failures(study: Study) -> Iterator[dict[str, str]]:
    """Yield kinds of failures, most frequent first, each with the command that replays its first one."""
    frame = study.failures
    if frame.empty:
        return
    keys = [name for name in ("estimator", "status", "exception", "message") if name in frame]
    kinds = frame.fillna("").groupby(keys, sort=False)
    for kind, found in sorted(kinds, key=lambda pair: -len(pair[1]))[:_MOST_KINDS]:
        said = dict(zip(keys, map(str, kind if isinstance(kind, tuple) else (kind,)), strict=True))
        what = ", ".join(said[name] for name in keys if name != "message" and said[name])
        message = said.get("message", "")[:_LONGEST]
        replay = str(found["replay"].iloc[0]) if "replay" in found else ""
        yield {"count": f"{len(found):,}", "what": what, "message": message, "replay": replay}
    if len(kinds) > _MOST_KINDS:
        rest = f"kinds more, in the store's failures.jsonl: {len(frame):,} failures in all"
        yield {"count": str(len(kinds) - _MOST_KINDS), "what": rest, "message": "", "replay": ""}


def _source(study: Study) -> str:
    """Return what the design file said, of which the store keeps a copy."""
    try:
        return (study.path / "design.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _downloads(study: Study, summary: Summary) -> Iterator[dict[str, str]]:
    every = summarize(study, measures=["all"])
    texts = [
        ("measures.csv", "text/csv", "all measures in full precision", tables.csv(every)),
        ("diagnostics.csv", "text/csv", "evaluations, failures and time", tables.csv(diagnose(study))),
        ("results.tex", "application/x-tex", "the table of results in LaTeX", latex(whole(summary))),
        (
            "design.json",
            "application/json",
            "the design's values",
            json.dumps(study.design.as_json(), indent=1),
        ),
        ("provenance.json", "application/json", "every run", json.dumps(study.provenance, indent=1)),
    ]
    if source := _source(study):
        texts.append(("design.py", "text/x-python", "the design file", source))
    for name, kind, what, content in texts:
        yield {"name": name, "kind": kind, "what": what, "data": b64encode(content.encode()).decode()}
