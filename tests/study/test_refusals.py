"""Values of a wrong kind in every field of a design, and in what users' own parts return."""

from __future__ import annotations

import numpy as np
import pytest

import blpsim as bs
from blpsim.study.estimated import estimated
from tests.study.toys import Estimate, Mean, Normals
from tests.wrong_values import refused_values

PARTS = {
    "name": "d",
    "seed": 1,
    "replications": 1,
    "scenarios": {"s": Normals()},
    "estimators": {"e": Mean()},
}
RIGHT = {"name": ("abc",), "source": (None,)}


@pytest.mark.parametrize("field", [*PARTS, "estimands", "source"])
def test_a_design_refuses_wrong_values(field):
    refused_values(lambda **changes: bs.Design(**{**PARTS, **changes}), field, RIGHT.get(field, ()))


def test_a_design_refuses_names_of_a_wrong_kind():
    design = bs.Design(**PARTS)
    for find in (design.scenario, design.estimator, design.factors, design.truth):
        kind = "estimators" if find == design.estimator else "scenarios"
        refused_values(find, "name", field=f"Design.{kind}")
    refused_values(lambda replication: design.streams("s", replication), "replication")


@pytest.mark.parametrize("values", [5, "abc", [1], {"a": "b"}, {"a": None, 1: 2}])
def test_a_truth_that_is_no_numbers_by_name_is_refused(values):
    class Odd(Normals):
        truth = values

    with pytest.raises(bs.ConfigurationError, match=r"^Design.scenarios\['s'\].truth"):
        bs.Design(**{**PARTS, "scenarios": {"s": Odd()}})


@pytest.mark.parametrize("given", [5, "abc", [1], None])
def test_names_that_are_no_list_of_text_are_refused(given):
    class Odd(Mean):
        def names(self, _):
            return given

    with pytest.raises(bs.ConfigurationError, match=r"^Design.estimators\['e'\].names\('s'\)"):
        bs.Design(**{**PARTS, "estimators": {"e": Odd()}})


def test_numbers_of_numpy_make_the_same_design():
    assert bs.Design(**{**PARTS, "seed": np.int64(1)}).fingerprint == bs.Design(**PARTS).fingerprint
    assert type(bs.Design(**{**PARTS, "replications": np.int64(1)}).replications) is int


@pytest.mark.parametrize("argument", ["scenario", "factors", "prefix", "common_random_numbers"])
def test_vary_refuses_wrong_values(argument):
    given = {"scenario": Normals(), "factors": {"mean": (1, 2)}}
    right = {"prefix": ("abc",), "common_random_numbers": (True,)}.get(argument, ())
    refused_values(lambda **changes: bs.vary(**{**given, **changes}), argument, right)


@pytest.mark.parametrize("values", [None, 5, "abc", b"ab", {"a": 1}, np.array(1.0), ()])
def test_a_factor_without_a_list_of_values_is_refused(values):
    with pytest.raises(bs.ConfigurationError, match=r"^vary.factors\['mean'\].*a sequence of values"):
        bs.vary(Normals(), {"mean": values})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"values": "abc"}, "Estimate.values"),
        ({"values": {"a": 1}}, "Estimate.values"),
        ({"standard_errors": [None, "a"]}, "Estimate.standard_errors"),
        ({"status": "fine"}, "Estimate.status"),
        ({"status": 99}, "Estimate.status"),
        ({"status": [1]}, "Estimate.status"),
        ({"diagnostics": 5}, "Estimate.diagnostics"),
        ({"diagnostics": {"objective": "low"}}, "Estimate.diagnostics"),
        ({"starts": 5}, "Estimate.starts"),
    ],
)
def test_an_estimate_of_a_wrong_kind_is_refused_by_field(changes, field):
    right = Estimate(values=[1, 2], standard_errors=[1, 2], status=bs.Status.CONVERGED)
    estimated(right, 2)
    with pytest.raises(bs.ConfigurationError) as caught:
        estimated(right._replace(**changes), 2)
    assert caught.value.field == field
    with pytest.raises(bs.ConfigurationError, match=r"^an estimate = 5: "):
        estimated(5, 2)


def test_a_file_is_loaded_from_a_path():
    refused_values(bs.load_design, "path", field="DESIGN")
