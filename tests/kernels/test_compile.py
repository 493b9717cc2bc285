from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blpsim.kernels import compile as compiling
from blpsim.kernels import evaluation
from blpsim.kernels.forward import jacobians
from blpsim.kernels.objective import evaluate_with_gradient
from tests.estimate.problems import DEMAND, SUPPLY, posed

from . import entrance

ROOT = Path(__file__).resolve().parents[2]
MAKE = """
import numpy as np
from blpsim.estimate.estimator import Estimator, Starts
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.streams import Streams
from tests.simulate.scenarios import scenario

def estimate(supply=True, **changes):
    drawn = scenario(**changes)
    rule = Integration("product", 5) if drawn.model.nonlinear else None
    streams = Streams(seed=1, replication=0, stream_key=drawn.stream_key)
    estimator = Estimator(integration=rule, starts=Starts(2), supply=supply)
    return estimator.estimate(drawn.generate(streams), streams)
"""
OTHERS = """
from tests.kernels import test_adjoint, test_choice, test_inversion, test_linear, test_markups

test_choice.test_compiled_and_interpreted_kernels_agree()
test_linear.test_compiled_and_interpreted_kernels_agree()
test_markups.test_compiled_and_interpreted_kernels_agree()
test_adjoint.test_compiled_and_interpreted_kernels_agree(True)
test_inversion.test_compiled_and_interpreted_kernels_agree((2, 1))
estimate(supply=False)
prices = Model(linear="1 + x + prices", nonlinear="0 + x + x:prices", supply="1 + x + w", costs="log")
truth = Parameters(beta=[-7, 6, -1], sigma=np.diag([3.0, 0.1]), gamma=[1, 0.2, 0.1])
estimate(model=prices, truth=truth)
plain = Model(linear="1 + x + prices", supply="1 + x + w")
estimate(model=plain, truth=Parameters(beta=[-7, 6, -1], gamma=[2, 1, 0.2]), consumers=None)
"""
REPORT = """
from blpsim.kernels.forward import jacobians
from blpsim.kernels.objective import evaluate_with_gradient

found = estimate()
print(np.concatenate((found.values, found.standard_errors, found.covariance.ravel())).tobytes().hex())
print(len(evaluate_with_gradient.signatures), len(jacobians.signatures))
"""


def started(*parts):
    command = [sys.executable, "-W", "ignore", "-c", "".join(parts)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def processes():
    """Return what one process prints that does nothing else, and one that has compiled much before."""
    running = [started(MAKE, REPORT), started(MAKE, OTHERS, REPORT)]
    printed = [process.communicate()[0].split("\n") for process in running]
    assert [process.returncode for process in running] == [0, 0]
    return printed


def test_results_do_not_depend_on_what_a_process_compiled_before(processes):
    alone, late = processes
    assert len(alone[0]) > 500
    assert alone[0] == late[0]


def test_entry_kernels_are_compiled_once_for_problems_of_every_kind(processes):
    alone, late = processes
    assert alone[1] == "1 1"
    assert late[1] == "1 1"


@pytest.mark.parametrize("seed", [DEMAND, SUPPLY])
def test_a_solve_compiles_nothing_that_an_evaluation_has_not(seed):
    problem = posed(seed)
    objective = problem.objective()
    objective(problem.theta)
    objective.jacobian()
    known = set(evaluate_with_gradient.signatures), set(jacobians.signatures)
    problem.problem.solve(problem.parameters)
    assert (set(evaluate_with_gradient.signatures), set(jacobians.signatures)) == known


def test_machine_code_is_that_of_the_types_of_the_arguments():
    matrix = np.arange(12.0).reshape(4, 3)
    columns = np.asfortranarray(matrix)
    for given in (matrix, columns, matrix[:, 1:], matrix[:1]):
        arguments = np.empty(len(given)), given, np.ones(given.shape[1])
        compiling.machine_code(entrance.weighted_sums, arguments)(*arguments)
        assert np.array_equal(arguments[0], given.sum(axis=1))


@pytest.mark.parametrize("seed", [DEMAND, 3])
def test_the_whole_objective_is_what_its_python_source_computes(seed):
    problem = posed(seed)
    compiled, source = problem.objective(), problem.objective()
    value, gradient = compiled(problem.theta)
    source.state.delta[:] = source.start_delta
    source.unknowns.theta[:] = problem.theta
    code, objective, clipped, evaluations, _ = entrance.interpreted(evaluate_with_gradient)(*source.arguments)
    assert (code, clipped) == (evaluation.FINE, compiled.clipped)
    assert abs(evaluations - compiled.inversion_evaluations) <= source.state.evaluations.size
    assert objective == pytest.approx(value, rel=1e-10)
    assert np.abs(source.unknowns.gradient - gradient).max() < 1e-9 * np.abs(gradient).max()


@pytest.mark.parametrize(
    "imported",
    [
        "from blpsim.kernels.inner import x\n",
        "from blpsim.kernels import inner\n",
        "from blpsim.kernels import (\n    another,\n    inner as inside,\n)\n",
    ],
)
def test_a_change_in_what_a_file_imports_is_a_change_of_its_cache(imported, tmp_path, monkeypatch):
    package, kernels = tmp_path / "blpsim", tmp_path / "blpsim" / "kernels"
    kernels.mkdir(parents=True)
    inner, outer, other = (kernels / f"{name}.py" for name in ("inner", "outer", "other"))
    inner.write_text("x = 1\n")
    other.write_text("y = 1\n")
    outer.write_text(imported)
    monkeypatch.setattr(compiling, "_PACKAGE", package)

    def folder():
        compiling._folder.cache_clear()
        return compiling._folder(outer)

    before = folder()
    other.write_text("y = 2\n")
    assert folder() == before
    inner.write_text("x = 2\n")
    assert folder() != before
    assert before.startswith("outer-")
    compiling._folder.cache_clear()
