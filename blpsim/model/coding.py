"""How categorical variables become indicators: full sets of levels, or all but the first, never redundant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias

Coding: TypeAlias = dict[str, bool]
"""Which categorical factors take part, and whether each brings all of its levels."""

_Subterm: TypeAlias = dict[str, bool]


def choose_codings(terms: Sequence[tuple[frozenset[str], tuple[str, ...]]]) -> list[list[Coding]]:
    """Return, for each term, the codings whose columns together add what earlier terms do not span.

    terms  a (numeric factors, categorical factors) pair each

    The rule is that of Chambers and Hastie (1992), as patsy applies it: terms with the same numeric
    factors are considered together, those of low degree first.
    """
    codings: list[list[Coding]] = [[] for _ in terms]
    order = sorted(range(len(terms)), key=lambda index: len(terms[index][0]) + len(terms[index][1]))
    used: set[tuple[frozenset[str], frozenset[str]]] = set()
    for index in order:
        numeric, categorical = terms[index]
        sizes = range(len(categorical) + 1)
        subsets = [subset for size in sizes for subset in combinations(categorical, size)]
        fresh = [subset for subset in subsets if (numeric, frozenset(subset)) not in used]
        used.update((numeric, frozenset(subset)) for subset in fresh)
        codings[index] = _absorbed([dict.fromkeys(subset, False) for subset in fresh])
    return codings


def _absorbed(subterms: list[_Subterm]) -> list[_Subterm]:
    pair = _absorbable(subterms)
    while pair is not None:
        short, long = pair
        (factor,) = set(subterms[long]) - set(subterms[short])
        subterms[long] = {**subterms[long], factor: True}
        del subterms[short]
        pair = _absorbable(subterms)
    return subterms


def _absorbable(subterms: list[_Subterm]) -> tuple[int, int] | None:
    for (short, left), (long, right) in combinations(enumerate(subterms), 2):
        extra = set(right.items()) - set(left.items())
        if len(extra) == 1 and left.items() <= right.items() and not next(iter(extra))[1]:
            return short, long
    return None
