"""Other agents for the markets of a problem, who might as well have been drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blpsim.errors import ConfigurationError
from blpsim.model.agents import read_agents
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products
from blpsim.model.tables import Table, read_table, take_ids
from blpsim.status import Status

Resampled = Callable[[int], Agents | Status | None]
"""Returns other agents, or why there are none, for 0, 1, ..., and then None."""

_FIELD = "GMM.resample_agents"


def given_agents(function: Callable[[int], Any], products: Products, model: Model) -> Resampled:
    """Return a user's function of tables as one of agents; its tables raise what a problem's raise."""

    def resampled(index: int) -> Agents | None:
        table = function(index)
        return None if table is None else read_agents(table, None, products, model)

    return resampled


def redrawn_agents(
    number: int,
    data: Table | Agents | None,
    integration: Integration | None,
    products: Products,
    model: Model,
) -> Resampled:
    """Return a number of sets of agents, drawn anew by the integration of a problem.

    The streams follow from its seed. Rows that give demographics are drawn with replacement within their
    markets.

    Raises
    ------
    ConfigurationError
        When the integration has no seed, or draws nothing and there are no demographics.
    """
    if integration is None or integration.seed is None or isinstance(data, Agents):
        got = "no integration" if integration is None else f"{integration}"
        why = "agents are drawn anew; a function can return any others"
        raise ConfigurationError(_FIELD, got, "a problem with an Integration that has a seed", why)
    check_random(_FIELD, integration, data is not None and model.demographics is not None)
    seed, unseeded = integration.seed, replace(integration, seed=None)

    def resampled(index: int) -> Agents | None:
        if index >= number:
            return None
        generator = np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(seed, spawn_key=(index,))))
        table = None if data is None else _redrawn_rows(read_table(data, "agents"), generator)
        return read_agents(table, unseeded, products, model, generator)

    return resampled


def check_random(field: str, integration: Integration | None, has_demographics: bool) -> None:
    """Refuse to resample agents who are the same whenever they are drawn."""
    if integration is None or not (integration.is_random or has_demographics):
        why = "without draws there is no simulation error"
        raise ConfigurationError(field, f"{integration}", "an Integration with draws, or demographics", why)


def _redrawn_rows(
    columns: dict[str, NDArray[Any]], generator: np.random.Generator
) -> dict[str, NDArray[Any]]:
    ids = take_ids(columns, "market_ids", "agents")
    rows = np.arange(ids.size)
    for market in np.unique(ids):
        mine = np.flatnonzero(ids == market)
        rows[mine] = mine[generator.integers(mine.size, size=mine.size)]
    return {name: column[rows] for name, column in columns.items()}
