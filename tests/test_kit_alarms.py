"""The search for false alarms: exact arithmetic tells a sound adapter from a faulty one, call by call."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numkan.conformance import LAWS
from numkan.conformance.adapter import Array
from numkan.conformance.guard import Guard
from numkan.conformance.making import cases_of
from numkan.conformance.scope import scope_of
from tests.conformance_adapters import DeBoor, Oracle, Periodic, Scipy, Wrong
from tests.spline_mutants import Raising

VALIDATION = Path(__file__).parents[1] / "validation"
sys.path.insert(0, str(VALIDATION))  # its scripts are no package

from _kit_judge import Recorder, worst  # noqa: E402
from kit_alarms import ADAPTERS, RECORD, Tally, failure, one_seed  # noqa: E402


def judged(adapter: Any, id: str, numbers: slice = slice(0, 72, 9)) -> list[float | None]:
    """Return the largest error of all calls that a law makes on some cases."""
    law, scope, errors = LAWS[id], scope_of(adapter), []
    for made in cases_of(law.about, scope, 3, 0)[numbers]:
        recorder = Recorder(adapter)
        failure(law, Guard(recorder), made.case)
        errors.append(worst(recorder.calls, adapter))
    return errors


@pytest.mark.parametrize("adapter", [DeBoor, Oracle, Periodic, Raising, Scipy])
@pytest.mark.parametrize("id", ["P-PoU", "P-EXT", "P-NAN", "P-D0", "P-HULL", "P-CRV"])
def test_a_sound_adapter_is_right_in_every_call(adapter: type[Any], id: str) -> None:
    if id != "P-CRV" or hasattr(adapter, "curve"):
        assert all(error is not None and error <= 1 for error in judged(adapter(), id, slice(0, 72, 18)))


class Unsorted(DeBoor):
    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        return np.append(knots, np.asarray(t, knots.dtype)), np.append(coef, coef[-1:])


class Single(DeBoor):
    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(x, knots, k, nu).astype(np.float32)


class Uneven(Scipy):
    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        return super().fit_curve(x, y, knots, k)


@pytest.mark.parametrize(("adapter", "id"), [(Wrong, "P-POS"), (Unsorted, "P-INS"), (Single, "P-D0"), (Uneven, "G-WT")])
def test_a_faulty_adapter_is_wrong_in_some_call(adapter: type[Any], id: str) -> None:
    assert max(error or 0.0 for error in judged(adapter(), id)) > 1


def test_a_law_that_cannot_be_tried_is_a_failure() -> None:
    class Law:
        @staticmethod
        def check(impl: Any, case: Any) -> None:
            raise ZeroDivisionError("by nothing")

    assert failure(Law, Guard(DeBoor()), None) == "ZeroDivisionError in the check: by nothing"


def test_the_periodic_transformer_leaves_a_point_at_the_end_that_it_is_at() -> None:
    """It takes the neighbour of the right end for the left end, a period away: the columns are the same ones."""
    pytest.importorskip("sklearn")
    from _adapter_sklearn import periodic

    knots = 0.25 * np.arange(-6.0, 6.0)  # the domain is [-1, 0.75]
    found = periodic.basis(np.array([np.nextafter(0.75, -1.0), 0.75, -1.0]), knots, 2)
    assert found.tolist() == [[0] * 7 + [0.5, 0.5], [0.5, 0.5] + [0] * 7, [0.5, 0.5] + [0] * 7]


def test_adapters_take_turns_on_the_cases_of_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit_alarms.LAWS", {id: LAWS[id] for id in ("P-PoU", "P-POS")})
    monkeypatch.setattr("kit_alarms.cases_of", lambda about, scope, seed, examples: cases_of(about, scope, seed, 0)[:3])
    tallies = {name: Tally(name) for name in ("de Boor in NumPy", "scipy")}
    tallies["de Boor in NumPy"].adapter = Wrong()
    one_seed(tallies, 4)
    wrong, right = (tally.record for tally in tallies.values())
    assert (wrong["seeds"], wrong["checks"], wrong["false alarms"]) == (5, 6, 0)
    assert wrong["the adapter is wrong"] == {"P-PoU": 3}
    assert float(wrong["by at most, in units of the bound"]) > 1
    assert (right["checks"], right["the adapter is wrong"]) == (6, {})


def test_the_record_has_adapters_of_other_making_and_no_false_alarm() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert list(record) == [name for name in ADAPTERS if name in record]
    assert len(record) >= 8
    for name, found in record.items():
        assert found["false alarms"] == 0, name
        assert found["seeds"] >= 1
        assert found["checks"] > 500
