"""Shares from a finite number of consumers, and every way to treat those that are too small."""

from __future__ import annotations

import dataclasses
import itertools
import warnings

import numpy as np
import pytest

import blpsim as bs
from blpsim.model.products import read_products
from blpsim.status import Status
from blpsim.study.replication import run_replication
from tests.wrong_values import refused_values

from .scenarios import scenario

KEY = "a key"
STREAMS = bs.Streams(seed=1, replication=0, stream_key=KEY)


def economy_of(constant):
    return {"truth": bs.Parameters(beta=[constant, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2])}


RARE, BOUGHT = economy_of(-4), economy_of(-1)
"""Products that few buy, and that many do."""


def measured(streams=STREAMS, changes=None, **shares):
    made = scenario(**{**RARE, **(changes or {})}, shares=bs.MeasuredShares(**shares) if shares else None)
    return made.generate(streams)


def counts_of(dataset, number):
    counts = dataset.measured.shares * number
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    return np.rint(counts)


def test_the_economy_keeps_the_truth_that_it_has_without_measurement():
    plain, seen = measured(), measured(consumers=200, below="keep")
    for name, column in plain.economy.products.columns.items():
        assert np.array_equal(column, seen.economy.products.columns[name])
    assert np.array_equal(plain.economy.agents.nodes, seen.economy.agents.nodes)
    assert np.array_equal(seen.products["prices"], plain.products["prices"])
    assert not np.array_equal(seen.products["shares"], plain.products["shares"])


def test_shares_are_frequencies_with_the_truth_as_their_mean_and_multinomial_covariances():
    """Of 4,000 samples: means within 5 errors; standardized covariances have errors near 1 / sqrt(4000)."""
    rule, plain, number = bs.MeasuredShares(consumers=50, below="keep"), measured(changes=BOUGHT), 50
    draws = np.array(
        [counts_of(rule.measured(plain, np.random.default_rng(k)), number) for k in range(4_000)]
    )
    true = plain.economy.products.shares
    errors = np.sqrt(number * true * (1 - true) / len(draws))
    assert (np.abs(draws.mean(axis=0) - number * true) < 5 * errors).all()
    scale = np.sqrt(np.outer(true * (1 - true), true * (1 - true))) * number
    market = plain.economy.products.columns["market_ids"]
    expected = (np.diag(true) - np.outer(true, true)) * number * (market[:, None] == market)
    assert np.abs((np.cov(draws.T) - expected) / scale).max() < 6 / np.sqrt(4_000)


def test_numbers_of_consumers_may_differ_between_markets():
    dataset = measured(consumers=bs.Choice(10, 1_000), below="keep")
    offsets = dataset.measured.market_offsets
    few = [
        bool(np.allclose(dataset.measured.shares[slice(*ends)] * 10 % 1, 0, atol=1e-9))
        for ends in itertools.pairwise(offsets)
    ]
    assert any(few)
    assert not all(few)
    counts_of(dataset, 1_000)


def test_products_that_nobody_bought_are_dropped_with_their_firms_and_markets():
    plain, seen = measured(), measured(consumers=8, below="drop")
    raw = measured(consumers=8, below="keep").measured.shares
    products, ids = seen.measured, plain.economy.products.columns["market_ids"]
    full = np.bincount(ids, raw)[ids] > 1 - 1e-9
    assert np.array_equal(products.columns["w"], plain.economy.products.columns["w"][(raw > 0) & ~full])
    assert seen.dropped == raw.size - products.number > 0
    assert 0 < products.markets < plain.economy.products.markets
    read = read_products(products.frame(), scenario().model)
    for name in ("market_offsets", "firm_offsets", "market_firms"):
        assert np.array_equal(getattr(products, name), getattr(read, name))


def test_consumers_of_an_estimator_are_the_same_whether_other_markets_are_dropped():
    plain, seen = measured(), measured(consumers=8, below="drop")
    given = (plain.economy.model, bs.Integration("monte_carlo", 5), STREAMS, "estimation")
    all_agents, agents = plain.draw_agents(*given), seen.draw_agents(*given)
    left = np.unique(seen.measured.columns["market_ids"])
    rows = (left[:, None] * 5 + np.arange(5)).ravel()
    assert np.array_equal(agents.nodes, all_agents.nodes[:, rows])
    assert agents.market_offsets.tolist() == list(range(0, 5 * left.size + 1, 5))


def test_shares_are_raised_to_the_floor_the_outside_goods_too():
    all_buy, rule = economy_of(5), {"consumers": 30, "floor": 0.01}
    keep = measured(changes=all_buy, **rule, below="keep")
    seen = measured(changes=all_buy, **rule, below="raise")
    offsets, outside = keep.measured.market_offsets, []
    for start, stop in itertools.pairwise(offsets):
        raw = keep.measured.shares[start:stop]
        outside.append(1 - raw.sum())
        raised = np.maximum(np.append(raw, outside[-1]), 0.01)
        np.testing.assert_allclose(seen.measured.shares[start:stop], raised[:-1] / raised.sum(), rtol=1e-12)
    assert (keep.measured.shares == 0).any()
    assert min(outside) < 1e-9


def test_a_pseudo_count_is_added_to_every_alternative():
    keep = measured(consumers=30, below="keep")
    laplace = measured(consumers=30, pseudo_count=1)
    sizes = np.diff(keep.measured.market_offsets)
    expected = (counts_of(keep, 30) + 1) / (30 + 1 + np.repeat(sizes, sizes))
    np.testing.assert_allclose(laplace.measured.shares, expected, rtol=1e-12)
    assert laplace.status is Status.CONVERGED


def test_a_dataset_is_drawn_again_until_no_share_is_too_small():
    shares = {"consumers": 2_000, "below": "redraw"}
    found = [measured(bs.Streams(seed=s, replication=0, stream_key=KEY), **shares) for s in range(12)]
    assert {dataset.status for dataset in found} == {Status.CONVERGED}
    assert all((dataset.measured.shares > 0).all() for dataset in found)
    assert max(dataset.attempts for dataset in found) > 1
    seed = next(s for s, dataset in enumerate(found) if dataset.attempts == 2)
    first = bs.Streams(seed=seed, replication=0, stream_key=KEY)
    kept = {"consumers": 2_000, "below": "keep"}
    assert (measured(first, **kept).measured.shares == 0).any()
    again = measured(first.keyed(f"{KEY}/attempt 1"), **kept)
    assert np.array_equal(again.measured.shares, found[seed].measured.shares)
    assert np.array_equal(again.economy.xi, found[seed].economy.xi)


def test_a_dataset_that_is_drawn_as_often_as_allowed_in_vain_has_a_status():
    seen = measured(consumers=2, below="redraw", attempts=3)
    assert seen.status is Status.SHARES_BELOW_FLOOR
    assert seen.attempts == 3


@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_nobody_estimates_on_shares_that_fail(floor):
    shares = bs.MeasuredShares(consumers=None if floor else 8, floor=floor)
    made = scenario(**RARE, shares=shares)
    estimator = bs.Estimator(integration=bs.Integration("product", 3), supply=False, starts=bs.Starts(1))
    design = bs.Design(
        name="small", seed=1, replications=1, scenarios={"s": made}, estimators={"e": estimator}
    )
    outcome = run_replication(design, "s", 0, ["e"])
    assert outcome.drawing.status is Status.SHARES_BELOW_FLOOR
    assert outcome.outcomes[0].status is Status.NO_DATA
    assert next(outcome.failures).status is Status.SHARES_BELOW_FLOOR


def test_a_floor_below_all_shares_changes_nothing():
    plain = measured()
    seen = measured(floor=float(plain.measured.shares.min()) * 0.99, below="drop")
    assert np.array_equal(seen.measured.shares, plain.measured.shares)
    assert seen.dropped == 0


@pytest.mark.parametrize(("below", "status"), [("keep", Status.NON_FINITE), ("drop", None), ("raise", None)])
def test_an_estimator_works_on_the_shares_as_measured(below, status):
    shares = {"consumers": 500, "below": below, "floor": 1e-4 if below == "raise" else 0.0}
    large = {"markets": bs.Markets(number=30, firms=3, products_per_firm=bs.Choice(2, 3))}
    seen = measured(STREAMS, large, **shares)
    estimator = bs.Estimator(
        integration=bs.Integration("product", 5), starts=bs.Starts(1, width=0), gmm=bs.GMM(method="1s")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate = estimator.estimate(seen, STREAMS)
    if status is not None:
        assert estimate.status is status
        assert np.isnan(estimate.values).all()
        return
    assert estimate.status.is_usable
    assert np.array_equal(estimate.economy.products.shares, seen.measured.shares)
    assert np.abs(estimate.economy.shares() - seen.measured.shares).max() < 1e-10


def test_a_market_without_an_outside_share_is_too_small_as_well():
    """One consumer buys something in about half of the markets, whose outside good is then left without."""
    seen = measured(
        consumers=1,
        below="keep",
        changes={"truth": bs.Parameters(beta=[-3, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2])},
    )
    rule = bs.MeasuredShares(consumers=1, below="drop")
    assert np.add.reduceat(seen.measured.shares, seen.measured.market_offsets[:-1]).max() == 1
    dropped = rule.measured(seen, STREAMS.generator("shares"))
    assert dropped.status is Status.SHARES_BELOW_FLOOR
    assert dropped.dropped == 0


def test_an_equilibrium_that_failed_is_not_measured():
    failed = dataclasses.replace(measured(), status=Status.EQUILIBRIUM_FAILED)
    assert bs.MeasuredShares(consumers=5).measured(failed, STREAMS.generator("shares")) is failed


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"consumers": 0}, "MeasuredShares.consumers = 0: expected an integer of 1 or more"),
        ({"consumers": bs.Choice(0, 5)}, "MeasuredShares.consumers = .*: expected an integer of 1"),
        ({"pseudo_count": 1.0}, "MeasuredShares.pseudo_count = 1.0: expected 0; there are no counts"),
        ({"consumers": 5, "pseudo_count": -1.0}, "MeasuredShares.pseudo_count = -1.0: expected 0 or larger"),
        ({"floor": 1.0}, "MeasuredShares.floor = 1.0: expected in"),
        ({"below": "raise"}, "MeasuredShares.floor = 0.0: expected a positive floor"),
        ({"attempts": 0}, "MeasuredShares.attempts = 0: expected an integer, 1 or larger"),
    ],
)
def test_what_cannot_be_measured_is_refused(shares, message):
    with pytest.raises(bs.ConfigurationError, match=message):
        bs.MeasuredShares(**shares)


@pytest.mark.parametrize(
    ("field", "right"),
    [("consumers", (None,)), ("pseudo_count", (2.5,)), ("floor", ()), ("below", ()), ("attempts", ())],
)
def test_measured_shares_refuse_wrong_values(field, right):
    refused_values(lambda **changes: bs.MeasuredShares(**{"consumers": 5, **changes}), field, right)


def test_exact_shares_leave_a_scenarios_content_alone():
    assert scenario(shares=None).stream_key == scenario().stream_key
    assert scenario(shares=bs.MeasuredShares(consumers=5)).stream_key != scenario().stream_key


def test_numbers_of_consumers_vary_in_a_design():
    made = scenario(shares=bs.MeasuredShares(consumers=5))
    varied = bs.vary(made, {"shares.consumers": (100, 1_000)})
    assert [each.scenario.shares.consumers for each in varied.values()] == [100, 1_000]
