"""Compare blpsim with PyBLP on random problems: ``python -m tests.parity --number 100``."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict

from .compare import differences, excessive
from .problems import random_case

Rows = dict[str, list[dict[str, float]]]


def main() -> int:
    """Print a table by feature; return 1 when any difference is too large."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("--number", type=int, default=100, help="how many problems")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    chosen = parser.parse_args()
    rows: Rows = defaultdict(list)
    failed = 0
    for seed in range(chosen.first, chosen.first + chosen.number):
        case = random_case(seed)
        found = differences(case)
        for feature in ("all", *case.features):
            rows[feature].append(found)
        if bad := excessive(found):
            failed += 1
            print(f"seed {seed}: {_listed(bad)} ({', '.join(case.features)})", flush=True)
    print_table(rows)
    print(f"\n{chosen.number} problems, {failed} with a difference above the tolerance")
    return int(failed > 0)


def print_table(rows: Rows) -> None:
    """Print the number of problems and the worst difference of each quantity, by feature."""
    names = list(dict.fromkeys(name for found in rows["all"] for name in found))
    width = max(map(len, rows))
    print(f"{'':{width}}  {'n':>4}" + "".join(f"  {name[:9]:>9}" for name in names))
    for feature in ("all", *sorted(set(rows) - {"all"})):
        worst = {name: [found[name] for found in rows[feature] if name in found] for name in names}
        cells = (f"  {max(values):9.1e}" if values else f"  {'':9}" for values in worst.values())
        print(f"{feature:{width}}  {len(rows[feature]):4d}" + "".join(cells))


def _listed(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1e}" for name, value in found.items())


if __name__ == "__main__":
    sys.exit(main())
