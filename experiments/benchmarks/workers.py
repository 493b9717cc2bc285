"""How much faster two workers are than one: ``python -m experiments.benchmarks.workers``."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOOR = 1.9
"""Two workers take at most this fraction of one's time, on a study of five minutes or more."""

DESIGN = "experiments/quickstart/design.py"


def seconds(workers: int, replications: int) -> float:
    """Return the seconds of ``blpsim run`` as a whole, from the process's start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["blpsim", "run", DESIGN, "--store", str(Path(folder, "store"))]
        command += ["--workers", str(workers), "--replications", str(replications)]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - started


def stolen() -> float:
    """Return the seconds that a virtual machine's host has kept from it, 0 where the system does not say."""
    lines = Path("/proc/stat").read_text().splitlines() if Path("/proc/stat").exists() else ["cpu" + " 0" * 8]
    return int(lines[0].split()[8]) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print the seconds of both and their ratio, by round; return 1 if the median is below the floor."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--replications", type=int, default=14_000)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    seconds(1, 2)
    ratios = []
    print(f"{DESIGN}, {given.replications} replications, on {os.cpu_count()} processors")
    for turn in range(given.rounds):
        taken, before = {}, stolen()
        for workers in [(1, 2), (2, 1)][turn % 2]:
            taken[workers] = seconds(workers, given.replications)
        ratios.append(taken[1] / taken[2])
        print(
            f"1 worker {taken[1]:6.1f} s    2 workers {taken[2]:6.1f} s    ratio {ratios[-1]:.2f}    "
            f"kept by the host {stolen() - before:.0f} s",
            flush=True,
        )
    print(f"median {statistics.median(ratios):.2f}, floor {FLOOR}")
    return int(statistics.median(ratios) < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
