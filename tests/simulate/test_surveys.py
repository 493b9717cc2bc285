"""Respondents of every kind of survey are drawn with the probabilities that brute force gives them."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.stats import norm

import blpsim as bs
from blpsim.status import Status

from .micro_data import INCOMES, STREAMS, columns, economy, expected, made

NUMBER = 100_000


def outer(left, right):
    return left[:, :, None] * right[:, None, :]


def by_first(_, products, agents):
    return (0.1 + products["x"]) * (1 + agents["income"][:, None])


def by_both(_, products, agents):
    """Everybody who buys, by their second choice, too; the outside good is none."""
    number, ones = products["x"].size, np.ones((agents["income"].size, 1))
    return outer(ones * np.linspace(1, 2, number), (0.1 + products["x"]) * (1 + agents["income"][:, None]))


def asked(name, **changes):
    return bs.MicroDataset(name, observations=NUMBER, **changes)


SECOND = {"second_choices": True}
BUYERS = bs.Inside(second_outside=True)
KINDS = {
    survey.name: (survey, nested, numbers)
    for survey, nested, numbers in (
        (asked("who buys"), False, None),
        (asked("everybody", weights=bs.Everyone()), False, None),
        (asked("weighted", weights=by_first), False, None),
        (asked("some markets", markets=(1, 3)), False, None),
        (asked("numbers by market"), False, (10_000, 20_000, 30_000, 40_000)),
        (asked("second choices", weights=bs.Everyone(), **SECOND), False, None),
        (asked("second choices inside", **SECOND), False, None),
        (asked("weighted second choices", weights=by_both, **SECOND), False, None),
        (
            asked("groups removed", weights=bs.Inside(second_outside=True), without="brand", **SECOND),
            False,
            None,
        ),
        (asked("nests", weights=bs.Everyone(), **SECOND), True, None),
        (asked("nests removed", weights=bs.Everyone(), without="nesting_ids", **SECOND), True, None),
    )
}


@functools.cache
def answered(kind, respondents):
    survey, nested, numbers = KINDS[kind]
    done = bs.Survey(dataset=survey, respondents=respondents, numbers=numbers)
    dataset = made((done,), nested).generate(STREAMS)
    assert dataset.status is Status.CONVERGED
    return dataset.surveys[kind]


def z_scores(kind, respondents):
    found, (survey, nested, numbers) = answered(kind, respondents), KINDS[kind]
    assert found.number == NUMBER
    scores = []
    for market, table in expected(economy(nested), survey, respondents, numbers).items():
        mine = found.markets == market
        second = found.first * 0 if found.second is None else found.second
        counts = np.zeros_like(table)
        incomes = np.searchsorted(INCOMES, found.people.demographics[0, mine])
        np.add.at(counts, (incomes, found.first[mine], second[mine]), 1)
        if found.second is None:
            counts, table = counts.sum(axis=2), table.sum(axis=2)
        assert not counts[table == 0].any()
        total = NUMBER if numbers is None else mine.sum()
        table = table if numbers is None else table / table.sum()
        probable = table[table * total > 25]
        spread = np.sqrt(total * probable * (1 - probable))
        scores += ((counts[table * total > 25] - total * probable) / spread).tolist()
    return scores


@pytest.mark.parametrize("respondents", ["population", "consumers"])
def test_respondents_have_the_probabilities_of_brute_force(respondents):
    """Counts of each income and pair of choices by market, at the level of four errors after Bonferroni's
    correction; their mean square is 1 within four of its errors, sqrt(2 / 1400)."""
    scores = np.concatenate([z_scores(kind, respondents) for kind in KINDS])
    assert scores.size > 1200
    assert 2 * norm.sf(np.abs(scores).max()) * scores.size > 2 * norm.sf(4)
    assert abs((scores**2).mean() - 1) < 4 * np.sqrt(2 / scores.size)


PARTS = {
    "income": {"agent": "income"},
    "income x": {"agent": "income", "first": "x"},
    "1{j = 0}": {"first": "0 * x", "first_outside": 1.0},
    "log(1 + income) prices": {"agent": "log(1 + income)", "first": "prices", "first_outside": 2.0},
}
PAIRS = {
    "x x'": {"first": "x", "second": "x"},
    "income x x'": {"agent": "income", "first": "x", "second": "prices", "second_outside": -1.0},
}


def term(text, outside, data):
    if text is None:
        return np.ones(data["x"].size + 1)
    values = {"x": data["x"], "prices": data["prices"], "0 * x": 0 * data["x"]}[text]
    return np.append(outside, values)


def brute_force(part, tables, nested):
    """Return a part's mean and variance over respondents."""
    moments = np.zeros(2)
    incomes = {"income": INCOMES, "log(1 + income)": np.log(1 + INCOMES), None: np.ones(INCOMES.size)}
    for market, table in tables.items():
        data = columns(economy(nested), market)
        first = term(part.get("first"), part.get("first_outside", 0.0), data)
        second = term(part.get("second"), part.get("second_outside", 0.0), data)
        values = incomes[part.get("agent")][:, None, None] * first[:, None] * second
        moments += (table * values).sum(), (table * values**2).sum()
    return moments[0], moments[1] - moments[0] ** 2


@pytest.mark.parametrize("respondents", ["population", "consumers"])
def test_observed_values_of_parts_are_the_expected_ones_but_for_sampling_errors(respondents):
    """Within four standard errors, Bonferroni's correction over all; these are those of sampling, and numbers
    by market, which make errors smaller, are left out."""
    scores = []
    for kind, (survey, nested, numbers) in KINDS.items():
        if numbers is None:
            found, tables = answered(kind, respondents), expected(economy(nested), survey, respondents)
            named = PARTS | (PAIRS if survey.second_choices else {})
            parts = [bs.MicroPart(name, survey, **part) for name, part in named.items()]
            averages, covariances = found.averages(parts), found.covariances(parts)
            for k, part in enumerate(named.values()):
                mean, variance = brute_force(part, tables, nested)
                if variance > 1e-12:
                    scores.append((averages[k] - mean) / np.sqrt(variance / NUMBER))
                    # Fourth moments are those of bounded values: errors of variances are below 2%.
                    assert covariances[k, k] == pytest.approx(variance / NUMBER, rel=0.05)
                else:
                    assert averages[k] == pytest.approx(mean, abs=1e-12)
    assert len(scores) > 40
    assert 2 * norm.sf(np.abs(scores).max()) * len(scores) > 2 * norm.sf(4)


def test_values_by_a_function_are_those_by_terms():
    survey, found = KINDS["groups removed"][0], answered("groups removed", "population")

    def function(_, products, agents):
        number = agents["income"].size
        first, second = np.append(0, products["x"]), np.append(-1.0, products["prices"])
        return agents["income"].reshape(number, 1, 1) * outer(np.ones((number, 1)) * first, second[None])

    by_terms = bs.MicroPart("terms", survey, **PAIRS["income x x'"])
    by_function = bs.MicroPart("function", survey, values=function)
    np.testing.assert_allclose(found.values(by_function), found.values(by_terms), rtol=1e-14)
    twice = bs.MicroPart("twice", survey, values=(*by_terms.products, *by_terms.products))
    np.testing.assert_allclose(found.values(twice), 2 * found.values(by_terms), rtol=1e-14)


def test_a_frame_has_what_an_econometrician_sees():
    found = answered("second choices", "population")
    frame, products = found.frame(), economy().products.frame()
    names = ["market_ids", "income", "choice_indices", "choices", "second_choice_indices", "second_choices"]
    assert list(frame.columns) == names
    for chosen in ("choice", "second_choice"):
        inside = frame[frame[f"{chosen}_indices"] > 0]
        rows = products.loc[inside[f"{chosen}s"]]
        assert np.array_equal(rows["market_ids"], inside["market_ids"])
        places = products.groupby("market_ids").cumcount().loc[inside[f"{chosen}s"]]
        assert np.array_equal(places + 1, inside[f"{chosen}_indices"])
        assert (frame.loc[frame[f"{chosen}_indices"] == 0, f"{chosen}s"] == -1).all()
    assert (frame["choice_indices"] != frame["second_choice_indices"]).all()
