"""What surveys of consumers observe is what kernels expect at the truth, but for sampling errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

import blpsim as bs
from blpsim.economy.respondents import observed
from tests.simulate.micro_data import STREAMS, made

NUMBER = 100_000
SECOND = {"second_choices": True}
BUYERS = bs.Inside(second_outside=True)
KINDS = {
    "who buys": ({}, False),
    "everybody": ({"weights": bs.Everyone()}, False),
    "some markets": ({"markets": (1, 3)}, False),
    "second choices": ({"weights": bs.Everyone(), **SECOND}, False),
    "second choices inside": (SECOND, False),
    "groups removed": ({"weights": BUYERS, "without": "brand", **SECOND}, False),
    "nests": ({"weights": bs.Everyone(), **SECOND}, True),
    "nests removed": ({"weights": BUYERS, "without": "nesting_ids", **SECOND}, True),
}


def moments(survey):
    parts = {
        "income": {"agent": "income"},
        "income x": {"agent": "income", "first": "x"},
        "1{j = 0}": {"first": "0 * x", "first_outside": 1.0},
        **({"x x'": {"first": "x", "second": "x", "second_outside": -1.0}} if survey.second_choices else {}),
    }
    made_of = [bs.MicroPart(name, survey, **part) for name, part in parts.items()]
    ratio = bs.MicroMoment("ratio", None, parts=tuple(made_of[1::-1]), function=lambda v: v[0] / v[1])
    return [*(bs.MicroMoment(part.name, None, parts=part) for part in made_of), ratio]


def z_scores(kind):
    changes, nested = KINDS[kind]
    survey = bs.MicroDataset(kind, observations=NUMBER, **changes)
    dataset = made((bs.Survey(dataset=survey, respondents="consumers"),), nested).generate(STREAMS)
    economy, asked = dataset.economy, moments(survey)
    seen = observed(asked, dataset.surveys)
    given = [dataclasses.replace(m, value=float(v)) for m, v in zip(asked, seen.values, strict=True)]
    problem = bs.Problem(economy.model, economy.products, economy.agents)
    setting = problem.setting
    size = len(setting.demand_instruments) + len(setting.supply_instruments) + len(asked)
    # With a weighting matrix that is given, moments may be constant, as that of 1{j = 0} among buyers.
    gmm = bs.GMM(micro_moments=given, W=np.eye(size))
    gaps = problem.evaluate(economy.parameters, gmm).moments[-len(asked) :]
    errors = np.sqrt(np.diag(seen.covariances))
    varies = errors > 1e-12
    np.testing.assert_allclose(gaps[~varies], 0.0, atol=1e-12)
    return gaps[varies] / errors[varies]


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nests"])
def test_observed_values_of_moments_are_expected_at_the_truth(nested):
    """Within four standard errors, Bonferroni's correction over all moments of all kinds of surveys."""
    kinds = [kind for kind, (_, has_nests) in KINDS.items() if has_nests == nested]
    scores = np.concatenate([z_scores(kind) for kind in kinds])
    assert scores.size >= 3 * len(kinds)
    assert 2 * norm.sf(np.abs(scores).max()) * scores.size > 2 * norm.sf(4)
    assert np.abs(scores).max() > 0.5
