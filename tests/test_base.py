"""numkan.base: silu against exact arithmetic, its ends, and the base functions that users name or give."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KANLayer
from numkan.base import BASE_FUNCTIONS, CUSTOM, BaseFunction, base_and_slope, base_function, fill_base
from numkan.conformance.adapter import Array

FLOATS = (np.float64, np.float32)


def exact_exp(x: float) -> Fraction:
    """e^x to 150 bits: Taylor's series at x / 2^m, squared m times."""
    halvings = max(0, int(abs(x)).bit_length() + 8)
    small = Fraction(x) / 2**halvings
    term = total = Fraction(1)
    for n in range(1, 24):
        term = _short(term * small / n)
        total += term
    for _ in range(halvings):
        total = _short(total * total)
    return total


def _short(q: Fraction, bits: int = 190) -> Fraction:
    """q rounded to so many bits, lest numerators grow without end."""
    shift = bits - (q.numerator.bit_length() - q.denominator.bit_length())
    scale = Fraction(2) ** shift
    return Fraction(round(q * scale)) / scale


def exact_silu(x: float) -> tuple[Fraction, Fraction]:
    sigmoid = 1 / (1 + exact_exp(-x))
    return Fraction(x) * sigmoid, sigmoid * (1 + Fraction(x) * (1 - sigmoid))


def silu_and_slope(x: Array) -> tuple[Array, Array]:
    return base_and_slope(base_function("silu"), x)


def points(dtype: type) -> Array:
    end = 707.5 if dtype is np.float64 else 86.5
    near = np.random.default_rng(0).uniform(-8, 8, 150)
    wide = np.linspace(-end, end, 40)
    small = np.array([1e-3, -1e-3, 1e-8, -1e-20, 1e-30, 0.34657, -0.34658, -1.27846, 36.7, -36.8, 17.3])
    return np.concatenate([near, wide, small]).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_silu_and_its_slope_are_right_to_a_few_units_in_the_last_place(dtype: type) -> None:
    x = points(dtype)
    u = float(np.finfo(dtype).eps) / 2
    for at, value, slope in zip(x, *silu_and_slope(x), strict=True):
        exact, exact_slope = exact_silu(float(at))
        assert abs(Fraction(float(value)) - exact) <= 6 * u * abs(exact), f"silu({at})"
        # sigma and sigma x (1 - sigma) cancel near -1.278: the bound is on their magnitudes
        terms = abs(exact / Fraction(float(at))) + abs(exact_slope - exact / Fraction(float(at)))
        assert abs(Fraction(float(slope)) - exact_slope) <= 8 * u * terms, f"silu'({at})"


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("count", [0, 1, 7, 64])
@pytest.mark.parametrize("name", BASE_FUNCTIONS)
def test_kernels_fill_the_range_that_they_are_asked_for_and_no_other(name: str, count: int, dtype: type) -> None:
    base, fill = base_function(name), fill_base(np.dtype(dtype))
    numbers = np.random.default_rng(count).uniform(-8, 8, 3 * count + 12).astype(dtype)
    want, want_slope = base_and_slope(base, numbers[3 : 3 + count])
    for with_slopes in (False, True):
        at, slope_at = 3 + count + 2, 3 + 2 * count + 5
        expected = numbers.copy()
        expected[at : at + count] = want
        if with_slopes:
            expected[slope_at : slope_at + count] = want_slope
        filled = numbers.copy()  # points and values may lie in one array
        slopes = filled[slope_at : slope_at + count * with_slopes]
        fill(base.kind, filled[3 : 3 + count], filled[at : at + count], slopes)
        np.testing.assert_array_equal(filled, expected)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_silu_at_its_ends(dtype: type) -> None:
    largest, clamp = np.finfo(dtype).max, 708.0 if dtype is np.float64 else 87.0
    x = np.array([np.inf, -np.inf, largest, -largest, 2 * clamp, -2 * clamp], dtype)
    value, slope = silu_and_slope(x)
    np.testing.assert_array_equal(value, np.array([np.inf, 0, largest, 0, 2 * clamp, 0], dtype))
    np.testing.assert_array_equal(slope, np.array([1, 0, 1, 0, 1, 0], dtype))
    assert np.isnan(np.array(silu_and_slope(np.array([np.nan, -np.nan], dtype)))).all()
    beside = np.array([-clamp, np.nextafter(dtype(-clamp), dtype(-np.inf)), clamp], dtype)
    value, slope = silu_and_slope(beside)
    assert -1e-300 if dtype is np.float64 else -1e-30 < value[0] <= 0
    assert value[1] == 0
    assert value[2] == dtype(clamp)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_silu_of_zeros_and_subnormal_numbers_is_half_of_them(dtype: type) -> None:
    tiny = np.finfo(dtype).tiny
    x = np.array([0.0, -0.0, tiny / 4, -tiny / 4, tiny], dtype)
    value, slope = silu_and_slope(x)
    np.testing.assert_array_equal(value, x / 2)
    assert np.signbit(value[1])
    np.testing.assert_array_equal(slope, np.full(5, 0.5, dtype))


def test_public_silu_keeps_shape_and_dtype_and_leaves_its_argument_alone() -> None:
    x = np.linspace(-3, 3, 12).reshape(3, 4)
    before = x.copy()
    y = numkan.silu(x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(x, y)
    assert numkan.silu(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(numkan.silu(x.tolist()), y)
    np.testing.assert_array_equal(numkan.silu(np.asfortranarray(x)[::-1]), y[::-1])
    np.testing.assert_array_equal(numkan.silu(x.astype(">f8")), y)
    assert numkan.silu(np.arange(3)).dtype == np.float64
    assert numkan.silu(2.0).shape == ()
    assert numkan.silu(np.float32(2)).dtype == np.float32
    assert numkan.silu([]).shape == (0,)


@pytest.mark.parametrize(
    "bad", [1j, "a", [None], np.ma.masked_array([1.0], [True]), np.datetime64("2020-01-01"), [[1], [1, 2]]]
)
def test_public_silu_refuses_what_are_no_numbers(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^Argument `x` must .*\.$"):
        numkan.silu(bad)


def test_base_functions_have_names_and_users_may_give_a_pair() -> None:
    assert [base_function(name).name for name in ("silu", "identity", "zero")] == ["silu", "identity", "zero"]
    pair = (np.sin, np.cos)
    given = base_function(pair)
    assert (given.kind, given.value, given.derivative) == (CUSTOM, np.sin, np.cos)
    assert base_function(given) is given


@pytest.mark.parametrize("bad", [None, 3, np.sin, (np.sin,), (np.sin, 1), [np.sin, np.cos], (np.sin, np.cos, 3)])
def test_what_is_neither_name_nor_pair_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"^Argument `base_fun` must be 'silu', 'identity', 'zero' or a pair .*, not "):
        base_function(bad)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"`base_fun` must be one of .*, not 'SiLU'\. Did you mean 'silu'\?"):
        base_function("SiLU")


def test_a_pickled_layer_is_known_by_the_name_of_its_base_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind, a place in the registry, may be another one in another version; so may the names that there are."""
    layer = KANLayer(1, 1)
    layer._base = BaseFunction(kind=7, name="identity")
    assert pickle.loads(pickle.dumps(layer))._base == base_function("identity")
    layer._base = BaseFunction(kind=0, name="tanh")
    with pytest.raises(ValueError, match=r"`base_fun` must be one of .*, not 'tanh'\."):
        pickle.loads(pickle.dumps(layer))


@pytest.mark.parametrize("name", BASE_FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_named_function_has_its_value_and_slope(name: str, dtype: type) -> None:
    x = np.linspace(-3, 3, 7, dtype=dtype).reshape(7, 1)
    value, slope = base_and_slope(base_function(name), x)
    sigmoid = 1 / (1 + np.exp(-x.astype(float)))
    want = {
        "silu": (x * sigmoid, sigmoid * (1 + x * (1 - sigmoid))),
        "identity": (x, np.ones_like(x)),
        "zero": (0 * x, 0 * x),
    }
    assert value.dtype == slope.dtype == x.dtype
    np.testing.assert_allclose(value, want[name][0], rtol=0, atol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(slope, want[name][1], rtol=0, atol=4 * np.finfo(dtype).eps)
