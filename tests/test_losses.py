"""numkan.model.losses: values and slopes against the slow twin, weights, and what targets must be."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan import KAN, Huber, get_threads, set_threads
from numkan.conformance.adapter import Array
from numkan.model import loss_kernels
from numkan.model.direct_kernels import gradient_direct, loss_direct
from numkan.model.losses import LOSSES, loss_function
from numkan.model.regularization import Penalties, objective_and_grad
from numkan.model.targets import targets
from tests import naive_network as naive

FLOATS = (np.float64, np.float32)


def of(y: Array, target: Any, loss: Any, weight: Any = None) -> tuple[float, Array]:
    """A loss and its slope by the outputs."""
    slope = np.full_like(y, np.nan)
    goal = targets(target, len(y), y.shape[1], y.dtype, loss, weight)
    if goal.is_compiled:
        return goal.part(slice(0, len(y)), y, slope), slope
    value, linear = goal.linear(y)
    assert linear.part(slice(0, len(y)), y, slope) == 0
    return value, slope


def huber(y: Array, target: Array, weight: Any = None) -> Any:
    """The Huber loss of delta 1, which takes complex numbers."""
    e = y - target
    size = np.where(e.real < 0, -e, e)
    return naive_mean(np.where(size.real <= 1, e * e / 2, size - 0.5), weight)


def naive_mean(values: Array, weight: Any) -> Any:
    share = np.full(len(values), 1 / len(values)) if weight is None else weight / weight.sum()
    return (share[:, None] * values).sum() / values.shape[1]


def logistic(y: Array, target: Array, weight: Any = None) -> Any:
    return naive_mean(np.log(1 + np.exp(y)) - target * y, weight)


def poisson(y: Array, target: Array, weight: Any = None) -> Any:
    return naive_mean(np.exp(y) - target * y, weight)


TWINS = {**naive.LOSSES, "huber": huber, "logistic": logistic, "poisson": poisson}

#: Of counts, whose mean is exp(prediction): not a function of a difference.
POISSON = (lambda p, t: np.exp(p) - t * p, lambda p, t: np.exp(p) - t, lambda p, t: np.exp(p))
LOGCOSH = (lambda p, t: np.log(np.cosh(p - t)), lambda p, t: np.tanh(p - t))


def slope_by_complex_steps(twin: Any, y: Array, target: Array, weight: Any = None) -> Array:
    out = np.empty(y.shape)
    for place in np.ndindex(y.shape):
        moved = y.astype(complex)
        moved[place] += naive.STEP * 1j
        out[place] = np.imag(twin(moved, target, weight)) / naive.STEP
    return out


def example(seed: int, n: int, n_out: int, loss: str, dtype: type = np.float64) -> tuple[Array, Any, Array]:
    rng = np.random.default_rng(seed)
    n_out = 1 if loss == "logistic" else n_out
    y, weight = 4 * rng.normal(size=(n, n_out)).astype(dtype), rng.uniform(0, 2, n).astype(dtype)
    target: Any = {
        "cross_entropy": lambda: rng.integers(0, n_out, n),
        "logistic": lambda: rng.integers(0, 2, (n, 1)).astype(dtype),
        "poisson": lambda: rng.poisson(3, (n, n_out)).astype(dtype),
    }.get(loss, lambda: rng.normal(size=(n, n_out)).astype(dtype))()
    return y, target, weight


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 1000), n=st.integers(1, 6), n_out=st.integers(1, 5))
def test_values_and_slopes_are_those_of_the_slow_twin(
    loss: str, dtype: type, weighted: bool, seed: int, n: int, n_out: int
) -> None:
    y, target, weight = example(seed, n, n_out, loss, dtype)
    value, slope = of(y, target, loss, weight if weighted else None)
    labels = loss == "cross_entropy"
    exact = y.astype(float), target.astype(int if labels else float), weight.astype(float) if weighted else None
    eps = np.finfo(dtype).eps
    want = TWINS[loss](*exact)
    size = want if loss == "mse" else abs(want) + np.abs(y).max() + (0 if labels else np.abs(target).max())
    grown = np.exp(exact[0]) if loss == "poisson" else np.zeros(y.shape)
    if loss in ("logistic", "poisson"):
        size += ((1 + np.abs(y)) * grown + np.abs(y * target)).max()
    assert type(value) is float
    assert abs(value - want) <= 16 * eps * size
    assert slope.dtype == dtype
    share = weight.astype(float) / weight.sum(dtype=float) if weighted else np.full(n, 1 / n)
    terms = share[:, None] * (1 + 0 * y if labels else np.abs(y) + np.abs(exact[1]) + (1 + np.abs(y)) * grown + 1) * 2
    want_slope = slope_by_complex_steps(TWINS[loss], *exact)
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
    ("hinge", np.zeros((3, 2)), None, r"`loss` must be one of 'mse', .*, 'poisson', not 'hinge'\.$"),
    ("logistic", np.zeros((3, 2)), None, r"`loss` must not be 'logistic' for a network of 2 outputs: use "),
    ("poisson", [[0, 1], [2, -0.5], [0, 0]], None, r"`y` must not be negative for the loss 'poisson', not -0\.5\."),
    ("crossentropy", [0, 1, 1], None, r"`loss` must be one of .* Did you mean 'cross_entropy'\?$"),
]


@pytest.mark.parametrize(("loss", "y", "weight", "message"), BAD)
def test_bad_targets_are_one_sentence(loss: str, y: Any, weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^Argument {message}"):
        targets(y, 3, 2, np.dtype(np.float64), loss, weight)


@pytest.mark.parametrize("bad", [0.5, -1.0, 2.0])
def test_the_logistic_loss_is_of_targets_0_and_1(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"^Argument `y` must hold 0 or 1 for the loss 'logistic', not {bad:g}\.$"):
        targets([[0], [bad], [1]], 3, 1, np.dtype(np.float64), "logistic")


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_curvatures_and_least_values_of_likelihoods_are_those_of_their_values(loss: str) -> None:
    y, target, _ = example(0, 40, 1, loss)
    function, step = loss_function(loss), 1e-6
    difference = (function.derivative(y + step, target) - function.derivative(y - step, target)) / (2 * step)
    np.testing.assert_allclose(function.curvature(y, target), difference, rtol=1e-6, atol=1e-8)
    best = np.log(np.maximum(target, 1e-9)) if loss == "poisson" else np.where(target, 50.0, -50.0)
    np.testing.assert_allclose(function.value(best, target), function.least(target), atol=1e-7)


def test_a_loss_needs_a_sample() -> None:
    with pytest.raises(ValueError, match="`x` must have at least one row"):
        targets(np.zeros((0, 2)), 0, 2, np.dtype(np.float64), "mse")


# --- losses that Python computes ----------------------------------------------------------------------------------


class LogCosh:
    """A loss as an object."""

    def value(self, prediction: Array, target: Array) -> Any:
        return np.log(np.cosh(prediction - target))

    def derivative(self, prediction: Array, target: Array) -> Any:
        return np.tanh(prediction - target)


def network(width: list[int], dtype: type = np.float64, n: int = 7) -> tuple[KAN, Array, Array, Array]:
    rng = np.random.default_rng(0)
    model = KAN(width, grid=3, seed=0, dtype=dtype)
    samples = rng.uniform(-1, 1, (n, width[0])), 2 * rng.normal(size=(n, width[-1])), rng.uniform(0.1, 2, n)
    x, y, weight = (array.astype(dtype) for array in samples)
    return model, x, y, weight


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize(
    "loss", ["huber", Huber(0.3), LOGCOSH, LogCosh(), POISSON], ids=["huber", "0.3", "tuple", "object", "counts"]
)
@pytest.mark.parametrize("width", [[2, 3, 2], [2, 40, 1]], ids=str)
def test_a_gradient_is_the_pull_back_of_the_slope_by_the_outputs(width: list[int], loss: Any, dtype: type) -> None:
    model, x, y, weight = network(width, dtype)
    outputs, function = model(x), loss_function(loss)
    share = weight[:, None] / weight.sum() / y.shape[1]
    value, grad = model.loss_and_grad(x, y, loss, weight)
    eps = float(np.finfo(dtype).eps)
    assert value == pytest.approx(float((share * function.value(outputs, y)).sum()), rel=20 * eps)
    assert value == model.loss(x, y, loss, weight)
    want = model.vjp(x, share * function.derivative(outputs, y))[0]
    assert grad.dtype == dtype
    np.testing.assert_allclose(grad, want, rtol=200 * eps, atol=20 * eps * np.abs(want).max())


@given(seed=st.integers(0, 1000), delta=st.floats(0.01, 10))
def test_slopes_and_curvatures_of_huber_are_those_of_its_value(seed: int, delta: float) -> None:
    y, target, _ = example(seed, 5, 2, "huber")
    loss, step = Huber(delta), 1e-6
    away = abs(abs(y - target) - delta) > 2 * step
    for f, slope in ((loss.value, loss.derivative), (loss.derivative, loss.curvature)):
        difference = (f(y + step, target) - f(y - step, target)) / (2 * step)
        np.testing.assert_allclose(difference[away], slope(y, target)[away], atol=1e-7)
    np.testing.assert_allclose(loss.rescaled(4.0).value(y / 4, target / 4) * 16, loss.value(y, target))


def test_huber_neither_overflows_nor_hides_nan() -> None:
    y, target = np.array([[1e38, -3e38, np.nan]], np.float32), np.zeros((1, 3), np.float32)
    np.testing.assert_array_equal(Huber().value(y, target)[0, :2], y[0, :2] * np.float32([1, -1]))
    np.testing.assert_array_equal(Huber().derivative(y, target), [[1, -1, np.nan]])


def test_with_penalties_a_gradient_is_the_sum_of_both() -> None:
    model, x, y, weight = network([2, 3, 2])
    for penalties in (Penalties(lamb=0.1), Penalties(lamb=0.1, lamb_l1=0, lamb_entropy=0, lamb_coef=1)):
        both = objective_and_grad(model, x, y, penalties, LOGCOSH, weight)
        squares = objective_and_grad(model, x, y, penalties, "mse", weight)
        alone = model.loss_and_grad(x, y, LOGCOSH, weight)
        assert both.loss == pytest.approx(alone[0], rel=1e-14)
        assert both.regularization == squares.regularization
        pull = squares.grad - model.loss_and_grad(x, y, "mse", weight)[1]
        np.testing.assert_allclose(both.grad, alone[1] + pull, atol=1e-13)


@pytest.mark.parametrize("width", [[2, 3, 2], [2, 40, 1]], ids=str)
@pytest.mark.jit
def test_bits_are_the_same_for_any_number_of_threads(width: list[int]) -> None:
    model, x, y, weight = network(width, n=3000)
    results = []
    before = get_threads()
    try:
        for threads in (1, 2, 3):
            set_threads(threads)
            value, grad = model.loss_and_grad(x, y, LOGCOSH, weight)
            results.append((value, grad.tobytes()))
    finally:
        set_threads(before)
    assert results == results[:1] * 3


@pytest.mark.parametrize(
    ("loss", "want"),
    [
        ("mse", 2.5),
        (Huber(100.0), 2.5),
        (Huber(1e-3), 1.0),
        (POISSON, np.log(2.5)),
        ((np.add, lambda p, t: p * 0 - 1), 0),
    ],
)
def test_the_best_constant_is_where_the_mean_slope_is_zero(loss: Any, want: float) -> None:
    y = np.array([[0.0], [1.0], [1.0], [8.0]])
    found = loss_function(loss).best_constant(y, None)
    np.testing.assert_allclose(found, [want], atol=2e-3 if loss == Huber(1e-3) else 1e-12)
    twice = loss_function(loss).best_constant(y[:3], np.array([1.0, 2.0, 0.0]))
    np.testing.assert_allclose(twice, loss_function(loss).best_constant(y[[0, 1, 1]], None), atol=1e-12)


def test_a_fit_by_huber_passes_by_outliers() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 1))
    y = 3 + np.sin(3 * x)
    y[::15] += 50
    errors = {}
    for loss in ("mse", "huber", LogCosh()):
        model = KAN([1, 1], grid=3, seed=0)
        result = model.fit(x, y, loss=loss, method="lbfgs", grids=None, steps=60)
        errors[result.loss_name] = np.abs(model(x) - 3 - np.sin(3 * x)).max()
        assert result.success
        assert result.loss == pytest.approx(model.loss(x, y, loss), rel=1e-12)
    assert max(errors["huber"], errors["custom"]) < 0.1 * errors["mse"]
    assert "Losses are means of the given loss." in str(result)


@pytest.mark.jit
@pytest.mark.parametrize("unit", [1.0, 1e-6])
def test_huber_by_levenberg_marquardt_finds_its_scale_and_passes_by_outliers(unit: float) -> None:
    """Also the noise is that of most samples, and least squares say that tails are heavy."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 2))
    f = unit * (np.sin(3 * x[:, :1]) + x[:, 1:] ** 2)
    y = f + unit * 0.1 * rng.standard_normal((200, 1))
    y[::20] += 20 * unit
    robust, squares = KAN([2, 1], seed=0), KAN([2, 1], seed=0)
    result, other = robust.fit(x, y, loss="huber"), squares.fit(x, y)
    assert result.chosen["method"].startswith("lm: ")
    delta = float(result.chosen["loss"].split("delta=")[1].split(")")[0])
    assert delta == pytest.approx(0.1345 * unit, rel=0.3)
    assert result.loss == pytest.approx(robust.loss(x, y, Huber(delta)), rel=1e-9)
    assert np.sqrt(np.mean((robust(x) - f) ** 2)) < 0.1 * unit < 0.2 * np.sqrt(np.mean((squares(x) - f) ** 2))
    assert result.noise == pytest.approx(0.1 * unit, rel=0.4)
    assert "heavy tails: 10 of 200" in other.message
    assert "tails" not in result.message


@pytest.mark.jit
def test_least_squares_of_normal_noise_and_of_none_say_nothing_of_tails() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 2))
    f = np.sin(3 * x[:, :1]) + np.abs(x[:, 1:])
    for noise in (0.0, 0.1):
        result = KAN([2, 1], seed=0).fit(x, f + noise * rng.standard_normal((200, 1)))
        assert "tails" not in result.message


@pytest.mark.jit
def test_a_delta_that_is_given_is_kept() -> None:
    _, x, y, _ = network([2, 2], n=60)
    model = KAN([2, 2], seed=0)
    result = model.fit(x, y, loss=Huber(0.5))
    assert result.chosen["method"].startswith("lm: ")
    assert "loss" not in result.chosen
    assert result.loss == pytest.approx(model.loss(x, y, Huber(0.5)), rel=1e-9)


def test_the_unit_of_targets_does_not_matter_to_huber_if_delta_has_it_too() -> None:
    _, x, y, _ = network([2, 2], n=40)
    one, other = (KAN([2, 2], grid=3, seed=0) for _ in range(2))
    one.fit(x, y, loss=Huber(0.5), method="lbfgs", steps=15, grids=None)
    other.fit(x, 1024 * y, loss=Huber(512.0), method="lbfgs", steps=15, grids=None)
    np.testing.assert_array_equal(other(x), 1024 * one(x))


def test_adam_fits_counts_by_a_loss_of_the_users() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    counts = rng.poisson(np.exp(4 + x))
    model = KAN([1, 1], grid=3, seed=0)
    options = {"steps": 150, "batch_size": 50, "grids": None, "validation": 0.2}
    result = model.fit(x, counts, loss=POISSON, method="adam", **options)
    assert result.success
    assert np.abs(model(x) - 4 - x).mean() < 0.15 < np.abs(np.log(counts.mean()) - 4 - x).mean()


@pytest.mark.parametrize("bad", [None, 3, np.sin, (np.sin,), (np.sin, 1), LogCosh, [np.sin, np.cos], (np.sin,) * 4])
def test_what_is_no_loss_is_refused(bad: Any) -> None:
    model, x, y, _ = network([2, 2])
    with pytest.raises(TypeError, match=r"^Argument `loss` must be 'mse', .*, or an object with such methods, not "):
        model.loss(x, y, bad)


def write_into(p: Array, t: Array) -> Array:
    p -= t
    return p


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ((lambda p, t: 1.0, np.subtract), r"a value that maps two arrays of shape \(7, 2\) .*, not to shape \(\)"),
        ((np.subtract, lambda p, t: (p - t)[0]), "a derivative that maps two arrays"),
        ((np.subtract, lambda p, t: 1j * p), "of dtype complex128"),
        ((write_into, np.subtract), "a value that maps arrays to arrays, not fail: .* read-only"),
    ],
)
def test_functions_that_do_not_answer_as_said_are_an_error_and_the_model_stays(loss: Any, message: str) -> None:
    model, x, y, _ = network([2, 2])
    before = model.params
    for call in (model.loss_and_grad, lambda x, y, loss: model.fit(x, y, loss=loss, steps=2)):
        with pytest.raises(ValueError, match=f"^Argument `loss` must have .*{message}"):
            call(x, y, loss)
    np.testing.assert_array_equal(model.params, before)


@pytest.mark.parametrize("delta", [0.0, -1.0, np.nan])
def test_delta_must_be_positive(delta: float) -> None:
    with pytest.raises(ValueError, match="`delta` must be"):
        Huber(delta)


def held(function: Any, found: dict[int, Any]) -> list[Any]:
    """What a kernel's code can reach: the functions in its closure and globals, and in theirs."""
    function = getattr(function, "py_func", function)
    if isinstance(function, FunctionType) and id(function) not in found:
        found[id(function)] = function
        names = function.__code__.co_names
        for value in [cell.cell_contents for cell in function.__closure__ or ()] + [
            function.__globals__[name] for name in names if name in function.__globals__
        ]:
            held(value, found)
    return list(found.values())


def test_kernels_of_squares_hold_no_other_loss() -> None:
    """What they hold is compiled with them."""
    squares, other = (
        getattr(kernel, "py_func", kernel) for kernel in (loss_kernels.squared, loss_kernels.cross_entropy)
    )
    dtype, mse = np.dtype(np.float64), LOSSES["mse"]
    for entry in (gradient_direct(3, dtype, mse), loss_direct(mse, dtype)):
        names = held(entry._kernel, {})
        assert squares in names
        assert other not in names
