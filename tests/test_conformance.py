"""numkan.conformance: its runner, its report, its three doors, and adapters that cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import tomllib
import warnings
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numkan.conformance import LAWS, AdapterError, Law, Layer, check, replay
from numkan.conformance.__main__ import imported, main, read_known
from numkan.conformance.adapter import METHODS, Array, claims
from numkan.conformance.cases import CASES, Case, GridCase, from_plain, plain
from numkan.conformance.grids import dyadic_grid, grid_from_samples
from numkan.conformance.guard import Guard
from numkan.conformance.law import Broken, assert_identical, assert_within, complaint, measured
from numkan.conformance.laws.grids import counted, dense, slack
from numkan.conformance.laws.refinement import covered
from numkan.conformance.making import cases_of
from numkan.conformance.network_cases import random_case
from numkan.conformance.own import Numkan
from numkan.conformance.scope import Scope, scope_of
from numkan.spline import coef2curve
from tests.conformance_adapters import DeBoor, Wrong
from tests.grid_cases import NumkanGrids
from tests.network_cases import NumkanNetworks

#: An installed numkan registers its options with pytest.
PLUGIN = [] if entry_points(group="pytest11", name="numkan_pytest") else ["-p", "numkan.conformance.plugin"]

PROJECT = Path(__file__).parents[1]
QUICK = ("P-PoU", "P-SUP", "P-RC")


class Raw:
    """What every adapter here declares, and no method."""

    dtype, extrapolation, right_end, degenerate_knots, bits = "float64", "fade", "closed", "limit", "exact"


def adapter_of(basis: Any, **more: Any) -> Any:
    """An adapter with this basis."""
    return type("Made", (Raw,), {"basis": staticmethod(basis), **more})()


# --- results ------------------------------------------------------------------------------------------------------


def test_a_sound_adapter_passes_and_what_it_lacks_is_not_held_against_it() -> None:
    report = check(DeBoor(), only=[*QUICK, "N-GCS", "P-INS"])
    assert report.ok
    assert {result.law.id: result.outcome for result in report.results} == {
        **dict.fromkeys(QUICK, "PASS"),
        "N-GCS": "NOT CLAIMED",
        "P-INS": "NOT CLAIMED",
    }
    assert report.results[0].cases >= 20
    assert 0 < report.results[0].worst < 1
    assert report.total == "3 of 3 claimed laws hold, 0 fail; 2 not claimed"


def test_a_failure_shows_its_error_and_the_smallest_case_in_plain_numbers() -> None:
    report = check(Wrong(), only=["P-PoU"])
    (result,) = report.results
    assert not report.ok
    assert report.failed == (result,)
    assert result.outcome == "FAIL"
    assert result.worst == pytest.approx(1e-3 / (4 * 2.2e-16), rel=0.01)
    assert result.example["k"] == 0
    assert len(result.example["knots"]) == 2
    assert "where 1.0 is due" in result.message
    assert result.message.startswith("sum of the functions at x = ")


def test_the_standard_run_is_the_same_every_time_and_a_seed_changes_it() -> None:
    one, other = (check(Wrong(), only=["P-REL"]).results[0] for _ in range(2))
    assert (one.worst, one.example) == (other.worst, other.example)
    cases = [check(DeBoor(), only=["P-PoU"], seed=seed).results[0].worst for seed in (0, 1)]
    assert cases[0] != cases[1]


def test_soak_goes_on_until_its_time_is_over() -> None:
    start = time.monotonic()
    report = check(DeBoor(), only=["P-PoU"], soak=1.0)
    assert 1.0 <= time.monotonic() - start < 20
    assert report.ok
    assert report.environment["rounds"] >= 1
    assert report.results[0].cases >= report.environment["rounds"] * 20


def test_soak_finds_what_the_first_cases_do_not() -> None:
    seen = []

    class Rare(DeBoor):
        def basis(self, x: Array, knots: Array, k: int) -> Array:
            seen.append(len(x))
            return super().basis(x, knots, k) + x.dtype.type(len(seen) > 130)

    report = check(Rare(), only=["P-PoU"], soak=30.0)
    assert not report.ok
    assert report.environment["rounds"] > 1


def test_every_law_names_methods_that_there_are() -> None:
    known = {*METHODS, "weights", "least_change", "containers", "subnormals", "float64"}
    known |= {"degree_zero", "neighbouring_degrees"}
    for law in LAWS.values():
        assert set(law.needs) <= known
        assert law.about in CASES
        assert law.knots in ("as given", "uneven", "repeated", "of any ends")


def test_an_undeclared_policy_is_a_failure_and_not_a_skip() -> None:
    silent = adapter_of(DeBoor().basis, right_end=None)
    (result,) = check(silent, only=["P-RC"]).results
    assert (result.outcome, result.message) == ("FAIL", "policy `right_end` is not declared")


@pytest.mark.parametrize(
    ("declared", "ids"),
    [
        ({"uniform_only": True}, {"P-END", "P-REP", "P-SHIFT", "P-SW"}),
        ({"degenerate_knots": "error"}, {"P-END", "P-SHIFT", "P-SW"}),
        ({"degrees": (1, 2, 3)}, {"P-K0"}),
        ({"degrees": (3,)}, {"P-K0", "P-DREC"}),
        ({"degrees": (1, 3)}, {"P-K0", "P-DREC"}),
    ],
)
def test_what_policies_exclude_is_not_asked(declared: dict[str, Any], ids: set[str]) -> None:
    asked = []

    def basis(x: Array, knots: Array, k: int) -> Array:
        asked.append((knots, k))
        if declared.get("degenerate_knots") == "error" and (np.diff(knots) == 0).any():
            raise ValueError("Argument `knots` must not repeat.")
        return DeBoor().basis(x, knots, k)

    def dbasis(self: Any, x: Array, knots: Array, k: int, nu: int) -> Array:
        asked.append((knots, k))
        return DeBoor().dbasis(x, knots, k, nu)

    only = ["P-D*", "P-E*", "P-R*", "P-S*", "P-K0"]
    report = check(adapter_of(basis, dbasis=dbasis, **declared), only=only, examples=0)
    assert report.ok, report.text()
    assert ids <= {result.law.id for result in report.results if result.outcome == "NOT CLAIMED"}
    if "degrees" in declared:
        assert {k for _, k in asked} == set(declared["degrees"])


def test_a_law_may_find_some_degrees_with_neighbours_and_some_without() -> None:
    asked = []

    class Two(DeBoor):
        degrees = (2, 3, 5)

        def basis(self, x: Array, knots: Array, k: int) -> Array:
            asked.append(k)
            return super().basis(x, knots, k)

    assert check(Two(), only=["P-DREC"]).ok
    assert set(asked) == {2}  # of degree 3; those of degrees 2 and 5 have no neighbour


def test_derivatives_are_asked_for_up_to_two_orders_beyond_the_degree() -> None:
    """Nested automatic differentiation doubles its work with each order."""
    beyond = set()

    class Recording(DeBoor):
        def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
            beyond.add(nu - k)
            return super().dbasis(x, knots, k, nu)

    assert check(Recording(), only=["P-*"], examples=0).ok
    assert max(beyond) == 2


def test_an_adapter_of_uniform_knots_gets_knots_that_are_uniform_to_the_last_bit() -> None:
    """Whoever takes a range and a number of intervals makes knots of its own, which are these."""
    seen: list[Array] = []

    class Even(DeBoor):
        uniform_only, degenerate_knots, dtype = True, "error", ("float64", "float32")
        short_rank = "least norm"

        def basis(self, x: Array, knots: Array, k: int) -> Array:
            seen.append(knots)
            return super().basis(x, knots, k)

        def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
            seen.append(knots)
            return super().dbasis(x, knots, k, nu)

        def fit_curve(self, x: Array, y: Array, knots: Array, k: int) -> Array:
            A = self.basis(x, knots, k).astype(float)
            return np.linalg.lstsq(A, y, rcond=500 * np.finfo(x.dtype).eps)[0].astype(x.dtype)

    report = check(Even(), only=["P-*", "G-*"], examples=0)
    assert report.ok, report.text()
    assert "NOT CLAIMED" not in {result.outcome for result in report.results if result.law.id in ("P-AFF", "G-RANK")}
    assert {knots.dtype.name for knots in seen} == {"float64", "float32"}
    assert not any(np.ptp(np.diff(knots)) for knots in seen if len(knots) > 1)


@pytest.mark.parametrize("about", ["grids", "networks"])
def test_layers_of_an_adapter_of_uniform_knots_have_uniform_ones(about: str) -> None:
    for made in cases_of(about, Scope(uneven=False, repeats=False), 0, 40):
        case = made.case
        layers = case.layers if about == "networks" else (case.layer,)
        for layer in (*layers, *(covered(case, even=True).layers if about == "networks" else ())):
            steps = np.diff(layer.grid, axis=1)
            assert (steps == steps[:, :1]).all()
            assert (steps > 0).all()


@pytest.mark.parametrize("G", [1, 2, 7, 30])
@pytest.mark.parametrize("ulps", [0, 1, 2, 7, 120, 1000])
@pytest.mark.parametrize("start", [1.000000000000004, -3e8, 0.0, 5e-324])
def test_the_grid_over_a_narrow_range_rises_and_holds_the_samples(start: float, ulps: int, G: int) -> None:
    """A soak with other seeds found two samples an ulp or two apart under a grid that fell."""
    x = np.array([start, start + ulps * abs(np.spacing(start))])[:, None]
    (knots,) = grid_from_samples(x, G, 0, 0.0)
    assert (np.diff(knots) > 0).all()
    assert knots[0] <= x[0, 0] <= x[1, 0] <= knots[-1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("numbers", [[0.0], [1e8], [-3.0, 7.5], [1.0, 1.0 + 1e-6], [-1e5, 1e-3, 2.0]])
def test_a_dyadic_grid_is_even_and_holds_the_samples(numbers: list[float], dtype: type) -> None:
    x = np.array(numbers, dtype)[:, None]
    for G, k in ((1, 0), (1, 3), (3, 2), (7, 5)):
        (knots,) = dyadic_grid(x, G, k)
        assert (knots.dtype, len(knots)) == (dtype, G + 2 * k + 1)
        assert np.ptp(np.diff(knots)) == 0 < np.diff(knots)[0]
        assert knots[k] <= x.min()
        assert x.max() <= knots[k + G]


def test_an_open_right_end_is_judged_as_open() -> None:
    class Open(DeBoor):
        right_end = "open"

        def span(self, x: Any, knots: Array, k: int) -> int:
            j = int(np.searchsorted(knots, x, side="right")) - 1
            return j if knots[0] <= x < knots[-1] else -1

    assert check(Open(), only=["P-RC", "P-END", "P-PoU", "P-ORC", "P-K0", "P-EXT", "P-RELD", "P-SW"]).ok
    Open.right_end = "closed"
    assert not check(Open(), only=["P-END"]).ok


def test_known_failures_are_named_and_strict() -> None:
    (result,) = check(Wrong(), only=["P-PoU"], known={"P-PoU": "issue 12"}).results
    assert (result.outcome, result.message) == ("KNOWN", "issue 12")
    report = check(DeBoor(), only=["P-PoU"], known={"P-PoU": "issue 12"})
    assert not report.ok
    assert report.results[0].message == "is listed as known to fail (issue 12), and does not: PASS"
    with pytest.raises(ValueError, match=r"Argument `known` must name laws, not 'P-POU'\."):
        check(DeBoor(), known={"P-POU": "?"})


def test_a_pattern_that_names_no_law_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"Argument `only` must name laws, such as 'P-PoU' or 'G-\*', not 'X-1'\."):
        check(DeBoor(), only=["X-1"])


def test_float32_knots_stay_apart_for_an_adapter_without_repeated_ones() -> None:
    """Knots that differ by 1e-12 are one in float32."""

    class Strict(DeBoor):
        degenerate_knots = "error"

        def basis(self, x: Array, knots: Array, k: int) -> Array:
            if (np.diff(knots) == 0).any():
                raise ValueError("Argument `knots` must not repeat.")
            return super().basis(x, knots, k)

    report = check(Strict(), only=["P-DTYPE"], examples=200)
    assert report.ok, report.text()


class WithoutScales(NumkanNetworks):
    """Gradients by coefficients and inputs only: all that is promised of those who cannot tell the scales."""

    layer_degrees, layer_extrapolate, base_fun = (1,), ("fade",), ("silu",)
    left_out: tuple[str, ...] = ()
    from_methods: tuple[str, ...] = ()

    def _told(self, method: str, grads: Any) -> Any:
        return {
            name: one for name, one in grads.items() if method not in self.from_methods or name not in self.left_out
        }

    def layer_vjp(self, layer: Layer, x: Array, y_bar: Array) -> dict[str, Array]:
        return self._told("layer_vjp", super().layer_vjp(layer, x, y_bar))

    def layer_jacobian(self, layer: Layer, x: Array) -> dict[str, Array]:
        whole, slopes = Numkan.network_jacobian(self, [layer], x)[0], self.network_derivative([layer], x)
        return self._told("layer_jacobian", {**whole, "x": slopes})

    def network_loss(self, *given: Any) -> Any:
        value, grads = super().network_loss(*given)
        return value, [self._told("network_loss", one) for one in grads]

    def network_vjp(self, layers: Any, x: Array, y_bar: Array) -> Any:
        grads, x_bar = super().network_vjp(layers, x, y_bar)
        return [self._told("network_vjp", one) for one in grads], x_bar

    def network_jacobian(self, layers: Any, x: Array) -> Any:
        return [self._told("network_jacobian", one) for one in super().network_jacobian(layers, x)]


GRADIENTS = ("layer_vjp", "layer_jacobian", "network_loss", "network_vjp", "network_jacobian")


@pytest.mark.jit
@pytest.mark.parametrize(
    ("left_out", "methods"),
    [
        (("scale_sp",), GRADIENTS),
        (("scale_base", "scale_sp"), GRADIENTS),
        *((("scale_base", "scale_sp"), (one,)) for one in GRADIENTS),
    ],
    ids=lambda names: f"{len(names)} {names[-1]}",
)
def test_gradients_by_scales_may_be_left_out(left_out: tuple[str, ...], methods: tuple[str, ...]) -> None:
    one = type("Told", (WithoutScales,), {"left_out": left_out, "from_methods": methods, "dtype": "float64"})()
    only = ["N-SUB", "N-CHG", "N-DET", "N-PURE", "N-GCS", "N-GFD", "N-ADJ", "N-JAC"]
    guard, made = Guard(one), cases_of("networks", scope_of(one), 0, 6)
    for case in [item.case for item in made if item.facts["shape"] in ("small", "deep")][::2]:
        for id in only:
            LAWS[id].check(guard, case)


@pytest.mark.jit
def test_declared_scales_are_checked() -> None:
    class Half(WithoutScales):
        left_out, from_methods, dtype = ("scale_base",), GRADIENTS, "float64"

        def _told(self, method: str, grads: Any) -> Any:
            return {
                name: one * (1.001 if name == "scale_sp" else 1) for name, one in super()._told(method, grads).items()
            }

    for id in ("N-GCS", "N-GFD", "N-ADJ"):
        assert not check(Half(), only=[id]).ok


# --- fits and grids -----------------------------------------------------------------------------------------------


def test_fits_that_square_the_condition_number_are_found_and_sound_ones_are_not() -> None:
    def basis(x: Array, knots: Array, k: int) -> Array:
        return DeBoor().basis(x, knots, k)

    def lstsq(A: Array, y: Array) -> Array:
        return np.linalg.lstsq(A, y, rcond=None)[0]

    def orthogonal(A: Array, y: Array) -> Array:
        q, r = np.linalg.qr(A)
        return np.linalg.solve(r, q.T @ y)

    def normal(A: Array, y: Array) -> Array:
        return np.linalg.solve(A.T @ A, A.T @ y)

    def scaled(A: Array, y: Array) -> Array:
        size = np.linalg.norm(A, axis=0)
        return normal(A / size, y) / size

    def ridge(A: Array, y: Array) -> Array:
        return np.linalg.solve(A.T @ A + 1e-8 * np.eye(A.shape[1], dtype=A.dtype), A.T @ y)

    for dtype, k in (("float64", 5), ("float32", 1)):
        for solve, sound in ((lstsq, 1), (orthogonal, 1), (normal, 0), (scaled, 0), (ridge, 0)):
            made = adapter_of(
                basis,
                fit_curve=lambda self, x, y, knots, k, solve=solve: solve(basis(x, knots, k), y).astype(x.dtype),
                short_rank="least norm",
                dtype=dtype,
                degrees=(k,),
            )
            (result,) = check(made, only=["G-LSQ"], examples=1).results
            assert (result.outcome == "PASS") == sound, (dtype, k, solve.__name__, result.line)
            assert not sound or result.worst < 0.5


def test_no_rank_is_asked_for_where_it_is_a_matter_of_the_cutoff() -> None:
    """Two samples 1e-4 apart: in float32 a singular value of 2e-5, which may count or not.

    With three samples and k = 3 there is one of 5e-8: noise in float32, a number like any other where float32 samples
    are fitted in float64.
    """
    x = np.repeat(np.array([[5.0004182], [-1.0005678], [-1.0004526]], np.float32), 2, axis=1)
    grid = np.tile(np.arange(-2, 3) / 2, (2, 1)).astype(np.float32)
    case = GridCase(x, grid, np.ones((2, 2, 3), np.float32), 1, 2, 0.5)

    for rank in (2, 3):
        decided = type("Decided", (NumkanGrids,), {"dtype": "float32", "fit_rank": lambda *_, rank=rank: rank})
        LAWS["G-RANK"].check(decided(), case)
    x = np.repeat(np.array([[-0.99966955], [4.998697], [5.0009055], [5.0004463]], np.float32), 2, axis=1)
    grid = np.tile(np.arange(-4, 5) / 2, (2, 1)).astype(np.float32)
    case = GridCase(x, grid, np.ones((2, 2, 5), np.float32), 3, 2, 0.0)
    LAWS["G-RANK"].check(type("Single", (NumkanGrids,), {"dtype": "float32"})(), case)
    seconds = {1e-2: True, 1e-5: False, 1e-8: False, 1e-16: True, 0.0: True}
    assert {second: counted(np.diag([1.0, second]), 1e-7)[1] for second in seconds} == seconds


def test_fits_are_held_to_what_their_condition_number_leaves() -> None:
    """Six samples for six coefficients, kappa = 1e6: numkan is off by 1.4e-10, and no fit can be sure to be nearer."""
    column = [0.5741387056275467, -0.83939053696789, -0.4702926153421638]
    column += [-0.8087201005650608, -0.38431895462868493, -0.4649940804866257]
    x = np.repeat(np.array(column)[:, None], 2, axis=1)
    case = GridCase(x, np.tile(np.arange(-5.0, 6.0), (2, 1)), np.ones((2, 2, 6)), 4, 2, 1.0)

    class Moved(NumkanGrids):
        def fit_curve(self, *given: Any, **options: Any) -> Array:
            found = super().fit_curve(*given, **options)
            return found * (1 + 1e-4 * np.cos(len(given[0]) + np.arange(len(found))))

    for id in ("G-RANK", "G-DUP", "G-WT"):
        LAWS[id].check(NumkanGrids(), case)
    for id in ("G-RANK", "G-DUP"):
        with pytest.raises(Broken):
            LAWS[id].check(Moved(), case)
    assert slack(np.eye(2), np.ones(2), np.ones(2), 1e-16) == pytest.approx(64e-16)


class InOrder(NumkanGrids):
    """Sums over samples in the order that they have, and solves by elimination where it can: rounding differs."""

    layer_degrees = (1, 3)
    bits, exact_refits = "rounding", False
    error = 0.0

    def refit(self, x: Any, layer: Layer, knots: Array) -> Array:
        coef = np.empty((*layer.coef.shape[:2], knots.shape[1] - 1 - layer.k), layer.coef.dtype)
        y = coef2curve(x, layer.grid, layer.coef, layer.k, extrapolate=layer.extrapolate)
        for i, A in enumerate(dense(x, knots, layer.k)):
            coef[i] = np.linalg.lstsq(A, y[:, i].astype(float), rcond=500 * np.finfo(coef.dtype).eps)[0].T
        return coef * (1 + self.error * x[0, 0]).astype(coef.dtype)


def test_an_adapter_without_promised_bits_may_round_otherwise_in_another_order() -> None:
    report = check(InOrder(), only=["G-PERM"], examples=100)
    assert report.ok, report.text()
    assert report.results[0].worst > 0
    assert not check(type("Exact", (InOrder,), {"exact_refits": True})(), only=["G-PERM"]).ok
    assert not check(type("Far", (InOrder,), {"error": 1e-3})(), only=["G-PERM"]).ok
    assert check(type("Rows", (InOrder,), {"bits": "exact"})(), only=["G-PERM"]).ok  # that is a claim about rows


@pytest.mark.parametrize("id", ["G-IDEM", "G-PRES", "G-PERM"])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_coincident_knots_and_nan_are_said_in_a_sentence_or_left_to_other_laws(id: str, value: float) -> None:
    class Collapsed(NumkanGrids):
        bits = "rounding"

        def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
            grid = np.tile(np.where(value == value, x.min(axis=0), value)[:, None], (1, layer.grid.shape[1]))
            return layer.replace(grid=grid.astype(layer.grid.dtype))

    (result,) = check(Collapsed(), only=[id]).results
    assert "in the check" not in result.message
    if id != "G-PERM":
        assert "a domain of no width, or knots that are not finite" in result.message


# --- adapters that misbehave --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("basis", "said"),
    [
        (lambda x, knots, k: [[0.0]], "`basis` returned an object of type list, not a float array of shape (3, 4)"),
        (lambda x, knots, k: None, "`basis` returned None, not a float array of shape (3, 4)"),
        (lambda x, knots, k: np.zeros((4, 3)), "`basis` returned an array of shape (4, 3) and dtype float64, not"),
        (lambda x, knots, k: np.zeros((3, 4), int), "`basis` returned an array of shape (3, 4) and dtype int64, not"),
        (lambda x: x, "`basis` raised TypeError: "),
        (lambda x, knots, k: 1 // 0, "`basis` raised ZeroDivisionError: integer division or modulo by zero"),
        (lambda x, knots, k: sys.exit(3), "`basis` raised SystemExit"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_said_to_be_so_in_one_sentence(basis: Any, said: str) -> None:
    with pytest.raises(AdapterError) as caught:
        check(adapter_of(basis))
    assert str(caught.value).startswith(f"The adapter cannot be used: {said}")
    assert str(caught.value).endswith("(three points, even knots, k = 1).")


def test_an_object_without_a_basis_is_no_adapter() -> None:
    with pytest.raises(AdapterError, match=r"must have a method `basis\(x, knots, k\)`, and builtins.dict has none"):
        check({})


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"right_end": "left"}, "Policy `right_end` must be one of 'closed', 'open', not 'left'."),
        ({"dtype": ("float64", "float16")}, "Policy `dtype` must be one of 'float64', 'float32', not"),
        ({"dtype": ()}, "Policy `dtype` must be one of 'float64', 'float32', not ()."),
        ({"bits": 3}, "Policy `bits` must be text or a tuple, not 3."),
        ({"degrees": (1.5,)}, "Policy `degrees` must hold integers of at least 0, not (1.5,)."),
        ({"layer_extrapolate": ("raise",)}, "Policy `layer_extrapolate` must hold some of"),
        ({"base_fun": ("relu",)}, "Policy `base_fun` must hold some of"),
    ],
)
def test_a_declaration_that_means_nothing_is_an_error(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(AdapterError) as caught:
        check(adapter_of(DeBoor().basis, **declared))
    assert str(caught.value).startswith(said)


def test_an_adapter_that_hangs_is_left_after_its_time() -> None:
    released, calls = threading.Event(), []

    def basis(x: Array, knots: Array, k: int) -> Array:
        calls.append(k)
        if k >= 3:  # few examples are drawn, which may leave one degree out
            released.wait(60)
        return DeBoor().basis(x, knots, k)

    start, filters, threads = time.monotonic(), list(warnings.filters), set(threading.enumerate())
    with pytest.raises(AdapterError, match=r"^The adapter hangs: `basis` did not return within 0.5 s while P-PoU was"):
        check(adapter_of(basis), only=["P-PoU"], timeout=0.5)
    assert time.monotonic() - start < 30
    assert list(warnings.filters) == filters
    (left,) = set(threading.enumerate()) - threads
    n_calls = len(calls)
    released.set()
    left.join(30)
    assert not left.is_alive()
    assert len(calls) == n_calls
    assert list(warnings.filters) == filters


def with_model(seconds: float) -> Any:
    """An adapter whose models, which no guard watches, take their time."""

    def model(self: Any, layers: Any) -> Any:
        def outputs(x: Array) -> Array:
            time.sleep(seconds)
            return x

        return outputs

    return adapter_of(DeBoor().basis, model=model, layer_degrees=(1,))


def test_what_lies_between_calls_has_more_time_and_is_not_called_a_hang() -> None:
    """The kit's own arithmetic may have to wait, on a machine that is busy."""
    assert check(with_model(0.03), only=["N-THR"], examples=1, timeout=0.3).ok  # 0.7 s a case
    with pytest.raises(AdapterError, match=r"^Between two calls of the adapter 3 s went by while N-THR was checked.$"):
        check(with_model(5), only=["N-THR"], timeout=0.3)


def test_curves_scale_by_powers_of_two_where_terms_do_not_underflow() -> None:
    knots = np.array([-1, 0, 1, 2, 3, 240.13737, 241.13737], np.float32)
    tiny, coef = np.finfo(np.float32).tiny, np.zeros(5, np.float32)
    case = Case(knots, 1, np.zeros(1, np.float32), np.zeros(1, np.float32), coef)
    coef[-1] = tiny
    LAWS["P-LIN"].check(DeBoor(), case)

    class Added(DeBoor):
        def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
            return super().curve(x, knots, coef, k) + x.dtype.type(1e-20)

    with pytest.raises(Broken, match="values differ"):
        LAWS["P-LIN"].check(Added(), case)


def test_a_guard_finds_changes_of_arguments() -> None:
    x = np.array([0.25, 0.75])
    knots = np.arange(-1.0, 3.0)

    def writing(x: Array, knots: Array, k: int) -> Array:
        x += 1
        return np.zeros((len(x), len(knots) - 1 - k))

    with pytest.raises(Broken, match="`basis` wrote to its arguments"):
        Guard(adapter_of(writing)).basis(x, knots, 1)
    assert_identical(x, [0.25, 0.75])  # they are as they were
    with pytest.raises(Broken, match="`curve` returned a view of one of its arguments"):
        Guard(adapter_of(writing, curve=lambda self, x, knots, coef, k: x[:])).curve(x, knots, knots, 1)
    with pytest.raises(Broken, match=r"`insert_knot` returned an object of type list, not a tuple of 2 arrays"):
        Guard(adapter_of(writing, insert_knot=lambda *_: [])).insert_knot(knots, x, 1, 0.5)
    with pytest.raises(Broken, match=r"`update_grid` returned None, not a Layer"):
        Guard(adapter_of(writing, update_grid=lambda *_: None)).update_grid(None, x, 1.0)
    layer = random_case(0, [2, 1], [3], [2]).layer
    with pytest.raises(Broken, match=r"`layer_vjp` returned a dict with \['x'\], not a dict with 'x', 'coef'"):
        Guard(adapter_of(writing, layer_vjp=lambda *_: {"x": x})).layer_vjp(layer, np.zeros((3, 2)), np.zeros((3, 1)))


def test_arrays_come_in_C_order_and_can_be_written_to_unless_an_adapter_takes_any() -> None:
    seen: list[Any] = []

    def basis(x: Array, knots: Array, k: int) -> Array:
        seen.append(x)
        return np.zeros((len(x), len(knots) - 1 - k))

    x = np.arange(6.0)[::-2]
    x.flags.writeable = False
    Guard(adapter_of(basis)).basis(x, np.arange(3.0), 1)
    Guard(adapter_of(basis, containers=True)).basis(x, np.arange(3.0), 1)
    assert seen[0].flags.c_contiguous
    assert seen[0].flags.writeable
    assert seen[1] is x


def test_nan_is_reported_as_nan() -> None:
    def basis(x: Array, knots: Array, k: int) -> Array:
        values = DeBoor().basis(x, knots, k)
        values[np.isin(x, knots)] = np.nan
        return values

    (result,) = check(adapter_of(basis), only=["P-PoU"]).results
    assert "nan where 1.0 is due" in result.message


# --- comparisons --------------------------------------------------------------------------------------------------


def test_comparisons_measure_errors_in_units_of_their_bounds() -> None:
    with measured() as ratios:
        assert_within([1.0, 2.0], [1.0, 2.5], [0.0, 2.0])
        with pytest.raises(Broken, match=r"difference at \(1,\): 3.0 where 2.0 is due; off by 1 > 0.25"):
            assert_within([1.0, 3.0], [1.0, 2.0], 0.25)
        with pytest.raises(Broken, match=r"value at x = 7.0, entry 1: nan where 0.0 is due"):
            assert_within([[0.0, np.nan]], [[0.0, 0.0]], 1.0, "value", at=[7.0])
    assert ratios == [0.25, 4.0, np.inf]
    assert_within([], [], 0.0)
    assert_identical([0.0, np.nan], [-0.0, np.nan])
    for other in ([0.0], [1.0, np.nan], np.zeros(2, np.float32)):
        with pytest.raises(Broken):
            assert_identical(np.array([0.0, np.nan]), other)


def test_complaints_are_those_of_the_adapter() -> None:
    assert complaint(lambda: None) is None
    assert isinstance(complaint(lambda: 1 // 0), ZeroDivisionError)
    guard = Guard(adapter_of(lambda x, knots, k: 1 // 0))
    assert isinstance(complaint(lambda: guard.basis(np.zeros(1), np.arange(2.0), 0)), ZeroDivisionError)


# --- files --------------------------------------------------------------------------------------------------------


def test_cases_are_written_and_read_with_all_their_bits() -> None:
    case = random_case(3, [2, 3, 1], [2, 4], [1, 3], dtype=np.float32, extrapolate="linear")
    again = from_plain("networks", json.loads(json.dumps(plain(case), allow_nan=False)))
    assert again.labels.dtype == np.intp
    assert again.layers[1].extrapolate == "linear"
    for one, other in zip(again.layers, case.layers, strict=True):
        assert isinstance(one, Layer)
        for name in ("grid", "coef", "scale_base", "scale_sp", "mask"):
            assert_identical(getattr(one, name), getattr(other, name))
    assert_identical(again.x, case.x)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with adapters, on the path."""
    (tmp_path / "others.py").write_text("from tests.conformance_adapters import DeBoor, Wrong\n\nright = DeBoor()\n")
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_failures_are_written_and_replayed(project: Path) -> None:
    file = project / "report.json"
    assert main(["others:Wrong", "--only", "P-PoU", "--only", "P-D0", "--json", str(file)]) == 1
    report = json.loads(file.read_text())
    assert report["format"] == "numkan.conformance report, version 1"
    assert [entry["outcome"] for entry in report["results"]] == ["FAIL", "PASS"]
    code = (
        "from numkan.conformance.__main__ import main\n"
        f"assert main(['others:Wrong', '--replay', {str(file)!r}]) == 1\n"
        f"assert main(['others:right', '--replay', {str(file)!r}]) == 0\n"
    )
    done = run("-c", code, folder=project)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 claimed laws hold" in done.stdout
    assert replay(DeBoor(), report).ok
    file.write_text("[]")
    assert main(["others:right", "--replay", str(file)]) == 2


def test_nothing_is_left_in_the_folder(project: Path) -> None:
    before = sorted(project.iterdir())
    done = run("-B", "-m", "numkan.conformance", "others:right", "--only", "P-PoU", folder=project)
    assert done.returncode == 0, done.stderr
    assert sorted(project.iterdir()) == before


def run(*arguments: str, folder: Path) -> Any:
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}{os.pathsep}{folder}"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


# --- the doors ----------------------------------------------------------------------------------------------------


def test_the_command_line_says_what_holds(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = project / "report.md"
    assert main(["others:right", "--only", "P-PoU", "--markdown", str(table)]) == 0
    said = capsys.readouterr().out
    assert "PASS        P-PoU" in said
    assert said.endswith("1 of 1 claimed laws hold, 0 fail; 0 not claimed\n")
    for fact in ("numkan", "numpy", "cases of splines", "python", "blas", "cpus", "threads", "machine", "seed"):
        assert f"    {fact}: " in said
    assert "| P-PoU | PASS | 0." in table.read_text()


def test_the_command_line_shows_failing_numbers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["others:Wrong", "--only", "P-PoU"]) == 1
    said = capsys.readouterr().out
    assert "FAIL        P-PoU" in said
    assert "            knots = [" in said


def test_the_command_line_lists_the_laws(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    said = capsys.readouterr().out
    for law in LAWS.values():
        assert isinstance(law, Law)
        assert f"\n{law.id} " in f"\n{said}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Argument `adapter` must be given"),
        (["others"], "Argument `adapter` must look like package.module:name, not 'others'."),
        (["missing:x"], "The adapter missing:x cannot be imported: ModuleNotFoundError: No module named 'missing'"),
        (
            ["broken:x"],
            "The adapter broken:x cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        (["others:x"], "The adapter others:x cannot be imported: AttributeError: "),
        (["os:path"], "An adapter must have a method `basis(x, knots, k)`"),
        (["others:right", "--only", "Q"], "Argument `only` must name laws"),
        (
            ["others:right", "--known", "nothing.txt"],
            "Argument `--known` must name a file of laws and reasons, not 'nothing.txt'.",
        ),
    ],
)
def test_the_command_line_says_why_nothing_was_tried(
    arguments: list[str], said: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"numkan.conformance: {said}")
    assert error.count("\n") == 1


def test_a_process_whose_adapter_hangs_ends_all_the_same(project: Path) -> None:
    (project / "slow.py").write_text(
        "import time\n\nclass Slow:\n    def basis(self, x, knots, k):\n        while True: pass\n"
    )
    done = run("-m", "numkan.conformance", "slow:Slow", "--timeout", "0.5", folder=project)
    assert done.returncode == 2
    assert done.stderr == (
        "numkan.conformance: The adapter hangs: `basis` did not return within 0.5 s at the first call.\n"
    )


def test_known_failures_come_from_a_file(project: Path) -> None:
    file = project / "known.txt"
    file.write_text("# what we know\n\nP-PoU: the third decimal\n")
    assert read_known(str(file)) == {"P-PoU": "the third decimal"}
    assert main(["others:Wrong", "--only", "P-PoU", "--known", str(file)]) == 0
    for line in ("P-PoU", "P-XYZ: why", "P-PoU:"):
        file.write_text(line)
        with pytest.raises(ValueError, match=r"^Line 1 of .* must be the id of a law and a reason"):
            read_known(str(file))


def test_pytest_is_the_third_door(project: Path) -> None:
    (project / "known.txt").write_text("P-REL: the third decimal\n")
    arguments = [*PLUGIN, "--pyargs", "numkan.conformance", "-q", "-p", "no:cacheprovider"]
    picked = ["-k", "P-PoU or P-REL or P-SUP or N-GCS"]
    more = ["--adapter", "others:Wrong", "--known", "known.txt"]
    done = run("-m", "pytest", *arguments, *picked, *more, folder=project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_law[P-PoU]" in done.stdout
    assert "FAIL        P-PoU" in done.stdout
    assert "1 failed, 2 passed, 1 skipped" in done.stdout
    assert "1 xfailed" in done.stdout


def test_pytest_without_an_adapter_skips_with_a_sentence(project: Path) -> None:
    done = run("-m", "pytest", *PLUGIN, "--pyargs", "numkan.conformance", "-k", "P-PoU", "-rs", folder=project)
    assert done.returncode == 0, done.stdout
    assert "no adapter: give one with --adapter package.module:name" in done.stdout


def test_the_package_brings_the_extra_and_the_option() -> None:
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    project, setuptools = config["project"], config["tool"]["setuptools"]
    assert project["entry-points"]["pytest11"] == {"numkan_pytest": "numkan_pytest"}
    assert setuptools["package-dir"] == {"numkan_pytest": "numkan/conformance/plugin"}
    folders = {path.parent.relative_to(PROJECT).as_posix() for path in (PROJECT / "numkan").rglob("__init__.py")}
    names = {"numkan_pytest" if "plugin" in folder else folder.replace("/", ".") for folder in folders}
    assert sorted(names) == sorted(setuptools["packages"])
    assert [one.partition(">")[0] for one in project["optional-dependencies"]["conformance"]] == ["pytest"]


def test_an_imported_adapter_may_be_a_class_or_an_object() -> None:
    assert isinstance(imported("tests.conformance_adapters:DeBoor"), DeBoor)
    assert claims(imported("numkan.conformance.own:adapter"), "layer_vjp")
    assert scope_of(imported("numkan.conformance.own:adapter")).closed
