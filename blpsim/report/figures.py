"""Figures of a study: small multiples of plots, to be shown, or written as SVG, PDF and PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from blpsim.report import plots
from blpsim.report.layout import names_along
from blpsim.summary.sample import Sample
from blpsim.summary.summarize import HasResults, Summary, labelled, samples, summarize

STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "blpsim",
    "pdf.fonttype": 42,
}
"""How figures look; a notebook may take it, too: ``with matplotlib.rc_context(figures.STYLE)``."""
Format = Literal["svg", "pdf", "png"]
_MOST_ACROSS, _WIDTH, _HEIGHT = 4, 1.75, 0.17
_MEASURES = ("bias", "rmse", "coverage")
_TITLES = {"bias": "Bias", "rmse": "Root mean squared error", "coverage": "Coverage, %"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure that a study has."""

    name: str
    """What its file is called."""
    title: str
    """What it shows."""
    caption: str
    """How to read it."""
    draw: Callable[[], Figure]
    """Draws it."""


def drawings(study: HasResults | xr.Dataset) -> Iterator[Drawing]:
    """Yield the figures of a study, scenario by scenario, then those of all scenarios.

    study  a study, or the dataset of its published store

    Raises
    ------
    StoreError
        If the dataset lacks a variable, or a status has no meaning.
    """
    results = labelled(study, ("estimate", "standard_error", "truth", "status"))
    summary = summarize(results, measures=_MEASURES)
    level = float(summary.dataset.attrs["level"])
    cells = {place: cell for *place_, cell in samples(results, level) for place in [tuple(place_)]}
    names = list(names_along(summary.dataset, "scenario"))
    for row, scenario in enumerate(names):
        here = {column: cell for (at, column), cell in cells.items() if at == row}
        yield from _of_scenario(summary, scenario, here, several=len(names) > 1)
    if len(names) > 1:
        for measure in _MEASURES:
            caption = "Steps are scenarios, in the order of what varies between them, which is drawn below."
            title = f"{_TITLES[measure]} over scenarios"
            draw = partial(nested_loops, summary, measure)
            yield Drawing(name=f"scenarios-{measure}", title=title, caption=caption, draw=draw)
    yield Drawing(
        name="work",
        title="What estimations took",
        caption="Boxes are quartiles over all attempted replications, whiskers reach to 5 and 95 %.",
        draw=partial(work, results),
    )
    yield Drawing(
        name="convergence",
        title="Share of attempted replications that are used, %",
        caption="Used are replications that converged, were evaluated, or ended at the limit of precision.",
        draw=partial(convergence, summary),
    )


def _of_scenario(
    summary: Summary, scenario: str, cells: dict[int, Sample], *, several: bool
) -> Iterator[Drawing]:
    prefix, suffix = (f"{_file(scenario)}-", f": {scenario}") if several else ("", "")
    bars = "Bars are 95 % Monte Carlo intervals; the dashed line is where a perfect estimator would be."
    for measure in _MEASURES:
        draw = partial(performance, summary, measure, scenario)
        caption = bars if measure != "rmse" else bars.partition(";")[0] + "."
        yield Drawing(name=f"{prefix}{measure}", title=_TITLES[measure] + suffix, caption=caption, draw=draw)
    yield Drawing(
        name=f"{prefix}densities",
        title=f"Densities of errors{suffix}",
        caption="Kernel densities of estimates minus truth, within 99 % of them.",
        draw=partial(densities, summary, scenario, cells),
    )
    yield Drawing(
        name=f"{prefix}quantiles",
        title=f"t statistics against the normal{suffix}",
        caption="Quantiles of errors over their standard errors, which tests take to lie on the dashed line.",
        draw=partial(quantiles, summary, scenario, cells),
    )
    yield Drawing(
        name=f"{prefix}intervals",
        title=f"Confidence intervals{suffix}",
        caption="Every interval minus the truth, the further off the higher. Those that miss the truth are "
        "orange, and should begin at the dashed line.",
        draw=partial(intervals, summary, scenario, cells),
    )


def performance(summary: Summary, measure: str, scenario: str) -> Figure:
    """Return a measure of all estimators, a panel a parameter."""
    names = _estimated(summary, scenario)
    count = summary.dataset.sizes["estimator"]

    def draw(axes: Axes, parameter: str) -> None:
        plots.performance(summary, measure, scenario, parameter, axes)

    return _multiples(names, draw, 0.62 + _HEIGHT * count)


def densities(summary: Summary, scenario: str, cells: dict[int, Sample]) -> Figure:
    """Return densities of errors, a panel a parameter, a line an estimator."""
    return _overlaid(summary, scenario, cells, (plots.densities, "marker", "estimate minus truth"))


def quantiles(summary: Summary, scenario: str, cells: dict[int, Sample]) -> Figure:
    """Return normal quantile plots of t statistics, a panel a parameter."""
    return _overlaid(summary, scenario, cells, (plots.quantiles, "marker", "normal quantile"))


def intervals(summary: Summary, scenario: str, cells: dict[int, Sample]) -> Figure:
    """Return zip plots, a panel a parameter, in which estimators lie above each other."""
    places = {name: place for place, name in enumerate(names_along(summary.dataset, "parameter"))}
    estimators = list(names_along(summary.dataset, "estimator"))

    def draw(axes: Axes, parameter: str) -> None:
        shown = {estimators[place]: one(cell, places[parameter]) for place, cell in cells.items()}
        plots.intervals(shown, axes)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_title(parameter)

    return _multiples(_estimated(summary, scenario), draw, 0.62 + 0.38 * len(cells))


def nested_loops(summary: Summary, measure: str) -> Figure:
    """Return a measure over scenarios, a panel a parameter."""
    names = [name for name in names_along(summary.dataset, "parameter") if _has(summary, name)]
    factors = sum(values.dims == ("scenario",) for values in summary.dataset.coords.values()) - 1

    def draw(axes: Axes, parameter: str) -> None:
        plots.nested_loop(summary, measure, parameter, axes)

    return _multiples(names, draw, 2.0 + 0.2 * factors, legend=_legend(summary), across=2, width=3.5)


def work(study: HasResults | xr.Dataset) -> Figure:
    """Return what estimations took: seconds, evaluations of the objective and of inversions' mappings."""
    results = labelled(study, ("status",))
    heads = {
        "seconds": "seconds",
        "objective_evaluations": "objective evaluations",
        "inversion_evaluations": "inversion evaluations",
    }
    shown = {name: head for name, head in heads.items() if name in results}
    estimators = list(names_along(results, "estimator"))

    def draw(axes: Axes, name: str) -> None:
        values = results[name].transpose("estimator", ...).to_numpy().reshape(len(estimators), -1)
        plots.distributions(dict(zip(estimators, values, strict=True)), axes)
        axes.set_title(shown[name])

    return _multiples(list(shown), draw, 0.62 + 0.22 * len(estimators), across=3, width=2.1)


def convergence(summary: Summary) -> Figure:
    """Return which share of attempted replications is used, scenarios by estimators."""
    rows, columns = (summary.dataset.sizes[name] for name in ("scenario", "estimator"))
    with rc_context(STYLE):
        figure = Figure(figsize=(2.0 + 0.62 * columns, 1.3 + 0.32 * rows), layout="constrained")
        plots.convergence_map(summary, figure.add_subplot())
    return figure


def one(cells: Sample, parameter: int) -> Sample:
    """Return one parameter of a sample of several, arrays (n,)."""
    return Sample(
        cells.error[parameter],
        cells.spread[parameter],
        cells.standard_error[parameter],
        cells.critical,
        cells.estimate[parameter],
        cells.truth[parameter],
        cells.at_bound[parameter],
    )


def written(figure: Figure, form: Format) -> bytes:
    """Return a figure's file, the same bytes for the same numbers."""
    metadata: dict[str, dict[str, str | None]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
    }
    buffer = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format=form, metadata=metadata[form])
    return buffer.getvalue()


def save(
    study: HasResults | xr.Dataset, folder: str | Path, forms: tuple[Format, ...] = ("svg", "pdf")
) -> list[Path]:
    """Write all figures of a study into a folder, and return their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for drawing in drawings(study):
        figure = drawing.draw()
        for form in forms:
            paths.append(folder / f"{drawing.name}.{form}")
            paths[-1].write_bytes(written(figure, form))
    return paths


def _multiples(
    names: list[str],
    draw: Callable[[Axes, str], None],
    height: float,
    *,
    legend: tuple[list[Line2D], list[str]] | None = None,
    below: str = "",
    across: int = _MOST_ACROSS,
    width: float = _WIDTH,
) -> Figure:
    """Return a figure with a panel a name, so many side by side; panels without a name stay empty."""
    columns = min(max(len(names), 1), across)
    rows = max(ceil(len(names) / columns), 1)
    with rc_context(STYLE):
        room = (0.22 * ceil(len(legend[1]) / 3) if legend else 0.0) + (0.2 if below else 0.0)
        figure = Figure(figsize=(0.9 + width * columns, height * rows + room), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey="row" if legend is None else "none")
        for axes, name in zip(grid.flat, names, strict=False):
            draw(axes, name)
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        if legend:
            figure.legend(
                *legend, loc="outside lower center", ncols=3, frameon=False, fontsize=7, title=below
            )
    return figure


def _overlaid(
    summary: Summary, scenario: str, cells: dict[int, Sample], kind: tuple[Callable[..., Axes], str, str]
) -> Figure:
    """Return a panel a parameter with all estimators; kind: the plot, what it does not draw, its abscissa."""
    plot, without, below = kind
    names = _estimated(summary, scenario)
    places = {name: place for place, name in enumerate(names_along(summary.dataset, "parameter"))}
    estimators = list(names_along(summary.dataset, "estimator"))
    looks = {name: place for place, name in enumerate(estimators)}

    def draw(axes: Axes, parameter: str) -> None:
        shown = {estimators[place]: one(cell, places[parameter]) for place, cell in cells.items()}
        plot({name: cell for name, cell in shown.items() if not np.isnan(cell.spread).all()}, axes, looks)
        axes.set_title(parameter)

    return _multiples(names, draw, 1.45, legend=_legend(summary, without), below=below)


def _legend(summary: Summary, *without: str) -> tuple[list[Line2D], list[str]]:
    """Return what tells estimators apart, without the marker or the linestyle that is not drawn."""
    names = list(names_along(summary.dataset, "estimator"))
    looks = (plots.look(place) | dict.fromkeys(without, "none") for place in range(len(names)))
    return [Line2D([], [], markersize=3, **look) for look in looks], names


def _estimated(summary: Summary, scenario: str) -> list[str]:
    here = summary.dataset["estimates"].sel(scenario=scenario)
    return [
        name for name in names_along(summary.dataset, "parameter") if (here.sel(parameter=name) > 1).any()
    ]


def _has(summary: Summary, parameter: str) -> bool:
    return bool(summary.dataset["value"].sel(parameter=parameter).notnull().any())


def _file(name: str) -> str:
    """Return a name that a file may have."""
    return "".join(character if character.isalnum() else "-" for character in name).strip("-") or "scenario"
