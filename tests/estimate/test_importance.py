"""Importance sampling: who is sampled, with which weights, and the chain that it makes."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import blpsim as bs
from blpsim.economy.choices import choices_by_market, inside_probabilities
from blpsim.estimate.importance import Rule, TooFew, inverted_delta, sample_agents
from blpsim.model.agents import read_candidates
from blpsim.status import Status
from tests.simulate.scenarios import scenario
from tests.wrong_values import refused_values

from .chains import drawn, drawn_again
from .problems import CURVED, NESTED_SUPPLY, posed
from .refusals import refused

DRAWS = bs.Integration("monte_carlo", 60)
CANDIDATES = bs.Integration("monte_carlo", 500)
FIRST = bs.Estimator(
    integration=DRAWS, starts=bs.Starts(1, width=0.1), gmm=bs.GMM(method="1s", hessian=False)
)


def sampling(**options):
    return bs.ImportanceSampling(**{"first": FIRST, "draws": 60, "integration": CANDIDATES, **options})


def chained(**options):
    return dataclasses.replace(FIRST, integration=sampling(**options))


def estimate(estimator):
    streams, dataset = drawn()
    return estimator.estimate(dataset, streams)


@functools.cache
def evaluated(seed=CURVED):
    """Return the result of a random problem at its parameters."""
    case = posed(seed)
    gmm = dataclasses.replace(case.gmm, method="1s", optimizer=bs.Optimizer("return"))
    return case.problem.solve(case.parameters, gmm)


def fitted():
    """Return the first step of the chain, with the agents that it integrates over as candidates."""
    streams, dataset = drawn()
    return FIRST.solution(dataset, streams).best.fitted


def population(number, size=500):
    streams, dataset = drawn()
    return dataset.draw_agents(
        dataset.economy.model, bs.Integration("monte_carlo", size), streams, f"test {number}"
    )


@pytest.mark.parametrize("seed", [CURVED, NESTED_SUPPLY])
def test_probabilities_to_buy_are_sums_of_those_to_buy_a_product(seed):
    demand = evaluated(seed).fitted.demand
    every = list(choices_by_market(demand))
    found = dict(inside_probabilities(demand, range(1, len(every))))
    assert list(found) == list(range(1, len(every)))
    for market, probabilities in found.items():
        assert np.allclose(probabilities, every[market].probabilities.sum(axis=0), rtol=1e-13, atol=0)


def test_weights_undo_how_agents_are_sampled():
    """Sampled agents' inside shares are the observed ones, agent by agent; those of products on average."""
    at = fitted()
    sample = sample_agents(at, population, Rule(400, 1.0), np.random.default_rng(0))
    assert not isinstance(sample, TooFew)
    demand = at._replace(setting=dataclasses.replace(at.setting, agents=sample.agents)).demand
    precise = at._replace(setting=dataclasses.replace(at.setting, agents=population(0, 20_000))).demand
    shares = at.setting.products.shares
    ours, exact = (np.concatenate([each.shares for each in choices_by_market(d)]) for d in (demand, precise))
    starts = at.setting.products.market_offsets[:-1]
    assert np.allclose(np.add.reduceat(ours, starts), np.add.reduceat(shares, starts), rtol=1e-13)
    inside = [np.repeat(np.add.reduceat(s, starts), np.diff([*starts, s.size])) for s in (ours, exact)]
    # A product's part of the inside share is a mean over 400 agents of numbers between 0 and 1.
    assert np.abs(ours / inside[0] - exact / inside[1]).max() < 5 * 0.5 / np.sqrt(400)
    totals = sample.weight_sums
    assert np.abs(totals - 1).max() > 0.01
    assert np.abs(totals.mean() - 1) < 0.1
    assert (sample.effective_draws < 400).all()


def test_a_larger_constant_accepts_fewer_of_the_same_candidates():
    counts = []
    for constant in (1.0, 2.0):
        once = [population(0, 5_000), None].__getitem__
        found = sample_agents(fitted(), once, Rule(10, constant), np.random.default_rng(0))
        assert not isinstance(found, TooFew)
        counts.append(found.accepted)
    # Half of some hundred accepted are accepted again, within five binomial standard errors.
    assert np.abs(counts[1] / counts[0] - 0.5).max() < 5 * 0.5 / np.sqrt(counts[0].min())


def test_markets_go_on_drawing_until_they_have_accepted_enough():
    asked = []

    def counting(number):
        asked.append(number)
        return population(number)

    found = sample_agents(fitted(), counting, Rule(200, 1.0), np.random.default_rng(0))
    assert not isinstance(found, TooFew)
    assert asked == list(range(len(asked)))
    assert len(asked) > 2
    assert (found.accepted >= 200).all()
    assert (np.diff(found.agents.market_offsets) == 200).all()
    few = sample_agents(fitted(), [population(0), None].__getitem__, Rule(200, 1.0), np.random.default_rng(0))
    assert isinstance(few, TooFew)
    assert few.accepted < 200


def test_a_chain_starts_where_its_first_step_ended_and_estimates_with_its_own_agents():
    streams, dataset = drawn()
    found, first = estimate(chained()), estimate(FIRST)
    assert found.status.is_usable
    assert np.array_equal(found.starts[0].value[3], first.values[3])
    agents = found.result.origin.setting.agents
    assert agents.number == 20 * 60
    assert np.abs(np.add.reduceat(agents.weights, agents.market_offsets[:-1]) - 1).max() > 0.01
    again = chained().estimate(drawn_again(), streams)
    assert np.array_equal(found.values, again.values)
    other = chained().estimate(dataset, dataclasses.replace(streams, seed=6))
    assert not np.array_equal(found.values, other.values)


def test_candidates_and_acceptance_have_streams_of_their_own():
    streams, dataset = drawn()
    model = dataset.economy.model

    def candidates(number):
        return dataset.draw_agents(model, CANDIDATES, streams, f"estimation/candidates {number}")

    generator = streams.generator("estimation/importance sampling")
    expected = sample_agents(fitted(), candidates, Rule(60, 1.0), generator)
    agents = estimate(chained()).result.origin.setting.agents
    assert not isinstance(expected, TooFew)
    assert np.array_equal(agents.nodes, expected.agents.nodes)
    assert np.array_equal(agents.weights, expected.agents.weights)


def test_the_first_step_is_estimated_once_for_all_that_build_on_it(monkeypatch):
    from blpsim.estimate import estimator as module

    solved = []
    solve = module.solve
    monkeypatch.setattr(module, "solve", lambda *given: solved.append(1) or solve(*given))
    streams, dataset = drawn()[0], drawn_again()
    for each in (chained(), chained(draws=50), FIRST):
        each.estimate(dataset, streams)
    assert len(solved) == 3


def test_instruments_and_agents_can_follow_from_different_first_steps():
    optimal = dataclasses.replace(FIRST, instruments=bs.instruments.Optimal(first=FIRST))
    both = dataclasses.replace(optimal, integration=sampling(first=optimal))
    found, before = estimate(both), estimate(optimal)
    assert found.status.is_usable
    assert np.array_equal(found.starts[0].value[3], before.values[3])


def test_more_precise_mean_utilities_are_inverted_at_the_first_estimate():
    streams, dataset = drawn()
    at = fitted()
    precise = bs.Integration("product", 9)
    agents = dataset.draw_agents(dataset.economy.model, precise, streams, "any")
    delta = inverted_delta(at, agents, bs.GMM())
    demand = at._replace(setting=dataclasses.replace(at.setting, agents=agents), delta=delta).demand
    shares = np.concatenate([each.shares for each in choices_by_market(demand)])
    assert np.allclose(shares, at.setting.products.shares, rtol=1e-12)
    assert not np.array_equal(estimate(chained(delta=precise)).values, estimate(chained()).values)
    unfinished = bs.GMM(iteration=bs.Inversion(max_evaluations=1))
    assert inverted_delta(at, agents, unfinished) is None


def test_how_a_chain_fails_is_its_status():
    assert estimate(chained(sets=1)).status is Status.SAMPLING_FAILED
    lost = dataclasses.replace(
        FIRST, gmm=dataclasses.replace(FIRST.gmm, iteration=bs.Inversion(max_evaluations=1))
    )
    found = estimate(chained(first=lost))
    assert found.status is Status.FIRST_STEP_FAILED
    assert np.isnan(found.values).all()


def test_resampled_agents_are_sampled_by_importance_too():
    accounting = dataclasses.replace(FIRST.gmm, resample_agents=3)
    plain, found = estimate(chained()), estimate(dataclasses.replace(chained(), gmm=accounting))
    assert np.array_equal(plain.values, found.values)
    assert (found.standard_errors > plain.standard_errors).all()


def test_resampled_agents_who_cannot_be_sampled_leave_no_standard_errors(monkeypatch):
    made = bs.Estimator._agents

    def failing(self, dataset, streams, role):
        return Status.SAMPLING_FAILED if role.endswith("resampled 1") else made(self, dataset, streams, role)

    monkeypatch.setattr(bs.Estimator, "_agents", failing)
    accounting = dataclasses.replace(FIRST.gmm, resample_agents=4)
    found = dataclasses.replace(chained(), gmm=accounting).estimate(drawn_again(), drawn()[0])
    assert found.status is Status.SAMPLING_FAILED
    assert np.isnan(found.standard_errors).all()


def test_a_result_gives_agents_to_another_problem():
    result, case = evaluated(), posed(CURVED)
    candidates = {"market_ids": np.repeat(result.economy.market_ids, 300)}
    generator = np.random.default_rng(0)
    names = ("nodes0", "nodes1", "nodes2", "income", "age")
    candidates |= {name: generator.normal(size=candidates["market_ids"].size) for name in names}
    first, again = (result.importance_sampling(40, seed=3, agents=candidates) for _ in range(2))
    assert np.array_equal(first.agents.weights, again.agents.weights)
    other = result.importance_sampling(40, seed=4, agents=candidates)
    assert not np.array_equal(first.agents.weights, other.agents.weights)
    moved = result.importance_sampling(40, seed=3, agents=candidates, delta=result.delta + 1)
    assert not np.array_equal(first.agents.weights, moved.agents.weights)
    setting = result.origin.setting
    problem = bs.Problem(setting.model, setting.products, first.agents)
    assert problem.solve(case.parameters, case.gmm).origin.setting.agents is first.agents
    assert len(first.agents.frame()) == 40 * setting.products.markets


def test_candidates_count_alike_whatever_their_weights():
    setting = evaluated().origin.setting
    generator = np.random.default_rng(0)
    found = read_candidates(setting.agents, None, setting.products, setting.model, generator)
    sums = np.add.reduceat(found.weights, found.market_offsets[:-1])
    assert np.allclose(sums, 1, rtol=1e-14)
    assert np.ptp(found.weights[: found.market_offsets[1]]) == 0


@pytest.mark.parametrize("delta", ["abc", [1.0], np.nan])
def test_mean_utilities_that_are_not_one_a_product_are_refused(delta):
    with refused(bs.DataError, "delta"):
        evaluated().importance_sampling(5, delta=delta)


def test_wrong_values_are_refused():
    refused_values(lambda first: chained(first=first), "first")
    refused_values(lambda draws: sampling(draws=draws), "draws")
    refused_values(lambda sets: sampling(sets=sets), "sets")
    refused_values(lambda integration: sampling(integration=integration), "integration")
    refused_values(lambda delta: sampling(delta=delta), "delta", (None,))
    refused_values(lambda ar_constant: sampling(ar_constant=ar_constant), "ar_constant", (2.5,))
    refused_values(lambda draws: evaluated().importance_sampling(draws), "draws")
    refused_values(lambda seed: evaluated().importance_sampling(5, seed=seed), "seed")


def test_candidates_who_do_not_count_alike_are_refused():
    with refused(bs.ConfigurationError, "ImportanceSampling.integration"):
        sampling(integration=bs.Integration("product", 9))
    with refused(bs.ConfigurationError, "importance_sampling.integration"):
        evaluated().importance_sampling(5, integration=bs.Integration("grid", 3))
    weighted = dataclasses.replace(fitted().setting.agents, weights=np.linspace(1, 2, 20 * 60) / 60)
    result = FIRST.solution(drawn()[1], drawn()[0]).best
    changed = result.origin._replace(setting=dataclasses.replace(result.origin.setting, agents=weighted))
    with refused(bs.ConfigurationError, "importance_sampling.agents"):
        dataclasses.replace(result, origin=changed).importance_sampling(5)


def test_too_few_accepted_candidates_are_refused_with_their_number():
    result = FIRST.solution(drawn()[1], drawn()[0]).best
    with refused(bs.DataError, "accepted candidates") as found:
        result.importance_sampling(60)
    assert "in market 0" in found.error.got
    assert found.error.expected == "at least 60, the draws"


def test_importance_sampling_without_random_coefficients_is_refused():
    plain = bs.Model(linear="1 + x + prices", supply="1 + x + w")
    truth = bs.Parameters(beta=[-7, 6, -1], gamma=[2, 1, 0.2])
    with refused(bs.ConfigurationError, "Estimator.integration"):
        chained().names(scenario(model=plain, truth=truth, consumers=None))
    with refused(bs.ConfigurationError, "Model.nonlinear", None):
        evaluated(1).importance_sampling(5)


def test_a_rule_that_does_not_come_in_the_models_dimensions_is_refused_before_any_data():
    model = bs.Model(linear="1 + x + prices", nonlinear="1 + x + w + prices", supply="1 + x + w")
    truth = bs.Parameters(beta=[-7, 6, -1], sigma=np.eye(4), gamma=[2, 1, 0.2])
    with refused(bs.ConfigurationError, "Integration.size", 50):
        chained(delta=bs.Integration("product", 50)).names(scenario(model=model, truth=truth))


def test_mean_utilities_of_sampled_agents_need_no_micro_moments():
    first, part = fitted(), bs.MicroPart("inside", bs.MicroDataset("survey", observations=10))
    micro = bs.GMM(micro_moments=[bs.MicroMoment("inside", 1.0, parts=part)])
    plain = inverted_delta(first, first.setting.agents, bs.GMM())
    assert plain is not None
    assert np.array_equal(inverted_delta(first, first.setting.agents, micro), plain)
