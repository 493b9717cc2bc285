"""The objective and its gradient in one call from Python, which spares handing over the arrays twice."""

from __future__ import annotations

from blpsim.arrays import Bench, InversionRule, Moments, Panel, State, Unknowns
from blpsim.kernels.compile import inner_kernel, kernel
from blpsim.kernels.evaluation import FINE, NO_DERIVATIVE, NOT_FINITE, evaluate
from blpsim.kernels.gradient import differentiate
from blpsim.kernels.unknowns import put_together, take_apart


@inner_kernel
def inversions(state: State, rule: InversionRule) -> tuple[int, int]:
    """Return the evaluations of all markets' inversions, and how many failed; NaN is a failure."""
    evaluations, failures = 0, 0
    for t in range(state.evaluations.size):
        evaluations += state.evaluations[t]
        failures += 0 if state.residuals[t] < rule.tolerance else 1
    return evaluations, failures


@kernel
def evaluate_with_gradient(
    panel: Panel,
    unknowns: Unknowns,
    moments: Moments,
    state: State,
    bench: Bench,
    rule: InversionRule,
) -> tuple[int, float, int, int, int]:
    """Return how it ended, the objective, the clipped costs, the inversion's evaluations and its failures.

    ``state.delta`` holds the start of the inversion and is replaced by its solution; ``unknowns`` holds
    theta, and its gradient is filled.
    """
    if not take_apart(unknowns):
        return NOT_FINITE, 0.0, 0, 0, 0
    given = unknowns.given
    code, objective, clipped = evaluate(
        panel, unknowns.tastes, (given.beta, given.gamma), moments, state, bench, rule
    )
    evaluations, failures = inversions(state, rule)
    if code == FINE:
        code = differentiate(panel, moments, state, bench, (given.d_beta, given.d_gamma))
    if code == FINE and not put_together(unknowns, state):
        code = NO_DERIVATIVE
    return code, objective, clipped, evaluations, failures
