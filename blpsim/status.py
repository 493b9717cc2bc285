"""How a computation ended: the one vocabulary of records, stores and tables."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """How an estimation (or the drawing of a dataset) ended.

    The integers are what the store keeps, so they never change their meaning.
    """

    PENDING = 0
    """Not run yet."""
    CONVERGED = 1
    """Projected gradient, Hessian and inversion residual all certify a minimum."""
    NOT_PLANNED = 2
    """The design does not ask for it."""
    EVALUATED = 3
    """Evaluated at given values: ``Optimizer("return")`` or a closed form."""
    PRECISION_LIMITED = 4
    """The line search ran out of floating-point precision close to a minimum."""
    ITERATION_LIMIT = 5
    """The optimizer reached its limit of iterations or evaluations."""
    NOT_STATIONARY = 6
    """The optimizer stopped where the projected gradient is not small."""
    NOT_A_MINIMUM = 7
    """The reduced Hessian has a negative eigenvalue."""
    INVERSION_FAILED = 8
    """The inversion for delta did not reach its tolerance."""
    NON_FINITE = 9
    """A parameter, mean utility, cost or objective was not finite."""
    SINGULAR = 10
    """A weighting matrix, covariance or demand derivative could not be inverted."""
    EQUILIBRIUM_FAILED = 11
    """No equilibrium prices satisfied the first-order conditions, and second-order ones if costs move."""
    NO_DATA = 12
    """The dataset could not be drawn, so there was nothing to estimate on."""
    FIRST_STEP_FAILED = 13
    """The estimator that this one builds on failed."""
    ERROR = 14
    """An exception, kept with its traceback."""
    CRASHED = 15
    """The worker died."""
    TIMED_OUT = 16
    """The replication exceeded its time limit."""
    SAMPLING_FAILED = 17
    """Importance sampling accepted fewer candidates than it was to draw in some market."""
    SHARES_BELOW_FLOOR = 18
    """Some share of the dataset, as measured, was too small to work with."""
    NO_RESPONDENTS = 19
    """A survey asks so few of the consumers that its respondents were not found."""

    @property
    def is_usable(self) -> bool:
        """Whether estimates with this status enter summaries by default."""
        return self in (Status.CONVERGED, Status.EVALUATED, Status.PRECISION_LIMITED)

    @property
    def is_failure(self) -> bool:
        """Whether the computation was tried and gave no usable estimate."""
        return not self.is_usable and self not in (Status.PENDING, Status.NOT_PLANNED)

    @property
    def meaning(self) -> str:
        """The lower-case name, as in a store's ``flag_meanings``."""
        return self.name.lower()
