"""numkan._real: real numbers out of frames, objects and tensors, or an error that says what to do."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from numkan import KAN
from numkan._check import as_float_array
from numkan.conformance.law import assert_identical
from numkan.spline import B_batch

TABLE = pd.DataFrame({"size": [1.5, 2.0, 0.25], "city": ["Rome", "Bonn", "Rome"]})


def said_of(error: type[Exception], value: Any, dtype: Any = np.float64) -> str:
    with pytest.raises(error) as caught:
        as_float_array("x", value, dtype)
    return str(caught.value)


# --- what is accepted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        pd.get_dummies(TABLE),
        pd.get_dummies(TABLE, sparse=True),
        pd.get_dummies(TABLE).astype({"size": "Float64", "city_Bonn": "boolean"}),
        pd.get_dummies(TABLE).astype(object),
        pd.get_dummies(TABLE).astype({"city_Rome": "Int64"}),
        pd.get_dummies(TABLE).astype({"city_Rome": "category"}),
    ],
    ids=["dummies", "sparse dummies", "nullable", "objects", "nullable integers", "a category of booleans"],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_frames_of_numbers_of_different_dtypes_are_their_numbers(frame: pd.DataFrame, dtype: type) -> None:
    want = np.array([[1.5, 0, 1], [2, 1, 0], [0.25, 0, 1]], dtype)
    assert_identical(as_float_array("x", frame, dtype), want)
    model = KAN([3, 2], dtype=dtype)
    assert_identical(model(frame), model(want))


def test_columns_are_taken_by_their_place() -> None:
    twice = pd.DataFrame([[0.5, True], [1.5, False]], columns=["a", "a"])
    assert_identical(as_float_array("x", twice, np.float64), np.array([[0.5, 1], [1.5, 0]]))
    for none in (pd.DataFrame(index=range(3)), pd.get_dummies(TABLE)[:0]):
        assert as_float_array("x", none, np.float64).shape == none.shape


class Frame:
    """A frame of another library: names, columns by name, and no array of floats as a whole."""

    columns = ("a", "b")

    def __getitem__(self, name: str) -> Any:
        return {"a": np.array([1.5, 2.0]), "b": [True, False]}[name]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array([[1.5, True], [2.0, False]], object)


def test_frames_need_not_be_those_of_pandas() -> None:
    assert_identical(as_float_array("x", Frame(), np.float64), np.array([[1.5, 1], [2, 0]]))


def test_objects_that_are_real_numbers_are_numbers() -> None:
    objects = np.array([[1, 2.5, True], [Fraction(1, 4), Decimal("0.5"), np.float32(2)]], object)
    want = np.array([[1, 2.5, 1], [0.25, 0.5, 2]])
    assert_identical(as_float_array("x", objects, np.float64), want)
    assert_identical(as_float_array("x", objects.tolist(), np.float64), want)
    for series in (pd.Series([1, 2], dtype="Int64"), pd.Series([1, 2], dtype=object), pd.Series([True, False])):
        np.testing.assert_array_equal(as_float_array("x", series, np.float64), series.to_numpy(np.float64))


# --- what is refused ----------------------------------------------------------------------------------------------

TEXTS = " Use x.astype(float) for numbers written as text, pandas.get_dummies(x) for categories."


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (TABLE, f"dtype object with 'Rome' at row 0 of column 'city'.{TEXTS}"),
        (TABLE.astype({"city": object}), f"dtype object with 'Rome' at row 0 of column 'city'.{TEXTS}"),
        (TABLE.astype({"city": "category"}), f"dtype object with 'Rome' at row 0 of column 'city'.{TEXTS}"),
        (pd.DataFrame({"on": pd.to_datetime(["2020-01-01"]), "a": [1.0]}), "of column 'on'."),
        (np.array([1.0, "2"], object), f"dtype object with '2' at 1.{TEXTS}"),
        (np.array([[1.0, 2.0]] * 3 + [[1.0, {}]], object), "dtype object with {} at (3, 1)."),
        (["a", "b"], f"dtype <U1.{TEXTS}"),
        ([1.0, None], "dtype object with None at 1. Use x with the gaps filled or dropped."),
        (np.array([1.0, pd.NA], object), "dtype object with <NA> at 1. Use x with the gaps filled or dropped."),
        (np.array([1j], object), "dtype object with 1j at 0."),
    ],
)
def test_what_are_no_numbers_is_named_with_its_place_and_the_remedy(value: Any, said: str) -> None:
    got = said_of(TypeError, value)
    assert got.startswith("Argument `x` must hold real numbers, not ")
    assert got.endswith(said)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
def test_sparse_matrices_are_refused_with_the_remedy(make: Any) -> None:
    matrix = make(np.eye(2))
    want = f"must be a dense array, not a {type(matrix).__name__} of shape (2, 2) and dtype float64. Use x.toarray()."
    assert said_of(TypeError, matrix) == f"Argument `x` {want}"


def test_integers_among_objects_and_columns_are_exact_or_refused() -> None:
    for value in (np.array([2**53 + 1, 0.5], object), pd.DataFrame({"a": [2**53 + 1], "b": [True], "c": [0.5]})):
        assert said_of(ValueError, value).endswith("of at most 2^53 in magnitude, not 9007199254740993.")
    assert said_of(ValueError, [10**5000]).endswith("not an integer of 16610 bits.")
    assert said_of(ValueError, np.array([Fraction(10**400)])) == "Argument `x` must hold numbers that float64 holds."


def test_gaps_in_nullable_columns_are_no_numbers() -> None:
    """Some releases of pandas make NaN of them, and some an object."""
    gap = pd.DataFrame({"a": pd.array([1, None, 2], "Int64"), "b": [1.0, 2.0, 3.0]})
    with pytest.raises((ValueError, TypeError), match=r"^Argument `x` must .*(nan|NA).* at "):
        KAN([2, 1]).fit(gap, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("depth", [1, 3])
def test_a_list_that_holds_itself_is_an_error(depth: int) -> None:
    """NumPy would look into two of them for ever."""
    inner: list[Any] = []
    outer = inner
    for _ in range(depth - 1):
        outer = [outer, 1.0]
    inner += [outer, outer]
    assert said_of(ValueError, outer) == "Argument `x` must be an array, not a list that holds itself."
    with pytest.raises(ValueError, match="Argument `grid` must be an array, not a list that holds itself"):
        B_batch([[0.0]], outer, 1)
    same = [1.0, 2.0]
    assert as_float_array("x", [same, same], np.float64).shape == (2, 2)


class Tensor:
    """What a tensor says that needs a gradient, has a dtype that NumPy has not, or no data."""

    def __init__(self, error: Exception, is_meta: bool = False) -> None:
        self.shape, self.error, self.is_meta = (3, 2), error, is_meta

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.error

    def detach(self) -> Tensor:
        return self


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."),
        TypeError("Got unsupported ScalarType BFloat16"),
        NotImplementedError("Cannot copy out of meta tensor; no data!\nmore"),
    ],
)
def test_tensors_that_numpy_cannot_read_name_the_argument_and_the_remedy(error: Exception) -> None:
    meta = isinstance(error, NotImplementedError)
    said = said_of(TypeError, Tensor(error, meta))
    assert said.startswith("Argument `x` must be convertible to a NumPy array, not this Tensor (")
    assert said.endswith(" Use x.detach().cpu().double().numpy().") != meta
    assert "\n" not in said
    with pytest.raises(TypeError, match=r"^Argument `y` must be convertible to a NumPy array, not this Tensor"):
        KAN([2, 1]).loss(np.zeros((3, 2)), Tensor(error))


def test_memory_errors_come_through() -> None:
    with pytest.raises(MemoryError):
        as_float_array("x", Tensor(MemoryError()), np.float64)  # type: ignore[arg-type]


# --- what a dtype does not hold -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e300, -1e39])
def test_a_number_beyond_float32_is_named_as_it_was_given(value: float) -> None:
    model = KAN([2, 1], dtype=np.float32)
    x, y = np.zeros((3, 2)), np.zeros(3)
    bad_x, bad_y = x.copy(), y.copy()
    bad_x[1, 0] = bad_y[2] = value
    said = rf"must hold numbers that float32 holds, not {value:g} at ".replace("+", r"\+")
    for call, name, place in (
        (lambda: model.fit(bad_x, y), "x", r"\(1, 0\)"),
        (lambda: model.fit(bad_x.tolist(), y), "x", r"\(1, 0\)"),
        (lambda: model.fit(x, bad_y), "y", r"\(2, 0\)"),
        (lambda: model.loss(x, y, sample_weight=abs(bad_y)), "sample_weight", "2"),
        (lambda: model.update_grid_from_samples(bad_x), "x", r"\(1, 0\)"),
    ):
        sought = said.replace("-", "") if name == "sample_weight" else said
        with pytest.raises(ValueError, match=rf"^Argument `{name}` {sought}{place}"):
            call()
    with pytest.raises(ValueError, match=r"^Argument `x` must be finite, .* the first \(inf\) at \(0, 1\)"):
        model.fit([[0.0, np.inf]], [0.0])
