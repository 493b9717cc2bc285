"""Scenarios made of an economy and its data."""

from __future__ import annotations

import dataclasses
import functools
import pickle

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import BlpsimError
from blpsim.fingerprint import fingerprint
from blpsim.model.conduct import Conduct
from blpsim.simulate.resampling import drawn_rows
from blpsim.status import Status

from .economies import MARKETS, economy, tables

SIDES = pytest.mark.parametrize("supply", [True, False], ids=["supply", "demand"])
ROWS = len(tables()[0])


def drawn(replication=0, supply=True, source=None, **options):
    made = bs.Scenario.from_economy(source or economy(supply), **options)
    dataset = made.generate(bs.Streams(seed=3, replication=replication))
    assert dataset.status is Status.CONVERGED
    return dataset


def by_row(source, values):
    """Return values, (N,), in the order of the rows' numbers."""
    rows = source.products.restored(source.products.columns["row"])
    ordered = np.empty(ROWS)
    ordered[rows] = values
    return ordered


def effects(source):
    """Return the absorbed fixed effects of demand and of log costs, (N,) each, and X beta."""
    frame, parameters = source.products.frame(), source.parameters
    x_beta = frame[["x", "prices"]].to_numpy() @ np.asarray(parameters.beta)
    demand = by_row(source, source.delta - source.xi - x_beta)
    if source.omega is None:
        return demand, None
    x_gamma = frame[["x", "w"]].to_numpy() @ np.asarray(parameters.gamma)
    return demand, by_row(source, np.log(source.costs) - source.omega - x_gamma)


@SIDES
def test_with_the_residuals_of_the_estimate_the_equilibrium_is_the_data(supply):
    """Prices are solved for until profits' derivatives are 1e-12, shares inverted to 1e-14."""
    dataset = drawn(supply=supply, redraw="markets")
    observed, frame = tables()[0].set_index("row"), dataset.products
    for name in ("prices", "shares"):
        again = observed.loc[frame["row"], name]
        np.testing.assert_allclose(frame[name], again, rtol=1e-8)
    np.testing.assert_allclose(dataset.economy.xi, by_row(economy(supply), economy(supply).xi)[frame["row"]])


@SIDES
@pytest.mark.parametrize("errors", ["normal", "resampled", "wild"])
def test_new_errors_leave_fixed_effects_and_costs_as_they_were_estimated(supply, errors):
    """To rounding: effects are differences of numbers near ten."""
    before, after = economy(supply), drawn(supply=supply, errors=errors).economy
    assert before.products.order is not None
    assert after.products.order is None
    for old, new in zip(effects(before), effects(after), strict=True):
        if old is None:
            np.testing.assert_allclose(
                by_row(after, after.costs), by_row(before, before.implied_costs()), rtol=1e-12
            )
        else:
            assert np.ptp(old) > 0.05
            np.testing.assert_allclose(new, old, atol=1e-12)
    assert np.abs(by_row(after, after.xi) - by_row(before, before.xi)).max() > 0.05


def test_prices_answer_to_new_errors_and_costs_stay_those_that_the_estimate_implies():
    """The correlation of 410 pairs has an error of 0.05 when there is none."""
    source, pairs = economy(False), []
    prices = by_row(source, source.products.frame()["prices"])
    for replication in range(10):
        found = drawn(replication, supply=False, errors=bs.Errors(xi_variance=2.0)).economy
        np.testing.assert_allclose(found.implied_costs(), found.costs, rtol=1e-8)
        np.testing.assert_allclose(by_row(found, found.costs), by_row(source, source.implied_costs()))
        moved = by_row(found, found.products.prices) - prices
        pairs.append([moved, by_row(found, found.xi) - by_row(source, source.xi)])
    assert np.corrcoef(np.hstack(pairs))[0, 1] > 0.25


@functools.cache
def many(errors, source=None):
    """Return xi and omega of 200 replications, (2, 200 N)."""
    made = bs.Scenario.from_economy(source or economy(), errors=errors)
    pairs = [made.generate(bs.Streams(seed=8, replication=r)).economy for r in range(200)]
    return np.array([np.concatenate([getattr(each, name) for each in pairs]) for name in ("xi", "omega")])


def test_normal_errors_have_the_mean_squares_and_products_of_the_residuals():
    """Within four Monte Carlo errors, root of (v_ii v_jj + v_ij^2) / n for normal pairs."""
    pair = many("normal")
    residuals = np.array([economy().xi, economy().omega])
    expected = residuals @ residuals.T / ROWS
    variances = np.diag(expected)
    error = np.sqrt((np.outer(variances, variances) + expected**2) / pair.shape[1])
    assert abs(expected[0, 1]) > 20 * error[0, 1]
    assert np.all(np.abs(pair @ pair.T / pair.shape[1] - expected) < 4 * error)
    assert np.all(np.abs(pair.mean(axis=1)) < 4 * np.sqrt(variances / pair.shape[1]))


def test_errors_that_are_named_have_the_variance_that_they_name():
    pair = many(bs.Errors(xi_variance=2.0))
    assert pair[0].var() == pytest.approx(2, abs=4 * 2 * np.sqrt(2 / pair.shape[1]))
    assert (pair[1] == 0).all()


def test_resampled_errors_are_pairs_of_residuals_less_their_means():
    residuals = [by_row(economy(), values) for values in (economy().xi + 0.3, economy().omega)]
    known = {tuple(pair) for pair in np.transpose([v - v.mean() for v in residuals]).round(12)}
    shifted = dataclasses.replace(economy(), xi=economy().xi + 0.3)
    found = {tuple(pair) for pair in many("resampled", shifted).T.round(12)}
    assert found == known


def test_wild_errors_are_each_products_own_residuals_with_one_sign_for_both():
    dataset = drawn(errors="wild").economy
    ratios = [by_row(dataset, getattr(dataset, n)) / by_row(economy(), getattr(economy(), n)) for n in NAMES]
    assert set(ratios[0].round(9)) == {-1, 1}
    np.testing.assert_allclose(ratios[0], ratios[1], rtol=1e-9)
    signs = np.sign(many("wild")[0].reshape(200, ROWS))
    assert np.abs(signs.mean(axis=0)).max() < 5 / np.sqrt(200)


NAMES = ("xi", "omega")


def test_wild_errors_of_a_cluster_have_one_sign():
    source = economy(clustering_ids=tuple(tables()[0]["brand"]))
    dataset = drawn(source=source, errors="wild").economy
    ratio = (by_row(dataset, dataset.xi) / by_row(source, source.xi)).round(9)
    brands = tables()[0].set_index("row")["brand"].sort_index()
    assert all(len(set(ratio[brands == brand])) == 1 for brand in "abc")
    signs = {tuple(np.sign(drawn(r, source=source, errors="wild").economy.xi[:5])) for r in range(9)}
    assert len(signs) > 1


@pytest.mark.parametrize(("redraw", "number"), [("markets", None), ("both", 30)])
def test_resampled_markets_are_whole_and_come_under_new_names(redraw, number):
    dataset = drawn(redraw=redraw, markets=number)
    observed, frame, agents = tables()[0], dataset.products, dataset.agents
    assert sorted(set(frame["market_ids"])) == list(range(number or MARKETS))
    assert set(agents["market_ids"]) == set(frame["market_ids"])
    sources = []
    for market in range(number or MARKETS):
        rows = frame[frame["market_ids"] == market]
        (source,) = set(observed.set_index("row").loc[rows["row"], "market_ids"])
        there = observed[observed["market_ids"] == source]
        people = tables()[1][tables()[1]["market_ids"] == source]
        here = agents[agents["market_ids"] == market]
        assert sorted(rows["row"]) == sorted(there["row"])
        merged = rows.merge(there, on="row", suffixes=("", "_there"))
        for name in ("firm_ids", "x", "w", "brand", "demand_instruments2"):
            assert (merged[name] == merged[f"{name}_there"]).all()
        assert np.array_equal(here[["income", "weights"]], people[["income", "weights"]])
        sources.append(source)
    assert len(set(sources)) < len(sources)
    other = drawn(1, redraw=redraw, markets=number).products
    assert not np.array_equal(other["row"], frame["row"])
    blocks = dataset.economy.products
    for f in range(blocks.firm_offsets.size - 1):
        block = slice(*blocks.firm_offsets[f : f + 2])
        assert len(set(zip(frame["market_ids"][block], frame["firm_ids"][block], strict=True))) == 1


def test_every_market_is_drawn_equally_often():
    """A chi-squared statistic of 11 degrees of freedom is below 35 with probability 0.9998."""
    made = bs.Scenario.from_economy(economy(), redraw="markets", markets=600)
    rows = made.generate(bs.Streams(seed=3, replication=0)).products["row"]
    names = tables()[0].set_index("row")["market_ids"]
    counts = names.loc[rows].value_counts() / names.value_counts()
    assert ((counts - 50) ** 2 / 50).sum() < 35


def test_errors_are_new_in_markets_that_are_drawn_with_new_errors():
    both, markets = (drawn(redraw=redraw).economy for redraw in ("both", "markets"))
    assert np.array_equal(both.products.columns["row"], markets.products.columns["row"])
    assert not np.any(both.xi == markets.xi)


def test_copies_of_a_market_have_signs_of_their_own():
    dataset = drawn(redraw="both", errors="wild", markets=60).economy
    rows = dataset.products.columns["row"]
    ratio = dataset.xi / by_row(economy(), economy().xi)[rows]
    assert set(ratio.round(9)) == {-1, 1}
    copies = [set(ratio[rows == row].round(9)) for row in range(ROWS)]
    assert sum(len(signs) == 2 for signs in copies) > ROWS / 2
    within = economy(clustering_ids=tuple(tables()[0]["market_ids"]))
    clustered = drawn(source=within, redraw="both", errors="wild", markets=60)
    kept = by_row(within, within.xi)[clustered.products["row"]]
    signs = clustered.products.assign(sign=np.sign(clustered.economy.xi / kept))
    assert signs.groupby("market_ids")["sign"].nunique().eq(1).all()
    assert signs["sign"].nunique() == 2


def test_clusters_within_markets_come_with_them_and_others_stay():
    within = tuple(tables()[0]["market_ids"])
    inside = drawn(source=economy(clustering_ids=within), redraw="markets").products
    assert inside.groupby("market_ids")["clustering_ids"].nunique().eq(1).all()
    assert inside["clustering_ids"].nunique() == MARKETS
    across = drawn(source=economy(clustering_ids=tuple(tables()[0]["brand"])), redraw="markets").products
    assert (across["clustering_ids"] == across["brand"]).all()


def test_other_true_parameters_move_utilities_and_leave_fixed_effects_and_costs():
    made = bs.Scenario.from_economy(economy())
    varied = bs.vary(made, {"truth.beta[prices]": (-1.0, -1.5), "truth.gamma[w]": (0.5,)})
    streams = bs.Streams(seed=3, replication=0)
    plain, moved = (each.generate(streams).economy for each in varied.values())
    assert np.array_equal(plain.xi, moved.xi)
    assert moved.products.prices.mean() < plain.products.prices.mean()
    named = dataclasses.replace(
        moved, parameters=bs.Parameters(beta=[moved.parameters.beta["beta[x]"], -1.5], gamma=[0, 0])
    )
    np.testing.assert_allclose(effects(named)[0], effects(economy())[0], atol=1e-12)
    dear = made.generate(streams).economy
    shift = 0.5 - np.asarray(economy().parameters.gamma)[1]
    logs = np.log(plain.costs) - np.log(dear.costs)
    np.testing.assert_allclose(logs, shift * plain.products.columns["w"], atol=1e-12)


def test_what_is_varied_from_the_same_data_shares_its_random_numbers():
    made = bs.Scenario.from_economy(economy())
    varied = bs.vary(made, {"errors.xi_variance": (0.1, 0.4), "redraw": ("errors", "both")})
    assert {each.stream_key for each in varied.values()} == {made.stream_key}
    small, large = (varied[f"xi_variance={v}, redraw=errors"] for v in (0.1, 0.4))
    streams = bs.Streams(seed=3, replication=0)
    np.testing.assert_allclose(
        2 * small.generate(streams).economy.xi, large.generate(streams).economy.xi, rtol=1e-12
    )


@pytest.mark.parametrize("options", [{}, {"redraw": "both", "errors": "wild"}], ids=str)
def test_the_same_streams_give_the_same_bits_also_where_the_scenario_was_sent_to(options):
    made = bs.Scenario.from_economy(economy(), consumers=bs.Integration("halton", 40), **options)
    sent = pickle.loads(pickle.dumps(made))
    stored = bs.Scenario.from_economy(
        pickle.loads(pickle.dumps(economy())), consumers=made.consumers, **options
    )
    streams = bs.Streams(seed=1, replication=5)
    first, *others = (each.generate(streams).economy for each in (made, made, sent, stored))
    for other in others:
        assert np.array_equal(first.xi, other.xi)
        assert np.array_equal(first.delta, other.delta)
        assert np.array_equal(first.products.prices, other.products.prices)
        assert np.array_equal(first.agents.demographics, other.agents.demographics)
    assert fingerprint(made) == fingerprint(sent) == fingerprint(stored)


def test_the_hash_covers_the_data_and_the_estimates_and_the_streams_the_data_alone():
    made, source = bs.Scenario.from_economy(economy()), economy()
    prices = source.products.prices.copy()
    prices[3] = np.nextafter(prices[3], 1)
    instrument = source.products.columns["demand_instruments1"].copy()
    instrument[0] += 1
    nodes = source.agents.nodes.copy()
    nodes[0, -1] += 1e-9
    data = [
        dataclasses.replace(source, products=source.products.replaced(prices=prices)),
        dataclasses.replace(source, products=source.products.replaced(demand_instruments1=instrument)),
        dataclasses.replace(source, agents=dataclasses.replace(source.agents, nodes=nodes)),
    ]
    estimates = [
        dataclasses.replace(source, xi=source.xi + 1e-9),
        dataclasses.replace(source, delta=source.delta + 1e-9),
        dataclasses.replace(source, costs=source.costs * 2),
        dataclasses.replace(source, conduct=Conduct.MONOPOLY),
    ]
    others = [bs.Scenario.from_economy(each, errors=made.errors) for each in (*data, *estimates)]
    hashes = {fingerprint(each) for each in (made, *others)}
    assert len(hashes) == 8
    assert len({each.stream_key for each in (made, *others[:3])}) == 4
    assert {each.stream_key for each in others[3:]} == {made.stream_key}


def test_no_equilibrium_is_a_status():
    source = dataclasses.replace(economy(False), costs=np.full(ROWS, 1e4))
    dataset = bs.Scenario.from_economy(source).generate(bs.Streams(seed=1, replication=0))
    assert dataset.status is Status.EQUILIBRIUM_FAILED
    assert np.isnan(dataset.outside_share)


def test_conduct_is_the_economys():
    source = dataclasses.replace(economy(False), conduct=Conduct.MONOPOLY)
    dataset = drawn(source=source)
    np.testing.assert_allclose(dataset.economy.implied_costs(), dataset.economy.costs, rtol=1e-8)
    assert dataset.economy.costs.mean() < drawn(supply=False).economy.costs.mean()


def test_consumers_can_be_drawn_from_the_agents_of_their_markets():
    """Means of incomes are within four standard errors of a mean of 500."""
    dataset = drawn(consumers=bs.Integration("monte_carlo", 500), redraw="markets")
    names = tables()[0].set_index("row")["market_ids"]
    sources = dataset.products.drop_duplicates("market_ids").set_index("market_ids")["row"].map(names)
    for market, people in dataset.agents.groupby("market_ids"):
        known = tables()[1][tables()[1]["market_ids"] == sources[market]]
        assert set(people["income"]) <= set(known["income"])
        expected = np.average(known["income"], weights=known["weights"])
        assert abs(people["income"].mean() - expected) < 4 * known["income"].std() / np.sqrt(500)
    assert len(np.unique(dataset.economy.agents.nodes)) == MARKETS * 500


def test_rows_of_agents_are_drawn_in_proportion_to_their_weights():
    """Within four Monte Carlo errors of a frequency."""
    agents, size = economy().agents, 20_000
    rows = drawn_rows(agents, np.full(MARKETS, size), np.random.default_rng(0))
    found = np.bincount(rows, minlength=agents.number) / size
    error = np.sqrt(agents.weights * (1 - agents.weights) / size)
    assert (np.abs(found - agents.weights) < 4.5 * error).all()


def test_an_estimators_agents_are_its_own_unless_it_asks_for_the_generators():
    made = bs.Scenario.from_economy(economy(), redraw="markets")
    streams = bs.Streams(seed=3, replication=0, stream_key=made.stream_key)
    dataset = made.generate(streams)
    options = {"instruments": bs.instruments.Given(), "gmm": bs.GMM(optimizer=bs.Optimizer("return"))}
    same = bs.Estimator(integration="generator", **options).solution(dataset, streams).setting
    other = bs.Estimator(integration=bs.Integration("halton", 30), **options).solution(dataset, streams)
    assert same.agents is dataset.economy.agents
    assert not np.isin(other.setting.agents.nodes, same.agents.nodes).any()
    assert np.isin(other.setting.agents.demographics, same.agents.demographics).all()
    given = dataset.economy.products.matrix("demand_instruments")
    demand, supply = bs.Estimator(**options)._excluded(dataset, same.columns)
    assert np.array_equal(demand, given)
    assert np.array_equal(supply, dataset.economy.products.matrix("supply_instruments"))


@SIDES
def test_an_estimator_finds_the_truth_when_nothing_is_left_to_chance(supply):
    """With errors of 1e-4 estimates are as near: at most a hundred times that, with these instruments."""
    made = bs.Scenario.from_economy(
        economy(supply), errors=bs.Errors(xi_variance=1e-8, omega_variance=1e-8 if supply else 0)
    )
    estimator = bs.Estimator(
        supply=supply,
        instruments=bs.instruments.Given(),
        integration="generator",
        starts=bs.Starts(1, width=0.2),
        gmm=bs.GMM(optimizer=bs.Optimizer("l-bfgs-b", gtol=1e-7)),
    )
    streams = bs.Streams(seed=3, replication=0, stream_key=made.stream_key)
    found = estimator.estimate(made.generate(streams), streams)
    truth = made.truth_by_name()
    assert estimator.names(made) == tuple(truth)
    np.testing.assert_allclose(found.values, list(truth.values()), atol=1e-2)


def test_the_data_need_the_columns_that_given_instruments_are():
    products, _ = tables()
    bare = products.drop(columns=[name for name in products if name.startswith("supply_instruments")])
    source = economy()
    columns = {name: source.products.columns[name] for name in source.products.columns if name in bare}
    source = dataclasses.replace(source, products=dataclasses.replace(source.products, columns=columns))
    made = bs.Scenario.from_economy(source)
    streams = bs.Streams(seed=3, replication=0, stream_key=made.stream_key)
    with pytest.raises(BlpsimError, match=r"^products\['supply_instruments0'\] = no such column"):
        bs.Estimator(instruments=bs.instruments.Given(), integration="generator").estimate(
            made.generate(streams), streams
        )
