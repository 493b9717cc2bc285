"""The commands: those that take DESIGN run its code, those that take STORE read data only."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, Unpack

import click

from blpsim.errors import BlpsimError, ConfigurationError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from blpsim.status import Status
    from blpsim.store.progress import Progress
    from blpsim.study.design import Design
    from blpsim.workflow import Moment, Replay

USER_ERROR: Final = 1
TOO_MANY_FAILURES: Final = 3
INTERRUPTED: Final = 130
_COMPILING: Final = "compiling kernels (once)..."

ON_HELP: Final = (
    "local; array: as a task of a job array; tcp://.. or tls://.. or a scheduler file: with a Dask "
    "scheduler that runs; a profile's TOML file: as jobs of a batch system."
)

design_argument = click.argument("design", type=click.Path(path_type=Path))
store_argument = click.argument("store", type=click.Path(path_type=Path))
store_option = click.option(
    "--store", type=click.Path(path_type=Path), help="The study's folder; results/NAME by default."
)


class RunOptions(TypedDict):
    """The options of ``run`` beside where the store is and how many replications it asks for."""

    workers: int | None
    on: str
    array_task: int | None
    array_tasks: int | None
    walltime: str | None
    retry: tuple[str, ...]
    max_failure_rate: float | None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="blpsim")
def commands() -> None:
    """Run Monte Carlo studies of BLP demand estimation."""


def main() -> None:
    """Run a command and exit: 0 done, 1 a user's error, 2 usage, 3 too many failures, 130 interrupted."""
    try:
        commands.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BlpsimError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(USER_ERROR)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: what was finished is on disk; the same command goes on from there", err=True)
        sys.exit(INTERRUPTED)


@commands.command()
@design_argument
@store_option
@click.option("--replications", type=click.IntRange(min=0), help="Instead of the design's.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes, one a processor by default; 0: none.")
@click.option("--on", metavar="WHERE", default="local", show_default=True, help=ON_HELP)
@click.option("--array-task", type=click.IntRange(min=0), help="Instead of the batch system's number.")
@click.option("--array-tasks", type=click.IntRange(min=1), help="How many tasks the array has.")
@click.option("--walltime", metavar="[D-]H:M:S", help="Stop cleanly before; by default Slurm's own.")
@click.option("--retry", multiple=True, metavar="STATUS", help="Compute again what has this status.")
@click.option("--max-failure-rate", type=click.FloatRange(0, 1), help="Exit with 3 above it.")
def run(design: Path, store: Path | None, replications: int | None, **options: Unpack[RunOptions]) -> None:
    """Compute what a study's store lacks, then publish it; a task of an array leaves that to publish."""
    statuses = [_status(name) for name in options["retry"]]
    is_array = options["on"] == "array" or options["array_task"] is not None
    _check_array_options(options, is_array)
    if options["workers"] != 0 and design.is_file():
        from blpsim.run.forkserver import start_loading

        start_loading()
    from blpsim.run.workers import allowed
    from blpsim.study.load import load_design
    from blpsim.workflow import run as run_study

    if is_array:
        _run_share(load_design(design), store, replications, options)
        return
    loaded, workers = load_design(design), allowed(options["on"], options["workers"], options["walltime"])
    with _shown(loaded.name) as listener:
        study = run_study(
            loaded, store, workers=workers, replications=replications, retry=statuses, listener=listener
        )
    click.echo(f"results: {study.path / 'results.zarr'}    table: blpsim summarize {study.path}", err=True)
    _check_failures(study.path, options["max_failure_rate"])


@commands.command()
@design_argument
@store_option
@click.option("--replications", type=click.IntRange(min=0), help="Instead of the design's.")
@click.option("--on", metavar="PROFILE", help="Also print the script of the jobs that run would submit.")
def plan(design: Path, store: Path | None, replications: int | None, on: str | None) -> None:
    """Show what a run would compute and, from what is there, what it would cost; nothing is written."""
    from blpsim.store.outlook import outlook
    from blpsim.study.load import load_design
    from blpsim.workflow import store_of

    script, loaded = None if on is None else _job_script(on), load_design(design)
    click.echo(outlook(loaded, store_of(loaded, store), replications))
    if script is not None:
        click.echo(f"\n{script.strip()}")


@commands.command()
@store_argument
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(store: Path, as_json: bool) -> None:
    """Show how far a study has come."""
    from blpsim.store.progress import progress

    found = progress(store)
    click.echo(json.dumps(found.as_json(), indent=1) if as_json else _status_text(found))


@commands.command()
@store_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "html", "csv"]),
    default="text",
    show_default=True,
)
@click.option("--diagnostics", is_flag=True, help="Evaluations, failures and time instead of performance.")
@click.option("--measures", metavar="NAMES", help="Such as bias,rmse,coverage, or all.")
@click.option("--rows", metavar="NAMES", help="What rows are: scenario, estimator, parameter, measure.")
@click.option("--columns", metavar="NAMES", help="What columns are.")
@click.option("--common", is_flag=True, help="Only replications of which all estimators are usable.")
@click.option("--published", type=click.Path(path_type=Path), help="CSV of published numbers, shown beside.")
def summarize(store: Path, form: str, **options: str | bool | Path | None) -> None:
    """Print how each estimator did, every number with its Monte Carlo standard error."""
    from blpsim.report.tables import Table, table
    from blpsim.store.study import open_study

    wanted: dict[str, Any] = {"form": form} | options
    for name in ("measures", "rows", "columns"):
        wanted[name] = _listed(wanted[name] or "")
    click.echo(table(open_study(store), Table(**wanted)).rstrip("\n"))


@commands.command()
@store_argument
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The folder to write into.")
@click.option(
    "--figures",
    multiple=True,
    type=click.Choice(["svg", "pdf", "png"]),
    help="Write the figures as files, too, in this format.",
)
def report(store: Path, output: Path, figures: tuple[Literal["svg", "pdf", "png"], ...]) -> None:
    """Write a page of the study: one HTML file with tables, figures and downloads."""
    from blpsim.report.page import write
    from blpsim.store.study import open_study

    click.echo(write(open_study(store), output, figures))


def _listed(names: str) -> tuple[str, ...]:
    """Return names that commas separate; those inside of brackets separate nothing."""
    return tuple(name.strip() for name in re.split(r",(?![^\[]*\])", names) if name.strip())


@commands.command()
@design_argument
@click.option("--scenario", required=True, help="The scenario's name.")
@click.option("--replication", required=True, type=click.IntRange(min=0), help="The replication's number.")
@click.option("--estimator", help="The estimator's name; all of them by default.")
@store_option
@click.option("--pdb", "debug", is_flag=True, help="Stop in the debugger where an exception is raised.")
def replay(
    design: Path, scenario: str, replication: int, estimator: str | None, store: Path | None, debug: bool
) -> None:
    """Run one replication again, here, and show what it gives; nothing is written."""
    from blpsim.study.load import load_design
    from blpsim.workflow import replay as replay_one
    from blpsim.workflow import replay_openly

    loaded = load_design(design)
    names = tuple(loaded.estimators) if estimator is None else (estimator,)
    if debug:
        _debugged(lambda: replay_openly(loaded, scenario, replication, names))
    found = replay_one(loaded, scenario, replication, names, store)
    click.echo("\n".join(_replay_lines(found)))


@commands.command()
@store_argument
def publish(store: Path) -> None:
    """Rebuild results.zarr and failures.jsonl from the journal."""
    from blpsim.store.folder import Store

    with Store(store) as opened:
        opened.publish()
    click.echo(f"results: {store / 'results.zarr'}")


def _status(name: str) -> Status:
    from blpsim.status import Status

    try:
        return Status[name.upper()]
    except KeyError:
        known = ", ".join(status.meaning for status in Status if status.is_failure)
        raise ConfigurationError("--retry", name, f"one of {known}", "it is computed again") from None


def _job_script(on: str) -> str:
    from blpsim.run.choice import profile_path
    from blpsim.run.jobs import job_script
    from blpsim.run.profile import read_profile

    return job_script(read_profile(profile_path(on)))


def _check_array_options(options: RunOptions, is_array: bool) -> None:
    """Refuse what makes no sense with or without a job array, before anything starts."""
    for name in ("retry", "max_failure_rate"):
        if is_array and options[name]:
            why = "a task sees its own share alone; a run without an array can do it"
            raise ConfigurationError(_option(name), options[name], "no such option with --on array", why)
    if not is_array and options["array_tasks"] is not None:
        why = "only tasks of an array share the work"
        raise ConfigurationError("--array-tasks", options["array_tasks"], "--on array beside it", why)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _run_share(design: Design, store: Path | None, replications: int | None, options: RunOptions) -> None:
    """Compute one array task's share."""
    from blpsim.run.array import member, processors
    from blpsim.run.workers import allowed
    from blpsim.workflow import run_share, store_of

    placed = member(os.environ, options["array_task"], options["array_tasks"])
    number = processors(os.environ) if options["workers"] is None else options["workers"]
    with _shown(f"{design.name}, task {placed.rank} of {placed.number}") as listener:
        run_share(
            design,
            store,
            member=placed,
            workers=allowed("local", number, options["walltime"]),
            replications=replications,
            listener=listener,
        )
    click.echo(f"when all tasks have ended: blpsim publish {store_of(design, store)}", err=True)


@contextmanager
def _shown(name: str) -> Iterator[Callable[[Moment], None]]:
    """Yield what shows a run's progress: a bar on a terminal, else a line at the start and one at the end."""
    if not sys.stderr.isatty():
        with _lines(name) as listener:
            yield listener
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    text = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}")
    with Progress(*text, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, figures="", total=None)

        def listener(moment: Moment) -> None:
            _announce_compiling(moment, bar)
            bar.update(task, total=moment.total, completed=moment.done, figures=_figures(moment))

        yield listener


def _announce_compiling(moment: Moment, bar: Bar) -> None:
    if moment.is_compiling:
        bar.console.print(_COMPILING)


@contextmanager
def _lines(name: str) -> Iterator[Callable[[Moment], None]]:
    moments: list[Moment] = []

    def listener(moment: Moment) -> None:
        if not moments:
            click.echo(f"{name}: {moment.done} of {moment.total} estimates are there", err=True)
        if moment.is_compiling:
            click.echo(_COMPILING, err=True)
        moments[:] = [moment]

    try:
        yield listener
    finally:
        if moments:
            click.echo(f"{name}: {_figures(moments[0])}", err=True)


def _figures(moment: Moment) -> str:
    parts = [f"{moment.done}/{moment.total}", f"{moment.rate:.3g}/s"]
    if moment.done < moment.total and moment.remaining_seconds is not None:
        parts.append(f"{_duration(moment.remaining_seconds)} left")
    elif moment.done >= moment.total:
        parts.append(f"in {_duration(moment.seconds)}")
    return ", ".join([*parts, f"{moment.failed} failed"])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _status_text(found: Progress) -> str:
    rate = "" if found.rate is None else f", {found.rate:.3g}/s"
    left = "" if found.remaining_seconds is None else f", {_duration(found.remaining_seconds)} left"
    runs = "not running" if found.holder is None else f"running: {found.holder}"
    head = (
        f"{found.name}: {found.done} done, {found.failed} failed, {found.pending} pending{rate}{left}; {runs}"
    )
    rows = [
        f"  {scenario} | {estimator}: "
        + (
            ", ".join(f"{number} {status.meaning}" for status, number in counts.items() if number)
            or "nothing"
        )
        for scenario, row in found.counts.items()
        for estimator, counts in row.items()
    ]
    corrupt = [f"  {found.corrupt} corrupt blocks count as pending"] if found.corrupt else []
    return "\n".join([head, *rows, *corrupt])


def _check_failures(store: Path, limit: float | None) -> None:
    if limit is None:
        return
    from blpsim.store.progress import progress

    found = progress(store)
    rate = found.failed / found.done if found.done else 0.0
    if rate > limit:
        click.echo(f"failures: {found.failed} of {found.done} ({rate:.1%}), more than {limit:.1%}", err=True)
        sys.exit(TOO_MANY_FAILURES)


def _debugged(action: Callable[[], None]) -> None:
    import pdb

    try:
        action()
    except Exception as error:
        pdb.post_mortem(error.__traceback__)
        raise


def _replay_lines(found: Replay) -> Iterator[str]:
    block = found.block
    data = block.arrays
    yield f"{block.scenario}, replication {block.start}: data {found.data_status.meaning}"
    for row, estimator in enumerate(block.estimators):
        yield f"{estimator}: {found.statuses[row].meaning} in {data['seconds'][row, 0]:.3f} s"
        for column, name in enumerate(block.parameters):
            estimate, error = data["estimate"][row, 0, column], data["standard_error"][row, 0, column]
            if estimate == estimate:
                yield f"  {name} = {estimate:.10g} ({error:.4g}), truth {data['truth'][0, column]:.6g}"
    for failure in block.failures:
        yield (failure.traceback or f"{failure.estimator or 'data'}: {failure.status.meaning}").rstrip()
    if found.differences is not None:
        names = ", ".join(found.differences)
        yield f"differs from the store in {names}" if names else "equal to the store, bit for bit"


if __name__ == "__main__":
    main()
