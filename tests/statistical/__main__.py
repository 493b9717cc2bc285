"""Compare a store with Table 5: ``python -m tests.statistical results/conlon-gortmaker-2020-table-5``."""

from __future__ import annotations

import sys

import blpsim as bs

from .table5 import compared


def main() -> int:
    """Print a markdown table; return 1 when a reproducible cell is rejected at 1 % (Holm)."""
    table = compared(bs.summarize(bs.open_study(sys.argv[1])).table)
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


if __name__ == "__main__":
    sys.exit(main())
