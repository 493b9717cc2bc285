"""What a run would compute, and what it would cost by what is there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from blpsim.store.content import content_of
from blpsim.store.costs import predicted_seconds
from blpsim.store.journal import Journal
from blpsim.store.missing import missing, units, wholes
from blpsim.study.design import Design


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a run would compute; a unit is one estimator on one replication of one scenario."""

    name: str
    """The study's name."""
    scenarios: int
    """Number of scenarios."""
    estimators: int
    """Number of estimators."""
    replications: int
    """Replications of each scenario."""
    total: int
    """Units that the design asks for."""
    missing: int
    """Units that no block has."""
    core_seconds: float | None
    """What the missing units are predicted to take; None before anything has been measured."""

    def __str__(self) -> str:
        """Return the outlook for people."""
        scenarios, estimators = _counted(self.scenarios, "scenario"), _counted(self.estimators, "estimator")
        lines = [
            f"{self.name}: {scenarios}, {estimators}, {_counted(self.replications, 'replication')}",
            f"missing: {self.missing} of {self.total} estimates",
        ]
        if self.core_seconds is not None:
            lines.append(f"cost: {self.core_seconds / 3600:.3g} core-hours, by what the store's blocks took")
        elif self.missing:
            lines.append("cost: unknown; a run with --replications 2 measures it, and its results are kept")
        return "\n".join(lines)


def outlook(design: Design, folder: Path, replications: int | None = None) -> Outlook:
    """Return what a run of a design on a store would compute; nothing is written.

    replications  instead of the design's

    Raises StoreError for a store that cannot be continued.
    """
    if replications is not None:
        design = dataclasses.replace(design, replications=replications)
    journal = Journal(folder / "journal")
    journal.refuse_other_content(content_of(design), folder)
    lacking = list(missing(design, journal))
    costs = predicted_seconds(journal.headers(), lacking)
    seconds = sum(gap.replications * each for gap, each in zip(lacking, costs, strict=True))
    return Outlook(
        name=design.name,
        scenarios=len(design.scenarios),
        estimators=len(design.estimators),
        replications=design.replications,
        total=units(wholes(design)),
        missing=units(lacking),
        core_seconds=float(seconds) if len(journal) else None,
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
