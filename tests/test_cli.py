from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from blpsim import cli

ROOT = str(Path(__file__).parents[1])

DESIGN = """
import blpsim as bs
from tests.study.toys import Mean, Median, Normals
design = bs.Design(name="toy", seed=1, replications=8, scenarios={"n": Normals(fails={2: "raises"})},
                   estimators={"mean": Mean(), "median": Median()})
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "design.py").write_text(DESIGN)
    return tmp_path


@pytest.fixture
def blpsim(folder, monkeypatch, capsys):
    assert folder.samefile(".")

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["blpsim", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def ran(blpsim):
    return blpsim("run", "design.py", "--workers", "0")


def test_run_says_one_line_at_the_start_and_one_at_the_end_without_a_terminal(ran, folder):
    code, out, err = ran
    assert (code, out) == (0, "")
    first, last, where = err.splitlines()
    assert first == "toy: 0 of 16 estimates are there"
    assert last.startswith("toy: 16/16, ")
    assert last.endswith("2 failed")
    assert "blpsim summarize results/toy" in where
    assert (folder / "results" / "toy" / "results.zarr").is_dir()


@pytest.mark.usefixtures("folder")
def test_run_shows_a_bar_with_rate_and_remaining_time_on_a_terminal():
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "blpsim.cli", "run", "design.py", "--workers", "0"]
    subprocess.run(
        command,
        stderr=follower,
        check=True,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm", "PYTHONPATH": ROOT},
    )
    os.close(follower)
    shown = b""
    try:
        while part := os.read(leader, 4096):
            shown += part
    except OSError:
        pass
    assert b"toy" in shown
    assert b"16/16, " in shown
    assert b"2 failed" in shown


@pytest.mark.usefixtures("ran")
def test_a_second_run_computes_nothing(blpsim):
    _, _, err = blpsim("run", "design.py", "--workers", "0")
    assert err.startswith("toy: 16 of 16 estimates are there")


@pytest.mark.usefixtures("ran")
def test_replications_extend_a_study(blpsim):
    blpsim("run", "design.py", "--workers", "0", "--replications", "10")
    found = json.loads(blpsim("status", "results/toy", "--json")[1])
    assert (found["done"], found["pending"]) == (20, 0)


@pytest.mark.usefixtures("ran")
def test_status_tells_people_and_programs_the_same(blpsim):
    _, text, _ = blpsim("status", "results/toy")
    assert text.splitlines()[0] == "toy: 16 done, 2 failed, 0 pending; not running"
    assert "n | mean: 7 converged, 1 no_data" in text
    found = json.loads(blpsim("status", "results/toy", "--json")[1])
    assert (found["done"], found["failed"], found["counts"]["n"]["mean"]) == (
        16,
        2,
        {"converged": 7, "no_data": 1},
    )


@pytest.mark.usefixtures("ran")
def test_summarize_prints_text_markdown_and_csv(blpsim):
    assert "── n ──" in blpsim("summarize", "results/toy")[1]
    assert "| estimator |" in blpsim("summarize", "results/toy", "--format", "markdown")[1]
    rows = list(csv.DictReader(io.StringIO(blpsim("summarize", "results/toy", "--format", "csv")[1])))
    assert {row["estimator"] for row in rows} == {"mean", "median"}


@pytest.mark.usefixtures("ran")
def test_summarize_prints_what_estimations_took(blpsim):
    out = blpsim("summarize", "results/toy", "--diagnostics")[1]
    assert "── n ──" in out
    assert "seconds" in out
    assert "bias" not in out
    form = ("--diagnostics", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(blpsim("summarize", "results/toy", *form)[1])))
    assert {row["diagnostic"] for row in rows} >= {"converged", "seconds"}


@pytest.mark.usefixtures("ran")
def test_replay_shows_estimates_and_tracebacks(blpsim):
    code, out, _ = blpsim(
        "replay", "design.py", "--scenario", "n", "--replication", "4", "--store", "results/toy"
    )
    assert code == 0
    assert "mean: converged in " in out
    assert "equal to the store, bit for bit" in out
    _, out, _ = blpsim("replay", "design.py", "--scenario", "n", "--replication", "2", "--estimator", "mean")
    assert "ValueError: replication 2 of seed 1 is cursed" in out
    assert "median" not in out


@pytest.mark.usefixtures("folder")
def test_replay_in_the_debugger_stops_where_the_exception_is_raised():
    command = [
        sys.executable,
        "-m",
        "blpsim.cli",
        "replay",
        "design.py",
        "--scenario",
        "n",
        "--replication",
        "2",
    ]
    ran = subprocess.run(
        [*command, "--pdb"],
        input="p streams.replication\nq\n",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert "-> raise ValueError" in ran.stdout
    assert "(Pdb) 2" in ran.stdout


@pytest.mark.usefixtures("ran")
def test_publish_rebuilds_the_published_store(blpsim, folder):
    (folder / "results" / "toy" / "failures.jsonl").unlink()
    assert blpsim("publish", "results/toy")[0] == 0
    assert len((folder / "results" / "toy" / "failures.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(("limit", "code"), [("0.1", 3), ("0.2", 0)])
def test_failures_above_the_limit_are_exit_code_3(blpsim, limit, code):
    found = blpsim("run", "design.py", "--workers", "0", "--max-failure-rate", limit)
    assert found[0] == code
    assert ("2 of 16 (12.5%), more than 10.0%" in found[2]) == (code == 3)


@pytest.mark.usefixtures("ran")
def test_what_has_a_status_is_computed_again_when_asked_for(blpsim, folder):
    blpsim("run", "design.py", "--workers", "0", "--retry", "no_data")
    journal = folder / "results" / "toy" / "journal"
    assert any("0000002-0000003" in path.name for path in journal.iterdir())


@pytest.mark.usefixtures("folder")
def test_tasks_that_are_numbered_by_hand_share_a_study(blpsim):
    for index in range(2):
        task = ("--array-task", str(index), "--array-tasks", "2")
        code, _, err = blpsim("run", "design.py", "--workers", "0", *task)
        assert code == 0
        assert err.startswith(f"toy, task {index} of 2: 0 of 8 estimates are there")
        assert "blpsim publish results/toy" in err
    blpsim("publish", "results/toy")
    found = json.loads(blpsim("status", "results/toy", "--json")[1])
    assert (found["done"], found["pending"]) == (16, 0)


def test_plan_says_what_is_missing_what_it_costs_and_which_jobs_it_takes(blpsim, folder):
    (folder / "my.toml").write_text('scheduler = "slurm"\nmemory = "2GB"\nwalltime = "04:00:00"\n')
    _, out, _ = blpsim("plan", "design.py")
    assert out.splitlines()[:2] == [
        "toy: 1 scenario, 2 estimators, 8 replications",
        "missing: 16 of 16 estimates",
    ]
    assert "cost: unknown" in out
    assert not (folder / "results").exists()
    blpsim("run", "design.py", "--workers", "0", "--replications", "2")
    code, out, _ = blpsim("plan", "design.py", "--on", "my.toml")
    assert code == 0
    assert "missing: 12 of 16 estimates\ncost: " in out
    assert "core-hours" in out
    assert "#SBATCH -t 04:00:00" in out


@pytest.mark.usefixtures("folder")
def test_the_array_script_that_users_copy_runs_a_task(folder):
    (folder / "bin").mkdir()
    command = folder / "bin" / "blpsim"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m blpsim.cli "$@"\n')
    command.chmod(0o755)
    place = {"JOB_ID": 5, "TASK_ID": 1, "TASK_MIN": 0, "TASK_MAX": 3, "TASK_COUNT": 4}
    environment = {f"SLURM_ARRAY_{name}": str(value) for name, value in place.items()}
    ran = subprocess.run(
        ["bash", f"{ROOT}/cluster/array.sbatch", "design.py", "--workers", "0"],
        env={
            **os.environ,
            **environment,
            "PYTHONPATH": ROOT,
            "PATH": f"{command.parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.startswith("toy, task 1 of 4: 0 of 4 estimates are there")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "nowhere.py"], "DESIGN = nowhere.py: expected a Python file"),
        (["run", "design.py", "--retry", "sadness"], "--retry = sadness: expected one of"),
        (["run", "design.py", "--store", "design.py", "--workers", "0"], "design.py"),
        (["run", "design.py", "--on", "array"], "--array-task = nothing"),
        (["run", "design.py", "--on", "array", "--retry", "no_data"], "no such option with --on array"),
        (["run", "design.py", "--array-tasks", "3"], "--array-tasks = 3: expected --on array beside it"),
        (["run", "design.py", "--walltime", "soon"], "--walltime = soon: expected a time such as 3:55:00"),
        (["run", "design.py", "--on", "nowhere.toml"], "--on = nowhere.toml: expected local, array"),
        (["plan", "design.py", "--on", "nowhere.toml"], "--on = nowhere.toml: expected local, array"),
        (["status", "nowhere"], "nowhere"),
        (["summarize", "nowhere"], "nowhere"),
        (["publish", "nowhere"], "nowhere"),
        (
            ["replay", "design.py", "--scenario", "m", "--replication", "0"],
            "Design.scenarios = m: expected one of n",
        ),
    ],
)
def test_a_users_error_is_one_line_and_exit_code_1(blpsim, words, message):
    code, _, err = blpsim(*words)
    assert code == 1
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [["run"], ["fly"], ["run", "design.py", "--workers", "-1"], ["run", "design.py", "--on"]]
)
def test_wrong_usage_is_exit_code_2(blpsim, words):
    code, _, err = blpsim(*words)
    assert code == 2
    assert "Traceback" not in err


@pytest.mark.usefixtures("ran")
def test_a_changed_design_is_refused_with_the_reason(blpsim, folder):
    (folder / "design.py").write_text(DESIGN.replace("Mean()", "Mean(scale=2.0)"))
    code, _, err = blpsim("run", "design.py", "--workers", "0")
    assert code == 1
    assert "estimator 'mean' is" in err
    assert len(err.splitlines()) == 1


@pytest.mark.usefixtures("ran")
def test_summarize_prints_latex_and_html_and_tables_of_chosen_rows_and_columns(blpsim, tmp_path):
    assert "\\toprule" in blpsim("summarize", "results/toy", "--format", "latex")[1]
    assert "<thead>" in blpsim("summarize", "results/toy", "--format", "html")[1]
    layout = ("--rows", "scenario,parameter", "--columns", "estimator,measure", "--measures", "bias,rmse")
    code, out, _ = blpsim("summarize", "results/toy", *layout)
    assert code == 0
    assert "RMSE" in out
    rows = list(csv.DictReader(io.StringIO(blpsim("summarize", "results/toy", "--format", "csv")[1])))
    row = next(row for row in rows if row["measure"] == "bias")
    names = {name: row[name] for name in ("scenario", "estimator", "parameter", "measure")}
    with (tmp_path / "published.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*names, "published"])
        writer.writeheader()
        writer.writerow(names | {"published": row["value"]})
    assert "0.0" in blpsim("summarize", "results/toy", "--published", str(tmp_path / "published.csv"))[1]


@pytest.mark.usefixtures("ran")
def test_summarize_refuses_a_layout_in_one_line(blpsim):
    code, _, err = blpsim("summarize", "results/toy", "--rows", "scenario", "--columns", "colour")
    assert code == 1
    assert err.startswith("error: columns = colour: expected names among scenario, estimator")


@pytest.mark.usefixtures("ran")
def test_report_writes_a_page_and_says_where(blpsim, folder):
    code, out, _ = blpsim("report", "results/toy", "--output", "page", "--figures", "svg")
    assert (code, out.strip()) == (0, "page/index.html")
    assert "toy" in (folder / "page" / "index.html").read_text()
    assert (folder / "page" / "figures" / "bias.svg").is_file()
    assert blpsim("report", "results/nowhere", "--output", "page")[0] == 1
