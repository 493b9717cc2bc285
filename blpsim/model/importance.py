"""Importance sampling: agents who are likely to buy stand for the population, with weights that undo it."""

from __future__ import annotations

from dataclasses import dataclass

from blpsim.checks import check, check_count, check_fields
from blpsim.errors import ConfigurationError
from blpsim.model.integration import Integration


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceSampling:
    """Agents accepted with the probability that a first estimate says they buy with.

    A candidate i of market t is accepted with probability (1 - s_i0t) / M, and ``draws`` of the accepted
    have weights (1 - s_0t) / (1 - s_i0t) / draws, s_0t being the observed outside share. These weights sum
    to one in expectation only, as in PyBLP; inversions take the outside share to be what the inside shares
    leave of their sum.

    Source: Berry, Levinsohn and Pakes (1995).
    """

    first: object
    """The estimator whose estimate says how likely candidates buy, and where the second estimation starts."""
    draws: int
    """Agents in each market."""
    integration: Integration
    """Draws a set of candidates in each market."""
    sets: int = 100
    """How many sets of candidates may be drawn, until every market has accepted enough; it takes about
    M times draws / (1 - s_0t) candidates in market t. PyBLP draws one."""
    ar_constant: float = 1.0
    """M, 1 or larger: with a larger one it takes more candidates for the same sample."""
    delta: Integration | None = None
    """A more precise rule by which mean utilities are inverted again at the first estimate; None for the
    first estimator's."""

    def __post_init__(self) -> None:
        """Refuse candidates who do not count alike, and probabilities above one."""
        check_fields(self)
        check_count("ImportanceSampling.sets", self.sets, "candidates are drawn")
        check_candidates("ImportanceSampling", self.draws, self.ar_constant, self.integration)

    def check(self, dimensions: int) -> None:
        """Refuse dimensions that a rule does not come in, with a ConfigurationError."""
        self.integration.check(dimensions)
        if self.delta is not None:
            self.delta.check(dimensions)


def check_candidates(owner: str, draws: int, ar_constant: float, rule: Integration | None) -> None:
    """Refuse no draws, probabilities above one, and a rule whose nodes do not count alike.

    owner  begins the names of the fields
    """
    check_count(f"{owner}.draws", draws, "agents are sampled")
    check(f"{owner}.ar_constant", ar_constant, float)
    if not 1 <= ar_constant < float("inf"):
        why = "candidates are accepted with their probability to buy divided by it"
        raise ConfigurationError(f"{owner}.ar_constant", ar_constant, "a number, 1 or larger", why)
    if rule is not None and not rule.is_random:
        why = "candidates are draws from the population, which count alike"
        raise ConfigurationError(f"{owner}.integration", rule, "an Integration with draws", why)
