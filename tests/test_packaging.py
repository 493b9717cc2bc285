from __future__ import annotations

import ast
import importlib.metadata
import importlib.resources
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pyblp
import pytest

import blpsim

ROOT = Path(__file__).parents[1]
PACKAGE = Path(blpsim.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
COMMANDS = [block for block in re.findall(r"^```\w*\n(.*?)^```", README, re.M | re.S) if "-m venv" in block]


def names(requirements: list[str]) -> set[str]:
    """Return the names that requirements would be imported by."""
    return {re.match(r"[\w-]+", requirement)[0].replace("-", "_") for requirement in requirements}


def imported() -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"blpsim"}


def test_everything_imported_is_declared():
    assert imported() <= names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["cluster"])


def test_everything_declared_is_imported_or_used_through_xarray():
    through_xarray = {"zarr"}
    assert names(PROJECT["dependencies"]) <= imported() | through_xarray


def test_the_package_tells_type_checkers_that_it_is_typed():
    assert importlib.resources.files("blpsim").joinpath("py.typed").is_file()


def test_the_version_is_the_same_wherever_it_stands():
    assert importlib.metadata.version("blpsim") == PROJECT["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == PROJECT["version"]


def test_the_public_names_are_listed_and_exist():
    assert blpsim.__all__
    assert len(set(blpsim.__all__)) == len(blpsim.__all__)
    missing = [name for name in blpsim.__all__ if not hasattr(blpsim, name)]
    assert not missing


def test_the_readme_has_two_commands_and_each_sets_up_all_it_needs():
    assert len(COMMANDS) == 2
    study, tests = COMMANDS
    assert "pip install" in study
    assert {"blpsim run", "blpsim summarize"} <= set(re.findall(r"blpsim \w+", study))
    assert "[test]" in tests
    assert tests.strip().endswith("pytest")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_readme_names_exists(command):
    words = shlex.split(command)
    assert all((ROOT / word).is_file() for word in words if word.endswith(".py"))
    extras = re.findall(r"\.\[(\w+)\]", command)
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_every_python_that_the_metadata_names_can_install_it():
    lowest = re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])[1]
    minors = re.findall(r"Python :: 3\.(\d+)", " ".join(PROJECT["classifiers"]))
    assert min(map(int, minors)) == int(lowest)


PROGRAMS = [block for block in re.findall(r"^```python\n(.*?)^```", README, re.M | re.S) if "bs." in block]


def test_the_readmes_program_on_real_data_gives_the_numbers_that_the_readme_names():
    names = {
        "bs": blpsim,
        "products": pd.read_csv(pyblp.data.NEVO_PRODUCTS_LOCATION),
        "agents": pd.read_csv(pyblp.data.NEVO_AGENTS_LOCATION),
    }
    estimated, redrawn = (
        next(block for block in PROGRAMS if word in block) for word in ("solve(", "from_eco")
    )
    exec(estimated, names)
    result = names["result"]
    price, error = result.table().loc["beta[prices]", ["estimate", "standard_error"]]
    assert f"{price:.2f} with a standard error of {error:.2f}" in README
    assert f"at an objective of {result.objective:.4f}" in README
    exec(redrawn, names)
    design = names["design"]
    (scenario,), (estimator,) = design.scenarios, design.estimators
    assert design.truth(scenario)["beta[prices]"] == price
    assert set(design.truth(scenario)) == set(design.names[scenario, estimator])
    dataset = design.scenario(scenario).generate(design.streams(scenario, 0))
    assert dataset.status.is_usable
