from __future__ import annotations

import itertools

import numpy as np
import pytest

from blpsim.arrays import InversionRule
from blpsim.kernels import inversion
from blpsim.kernels.inversion import ANDERSON, CONTRACTION, MEMORY, OUTSIDE_CORRECTED, SIMPLE, SQUAREM

from . import entrance, logit

EVERY_RULE = list(itertools.product((SIMPLE, SQUAREM, ANDERSON), (CONTRACTION, OUTSIDE_CORRECTED)))
USUAL = (ANDERSON, OUTSIDE_CORRECTED)


def invert(target, start, rule=USUAL, limit=20_000, tolerance=1e-13, call=entrance.invert_shares):
    """Return the solution, evaluations and the residual."""
    delta, agents = np.array(start, float), target.weights.size
    odds, outside = np.full((delta.size, agents), np.nan), np.full(agents, np.nan)
    bench = logit.bench(delta.size, agents)
    evaluations, residual = call(delta, odds, outside, bench, target, InversionRule(*rule, tolerance, limit))
    return delta, evaluations, residual


def plain(target):
    """Return the mean utilities of plain logit, (J,)."""
    return target.log_shares - target.log_outside


def scaled(total):
    return lambda weights: total * weights


def negative(weights):
    return np.concatenate(([-0.2], weights[1:] * 1.2 / weights[1:].sum()))


def very_negative(weights):
    return np.concatenate(([-0.5], weights[1:] * 1.5 / weights[1:].sum()))


MARKETS = {
    "usual": logit.market(),
    "one product, one agent": logit.market(1, 1),
    "one product": logit.market(1, 30),
    "one agent": logit.market(9, 1),
    "fewer products than the memory": logit.market(MEMORY - 1, 20),
    "as many products as the memory": logit.market(MEMORY, 20),
    "shares of 1e-12": logit.market(level=-27.0, sigma=0.5),
    "a share of 1e-12 among large ones": logit.market()._replace(
        delta=np.array([-27.0, *np.linspace(-2, 0, 7)])
    ),
    "large sigma": logit.market(8, 200, sigma=12.0),
    "few who buy nothing": logit.market(level=4.0, sigma=1.0),
    "weights that sum to 0.7": logit.market(weights=scaled(0.7)),
    "weights that sum to 1.3": logit.market(weights=scaled(1.3)),
    "a negative weight": logit.market(weights=negative, sigma=0.7),
}


@pytest.mark.parametrize("rule", EVERY_RULE)
@pytest.mark.parametrize("name", MARKETS)
def test_every_method_and_mapping_finds_the_root_that_made_the_shares(name, rule):
    market = MARKETS[name]
    delta, evaluations, residual = invert(market.target, plain(market.target), rule)
    assert residual < 1e-13
    assert np.abs(delta - market.delta).max() < 1e-10
    assert evaluations >= 1


def shares_of(target, delta):
    """Return shares, (J,), and the outside share."""
    utilities = delta[:, None] + target.x2 @ target.coefficients
    odds = np.exp(utilities - utilities.max(axis=0, initial=0.0))
    outside = np.exp(-utilities.max(axis=0, initial=0.0))
    total = outside + odds.sum(axis=0)
    return (odds / total) @ target.weights, (outside / total) @ target.weights


@pytest.mark.parametrize("which", ["shares", "outside share"])
def test_a_start_where_shares_are_negative_is_left(which):
    """With negative weights there are such places, where PyBLP puts 1e-300 for the shares."""
    market = logit.market(weights=very_negative, sigma=1.0, seed=9)
    starts = market.delta + np.random.default_rng(0).normal(scale=4.0, size=(500, 8))
    found = [shares_of(market.target, start) for start in starts]
    negative = [outside < 0 if which == "outside share" else (s < 0).any() for s, outside in found]
    assert sum(negative) > 10
    for start in starts[negative][:10]:
        delta, _, residual = invert(market.target, start, limit=1_000)
        assert residual < 1e-13
        assert np.abs(delta - market.delta).max() < 1e-10


def test_anderson_needs_the_fewest_evaluations():
    target = MARKETS["usual"].target
    used = {rule: invert(target, plain(target), rule)[1] for rule in EVERY_RULE}
    assert used[USUAL] < min(used[SQUAREM, OUTSIDE_CORRECTED], used[SIMPLE, OUTSIDE_CORRECTED])
    assert used[SIMPLE, OUTSIDE_CORRECTED] < used[SIMPLE, CONTRACTION]


@pytest.mark.parametrize("rule", [rule for rule in EVERY_RULE if rule != (SQUAREM, CONTRACTION)])
@pytest.mark.parametrize("distance", [-300.0, -49.0, 49.0, 60.0, 300.0, 700.0])
def test_a_start_far_from_the_root_is_rebased(distance, rule):
    """SQUAREM leaps away from so far on the contraction, which then moves by log S - log s at most."""
    market = logit.market(sigma=1.0)
    start = market.delta + distance * np.linspace(0.5, 1, 8)
    delta, _, residual = invert(market.target, start, rule, limit=2_000)
    assert residual < 1e-13
    assert np.abs(delta - market.delta).max() < 1e-10


@pytest.mark.parametrize("rule", [(SIMPLE, OUTSIDE_CORRECTED), (SQUAREM, OUTSIDE_CORRECTED), USUAL])
def test_odds_that_were_out_of_range_at_the_start_are_computed_again(rule):
    market = logit.market(sigma=1.0)
    start = market.delta + 500 * np.where(np.arange(8) % 2, 1, -1)
    delta, _, residual = invert(market.target, start, rule, limit=2_000)
    assert residual < 1e-13
    assert np.abs(delta - market.delta).max() < 1e-10


def test_when_anderson_fails_other_methods_find_the_root():
    market = logit.market(sigma=1.0)
    delta, evaluations, residual = invert(
        market.target, market.delta + 49, (ANDERSON, CONTRACTION), limit=200
    )
    assert evaluations > 200
    assert residual < 1e-13
    assert np.abs(delta - market.delta).max() < 1e-10


@pytest.mark.parametrize("level", [-600.0, 600.0])
def test_roots_of_extreme_utilities_reproduce_their_shares(level):
    market = logit.market(sigma=0.5, level=0.0)
    shift = np.column_stack((np.full(8, level), np.zeros(8)))
    target = market.target._replace(x2=market.x2 + shift, coefficients=np.ones((2, 12)))
    delta, _, residual = invert(target, plain(target))
    assert residual < 1e-13
    utilities = delta[:, None] + target.x2 @ target.coefficients
    assert np.allclose(logit.probabilities(utilities) @ target.weights, market.shares, rtol=1e-10, atol=0)


def test_without_random_coefficients_the_first_evaluation_is_the_last():
    market = logit.market(sigma=0.0)
    delta, evaluations, _ = invert(market.target, plain(market.target))
    assert evaluations == 1
    assert np.array_equal(delta, plain(market.target))


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_too_few_evaluations_leave_a_residual_that_says_so(rule):
    market = logit.market(sigma=6.0)
    delta, evaluations, residual = invert(market.target, plain(market.target), rule, limit=1)
    assert 1e-13 < residual < np.inf
    assert evaluations == (3 if rule[0] == ANDERSON else 1)
    assert np.isfinite(delta).all()


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_shares_that_no_delta_explains_leave_a_residual_that_is_not_nan(rule):
    market = logit.market(weights=scaled(1.5))
    impossible = market.target._replace(weights=market.weights / 1.5 * 0.2)
    with np.errstate(invalid="ignore"):
        outside = np.log(np.float64(0.2) - market.shares.sum())
    _, _, residual = invert(impossible._replace(log_outside=outside), np.zeros(8), rule, limit=50)
    assert residual >= 1e-13
    _, _, residual = invert(impossible._replace(log_outside=-3.0), np.zeros(8), rule, limit=50)
    assert residual >= 1e-13


@pytest.mark.parametrize("rule", EVERY_RULE)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["delta", "log_shares", "coefficients", "x2"])
def test_what_is_not_finite_leaves_a_residual_that_is_not_nan(where, bad, rule):
    target = logit.market().target
    start = plain(target).copy()
    spoiled = start if where == "delta" else getattr(target, where).copy()
    spoiled.flat[1] = bad
    if where != "delta":
        target = target._replace(**{where: spoiled})
    _, _, residual = invert(target, start, rule, limit=30)
    assert residual >= 1e-13


@pytest.mark.parametrize("products", [1, 2, MEMORY])
def test_anderson_ends_a_linear_iteration_after_one_step_a_dimension(products):
    rng = np.random.default_rng(products)
    raw = rng.normal(size=(products, products))
    matrix = (raw + raw.T) / (4 * products)
    root, delta = rng.normal(size=products), np.zeros(products)
    work, small = np.full((2 + 2 * MEMORY, products), np.nan), np.full((MEMORY + 1, MEMORY), np.nan)
    for evaluation in range(products + 2):
        step = (matrix - np.eye(products)) @ (delta - root)
        entrance.anderson_step(delta, step, work, small, evaluation)
    assert np.abs(delta - root).max() < 1e-6


def test_anderson_stays_where_nothing_moves():
    delta, work = np.array([1.0, 2.0]), np.full((2 + 2 * MEMORY, 2), np.nan)
    for evaluation in range(6):
        entrance.anderson_step(delta, np.zeros(2), work, np.full((MEMORY + 1, MEMORY), np.nan), evaluation)
    assert delta.tolist() == [1.0, 2.0]


def test_squarem_ends_a_linear_iteration_of_one_dimension_in_a_cycle():
    delta, work = np.array([0.0]), np.full((2, 1), np.nan)
    for evaluation in range(2):
        entrance.squarem_step(delta, -0.4 * (delta - 5.0), work, evaluation)
    assert delta[0] == pytest.approx(5.0, abs=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_normal_equations_are_solved(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(5, size))
    gram, right = root.T @ root, rng.normal(size=size)
    expected = np.linalg.solve(gram, right)
    assert entrance.solve_normal_equations(gram, right, size)
    assert np.allclose(right, expected, rtol=1e-10)


@pytest.mark.parametrize("gram", [[[0.0]], [[-1.0]], [[np.nan]], [[1.0, 1.0], [1.0, 1.0]]])
def test_normal_equations_without_a_positive_pivot_are_refused(gram):
    assert not entrance.solve_normal_equations(np.array(gram), np.ones(len(gram)), len(gram))


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_compiled_and_interpreted_kernels_agree(rule):
    market = logit.market(5, 4, sigma=1.0)
    start, source = plain(market.target) + 60, entrance.interpreted(inversion.invert_shares)
    compiled = invert(market.target, start, rule, tolerance=1e-9, limit=40)
    interpreted = invert(market.target, start, rule, tolerance=1e-9, limit=40, call=source)
    assert compiled[1] == interpreted[1]
    assert np.allclose(compiled[0], interpreted[0], rtol=1e-7, atol=1e-8)
