"""One scenario's variables put together from its blocks, in replication order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers
from blpsim.status import Status
from blpsim.store.blocks import CorruptBlockError, Header
from blpsim.store.content import Content
from blpsim.store.coverage import Coverage
from blpsim.store.journal import Journal
from blpsim.study.records import FIELDS, Block, Failure, empty_arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Names and lengths along the dimensions of a study's variables."""

    scenarios: tuple[str, ...]
    """The scenarios."""
    estimators: tuple[str, ...]
    """The estimators."""
    parameters: tuple[str, ...]
    """All parameters of any scenario."""
    replications: int
    """Number of replications, planned or done, whichever is larger."""
    starts: int
    """The largest number of starting values."""
    micro_moments: tuple[str, ...] = ()
    """All micro moments that some estimator matches."""

    def sizes(self) -> dict[str, int]:
        """Return the length of every dimension but ``scenario``."""
        return {
            "estimator": len(self.estimators),
            "replication": self.replications,
            "parameter": len(self.parameters),
            "start": self.starts,
            "micro_moment": len(self.micro_moments),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assembled:
    """One scenario's variables and failures."""

    arrays: Mapping[str, NDArray[Any]]
    """Every variable of ``FIELDS``, shaped as its dimensions but ``scenario`` are."""
    failures: tuple[Failure, ...]
    """By replication, the dataset's first, then in the order of estimators."""


def axes(journal: Journal, content: Content) -> Axes:
    """Return the dimensions that a store's variables need."""
    headers = journal.headers()
    planned = (count for row in content.plan.values() for count in row.values())
    return Axes(
        scenarios=tuple(content.scenarios),
        estimators=tuple(content.estimators),
        parameters=_parameters(headers, content),
        replications=max(journal.extent(), *planned, 0),
        starts=max((header.starts for header in headers), default=0),
        micro_moments=_micro_moments(headers),
    )


def assembled(journal: Journal, content: Content, along: Axes, scenario: str) -> Assembled:
    """Return one scenario's variables; a block that turns out corrupt counts as missing."""
    while True:
        try:
            return _assembled(journal, content, along, scenario)
        except CorruptBlockError as error:
            journal.reject(error.got, error.why)


def _assembled(journal: Journal, content: Content, along: Axes, scenario: str) -> Assembled:
    arrays = empty_arrays(along.sizes())
    _mark_unplanned(arrays["status"], content, along, scenario)
    cover = journal.done(scenario, along.estimators, along.replications)
    failures: list[Failure] = []
    for position, header in enumerate(journal.headers(scenario)):
        block = journal.read(header)
        _place(arrays, block, position, cover, along)
        failures += _counted(block, position, cover, along)
    failures.sort(key=lambda failure: _place_of(failure, along))
    return Assembled(arrays=arrays, failures=tuple(failures))


def _parameters(headers: Iterable[Header], content: Content) -> tuple[str, ...]:
    """Return the union of the blocks' parameters, in an order that does not depend on who wrote first."""
    scenarios = {name: place for place, name in enumerate(content.scenarios)}
    known = {(header.scenario, header.parameters) for header in headers if header.scenario in scenarios}
    lists = sorted((scenarios[scenario], -len(names), names) for scenario, names in known)
    return tuple(dict.fromkeys(name for _, _, names in lists for name in names))


def _micro_moments(headers: Iterable[Header]) -> tuple[str, ...]:
    """Return the union of the blocks' micro moments, in alphabetical order, whoever wrote what together."""
    return tuple(sorted({name for header in headers for name in header.micro_moments}))


def _mark_unplanned(statuses: NDArray[Any], content: Content, along: Axes, scenario: str) -> None:
    for row, estimator in enumerate(along.estimators):
        statuses[row, content.planned(scenario, estimator) :] = Status.NOT_PLANNED


def _place(
    arrays: Mapping[str, NDArray[Any]], block: Block, position: int, cover: Coverage, along: Axes
) -> None:
    """Copy the replications for which a block counts to where they belong, in place."""
    columns = np.array([along.parameters.index(name) for name in block.parameters], np.int64)
    matched = np.array([along.micro_moments.index(name) for name in block.micro_moments], np.int64)
    own = {"parameter": columns, "start": np.arange(block.starts), "micro_moment": matched}
    _copy_data(arrays, block, _rows_of_data(cover, block), own)
    for rows, axes_here in _together(block, position, cover):
        there = np.array([along.estimators.index(block.estimators[axis]) for axis in axes_here], np.int64)
        _copy_estimates(arrays, block, (there, axes_here), rows, own)


def _together(block: Block, position: int, cover: Coverage) -> list[tuple[Integers, Integers]]:
    """Return the replications for which a block counts, with the estimators that share them."""
    groups: dict[bytes, tuple[Integers, list[int]]] = {}
    for axis, name in enumerate(block.estimators):
        if name in cover.estimators:
            rows = _rows(cover.sources[cover.estimators.index(name)], position, block)
            groups.setdefault(rows.tobytes(), (rows, []))[1].append(axis)
    return [(rows, np.array(axes_here)) for rows, axes_here in groups.values()]


def _copy_estimates(
    arrays: Mapping[str, NDArray[Any]],
    block: Block,
    estimators: tuple[Integers, Integers],
    rows: Integers,
    own: Mapping[str, Integers],
) -> None:
    there, here = estimators
    for variable, field in FIELDS.items():
        if "estimator" in field.dims:
            places = np.ix_(there, rows, *(own[dim] for dim in field.dims[2:]))
            arrays[variable][places] = block.arrays[variable][np.ix_(here, rows - block.start)]


def _copy_data(
    arrays: Mapping[str, NDArray[Any]], block: Block, rows: Integers, own: Mapping[str, Integers]
) -> None:
    for variable, field in FIELDS.items():
        if "estimator" not in field.dims:
            places = np.ix_(rows, *(own[dim] for dim in field.dims[1:]))
            arrays[variable][places] = block.arrays[variable][rows - block.start]


def _rows(sources: Integers, position: int, block: Block) -> Integers:
    """Return the replications for which the block at a position counts."""
    return block.start + np.flatnonzero(sources[block.start : block.stop] == position)


def _rows_of_data(cover: Coverage, block: Block) -> Integers:
    """Return the replications whose data ended as in the block that counts, so that they are the same."""
    same = cover.data_statuses[block.start : block.stop] == block.arrays["data_status"]
    return block.start + np.flatnonzero(same)


def _counted(block: Block, position: int, cover: Coverage, along: Axes) -> list[Failure]:
    sources: dict[str | None, Integers] = {
        name: cover.sources[row] for row, name in enumerate(along.estimators)
    }
    sources[None] = cover.data_sources
    failures = (failure for failure in block.failures if failure.estimator in sources)
    return [failure for failure in failures if sources[failure.estimator][failure.replication] == position]


def _place_of(failure: Failure, along: Axes) -> tuple[int, int]:
    return failure.replication, -1 if failure.estimator is None else along.estimators.index(failure.estimator)
