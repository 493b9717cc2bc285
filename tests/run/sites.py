"""Workers that a test starts: by an address, or as jobs of a batch system that is three shell scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = str(Path(__file__).parents[2])

SBATCH = """#!/bin/sh
cp "$1" FOLDER/script.$$
setsid bash FOLDER/script.$$ >>FOLDER/log 2>&1 </dev/null &
touch FOLDER/jobs/$!
echo "Submitted batch job $!"
"""
SQUEUE = """#!/bin/sh
for job in $(ls FOLDER/jobs); do
  if kill -0 $job 2>/dev/null && [ "$(ps -o stat= -p $job | cut -c1)" != Z ]; then echo $job; fi
done
"""
SCANCEL = """#!/bin/sh
for job in "$@"; do kill -KILL -- -$job; rm -f FOLDER/jobs/$job; done
"""


def environment():
    """Return an environment in which worker processes find this package and the tests."""
    return {**os.environ, "PYTHONPATH": ROOT}


@contextmanager
def scheduler(folder, workers):
    """Yield the file of a scheduler on loopback with some workers."""
    file = folder / "scheduler.json"
    options = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    commands = [["dask_scheduler", *options, "--port", "0"]]
    commands += [["dask_worker", *options, "--nthreads", "1"]] * workers
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{command}", *rest],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command, *rest in commands
    ]
    try:
        until = time.monotonic() + 60
        while not (file.is_file() and file.read_text().endswith("}")):
            assert time.monotonic() < until
            time.sleep(0.05)
        yield file
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.communicate()


def address(file):
    """Return what a scheduler file says."""
    return json.loads(file.read_text())["address"]


def install_slurm(folder):
    """Put commands like Slurm's into a folder; jobs run at once, as process groups here."""
    (folder / "jobs").mkdir(parents=True)
    for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL}.items():
        (folder / name).write_text(text.replace("FOLDER", str(folder)))
        (folder / name).chmod(0o755)


def jobs(folder):
    """Return the numbers of the jobs that were submitted and not cancelled."""
    return sorted(int(path.name) for path in (folder / "jobs").iterdir())
