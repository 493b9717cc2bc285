"""What a study asks of scenarios, estimators and estimands; users bring their own in ten lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from numpy.typing import ArrayLike

from blpsim.status import Status
from blpsim.streams import Streams

SomeScenario: TypeAlias = Any
"""The kind of scenario that an estimator knows how to estimate."""

SomeDataset: TypeAlias = Any
"""The kind of dataset that its scenarios generate."""

Estimand: TypeAlias = Callable[..., float]
"""A function of an economy; its value at the truth may differ by replication."""


@runtime_checkable
class ScenarioProtocol(Protocol):
    """One data-generating process.

    Its datasets may have ``status``, ``equilibrium_residual``, ``outside_share`` and ``economy``;
    its truth is a mapping from names to values, unless it has ``truth_by_name()``.
    """

    @property
    def truth(self) -> object:
        """The true parameters."""

    @property
    def stream_key(self) -> str:
        """The key of its random streams; scenarios that share one share their random numbers."""

    def generate(self, streams: Streams) -> object:
        """Return the dataset of one replication, which depends on nothing but the streams."""


@runtime_checkable
class EstimateProtocol(Protocol):
    """What an estimator returns.

    It may also have ``diagnostics``, ``at_bound``, ``starts``, ``economy``, ``micro_observed`` and
    ``micro_fitted``, and ``delta_method(function)``, whose ``standard_errors`` are those of a function of the
    economy that returns all estimands in a list.
    """

    @property
    def values(self) -> ArrayLike:
        """The estimates, (P,), in the order of the estimator's names."""

    @property
    def standard_errors(self) -> ArrayLike:
        """Their standard errors, (P,)."""

    @property
    def status(self) -> Status:
        """How the estimation ended."""


@runtime_checkable
class EstimatorProtocol(Protocol):
    """One way to estimate a scenario's parameters; it may have ``micro_names``, those of micro moments."""

    def names(self, scenario: SomeScenario, /) -> tuple[str, ...]:
        """Return the names of the parameters that it estimates on a scenario's datasets, (P,)."""

    def estimate(self, dataset: SomeDataset, streams: Streams, /) -> EstimateProtocol:
        """Return the estimate on one dataset."""
