"""What a table of performance says, before it is text or markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import xarray as xr

from blpsim.report.numbers import Cell, shown
from blpsim.summary.failures import NOT_ATTEMPTED, USED, failures
from blpsim.summary.measures import Measure
from blpsim.summary.summarize import Summary


class Row(NamedTuple):
    """One parameter of one estimator."""

    parameter: str
    """Its name."""
    truth: str
    """Its true value; the mean after "~" where it differs by replication; empty where there is none."""
    note: str
    """What its numbers lack, empty when they come from all usable replications."""
    cells: tuple[Cell, ...]
    """Its measures."""


class Group(NamedTuple):
    """One estimator in one scenario."""

    estimator: str
    """Its name."""
    outcome: str
    """How many replications were attempted and used, and how the others failed."""
    rows: tuple[Row, ...]
    """Its parameters; none when no replication is usable."""


class Section(NamedTuple):
    """One scenario."""

    scenario: str
    """Its name."""
    groups: tuple[Group, ...]
    """Its estimators."""


class Page(NamedTuple):
    """All that a table says."""

    opening: tuple[str, str]
    """What the study is, and how its estimations ended."""
    labels: tuple[str, ...]
    """What the columns before the numbers of a row hold."""
    heads: tuple[str, ...]
    """What the columns of numbers hold, with line breaks where heads may be broken."""
    sections: tuple[Section, ...]
    """What is said of every scenario."""
    notes: tuple[str, ...]
    """What a reader must know to read the numbers."""


def performance(summary: Summary) -> Page:
    """Return the page of the measures of performance."""
    labels = ("estimator", "parameter", "truth")
    return Page(opening(summary.dataset), labels, heads(summary), sections(summary), notes(summary))


def heads(summary: Summary) -> tuple[str, ...]:
    """Return the measures' labels, with line breaks where they may be broken."""
    return tuple(measure.label for measure in summary.measures)


def sections(summary: Summary) -> tuple[Section, ...]:
    """Return what to say of every scenario; estimators that nobody asked for are left out."""
    dataset = summary.dataset.transpose("scenario", "estimator", "parameter", "measure", ...)
    found = []
    for scenario in names_along(dataset, "scenario"):
        here = dataset.sel(scenario=scenario)
        groups = (
            _group(here.sel(estimator=name), name, summary.measures)
            for name in names_along(here, "estimator")
        )
        found.append(Section(scenario, tuple(group for group in groups if group.outcome)))
    return tuple(found)


def opening(dataset: xr.Dataset) -> tuple[str, str]:
    """Return what the study is, and how all its estimations ended."""
    sizes = [f"{_count(dataset.sizes[name], name)}" for name in ("scenario", "estimator")]
    sizes.append(_count(int(dataset.attrs["replications"]), "replication"))
    seed = f", seed {dataset.attrs['seed']}" if "seed" in dataset.attrs else ""
    counts = dataset["count"].sum(["scenario", "estimator"])
    return f"{dataset.attrs.get('title', 'study')}: {', '.join(sizes)}{seed}", _ended(counts)


def notes(summary: Summary) -> tuple[str, ...]:
    """Return what a reader must know to read the numbers."""
    dataset = summary.dataset
    level = f"{100 * dataset.attrs['level']:g}"
    shares = [measure.name for measure in summary.measures if measure.is_proportion]
    all_or_none = (dataset["mcse"] == 0) & dataset["measure"].isin(shares) & dataset["estimated"]
    varying = dataset["truth_varies"] & dataset["estimated"]
    usable = f"{', '.join(USED[:-1])} or {USED[-1]}"
    lines = {
        "(0.012)  Monte Carlo standard error, to two digits; values are shown as far as it allows": True,
        "[>97.5]  end of Wilson's 95 % interval, where all intervals cover or none": all_or_none.any(),
        "true ~1  the truth differs by replication, this is its mean": varying.any(),
        f"coverage is that of {level} % confidence intervals; a rate of use has Wilson's 95 % interval": True,
        f"used are estimations that ended {usable}; no other enters a number": True,
        "replications enter of which all of a scenario's estimators are usable": dataset.attrs["common"],
    }
    return tuple(line for line, applies in lines.items() if applies)


def _group(here: xr.Dataset, estimator: str, measures: tuple[Measure, ...]) -> Group:
    usable = int(here["usable"])
    names = [name for name in names_along(here, "parameter") if bool(here["estimated"].sel(parameter=name))]
    rows = (_row(here.sel(parameter=name), name, measures) for name in names if usable)
    return Group(estimator, outcome(here), tuple(rows))


def _row(here: xr.Dataset, parameter: str, measures: tuple[Measure, ...]) -> Row:
    columns = (here[name].to_numpy().tolist() for name in ("value", "mcse", "lower", "upper"))
    cells = tuple(
        shown(value, mcse, lower, upper, is_share=measure.is_proportion)
        for measure, value, mcse, lower, upper in zip(measures, *columns, strict=True)
    )
    return Row(parameter, truth_of(here), _lacking(here), cells)


def truth_of(here: xr.Dataset) -> str:
    """Return a parameter's true value, the mean after "~" where it varies, nothing where there is none."""
    truth = f"{float(here['truth']):.4g}".replace("nan", "")
    return f"~{truth}" if bool(here["truth_varies"]) else truth


def _lacking(here: xr.Dataset) -> str:
    """Return how many replications lack an estimate or its standard error, and what to doubt."""
    usable, estimates, errors = (int(here[name]) for name in ("entering", "estimates", "standard_errors"))
    lacks = {"no estimate": usable - estimates, "no standard error": estimates - errors}
    parts = [f"{count:,} with {what}" for what, count in lacks.items() if count]
    if bool(here["doubtful"]):
        parts.append(
            f"one replication is {100 * float(here['dominance']):.0f} % of squared errors: see medians"
        )
    return ", ".join(parts)


def outcome(here: xr.Dataset) -> str:
    """Return how many of an estimator's replications were used, and how the others failed."""
    attempted, usable = int(here["attempted"]), int(here["usable"])
    pending = int(here["count"].sel(status="pending").sum()) if "pending" in here["status"] else 0
    waiting = [f"{pending:,} not run yet"] if pending else []
    if not attempted:
        return "; ".join(waiting)
    rate, lower, upper = (100 * float(here[f"convergence{end}"]) for end in ("", "_lower", "_upper"))
    phrases = [f"{usable:,} of {attempted:,} used: {rate:.1f} % ({lower:.1f} to {upper:.1f})"]
    failed = failures(here["count"])
    return "; ".join([*phrases, *([_listed(failed)] if failed else []), *waiting])


def _ended(counts: xr.DataArray) -> str:
    """Return how many estimations were attempted, used, failed and are to come."""
    total = {str(name): int(counts.sel(status=name)) for name in counts["status"].to_numpy()}
    used = {name: total[name] for name in USED if total.get(name)}
    failed = failures(counts)
    attempted = sum(used.values()) + sum(failed.values())
    text = f"{_count(attempted, 'estimation')} attempted: {_listed(used) or 'none usable'}"
    text += f"; {sum(failed.values()):,} failed ({_listed(failed)})" if failed else "; none failed"
    waiting = total.get(NOT_ATTEMPTED[0], 0)
    return text + (f"; {waiting:,} not run yet" if waiting else "")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def names_along(dataset: xr.Dataset, dimension: str) -> Iterator[str]:
    """Yield the names along a dimension."""
    yield from (str(name) for name in dataset[dimension].to_numpy())
