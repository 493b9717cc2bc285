"""Plots of one panel each: they take what is to be shown and the Axes to draw on, and return these Axes.

Without Axes they make a figure of their own, which a notebook shows. Colours are those of Okabe and Ito,
which people with any colour vision tell apart; markers and dashes say the same without colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import ndtri

from blpsim.arrays import Vector
from blpsim.report.layout import names_along
from blpsim.summary.sample import Sample
from blpsim.summary.summarize import Summary

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DASHES = ("-", "--", "-.", ":")
_Z = NormalDist().inv_cdf(0.975)
_GREY, _FEWEST, _SHOWN = "0.55", 5, (0.005, 0.995)
_MUCH, _ZIP = 20, 0.9


def look(place: int) -> dict[str, Any]:
    """Return the colour, marker and dashes of the place-th of several things."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": DASHES[place // len(COLOURS) % len(DASHES)],
    }


def own(axes: Axes | None) -> Axes:
    """Return the Axes, or those of a new figure."""
    return Figure(layout="constrained").add_subplot() if axes is None else axes


def performance(
    summary: Summary, measure: str, scenario: str, parameter: str, axes: Axes | None = None
) -> Axes:
    """Draw a measure of every estimator with its 95 % Monte Carlo interval, Wilson's for shares.

    A dashed line is where a perfect estimator would be: no bias, or coverage at the intervals' level.
    """
    axes = own(axes)
    chosen = next(one for one in summary.measures if one.name == measure)
    here = summary.dataset.sel(scenario=scenario, parameter=parameter, measure=measure)
    scale = 100 if chosen.is_proportion else 1
    value, error, low, high = (
        scale * here[name].to_numpy().astype(float) for name in ("value", "mcse", "lower", "upper")
    )
    if not chosen.is_proportion:
        low, high = value - _Z * error, value + _Z * error
    ideal = 100 * summary.dataset.attrs["level"] if measure == "coverage" else chosen.ideal
    if ideal is not None:
        axes.axvline(ideal, color=_GREY, linewidth=0.8, linestyle="--", zorder=0)
    for place in np.flatnonzero(~np.isnan(value)):
        style = look(int(place)) | {"linestyle": "none"}
        sides = np.maximum([[value[place] - low[place]], [high[place] - value[place]]], 0)
        sides = np.where(np.isnan(sides), 0, sides)
        axes.errorbar(value[place], place, xerr=sides, markersize=4, linewidth=1.2, capsize=2, **style)
    names = list(names_along(summary.dataset, "estimator"))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(parameter)
    return axes


def intervals(cells: Mapping[str, Sample], axes: Axes | None = None) -> Axes:
    """Draw confidence intervals about the truth as zips, one an estimator: the further off, the higher.

    cells  by estimator, arrays (n,)

    Intervals that miss the truth are coloured; by chance they are those above the dashed line at the level.
    """
    axes = own(axes)
    ends, missed, reach = [], [], [0.0]
    for place, cell in enumerate(cells.values()):
        known = ~(np.isnan(cell.error) | np.isnan(cell.standard_error)) & (cell.standard_error > 0)
        error, half = cell.error[known], cell.critical * cell.standard_error[known]
        order = np.argsort(np.abs(error) / half, kind="stable")
        error, half = error[order], half[order]
        height = place - (np.arange(len(error)) + 0.5) / max(len(error), 1) * _ZIP
        ends.append(np.stack([np.stack([error - half, height], -1), np.stack([error + half, height], -1)], 1))
        missed.append(np.abs(error) > half)
        reach += [float(np.quantile(np.abs(error) + half, 0.95))] if len(error) else []
        level = place - _ZIP * (2 * NormalDist().cdf(cell.critical) - 1)
        if len(error):
            axes.axhline(level, color="black", linewidth=0.7, linestyle="--")
    if cells:
        colours = np.where(np.concatenate(missed), COLOURS[1], COLOURS[0]).tolist()
        width = max(0.3, 40 / max(map(len, missed))) if max(map(len, missed)) else 1.0
        segments = list(np.concatenate(ends))
        axes.add_collection(LineCollection(segments, colors=colours, linewidths=width, rasterized=True))
    axes.axvline(0, color="black", linewidth=0.7)
    axes.set_yticks(np.arange(len(cells)) - _ZIP / 2, list(cells))
    axes.set_ylim(max(len(cells), 1) - 0.9, -1)
    if max(reach) > 0:
        axes.set_xlim(-max(reach), max(reach))
    axes.grid(visible=False)
    return axes


def densities(
    cells: Mapping[str, Sample], axes: Axes | None = None, looks: Mapping[str, int] | None = None
) -> Axes:
    """Draw kernel densities of estimators' errors, the middle 99 % of all of them; a line is at no error.

    cells  by estimator, arrays (n,)
    looks  the place that gives an estimator its colour; the order by default
    """
    axes = own(axes)
    found = {name: one[~np.isnan(one)] for name, one in ((name, cell.spread) for name, cell in cells.items())}
    found = {name: one[np.isfinite(one)] for name, one in found.items()}
    found = {name: one for name, one in found.items() if len(one) >= _FEWEST and np.ptp(one) > 0}
    if found:
        low, high = _range(list(found.values()))
        grid = np.linspace(low, high, 200)
        for place, (name, values) in enumerate(found.items()):
            style = look(looks[name] if looks else place)
            density = _density(values, grid)
            axes.plot(grid, density, color=style["color"], linestyle=style["linestyle"], label=name)
        axes.set_xlim(low, high)
    axes.axvline(0, color=_GREY, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    return axes


def quantiles(
    cells: Mapping[str, Sample], axes: Axes | None = None, looks: Mapping[str, int] | None = None
) -> Axes:
    """Draw quantiles of standardized t statistics against the normal's, where tests take them to lie.

    cells  by estimator, arrays (n,)
    looks  the place that gives an estimator its colour; the order by default

    A statistic is the error over its own standard error; where there is none, over the standard deviation.
    """
    axes = own(axes)
    axes.axline((0, 0), slope=1, color=_GREY, linewidth=0.8, linestyle="--", zorder=0)
    for place, (name, cell) in enumerate(cells.items()):
        statistic = _statistics(cell)
        if len(statistic) < _FEWEST:
            continue
        style = look(looks[name] if looks else place)
        normal = ndtri((np.arange(len(statistic)) + 0.5) / len(statistic))
        shown = np.unique(np.searchsorted(normal, np.linspace(normal[0], normal[-1], 50)))
        style["marker"] = "none"
        axes.plot(normal[shown], statistic[shown], label=name, **style)
    axes.set_xlim(-3.7, 3.7)
    axes.set_ylim(-5, 5)
    return axes


def nested_loop(summary: Summary, measure: str, parameter: str, axes: Axes | None = None) -> Axes:
    """Draw a measure over all scenarios as steps, one line an estimator, above what varies between them.

    The scenarios' factors are drawn as steps of their own at the bottom (Rucker and Schwarzer 2014).
    """
    axes = own(axes)
    dataset = summary.dataset
    chosen = next(one for one in summary.measures if one.name == measure)
    scale = 100 if chosen.is_proportion else 1
    order = _factor_order(dataset)
    here = dataset["value"].sel(parameter=parameter, measure=measure).isel(scenario=order)
    values = scale * here.transpose("estimator", "scenario").to_numpy().astype(float)
    edges = np.arange(len(order) + 1, dtype=np.float64) - 0.5
    for place, (name, row) in enumerate(zip(names_along(dataset, "estimator"), values, strict=True)):
        if not np.isnan(row).all():
            style = look(place)
            axes.stairs(
                row, edges, baseline=None, color=style["color"], linestyle=style["linestyle"], label=name
            )
            axes.plot(
                range(len(order)),
                row,
                color=style["color"],
                marker=style["marker"],
                markersize=3,
                linestyle="none",
            )
    ideal = 100 * dataset.attrs["level"] if measure == "coverage" else chosen.ideal
    if ideal is not None:
        axes.axhline(ideal, color=_GREY, linewidth=0.8, linestyle="--", zorder=0)
    _factor_steps(axes, dataset, order, edges)
    names = [name for name in np.array(list(names_along(dataset, "scenario")))[order]]
    axes.set_xticks(range(len(order)), names, rotation=30 if len("".join(names)) > 40 else 0, ha="center")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_title(parameter)
    return axes


def distributions(values: Mapping[str, Vector], axes: Axes | None = None) -> Axes:
    """Draw boxes of what estimations took: quartiles, and whiskers to 5 and 95 %.

    values  by estimator, a positive number a replication

    The scale is one of logarithms where numbers differ much.
    """
    axes = own(axes)
    found = [one[np.isfinite(one) & (one > 0)] for one in values.values()]
    for place, numbers in enumerate(found):
        if len(numbers):
            axes.boxplot(
                numbers,
                positions=[place],
                whis=(5, 95),
                showfliers=False,
                widths=0.6,
                orientation="horizontal",
                patch_artist=True,
                boxprops={"facecolor": COLOURS[place % len(COLOURS)], "alpha": 0.5},
                medianprops={"color": "black"},
                manage_ticks=False,
            )
    ends = np.array([np.quantile(numbers, (0.05, 0.95)) for numbers in found if len(numbers)])
    if len(ends) and ends.max() > _MUCH * ends.min():
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlim(left=0)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.5, -0.5)
    return axes


def convergence_map(summary: Summary, axes: Axes | None = None) -> Axes:
    """Draw which share of attempted replications is used, scenarios by estimators, each share written out."""
    axes = own(axes)
    rates = 100 * summary.dataset["convergence"].transpose("scenario", "estimator").to_numpy().astype(float)
    axes.imshow(np.ma.masked_invalid(rates), cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for row, column in np.argwhere(~np.isnan(rates)).tolist():
        rate = rates[row, column]
        said = f"{rate:.0f}" if rate in (0, 100) else f"{min(max(rate, 0.1), 99.9):.1f}"
        axes.text(column, row, said, ha="center", va="center", color="white" if rate < 50 else "black")
    scenarios, estimators = (list(names_along(summary.dataset, name)) for name in ("scenario", "estimator"))
    axes.set_xticks(range(len(estimators)), estimators, rotation=30, ha="right")
    axes.set_yticks(range(len(scenarios)), scenarios)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return axes


def _density(values: Vector, grid: Vector) -> Vector:
    """Return a kernel density with Silverman's bandwidth, of the grid's shape."""
    quartiles = np.subtract(*np.quantile(values, (0.75, 0.25))) / 1.34
    spread = min(x for x in (np.std(values), quartiles) if x > 0)
    width = 0.9 * spread * len(values) ** -0.2
    distances = (grid[:, None] - values) / width
    density: Vector = np.exp(-(distances**2) / 2).mean(axis=1) / (width * np.sqrt(2 * np.pi))
    return density


def _range(values: Sequence[Vector]) -> tuple[float, float]:
    """Return what holds the middle 99 % of every estimator's values, but no more than most spread."""
    ends = np.array([np.quantile(one, _SHOWN) for one in values])
    spread = np.median([np.subtract(*np.quantile(one, (0.75, 0.25))) for one in values])
    center = np.median([np.median(one) for one in values])
    low, high = max(ends[:, 0].min(), center - 8 * spread), min(ends[:, 1].max(), center + 8 * spread)
    return (float(low), float(high)) if high > low else (float(center) - 1, float(center) + 1)


def _statistics(cell: Sample) -> Vector:
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = cell.error / cell.standard_error
        if np.isnan(statistic).all():
            statistic = (cell.spread - np.nanmean(cell.spread)) / np.nanstd(cell.spread)
    found: Vector = np.sort(statistic[np.isfinite(statistic)])
    return found


def _factors(dataset: xr.Dataset) -> list[str]:
    """Return the names of what varies between scenarios."""
    found = [str(name) for name, values in dataset.coords.items() if values.dims == ("scenario",)]
    return [name for name in found if name != "scenario" and len(set(dataset[name].to_numpy().tolist())) > 1]


def _factor_order(dataset: xr.Dataset) -> list[int]:
    """Return scenarios by their factors' values, as they come where there are none."""
    keys = [np.unique(dataset[name].to_numpy(), return_inverse=True)[1] for name in _factors(dataset)]
    return np.lexsort(keys[::-1]).tolist() if keys else list(range(dataset.sizes["scenario"]))


def _factor_steps(axes: Axes, dataset: xr.Dataset, order: Sequence[int], edges: Vector) -> None:
    names = _factors(dataset)
    if not names:
        return
    low, high = axes.get_ylim()
    room = (high - low) * 0.13
    for row, name in enumerate(names):
        values = dataset[name].to_numpy()[list(order)]
        levels, place = np.unique(values, return_inverse=True)
        bottom = low - room * (row + 1)
        height = bottom + 0.45 * room * place / max(len(levels) - 1, 1)
        axes.stairs(height, edges, baseline=None, color="0.3", linewidth=0.9)
        said = f"{name}: {', '.join(str(level) for level in levels)}"
        axes.text(edges[0], bottom + 0.52 * room, f" {said}", fontsize=6.5, color="0.3", va="bottom")
    axes.set_ylim(low - room * (len(names) + 0.3), high)
