"""What blpsim raises when it is asked for something that cannot be right."""

from __future__ import annotations

_LONGEST = 120


def _shortened(value: object) -> str:
    text = " ".join((value if isinstance(value, str) and value.strip() else repr(value)).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class BlpsimError(Exception):
    """Bad input: names the field, what it got, what was expected, and why.

    The message reads ``field = got: expected ...; why`` on one line.
    """

    def __init__(self, field: str, got: object, expected: str, why: str) -> None:
        self.field, self.got, self.expected, self.why = field, _shortened(got), expected, why
        super().__init__(f"{field} = {self.got}: expected {expected}; {why}")

    def __reduce__(self) -> tuple[type[BlpsimError], tuple[str, str, str, str]]:
        """Return what pickle needs to rebuild the error in another process."""
        return type(self), (self.field, self.got, self.expected, self.why)


class DataError(BlpsimError):
    """Products, agents or instruments that no model can be estimated on."""


class FormulaError(BlpsimError):
    """A formula that cannot be read, or that names what is not there."""


class ParameterError(BlpsimError):
    """Parameters with wrong names, shapes or values."""


class ConfigurationError(BlpsimError):
    """A model, scenario, estimator, design or option that contradicts itself."""


class StoreError(BlpsimError):
    """A store that cannot be read, written or continued."""


class BlpsimWarning(UserWarning):
    """Something legal that is rarely meant."""
