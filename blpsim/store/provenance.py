"""Where numbers come from: software, processor, threads, commit and times."""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from blpsim.store.refusal import unreadable

PACKAGES = ("blpsim", "numpy", "scipy", "numba", "llvmlite", "pandas", "formulaic", "sympy", "pyhdfe")
"""What the bits may depend on; also recorded: xarray, zarr, dask and distributed."""

_PLUMBING = ("xarray", "zarr", "dask", "distributed")
_VECTOR = re.compile(r"^(sse|ssse|avx|fma|f16c|amx|asimd|sve|neon|fphp)")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def provenance(source: Path | None) -> dict[str, Any]:
    """Return what describes a run that begins now, ready for JSON.

    source  the design file, whose repository's commit is recorded
    """
    return {
        "started": timestamp(),
        "ended": None,
        "wall_seconds": None,
        "core_seconds": None,
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in PACKAGES + _PLUMBING},
        "platform": platform.platform(),
        "cpu": cpu(),
        "blas": _blas(),
        "threads": {name: os.environ.get(name) for name in _THREADS},
        **_repository(source),
        "hostname": platform.node(),
        "command": sys.argv,
    }


def timestamp() -> str:
    """Return the time now, UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the runs that a ``provenance.json`` lists, none when there is no such file.

    Raises StoreError when it cannot be read.
    """
    try:
        runs: list[dict[str, Any]] = json.loads(path.read_bytes())["runs"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error) from error
    return runs


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two runs and may change bits, each as one phrase."""
    pairs = [("Python", earlier["python"], now["python"])]
    pairs += [(name, earlier["versions"].get(name), now["versions"].get(name)) for name in PACKAGES]
    found = [f"{what} {here}, was {there}" for what, there, here in pairs if there != here]
    if earlier["cpu"]["features"] != now["cpu"]["features"]:
        found.append(f"processor {now['cpu']['model']}, was {earlier['cpu']['model']}")
    return found


def attributes(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what ``results.zarr`` says of the runs: the last one's surroundings, all their times."""
    last = runs[-1]
    return {
        "versions": json.dumps({"python": last["python"], **last["versions"]}),
        "platform": last["platform"],
        "cpu": last["cpu"]["model"],
        "cpu_features": " ".join(last["cpu"]["features"]),
        "blas": json.dumps(last["blas"]),
        "threads": json.dumps(last["threads"]),
        "commit": last["commit"] or "",
        "dirty": int(bool(last["dirty"])),
        "started": runs[0]["started"],
        "ended": timestamp(),
        "wall_hours": sum(run["wall_seconds"] or 0.0 for run in runs) / 3600,
    }


@functools.cache
def cpu() -> dict[str, Any]:
    """Return the processor's model and those of its features on which bits may depend."""
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return {"model": platform.processor() or platform.machine(), "features": [platform.machine()]}
    values = {key.strip().lower(): value.strip() for key, _, value in lines}
    features = (values.get("flags") or values.get("features") or "").split()
    return {
        "model": values.get("model name") or platform.machine(),
        "features": sorted(name for name in features if _VECTOR.match(name)),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _blas() -> list[dict[str, Any]]:
    from threadpoolctl import threadpool_info

    kept = ("internal_api", "version", "num_threads", "architecture")
    return [{key: library.get(key) for key in kept} for library in threadpool_info()]


def _repository(source: Path | None) -> dict[str, Any]:
    folder = Path.cwd() if source is None else source.resolve().parent
    commit = _git(folder, "rev-parse", "HEAD")
    changes = None if commit is None else _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        command = ("git", "-C", str(folder), *words)
        ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None
