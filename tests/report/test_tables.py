import io

import numpy as np
import pandas as pd
import pytest

from blpsim.report.tables import csv, markdown, text
from blpsim.summary.summarize import summarize
from tests.summary.made import column, results

TRUTH = np.array([-7.0, -1.0, 3.0, 0.2])
SCALE = np.array([2.0, 0.1, 0.5, 0.01])
NAMES = {
    "scenario": ["simple", "complex"],
    "estimator": ["demand/own", "supply/optimal"],
    "parameter": ["beta[1]", "beta[prices]", "sigma[x,x]", "gamma[w]"],
}


@pytest.fixture
def made():
    generator = np.random.default_rng(1)
    noise, uncertain = generator.normal(size=(2, 2, 2, 200, 4))
    ended = np.ones((2, 2, 200), int)
    ended[0, 0, :12], ended[0, 0, 12:15], ended[1, 0], ended[1, 1, 150:] = 6, 14, 15, 0
    found = results(TRUTH + SCALE * noise, SCALE * np.exp(uncertain / 8), TRUTH, ended, **NAMES)
    found["estimate"][0, 0, :, 3] = np.nan
    found["standard_error"][0, 1, 3:9, 1] = np.nan
    return found


def numbers_of(lines, name):
    """The numbers below a parameter's name, and their errors on the next line."""
    at = next(k for k, line in enumerate(lines) if line.split()[:1] == [name])
    return lines[at].split()[1:], lines[at + 1].split()[2:]


def test_a_table_opens_with_the_study_its_replications_and_how_they_ended(made):
    lines = text(summarize(made)).splitlines()
    assert lines[0] == "made: 2 scenarios, 2 estimators, 200 replications, seed 7"
    whole = " ".join(" ".join(lines[1:3]).split())
    assert whole == (
        "750 estimations attempted: 535 converged; "
        "215 failed (200 crashed, 12 not_stationary, 3 error); 50 not run yet"
    )


def test_every_estimator_says_what_was_used_and_what_failed(made):
    lines = text(summarize(made)).splitlines()
    assert "demand/own   185 of 200 used: 92.5 % (88.0 to 95.4); 12 not_stationary, 3 error" in lines
    assert "demand/own   0 of 200 used: 0.0 % (0.0 to 1.9); 200 crashed" in lines
    assert "supply/optimal   150 of 150 used: 100.0 % (97.5 to 100.0); 50 not run yet" in lines


def test_errors_stand_below_their_numbers_with_as_many_decimals(made):
    summary = summarize(made.isel(scenario=[0], estimator=[0]))
    values, errors = numbers_of(text(summary).splitlines(), "beta[prices]")
    exact = summary.table[summary.table["parameter"] == "beta[prices]"]
    assert len(values) == len(errors) == 8
    scale = [1] * 7 + [100]
    for value, error, times, row in zip(values, errors, scale, exact.itertuples(), strict=True):
        assert float(error.strip("()")) == pytest.approx(times * row.mcse, rel=0.05)
        assert len(value.partition(".")[2]) == len(error.strip("()").partition(".")[2])
        assert float(value) == pytest.approx(times * row.value, abs=0.06 * times * row.mcse)


def test_a_parameter_shows_its_truth_and_its_mean_if_it_varies(made):
    assert "    true -1" in text(summarize(made))
    made["truth"][0, 0, 1] += 100
    moved = text(summarize(made))
    assert "    true ~-0.5" in moved
    assert "true ~1  the truth differs by replication" in moved
    made["truth"][...] = np.nan
    assert "true" not in text(summarize(made))


def test_what_estimates_lack_is_said_below_their_parameter(made):
    lines = text(summarize(made)).splitlines()
    assert lines.count("    6 with no standard error") == 1
    made["estimate"][0, 1, :4, 2] = np.nan
    assert "    4 with no estimate" in text(summarize(made)).splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_wider_than_asked(made, width):
    assert max(map(len, text(summarize(made), width).splitlines())) <= width


def test_where_there_is_room_errors_stand_beside_their_numbers(made):
    wide = text(summarize(made), 250)
    row = next(line for line in wide.splitlines() if line.startswith("  beta[prices] (true -1)"))
    numbers = row.removeprefix("  beta[prices] (true -1)").split()
    below = numbers_of(text(summarize(made)).splitlines(), "beta[prices]")
    assert numbers == [part for pair in zip(*below, strict=True) for part in pair]


def test_panels_repeat_rows_and_lose_no_measure(made):
    narrow, whole = (text(summarize(made), width) for width in (60, 100))
    assert sorted(word for word in narrow.split() if word.endswith(")") and word.startswith("(0.")) == sorted(
        word for word in whole.split() if word.endswith(")") and word.startswith("(0.")
    )
    assert narrow.count("\n  beta[1] ") == 2 * whole.count("\n  beta[1] ")
    assert narrow.count("185 of 200 used") == 1


def test_names_are_never_cut():
    name = "pi[an_exceedingly_long_characteristic,another_long_demographic]"
    assert name in text(summarize(results(column(1, 2, 3), parameter=[name])), 50)


def test_footnotes_explain_parentheses_and_brackets_where_there_are_any(made):
    assert "(0.012)  Monte Carlo standard error" in text(summarize(made))
    assert "coverage is that of 90 % confidence intervals" in text(summarize(made, level=0.9))
    covered = text(summarize(results(column(1, 2, 3), 100.0)))
    assert "[>43.9]" in covered
    assert "[>97.5]  end of Wilson's" in covered
    half = summarize(results(column(0.1, -0.1, 3, -3), 1.0))
    assert "[>97.5]" not in text(half)
    assert "true ~1" not in text(half)


def test_text_pipes_into_a_file_without_escape_codes(made):
    found = text(summarize(made))
    assert found.endswith("\n")
    assert "\x1b" not in found
    assert not any(line.endswith(" ") for line in found.splitlines())


def test_a_study_with_nothing_in_it_has_tables():
    empty = summarize(results(np.zeros((1, 1, 0, 1))))
    single = summarize(results(column(1)))
    for found in (empty, single):
        assert text(found).startswith("made: 1 scenario, 1 estimator, ")
        assert "estimator | parameter" in markdown(found)
    assert "1 of 1 used" in text(single)


def test_an_estimator_that_is_not_planned_is_not_shown():
    made = results(np.zeros((1, 2, 5, 1)), status=np.array([[[1] * 5, [2] * 5]]))
    assert "e1" not in text(summarize(made))
    assert "e0" in text(summarize(made))


def test_markdown_has_one_table_a_scenario_with_errors_beside_numbers(made):
    lines = markdown(summarize(made)).splitlines()
    assert lines[0] == "**made: 2 scenarios, 2 estimators, 200 replications, seed 7**"
    assert [line for line in lines if line.startswith("### ")] == ["### simple", "### complex"]
    rows = [line for line in lines if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert "median \\|error\\|" in rows[0]
    assert "- demand/own: 0 of 200 used: 0.0 % (0.0 to 1.9); 200 crashed" in lines
    assert sum(line.startswith("| supply/optimal | beta[prices] ") for line in lines) == 2


def test_csv_holds_every_number_in_full(made):
    summary = summarize(made)
    read = pd.read_csv(
        io.StringIO(csv(summary)), keep_default_na=False, na_values={"value": [""], "mcse": [""]}
    )
    assert read["parameter"].tolist() == summary.table["parameter"].tolist()
    np.testing.assert_array_equal(read["value"], summary.table["value"])
    np.testing.assert_array_equal(read["mcse"], summary.table["mcse"])
    assert csv(summary).splitlines()[0] == (
        "scenario,estimator,parameter,measure,value,mcse,attempted,used,lower,upper"
    )
