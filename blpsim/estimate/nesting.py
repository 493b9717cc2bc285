"""Nests as kernels read and write them, in arrays made once."""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Integers, Matrix, Nesting, Panel, Specific, Vector, rows_on_lines
from blpsim.estimate.setting import Setting
from blpsim.kernels.general.evaluation import BLOCKS
from blpsim.model.layout import Layout
from blpsim.model.nests import NestBlocks, nest_blocks, one_nest
from blpsim.model.specific import no_specific, specific_rows, with_slopes


def make_nesting(setting: Setting, layout: Layout, panel: Panel) -> Nesting | None:
    """Return room for what the plain engine lacks, and what kernels derive of it; None where that does.

    It lacks nests, any ownership, and what differs by agent and product.
    """
    ownership, links = setting.setters.ownership, layout.links
    specific = specific_rows(setting.agents, setting.products, links)
    if setting.model.nests is None and ownership is None and specific is None:
        return None
    ownership = _ones(panel) if ownership is None else ownership
    blocks = nest_blocks(setting.model, setting.products)
    if specific is not None:
        return _nesting(blocks, ownership, layout, panel, with_slopes(specific, links, panel.shares.size))
    return _nesting(blocks, ownership, layout, panel, no_specific(links.size))


def one_nest_each(layout: Layout, panel: Panel) -> Nesting:
    """Return the same for markets without nests: each is one whose correlation is zero."""
    nests, specific = one_nest(panel.offsets.products), no_specific(layout.links.size)
    return _nesting(nests, _ones(panel), layout, panel, specific)


def _ones(panel: Panel) -> Matrix:
    return np.ones((panel.shares.size, int(np.diff(panel.offsets.firm_products).max())))


def _nesting(
    blocks: NestBlocks, ownership: Matrix, layout: Layout, panel: Panel, specific: Specific
) -> Nesting:
    agents = int(np.diff(panel.offsets.agents).max())
    products = int(np.diff(panel.offsets.products).max())
    number, most = blocks.groups.size, int(np.diff(blocks.offsets).max())
    return Nesting(
        offsets=blocks.offsets,
        nests=blocks.nests,
        parameters=blocks.parameters(layout.rho0),
        log_shares=np.log(blocks.shares(panel.shares, panel.offsets.products)),
        ownership=ownership,
        kappa=np.ones(number),
        d_kappa=np.empty(number),
        conditionals=rows_on_lines(panel.shares.size, agents),
        probabilities=rows_on_lines(number, agents),
        inclusive=rows_on_lines(number, agents),
        utilities=rows_on_lines(panel.shares.size, agents),
        shares=np.empty(most),
        scratch=rows_on_lines(BLOCKS * most, agents),
        owned=rows_on_lines(2, agents),
        seeds=rows_on_lines(2 * products, agents),
        specific=specific,
    )


def nested_logit_delta(setting: Setting, rho: Vector) -> Vector:
    """Return log S_j - log S_0 - rho log(S_j / S_h), (N,): the mean utilities of nested logit.

    Source: Berry (1994), equation 28.
    """
    if setting.model.nests is None:
        return setting.start_delta
    blocks, products = nest_blocks(setting.model, setting.products), setting.products
    places = _places(blocks, setting)
    within = np.log(products.shares) - np.log(blocks.shares(products.shares, products.market_offsets))[places]
    delta: Vector = setting.start_delta - blocks.correlations(rho)[places] * within
    return delta


def _places(blocks: NestBlocks, setting: Setting) -> Integers:
    counts = np.diff(setting.products.market_offsets)
    places: Integers = blocks.nests + np.repeat(blocks.offsets[:-1], counts)
    return places
