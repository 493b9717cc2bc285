"""The objective and its gradient in two calls, between which other moments join those of errors."""

from __future__ import annotations

from blpsim.arrays import Bench, InversionRule, Moments, Panel, State, Unknowns
from blpsim.kernels.compile import kernel
from blpsim.kernels.evaluation import FINE, NO_DERIVATIVE, NOT_FINITE, evaluate
from blpsim.kernels.gradient import differentiate
from blpsim.kernels.objective import inversions
from blpsim.kernels.unknowns import put_together, take_apart


@kernel
def evaluate_alone(
    panel: Panel, unknowns: Unknowns, moments: Moments, state: State, bench: Bench, rule: InversionRule
) -> tuple[int, int, int, int]:
    """Return how it ended, the clipped costs, the inversion's evaluations and its failures."""
    if not take_apart(unknowns):
        return NOT_FINITE, 0, 0, 0
    given = unknowns.given
    code, _, clipped = evaluate(
        panel, unknowns.tastes, (given.beta, given.gamma), moments, state, bench, rule
    )
    evaluations, failures = inversions(state, rule)
    return code, clipped, evaluations, failures


@kernel
def differentiate_alone(
    panel: Panel, unknowns: Unknowns, moments: Moments, state: State, bench: Bench
) -> int:
    """Return how it ended after filling the gradient that follows from weighted moments."""
    given = unknowns.given
    code = differentiate(panel, moments, state, bench, (given.d_beta, given.d_gamma))
    if code == FINE and not put_together(unknowns, state):
        return NO_DERIVATIVE
    return code
