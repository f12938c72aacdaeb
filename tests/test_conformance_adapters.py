"""Sound implementations of other making pass every law that they claim; faulty ones are caught by the law meant.

The long form of the first test, 50 seeds, is the option ``--soak`` of the command line.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.interpolate import BSpline

from numkan.conformance import LAWS, check
from numkan.conformance.adapter import Array
from numkan.conformance.own import Numkan
from tests.conformance_adapters import CORRECT, Scipy
from tests.conformance_mutants import BY_CLASS, MUTANTS


@pytest.mark.slow
@pytest.mark.parametrize("adapter", CORRECT, ids=lambda adapter: adapter.__name__)
def test_a_sound_adapter_obeys_all_that_it_claims(adapter: type[Any]) -> None:
    report = check(adapter, seed=1, examples=5)
    assert report.ok, report.text()
    assert report.counts["PASS"] >= 35


class SplineTransformers:
    """scikit-learn's SplineTransformer, which pads its base knots evenly."""

    name = "scikit-learn SplineTransformer"
    dtype, right_end, degenerate_knots, uniform_only, bits = "float64", "closed", "error", True, "rounding"
    extrapolation, mode = "polynomial", "continue"

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        from sklearn.preprocessing import SplineTransformer

        base = knots[k : len(knots) - k, None]
        fitted = SplineTransformer(degree=k, knots=base, extrapolation=self.mode).fit(base)
        return np.asarray(fitted.transform(x[:, None]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "extrapolation"),
    [("continue", "polynomial"), ("linear", "linear"), ("error", "raise"), ("constant", "clamp")],
)
def test_scikit_learn_obeys_all_that_it_claims(mode: str, extrapolation: str) -> None:
    pytest.importorskip("sklearn")
    declared = {"mode": mode, "extrapolation": extrapolation, "degrees": range(mode == "constant", 6)}
    report = check(type("Declared", (SplineTransformers,), declared)(), examples=3)
    assert report.ok, report.text()
    assert report.counts["PASS"] >= 21


def test_the_kit_has_found_a_fault_in_scikit_learn() -> None:
    """At degree 0 "constant" is zero outside the knots, where the value at the nearest end is promised."""
    pytest.importorskip("sklearn")
    constant = type("Constant", (SplineTransformers,), {"mode": "constant", "extrapolation": "clamp"})()
    (result,) = check(constant, only=["P-EXT"]).results
    assert result.outcome == "FAIL"
    assert result.example["k"] == 0
    assert "0.0 where 1.0 is due" in result.message


@pytest.mark.jit
def test_numkan_obeys_all_laws_and_claims_every_one() -> None:
    report = check(Numkan(), examples=1)
    assert report.counts == {"PASS": len(LAWS), "FAIL": 0, "KNOWN": 0, "NOT CLAIMED": 0}, report.text()


class PlainScipy(Scipy):
    """scipy as it is."""

    def _mended(self, x: Array, knots: Array, coef: Array, k: int, nu: int) -> Array:
        out = BSpline(knots.astype(float), coef.astype(float), k)(x.astype(float), min(nu, k))
        return out if nu <= k else np.where(np.isnan(out), out, 0.0)


def test_the_kit_has_found_a_fault_in_scipy() -> None:
    """At a double knot that ends the domain, with knots after it, all functions are zero: their sum is not 1."""
    (result,) = check(PlainScipy(), only=["P-PoU"], examples=2000).results
    assert result.outcome == "FAIL"
    knots, k = result.example["knots"], result.example["k"]
    assert knots[-1 - k] == knots[-2 - k]
    assert "0.0 where 1.0 is due" in result.message


#: Classes of faults, each of which has some.
CLASSES = (
    *("values", "ends", "policies", "derivatives", "insertion", "fits", "dtype", "NaN", "shapes", "sizes"),
    *("grid updates", "refinement", "gradients", "Jacobians", "files", "bits", "threads", "hostile calls"),
)


@pytest.mark.parametrize(
    ("kind", "mutant", "id"),
    [(kind, mutant, id) for kind, pairs in BY_CLASS.items() for mutant, id in pairs],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_planted_fault_is_found_by_the_law_that_is_meant_to(
    kind: str, mutant: type[Any], id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numkan.conformance.search.SMALLER", 0)  # the first case that fails will do
    (result,) = check(mutant(), only=[id]).results
    assert result.outcome == "FAIL", f"{mutant.__name__}: {mutant.__doc__}"
    assert result.example is not None or "not declared" in result.message


def test_there_are_many_faults_of_every_kind() -> None:
    assert tuple(BY_CLASS) == CLASSES
    assert all(len({mutant for mutant, _ in pairs}) >= 5 for pairs in BY_CLASS.values())
    assert len({mutant for mutant, _ in MUTANTS}) >= 120
    assert all(mutant.__doc__ for mutant, _ in MUTANTS)
    assert {id for _, id in MUTANTS} == set(LAWS)  # a law that cannot fail proves nothing
