"""Evaluate problems with extreme parameters, and begin to solve them: ``python -m tests.extreme``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from .outcomes import HangingError, outcome
from .problems import extreme

WRONG = (AssertionError, ArithmeticError, AttributeError, HangingError, LookupError, TypeError, ValueError)
"""What no user is to see; each is counted, and the others are tried."""


def main() -> int:
    """Print how often evaluations ended how; return 1 when any crashed, hung, or told a wrong number."""
    parser = argparse.ArgumentParser(prog="python -m tests.extreme", description=__doc__)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    ends: Counter[str] = Counter()
    for seed in range(chosen.first, chosen.first + chosen.number):
        problem = extreme(seed)
        try:
            ends[outcome(problem)] += 1
        except WRONG as error:
            ends["WRONG"] += 1
            print(f"seed {seed} ({', '.join(problem.features)}): {type(error).__name__}: {error}", flush=True)
    for end, number in ends.most_common():
        print(f"{number:7} {end}")
    return int(ends["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
