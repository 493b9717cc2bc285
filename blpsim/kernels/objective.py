"""The objective and its gradient in one call from Python, which spares handing over the arrays twice."""

from __future__ import annotations

from blpsim.arrays import Bench, Given, InversionRule, Moments, Panel, State, Tastes
from blpsim.kernels.compile import kernel
from blpsim.kernels.evaluation import FINE, evaluate
from blpsim.kernels.gradient import differentiate


@kernel
def evaluate_with_gradient(
    panel: Panel,
    tastes: Tastes,
    given: Given,
    moments: Moments,
    state: State,
    bench: Bench,
    rule: InversionRule,
) -> tuple[int, float, int, int]:
    """Return how it ended, the objective, the clipped costs, and the inversion's evaluations.

    ``state.delta`` holds the start of the inversion and is replaced by its solution; the derivatives end
    in ``state.d_sigma``, ``state.d_pi``, ``state.d_alpha`` and in ``given``.
    """
    code, objective, clipped = evaluate(panel, tastes, (given.beta, given.gamma), moments, state, bench, rule)
    evaluations = 0
    for t in range(state.evaluations.size):
        evaluations += state.evaluations[t]
    if code == FINE:
        code = differentiate(panel, moments, state, bench, (given.d_beta, given.d_gamma))
    return code, objective, clipped, evaluations
