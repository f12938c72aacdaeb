"""The documents do not lie: their code runs, their commands are the ones that are tested, their files exist."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import numkan

PROJECT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", ".github/CONTRIBUTING.md", "CHANGELOG.md")

README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readme_has_code_blocks():
    assert BLOCKS
    assert all(">>>" in block for block in BLOCKS)


@pytest.mark.jit
def test_the_code_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in BLOCKS:
        test = doctest.DocTestParser().get_doctest(block, names, "README.md", "README.md", 0)
        output: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=output.append, clear_globs=False)
        names = test.globs
        assert runner.failures == 0, "".join(output)


@pytest.mark.parametrize(
    "command",
    [
        'python -m pip install -e ".[test]" && python examples/quickstart.py',
        'python -m pip install -e ".[test]" && python -m pytest',
    ],
)
def test_the_two_commands_stand_on_the_first_screen_and_in_the_gate(command):
    assert f"    {command}\n" in "".join(README.splitlines(keepends=True)[:20])
    assert command in (PROJECT / ".ci/run").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_exists(document):
    path = PROJECT / document
    text = path.read_text(encoding="utf-8")
    links = [target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("http")]
    for target in links:
        found = (path.parent / target).exists() or (PROJECT / target).exists()
        assert found, target
    for name in re.findall(r"\b(?:numkan|tests|validation|examples)/[\w./]*\w", text):
        if not name.endswith(("RESULTS.md", ".png")):
            assert (PROJECT / name).exists(), name


def test_the_readme_is_short_and_its_lines_are_not_long():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(len(line) for line in lines if not line.startswith("|")) <= 120


def test_the_readme_counts_the_laws_and_the_planted_faults():
    from numkan.conformance import LAWS
    from tests.conformance_mutants import MUTANTS

    assert f"to the {len(LAWS)} laws" in README
    (at_least,) = re.findall(r"Over (\d+) planted faults", README)
    assert len(MUTANTS) > int(at_least)


def test_the_changelog_knows_this_version():
    assert numkan.__version__ in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_policy_is_in_the_readme():
    from numkan.spline.policies import EXTRAPOLATIONS

    for policy in EXTRAPOLATIONS:
        assert f'`"{policy}"`' in README
