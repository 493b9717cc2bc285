"""What a table of diagnostics says, before it is text or markdown."""

from __future__ import annotations

import xarray as xr

from blpsim.report.layout import Group, Page, Row, Section, names_along, opening, outcome
from blpsim.report.numbers import shown
from blpsim.summary.diagnostics import DIAGNOSTICS, STATISTICS, Diagnosis
from blpsim.summary.measures import wilson

_SHARES = {diagnostic.name for diagnostic in DIAGNOSTICS if diagnostic.is_proportion}
_NOTES = (
    "(0.012)  Monte Carlo standard error, to two digits; values are shown as far as it allows",
    "[>97.5]  end of Wilson's 95 % interval, where all replications are counted or none",
    "all estimations that were attempted enter, failed ones, too, as far as they have the number",
    "evaluations are those of all starts and steps, Hessians included; of inversions, those of all markets",
)


def work(diagnosis: Diagnosis) -> Page:
    """Return the page of what estimations took, and how they ended."""
    dataset = diagnosis.dataset
    shown = [bool(dataset["used"].sel(diagnostic=each.name).any()) for each in DIAGNOSTICS]
    found = tuple(each for each, some in zip(DIAGNOSTICS, shown, strict=True) if some)
    names = [each.name for each in found]
    sections = []
    for scenario in names_along(dataset, "scenario"):
        here = dataset.sel(scenario=scenario, diagnostic=names)
        groups = (_group(here.sel(estimator=name), name) for name in names_along(here, "estimator"))
        sections.append(Section(scenario, tuple(group for group in groups if group.outcome)))
    heads = tuple(each.label for each in found)
    return Page(opening(dataset), ("estimator", "statistic"), heads, tuple(sections), _NOTES)


def _group(here: xr.Dataset, estimator: str) -> Group:
    rows = (_row(here.sel(statistic=name), name) for name in STATISTICS if int(here["attempted"]))
    return Group(estimator, outcome(here), tuple(rows))


def _row(here: xr.Dataset, statistic: str) -> Row:
    lower, upper = wilson(here["value"].to_numpy(), here["used"].to_numpy())
    columns = (here[name].to_numpy().tolist() for name in ("diagnostic", "value", "mcse"))
    cells = []
    for name, value, mcse, low, high in zip(*columns, lower.tolist(), upper.tolist(), strict=True):
        cells.append(shown(value, mcse, low, high, is_share=name in _SHARES))
    return Row(statistic, "", "", tuple(cells))
