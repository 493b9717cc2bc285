"""What people choose when what they chose first is no longer offered."""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Booleans, Integers, Matrix
from blpsim.economy.choices import Choices
from blpsim.errors import ConfigurationError

_HALF = 0.5


def first_choice_probabilities(choices: Choices) -> Matrix:
    """Return the probabilities of the alternatives of a market, the outside good's first, (1 + J, I)."""
    outside = np.exp(-choices.inclusive)
    return np.concatenate((outside[None], choices.probabilities))


def second_choice_probabilities(
    choices: Choices, agents: Integers, first: Integers, groups: Integers | None = None
) -> Matrix:
    """Return the probabilities of second choices given who chooses and what is chosen first, (1 + J, n).

    agents  (n,) places of those who choose among the market's agents
    first   (n,) what they choose first: 0 is the outside good, j the market's j-th product
    groups  (J,) products that disappear together, each within a nest or made of whole nests; by default what
            is chosen first disappears alone

    With nests these are those of random utilities: proportional to how far the removal of what was chosen
    first raises the probability of the others.

    Source: Conlon and Gortmaker (2025), with the probabilities of Brenkers and Verboven (2006).
    """
    number = choices.nest.size
    codes = np.append(-1, np.arange(number) if groups is None else groups)
    removed = codes[:, None] == codes[first]
    kept = np.where(removed, 0.0, first_choice_probabilities(choices)[:, agents])
    if choices.has_nests and (first > 0).any():
        kept *= _raised(choices, agents, first, removed[1:])
    return np.asarray(kept / kept.sum(axis=0), np.float64)


def check_groups(nest: Integers, groups: Integers, column: str) -> None:
    """Refuse groups of a market's products, (J,), that have a part of one nest, (J,), and of another.

    column  what the groups share

    Raises
    ------
    ConfigurationError
        When a group of several nests lacks one of their products.
    """
    for group in np.unique(groups):
        nests = np.unique(nest[groups == group])
        if nests.size > 1 and not (groups[np.isin(nest, nests)] == group).all():
            why = "what their removal does to the others is not known"
            expected = "groups within a nest, or of whole nests"
            raise ConfigurationError("MicroDataset.without", column, expected, why)


def _raised(choices: Choices, agents: Integers, first: Integers, removed: Booleans) -> Matrix:
    """Return by how much a removal raises each probability in proportion, (1 + J, n), up to a factor.

    removed  (J, n) the products that are no longer offered

    Outside the nest of what is removed, probabilities rise as that of the nest falls; inside, those given the
    nest rise, too. Where whole nests or the outside good disappear, all rise alike; so they do where
    nothing of a nest is left that is available.
    """
    product = np.maximum(first - 1, 0)
    within = choices.nest[:, None] == choices.nest[product]
    left = within & ~removed
    conditionals, nest = choices.conditionals[:, agents], choices.probabilities[:, agents]
    gone = np.where(removed, conditionals, 0.0).sum(axis=0)
    rest = np.where(left, conditionals, 0.0).sum(axis=0)
    alike = (first == 0) | (rest <= 0)
    with np.errstate(divide="ignore"):
        log_rest = np.where(gone < _HALF, np.log1p(-np.minimum(gone, _HALF)), np.log(rest))
    log_rest = np.where(alike, 0.0, log_rest)
    share = 1 / choices.kappa[product]
    lost = np.where(within, nest, 0.0).sum(axis=0) * -np.expm1(share * log_rest)
    gained = np.where(left, np.expm1((share - 1) * log_rest), 0.0)
    raised = np.concatenate((np.zeros((1, first.size)), gained)) + np.where(alike, 1.0, lost)
    return np.asarray(raised, np.float64)
