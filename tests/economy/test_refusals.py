"""Values of a wrong kind in what an economy is asked, and in how its prices are solved for."""

from __future__ import annotations

import numpy as np
import pytest

from blpsim.economy.economy import Economy
from blpsim.economy.equilibrium import PriceIteration
from blpsim.errors import DataError
from blpsim.streams import Streams
from tests.simulate.scenarios import scenario
from tests.wrong_values import refused_values

PRICES = ["shares", "elasticities", "own_elasticities", "diversion_ratios", "long_run_diversion_ratios"]
QUESTIONS = [(name, "prices") for name in [*PRICES, "consumer_surplus", "markups", "profits"]]
QUESTIONS += [(name, "costs") for name in ("markups", "profits", "equilibrium")]
QUESTIONS += [
    (name, "firm_ids") for name in ("implied_costs", "hhi", "equilibrium", "passthrough", "markups")
]
QUESTIONS += [(name, "ownership") for name in ("implied_costs", "markups", "equilibrium", "passthrough")]
QUESTIONS += [("hhi", "shares"), ("equilibrium", "conduct"), ("equilibrium", "iteration")]


@pytest.fixture(scope="module")
def economy() -> Economy:
    return scenario().generate(Streams(seed=1, replication=0)).economy


@pytest.mark.parametrize(("name", "argument"), QUESTIONS)
def test_an_economy_refuses_wrong_values(economy, name, argument):
    refused_values(getattr(economy, name), argument, (None,))


def test_prices_are_finite_or_missing_and_products_have_owners(economy):
    assert np.isnan(economy.shares(np.full(economy.products.number, np.nan))).all()
    infinite = np.where(np.arange(economy.products.number) == 3, np.inf, 1.0)
    with pytest.raises(DataError, match=r"^prices = inf in row 3: expected finite numbers; "):
        economy.shares(infinite)
    for missing in (None, np.nan):
        with pytest.raises(DataError, match=r"^firm_ids = a missing value: expected an owner"):
            economy.hhi(firm_ids=[missing] * economy.products.number)


@pytest.mark.parametrize("field", ["tolerance", "max_evaluations"])
def test_an_iteration_refuses_wrong_values(field):
    refused_values(PriceIteration, field)
