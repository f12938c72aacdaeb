"""``validation/faults.py`` finds the checks of its modules, and fails where one does not hold."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

VALIDATION = Path(__file__).parents[1] / "validation"
sys.path.insert(0, str(VALIDATION))  # its scripts are no package

faults: Any = import_module("faults")

MODULE = '''
from pathlib import Path

def check_holds():
    """Water is wet,
    and so on."""
    return "very wet", True

def check_fails():
    """Water is dry."""
    return "still wet", False

def check_cannot():
    """Water burns."""
    raise RuntimeError("no fire")

def check_often(quick=False):
    """Water is cold."""
    return "cold", True, 10 if quick else 100, 0

def helper():
    raise AssertionError
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "_faults_water.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "_faults_water", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("only", "code", "failed"), [("", 1, "2 of 4"), ("holds", 0, "0 of 1"), ("cannot", 1, "1 of 1")]
)
def test_a_claim_that_does_not_hold_fails_the_script(only, code, failed, folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["faults.py", "--only", only])
    assert faults.main(folder) == code
    printed = capsys.readouterr().out
    assert f"\n{failed} failed\n" in printed
    if only != "cannot":
        assert "| Water is wet, and so on. |" in printed
    if only != "holds":
        assert "RuntimeError: no fire | FAILED |" in printed


def test_the_verdicts_are_kept_and_a_failed_check_is_named(folder, monkeypatch, capsys):
    checks, results = import_module("_checks"), import_module("_results")
    monkeypatch.setattr(checks, "FILE", folder / "checks.json")
    monkeypatch.setattr(results, "RESULTS", folder / "RESULTS.md")
    monkeypatch.setattr(sys, "argv", ["faults.py", "--write"])
    assert faults.main(folder) == 1
    text = (folder / "RESULTS.md").read_text(encoding="utf-8")
    assert "checks that hold; water: cannot; water: fails" in text
    cells = " ".join(text.split())
    assert "2 of 4 | at least 4 of 4 |" in cells
    rows = json.loads(checks.FILE.read_text(encoding="utf-8"))["faults"]["rows"]
    assert [(row["value"], row["bound"]) for row in rows if row["what"] == "often: failures"] == [(0, 0)]


def test_quick_is_what_can_do_with_fewer_tries(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["faults.py", "--quick"])
    assert faults.main(folder) == 0
    assert "0 of 1 failed" in capsys.readouterr().out


def test_a_name_that_no_check_has_is_an_error(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["faults.py", "--only", "fire"])
    with pytest.raises(SystemExit):
        faults.main(folder)
    assert "no check has a name with that in it" in capsys.readouterr().err


def test_every_check_of_the_project_has_its_claim():
    found = faults.checks(VALIDATION)
    assert {"busy: bits", "busy: time_of_fit", "busy: time_of_search"} <= set(found)
    assert all(check.__doc__ for check in found.values())
