"""The trial of the conformance kit: its adapter is right, its changes are many and single, and its record holds."""

from __future__ import annotations

import ast
import difflib
import json
import sys
from pathlib import Path

import pytest

from numkan.conformance import check

VALIDATION = Path(__file__).parents[1] / "validation"
sys.path.insert(0, str(VALIDATION))  # its scripts are no package

from _kit_changes import changes  # noqa: E402
from _kit_outside import differs, drawn, results  # noqa: E402
from _plain_adapter import Plain  # noqa: E402
from kit_trial import GOAL, RECORD, SOURCE, Outside, changed_result, extended, first_failing, label, made  # noqa: E402

LAWS_OF_CURVES = ["P-PoU", "P-DCS", "P-INS", "P-CRV"]


def test_the_adapter_that_is_changed_obeys_laws_of_each_kind() -> None:
    report = check(Plain(), only=[*LAWS_OF_CURVES, "P-NAN", "G-LSQ", "N-ORC", "N-BIG"], examples=0)
    assert report.ok, report.text()
    assert report.counts["PASS"] == 8


def test_a_change_is_one_line_of_another_kind() -> None:
    source = (
        "class Some:\n    n = 3\n\n    def method(self, a, b=2):\n        return a[b + 1] - 2 if a < b else -a[:b]\n"
    )
    found = changes(source)
    assert {change.kind for change in found} == {"operator", "index", "constant", "comparison", "dropped term"}
    plain = ast.unparse(ast.parse(source)).splitlines()
    for change in found:
        marks = [line[0] for line in difflib.ndiff(plain, change.source.splitlines()) if line[0] in "+-"]
        assert sorted(marks) == ["+", "-"]
        assert "n = 3" in change.source
        assert "b=2" in change.source
    assert len({change.source for change in found}) == len(found)


def test_there_are_many_changes_of_the_adapter_and_all_can_be_made() -> None:
    found = changes(SOURCE.read_text(encoding="utf-8"))
    assert len(found) > 300
    assert all(callable(made(change.source).basis) for change in found[::40])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("d + 1 :] - x", "d:-1] - x"),
        ("under > 0", "under >= 0"),
        ("1 - share) * coef", "1 + share) * coef"),
        ("if nu <= k:", "if nu < k:"),
    ],
)
def test_a_change_that_has_an_effect_is_found(before: str, after: str) -> None:
    changed = made(SOURCE.read_text(encoding="utf-8").replace(before, after))
    assert changed_result(changed, Outside(100))
    assert first_failing(changed, LAWS_OF_CURVES)


def test_the_adapter_agrees_with_itself_and_not_with_another() -> None:
    case = drawn(0)
    due = results(Plain(), case)
    assert not differs(results(Plain(), case), due, case)
    for name in due:
        off = {**due, name: due[name] * (1 + 1e-9) + 1e-9}
        assert differs(off, due, case) == name
    assert {"fit", "cross_entropy", "product 0 scale_sp", "by x", "coefficients", "order 3"} <= set(due)


def test_a_record_is_extended_by_what_had_no_effect_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit_trial.laws_in_order", lambda: LAWS_OF_CURVES)
    chosen = changes(SOURCE.read_text(encoding="utf-8"))
    without = next(one for one in chosen if label(one) == "88: 500 -> 501")
    late = next(one for one in chosen if one.before == "rising + falling")
    counts = {"change a result": 1, "found": 1, "kinds": {"index": 1}, "first law that fails": {"P-SMO": 1}}
    found = {"tried": 3, **counts, "not found": [], "no effect": [label(without), label(late)], "rate": 1.0}
    longer = extended(found, [without, late], Outside(30))
    assert longer["no effect"] == [label(without)]
    assert longer["change a result"] == longer["found"] == 2
    assert longer["cases outside the kit"] == 30
    assert sum(longer["kinds"].values()) == sum(longer["first law that fails"].values()) == 2
    with pytest.raises(SystemExit, match="cannot be extended"):
        extended(found, [without], Outside(1))


def test_the_record_holds() -> None:
    found = json.loads(RECORD.read_text(encoding="utf-8"))
    assert found["tried"] == 200
    assert found["cases outside the kit"] >= 1000
    assert found["found"] + len(found["not found"]) == found["change a result"]
    assert found["change a result"] + len(found["no effect"]) == found["tried"]
    assert found["rate"] == round(found["found"] / found["change a result"], 4) >= GOAL
