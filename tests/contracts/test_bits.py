from __future__ import annotations

import dataclasses
import random
import signal
import subprocess
import sys
import time

import pytest

from blpsim.store.journal import Journal
from blpsim.study.load import load_design
from blpsim.workflow import run

from .bits import DESIGN, bits


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = tmp_path_factory.mktemp("expected")
    run(load_design(DESIGN), store, workers=0)
    return bits(store)


def test_the_comparison_sees_one_changed_bit(expected, tmp_path):
    design = load_design(DESIGN)
    run(dataclasses.replace(design, seed=2021), tmp_path, workers=0, replications=60)
    assert bits(tmp_path)[0]["estimate"] != expected[0]["estimate"]
    assert bits(tmp_path)[0]["parameter"] == expected[0]["parameter"]


@pytest.mark.parametrize("block_size", [1, 7, 50])
def test_blocks_of_any_size_give_the_same_bits(expected, tmp_path, block_size):
    run(load_design(DESIGN), tmp_path, workers=0, block_size=block_size)
    assert bits(tmp_path) == expected


@pytest.mark.parametrize(("workers", "block_size"), [(1, None), (2, None), (2, 7)])
def test_any_number_of_dask_workers_gives_the_same_bits(expected, tmp_path, workers, block_size):
    run(load_design(DESIGN), tmp_path, workers=workers, block_size=block_size)
    assert bits(tmp_path) == expected


def test_a_design_that_comes_from_no_file_gives_the_same_bits(expected, tmp_path):
    design = dataclasses.replace(
        load_design(DESIGN), source=None, estimands={"squared": lambda economy: economy**2}
    )
    run(design, tmp_path, workers=1)
    assert bits(tmp_path)[0] == expected[0]


def test_a_study_grown_in_steps_has_the_bits_of_one_run_at_once(expected, tmp_path):
    design = load_design(DESIGN)
    first = {"cursed": design.scenarios["cursed"]}
    run(dataclasses.replace(design, scenarios=first), tmp_path, workers=0, replications=13)
    alone = {"robust/median": design.estimators["robust/median"]}
    run(dataclasses.replace(design, estimators=alone), tmp_path, workers=0, replications=31)
    run(design, tmp_path, workers=0)
    assert bits(tmp_path) == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_study_resumes_to_the_same_bits(expected, tmp_path, workers):
    command = [sys.executable, "-m", "blpsim.cli", "run", str(DESIGN), "--store", str(tmp_path)]
    generator = random.Random(workers)
    for _ in range(3):
        with subprocess.Popen([*command, "--workers", str(workers)], stderr=subprocess.DEVNULL) as process:
            blocks = len(Journal(tmp_path / "journal"))
            until = time.monotonic() + 120
            while len(Journal(tmp_path / "journal")) == blocks and process.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.01)
            time.sleep(generator.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
    run(load_design(DESIGN), tmp_path, workers=0)
    assert bits(tmp_path) == expected


def test_content_that_changed_is_refused_and_nothing_is_lost(expected, tmp_path):
    from blpsim.errors import StoreError

    design = load_design(DESIGN)
    run(design, tmp_path, workers=0)
    other = {**design.estimators, "mean": design.estimators["robust/median"]}
    with pytest.raises(StoreError, match="estimator 'mean' is"):
        run(dataclasses.replace(design, estimators=other), tmp_path, workers=0)
    with pytest.raises(StoreError, match="seed"):
        run(dataclasses.replace(design, seed=1), tmp_path, workers=0)
    assert bits(tmp_path) == expected
