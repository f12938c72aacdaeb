"""The documentation tells the truth: its examples run, and it has every public name, with an example."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from numkan import KAN

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))

#: Modules whose names are public, each with a page of the reference.
MODULES = [
    "numkan",
    "numkan.conformance",
    "numkan.data",
    "numkan.export",
    "numkan.interop",
    "numkan.layer",
    "numkan.model",
    "numkan.optimize",
    "numkan.pde",
    "numkan.plot",
    "numkan.sklearn",
    "numkan.spline",
    "numkan.symbolic",
    "numkan.train",
]
NAMES = [(module, name) for module in MODULES for name in importlib.import_module(module).__all__]

#: What needs a package of somebody else's to run: the examples are shown as blocks of code.
SHOWN = {"from_pykan", "to_pykan"}


FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def blocks(page, language):
    """Return the blocks of code in a page, each with its line number."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, block.start()) + 1, block[1]) for block in found]


def tried(page):
    """Return the blocks of a page that are examples with their output."""
    return [(line, block) for line, block in blocks(page, "python") if ">>>" in block]


@pytest.mark.jit
@pytest.mark.parametrize("page", [page for page in PAGES if tried(page)], ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    if page.stem == "export" and not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    monkeypatch.chdir(tmp_path)
    names, output = {}, []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for line, block in tried(page):
        test = doctest.DocTestParser().get_doctest(block, names, page.name, page.name, line)
        runner.run(test, out=output.append, clear_globs=False)
        names = test.globs
    assert runner.failures == 0, "".join(output)


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.rst")), ids=lambda page: page.stem)
def test_the_examples_of_a_page_of_the_reference_run(page):
    assert doctest.testfile(str(page), module_relative=False).failed == 0


def commands(page):
    """Yield every command of the sessions at a shell in a page, with what it prints."""
    for _, block in blocks(page, "console"):
        for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = session.partition("\n")
            yield command, printed


@pytest.mark.jit
def test_the_commands_of_the_page_print_what_it_shows(tmp_path):
    shutil.copy(DOCS / "beams.csv", tmp_path)
    here = f'numkan() {{ {shlex.quote(sys.executable)} -m numkan "$@"; }}\n'
    for command, printed in commands(DOCS / "command_line.md"):
        done = subprocess.run(["bash", "-c", here + command], cwd=tmp_path, capture_output=True, text=True)
        found = done.stdout or done.stderr
        assert doctest.OutputChecker().check_output(printed, found, FLAGS), (command, found)


def test_addresses_stand_on_the_page_of_links_alone():
    pages = [*PAGES, *(DOCS / "reference").glob("*.rst")]
    assert [page.name for page in pages if "http" in page.read_text(encoding="utf-8")] == ["links.md"]


def public_objects():
    """Yield the name and the object of every public function and class, and of the methods of KAN."""
    for module, name in NAMES:
        thing = getattr(importlib.import_module(module), name)
        if callable(thing):
            yield f"{module}.{name}", thing
    for name, method in inspect.getmembers(KAN, callable):
        if not name.startswith("_"):
            yield f"numkan.KAN.{name}", method


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*pair, id=pair[0]) for pair in public_objects()])
def test_a_public_name_has_an_example_that_runs(name, thing):
    _, found, examples = inspect.getdoc(thing).partition("\nExamples\n--------\n")
    assert found, f"{name} has no section of examples"
    if name.rpartition(".")[2] in SHOWN:
        assert ".. code-block:: python" in examples
    else:
        assert doctest.DocTestParser().get_examples(examples)


def listed_names():
    """Return the names that the pages of the reference list, by module."""
    found = set()
    for page in sorted((DOCS / "reference").glob("*.rst")):
        text = page.read_text(encoding="utf-8")
        table = re.compile(r"currentmodule:: (\S+)\n\n\.\. autosummary::\n((?:   .*\n|\n)+)")
        for module, rows in table.findall(text):
            listed = re.findall(r"^   (\w+)$", rows, re.MULTILINE)
            found |= {(module, name) for name in [*listed, *re.findall(r"^\.\. data:: (\w+)$", text, re.MULTILINE)]}
    return found


def test_every_public_name_is_in_the_reference():
    listed = listed_names()
    objects = [id(getattr(importlib.import_module(module), name)) for module, name in listed]
    missing = [
        f"{module}.{name}"
        for module, name in NAMES
        if (module, name) not in listed and id(getattr(importlib.import_module(module), name)) not in objects
    ]
    assert missing == []


def test_the_reference_has_no_other_names():
    assert listed_names() - set(NAMES) == set()
