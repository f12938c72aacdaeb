"""The package as users import it: public names are there, whatever is imported first, and come only when asked for."""

from __future__ import annotations

import fnmatch
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import numkan


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_package_alone_imports_neither_numpy_nor_numba():
    run("import sys, numkan; sys.exit(bool({'numpy', 'numba'} & set(sys.modules)))")


def test_every_public_name_is_there():
    for name in numkan.__all__:
        assert getattr(numkan, name).__name__ == name
        assert name in dir(numkan)


@pytest.mark.parametrize("first", ["from numkan.search import Trial", "import numkan.search", "from numkan import *"])
def test_search_is_the_function_whatever_is_imported_first(first):
    run(f"{first}\nimport numkan, types\nassert isinstance(numkan.search, types.FunctionType)")


def test_packages_below_come_with_the_public_names():
    run("import numkan; numkan.train.FitState, numkan.spline.B_batch, numkan.model.Network")


def test_training_can_be_imported_first_as_workers_do():
    run("import numkan.train.workers, numkan; assert numkan.KAN.fit is numkan.train.fit")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'numkan' has no attribute 'kam'"):
        numkan.kam  # noqa: B018


def test_a_wheel_has_every_file_that_is_no_code():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["numkan"]
    folder = Path(numkan.__file__).parent
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    others = [name for name in files if not name.endswith((".py", ".pyc"))]
    assert "export/page/page.html" in others
    assert [name for name in others if not any(fnmatch.fnmatch(name, each) for each in patterns)] == []
