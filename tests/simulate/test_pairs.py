"""Economies whose consumers differ by product: distances, and products that they cannot choose."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import blpsim as bs
from blpsim.economy.equilibrium import shares_at_prices
from blpsim.errors import ConfigurationError
from blpsim.model.panel import Agents
from blpsim.simulate.redrawn import Redrawn
from blpsim.status import Status
from tests.wrong_values import Stranger, refused_values

from .scenarios import PARTS, scenario

STREAMS = bs.Streams(seed=5, replication=0, stream_key="shared")


def apart(agents, products):
    """Return distances between places."""
    return np.abs(agents["place"] - products["place"])


def near(agents, products):
    """Return whether a product is near."""
    return (agents["distance"] < 0.6) * (products["x"] > -1)


DISTANT = {
    "model": bs.Model(
        linear="1 + x + prices", nonlinear="1 + x", demographics="0 + distance", supply="1 + x + w"
    ),
    "truth": bs.Parameters(beta=[-1, 6, -1], sigma=[[0, 0], [0, 3.0]], pi=[[-2.0], [0]], gamma=[2, 1, 0.2]),
    "characteristics": PARTS["characteristics"] | {"place": bs.Uniform(0, 1)},
    "demographics": {"place": bs.Uniform(0, 1), "distance": bs.Pairs(apart)},
}
CHOOSY = bs.Bernoulli(0.7)


@functools.cache
def distant(**changes):
    return scenario(**DISTANT | changes)


@functools.cache
def drawn(**changes):
    """Return a dataset of the scenario with distances, changed in some respects."""
    return distant(**changes).generate(STREAMS)


def test_distances_are_what_the_rule_says_of_each_agent_and_product():
    dataset = drawn()
    assert dataset.status is Status.CONVERGED
    economy, agents = dataset.economy, dataset.economy.agents
    columns = economy.products.columns
    places = STREAMS.generator("consumers/demographics/place").uniform(0, 1, agents.number)
    for t in range(economy.products.markets):
        rows, mine = (slice(*o[t : t + 2]) for o in (economy.products.market_offsets, agents.market_offsets))
        expected = np.abs(places[mine] - columns["place"][rows][:, None])
        np.testing.assert_array_equal(agents.specific.demographics[0, : len(expected), mine], expected)
        assert not agents.specific.demographics[0, len(expected) :, mine].any()


def test_equilibrium_prices_imply_their_costs():
    for changes in ({}, {"availability": CHOOSY}, {"availability": bs.Pairs(near)}):
        economy = drawn(**changes).economy
        # Prices end where derivatives of profit are below 1e-12; those of shares are a hundredth or more.
        np.testing.assert_allclose(economy.implied_costs(), economy.costs, rtol=0, atol=1e-9)


def test_shares_are_those_of_simulated_choices():
    economy = drawn(availability=CHOOSY).economy
    blocks, agents, products = economy.parameters, economy.agents, economy.products
    rng, rounds = np.random.default_rng(0), 20_000
    rows, mine = slice(*products.market_offsets[:2]), slice(*agents.market_offsets[:2])
    x, size = products.columns["x"][rows], rows.stop
    deviations = blocks.pi[0][0] * agents.specific.demographics[0, :size, mine]
    deviations = deviations + x[:, None] * blocks.sigma[1][1] * agents.nodes[1, mine]
    utilities = np.where(
        agents.specific.availability[:size, mine] > 0, economy.delta[rows, None] + deviations, -np.inf
    )
    utilities = np.vstack((np.zeros(utilities.shape[1]), utilities))
    counts = np.zeros(size + 1)
    for _ in range(rounds // 100):
        draws = rng.gumbel(size=(100, *utilities.shape))
        counts += np.bincount((utilities + draws).argmax(axis=1).ravel(), minlength=size + 1)
    found = counts[1:] / counts.sum()
    # Five standard errors of frequencies; agents are given, so these are no larger than the binomial's.
    errors = np.sqrt(found * (1 - found) / counts.sum())
    assert (np.abs(found - products.shares[rows]) < 5 * errors).all()


def test_what_cannot_be_chosen_is_not_chosen():
    economy = drawn(availability=CHOOSY).economy
    for t, choices in enumerate(economy._choices()):
        mine = slice(*economy.agents.market_offsets[t : t + 2])
        available = economy.agents.specific.availability[: len(choices.probabilities), mine]
        assert (choices.probabilities[available == 0] == 0).all()
        assert (choices.probabilities[available > 0] > 0).all()
        assert (choices.probabilities.sum(axis=0) < 1).all()


@pytest.mark.parametrize("rho", [None, 0.6])
def test_a_product_as_good_as_can_be_takes_only_those_who_can_choose_it(rho):
    """Exponentials of a thousand overflow, and those of others underflow where it counts."""
    economy = drawn(availability=CHOOSY).economy
    model, products = economy.model, economy.products
    if rho is not None:
        products = products.replaced(nests=np.arange(products.number) % 2)
        model = dataclasses.replace(model, nests="nests")
    available = economy.agents.specific.availability[0, : economy.agents.market_offsets[1]]
    delta = economy.delta.copy()
    parameters = dataclasses.replace(economy.parameters, rho=rho)
    before = dataclasses.replace(economy, model=model, products=products, parameters=parameters)
    delta[0] = 2_000.0
    after = dataclasses.replace(before, delta=delta)
    choices, others = (next(iter(each._choices())) for each in (after, before))
    np.testing.assert_array_equal(choices.probabilities[0], available)
    kept = choices.probabilities[1:, available == 0]
    np.testing.assert_allclose(kept, others.probabilities[1:, available == 0], rtol=1e-12)
    shares = shares_at_prices(after.demand(), products.prices)
    # The kernels' exponentials are no smaller than exp(-708), of which there are a few.
    np.testing.assert_allclose(shares, after.shares(), rtol=1e-11, atol=1e-290)


def test_availability_follows_its_rule_and_what_was_drawn_before():
    agents = drawn(availability=bs.Pairs(near)).economy.agents
    offered = np.repeat(np.diff(drawn().economy.products.market_offsets), np.diff(agents.market_offsets))
    inside = np.arange(agents.specific.availability.shape[0])[:, None] < offered
    expected = (agents.specific.demographics[0] < 0.6) & inside
    np.testing.assert_array_equal(agents.specific.availability, expected)


def test_what_differs_by_product_moves_no_other_draw():
    plain, other = scenario().generate(STREAMS).economy, drawn(availability=CHOOSY).economy
    for name in ("market_ids", "firm_ids", "x", "w"):
        np.testing.assert_array_equal(plain.products.columns[name], other.products.columns[name])
    np.testing.assert_array_equal(plain.xi, other.xi)
    distances = (drawn(**changes).economy.agents.specific for changes in ({}, {"availability": CHOOSY}))
    np.testing.assert_array_equal(*(each.demographics for each in distances))


def test_draws_are_independent_by_agent_and_product():
    process = scenario(
        markets=bs.Markets(number=40, firms=2, products_per_firm=2),
        availability=bs.PerAgentAndProduct(bs.Bernoulli(0.3)),
    )
    available = process.generate(STREAMS).economy.agents.specific.availability
    count = available.size
    assert abs(available.mean() - 0.3) < 5 * np.sqrt(0.21 / count)
    both = (available[:-1] * available[1:]).mean(), (available[:, :-1] * available[:, 1:]).mean()
    # Neighbours, by product and by agent, agree on one by chance alone: 0.09, in three quarters of count.
    assert np.abs(np.array(both) - 0.09).max() < 5 * np.sqrt(0.09 * 0.91 / (0.75 * count)) * 1.5


def test_estimators_have_their_own_draws_of_the_same_population():
    dataset = drawn(availability=CHOOSY)
    model, rule = dataset.economy.model, bs.Integration("monte_carlo", 400)
    agents = dataset.draw_agents(model, rule, STREAMS, "estimation")
    assert agents.specific.availability.shape[1] == 400 * 6
    inside = agents.specific.availability[0]
    assert abs(inside.mean() - 0.7) < 5 * np.sqrt(0.21 / inside.size)


@pytest.mark.parametrize("changes", [{}, {"availability": CHOOSY}, {"availability": bs.Pairs(near)}])
def test_the_generators_agents_reproduce_mean_utilities(changes):
    dataset = drawn(**changes)
    estimator = bs.Estimator(
        integration="generator",
        starts=bs.Starts(1, width=0),
        gmm=bs.GMM(method="1s", optimizer=bs.Optimizer("return")),
    )
    result = estimator.solution(dataset, STREAMS).best
    np.testing.assert_allclose(result.delta, dataset.economy.delta, rtol=0, atol=1e-10)
    np.testing.assert_allclose(result.costs, dataset.economy.costs, rtol=0, atol=1e-8)


def test_an_estimator_may_ignore_that_some_cannot_choose_everything():
    dataset = drawn(availability=CHOOSY)
    knowing = bs.Estimator(
        integration="generator",
        starts=bs.Starts(1, width=0),
        gmm=bs.GMM(method="1s", optimizer=bs.Optimizer("return")),
    )
    ignoring = dataclasses.replace(knowing, availability=False)
    ours, theirs = (each.solution(dataset, STREAMS).best for each in (knowing, ignoring))
    assert ours.economy.agents.specific.availability is not None
    assert theirs.economy.agents.specific.availability is None
    # Seven in ten can choose a product, and so must like it by some log(1 / 0.7) more.
    assert abs((ours.delta - theirs.delta).mean() - np.log(1 / 0.7)) < 0.15


def test_a_product_that_nobody_can_choose_is_a_status():
    dataset = drawn(availability=bs.Constant(0.0))
    assert dataset.status is Status.EQUILIBRIUM_FAILED
    estimator = bs.Estimator(integration="generator", starts=bs.Starts(1, width=0))
    assert not estimator.estimate(dataset, STREAMS).status.is_usable


def test_products_left_out_of_the_data_take_their_distances_with_them():
    process = distant(shares=bs.MeasuredShares(floor=0.01, below="drop"), availability=CHOOSY)
    dataset = process.generate(STREAMS)
    assert 0 < dataset.dropped < dataset.economy.products.number
    agents = dataset.left(dataset.economy.agents)
    found = agents.specific.demographics[0]
    places = STREAMS.generator("consumers/demographics/place").uniform(0, 1, dataset.economy.agents.number)
    kept = np.isin(dataset.economy.market_ids, np.unique(dataset.measured.columns["market_ids"]))
    places = places[np.repeat(kept, 50)]
    for t in range(dataset.measured.markets):
        rows, mine = (
            slice(*dataset.measured.market_offsets[t : t + 2]),
            slice(*agents.market_offsets[t : t + 2]),
        )
        expected = np.abs(places[mine] - dataset.measured.columns["place"][rows][:, None])
        np.testing.assert_array_equal(found[: len(expected), mine], expected)


def seven(agents, products):
    """Return too many numbers."""
    del agents, products
    return np.ones(7)


def missing(agents, products):
    """Return no number."""
    del agents, products
    return np.nan


def redrawn(redraw, consumers=None) -> Redrawn:
    economy = drawn(availability=CHOOSY).economy
    return bs.Scenario.from_economy(economy, redraw, consumers=consumers)


def rows_of(agents: Agents, t: int, products: int) -> np.ndarray:
    """Return what differs by product of one market, an agent a row."""
    mine = slice(*agents.market_offsets[t : t + 2])
    parts = agents.specific.demographics[0, :products, mine], agents.specific.availability[:products, mine]
    return np.vstack(parts).T


def test_redrawn_markets_bring_their_agents_along():
    process = redrawn("markets")
    dataset, held = process.generate(STREAMS), process.economy
    taken = STREAMS.generator("markets").integers(6, size=6)
    for t, source in enumerate(taken):
        size = int(np.diff(held.products.market_offsets)[source])
        np.testing.assert_array_equal(
            rows_of(dataset.economy.agents, t, size), rows_of(held.agents, source, size)
        )


def test_resampled_people_keep_what_differs_by_product_together():
    process = redrawn("errors", bs.Integration("monte_carlo", 30))
    dataset, held = process.generate(STREAMS), process.economy
    assert dataset.status is Status.CONVERGED
    for t, size in enumerate(np.diff(held.products.market_offsets)):
        known = {row.tobytes() for row in rows_of(held.agents, t, size)}
        assert {row.tobytes() for row in rows_of(dataset.economy.agents, t, size)} <= known


def test_other_models_of_an_estimator_are_made_of_the_peoples_distances():
    process = redrawn("errors")
    dataset = process.generate(STREAMS)
    model = dataclasses.replace(dataset.economy.model, demographics="0 + I(distance**2)")
    agents = dataset.draw_agents(model, bs.Integration("monte_carlo", 30), STREAMS, "estimation")
    plain = dataset.draw_agents(
        dataset.economy.model, bs.Integration("monte_carlo", 30), STREAMS, "estimation"
    )
    np.testing.assert_allclose(agents.specific.demographics, plain.specific.demographics**2, rtol=1e-15)


def test_a_scenario_without_it_keeps_its_key():
    assert "availability" not in repr(scenario().stream_key)
    assert scenario(availability=None).stream_key == scenario().stream_key
    assert scenario(availability=CHOOSY).stream_key != scenario().stream_key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"availability": 0.7}, r"Scenario\.availability = 0.7: expected a distribution"),
        ({"availability": bs.Normal(-9, 0)}, r"Scenario\.availability = -9.0: expected zero, one or"),
        (
            {"availability": bs.Pairs(seven)},
            r"Scenario\.availability = shape \(7,\): expected",
        ),
        ({"availability": bs.Pairs(missing)}, r"Scenario\.availability = nan: expected finite"),
        (
            {"demographics": {"distance": 3}},
            r"Scenario\.demographics\['distance'\] = 3: expected a distribution",
        ),
    ],
)
def test_bad_draws_are_refused(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        scenario(**DISTANT | changes).generate(STREAMS)


def test_availability_needs_random_coefficients():
    model = bs.Model(linear="1 + x + prices", supply="1 + x + w")
    with pytest.raises(ConfigurationError, match=r"Scenario\.availability = Bernoulli"):
        scenario(
            model=model,
            truth=bs.Parameters(beta=[-7, 6, -1], gamma=[2, 1, 0.2]),
            consumers=None,
            availability=CHOOSY,
        )


def test_characteristics_of_products_do_not_differ_by_agent():
    with pytest.raises(ConfigurationError, match=r"Scenario\.characteristics\['x'\]"):
        scenario(characteristics={"x": bs.PerAgentAndProduct(bs.Uniform(0, 1)), "w": bs.Uniform(0, 1)})


def test_starts_by_frac_are_refused():
    estimator = bs.Estimator(integration=bs.Integration("product", 3), starts=bs.Starts(1, around="frac"))
    with pytest.raises(ConfigurationError, match=r"Estimator\.starts\.around = frac"):
        estimator.names(scenario(availability=CHOOSY))


def test_parts_of_other_kinds_are_refused():
    refused_values(bs.PerAgentAndProduct, "distribution")
    refused_values(bs.Pairs, "rule", (Stranger,))  # A class can be called.
