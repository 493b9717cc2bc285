"""A study in words, from what its store says: aims, mechanisms, estimands, methods, performance (ADEMP)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from blpsim.report.layout import names_along
from blpsim.store.content import Content
from blpsim.summary.summarize import Summary

_LONGEST = 12


class Performed(NamedTuple):
    """What a study did, a sentence or two a heading."""

    mechanisms: str
    """How data were made."""
    estimands: str
    """What was estimated."""
    methods: str
    """Who estimated it."""
    performance: str
    """How estimates were judged."""


def aims(source: str) -> tuple[str, ...]:
    """Return the paragraphs of the design file's docstring; the file is read, never run."""
    try:
        said = ast.get_docstring(ast.parse(source)) or ""
    except (SyntaxError, ValueError):
        said = ""
    paragraphs = tuple(" ".join(part.split()) for part in said.split("\n\n") if part.strip())
    return paragraphs or ("The design file says nothing of its aims: its docstring would stand here.",)


def performed(summary: Summary) -> Performed:
    """Return what a study did, in sentences."""
    dataset = summary.dataset
    counts = {name: dataset.sizes[name] for name in ("scenario", "estimator", "parameter")}
    factors = [str(name) for name, values in dataset.coords.items() if values.dims == ("scenario",)]
    factors = [name for name in factors if name != "scenario"]
    several = counts["scenario"] > 1
    datasets = f"with up to {dataset.attrs['replications']:,} datasets"
    mechanisms = f"{_many(counts['scenario'], 'scenario')}, {'each ' if several else ''}{datasets}"
    mechanisms += f"; what varies is {', '.join(factors)}." if factors else "."
    methods = _many(counts["estimator"], "estimator")
    paired = ", all on the same datasets, so that comparisons are paired."
    parameters = _many(counts["parameter"], "parameter")
    varies = " The truth of some differs by dataset." if bool(dataset["truth_varies"].any()) else ""
    labels = ", ".join(measure.name.replace("_", " ") for measure in summary.measures)
    return Performed(
        mechanisms=f"{mechanisms} The random numbers of a dataset are a function of the study's seed, the "
        "scenario and the replication's number.",
        estimands=f"{parameters}: {', '.join(names_along(dataset, 'parameter'))}.{varies}",
        methods=methods + (paired if counts["estimator"] > 1 else "."),
        performance=f"Measures are {labels}. Confidence intervals are at "
        f"{100 * float(dataset.attrs['level']):g} %. Every measure has its Monte Carlo standard error and "
        "counts its replications; failed ones enter no measure, and are counted under failures.",
    )


def spelled_out(value: object) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a record's fields that are set; keys that are hashes are left out."""
    if not isinstance(value, Mapping):
        yield "", described(value)
        return
    if value.get("type") not in (None, "Scenario", "Estimator"):
        yield "", str(value["type"])
    for name, part in value.items():
        said = described(part)
        if name != "type" and part not in (None, {}, []) and not said.startswith("content:"):
            yield name, said


def described(value: object) -> str:
    """Return a part of a design as one line; what is not set is left out.

    value  plain JSON, in which records are mappings with a "type"
    """
    if isinstance(value, Mapping):
        parts = {name: part for name, part in value.items() if name != "type" and part not in (None, {}, [])}
        inside = ", ".join(f"{name}={described(part)}" for name, part in parts.items())
        return f"{value['type']}({inside})" if "type" in value else f"{{{inside}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = [described(part) for part in value[:_LONGEST]]
        more = [f"... {len(value) - _LONGEST} more"] if len(value) > _LONGEST else []
        return f"[{', '.join(shown + more)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def runs(design: Content, found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield names and values of what a reader needs to run the study again and to trust its numbers."""
    yield "Seed", str(design.seed)
    yield "Design", f"{design.source or 'not from a file'}, hash {design.hash[:16]}"
    yield "Code of the engine", f"hash {design.code[:16]}"
    wall = sum(float(run.get("wall_seconds") or 0) for run in found) / 3600
    core = sum(float(run.get("core_seconds") or 0) for run in found) / 3600
    yield "Runs", f"{len(found)}, {wall:.3g} hours of wall time, {core:.3g} core hours"
    for run in found:
        dirty = " with changes that were not committed" if run.get("dirty") else ""
        cpu = (run.get("cpu") or {}).get("model", "unknown processor")
        versions = ", ".join(f"{name} {value}" for name, value in (run.get("versions") or {}).items())
        yield (
            f"Run of {run.get('started', 'an unknown time')}",
            f"Python {run.get('python', '?')}; {versions}; {run.get('platform', '?')}; {cpu}; "
            f"commit {str(run.get('commit') or 'unknown')[:12]}{dirty}",
        )


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
