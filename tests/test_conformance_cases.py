"""The kit's cases: all pairs of kinds are there by construction, whatever the seed, and the same ones every time."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numkan.conformance import LAWS, Law, check
from numkan.conformance.adapter import Array
from numkan.conformance.cases import Case
from numkan.conformance.choices import Seeded, fraction, simpler
from numkan.conformance.guard import Guard
from numkan.conformance.law import Broken
from numkan.conformance.making import Made, cases_of, made_of, summary
from numkan.conformance.network_cases import SHAPES
from numkan.conformance.pairs import all_pairs
from numkan.conformance.runner import judge
from numkan.conformance.sample_cases import BLENDS, SAMPLES
from numkan.conformance.scope import Scope, scope_of
from numkan.conformance.spline_cases import EVEN_KNOTS, KNOTS, REPEATED
from numkan.conformance.steady import is_steady
from tests.conformance_adapters import DeBoor, Wrong

SEEDS = (0, 1, 2, 17, 4321)
DTYPES = ("float64", "float32")
PROJECT = Path(__file__).parents[1]

scopes = pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        Scope(degrees=(3,), layer_degrees=(3,), dtypes=("float32",)),
        Scope(repeats=False, outside=False, degrees=(1, 2, 3)),
        Scope(uneven=False, repeats=False, closed=False),
    ],
    ids=["everything", "cubic float32", "no repeats, inside", "even, open"],
)


def made_for(about: str, scope: Scope, seed: int) -> tuple[Made, ...]:
    return cases_of(about, scope, seed, 0)


# --- designs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [(), (4,), (1, 1, 3), (6, 2, 12), (2, 6, 4, 3, 6), (2, 2, 2, 2, 2, 2)])
def test_a_design_holds_every_pair_of_levels(levels: tuple[int, ...]) -> None:
    rows = all_pairs(*levels)
    assert len(rows) <= max(1, int(2.1 * np.prod(sorted(levels)[-2:])))
    for f, level in enumerate(levels):
        assert {row[f] for row in rows} == set(range(level))
    for f, g in combinations(range(len(levels)), 2):
        assert {(row[f], row[g]) for row in rows} == set(product(range(levels[f]), range(levels[g])))


def pairs(made: tuple[Made, ...], one: str, other: str) -> set[tuple[str, str]]:
    return {(item.facts[one], item.facts[other]) for item in made}


@scopes
@pytest.mark.parametrize("seed", SEEDS)
def test_splines_are_of_every_degree_dtype_and_kind_of_knots_in_all_pairs(scope: Scope, seed: int) -> None:
    made = made_for("splines", scope, seed)
    degrees = [str(k) for k in scope.degrees]
    kinds = [kind for kind in KNOTS if scope.repeats or kind not in REPEATED] if scope.uneven else EVEN_KNOTS
    assert pairs(made, "degree", "dtype") == set(product(degrees, scope.dtypes))
    assert pairs(made, "degree", "knots") == set(product(degrees, kinds))
    assert pairs(made, "knots", "dtype") == set(product(kinds, scope.dtypes))


@scopes
@pytest.mark.parametrize("seed", SEEDS)
def test_samples_and_networks_are_of_every_kind_in_every_degree_and_dtype(scope: Scope, seed: int) -> None:
    made = made_for("grids", scope, seed)
    degrees = [str(k) for k in scope.degrees_of_grids]
    assert pairs(made, "degree", "dtype") == set(product(degrees, scope.dtypes))
    for one, levels in (("degree", degrees), ("dtype", scope.dtypes), ("policy", scope.layer_extrapolate)):
        assert pairs(made, one, "samples") == set(product(levels, SAMPLES))
        assert pairs(made, one, "grid_eps") == set(product(levels, map(str, BLENDS if scope.uneven else (1.0,))))
    made = made_for("networks", scope, seed)
    degrees = [str(k) for k in scope.degrees_of_networks]
    bases, policies = scope.base_fun, scope.layer_extrapolate
    for (one, levels), (other, more) in combinations(
        [("degree", degrees), ("dtype", scope.dtypes), ("policy", policies), ("base function", bases)], 2
    ):
        assert pairs(made, one, other) == set(product(levels, more))
    for one, levels in (("degree", degrees), ("dtype", scope.dtypes), ("policy", policies), ("base function", bases)):
        assert pairs(made, one, "shape") == set(product(levels, SHAPES))


def test_networks_have_few_combinations_of_what_an_implementation_may_compile_for() -> None:
    made = cases_of("networks", Scope(layer_degrees=(1, 3)), 0, 25)
    names = ("degree", "dtype", "policy", "base function")
    assert len({tuple(one.facts[name] for name in names) for one in made}) == 12


# --- kinds --------------------------------------------------------------------------------------------------------

Look = Callable[[Case, Array, Array], Any]
LOOKS: dict[str, Look] = {
    "one interval": lambda case, t, gaps: len(t) == 2 * case.k + 2,
    "uniform": lambda case, t, gaps: np.ptp(gaps) <= 8 * case.eps * np.abs(t).max(),
    "nearly uniform": lambda case, t, gaps: 0 < np.ptp(gaps) < 0.1 * gaps.min(),
    "graded": lambda case, t, gaps: gaps.min() > 0,
    "clamped": lambda case, t, gaps: case.k == 0 or not (gaps[: case.k].any() or gaps[-case.k :].any()),
    "repeated": lambda case, t, gaps: True,
    "k times": lambda case, t, gaps: case.k < 2 or multiplicity(case) == case.k,
    "doubled end": lambda case, t, gaps: np.isin(t, case.domain).sum() > 2,
    "tiny gaps": lambda case, t, gaps: True,
    "far from zero": lambda case, t, gaps: t[0] >= (1e8 if case.dtype == np.float64 else 1e3) - 16,
    "negative": lambda case, t, gaps: case.domain[1] <= -0.5,
    "a hundred intervals": lambda case, t, gaps: len(t) == 101 + 2 * case.k,
}


def multiplicity(case: Case) -> int:
    """How often the most frequent inner knot occurs."""
    inner = case.knots[case.k + 1 : case.n_basis]
    return int(np.unique(inner, return_counts=True)[1].max())


@pytest.mark.parametrize("seed", SEEDS)
def test_knots_are_of_the_kind_that_is_said(seed: int) -> None:
    made = made_for("splines", Scope(), seed)
    for one in made:
        t = one.case.knots
        assert LOOKS[one.facts["knots"]](one.case, t, np.diff(t.astype(float))), one.facts
    by_kind = {kind: [one.case.knots.astype(float) for one in made if one.facts["knots"] == kind] for kind in KNOTS}
    assert any((np.diff(t) == 0).any() for t in by_kind["repeated"])
    assert any(0 < gaps[gaps > 0].min() < 1e-3 * gaps.max() for gaps in map(np.diff, by_kind["tiny gaps"]))
    assert max(np.diff(t).max() / np.diff(t).min() for t in by_kind["graded"]) > 1e3


@pytest.mark.parametrize("seed", [*SEEDS, 5, 6, 7])
def test_clamped_knots_are_sorted_and_their_ends_stand_k_plus_1_times(seed: int) -> None:
    made = cases_of("splines", Scope(clamped=True, outside=False), seed, 25)
    for case in (one.case for one in made):
        (first, last), t = case.domain, case.knots
        assert (np.diff(t) >= 0).all(), t
        assert first < last
        assert (t == first).sum() == (t == last).sum() == case.k + 1
    assert any(multiplicity(one.case) > 1 for one in made if len(one.case.knots) > 2 * one.case.k + 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_spline_is_probed_at_points_of_every_kind(seed: int) -> None:
    for one in made_for("splines", Scope(), seed):
        t, k = one.case.knots, one.case.k
        first, last = one.case.domain
        inner = t[k : one.case.n_basis + 1]
        beside = {np.inf: set(inner.tolist()), -np.inf: set(inner.tolist())}
        for x in (one.case.inside, one.case.anywhere):
            assert first in x
            assert last in x
            assert np.isin(x, inner).any()
            for side in (np.inf, -np.inf):
                away = np.nextafter(x, t.dtype.type(-side))
                assert beside[side] & set(away.tolist()), side
            assert not first <= 0 <= last or (np.signbit(x) & (x == 0)).any()
        x = one.case.anywhere
        assert np.isin([np.nextafter(first, t.dtype.type(-np.inf)), np.nextafter(last, t.dtype.type(np.inf))], x).all()
        assert x.min() < t[0] - 100 * (t[-1] - t[0]) or t[0] == x.min()
        assert x.max() > t[-1]
        assert ((first <= one.case.inside) & (one.case.inside <= last)).all()


def test_networks_have_the_sizes_that_real_code_has() -> None:
    for seed in SEEDS:
        look_at_sizes([one.case for one in cases_of("networks", Scope(), seed, 0)])
    made = [one.case for seed in range(4) for one in cases_of("networks", Scope(), seed, 25)]
    assert {len(case.x) % 8 for case in made} == set(range(8))
    assert min(len(case.x) for case in made) == 1


def look_at_sizes(cases: list[Any]) -> None:
    assert max(len(case.x) for case in cases) == 2000
    assert max(layer.G for case in cases for layer in case.layers) == 200
    assert max(max(layer.n_in, layer.n_out) for case in cases for layer in case.layers) == 40
    assert max(len(case.layers) for case in cases) == 5


@pytest.mark.parametrize("seed", SEEDS)
def test_of_most_networks_rounding_decides_nothing(seed: int) -> None:
    """Laws about whole networks pass over a case with a hidden node beside a knot."""
    made = made_for("networks", Scope(), seed)
    for shape in SHAPES:
        cases = [one.case for one in made if one.facts["shape"] == shape]
        assert np.mean([is_steady(case) for case in cases]) > 0.8, shape


# --- laws ---------------------------------------------------------------------------------------------------------


def seen_by(law: Law, adapter: Any, seed: int) -> list[Any]:
    """The cases that a law is tried on."""
    cases: list[Any] = []
    recording = replace(law, check=lambda impl, case: cases.append(case), needs=("basis",), policies=())
    judge(recording, Guard(adapter), scope_of(adapter), seed, 2, 60.0)
    return cases


@pytest.mark.parametrize("law", LAWS.values(), ids=lambda law: law.id)
def test_every_law_sees_the_whole_design(law: Law) -> None:
    for seed in (0, 5):
        due = cases_of(law.about, scope_of(DeBoor()), seed, 2)
        seen = seen_by(law, DeBoor(), seed)
        assert len(seen) == len(due) > 24
        assert all(one is made.case for one, made in zip(seen, due, strict=True))


class HalfTooLarge(DeBoor):
    """All values of one degree in one dtype are half as large again."""

    degree, single = 3, False

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        wrong = k == self.degree and (x.dtype == np.float32) == self.single
        return super().basis(x, knots, k) * x.dtype.type(1.5 if wrong else 1.0)


@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
@pytest.mark.parametrize("degree", range(6))
def test_a_basis_that_is_too_large_at_one_degree_is_found_whatever_the_seed(degree: int, single: bool) -> None:
    wrong = type("Wrong", (HalfTooLarge,), {"degree": degree, "single": single})()
    guard, scope = Guard(wrong), scope_of(wrong)
    for seed in range(5):
        check_all = partial(LAWS["P-PoU"].check, guard)
        with pytest.raises(Broken):
            deque(map(check_all, [one.case for one in made_for("splines", scope, seed)]))
    (result,) = check(wrong, only=["P-ORC"], seed=degree).results
    assert result.outcome == "FAIL"
    assert result.example["k"] == degree
    assert result.example["dtype"] == ("float32" if single else "float64")


# --- the same every time ------------------------------------------------------------------------------------------

PROGRAM = """
import sys
{before}
from numkan.conformance import check
from tests.conformance_adapters import Wrong
(result,) = check(Wrong(), only=["P-REL"], examples=5).results
print(result.worst, result.example)
"""


def test_cases_are_the_same_whatever_modules_are_imported(tmp_path: Path) -> None:
    """Hypothesis would take constants from modules of the user's."""
    (tmp_path / "constants.py").write_text("NUMBERS = [0.123456789, 31, 1e-17, 77]\n")
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(before=before)],
            env={"PYTHONPATH": f"{PROJECT}:{tmp_path}", "PATH": "", "HOME": str(tmp_path)},
            cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stdout
        for before in ("sys.modules['hypothesis'] = None", "import constants, hypothesis")
    ]  # fmt: skip
    (result,) = check(Wrong(), only=["P-REL"], examples=5).results
    assert said == [f"{result.worst} {result.example}\n"] * 2


def test_a_seed_changes_every_kind_of_case() -> None:
    for about in ("splines", "grids", "networks"):
        one, same, other = (cases_of(about, Scope(), seed, 3) for seed in (0, 0, 1))
        assert one is same
        assert [item.choices for item in one] != [item.choices for item in other]


def test_the_head_of_the_report_counts_different_cases_of_each_kind() -> None:
    report = check(DeBoor(), only=["P-PoU", "G-DRV"], examples=3)
    said = report.environment["cases of splines"]
    made = cases_of("splines", scope_of(DeBoor()), 0, 3)
    assert said == summary(made)
    assert said.startswith(f"{len(made)} (degree 0 ")
    assert "cases of grids" not in report.environment  # nothing was tried
    for part in ("dtype float32 ", "knots a hundred intervals ", "knots clamped "):
        assert part in said
    assert summary((*made, *made)) == said
    assert f"    cases of splines: {said}\n" in report.text()


# --- choices ------------------------------------------------------------------------------------------------------


def test_choices_are_given_then_drawn_or_the_simplest() -> None:
    drawn = Seeded((0, 1), {"a": [(3,)], "b": [(None, 2)]})
    assert (drawn.integer("a", 10, 15), drawn.entry("b", 5, 9)[1]) == (13, 2)
    assert [drawn.integer("a", 0, 9) for _ in range(40)] != [0] * 40
    again = Seeded(None, drawn.made)
    assert (again.integer("a", 10, 15), again.entry("b", 5, 9)) == (13, drawn.made["b"][0])
    assert again.number("c", 2.0) == 0.0
    assert again.integer("a", 0, 2) <= 2  # what is given is cut to what may be chosen
    assert sorted(fraction(place) for place in range(8)) == [place / 8 for place in range(8)]


def test_a_failing_case_is_made_as_simple_as_it_can_be() -> None:
    def breaks(streams: Any) -> Any:
        choices = Seeded(None, streams)
        numbers = [choices.integer("numbers", 0, 1000) for _ in choices.count("numbers", 0, 20)]
        return choices.made if sum(numbers) >= 700 and choices.integer("other", 0, 9) < 9 else None

    first = {"number of numbers": [(20,)], "numbers": [(50 + place,) for place in range(20)], "other": [(7,)]}
    found = []
    simpler(first, lambda streams: breaks(streams) and (found.append(streams) or breaks(streams)), 300)
    last = found[-1]
    assert len(last["numbers"]) < 14
    assert last["other"] == [(0,)]


def test_the_simplest_case_is_one_interval_of_degree_zero() -> None:
    case = made_of("splines", Scope(), {}).case
    assert (case.k, case.knots.tolist(), case.inside.tolist()) == (0, [0.0, 1.0], [0.0])
