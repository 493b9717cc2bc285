"""Optimal instruments: draws of the errors, their equilibria, and what is made of them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import blpsim as bs
from blpsim.estimate.optimal import optimal_instruments
from blpsim.estimate.realizations import Errors, drawn_errors, expectation
from blpsim.status import Status
from tests.wrong_values import refused_values

from .chains import drawn, drawn_again
from .problems import DEMAND, NESTED_SUPPLY, posed
from .refusals import refused

STILL = bs.GMM(method="1s", optimizer=bs.Optimizer("return"), hessian=False)
SUMS = bs.Estimator(
    integration=bs.Integration("product", 5),
    starts=bs.Starts(1, width=0.1),
    gmm=bs.GMM(method="1s", hessian=False),
)


@functools.cache
def evaluated(seed=NESTED_SUPPLY):
    """Return the result of a random problem at its parameters."""
    case = posed(seed)
    return case.problem.solve(
        case.parameters, dataclasses.replace(case.gmm, method="1s", optimizer=STILL.optimizer)
    )


def chained(**options):
    first = dataclasses.replace(SUMS, supply=options.pop("supply", True))
    return dataclasses.replace(first, instruments=bs.instruments.Optimal(first=first, **options))


def estimate(estimator):
    streams, dataset = drawn()
    return estimator.estimate(dataset, streams)


def errors_of(method, draws, seed=NESTED_SUPPLY):
    return list(drawn_errors(evaluated(seed).fitted, method, draws, np.random.default_rng(1)))


def test_approximate_errors_are_zero():
    (only,) = errors_of("approximate", 1)
    assert not only.xi.any()
    assert not only.omega.any()


def test_empirical_errors_are_pairs_of_residuals():
    fitted = evaluated().fitted
    pairs = {tuple(pair) for pair in zip(fitted.xi, fitted.omega, strict=True)}
    first, second = errors_of("empirical", 2)
    assert {tuple(pair) for pair in zip(first.xi, first.omega, strict=True)} < pairs
    assert not np.array_equal(first.xi, second.xi)


@pytest.mark.parametrize("method", ["asymptotic", "normal"])
def test_asymptotic_errors_have_the_residuals_covariance(method):
    fitted = evaluated().fitted
    parts = errors_of(method, 400)
    xi, omega = (np.concatenate([getattr(each, name) for each in parts]) for name in ("xi", "omega"))
    wanted, found = np.cov(fitted.xi, fitted.omega), np.cov(xi, omega)
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    # A normal covariance has a Monte Carlo error of at most sqrt(2 / n) of the variances; five of them.
    assert np.abs((found - wanted) / scale).max() < 5 * np.sqrt(2 / xi.size)
    assert abs(xi.mean()) < 5 * np.sqrt(wanted[0, 0] / xi.size)


def test_without_supply_there_are_draws_of_xi_alone():
    fitted = evaluated(DEMAND).fitted
    for method in ("approximate", "asymptotic", "empirical"):
        (only,) = errors_of(method, 1, DEMAND)
        assert only.omega.size == 0
        assert only.xi.shape == fitted.xi.shape


def test_what_is_expected_is_a_mean_over_draws():
    fitted, errors = evaluated().fitted, errors_of("empirical", 3)
    together, apart = (
        expectation(fitted, errors, None),
        [expectation(fitted, [each], None) for each in errors],
    )
    assert together.draws == 3
    for name in ("prices", "shares", "d_xi", "d_omega"):
        mean = np.mean([getattr(each, name) for each in apart], axis=0)
        assert np.allclose(getattr(together, name), mean, rtol=1e-13, atol=1e-15)
        assert not np.array_equal(getattr(apart[0], name), getattr(apart[1], name))


def test_a_draw_without_an_equilibrium_is_counted_and_left_out_where_it_has_none():
    fitted, (fine, other) = evaluated().fitted, errors_of("empirical", 2)
    products = fitted.setting.products
    broken = other.xi.copy()
    broken[: products.market_offsets[1]] = -2_000.0
    found = expectation(fitted, [fine, Errors(broken, other.omega)], None)
    assert found.failed.tolist() == [1] + [0] * (products.markets - 1)
    alone, both = expectation(fitted, [fine], None), expectation(fitted, [fine, other], None)
    here = slice(0, products.market_offsets[1])
    for name in ("prices", "shares", "d_xi", "d_omega"):
        values = getattr(found, name)
        assert np.array_equal(values[here], getattr(alone, name)[here])
        assert np.array_equal(values[here.stop :], getattr(both, name)[here.stop :])


def test_without_any_equilibrium_there_are_no_instruments_and_a_status_says_so(monkeypatch):
    fitted = evaluated().fitted
    broken = Errors(np.full_like(fitted.xi, -2_000.0), fitted.omega)
    assert optimal_instruments(fitted, [broken]) is None
    monkeypatch.setattr("blpsim.estimate.first_step.drawn_errors", lambda *_: [broken])
    with refused(bs.DataError, "compute_optimal_instruments", "1 failed draws"):
        evaluated().compute_optimal_instruments("empirical")
    monkeypatch.setattr("blpsim.estimate.solution.drawn_errors", lambda fitted, *_: [broken_like(fitted)])
    found = chained(method="empirical", draws=2).estimate(drawn_again(), drawn()[0])
    assert found.status is Status.EQUILIBRIUM_FAILED
    assert np.isnan(found.values).all()


def broken_like(fitted):
    return Errors(np.full_like(fitted.xi, -2_000.0), fitted.omega)


def test_failed_draws_are_a_diagnostic(monkeypatch):
    assert "failed_draws" not in estimate(SUMS).diagnostics
    assert estimate(chained()).diagnostics["failed_draws"] == 0

    def half(fitted, *_):
        return [Errors(0 * fitted.xi, 0 * fitted.omega), broken_like(fitted)]

    monkeypatch.setattr("blpsim.estimate.solution.drawn_errors", half)
    found = chained(method="empirical", draws=2).estimate(drawn_again(), drawn()[0])
    markets = drawn()[1].economy.products.markets
    assert found.diagnostics["failed_draws"] == markets
    assert found.status.is_usable


@pytest.mark.parametrize("supply", [False, True])
@pytest.mark.parametrize("method", ["asymptotic", "empirical"])
def test_draws_are_the_replications_own_and_matter(method, supply):
    streams, dataset = drawn()
    estimator = chained(method=method, draws=3, supply=supply)
    once = estimator.estimate(dataset, streams)
    again = estimator.estimate(drawn_again(), streams)
    assert once.status.is_usable
    assert np.array_equal(once.values, again.values)
    assert np.array_equal(once.standard_errors, again.standard_errors)
    approximate = chained(supply=supply).estimate(dataset, streams)
    assert not np.array_equal(once.values, approximate.values)
    other = estimator.estimate(dataset, dataclasses.replace(streams, seed=6))
    assert not np.array_equal(once.values, other.values)


def test_errors_have_a_stream_of_their_own():
    streams, dataset = drawn()
    estimator = chained(method="empirical", draws=2)
    fitted = estimator.instruments.first.solution(dataset, streams).best.fitted
    errors = drawn_errors(fitted, "empirical", 2, streams.generator("optimal instruments"))
    expected = optimal_instruments(fitted, errors)
    setting = estimator.solution(dataset, streams).setting
    assert expected is not None
    excluded = expected.demand_instruments.T
    assert np.array_equal(setting.demand_instruments[: len(excluded)], excluded)


def test_more_draws_bring_the_two_methods_together():
    """Means over normal draws and over residuals differ by Monte Carlo error and the shape of residuals."""
    few, many = (
        [estimate(chained(method=method, draws=draws)).values for method in ("asymptotic", "empirical")]
        for draws in (1, 200)
    )
    assert np.abs(many[0] - many[1]).max() < np.abs(few[0] - few[1]).max() / 2


def test_a_problem_with_a_results_instruments_is_what_a_studys_chain_estimates():
    streams, dataset = drawn()
    estimator = chained()
    found = estimator.estimate(dataset, streams)
    first = estimator.instruments.first.solution(dataset, streams).best
    optimal = first.compute_optimal_instruments()
    assert optimal.expected_prices.shape == (len(optimal.products),)
    problem = bs.Problem(dataset.economy.model, optimal.products, integration=bs.Integration("product", 5))
    start = dataclasses.replace(first.parameters, gamma=None, free=None)
    beta = np.where([False, False, True], np.asarray(start.beta), np.nan)
    result = problem.solve(dataclasses.replace(start, beta=beta), estimator.gmm)
    # Both end where the projected gradient is within 1e-5 of zero.
    assert np.allclose(result.values, found.values, rtol=1e-5)


def test_instruments_replace_those_of_the_products():
    result = evaluated()
    before = result.origin.setting.products.frame()
    optimal = result.compute_optimal_instruments()
    after = optimal.products
    assert {"demand_instruments0", "supply_instruments0"} <= set(before) & set(after)
    assert np.array_equal(after["demand_instruments0"], optimal.demand_instruments[:, 0])
    assert sum("demand_instruments" in name for name in after) == optimal.demand_instruments.shape[1]
    kept = [name for name in before if "instruments" not in name]
    assert after[kept].equals(before[kept])


def test_expected_prices_are_projected_without_supply_unless_given():
    result = evaluated(DEMAND)
    assert result.origin.setting.demand_absorber is not None
    default = result.compute_optimal_instruments()
    again = result.compute_optimal_instruments(expected_prices=default.expected_prices)
    assert np.array_equal(default.demand_instruments, again.demand_instruments)
    other = result.compute_optimal_instruments(expected_prices=default.expected_prices + 0.1)
    assert not np.allclose(default.demand_instruments, other.demand_instruments)


@pytest.mark.parametrize("prices", ["abc", [1.0], np.nan, [None]])
def test_expected_prices_that_are_not_one_a_product_are_refused(prices):
    with refused(bs.DataError, "expected_prices"):
        evaluated().compute_optimal_instruments(expected_prices=prices)


def test_a_result_without_an_economy_has_no_instruments():
    failed = dataclasses.replace(evaluated(), economy=None)
    for attempt in (failed.compute_optimal_instruments, lambda: failed.importance_sampling(5)):
        with refused(bs.ConfigurationError, "Result.economy", None):
            attempt()


@pytest.mark.parametrize("make", [chained, lambda **given: evaluated().compute_optimal_instruments(**given)])
def test_methods_that_there_are_not_and_draws_of_none_are_refused(make):
    refused_values(lambda method: make(method=method), "method")
    refused_values(lambda draws: make(method="empirical", draws=draws), "draws")
    with pytest.raises(bs.ConfigurationError, match="draws = 2: expected 1, or another method"):
        make(draws=2)


def test_seeds_are_natural_numbers():
    refused_values(lambda seed: evaluated().compute_optimal_instruments(seed=seed), "seed")
