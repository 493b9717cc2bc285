"""Respondents of every kind of survey are drawn with the probabilities that brute force gives them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from scipy.stats import norm

import blpsim as bs
from blpsim.simulate.respondents import Fieldwork

from .scenarios import scenario

STREAMS = bs.Streams(seed=4, replication=2, stream_key="a key")
INCOMES, CHANCES = np.array([0.0, 1.0, 2.5]), np.array([0.5, 0.3, 0.2])
GROUPED = {"brand": bs.Choice(0, 1, 2)}
NUMBER = 100_000


@functools.cache
def drawn(kind):
    """Return a dataset of four markets in which people have one of three incomes, and tastes that follow."""
    nested = kind == "nests"
    model = bs.Model(
        linear="1 + x + prices",
        nonlinear="0 + x",
        demographics="0 + income",
        supply="1 + x + w",
        nests="nesting_ids" if nested else None,
    )
    made = scenario(
        model=model,
        truth=bs.Parameters(
            beta=[-1, 2, -1], sigma=[[0.0]], pi=[[1.5]], gamma=[2, 1, 0.2], rho=0.5 if nested else None
        ),
        markets=bs.Markets(number=4, firms=2, products_per_firm=bs.Choice(2, 3)),
        characteristics={"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1), **GROUPED},
        demographics={"income": bs.Choice(*INCOMES, probabilities=tuple(CHANCES))},
        consumers=bs.Integration("monte_carlo", 30),
        **({"nests": bs.Assign(2)} if nested else {}),
    )
    return made.generate(STREAMS)


def joint(economy, market, income, groups=None):
    """Return the probabilities of first and second choices of people with an income, (1 + J, 1 + J)."""
    rows = slice(*economy.products.market_offsets[market : market + 2])
    columns = economy.products.columns
    utility = economy.delta[rows] + 1.5 * income * columns["x"][rows]
    nests = columns["nesting_ids"][rows] if economy.model.nests else np.arange(utility.size)
    rho = 0.5 if economy.model.nests else 0.0
    number, every = utility.size, np.ones(utility.size, bool)

    def chosen(offered, outside=True):
        values = np.zeros(number + 1)
        total = float(outside)
        for nest in np.unique(nests[offered]):
            members = offered & (nests == nest)
            odds = np.exp(utility[members] / (1 - rho))
            values[1:][members] = odds * odds.sum() ** -rho
            total += odds.sum() ** (1 - rho)
        values[0] = float(outside)
        return values / total

    shares, table = chosen(every), np.zeros((number + 1, number + 1))
    table[0] = shares[0] * chosen(every, outside=False)
    groups = np.arange(number) if groups is None else groups
    for j in range(1, number + 1):
        gone = groups == groups[j - 1]
        raised = np.where(np.append(False, gone), 0.0, chosen(~gone) - shares)
        table[j] = raised * shares[j] / shares[1:][gone].sum()
    return table


@dataclasses.dataclass
class Asked:
    """A survey by its weights, which are functions of incomes, x of choices, and whether these are inside."""

    economy: object
    first_weight: object = staticmethod(lambda *known: known[-1])
    pair_weight: object = None
    grouped: bool = False
    second_choices: bool = False

    def x(self, market):
        rows = slice(*self.economy.products.market_offsets[market : market + 2])
        return np.append(0.0, self.economy.products.columns["x"][rows])

    def groups(self, market):
        rows = slice(*self.economy.products.market_offsets[market : market + 2])
        name = "nesting_ids" if self.economy.model.nests else "brand"
        return self.economy.products.columns[name][rows].astype(int) if self.grouped else None

    def first(self, market, demographics):
        x = self.x(market)
        inside = np.arange(x.size) > 0
        return self.first_weight(demographics[0], x[:, None], inside[:, None].astype(float)) + 0 * x[:, None]

    def pairs(self, market, demographics, first, second):
        x = self.x(market)
        if self.pair_weight is None:
            return np.ones(first.size)
        return self.pair_weight(demographics[0], x[first], x[second], second > 0)


def expected(asked, markets, people, numbers=None):
    """Return the probability of each income and pair of choices by market, whose share may be given."""
    tables = {}
    for place, market in enumerate(markets):
        groups = asked.groups(market)
        number = asked.x(market).size
        incomes, weights = people(market)
        table = np.zeros((INCOMES.size, number, number))
        for k, income in enumerate(INCOMES):
            first, second = np.indices((number, number)).reshape(2, -1)
            own = np.full(first.size, income)[None]
            values = joint(asked.economy, market, income, groups)
            values = values * asked.first(market, own[:, :1])
            values *= asked.pairs(market, own, first, second).reshape(number, number)
            table[k] = values * weights[incomes == income].sum()
        tables[market] = table * (1.0 if numbers is None else numbers[place] / table.sum())
    total = sum(table.sum() for table in tables.values())
    return {market: table / total for market, table in tables.items()}


def consumers_of(economy, market):
    agents = slice(*economy.agents.market_offsets[market : market + 2])
    return economy.agents.demographics[0, agents], economy.agents.weights[agents]


INSIDE = {}
SECOND = {"second_choices": True}
KINDS = {
    "who buys": ("plain", INSIDE, None, None),
    "everybody": ("plain", {"first_weight": lambda *_: 1.0}, None, None),
    "weighted": (
        "plain",
        {"first_weight": lambda income, x, inside: inside * (0.1 + x) * (1 + income)},
        None,
        None,
    ),
    "some markets": ("plain", INSIDE, (1, 3), None),
    "numbers by market": ("plain", INSIDE, None, (0.1, 0.2, 0.3, 0.4)),
    "second choices": ("plain", {**SECOND, "first_weight": lambda *_: 1.0}, None, None),
    "second choices inside": (
        "plain",
        {**SECOND, "pair_weight": lambda income, _, y, inside: inside * (y + income)},
        None,
        None,
    ),
    "groups removed": ("plain", {**SECOND, "grouped": True}, None, None),
    "nests": ("nests", {**SECOND, "first_weight": lambda *_: 1.0}, None, None),
    "nests removed": ("nests", {**SECOND, "grouped": True}, None, None),
}


def z_scores(kind, own):
    economy_kind, weighing, markets, shares = KINDS[kind]
    dataset = drawn(economy_kind)
    economy = dataset.economy
    asked = Asked(economy, **weighing)
    markets = np.arange(4) if markets is None else np.array(markets)
    numbers = NUMBER if shares is None else (NUMBER * np.array(shares)).astype(int)
    source = None if own else dataset.source
    work = Fieldwork(
        economy=economy,
        weighing=asked,
        markets=markets,
        role=f"surveys/{kind}",
        streams=STREAMS,
        source=source,
    )
    found = work.draw(numbers)
    assert found.first.size == NUMBER
    assert np.array_equal(found.markets, np.sort(found.markets))
    people = (lambda t: consumers_of(economy, t)) if own else (lambda _: (INCOMES, CHANCES))
    tables = expected(asked, markets, people, None if shares is None else numbers)
    scores = []
    for market, table in tables.items():
        mine = found.markets == market
        codes = np.searchsorted(INCOMES, found.demographics[0, mine])
        counts = np.zeros_like(table)
        np.add.at(counts, (codes, found.first[mine], found.second[mine]), 1)
        if not asked.second_choices:
            counts, table = counts.sum(axis=2), table.sum(axis=2)
        assert not counts[table == 0].any(), kind
        total = NUMBER if shares is None else mine.sum()
        if shares is not None:
            table = table / table.sum()
        common = table * total > 25
        probable = table[common]
        spread = np.sqrt(total * probable * (1 - probable))
        scores += ((counts[common] - total * probable) / spread).tolist()
    return scores


@pytest.mark.parametrize("own", [True, False], ids=["consumers", "population"])
def test_respondents_have_the_probabilities_of_brute_force(own):
    """Counts of each income and pair of choices by market, at the level of four errors after Bonferroni's
    correction; their mean square is 1 within four of its errors, sqrt(2 / 1200)."""
    scores = np.concatenate([z_scores(kind, own) for kind in KINDS])
    assert scores.size > 1000
    assert 2 * norm.sf(np.abs(scores).max()) * scores.size > 2 * norm.sf(4)
    assert abs((scores**2).mean() - 1) < 4 * np.sqrt(2 / scores.size)
