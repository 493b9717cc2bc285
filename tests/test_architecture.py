from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from .architecture import FLOORS, violations

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "kernels",
    "model",
    "economy",
    "simulate",
    "estimate",
    "study",
    "run",
    "store",
    "summary",
    "report",
)

LONG_FUNCTION = "def long():\n" + "    x = 1\n" * 60

BROKEN = {
    "a floor above": ("model/a.py", "from blpsim.study.b import c", "imports study, which is above it"),
    "inside a function": (
        "model/a.py",
        "def f():\n    import blpsim.run.b",
        "imports run, which is above it",
    ),
    "for type checking": (
        "model/a.py",
        "if TYPE_CHECKING:\n    from blpsim.economy.b import c",
        "imports economy, which is above it",
    ),
    "relatively": ("model/a.py", "from ..study import b", "imports study, which is above it"),
    "by its name": ("model/a.py", "import_module('blpsim.cli')", "imports cli, which is above it"),
    "by a computed name": ("model/a.py", "import_module(name)", "imports from the package root"),
    "the same floor": (
        "run/a.py",
        "from blpsim.store.b import c",
        "imports store, which is on its own floor",
    ),
    "the ground floor": (
        "status.py",
        "from blpsim.arrays import c",
        "imports arrays, which is on its own floor",
    ),
    "from the root": ("study/a.py", "from blpsim import Model", "imports from the package root"),
    "the root": ("study/a.py", "import blpsim as bs", "imports from the package root"),
    "the root relatively": ("cli.py", "from . import Model", "imports from the package root"),
    "the engine in a summary": ("summary/a.py", "import blpsim.model.b", "labelled data only"),
    "a cycle in a part": ("model/a.py", "from blpsim.model.b import c", "imports itself through others"),
    "PyBLP": ("estimate/a.py", "def f():\n    import pyblp", "imports pyblp"),
    "PyBLP in the root": ("__init__.py", "from pyblp.micro import x", "imports pyblp"),
    "execution in a study": ("study/a.py", "from dask.distributed import Client", "imports dask"),
    "an __init__ with content": ("store/__init__.py", '"""A store."""', "is an __init__ that is not empty"),
    "a vague name": ("store/utils.py", "", "the name utils says nothing"),
    "a vague folder": ("common/__init__.py", "", "the name common says nothing"),
    "no floor": ("plots/a.py", "", "the part plots has no floor"),
    "a small folder": ("plots/__init__.py", "", "has 0 files"),
    "a long file": ("store/a.py", "x = 1\n" * 401, "has 401 lines"),
    "a long function": ("store/a.py", LONG_FUNCTION, "long has 61 lines"),
    "many arguments": ("store/a.py", "def f(a, b, c, /, d, e, f, *, g, h): ...", "f has 8 arguments"),
    "noqa": ("store/a.py", "import os  # noqa: F401", "exempts itself"),
    "type: ignore": ("store/a.py", "x = y  # type: ignore[name-defined]", "exempts itself"),
    "a file without checks": ("store/a.py", "# mypy: ignore-errors", "exempts itself"),
    "print in a kernel": ("kernels/a.py", "def f(x):\n    print(x)", "a kernel calls print"),
    "a log in a kernel": ("kernels/a.py", "import logging", "a kernel imports logging"),
    "random in a kernel": ("kernels/a.py", "np.random.rand()", "a kernel uses np.random"),
    "a file in a kernel": ("kernels/a.py", "np.load('x')", "a kernel uses np.load"),
    "a class in a kernel": ("kernels/a.py", "class Solver:\n    pass", "a kernel defines the class Solver"),
    "a sum beside a store": (
        "kernels/a.py",
        "for i in range(n):\n    a[i] = b[i]\n    s += b[i]",
        "a kernel sums s in a loop that stores",
    ),
    "random in an economy": ("economy/a.py", "np.random.default_rng()", "an economy uses np.random"),
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return an empty package with the rooms of blpsim, which breaks no rule."""
    folder = tmp_path / "blpsim"
    for room in FOLDERS:
        (folder / room).mkdir(parents=True)
        for name in ("__init__", "a", "b", "c"):
            (folder / room / f"{name}.py").touch()
    (folder / "__init__.py").write_text('"""The package."""\nfrom blpsim.model.a import b\n')
    (folder / "model" / "b.py").write_text("from blpsim.model import a\n")
    return folder


def test_the_package_breaks_no_rule_of_the_house():
    assert violations(ROOT / "blpsim") == []


def test_a_package_that_keeps_the_rules_passes(house):
    (house / "study" / "a.py").write_text(
        "import numpy\nfrom blpsim.economy.b import c\nfrom ..errors import d\n"
    )
    (house / "kernels" / "a.py").write_text("import numba\nclass Root(NamedTuple):\n    value: float\n")
    assert violations(house) == []


@pytest.mark.parametrize("rule", BROKEN)
def test_a_module_that_breaks_a_rule_is_found(house, rule):
    place, source, expected = BROKEN[rule]
    (house / place).parent.mkdir(exist_ok=True)
    (house / place).write_text(source)
    found = violations(house)
    assert any(expected in line for line in found), found


def test_every_part_stands_on_one_floor():
    parts = [part for floor in FLOORS for part in floor]
    assert len(parts) == len(set(parts))


def test_the_linters_exempt_nothing_inside_the_package():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    linter, checker = tools["ruff"]["lint"], tools["mypy"]
    assert {pattern.split("/")[0] for pattern in linter["per-file-ignores"]} == {"tests", "experiments"}
    assert not {"exclude", "extend-exclude"} & (tools["ruff"].keys() | linter.keys() | checker.keys())
    assert checker["strict"] is True
    for override in checker["overrides"]:
        assert set(override) == {"module", "follow_untyped_imports"}
        assert not any(name.startswith("blpsim") for name in override["module"])
