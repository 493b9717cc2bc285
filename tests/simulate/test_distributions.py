from __future__ import annotations

import pickle

import numpy as np
import pytest

from blpsim.errors import ConfigurationError
from blpsim.fingerprint import fingerprint
from blpsim.simulate.distributions import (
    Bernoulli,
    Choice,
    Constant,
    Exponential,
    Lognormal,
    Normal,
    OneOf,
    PerMarket,
    Uniform,
    draw,
)

NUMBER = 40_000

MEANS_AND_DEVIATIONS = {
    Constant(2.5): (2.5, 0.0),
    Uniform(1, 3): (2.0, 2 / np.sqrt(12)),
    Normal(-1, 2): (-1.0, 2.0),
    Lognormal(0.2, 0.5): (np.exp(0.325), np.sqrt((np.exp(0.25) - 1) * np.exp(0.65))),
    Exponential(3): (3.0, 3.0),
    Bernoulli(0.3): (0.3, np.sqrt(0.21)),
    Choice(2, 5, 10): (17 / 3, np.sqrt(129 / 3 - (17 / 3) ** 2)),
    Choice(0, 10, probabilities=(0.9, 0.1)): (1.0, 3.0),
}


@pytest.mark.parametrize(("distribution", "moments"), MEANS_AND_DEVIATIONS.items(), ids=str)
def test_draws_have_the_mean_and_the_deviation_asked_for(distribution, moments):
    drawn = distribution.draw(np.random.default_rng(1), NUMBER)
    mean, deviation = moments
    assert drawn.shape == (NUMBER,)
    assert abs(drawn.mean() - mean) <= 4 * deviation / np.sqrt(NUMBER)
    assert drawn.std() == pytest.approx(deviation, rel=0.06)


def test_a_market_shares_its_one_draw():
    counts = np.array([2, 3, 1])
    drawn = draw(PerMarket(Normal()), np.random.default_rng(0), counts)
    assert drawn.shape == (6,)
    assert [len(set(part)) for part in np.split(drawn, [2, 5])] == [1, 1, 1]
    assert len(set(drawn)) == 3


def test_each_market_takes_one_of_the_distributions():
    counts = np.full(200, 3)
    drawn = draw(OneOf(Uniform(0, 1), Uniform(10, 11)), np.random.default_rng(0), counts).reshape(200, 3)
    low = drawn[:, 0] < 5
    assert np.all((drawn < 5) == low[:, None])
    assert 60 < low.sum() < 140


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(np.nan),
        lambda: Uniform(1, 1),
        lambda: Uniform(0, np.inf),
        lambda: Normal(0, -1),
        lambda: Lognormal(np.nan, 1),
        lambda: Exponential(0),
        lambda: Bernoulli(1.5),
        lambda: Choice(),
        lambda: Choice(1, 2, probabilities=(0.5, 0.4)),
        lambda: Choice(1, 2, probabilities=(1.0,)),
        lambda: OneOf(),
        lambda: PerMarket(3),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(make):
    with pytest.raises(ConfigurationError, match="expected"):
        make()


@pytest.mark.parametrize("distribution", MEANS_AND_DEVIATIONS, ids=str)
def test_a_distribution_survives_pickling_and_has_a_fingerprint(distribution):
    copy = pickle.loads(pickle.dumps(distribution))
    assert copy == distribution
    assert fingerprint(copy) == fingerprint(distribution)
