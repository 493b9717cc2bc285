"""A process that has loaded what workers need, from which they are forked, so that each starts at once."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import sys
from typing import Final

from blpsim.threads import one_thread_environment

_LOADED: Final = (
    "distributed",
    "distributed.nanny",
    "blpsim.run.worker",
    "blpsim.simulate.scenario",
    "blpsim.estimate.estimator",
    "scipy.optimize",
)

START_METHOD: Final = "forkserver" if sys.platform == "linux" else "spawn"
"""How worker processes start."""


def start_loading() -> None:
    """Let the server load in the background; where there is none yet, and where forks are safe."""
    if START_METHOD != "forkserver":
        return
    with one_thread_environment():
        multiprocessing.get_context("forkserver").set_forkserver_preload(list(_LOADED))
        multiprocessing.forkserver.ensure_running()
