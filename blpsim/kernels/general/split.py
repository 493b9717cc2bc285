"""The objective and its gradient with nests and any ownership, in two calls from Python."""

from __future__ import annotations

from blpsim.arrays import Bench, InversionRule, Moments, Nesting, Panel, State, Unknowns
from blpsim.kernels.compile import kernel
from blpsim.kernels.evaluation import FINE, NO_DERIVATIVE, NOT_FINITE
from blpsim.kernels.general.evaluation import evaluate_nested
from blpsim.kernels.general.gradient import differentiate_nested
from blpsim.kernels.general.objective import fill_kappa
from blpsim.kernels.objective import inversions
from blpsim.kernels.unknowns import put_together, take_apart


@kernel
def evaluate_nested_alone(
    panel: Panel,
    unknowns: Unknowns,
    moments: Moments,
    nesting: Nesting,
    state: State,
    bench: Bench,
    rule: InversionRule,
) -> tuple[int, int, int, int]:
    """Return how it ended, the clipped costs, the inversion's evaluations and its failures."""
    if not (take_apart(unknowns) and fill_kappa(unknowns, nesting)):
        return NOT_FINITE, 0, 0, 0
    given = unknowns.given
    code, _, clipped = evaluate_nested(
        panel, unknowns.tastes, (given.beta, given.gamma), moments, (nesting, state, bench), rule
    )
    evaluations, failures = inversions(state, rule)
    return code, clipped, evaluations, failures


@kernel
def differentiate_nested_alone(
    panel: Panel, unknowns: Unknowns, moments: Moments, nesting: Nesting, state: State, bench: Bench
) -> int:
    """Return how it ended after filling the gradient, as ``differentiate_alone``."""
    both = (unknowns.given.d_beta, unknowns.given.d_gamma)
    code = differentiate_nested(panel, moments, nesting, state, bench, both, unknowns.d_rho)
    if code == FINE and not put_together(unknowns, state):
        return NO_DERIVATIVE
    return code
