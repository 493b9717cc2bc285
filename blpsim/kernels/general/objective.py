"""The objective and its gradient with nests and any ownership, in one call from Python."""

from __future__ import annotations

from blpsim.arrays import Bench, InversionRule, Moments, Nesting, Panel, State, Unknowns
from blpsim.kernels.compile import inner_kernel, kernel
from blpsim.kernels.evaluation import FINE, NO_DERIVATIVE, NOT_FINITE
from blpsim.kernels.general.evaluation import evaluate_nested
from blpsim.kernels.general.gradient import differentiate_nested
from blpsim.kernels.objective import inversions
from blpsim.kernels.unknowns import put_together, take_apart


@inner_kernel
def fill_kappa(unknowns: Unknowns, nesting: Nesting) -> bool:
    """Fill kappa (B,) from rho; return whether every rho is below one."""
    for b in range(nesting.kappa.size):
        rho = unknowns.rho[nesting.parameters[b]] if nesting.parameters[b] >= 0 else 0.0
        if not rho < 1.0:
            return False
        nesting.kappa[b] = 1.0 / (1.0 - rho)
    return True


@kernel
def evaluate_nested_with_gradient(
    panel: Panel,
    unknowns: Unknowns,
    moments: Moments,
    nesting: Nesting,
    state: State,
    bench: Bench,
    rule: InversionRule,
) -> tuple[int, float, int, int, int]:
    """Return how it ended, the objective, the clipped costs, the inversion's evaluations and its failures.

    As ``evaluate_with_gradient``, with nests and any ownership.
    """
    if not (take_apart(unknowns) and fill_kappa(unknowns, nesting)):
        return NOT_FINITE, 0.0, 0, 0, 0
    given = unknowns.given
    code, objective, clipped = evaluate_nested(
        panel, unknowns.tastes, (given.beta, given.gamma), moments, (nesting, state, bench), rule
    )
    evaluations, failures = inversions(state, rule)
    if code == FINE:
        both = (given.d_beta, given.d_gamma)
        code = differentiate_nested(panel, moments, nesting, state, bench, both, unknowns.d_rho)
    if code == FINE and not put_together(unknowns, state):
        code = NO_DERIVATIVE
    return code, objective, clipped, evaluations, failures
