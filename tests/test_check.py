"""numkan._check: what is let through, with which bits, and the one sentence for all the rest."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from numkan._check import (
    as_float_array,
    as_samples,
    check_dtype,
    check_finite,
    check_integer,
    check_length,
    check_number,
    check_option,
)
from numkan.conformance.adapter import Array
from numkan.conformance.laws.bits import containers

SENTENCE = r"^Argument `name` must [^\n]*\.( Use .*| Did you mean '.*'\?)?$"


def complaint(error: type[Exception], function: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(error) as caught:
        function("name", *args, **kwargs)
    said = str(caught.value)
    assert re.match(SENTENCE, said), said
    return said


def test_integers_of_any_kind_pass_and_become_int() -> None:
    for value in (3, np.int8(3), np.uint64(3)):
        got = check_integer("name", value, 3)
        assert (type(got), got) == (int, 3)


@pytest.mark.parametrize("value", [True, np.True_, 2.0, 2.5, "3", None, [3], 1j, np.float64(3)])
def test_a_value_that_is_no_integer_is_a_type_error(value: Any) -> None:
    assert repr(value) in complaint(TypeError, check_integer, value, 0)


def test_small_integers_are_value_errors() -> None:
    assert complaint(ValueError, check_integer, np.int64(-1), 0) == "Argument `name` must be at least 0, not -1."


def test_numbers_pass_within_their_limits_and_become_float() -> None:
    for value in (1, 1.0, np.float32(1), np.int16(1)):
        assert type(check_number("name", value, 0, 1)) is float
    assert check_number("name", 0, 0) == 0


@pytest.mark.parametrize(
    ("value", "limits", "exclusive", "rule"),
    [
        (1.5, (0, 1), False, "lie in [0, 1], not 1.5."),
        (-0.1, (0,), False, "be at least 0, not -0.1."),
        (0.0, (0,), True, "be greater than 0, not 0.0."),
        (0, (0, 2), True, "lie in (0, 2], not 0."),
        (float("nan"), (), False, "be finite, not nan."),
        (float("inf"), (0,), False, "be at least 0, not inf."),
    ],
)
def test_numbers_outside_are_value_errors(value: Any, limits: Any, exclusive: bool, rule: str) -> None:
    said = complaint(ValueError, check_number, value, *limits, exclusive=exclusive)
    assert said == f"Argument `name` must {rule}"


@pytest.mark.parametrize("value", [True, "1", None, 1j, [1.0], np.ones(1)])
def test_a_value_that_is_no_number_is_a_type_error(value: Any) -> None:
    complaint(TypeError, check_number, value)


def test_options_are_listed_and_the_nearest_is_named() -> None:
    assert check_option("name", "mse", ("mse", "mae")) == "mse"
    assert complaint(ValueError, check_option, "MSE", ("mse", "cross_entropy")).endswith("Did you mean 'mse'?")
    assert complaint(ValueError, check_option, "zzz", ("mse",)) == "Argument `name` must be one of 'mse', not 'zzz'."
    assert "not None." in complaint(TypeError, check_option, None, ("mse",))


def test_dtypes_are_the_two_native_ones() -> None:
    for value in (np.float32, "float32", "<f4", ">f4", np.dtype("f4")):
        assert check_dtype(value) == np.dtype("=f4")
        assert check_dtype(value).isnative
    for bad in (np.float16, np.int64, "complex128", object, np.longdouble):
        with pytest.raises(ValueError, match=r"^Argument `dtype` must be float32 or float64, not "):
            check_dtype(bad)
    with pytest.raises(TypeError, match=r"^Argument `dtype` must be float32 or float64, not 'nonsense'\.$"):
        check_dtype("nonsense")


def test_lengths_say_what_each_entry_is_for() -> None:
    check_length("name", [1, 2], 2, "layer")
    said = complaint(ValueError, check_length, [1], 2, "layer")
    assert said == "Argument `name` must have 2 entries, one for each layer, not 1."


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__)
def test_arrays_from_any_container_have_the_same_bits_and_one_form(dtype: type) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(dtype)
    for what, value in containers(x).items():
        got = as_float_array("name", value, dtype)
        assert got.flags.carray, what
        assert got.dtype == dtype, what
        assert got.tobytes() == x.tobytes(), what
    assert as_float_array("name", x, dtype) is x


def test_integers_and_booleans_are_numbers() -> None:
    got = as_float_array("name", [[True, False]], np.float64)
    np.testing.assert_array_equal(got, [[1.0, 0.0]])
    np.testing.assert_array_equal(as_float_array("name", np.array([2**53, -(2**53)]), float), [2.0**53, -(2.0**53)])


@pytest.mark.parametrize(
    "value",
    [
        np.array([2**53 + 1]),
        np.array([-(2**53) - 1]),
        np.array([2**63 + 1], np.uint64),
        np.array([np.iinfo(np.int64).min]),
        [2**53 + 1],
    ],
)
def test_integers_that_float64_cannot_hold_are_refused(value: Any) -> None:
    assert "2^53" in complaint(ValueError, as_float_array, value, np.float64)


@pytest.mark.parametrize(
    ("error", "value", "part"),
    [
        (TypeError, np.ma.masked_array([1.0, 2.0], [False, True]), "masked"),
        (TypeError, [1.0, None], "object"),
        (TypeError, np.array(["a"]), "<U1"),
        (TypeError, "abc", "<U3"),
        (TypeError, b"abc", "S3"),
        (TypeError, np.array([1j]), "complex128"),
        (TypeError, np.array(["2020-01-01"], "M8[D]"), "datetime64"),
        (TypeError, np.array([1], "m8[s]"), "timedelta64"),
        (ValueError, [2**70], "2^53"),
        (TypeError, {"a": 1}, "object"),
        (TypeError, None, "object"),
        (TypeError, np.zeros(1, [("a", float)]), "a"),
        (ValueError, [[1.0], [1.0, 2.0]], "rows of equal length"),
    ],
)
def test_what_would_lose_something_is_refused(error: type[Exception], value: Any, part: str) -> None:
    assert part in complaint(error, as_float_array, value, np.float64)


def test_samples_have_two_dimensions_and_the_right_width() -> None:
    assert as_samples("name", np.zeros((0, 2)), 2, np.float64).shape == (0, 2)
    assert as_samples("name", np.zeros((3, 5)), None, np.float64).shape == (3, 5)
    for shape in ((), (2,), (1, 2, 2), (2, 3), (2, 0)):
        said = complaint(ValueError, as_samples, np.zeros(shape), 2, np.float64)
        assert f"(n, 2), not {shape}" in said
    assert "Use name[:, None]" in complaint(ValueError, as_samples, np.zeros(3), 1, np.float64)
    assert "Use name[None, :]" in complaint(ValueError, as_samples, np.zeros(3), 3, np.float64)
    assert "Use" not in complaint(ValueError, as_samples, np.zeros(4), 3, np.float64)


def bad_place(shape: tuple[int, ...], *places: Any) -> Array:
    array = np.zeros(shape)
    for place, value in places:
        array[place] = value
    return array


def test_values_that_are_not_finite_are_counted_and_the_first_is_located() -> None:
    check_finite("name", np.zeros((0, 2)))
    one = bad_place((3, 2), ((1, 0), np.nan))
    assert complaint(ValueError, check_finite, one) == (
        "Argument `name` must be finite, not with 1 NaN or infinite entry, the first (nan) at (1, 0)."
    )
    two = bad_place((3,), (1, -np.inf), (2, np.nan))
    assert "2 NaN or infinite entries, the first (-inf) at 1." in complaint(ValueError, check_finite, two)


@pytest.mark.parametrize(
    "mixed",
    [
        pd.DataFrame({"a": [2**53 + 1], "b": [0.5]}),
        [np.array([2**53 + 1, 0]), np.array([0.5, 1.0])],
        [[2**53 + 1, 0.5]],
    ],
    ids=["frame", "arrays", "lists"],
)
def test_integers_beyond_2_to_the_53_are_seen_beside_floats(mixed):
    with pytest.raises(ValueError, match=r"Argument `x` must hold integers of at most 2\^53"):
        as_float_array("x", mixed, np.float64)
