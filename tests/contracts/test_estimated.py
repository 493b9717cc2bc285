"""Studies on an economy that a design file estimates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from blpsim.status import Status
from blpsim.store.study import open_study
from blpsim.study.load import load_design
from blpsim.workflow import run

from .bits import DESIGN, bits

ESTIMATED = DESIGN.with_name("estimated.py")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = tmp_path_factory.mktemp("estimated")
    run(load_design(ESTIMATED), store, workers=0)
    return store


def test_every_estimator_has_data_and_the_truth_is_the_estimate(expected):
    results, design = open_study(expected).results, load_design(ESTIMATED)
    assert (results["data_status"] == Status.CONVERGED).all()
    assert not np.isin(results["status"], [Status.ERROR, Status.NO_DATA, Status.PENDING]).any()
    truth = results["truth"].isel(replication=0)
    for name in design.scenarios:
        assert truth.sel(scenario=name).to_series().to_dict() == design.truth(name)


def test_workers_that_estimate_the_economy_themselves_give_the_same_bits(expected, tmp_path):
    run(load_design(ESTIMATED), tmp_path, workers=2, block_size=2)
    assert bits(tmp_path) == bits(expected)


def test_a_study_that_stops_and_goes_on_has_the_bits_of_one_run_at_once(expected, tmp_path):
    run(load_design(ESTIMATED), tmp_path, workers=0, replications=2)
    design = dataclasses.replace(load_design(ESTIMATED), source=None)
    run(design, tmp_path, workers=1)
    assert bits(tmp_path)[0]["estimate"] == bits(expected)[0]["estimate"]
