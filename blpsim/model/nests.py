"""Nests of products, market by market."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blpsim.arrays import Integers, Vector
from blpsim.model.model import Model
from blpsim.model.panel import Products

UNCORRELATED = -1
"""The group of products that are no closer substitutes than others."""


class NestBlocks(NamedTuple):
    """The nests of every market, B in all, and the products in them."""

    offsets: Integers
    """(T+1,) market t holds nests ``offsets[t]:offsets[t+1]``."""
    nests: Integers
    """(N,) each product's nest, from 0 in every market."""
    groups: Integers
    """(B,) each nest's place among the labels of nests; -1 without correlation."""

    def shares(self, shares: Vector, products: Integers) -> Vector:
        """Return the nests' shares, (B,), from those of products, (N,), with offsets (T+1,) of markets."""
        blocks = self.nests + np.repeat(self.offsets[:-1], np.diff(products))
        return np.asarray(np.bincount(blocks, shares, self.groups.size), np.float64)

    def parameters(self, rho: Vector) -> Integers:
        """Return the place in rho, (H,) or (1,), of each nest's correlation, (B,); -1 where it is zero."""
        return np.where(self.groups == UNCORRELATED, UNCORRELATED, 0) if rho.size == 1 else self.groups

    def correlations(self, rho: Vector) -> Vector:
        """Return the correlation within each nest, (B,), from rho, (H,) or (1,)."""
        places = self.parameters(rho)
        return np.where(places == UNCORRELATED, 0.0, np.append(rho, 0.0)[places])


def nest_blocks(model: Model, products: Products) -> NestBlocks:
    """Return the nests that products are in; without nests, all of a market are in one."""
    offsets = products.market_offsets
    counts = np.diff(offsets)
    if model.nests is None:
        return one_nest(offsets)
    codes = model.nest_codes(products.columns)
    size = int(codes.max()) + 1
    blocks, places = np.unique(np.repeat(np.arange(counts.size), counts) * size + codes, return_inverse=True)
    starts = np.searchsorted(blocks // size, np.arange(counts.size + 1))
    return NestBlocks(starts, places.reshape(-1) - np.repeat(starts[:-1], counts), blocks % size)


def one_nest(market_offsets: Integers) -> NestBlocks:
    """Return a nest without correlation for each market, which is what models without nests have."""
    markets = market_offsets.size - 1
    nests = np.zeros(int(market_offsets[-1]), np.int64)
    return NestBlocks(np.arange(markets + 1), nests, np.full(markets, UNCORRELATED))


class Nested(NamedTuple):
    """Nests with their correlations."""

    blocks: NestBlocks
    kappa: Vector
    """(B,) 1 / (1 - rho)."""


def nested(model: Model, products: Products, rho: Vector) -> Nested | None:
    """Return the nests that products are in, with rho (H,) or (1,); None without nests."""
    if model.nests is None:
        return None
    blocks = nest_blocks(model, products)
    kappa: Vector = 1 / (1 - blocks.correlations(rho))
    return Nested(blocks, kappa)
