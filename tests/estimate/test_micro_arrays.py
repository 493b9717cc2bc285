"""Functions that return whole arrays of surveys and parts say the same as products of terms."""

import dataclasses

import numpy as np
import pytest

import blpsim as bs

from .problems import NESTED_SUPPLY, posed

SUPPLY = 3

ROUNDING = 1e-9
"""Relative; sums over a thousand terms in another order, through inverses of covariances."""


def product_part(survey):
    second = "prices" if survey.second_choices else "1"
    outside = 0.5 if survey.second_choices else None
    return bs.MicroPart(
        "part",
        survey,
        agent="nodes0",
        first="prices",
        second=second,
        first_outside=-1.0,
        second_outside=outside,
    )


def array_part(survey):
    def values(_, products, agents):
        first = np.outer(agents["nodes0"], np.append(-1.0, products["prices"]))
        if not survey.second_choices:
            return first
        return np.einsum("ij,k->ijk", first, np.append(0.5, products["prices"]))

    return bs.MicroPart("part", survey, values=values)


def everyone(second):
    """Return weights that leave the outside option out, as arrays do that have no place for it."""

    def weights(_, products, agents):
        return np.ones((agents["weights"].size, *[products["shares"].size] * (2 if second else 1)))

    return weights


def solved(seed, *parts):
    given = posed(seed)
    moments = [
        bs.MicroMoment("mean", 0.3, parts=parts[0]),
        bs.MicroMoment("ratio", 0.2, parts=parts, function=lambda v: v[0] / (4 + v[1])),
    ]
    optimizer = bs.Optimizer("return")
    gmm = dataclasses.replace(given.gmm, W=None, micro_moments=moments[2 - len(parts) :], optimizer=optimizer)
    return given.problem.solve(given.parameters, gmm)


def assert_equal(ours, others):
    for name in ("objective", "gradient", "W", "moments_covariances", "moments_jacobian", "covariance"):
        left, right = (np.nan_to_num(np.asarray(getattr(each, name))) for each in (ours, others))
        assert np.abs(left - right).max() <= ROUNDING * np.abs(right).max(), name


@pytest.mark.parametrize("seed", [SUPPLY, NESTED_SUPPLY])
@pytest.mark.parametrize("second", [False, True])
def test_arrays_of_parts_and_of_weights_say_what_products_say(seed, second):
    inside = bs.MicroDataset("survey", observations=500, second_choices=second)
    arrays = dataclasses.replace(inside, weights=everyone(second))
    all_bought = [dataclasses.replace(part(inside), name=name) for part, name in ((product_part, "a"),)]
    other = bs.MicroPart("b", inside, first="prices")
    ours = solved(seed, *all_bought, other)
    assert np.isfinite(ours.objective)
    assert_equal(solved(seed, dataclasses.replace(array_part(inside), name="a"), other), ours)
    surveyed = [dataclasses.replace(part, dataset=arrays) for part in (*all_bought, other)]
    assert_equal(solved(seed, *surveyed), ours)


def test_an_array_reaches_the_outside_option_where_everyone_is_asked():
    survey = bs.MicroDataset("survey", observations=500, weights=bs.Everyone(), second_choices=True)
    parts = bs.MicroPart("b", survey, agent="nodes0", second="prices", second_outside=2.0)
    ours = solved(SUPPLY, product_part(survey), parts)
    assert_equal(solved(SUPPLY, array_part(survey), parts), ours)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values[:, :-2], "shape"),
        (lambda values: values[:-1], "shape"),
        (lambda values: values[:, :, None], "shape"),
        (lambda values: values * np.nan, "finite numbers"),
    ],
)
def test_an_array_of_another_shape_or_without_values_is_refused(change, said):
    survey = bs.MicroDataset("survey", observations=500)
    original = array_part(survey).values
    part = bs.MicroPart("part", survey, values=lambda *given: change(original(*given)))
    with pytest.raises(bs.DataError, match=rf"MicroPart\('part'\).values.*{said}"):
        solved(SUPPLY, part, bs.MicroPart("b", survey))


def test_weights_below_zero_are_refused():
    survey = bs.MicroDataset("survey", observations=500, weights=lambda *given: -everyone(False)(*given))
    with pytest.raises(bs.DataError, match="no weight below zero"):
        solved(SUPPLY, bs.MicroPart("a", survey, first="prices"), bs.MicroPart("b", survey))


def test_the_table_of_micro_moments_shows_how_they_are_fit():
    survey = bs.MicroDataset("survey", observations=500)
    result = solved(SUPPLY, product_part(survey), bs.MicroPart("b", survey, first="prices"))
    table = result.micro_table()
    assert table.index.tolist() == ["mean", "ratio"]
    assert table["observed"].tolist() == [0.3, 0.2]
    assert table["difference"].to_numpy() == pytest.approx(result.moments[-2:], rel=1e-12)
    assert table["dataset"].tolist() == ["survey"] * 2
