from __future__ import annotations

import numpy as np
import pytest

from blpsim.status import Status
from blpsim.store.study import open_study
from blpsim.study.load import load_design
from blpsim.workflow import run

from .bits import DESIGN, bits

ENGINE = DESIGN.with_name("engine.py")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = tmp_path_factory.mktemp("engine")
    run(load_design(ENGINE), store, workers=0, block_size=5)
    return store


def test_the_engine_estimates_what_the_study_asks_for(expected):
    results = open_study(expected).results
    assert not np.isin(results["status"], [Status.ERROR, Status.NO_DATA, Status.PENDING]).any()
    assert results["start_status"].sizes["start"] == 3
    local = results["estimate"].sel(estimator="local", parameter="gamma[w]")
    assert np.isnan(local).all()
    elasticity = results.sel(parameter="own elasticity")
    assert np.array_equal(np.isfinite(elasticity["standard_error"]), np.isfinite(elasticity["estimate"]))
    assert (elasticity["standard_error"] > 0).any()


@pytest.mark.parametrize(("workers", "block_size"), [(0, 1), (2, 2)])
def test_the_engines_bits_depend_on_no_block_and_no_worker(expected, tmp_path, workers, block_size):
    run(load_design(ENGINE), tmp_path, workers=workers, block_size=block_size)
    assert bits(tmp_path) == bits(expected)


def test_scenarios_that_are_varied_have_the_same_shocks(expected):
    results = open_study(expected).results
    assert (results["outside_share"].std("scenario") < 0.01).all()
    assert (results["outside_share"].std("replication") > 0.001).all()
