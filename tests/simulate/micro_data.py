"""Economies whose people have one of three incomes, and what a survey of them finds by brute force."""

from __future__ import annotations

import functools

import numpy as np

import blpsim as bs

from .scenarios import scenario

STREAMS = bs.Streams(seed=4, replication=2, stream_key="a key")
INCOMES, CHANCES = np.array([0.0, 1.0, 2.5]), np.array([0.5, 0.3, 0.2])
SLOPE, CORRELATION = 1.5, 0.5


def made(surveys=(), nested=False, **changes):
    """Return a scenario of four markets, in which tastes follow from incomes."""
    parts = {
        "model": bs.Model(
            linear="1 + x + prices",
            nonlinear="0 + x",
            demographics="0 + income",
            supply="1 + x + w",
            nests="nesting_ids" if nested else None,
        ),
        "truth": bs.Parameters(
            beta=[-1, 2, -1],
            sigma=[[0.0]],
            pi=[[SLOPE]],
            gamma=[2, 1, 0.2],
            rho=CORRELATION if nested else None,
        ),
        "markets": bs.Markets(number=4, firms=2, products_per_firm=bs.Choice(2, 3)),
        "characteristics": {"x": bs.Uniform(0, 1), "w": bs.Uniform(0, 1), "brand": bs.Choice(0, 1, 2)},
        "demographics": {"income": bs.Choice(*INCOMES, probabilities=tuple(CHANCES))},
        "consumers": bs.Integration("monte_carlo", 30),
        "nests": bs.Assign(2) if nested else None,
        "surveys": surveys,
    }
    return scenario(**{**parts, **changes})


@functools.cache
def economy(nested=False):
    return made(nested=nested).generate(STREAMS).economy


def columns(economy, market):
    """Return the columns of a market's products."""
    rows = slice(*economy.products.market_offsets[market : market + 2])
    return {name: column[rows] for name, column in economy.products.columns.items()}


def joint(economy, market, income, without=None):
    """Return the probabilities of first and second choices of people with an income, (1 + J, 1 + J)."""
    rows = slice(*economy.products.market_offsets[market : market + 2])
    data = columns(economy, market)
    utility = economy.delta[rows] + SLOPE * income * data["x"]
    number = utility.size
    nests = np.arange(number) if economy.model.nests is None else data["nesting_ids"]
    rho = 0.0 if economy.model.nests is None else CORRELATION

    def chosen(offered, outside=1.0):
        values, total = np.zeros(number + 1), outside
        for nest in np.unique(nests[offered]):
            members = offered & (nests == nest)
            odds = np.exp(utility[members] / (1 - rho))
            values[1:][members] = odds * odds.sum() ** -rho
            total += odds.sum() ** (1 - rho)
        values[0] = outside
        return values / total

    shares, table = chosen(np.ones(number, bool)), np.zeros((number + 1, number + 1))
    table[0] = shares[0] * chosen(np.ones(number, bool), outside=0.0)
    groups = np.arange(number) if without is None else data[without]
    for j in range(1, number + 1):
        gone = groups == groups[j - 1]
        raised = np.where(np.append(False, gone), 0.0, chosen(~gone) - shares)
        table[j] = raised * shares[j] / shares[1:][gone].sum()
    return table


def people(economy, market, respondents):
    """Return the probability of each income among those who may be asked."""
    if respondents == "population":
        return CHANCES
    agents = slice(*economy.agents.market_offsets[market : market + 2])
    mine = economy.agents.demographics[0, agents]
    return np.array([economy.agents.weights[agents][mine == income].sum() for income in INCOMES])


def weights(survey, data, income):
    """Return survey weights of pairs of choices, (1 + J, 1 + J), those of first choices repeated."""
    number = data["x"].size
    agents = {"income": np.array([income]), "weights": np.ones(1)}
    if isinstance(survey.weights, bs.Everyone):
        return np.ones((number + 1, number + 1))
    if isinstance(survey.weights, bs.Inside):
        table = np.ones((number + 1, number + 1))
        table[0] = 0.0
        table[:, 0] *= float(survey.weights.second_outside or not survey.second_choices)
        return table
    array = np.asarray(survey.weights(data["market_ids"][0], data, agents), float)[0]
    array = np.pad(array, [(number + 1 - size, 0) for size in array.shape])
    return array if survey.second_choices else np.repeat(array[:, None], number + 1, axis=1)


def expected(economy, survey, respondents, numbers=None):
    """Return the probability of each income and pair of choices by market.

    numbers  where given, the share of each market of the survey follows from them
    """
    tables = {}
    markets = range(economy.products.markets) if survey.markets is None else survey.markets
    for place, market in enumerate(markets):
        data, shares = columns(economy, market), people(economy, market, respondents)
        tables[market] = np.array(
            [
                share * joint(economy, market, income, survey.without) * weights(survey, data, income)
                for share, income in zip(shares, INCOMES, strict=True)
            ]
        )
        if numbers is not None:
            tables[market] *= numbers[place] / tables[market].sum()
    total = sum(table.sum() for table in tables.values())
    return {market: table / total for market, table in tables.items()}
