from __future__ import annotations

import multiprocessing
import signal
import time

import pytest

from blpsim.kernels.forward import jacobians
from blpsim.kernels.general.forward import nested_jacobians
from blpsim.kernels.general.objective import evaluate_nested_with_gradient
from blpsim.kernels.general.pricing import solve_nested_equilibrium
from blpsim.kernels.objective import evaluate_with_gradient
from blpsim.kernels.pricing import solve_equilibrium
from blpsim.run import compiling
from tests.estimate.problems import NESTED_SUPPLY, SUPPLY, posed

PLAIN = (evaluate_with_gradient, jacobians, solve_equilibrium)
NESTED = (evaluate_nested_with_gradient, nested_jacobians, solve_nested_equilibrium)


@pytest.fixture
def interrupts():
    """Put the handler of SIGINT back, which the compiling processes ignore."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize(("seed", "kernels"), [(SUPPLY, PLAIN), (NESTED_SUPPLY, NESTED)])
def test_what_is_compiled_before_a_study_is_what_it_calls(seed, kernels):
    problem = posed(seed)
    problem.problem.solve(problem.parameters, problem.gmm).economy.equilibrium()
    known = [set(kernel.signatures) for kernel in kernels]
    compiling._objective(seed == NESTED_SUPPLY)
    compiling._other_kernels(seed == NESTED_SUPPLY)
    assert all(known)
    assert [set(kernel.signatures) for kernel in kernels] == known


def test_a_run_that_is_stopped_while_compiling_leaves_no_process():
    began = time.monotonic()
    compiling.compile_kernels(lambda: True, nested=False)
    assert time.monotonic() - began < 20
    assert not multiprocessing.active_children()
