"""What a study remembers: its variables, and the blocks of them that tasks return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.errors import ConfigurationError
from blpsim.status import Status


class Field(NamedTuple):
    """A variable that a study records; every one also has the dimension ``scenario``, the first."""

    dims: tuple[str, ...]
    """Its dimensions after ``scenario``, among estimator, replication, parameter, start and micro_moment."""
    dtype: str
    """NumPy's name of its type."""
    fill: float | int
    """Its value where nothing was computed."""


_EACH: Final = ("estimator", "replication")
_DATA: Final = ("replication",)
_NAN: Final = float("nan")
_PENDING: Final = int(Status.PENDING)

DIAGNOSTICS: Final = (
    "objective",
    "gradient_norm",
    "hessian_min_eigenvalue",
    "objective_evaluations",
    "inversion_evaluations",
    "inversion_failures",
    "inversion_residual",
    "clipped_costs",
    "hansen_j",
    "hansen_p",
    "failed_draws",
)
"""What an estimate's ``diagnostics`` may hold; anything else there is not recorded."""

TIMINGS: Final = ("seconds", "data_seconds")
"""The only variables that may differ between two runs of one design."""

FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "estimate": Field((*_EACH, "parameter"), "float64", _NAN),
        "standard_error": Field((*_EACH, "parameter"), "float64", _NAN),
        "at_bound": Field((*_EACH, "parameter"), "float64", _NAN),
        "truth": Field((*_DATA, "parameter"), "float64", _NAN),
        "status": Field(_EACH, "int8", _PENDING),
        **{name: Field(_EACH, "float64", _NAN) for name in DIAGNOSTICS},
        "start_value": Field((*_EACH, "start", "parameter"), "float64", _NAN),
        "start_estimate": Field((*_EACH, "start", "parameter"), "float64", _NAN),
        "start_objective": Field((*_EACH, "start"), "float64", _NAN),
        "start_status": Field((*_EACH, "start"), "int8", _PENDING),
        "micro_observed": Field((*_EACH, "micro_moment"), "float64", _NAN),
        "micro_fitted": Field((*_EACH, "micro_moment"), "float64", _NAN),
        "data_status": Field(_DATA, "int8", _PENDING),
        "equilibrium_residual": Field(_DATA, "float64", _NAN),
        "outside_share": Field(_DATA, "float64", _NAN),
        "seconds": Field(_EACH, "float64", _NAN),
        "data_seconds": Field(_DATA, "float64", _NAN),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure: a dataset that could not be drawn, or an estimate that is not usable."""

    scenario: str
    """The scenario's name."""
    estimator: str | None
    """The estimator's name; None when the dataset failed."""
    replication: int
    """The replication's number."""
    status: Status
    """How it ended."""
    exception: str = ""
    """The exception's class; empty when the failure is numerical."""
    message: str = ""
    """The exception's message."""
    masked: str = ""
    """The message with its numbers masked, so that equal failures count together."""
    traceback: str = ""
    """The exception's traceback."""


def empty_arrays(sizes: Mapping[str, int], **filled: int) -> dict[str, NDArray[Any]]:
    """Return every variable at its fill value, shaped by the sizes of its dimensions.

    sizes   lengths of estimator, replication, parameter, start and micro_moment
    filled  other values to fill some variables with
    """
    return {
        name: np.full([sizes[dim] for dim in field.dims], filled.get(name, field.fill), field.dtype)
        for name, field in FIELDS.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """What one task returns: some replications of one scenario for some estimators."""

    scenario: str
    """The scenario's name."""
    estimators: tuple[str, ...]
    """Names along the axis ``estimator``, in the design's order."""
    parameters: tuple[str, ...]
    """Names along the axis ``parameter``: all that the scenario's truth or any of its estimators has."""
    start: int
    """The first replication."""
    stop: int
    """One past the last replication."""
    arrays: Mapping[str, NDArray[Any]]
    """Every variable of ``FIELDS``; the axis ``start`` is as long as the block needs."""
    micro_moments: tuple[str, ...] = ()
    """Names along the axis ``micro_moment``: all that the estimators match."""
    failures: tuple[Failure, ...] = ()
    """The block's failures, by replication, the dataset's first, then in the order of estimators."""

    def __post_init__(self) -> None:
        """Check that every variable is there, with its type and shape."""
        sizes = {
            "estimator": len(self.estimators),
            "replication": self.stop - self.start,
            "parameter": len(self.parameters),
            "start": self.starts,
            "micro_moment": len(self.micro_moments),
        }
        for name, field in FIELDS.items():
            shape = tuple(sizes[dim] for dim in field.dims)
            array = self.arrays.get(name)
            if array is None or array.shape != shape or array.dtype != np.dtype(field.dtype):
                got = "nothing" if array is None else f"{array.dtype} {array.shape}"
                raise ConfigurationError(
                    f"Block.arrays[{name!r}]", got, f"{field.dtype} {shape}", "a block holds every variable"
                )

    @property
    def starts(self) -> int:
        """The length of the axis ``start``."""
        status = self.arrays.get("start_status")
        return 0 if status is None else status.shape[-1]
