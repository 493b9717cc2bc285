from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import blpsim as bs


@pytest.mark.parametrize("name", bs.__all__)
def test_every_public_name_is_found(name):
    assert getattr(bs, name) is not None
    assert name in dir(bs)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Modle'"):
        bs.Modle  # noqa: B018


def test_type_checkers_see_the_names_that_are_loaded():
    tree = ast.parse(Path(bs.__file__).read_text())
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {(alias.asname, node.module) for node in checked.body for alias in node.names}
    assert {name for name, _ in seen} == set(bs.__all__)
    for name, module in seen - {("instruments", "blpsim.model")}:
        assert bs._HOMES[name] == module


@pytest.mark.parametrize("first", ["blpsim.run.worker", "blpsim.workflow", "blpsim"])
def test_run_is_the_function_whatever_is_imported_first(first):
    check = "assert callable(blpsim.run)"
    code = f"import {first}, blpsim; {check}; import blpsim.run.dask; {check}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_itself_can_be_sent_to_workers():
    assert pickle.loads(pickle.dumps(bs)) is bs


def test_a_command_that_reads_a_store_loads_no_engine():
    heavy = "{'numba', 'scipy', 'pandas', 'distributed'}"
    code = f"import blpsim.cli, sys; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
