"""Values of an estimator's micro moments, as the surveys of a dataset have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from blpsim.economy.dataset import Dataset
from blpsim.errors import ConfigurationError
from blpsim.estimate.gmm import GMM
from blpsim.model.surveys import MicroDataset, MicroPart


def with_observed(gmm: GMM, dataset: Dataset) -> GMM | None:
    """Return the options with a value of every micro moment; None where one is not finite on the dataset.

    Raises
    ------
    BlpsimError
        When the dataset has no survey of a name, or terms have no values on it.
    """
    if all(moment.value is not None for moment in gmm.micro_moments):
        return gmm
    values = dataset.micro_values(gmm.micro_moments)
    if not np.isfinite(values).all():
        return None
    moments = zip(gmm.micro_moments, values.tolist(), strict=True)
    return replace(gmm, micro_moments=tuple(replace(moment, value=value) for moment, value in moments))


def check_observed(gmm: GMM, scenario: object) -> None:
    """Refuse micro moments of surveys that the datasets of a scenario do not have.

    Raises
    ------
    ConfigurationError
        Naming the survey, or a name that two moments have.
    """
    names = [moment.name for moment in gmm.micro_moments]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        why = "records tell moments apart by their names"
        raise ConfigurationError("Estimator.gmm.micro_moments", twice, "each name once", why)
    surveys = {survey.name: survey.dataset for survey in getattr(scenario, "surveys", ())}
    for moment in gmm.micro_moments:
        for part in moment.all_parts:
            if moment.value is None:
                _check_part(part, surveys, f"MicroMoment({moment.name!r}).value")


def _check_part(part: MicroPart, surveys: Mapping[str, MicroDataset], field: str) -> None:
    name = part.dataset.name
    if name not in surveys:
        expected, why = (
            "a number, or a survey of this name in Scenario.surveys",
            f"there is no survey {name!r}",
        )
        raise ConfigurationError(field, None, expected, why)
    if part.dataset.second_choices and not surveys[name].second_choices:
        why = f"the survey {name!r} does not ask for second choices"
        raise ConfigurationError(field, None, "parts of first choices", why)
