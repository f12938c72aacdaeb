"""numkan.model.losses: values and slopes against the slow twin, weights, and what targets must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.model.losses import LOSSES, targets
from tests import naive_network as naive
from tests.laws import Array

FLOATS = (np.float64, np.float32)


def of(y: Array, target: Any, loss: str, weight: Any = None) -> tuple[float, Array]:
    """A loss and its slope by the outputs."""
    slope = np.full_like(y, np.nan)
    goal = targets(target, len(y), y.shape[1], y.dtype, loss, weight)
    return goal.part(slice(0, len(y)), y, slope), slope


def example(seed: int, n: int, n_out: int, loss: str, dtype: type = np.float64) -> tuple[Array, Any, Array]:
    rng = np.random.default_rng(seed)
    y, weight = 4 * rng.normal(size=(n, n_out)).astype(dtype), rng.uniform(0, 2, n).astype(dtype)
    return (
        y,
        rng.integers(0, n_out, n) if loss == "cross_entropy" else rng.normal(size=(n, n_out)).astype(dtype),
        weight,
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 1000), n=st.integers(1, 6), n_out=st.integers(1, 5))
def test_values_and_slopes_are_those_of_the_slow_twin(
    loss: str, dtype: type, weighted: bool, seed: int, n: int, n_out: int
) -> None:
    y, target, weight = example(seed, n, n_out, loss, dtype)
    value, slope = of(y, target, loss, weight if weighted else None)
    exact = y.astype(float), target.astype(float if loss == "mse" else int), weight.astype(float) if weighted else None
    eps = np.finfo(dtype).eps
    want = naive.LOSSES[loss](*exact)
    size = want if loss == "mse" else want + np.abs(y).max()
    assert type(value) is float
    assert abs(value - want) <= 16 * eps * size
    assert slope.dtype == dtype
    share = weight.astype(float) / weight.sum(dtype=float) if weighted else np.full(n, 1 / n)
    terms = share[:, None] * (np.abs(y) + np.abs(exact[1]) if loss == "mse" else 1 + 0 * y) * 2
    want_slope = naive.loss_slope(exact[0], exact[1], loss, exact[2])
    assert (np.abs(slope - want_slope) <= 16 * eps * terms).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_integer_weights_are_repeated_samples_and_scale_does_not_matter(loss: str) -> None:
    y, target, _ = example(0, 4, 3, loss)
    weight = np.array([2.0, 0.0, 1.0, 3.0])
    repeated = np.repeat(np.arange(4), weight.astype(int))
    value, slope = of(y, target, loss, weight)
    assert of(y[repeated], target[repeated], loss)[0] == pytest.approx(value, rel=1e-14)
    assert of(y, target, loss, 8 * weight)[0] == value
    np.testing.assert_array_equal(of(y, target, loss, 8 * weight)[1], slope)
    assert not slope[1].any()


def test_one_output_takes_targets_of_one_dimension() -> None:
    y, target, _ = example(1, 5, 1, "mse")
    assert of(y, target[:, 0], "mse")[0] == of(y, target, "mse")[0]


def test_cross_entropy_holds_where_exponentials_overflow() -> None:
    y = np.array([[1e4, 0.0, -1e4], [-1e308, 1e308, 0.0]])
    with np.errstate(over="ignore"):  # the JIT off: -1e308 less 1e308
        value, slope = of(y, [1, 1], "cross_entropy")
    assert value == 5e3
    np.testing.assert_array_equal(slope, [[0.5, -0.5, 0], [0, 0, 0]])


def test_cross_entropy_takes_labels_of_any_number_type() -> None:
    y, target, _ = example(2, 5, 3, "cross_entropy")
    want = of(y, target, "cross_entropy")[0]
    for labels in (target.tolist(), target.astype(np.uint8), target.astype(float), target.astype(">i4")):
        assert of(y, labels, "cross_entropy")[0] == want
    assert of(y[:, :2], np.array([True, False, True, True, False]), "cross_entropy")[0] > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_nan_outputs_give_a_nan_loss(loss: str) -> None:
    y, target, _ = example(3, 3, 2, loss)
    y[1, 0] = np.nan
    value, slope = of(y, target, loss)
    assert np.isnan(value)
    assert np.isnan(slope[1]).any()
    assert np.isfinite(slope[[0, 2]]).all()


BAD = [
    ("mse", np.zeros((3, 1)), None, r"`y` must have shape \(3, 2\), not \(3, 1\)\."),
    ("mse", np.zeros(3), None, r"`y` must have shape \(3, 2\), not \(3,\)\."),
    ("mse", np.zeros((3, 2, 1)), None, r"`y` must have shape \(3, 2\), not \(3, 2, 1\)\."),
    (
        "mse",
        [[0, 1], [np.nan, 1], [np.inf, 1]],
        None,
        r"`y` must be finite, not with 2 .*, the first \(nan\) at \(1, 0",
    ),
    ("mse", np.zeros((3, 2)), [1, 1], r"`sample_weight` must have shape \(3,\), not \(2,\)\."),
    ("mse", np.zeros((3, 2)), [[1], [1], [1]], r"`sample_weight` must have shape \(3,\), not \(3, 1\)\."),
    ("mse", np.zeros((3, 2)), [1, -0.5, 1], r"`sample_weight` must not be negative, not -0\.5\."),
    ("mse", np.zeros((3, 2)), [0, 0, 0], r"`sample_weight` must have a positive sum, not 0\."),
    ("mse", np.zeros((3, 2)), [1, np.inf, 1], r"`sample_weight` must be finite, not with 1 .* at 1\."),
    ("cross_entropy", [[0], [1], [0]], None, r"`y` must have shape \(3,\) of integer labels, not \(3, 1\)\."),
    ("cross_entropy", [0, 1, 0.5], None, r"`y` must hold integer labels, not 0\.5\."),
    ("cross_entropy", [0, 1, 2], None, r"`y` must hold labels in \[0, 2\), not 2\."),
    ("cross_entropy", [0, -1, 1], None, r"`y` must hold labels in \[0, 2\), not -1\."),
    ("cross_entropy", [0, np.nan, 1], None, r"`y` must be finite, not with 1 "),
    ("hinge", np.zeros((3, 2)), None, r"`loss` must be one of 'mse', 'cross_entropy', not 'hinge'\.$"),
    ("crossentropy", [0, 1, 1], None, r"`loss` must be one of .* Did you mean 'cross_entropy'\?$"),
]


@pytest.mark.parametrize(("loss", "y", "weight", "message"), BAD)
def test_bad_targets_are_one_sentence(loss: str, y: Any, weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^Argument {message}"):
        targets(y, 3, 2, np.dtype(np.float64), loss, weight)


def test_a_loss_needs_a_sample() -> None:
    with pytest.raises(ValueError, match="`x` must have at least one row"):
        targets(np.zeros((0, 2)), 0, 2, np.dtype(np.float64), "mse")
