"""Demographics that differ by product, and agents who cannot choose every product."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import ConfigurationError
from blpsim.estimate.objective import Objective
from blpsim.kernels.general.objective import evaluate_nested_with_gradient
from blpsim.status import Status
from tests.kernels.entrance import interpreted

from .by_product import LINKS, PARAMETERS, SIZES, agents, model, objective_of, products
from .nested import at_start, implied_gradient
from .problems import central_difference, distance

ROUNDING = 1e-11
"""Ten thousand units in the last place: a few hundred operations on each of a few hundred numbers."""

NESTED = {"nests": "nesting_ids"}
CASES = {
    "distance": (model(), {"availability": False}, {}),
    "availability": (model(), {"distance": False}, {}),
    "both": (model(costs="log"), {}, {}),
    "links": (model(rc_types=LINKS), {}, {"beta": [np.nan, np.nan, -4.0]}),
    "nests": (model(**NESTED), {}, {"rho": 0.4}),
    "nests and links": (model(**NESTED, rc_types=LINKS), {}, {"rho": [0.2, 0.5, 0.7]}),
    "logs of prices": (model(linear="1 + x + log(prices)", nonlinear="0 + x + log(prices)"), {}, {}),
    "interaction": (model(demographics="0 + income + income:distance"), {}, {}),
    "demand": (model(supply=None), {}, {"beta": None}),
}


def posed(name) -> Objective:
    """Return the objective of a case."""
    made, people, parameters = CASES[name]
    return objective_of(made, products(), agents(**people), **parameters)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_the_objectives_central_difference(name):
    objective = posed(name)
    gradient = at_start(objective)[1]
    assert objective.status is Status.EVALUATED
    differences = central_difference(lambda theta: objective(theta)[0], objective.layout.theta0)
    assert distance(gradient, differences) < 1e-7


@pytest.mark.parametrize("name", CASES)
def test_the_jacobian_implies_the_gradient(name):
    objective = posed(name)
    gradient = at_start(objective)[1]
    if objective.setting.supply:
        assert implied_gradient(objective, gradient) < 1e-10
        return
    jacobian, setting, moments = objective.jacobian(), objective.setting, objective.moments
    moved = setting.demand_instruments @ jacobian.xi / setting.number
    implied = 2 * moments.scale * moved.T @ moments.weighting @ objective.state.moments
    assert distance(implied[objective.layout.theta_positions], gradient) < 1e-10


def same(ours: Objective, theirs: Objective):
    """Assert that two objectives, their gradients and Jacobians are equal."""
    (value, gradient), (expected, other) = at_start(ours), at_start(theirs)
    assert value == pytest.approx(expected, rel=ROUNDING)
    assert distance(gradient, other) < ROUNDING
    np.testing.assert_allclose(ours.delta, theirs.delta, rtol=0, atol=ROUNDING)
    left, right = ours.jacobian(), theirs.jacobian()
    assert distance(left.xi, right.xi) < 10 * ROUNDING
    assert distance(left.omega, right.omega) < 10 * ROUNDING


@pytest.mark.parametrize("links", [None, LINKS])
def test_agents_who_can_choose_everything_are_as_those_of_whom_nothing_is_said(links):
    people, made = agents(distance=False, availability=False), model(rc_types=links)
    everything = {f"availability{j}": np.ones(people["weights"].size) for j in range(max(SIZES))}
    plain = objective_of(made, products(), people)
    assert plain.nesting is None
    same(objective_of(made, products(), people | everything), plain)


@pytest.mark.parametrize("links", [None, LINKS])
def test_a_demographic_that_is_the_same_for_all_products_does_not_differ_by_product(links):
    people, made = agents(distance=False, availability=False), model(rc_types=links)
    repeated = {f"distance{j}": people["distance"] for j in range(max(SIZES))}
    others = {name: column for name, column in people.items() if name != "distance"}
    same(objective_of(made, products(), others | repeated), objective_of(made, products(), people))


def test_availability_that_scales_all_odds_of_a_product_shifts_its_mean_utility():
    people, factor = agents(distance=False, availability=False), 1 - 0.1 * np.arange(max(SIZES))
    scaled = {f"availability{j}": np.full(people["weights"].size, factor[j]) for j in range(max(SIZES))}
    ours, plain = (objective_of(model(), products(), each) for each in (people | scaled, people))
    at_start(ours), at_start(plain)
    ranks = np.concatenate([np.arange(size) for size in SIZES])
    shift = ours.setting.products.restored(ours.delta - plain.delta)
    np.testing.assert_allclose(shift, -np.log(factor[ranks]), rtol=0, atol=1e-12)


def test_mean_utilities_follow_products_whose_rows_are_mixed():
    data, people = products(), agents()
    rng, starts = np.random.default_rng(0), np.cumsum((0, *SIZES))
    order = np.concatenate([rng.permutation(np.arange(a, b)) for a, b in itertools.pairwise(starts)])
    moved = {name: column.copy() for name, column in people.items()}
    for t, size in enumerate(SIZES):
        mine = people["market_ids"] == t
        for j in range(size):
            for name in ("distance", "availability"):
                source = people[f"{name}{order[starts[t] + j] - starts[t]}"]
                moved[f"{name}{j}"][mine] = source[mine]
    mixed = rng.permutation(people["weights"].size)
    found = bs.Problem(
        model(),
        {name: column[order] for name, column in data.items()},
        {name: column[mixed] for name, column in moved.items()},
    ).evaluate(bs.Parameters(**PARAMETERS))
    expected = bs.Problem(model(), data, people).evaluate(bs.Parameters(**PARAMETERS))
    np.testing.assert_allclose(found.delta, expected.delta[order], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.costs, expected.costs[order], rtol=1e-11)


def test_compiled_kernels_do_what_their_source_says():
    objective = posed("nests and links")
    value, gradient = at_start(objective)
    objective.state.delta[:] = objective.start_delta
    found = interpreted(evaluate_nested_with_gradient)(*objective.arguments)
    assert found[1] == pytest.approx(value, rel=ROUNDING)
    assert distance(objective.unknowns.gradient, gradient) < ROUNDING


@pytest.mark.parametrize("method", ["newton", "squarem", "lm"])
@pytest.mark.parametrize("name", ["both", "nests and links"])
def test_every_inversion_finds_the_same_mean_utilities(name, method):
    made, people, parameters = CASES[name]
    expected = posed(name)
    gmm = bs.GMM(iteration=bs.Inversion(method))
    found = objective_of(made, products(), agents(**people), gmm, **parameters)
    at_start(expected), at_start(found)
    np.testing.assert_allclose(found.delta, expected.delta, rtol=0, atol=1e-11)


def test_a_product_that_no_agent_of_an_estimator_can_choose_is_a_status():
    objective = posed("both")
    objective.nesting.specific.available[0] = 0.0
    at_start(objective)
    assert objective.status is Status.NON_FINITE


def test_rows_of_a_table_keep_their_distances_and_availability_with_an_integration():
    people = agents()
    rule = bs.Integration("product", 3)
    setting = bs.Problem(model(), products(), people, integration=rule).setting
    chosen = np.concatenate([np.flatnonzero(people["market_ids"] == t)[:9] for t in range(len(SIZES))])
    specific = setting.agents.specific
    for j in range(max(SIZES)):
        inside = np.repeat(np.array(SIZES) > j, 9)
        found = specific.availability[j, inside], specific.demographics[0, j, inside]
        np.testing.assert_array_equal(found[0], people[f"availability{j}"][chosen][inside])
        np.testing.assert_array_equal(found[1], people[f"distance{j}"][chosen][inside])


def test_there_is_no_surplus_where_slopes_differ_by_product():
    economy = bs.Problem(model(), products(), agents()).evaluate(bs.Parameters(**PARAMETERS)).economy
    with pytest.raises(ConfigurationError, match=r"Economy\.model"):
        economy.consumer_surplus()


def test_frac_starts_are_refused():
    problem = bs.Problem(model(), products(), agents())
    with pytest.raises(ConfigurationError, match=r"Problem\.frac = frac: expected other starts where"):
        problem.frac(bs.Parameters(**PARAMETERS))


def test_sampled_agents_bring_what_differs_by_product():
    result = bs.Problem(model(), products(), agents()).solve(
        bs.Parameters(**PARAMETERS), bs.GMM(method="1s", optimizer=bs.Optimizer("return"))
    )
    sample = result.importance_sampling(draws=2, seed=1)
    frame, people = sample.agents.frame(), agents()
    for _, row in frame.iterrows():
        (place,) = np.flatnonzero(people["nodes0"] == row["nodes0"])
        for j in range(SIZES[int(row["market_ids"])]):
            assert row[f"distance{j}"] == people[f"distance{j}"][place]
            assert row[f"availability{j}"] == people[f"availability{j}"][place]
    # Nobody who can choose nothing buys.
    assert not (frame["nodes0"] == people["nodes0"][0]).any()


def test_resampled_agents_bring_what_differs_by_product():
    gmm = bs.GMM(
        method="1s",
        optimizer=bs.Optimizer("return"),
        resample_agents=lambda k: agents(seed=k) if k < 3 else None,
    )
    problem = bs.Problem(model(), products(), agents())
    added = problem.solve(bs.Parameters(**PARAMETERS), gmm).covariance
    without = problem.solve(
        bs.Parameters(**PARAMETERS), dataclasses.replace(gmm, resample_agents=None)
    ).covariance
    assert np.isfinite(added).all()
    assert (np.diag(added) > np.diag(without)).any()
