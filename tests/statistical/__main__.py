"""Compare a store with the table that it reproduces: ``python -m tests.statistical STORE``.

Table 5 is tested; Table B2, of another run with other instruments, is set beside the reproduction only.
"""

from __future__ import annotations

import sys

import pandas as pd

import blpsim as bs

from . import table_b2
from .table5 import compared

FAR = 2.58
"""What one of a hundred standard normal numbers exceeds."""


def main() -> int:
    """Print a markdown table; return 1 when a reproducible cell of Table 5 is rejected at 1 % (Holm)."""
    study = bs.open_study(sys.argv[1])
    if study.results.attrs["title"].endswith("table-b2"):
        return beside(table_b2.compared(bs.summarize(study).table))
    table = compared(bs.summarize(study).table)
    print("| design | estimator | parameter | measure | published | reproduced | error | z | |")
    print("|---|---|---|---|--:|--:|--:|--:|---|")
    for _, row in table.sort_values(["scenario", "estimator", "parameter", "measure"]).iterrows():
        known = "not examined" if row["scenario"] == "rcnl" else "known to differ"
        mark = "" if row["reproducible"] else known
        print(
            f"| {row['scenario']} | {row['estimator']} | {row['parameter']} | {row['measure']} "
            f"| {row['published']:.3f} | {row['value']:.3f} | {row['mcse']:.3f} | {row['z']:+.1f} "
            f"| {'REJECTED' if row['rejected'] else mark} |"
        )
    tested = table[table["reproducible"]]
    print(f"\n{len(tested)} reproducible cells, {int(tested['rejected'].sum())} rejected at 1 % (Holm)")
    return int(tested["rejected"].any())


def beside(table: pd.DataFrame) -> int:
    """Print published and reproduced numbers as a markdown table; return 0."""
    print("| design | estimator | parameter | measure | published | reproduced | error | z |")
    print("|---|---|---|---|--:|--:|--:|--:|")
    for _, row in table.sort_values(["scenario", "estimator", "parameter", "measure"]).iterrows():
        print(
            f"| {row['scenario']} | {row['estimator']} | {row['parameter']} | {row['measure']} "
            f"| {row['published']:.3f} | {row['value']:.3f} | {row['mcse']:.3f} | {row['z']:+.1f} |"
        )
    print(f"\n{len(table)} cells, {int((table['z'].abs() > FAR).sum())} with |z| > {FAR}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
