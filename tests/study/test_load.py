from __future__ import annotations

import dataclasses

import pytest
from threadpoolctl import threadpool_limits

from blpsim.errors import ConfigurationError
from blpsim.study.load import design_from, load_design

GOOD = """
from dataclasses import dataclass

import blpsim as bs
from tests.study.toys import Mean, Normals


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubled(Normals):
    def generate(self, streams):
        return super(Doubled, self).generate(streams)


def squared(economy):
    return economy**2


design = bs.Design(name="d", seed=1, replications=2, scenarios={"n": Doubled()}, estimators={"m": Mean()},
                   estimands={"squared": squared})
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "design.py"


def test_a_design_file_gives_the_same_hash_each_time_and_wherever_it_lies(path):
    path.write_text(GOOD)
    design = load_design(path)
    path.unlink()
    again = design_from(design.source)
    moved = design_from(design.source._replace(path="/nowhere/design.py"))
    assert design.fingerprint == again.fingerprint == moved.fingerprint
    assert design.source.text == GOOD


def test_a_changed_function_or_class_changes_the_hash(path):
    path.write_text(GOOD)
    source = load_design(path).source
    estimand = design_from(source._replace(text=GOOD.replace("economy**2", "economy**3")))
    scenario = design_from(
        source._replace(
            text=GOOD.replace("generate(streams)\n\n\ndef", "generate(streams)._replace(number=0)\n\n\ndef")
        )
    )
    comment = design_from(source._replace(text=GOOD.replace("def squared", "# a comment\ndef squared")))
    assert len({design_from(source).fingerprint, estimand.fingerprint, scenario.fingerprint}) == 3
    assert comment.fingerprint == design_from(source).fingerprint


def test_a_design_file_may_import_its_neighbours(path):
    path.with_name("neighbour_of_design.py").write_text("SEED = 77\n")
    path.write_text(
        GOOD.replace("seed=1", "seed=SEED").replace(
            "import blpsim", "from neighbour_of_design import SEED\nimport blpsim"
        )
    )
    assert load_design(path).seed == 77


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "= nothing named design: expected a file that defines `design = blpsim.Design"),
        ("design = 3\n", "= design of type int: expected"),
        ("x = 1\ny = x +\n", "design.py:2 = SyntaxError"),
        ("x = 1\n\ny = z\n", "design.py:3 = NameError: name 'z' is not defined"),
        ("import nowhere\n", "design.py:1 = ModuleNotFoundError: No module named 'nowhere'"),
        ("raise SystemExit(3)\n", "design.py:1 = SystemExit: 3"),
        (GOOD.replace("replications=2", "replications=-2"), "Design.replications = -2: expected"),
    ],
)
def test_a_file_without_a_design_is_refused_in_one_line(path, text, message):
    path.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        load_design(path)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_says_why(path, tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        load_design(path)
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load_design(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_design(path)


def test_a_loaded_design_keeps_its_source_when_it_is_changed(path):
    path.write_text(GOOD)
    assert dataclasses.replace(load_design(path), replications=9).source.text == GOOD


def test_a_design_is_read_with_one_thread_so_that_its_estimates_have_a_workers_bits(path):
    count = """
import numpy as np
from threadpoolctl import threadpool_info

np.ones((2, 2)) @ np.ones((2, 2))
found = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
"""
    path.write_text(count + GOOD.replace('name="d"', 'name=f"{found}"'))
    with threadpool_limits(limits=2):
        assert load_design(path).name == "{1}"
