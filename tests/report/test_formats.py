import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from blpsim.errors import ConfigurationError, DataError
from blpsim.report.formats import WRITERS, html, latex, markdown, plain
from blpsim.report.grid import comparison, pivot, whole
from blpsim.report.tables import Table, table
from blpsim.summary.diagnostics import diagnose
from blpsim.summary.published import beside
from blpsim.summary.summarize import summarize
from tests.summary.made import results

CROSSED = (("scenario", "parameter"), ("estimator", "measure"))
SCENARIOS, ESTIMATORS = ["50 % & more_", "b|c"], ["demand<1", "[x]"]


@pytest.fixture
def made():
    random = np.random.default_rng(31)
    found = results(
        random.normal(size=(2, 2, 90, 3)),
        random.uniform(0.7, 1.4, (2, 2, 90, 3)),
        0.1,
        scenario=SCENARIOS,
        estimator=ESTIMATORS,
    )
    found["estimate"][1, 0, :, 2] = np.nan
    found["status"][0, 1, :4] = 6
    return found


class Cells(HTMLParser):
    """Rows of the cells of a table, as text."""

    def __init__(self, text):
        super().__init__()
        self.rows = []
        self.spans = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self.spans.append(int(dict(attrs).get("colspan", 1)))

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def test_a_pivot_puts_every_number_where_its_names_cross(made):
    summary = summarize(made, measures=["bias", "coverage"])
    grid = pivot(summary, *CROSSED)
    assert grid.labels == ("scenario", "parameter", "truth")
    assert grid.heads == (tuple(np.repeat(ESTIMATORS, 2)), ("bias", "coverage %") * 2)
    for line in grid.lines:
        for estimator, measure, cell in zip(grid.heads[0], ("bias", "coverage") * 2, line.cells, strict=True):
            place = {"scenario": line.labels[0], "parameter": line.labels[1], "estimator": estimator}
            value = float(summary.dataset["value"].sel(place | {"measure": measure}))
            scale = 100 if measure == "coverage" else 1
            if np.isnan(value):
                assert cell.number == "-"
            else:
                assert float(cell.number) == pytest.approx(scale * value, abs=0.1 * scale * 0.1)
        assert line.labels[2] == "0.1"
    assert sum(cell.number == "-" for line in grid.lines for cell in line.cells) == 2


def test_what_has_no_number_at_all_has_no_row_and_no_column(made):
    made["estimate"][1, 1, :, 2] = np.nan
    made["estimate"][:, 0] = np.nan
    grid = pivot(summarize(made), *CROSSED)
    assert len(grid.lines) == 5
    assert set(grid.heads[0]) == {"[x]"}


def test_a_dimension_with_one_name_is_said_in_the_title(made):
    grid = pivot(summarize(made, measures=["rmse"]), ("parameter", "scenario"), ("estimator",))
    assert grid.title.endswith(", RMSE")
    assert grid.labels == ("parameter", "scenario", "truth")


@pytest.mark.parametrize(
    ("rows", "columns", "why"),
    [
        (("parameter",), ("estimator", "measure"), "a place for scenario; there are 2"),
        (("scenario", "parametre"), ("estimator",), "names among scenario, estimator"),
        (("scenario", "scenario"), ("estimator",), "each dimension once"),
        ((), ("estimator",), "each dimension once"),
    ],
)
def test_a_layout_without_a_place_for_every_number_is_refused(made, rows, columns, why):
    with pytest.raises(ConfigurationError, match=why):
        pivot(summarize(made), rows, columns)


def test_every_table_says_what_was_attempted_and_used(made):
    for grid in (
        whole(summarize(made)),
        pivot(summarize(made), *CROSSED),
    ):
        for writer in WRITERS.values():
            assert "86 of 90 used" in writer(grid)
            assert "90 of 90 used" in writer(grid)
            assert "4 not" in writer(grid)


def test_html_has_every_cell_and_spans_that_add_up(made):
    grid = pivot(summarize(made, measures=["bias", "rmse"]), *CROSSED)
    found = Cells(html(grid).partition("</table>")[0])
    assert found.rows[0] == ["", "", "", *ESTIMATORS]
    assert found.rows[1] == ["scenario", "parameter", "truth", *["bias", "RMSE"] * 2]
    assert sum(found.spans[:5]) == sum(found.spans[5:12]) == 7
    assert found.rows[2:] == [[*line.labels, *map(str, line.cells)] for line in grid.lines]
    values = re.findall(r'data-value="([^"]+)"', html(grid))
    assert [float(value) for value in values] == [
        float(cell.number) for line in grid.lines for cell in line.cells if cell.number != "-"
    ]


def test_plain_text_aligns_its_columns(made):
    grid = pivot(summarize(made, measures=["bias", "rmse"]), *CROSSED)
    lines = plain(grid).splitlines()
    rules = [k for k, line in enumerate(lines) if line.startswith("───")]
    assert len({len(line) for line in lines[rules[1] + 1 : rules[2]]}) == 1
    assert max(len(line) for line in lines[: rules[2]]) == len(lines[rules[0]])


def test_markdown_escapes_what_would_end_a_cell(made):
    rows = [line for line in markdown(whole(summarize(made))).splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


@pytest.mark.parametrize("layout", ["whole", "pivot", "diagnostics", "long", "published"])
def test_latex_balances_its_cells_and_escapes_what_is_special(made, layout):
    source = latex(grid_of(made, layout))
    body = re.search(r"\\toprule\n(.*)\\bottomrule", source, re.DOTALL)[1].splitlines()
    columns = len(re.search(r"\{(l+r+)\}", source)[1])
    for line in body:
        if line.endswith((r"\\", r"\\*")):
            spans = [int(span) - 1 for span in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) == columns, line
    assert not re.search(r"(?<!\\)[#]|(?<!\\)_|(?<!\\)%(?! needs)", source)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX on this machine")
@pytest.mark.parametrize("layout", ["pivot", "long", "published"])
def test_latex_compiles(made, layout, tmp_path):
    head = r"\documentclass{article}\usepackage{booktabs,longtable,lscape}\begin{document}\small "
    (tmp_path / "t.tex").write_text(head + latex(grid_of(made, layout)) + r"\end{document}")
    ran = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout.decode()[-2_000:]
    assert (tmp_path / "t.pdf").stat().st_size > 0


def grid_of(made, layout):
    if layout == "diagnostics":
        return whole(diagnose(made))
    if layout == "published":
        return comparison(beside(summarize(made), published()))
    if layout == "long":
        return pivot(summarize(made), ("scenario", "estimator", "parameter"), ("measure",))
    if layout == "pivot":
        summary = summarize(made, measures=["bias", "rmse"])
        return pivot(summary, *CROSSED)
    return whole(summarize(made))


def published():
    rows = [
        ("b|c", "[x]", "beta[x1]", "rmse", "1.5", 400, ""),
        ("50 % & more_", "demand<1", "beta[x0]", "bias", "0.1", "", "0.02"),
        ("50 % & more_", "demand<1", "elsewhere", "bias", "0.1", "", ""),
    ]
    names = ["scenario", "estimator", "parameter", "measure", "published", "replications", "published_mcse"]
    return pd.DataFrame(rows, columns=names)


def test_published_numbers_stand_beside_reproduced_ones_in_standard_errors(made):
    summary = summarize(made)
    found = beside(summary, published())
    for row, (estimator, parameter, measure) in enumerate(
        (("[x]", "beta[x1]", "rmse"), ("demand<1", "beta[x0]", "bias"))
    ):
        scenario = found["scenario"][row]
        here = dict(scenario=scenario, estimator=estimator, parameter=parameter, measure=measure)
        value, mcse = (float(summary.dataset[name].sel(here)) for name in ("value", "mcse"))
        other = mcse * np.sqrt(90 / 400) if row == 0 else 0.02
        assert found["published_mcse"][row] == pytest.approx(other)
        assert found["z"][row] == pytest.approx((value - (1.5, 0.1)[row]) / np.hypot(mcse, other))
    assert found["value"].isna().tolist() == [False, False, True]
    assert comparison(found).lines[2].cells[0] == ("0.1", "")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda frame: frame.drop(columns="published"), "a column published"),
        (lambda frame: frame.assign(published="n/a"), "published, row 0 = n/a"),
        (lambda frame: frame.assign(scenario="z"), "rows whose scenario, estimator"),
    ],
)
def test_published_numbers_that_cannot_be_compared_are_refused(made, change, why):
    with pytest.raises(DataError, match=why):
        beside(summarize(made), change(published()))


def test_a_table_is_written_as_it_is_asked_for(made, tmp_path):
    published().to_csv(tmp_path / "p.csv", index=False)
    assert table(made, Table()).startswith("made: 2 scenarios")
    assert "\\toprule" in table(made, Table(form="latex", measures=("bias",)))
    assert "scenario,estimator" in table(made, Table(form="csv", measures=("all",)))
    beside_them = table(made, Table(form="markdown", published=tmp_path / "p.csv"))
    assert "| published | reproduced |" in beside_them
    shared = table(made, Table(form="csv", measures=("bias",), common=True))
    assert ",90,86," in shared
    with pytest.raises(DataError, match=r"^published = .*: expected a CSV file"):
        table(made, Table(published=tmp_path / "nothing.csv"))


@pytest.mark.parametrize(
    "options",
    [
        {"rows": ("scenario",)},
        {"diagnostics": True, "rows": ("scenario",), "columns": ("estimator",)},
        {"diagnostics": True, "measures": ("bias",)},
        {"form": "pdf"},
    ],
)
def test_options_of_which_one_would_be_ignored_are_refused(options):
    with pytest.raises(ConfigurationError):
        Table(**options)
