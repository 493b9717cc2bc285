from __future__ import annotations

import multiprocessing
import signal
import time

import pytest

from blpsim.kernels.forward import jacobians
from blpsim.kernels.objective import evaluate_with_gradient
from blpsim.kernels.pricing import solve_equilibrium
from blpsim.run import compiling
from tests.estimate.problems import SUPPLY, posed

KERNELS = (evaluate_with_gradient, jacobians, solve_equilibrium)


@pytest.fixture
def interrupts():
    """Put the handler of SIGINT back, which the compiling processes ignore."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interrupts")
def test_what_is_compiled_before_a_study_is_what_it_calls():
    problem = posed(SUPPLY)
    problem.problem.solve(problem.parameters, problem.gmm).economy.equilibrium()
    known = [set(kernel.signatures) for kernel in KERNELS]
    compiling._objective()
    compiling._other_kernels()
    assert all(known)
    assert [set(kernel.signatures) for kernel in KERNELS] == known


def test_a_run_that_is_stopped_while_compiling_leaves_no_process():
    began = time.monotonic()
    compiling.compile_kernels(lambda: True)
    assert time.monotonic() - began < 20
    assert not multiprocessing.active_children()
