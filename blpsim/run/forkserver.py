"""A process that has loaded what workers need, from which they are forked, so that each starts at once."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import sys
from typing import Final

from blpsim.run.threads import SINGLE_THREAD

_LOADED: Final = (
    "distributed",
    "distributed.nanny",
    "blpsim.run.worker",
    "blpsim.simulate.scenario",
    "blpsim.estimate.estimator",
)

START_METHOD: Final = "forkserver" if sys.platform == "linux" else "spawn"
"""How worker processes start."""


def start_loading() -> None:
    """Let the server load in the background; where there is none yet, and where forks are safe."""
    if START_METHOD != "forkserver":
        return
    before = {name: os.environ.get(name) for name in SINGLE_THREAD}
    # Libraries read these when they are loaded, which workers inherit.
    os.environ.update(SINGLE_THREAD)
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(_LOADED))
    multiprocessing.forkserver.ensure_running()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
