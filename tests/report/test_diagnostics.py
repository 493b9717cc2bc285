import numpy as np
import pandas as pd
import pytest

from blpsim.report.tables import csv, markdown, text
from blpsim.summary.diagnostics import diagnose
from tests.summary.made import results

DIMS = ("scenario", "estimator", "replication")


@pytest.fixture
def diagnosis():
    generator = np.random.default_rng(5)
    ended = np.ones((1, 2, 100), int)
    ended[0, 1, :40], ended[0, 1, 90:] = 6, 0
    found = results(
        np.zeros((1, 2, 100, 1)), status=ended, scenario=["simple"], estimator=["bfgs", "nelder-mead"]
    )
    found["seconds"] = (DIMS, generator.lognormal(size=ended.shape))
    found["objective_evaluations"] = (DIMS, generator.integers(5, 20, ended.shape).astype(float))
    return diagnose(found)


def test_text_has_means_and_medians_with_their_errors(diagnosis):
    lines = text(diagnosis, width=60).splitlines()
    assert lines[0] == "made: 1 scenario, 2 estimators, 100 replications, seed 7"
    assert "nelder-mead   50 of 90 used: 55.6 % (45.3 to 65.4);" in " ".join(lines)
    heads = " ".join(lines[3:7]).split()
    assert {"seconds", "objective", "evaluations", "converged"} <= set(heads)
    assert "inversion" not in heads
    table = diagnosis.table.set_index(["estimator", "diagnostic", "statistic"])
    exact = table.loc["nelder-mead", "seconds", "mean"]
    numbers = " ".join(lines)
    assert f"{exact['value']:.2f}" in numbers
    assert f"({exact['mcse']:.2f})" in numbers


def test_markdown_has_a_row_for_each_statistic_and_no_truth(diagnosis):
    lines = markdown(diagnosis).splitlines()
    assert "| estimator | statistic | converged % | seconds | objective evaluations |" in lines
    assert sum(line.startswith("| bfgs | ") for line in lines) == 2
    assert any(line.startswith("| bfgs | mean | 100 [>96.3] | ") for line in lines)
    assert any(line.startswith("| bfgs | median | - | ") for line in lines)


def test_csv_is_the_table(diagnosis, tmp_path):
    (tmp_path / "table.csv").write_text(csv(diagnosis))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), diagnosis.table)
