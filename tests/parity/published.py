"""Compare estimates of Conlon and Gortmaker's (2020) Table 5 with PyBLP's, on the study's own datasets.

``python -m tests.parity.published --datasets 60`` takes as many from each of Simple, Complex and RCNL. Both
packages solve the same data with the same instruments, bounds, optimizer and start, to a tight tolerance;
the start is the one of the design's three that led blpsim to its lowest objective. Optimal instruments are
computed by each package, at the same first estimate, which is where both then start.

The objective is even in a sigma, so zero is stationary even where it is no minimum. blpsim looks beside it
and goes on; PyBLP stays at such a saddle. Where the packages end apart, PyBLP solves again, each step from
beside where blpsim's ended; if blpsim's first step had ended no higher than PyBLP's from the common start,
this is the estimate that is compared, and it is counted ("beside").

Standard errors are shown, apart where a sigma is estimated to be zero: its derivative is zero there, and so
is, up to rounding, the matrix whose inverse standard errors are.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

import blpsim as bs
from blpsim.estimate.result import Result
from experiments.conlon_gortmaker_2020.design import design

from .solved import TOLERANCE, Beside, Theirs, solved_beside, solved_by_both

GTOL = 1e-8
"""Where both optimizers stop, if rounding lets them."""

STATIONARY = 1e-5
"""The gradient up to which PyBLP's estimate is usable, as blpsim's is where rounding ends a search."""

ZERO = 1e-6
"""Below this a sigma counts as zero: the objective changes with its square, so by less than rounding."""

HEADER = ("n", "estimates", "errors", "sigma 0", "errors", "above", "beside", "unusable")


class Found(NamedTuple):
    """How far apart the packages are on one dataset."""

    estimates: float
    """Relative to PyBLP's largest; infinite where a package gives none."""
    errors: float
    """The same of standard errors that both packages give; those of a sigma that is zero left out."""
    has_zero: bool
    """Whether a sigma is estimated to be zero."""
    usable: bool
    """Whether both packages are at a minimum."""
    note: str
    beside: bool = False
    """Whether they agree only when PyBLP starts beside where blpsim ended, which was no worse a place."""


def main() -> int:
    """Print a table by scenario and estimator; return 1 when any estimate is not PyBLP's."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity.published", description=__doc__)
    parser.add_argument("--datasets", type=int, default=20, help="how many, over all scenarios")
    parser.add_argument("--gtol", type=float, default=GTOL, help="where both optimizers stop")
    parser.add_argument("--only", nargs="+", choices=design.scenarios, default=list(design.scenarios))
    chosen = parser.parse_args()
    number = -(-chosen.datasets // len(chosen.only))
    rows: dict[tuple[str, str], list[Found]] = defaultdict(list)
    warnings.simplefilter("ignore")
    for scenario in chosen.only:
        for replication in range(number):
            for name, found in compared(scenario, replication, chosen.gtol):
                rows[scenario, name].append(found)
                if found.estimates > TOLERANCE or found.beside or not found.usable:
                    print(f"{scenario} {replication} {name}: {found.note}", flush=True)
    print_table(rows)
    above = sum(found.estimates > TOLERANCE for group in rows.values() for found in group)
    total = number * len(chosen.only)
    print(f"\n{total} datasets, {sum(map(len, rows.values()))} estimates, {above} above {TOLERANCE:g}")
    return int(above > 0)


def compared(scenario: str, replication: int, gtol: float) -> Iterator[tuple[str, Found]]:
    """Yield every estimator's name and how far apart the packages are on one dataset of the study."""
    streams = design.streams(scenario, replication)
    dataset = design.scenario(scenario).generate(streams)
    for name, estimator in design.estimators.items():
        tight = tightened(estimator, gtol)
        pair = solved_by_both(tight, dataset, streams)
        if pair is None:
            yield name, Found(np.inf, np.nan, False, False, "no estimate")
            continue
        found = _found(*pair)
        if found.estimates > TOLERANCE:
            found = _beside(found, pair[0], solved_beside(tight, dataset, streams))
        yield name, found


def _beside(found: Found, ours: Result, beside: Beside) -> Found:
    """Return how far apart the packages are when PyBLP searches where blpsim did, if no worse a place."""
    again = _found(ours, beside.theirs)
    no_worse = beside.own_first <= beside.peer_first * (1 + TOLERANCE)
    firsts = f"first steps {beside.own_first:.12g} and {beside.peer_first:.12g}"
    note = f"{found.note}; {firsts}; {again.estimates:.1e} when PyBLP starts beside where blpsim ended"
    if no_worse and again.estimates <= TOLERANCE:
        return again._replace(note=note, beside=True)
    return found._replace(note=note)


def tightened(estimator: bs.Estimator, gtol: float) -> bs.Estimator:
    """Return the estimator, and the one that it builds on, with another tolerance."""
    instruments = estimator.instruments
    if isinstance(instruments, bs.instruments.Optimal):
        instruments = dataclasses.replace(instruments, first=tightened(instruments.first, gtol))
    optimizer = dataclasses.replace(estimator.gmm.optimizer, gtol=gtol)
    gmm = dataclasses.replace(estimator.gmm, optimizer=optimizer)
    return dataclasses.replace(estimator, instruments=instruments, gmm=gmm)


def _found(ours: Result, theirs: Theirs) -> Found:
    apart = float(np.max(np.abs(ours.values - theirs.values)) / np.max(np.abs(theirs.values)))
    sigmas = np.array([name.startswith("sigma") for name in ours.names])
    zero = sigmas & (np.minimum(np.abs(ours.values), np.abs(theirs.values)) < ZERO)
    both = np.isfinite(ours.errors) & np.isfinite(theirs.errors) & ~zero
    errors = np.nan
    if both.any():
        largest = np.max(theirs.errors[both])
        errors = float(np.max(np.abs(ours.errors - theirs.errors)[both]) / largest)
    note = (
        f"estimates {apart:.1e}, blpsim {ours.status.meaning}, objectives {ours.objective:.12g} and "
        f"{theirs.objective:.12g}, gradients {ours.gradient_norm:.1e} and {theirs.gradient_norm:.1e}"
    )
    usable = ours.status.is_usable and theirs.gradient_norm <= STATIONARY
    return Found(np.inf if np.isnan(apart) else apart, errors, bool(zero.any()), usable, note)


def print_table(rows: dict[tuple[str, str], list[Found]]) -> None:
    """Print numbers of datasets and worst differences by scenario and estimator."""
    print(f"{'':27}" + "".join(f"  {title:>9}" for title in HEADER))
    for (scenario, estimator), group in rows.items():
        inside, zeros = ([f.errors for f in group if f.has_zero is zero] for zero in (False, True))
        cells = (
            f"{len(group)}",
            f"{max(f.estimates for f in group):.1e}",
            _worst(inside),
            f"{len(zeros)}",
            _worst(zeros),
            f"{sum(f.estimates > TOLERANCE for f in group)}",
            f"{sum(f.beside for f in group)}",
            f"{sum(not f.usable for f in group)}",
        )
        print(f"{scenario:8} {estimator:18}" + "".join(f"  {cell:>9}" for cell in cells))


def _worst(values: list[float]) -> str:
    finite = [value for value in values if not np.isnan(value)]
    return f"{max(finite):.1e}" if finite else ""


if __name__ == "__main__":
    sys.exit(main())
