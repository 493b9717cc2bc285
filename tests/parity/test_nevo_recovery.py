"""The experiment on Nevo's cereal, with the data that PyBLP has."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyblp
import pytest

import blpsim as bs
from experiments.nevo_recovery.conditions import Conditions

FOLDER = Path(__file__).parents[2] / "experiments" / "nevo_recovery"


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nevo")
    shutil.copy(FOLDER / "design.py", folder)
    shutil.copy(pyblp.data.NEVO_PRODUCTS_LOCATION, folder / "products.csv")
    shutil.copy(pyblp.data.NEVO_AGENTS_LOCATION, folder / "agents.csv")
    return bs.load_design(folder / "design.py")


def test_the_truth_is_the_published_estimate(design):
    assert {round(design.truth(name)["beta[prices]"], 2) for name in design.scenarios} == {-62.73}


@pytest.mark.parametrize("scenario", ["errors", "wild", "markets"])
def test_a_replication_is_in_equilibrium_with_the_instruments_of_the_data(design, scenario):
    streams = design.streams(scenario, 0)
    dataset = design.scenario(scenario).generate(streams)
    assert dataset.status.is_usable
    solution = design.estimator("given").solution(dataset, streams)
    assert solution.setting.demand_instruments.shape == (20, len(dataset.products))
    assert solution.best.status.is_usable


def test_the_conditions_of_firms_are_first_order_at_the_equilibrium_and_second_order(design):
    """Derivatives of profits are zero to what the equilibrium is solved for."""
    dataset = design.scenario("errors").generate(design.streams("errors", 0))
    conditions = Conditions(dataset.economy)
    assert np.abs(conditions.gradient(conditions.prices)).max() < 1e-10
    assert np.abs(conditions.gradient(1.01 * conditions.prices)).max() > 1e-4
    assert conditions.not_maximal() == []
    # Where prices are out of proportion, profits are convex in them.
    dear = 5 * conditions.prices
    there = dataset.economy.at(dear, dataset.economy.shares(dear))
    assert len(Conditions(there).not_maximal()) > 100
