"""Faults that single laws have to see, choices that they must accept, and calls at the same time."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from numkan.conformance import LAWS, AdapterError, Layer, check, network_twin
from numkan.conformance.adapter import Array
from numkan.conformance.cases import Case
from numkan.conformance.making import cases_of
from numkan.conformance.meeting import count_lines, meet
from numkan.conformance.network_cases import random_case
from numkan.conformance.own import adapter as own
from numkan.conformance.points import clamped
from numkan.conformance.scope import Scope
from tests.conformance_adapters import DeBoor, Scipy
from tests.spline_mutants import Raising

# --- the right end ------------------------------------------------------------------------------------------------


def test_who_raises_outside_is_asked_for_nothing_outside_a_negative_domain() -> None:
    report = check(Raising(), only=["P-*"], examples=5)
    assert report.ok, report.text()


@pytest.mark.parametrize("last", [-2.0, -0.5, 0.0, 3.0])
def test_the_neighbour_of_the_right_end_lies_inside(last: float) -> None:
    asked = []

    class Recording(DeBoor):
        def basis(self, x: Array, knots: Array, k: int) -> Array:
            asked.append(x)
            return super().basis(x, knots, k)

    knots = last + np.arange(-4.0, 2.0)
    LAWS["P-RC"].check(Recording(), Case(knots, 1, knots[1:2], knots[1:2], np.ones(4)))
    assert np.concatenate(asked).max() == last
    assert asked[1][-1] == np.nextafter(last, -np.inf)


# --- underflow ----------------------------------------------------------------------------------------------------


class Rounded(DeBoor):
    """Gradients in float64, rounded to the dtype."""

    def layer_vjp(self, layer: Layer, x: Array, y_bar: Array) -> dict[str, Array]:
        whole = layer.astype(float)
        packed, by_x = network_twin.backward(whole, x.astype(float), y_bar.astype(float))
        grads = {**network_twin.unpack_gradient(whole, packed), "x": by_x}
        return {name: grad.astype(x.dtype) for name, grad in grads.items()}


def test_a_gradient_that_underflows_in_float32_is_no_fault() -> None:
    """The slope of silu at -400 is 8e-172."""
    case = random_case(0, [1, 2], [2], [1], n=3, dtype=np.float32)
    layers = tuple(layer.replace(mask=np.ones_like(layer.mask)) for layer in case.layers)
    case = replace(case, layers=layers, x=np.array([[-400], [0.5], [400]], np.float32))
    LAWS["N-GCS"].check(Rounded(), case)


# --- declarations -------------------------------------------------------------------------------------------------


class Narrow(Scipy):
    """Splines as in statsmodels and patsy: clamped knots, at least two intervals, two derivatives."""

    knots, min_intervals, max_derivative = "clamped", 3, 2

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        assert nu <= 2
        assert len(knots) - 2 * k - 1 >= 3
        assert (knots[: k + 1] == knots[0]).all()
        assert (knots[len(knots) - 1 - k :] == knots[-1]).all()
        return super().dbasis(x, knots, k, nu)


def test_who_takes_clamped_knots_of_some_intervals_only_is_asked_for_nothing_else() -> None:
    report = check(Narrow(), only=["P-*", "G-DUP", "G-WT", "G-RANK", "G-LSQ", "G-DRV", "G-DTYPE"], examples=10)
    assert report.ok, report.text()
    unclaimed = {result.law.id for result in report.results if result.outcome == "NOT CLAIMED"}
    assert unclaimed == {"P-SUBN", "P-DREC", "P-OSLO", "P-REF"}
    assert "one interval" not in report.environment["cases of splines"]


@pytest.mark.parametrize("about", ["grids", "networks"])
def test_layers_have_as_many_intervals_as_an_adapter_asks_for(about: str) -> None:
    made = cases_of(about, Scope(min_intervals=3), 0, 5)
    assert min(layer.G for one in made for layer in getattr(one.case, "layers", (one.case.layer,))) == 3


class Strict(DeBoor):
    """Clamped ends, and an error where an inner knot is repeated."""

    knots, degenerate_knots = "clamped", "error"

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        assert (knots[: k + 1] == knots[0]).all()
        assert (knots[len(knots) - 1 - k :] == knots[-1]).all()
        if (np.diff(knots[k : len(knots) - k]) == 0).any():
            raise ValueError("inner knots must be different")
        return super().basis(x, knots, k)


def test_clamped_ends_are_no_repeated_knots_that_have_to_raise() -> None:
    report = check(Strict(), only=["P-PoU", "P-ORC", "P-DTYPE", "P-REP"], examples=2)
    assert report.ok, report.text()
    assert report.counts["PASS"] == 4


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"knots": "open"}, "Policy `knots` must be one of 'any', 'clamped', not 'open'."),
        ({"min_intervals": 0}, "Policy `min_intervals` must be an integer of at least 1, not 0."),
        ({"min_intervals": 2.5}, "Policy `min_intervals` must be an integer of at least 1, not 2.5."),
        ({"max_derivative": "all"}, "Policy `max_derivative` must be an integer of at least 1, not 'all'."),
    ],
)
def test_a_declaration_that_means_nothing_is_an_error(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(AdapterError) as caught:
        check(type("Made", (DeBoor,), declared)())
    assert str(caught.value) == said


def test_the_rounding_of_large_outputs_is_no_fault_of_small_slopes() -> None:
    """What input 0 adds is rounded, and differences by input 1 divide that by a short step."""
    case = random_case(0, [2, 2], [4], [3], n=20)
    factors = np.array([1e6, 1.0])[:, None, None]
    LAWS["N-GFD"].check(own, replace(case, layers=(case.layer.replace(coef=case.layer.coef * factors),)))


def test_the_rounding_of_samples_far_from_zero_is_no_fault_of_slopes() -> None:
    case = random_case(0, [1, 2], [4], [3], n=20)
    far = replace(case, layers=(case.layer.replace(grid=case.layer.grid + 1e8),), x=case.x + 1e8)
    LAWS["N-GFD"].check(own, far)


@pytest.mark.parametrize("id", ["N-GCS", "N-ADJ"])
def test_gradients_that_a_complex_step_loses_by_underflow_are_no_fault(id: str) -> None:
    """At -680 the base function is -4e-293. Times the step it is below all numbers."""
    case = random_case(0, [1, 1], [4], [3], n=20, extrapolate="fade")
    LAWS[id].check(own, replace(case, x=np.linspace(-720, -600, 20)[:, None]))


def test_a_derivative_that_becomes_0_where_a_scaled_one_is_normal_is_no_fault() -> None:
    class Flushing(DeBoor):
        def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
            values = super().dbasis(x, knots, k, nu)
            return np.where(np.abs(values) < np.finfo(values.dtype).tiny, 0, values).astype(values.dtype)

    knots, x = np.arange(-4, 6, dtype=np.float32), np.array([1e-19], np.float32)
    plain, scaled = (DeBoor().dbasis(x * f, knots * f, 3, 1)[0] for f in np.float32([1, 0.125]))
    tiny = np.finfo(np.float32).tiny
    assert ((plain != 0) & (np.abs(plain) < tiny) & (np.abs(scaled) > tiny)).any()
    LAWS["P-POW2"].check(Flushing(), Case(knots, 3, x, x, np.ones(6, np.float32)))


def test_clamping_keeps_the_number_of_intervals() -> None:
    knots = np.array([-2.0, -1, 0, 1, 1, 1, 4, 5, 6])
    case = clamped(Case(knots, 2, knots[2:3], knots[2:3], np.arange(6.0)))
    assert case.knots.tolist() == [0, 0, 0, 1, 1.75, 2.5, 4, 4, 4]


# --- calls that meet ----------------------------------------------------------------------------------------------


class Keeper:
    """A value that is kept for the length of one statement."""

    kept = 0

    def __call__(self, number: int) -> int:
        self.kept = number
        return self.kept


def test_a_race_of_one_statement_is_met() -> None:
    keeper = Keeper()
    lines = count_lines(lambda: keeper(1))
    assert lines >= 2
    met = [meet(lambda: keeper(1), lambda: keeper(2), line) for line in range(lines)]
    assert (2, 2) in met
    assert (1, 2) in met


def test_a_call_that_holds_a_lock_is_let_go() -> None:
    lock = threading.Lock()

    def locked(number: int) -> int:
        with lock:
            return number + 0

    for line in range(count_lines(lambda: locked(1))):
        assert meet(lambda: locked(1), lambda: locked(2), line) == (1, 2)


def test_an_error_in_a_call_that_meets_another_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        meet(lambda: 1 // 0, lambda: 2, 0)
