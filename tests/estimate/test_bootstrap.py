from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import ConfigurationError
from blpsim.estimate.bootstrap import Distribution, drawn_economy
from tests.simulate.scenarios import scenario
from tests.wrong_values import refused_values

from .refusals import refused

DRAWS = 4_000


@functools.cache
def result(supply=True, **options):
    process = scenario(
        markets=bs.Markets(number=25, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(1, 2, 3)),
        truth=bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 2]),
    )
    streams = bs.Streams(seed=5, replication=0, stream_key=process.stream_key)
    estimator = bs.Estimator(
        integration=bs.Integration("product", 5), supply=supply, gmm=bs.GMM(method="1s"), **options
    )
    found = estimator.estimate(process.generate(streams), streams).result
    assert found is not None
    return found


def own(economy):
    return float(economy.own_elasticities().mean())


def test_draws_have_the_estimates_mean_and_covariance():
    """Within four Monte Carlo errors: one over root R of a mean, root 2/R of a variance."""
    found = result()
    scaled = (found.bootstrap(draws=DRAWS, seed=1).values - found.values) / found.errors
    correlation = found.covariance / np.outer(found.errors, found.errors)
    assert (found.values[found.names.index("sigma[x,x]")] > 4 * found.errors[3]).all()
    assert np.abs(scaled.mean(axis=0)).max() < 4 / np.sqrt(DRAWS)
    assert np.abs(np.cov(scaled.T) - correlation).max() < 4 * np.sqrt(2 / DRAWS)


def test_draws_are_the_same_for_the_same_seed_only():
    first, again, other = (result().bootstrap(draws=5, seed=seed).values for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_draws_stay_within_bounds_and_what_is_at_a_bound_stays_there():
    found = result(bounds=_Bounds((0.5, 1)))
    values = found.bootstrap(draws=50).values
    assert found.at_bound.sum() == 1
    assert (values[:, found.at_bound] == 1).all()
    price = found.names.index("beta[prices]")
    narrow = dataclasses.replace(
        found, origin=found.origin._replace(gmm=bs.GMM(bounds={"beta[prices]": (-1, 0)}))
    )
    clipped = narrow.bootstrap(draws=200).values[:, price]
    assert clipped.min() == -1


class _Bounds(dict):
    """Bounds of sigma that can be an argument of a cached function."""

    def __init__(self, pair):
        super().__init__({"sigma[x,x]": pair})

    def __hash__(self):
        return 1


def test_the_estimates_economy_is_what_a_draw_at_the_estimates_gives():
    """The shares are those that the inversion reached, and prices solve their own equilibrium again."""
    found = result()
    for equilibrium in (False, True):
        economy = drawn_economy(found.economy, found.origin.layout, found.values, equilibrium)
        frame, observed = economy.products.frame(), found.economy.products.frame()
        assert np.allclose(frame["prices"], observed["prices"], rtol=1e-8)
        assert np.allclose(frame["shares"], observed["shares"], rtol=1e-7)
        assert np.allclose(economy.delta, found.delta, rtol=1e-7)


def test_each_draw_is_in_its_own_equilibrium_where_that_is_asked_for():
    found = result()
    solved, still = (list(found.bootstrap(4, equilibrium=each).economies()) for each in (True, False))
    observed = found.economy.products.frame()["prices"]
    for moved, kept in zip(solved, still, strict=True):
        prices = moved.products.frame()["prices"]
        assert np.array_equal(kept.products.frame()["prices"], observed)
        assert not np.allclose(prices, observed, rtol=1e-4)
        assert np.allclose(moved.implied_costs(), moved.costs, rtol=1e-7)
        assert np.array_equal(kept.costs, moved.costs)


def test_without_a_supply_side_prices_stay_unless_costs_are_to_be_implied():
    found = result(supply=False)
    assert not found.bootstrap(2).equilibrium
    implied = found.economy.implied_costs()
    for economy in found.bootstrap(2, equilibrium=True).economies():
        assert np.allclose(economy.implied_costs(), implied, rtol=1e-7)


def test_a_functions_spread_is_the_delta_methods():
    """400 draws: the standard deviation has an error of 3.5 %, and curvature adds some."""
    found = result()
    drawn = found.bootstrap(draws=400, seed=3, equilibrium=False).distribution(_price)
    error = found.errors[found.names.index("beta[prices]")]
    assert drawn.failed == 0
    assert drawn.draws.shape == (400,)
    assert drawn.standard_error == pytest.approx(error, rel=0.14)
    low, high = drawn.percentiles()
    assert (high - low) / (2 * 1.96) == pytest.approx(error, rel=0.2)


def _price(economy):
    return economy.parameters.beta[2]


def test_draws_without_an_equilibrium_are_counted_and_left_out():
    draws = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]])
    found = Distribution(draws=draws, failed=1)
    assert np.array_equal(found.percentiles([0, 100]), [[1, 2], [3, 4]])
    assert found.standard_error == pytest.approx([np.sqrt(2)] * 2)
    costly = dataclasses.replace(result().economy, costs=np.full(result().delta.size, np.inf))
    lost = dataclasses.replace(result(), economy=costly).bootstrap(3).distribution(own)
    assert lost.failed == 3
    assert np.isnan(lost.draws).all()


def test_wrong_draws_and_seeds_are_refused():
    refused_values(result().bootstrap, "draws")
    refused_values(result().bootstrap, "seed")
    refused_values(result().bootstrap, "equilibrium", (None, True))
    with refused(ConfigurationError, "Result.economy"):
        dataclasses.replace(result(), economy=None).bootstrap()
