"""One dataset for chains of estimators."""

from __future__ import annotations

import functools

import blpsim as bs
from tests.simulate.scenarios import scenario


@functools.cache
def process():
    return scenario(
        markets=bs.Markets(number=20, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(2, 3)),
        truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 1]),
    )


@functools.cache
def drawn():
    streams = bs.Streams(seed=5, replication=0, stream_key=process().stream_key)
    return streams, process().generate(streams)


def drawn_again():
    """Return the same dataset as another object, for which no estimator remembers its solution."""
    return process().generate(drawn()[0])
