"""Shapes that are known: outputs that rise, fall, are convex or concave in an input, and steps within bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from numkan import KAN
from numkan.conformance.law import assert_identical
from numkan.model.shapes import EdgeChart, Shapes
from numkan.optimize import LevenbergMarquardt, Nielsen
from numkan.optimize.bounded import Bounded, bounded_minimum
from numkan.spline import extend_grid
from numkan.train.data import Units
from numkan.train.known import Known
from numkan.train.point import Point
from numkan.train.splines import Splines

G, K = 6, 3
KNOTS = extend_grid(np.sort(np.random.default_rng(1).uniform(0, 1, (2, G + 1)), axis=1), k_extend=K)
SHAPE = (2, G + K, 3)


def shapes(rise: int, bend: int) -> Shapes:
    return Shapes(np.full((2, 3), rise, np.int8), np.full((2, 3), bend, np.int8))


def holds(coef: Any, rise: int, bend: int, slack: float) -> bool:
    """Whether slopes, and their differences, have the signs."""
    h = np.array([(t[K + 1 : -1] - t[1 : -K - 1]) / K for t in KNOTS])[:, :, None]
    slopes = np.diff(coef, axis=1) / h
    return bool((rise * slopes >= -slack).all() and (bend * np.diff(slopes, axis=1) >= -slack).all())


# --- steps within bounds ------------------------------------------------------------------------------------------


def test_the_least_point_within_bounds_is_that_of_non_negative_least_squares():
    rng = np.random.default_rng(0)
    for _ in range(40):
        n = int(rng.integers(1, 30))
        A, b = rng.standard_normal((2 * n, n)), rng.standard_normal(2 * n)
        found = bounded_minimum(A.T @ A, -A.T @ b, np.zeros(n))
        np.testing.assert_allclose(found, nnls(A, b)[0], atol=1e-12)


@pytest.mark.parametrize("n", [5, 40])
def test_the_least_point_of_an_ill_conditioned_matrix_has_no_wrong_multiplier(n):
    """Its equations hold to rounding where variables are free, and elsewhere the function rises from the bounds."""
    rng = np.random.default_rng(n)
    for damping in (1e-2, 1e-6, 1e-9):
        A = np.vander(np.linspace(0, 1, 60), n) @ rng.standard_normal((n, n))
        matrix, gradient, low = A.T @ A, A.T @ rng.standard_normal(60), -rng.uniform(0.0, 0.1, n)
        matrix += damping * np.diag(np.diagonal(matrix))
        found = bounded_minimum(matrix, gradient, low)
        size = np.sqrt(np.diagonal(matrix))
        slope, free = (matrix @ found + gradient) / size, found > low + 1e-12
        assert (found >= low - 1e-15).all()
        assert 0 < free.sum() < n
        slack = 1e-9 * np.abs(gradient / size).max()
        assert np.abs(slope[free]).max() < slack
        assert (slope[~free] > -slack).all()


def test_without_bounds_the_least_point_solves_the_equations_and_of_a_singular_matrix_there_is_none():
    A, b = np.random.default_rng(0).standard_normal((9, 5)), np.arange(5.0)
    found = bounded_minimum(A.T @ A, b, np.full(5, -np.inf))
    np.testing.assert_allclose(A.T @ A @ found, -b, atol=1e-11)
    assert bounded_minimum(np.ones((2, 2)), np.ones(2), np.full(2, -np.inf)) is None


@pytest.mark.parametrize("scaled", [False, True])
def test_a_step_that_meets_no_bound_is_that_of_a_free_fit(scaled):
    rng, slopes = np.random.default_rng(2), np.ones((2, 1, 3)) * np.arange(G + K)[:, None]
    A, b = rng.standard_normal((80, slopes.size)), rng.standard_normal(80)
    chart, damping = EdgeChart([(shapes(1, 0), KNOTS, K, SHAPE)]), 1e3

    def residuals(c: Any) -> Any:
        return A @ c - b, A

    rules = Nielsen(damping, scaled=scaled), Bounded(chart, damping, scaled=scaled)
    free, bounded = (LevenbergMarquardt(residuals, slopes.reshape(-1), rule=rule) for rule in rules)
    assert free.step()
    assert bounded.step()
    assert chart.variables(free.state.x)[chart.bounded].min() > 0.1
    np.testing.assert_allclose(bounded.state.x, free.state.x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rise", [-1, 0, 1])
@pytest.mark.parametrize("bend", [-1, 0, 1])
def test_variables_within_their_bounds_are_the_coefficients_of_curves_with_the_shape(rise, bend):
    chart, rng = EdgeChart([(shapes(rise, bend), KNOTS, K, SHAPE)]), np.random.default_rng(2)
    u = rng.standard_normal(np.prod(SHAPE))
    u[chart.bounded] = np.abs(u[chart.bounded])
    coef = chart.push(u)
    assert holds(coef.reshape(SHAPE), rise, bend, 1e-9)
    np.testing.assert_allclose(chart.variables(coef), u, atol=1e-10)
    A = rng.standard_normal((len(u), len(u)))
    T = np.array([chart.push(unit) for unit in np.eye(len(u))]).T
    np.testing.assert_allclose(chart.pull_normal(A @ A.T), T.T @ A @ A.T @ T, atol=1e-9)
    np.testing.assert_allclose(chart.pull_diagonal(A[:, 0]), T.T @ np.diag(A[:, 0]) @ T, atol=1e-9)
    np.testing.assert_allclose(chart.pull(A[0]), T.T @ A[0], atol=1e-10)


@pytest.mark.parametrize("rise", [-1, 0, 1])
@pytest.mark.parametrize("bend", [-1, 0, 1])
def test_curves_take_the_shape_and_stay_what_they_are_where_they_have_it(rise, bend):
    known, rng = shapes(rise, bend), np.random.default_rng(3)
    coef = known.of_shape(rng.standard_normal(SHAPE), KNOTS, K)
    assert holds(coef, rise, bend, 1e-9 if bend else 0.0)
    np.testing.assert_allclose(known.of_shape(coef, KNOTS, K), coef, atol=1e-12 if bend else 0.0)


# --- the law ------------------------------------------------------------------------------------------------------


def lines(rng: Any, n_in: int, i: int, size: float = 4.0) -> Any:
    """Yield points in order along input i, the others fixed; many of them are outside the grids, some very near."""
    for _ in range(8):
        x = np.repeat(rng.uniform(-size, size, (1, n_in)), 301, axis=0)
        x[:, i] = np.sort(np.concatenate([rng.uniform(-size, size, 251), 0.3 + 1e-9 * np.arange(50)]))
        yield x


def falls_by(model: Any, i: int, sign: int) -> float:
    """Return by how much outputs go the wrong way along an input, over their size."""
    worst, size = 0.0, 0.0
    for x in lines(np.random.default_rng(5), model.n_in, i):
        y = model(x).astype(np.float64)
        worst, size = max(worst, float(-(sign * np.diff(y, axis=0)).min())), max(size, float(np.abs(y).max()))
    return worst / size


@pytest.mark.jit
@pytest.mark.parametrize("extrapolate", ["linear", "clamp"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", [[3, 1], [3, 4, 2], [3, 4, 3, 1]], ids=str)
def test_networks_of_monotone_edges_are_monotone_everywhere_to_rounding(width, dtype, extrapolate):
    model = KAN(width, grid=4, extrapolate=extrapolate, dtype=dtype, noise_scale=3.0, base_fun="zero", seed=7)
    model.act_fun[-1].scale_sp[...] *= -1.5  # which the edges make up for
    known = Known((1, -1, 0), (0, 0, 0), (1,) * model.n_out)
    splines = known.applied(Splines.of(model))
    model = Point(model, splines, Units(np.zeros(model.n_out), 1.0), base=True).model
    unit = 64 * float(np.finfo(dtype).eps)
    assert falls_by(model, 0, 1) <= unit
    assert falls_by(model, 1, -1) <= unit
    assert falls_by(model, 2, 1) > 0.01
    assert np.ptp(model(next(lines(np.random.default_rng(5), 3, 0)))) > 0.01


# --- fits ---------------------------------------------------------------------------------------------------------


def data(n: int = 120, noise: float = 0.5) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (n, 2))
    return x, truth(x) + noise * rng.standard_normal(n)


def truth(x: Any) -> Any:
    """Rise in the first input, and be nearly flat at its ends."""
    return np.tanh(4 * x[:, 0]) * (1.5 + x[:, 1])


def fitted(width: Any, x: Any, y: Any, extrapolate: str = "linear", **options: Any) -> Any:
    model = KAN(width, extrapolate=extrapolate, seed=0)
    assert model.fit(x, y, restarts=3, **options).success
    return model


@pytest.mark.jit
@pytest.mark.parametrize("width", [[2, 1], [2, 3, 1]], ids=str)
def test_a_fit_rises_where_it_is_to_though_a_free_one_does_not(width):
    x, y = data()
    bare, model = fitted(width, x, y), fitted(width, x, y, monotonic=[1, 0])
    assert falls_by(bare, 0, 1) > 1e-3
    assert falls_by(model, 0, 1) < 1e-13
    at = np.random.default_rng(1).uniform(-1, 1, (500, 2))
    errors = [np.sqrt(np.mean(np.square(one(at)[:, 0] - truth(at)))) for one in (bare, model)]
    assert errors[1] < 1.1 * errors[0]


@pytest.mark.jit
def test_a_fit_without_noise_finds_a_monotone_function():
    x = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    y = np.exp(2 * x[:, 0]) - np.tanh(3 * x[:, 1])
    model = fitted([2, 1], x, y, monotonic=[1, -1])
    assert np.abs(model(x)[:, 0] - y).max() < 1e-4 * np.ptp(y)
    assert falls_by(model, 0, 1) < 1e-13
    assert falls_by(model, 1, -1) < 1e-13


@pytest.mark.jit
@pytest.mark.parametrize(
    ("monotonic", "function", "most"),
    [
        ([1, 1], lambda x: (x[:, 0] + 1.5) * (x[:, 1] + 1.5), 5e-5),
        ([1, 1], lambda x: np.hypot(x[:, 0] + 1.5, x[:, 1] + 1.5), 5e-5),
        ([1, 0], lambda x: np.tanh(4 * x[:, 0]) * (1.5 + x[:, 1]), 5e-5),
        ([1, 0], lambda x: np.exp(x[:, 0]) * (2 + np.sin(3 * x[:, 1])) + x[:, 1] ** 2, 1e-4),
    ],
    ids=["product", "length", "tanh", "mixed"],
)
def test_hidden_layers_that_are_to_rise_follow_functions_without_noise_into_the_corners_of_the_box(
    monotonic, function, most
):
    """Free fits err by 3e-6, 3e-6, 5e-5 and 8e-5."""
    rng = np.random.default_rng(1)
    x, at = rng.uniform(-1, 1, (300, 2)), rng.uniform(-1, 1, (5000, 2))
    model = KAN([2, 3, 1], extrapolate="linear", seed=1)
    model.fit(x, function(x), monotonic=monotonic, random_state=1)
    error = np.sqrt(np.mean(np.square(model(at)[:, 0] - function(at))))
    assert error < most * function(x).std()
    assert falls_by(model, 0, 1) < 1e-13


def test_of_one_free_input_all_nodes_of_the_last_hidden_layer_take_part():
    """Of more, or before further hidden layers, some nodes see free inputs only: their edges need no sense."""
    for rise, width, number in [((1, 0), [2, 3, 1], 3), ((1, 0, 0), [3, 3, 1], 2), ((1, 0), [2, 3, 3, 1], 2)]:
        splines = Known(rise, (0,) * len(rise), (1,)).applied(Splines.of(KAN(width, base_fun="zero", seed=0)))
        assert (splines.layers[0].live[0] > 0).sum() == number
        assert (splines.layers[0].live[1] > 0).all()


@pytest.mark.jit
@pytest.mark.parametrize(("monotonic", "convex"), [(None, [1, 0]), ([1, 0], [1, 0]), ([1, 0], [-1, 0])])
def test_a_sum_of_curves_is_convex_or_concave_as_it_is_told(monotonic, convex):
    x, y = data()
    model = fitted([2, 1], x, y, monotonic=monotonic, convex=convex)
    at = np.column_stack([np.linspace(-3, 3, 601), np.full(601, 0.2)])
    bends = np.diff(model(at)[:, 0], 2)
    assert (convex[0] * bends).min() > -1e-12 < np.abs(bends).max()
    assert monotonic is None or np.diff(model(at)[:, 0]).min() > -1e-12


@pytest.mark.jit
def test_a_fit_that_goes_on_takes_the_shape():
    x, y = data()
    model = fitted([2, 2, 1], x, y)
    assert falls_by(model, 0, 1) > 1e-3
    assert model.fit(x, y, start="keep", grids=None, monotonic=[1, 0]).success
    assert falls_by(model, 0, 1) < 1e-13


@pytest.mark.jit
@pytest.mark.parametrize("width", [[2, 2], [2, 2, 2]], ids=str)
def test_of_two_classes_the_odds_of_the_second_rise(width):
    x, y = data(300)
    model = fitted(width, x, (y > 0.5).astype(int), loss="cross_entropy", monotonic=[1, 0])
    for points in lines(np.random.default_rng(5), 2, 0):
        odds = np.diff(model(points), axis=1)[:, 0]
        assert np.diff(odds).min() > -1e-12
        assert np.ptp(odds) > 0.1


@pytest.mark.jit
def test_a_fit_that_was_stopped_goes_on_within_its_bounds(tmp_path):
    x, y = data(80)
    whole = fitted([2, 2, 1], x, y, monotonic=[1, 0])
    path, seen = tmp_path / "fit.npz", list[int]()

    def stop(state: Any) -> None:
        seen.append(state.step)
        if len(seen) == 9:
            raise KeyboardInterrupt

    model = KAN([2, 2, 1], extrapolate="linear", seed=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, restarts=3, monotonic=[1, 0], checkpoint=path, every=4, callback=stop)
    again = KAN([2, 2, 1], extrapolate="linear", seed=0)
    with pytest.raises(ValueError, match=r"^Argument `monotonic` must be \[1, 0\]"):
        again.fit(x, y, restarts=3, monotonic=[1, 1], resume=path)
    again.fit(x, y, restarts=3, monotonic=[1, 0], resume=path)
    assert_identical(again.params, whole.params)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"monotonic": [1]}, r"^Argument `monotonic` must have 2 entries"),
        ({"monotonic": [1, 2]}, r"^Argument `monotonic` must hold -1, 0 and 1 only, not 2"),
        ({"monotonic": [True, 0]}, r"^Argument `monotonic` must hold -1, 0 and 1 only, not True"),
        ({"monotonic": 1}, r"^Argument `monotonic` must be None or a list"),
        ({"monotonic": [1, 0], "method": "adam"}, r"^Argument `method` must be 'lm' where shapes are known"),
        ({"convex": [1, 0], "width": [2, 2, 1]}, r"^Argument `convex` must be None for a model of 2 layers"),
        ({"monotonic": [1, 0], "extrapolate": "continue"}, r"^Argument `monotonic` must be None for a model whose"),
        ({"convex": [1, 0], "extrapolate": "clamp"}, r"^Argument `convex` must be None for a model whose"),
        ({"monotonic": [1, 0], "start": "keep"}, r"^Argument `monotonic` must be None for a model that goes on with"),
    ],
)
def test_shapes_that_cannot_be_kept_are_refused_and_the_model_is_as_it_was(options, error):
    options = {"width": [2, 1], "extrapolate": "linear", **options}
    model = KAN(options.pop("width"), extrapolate=options.pop("extrapolate"), seed=0)
    before = model.params
    with pytest.raises((ValueError, TypeError), match=error):
        model.fit(*data(), **options)
    assert_identical(model.params, before)


def test_shapes_of_more_than_two_classes_are_refused():
    with pytest.raises(ValueError, match=r"^Argument `monotonic` must be None for 3 classes"):
        KAN([2, 3], extrapolate="clamp").fit(np.ones((3, 2)), [0, 1, 2], loss="cross_entropy", monotonic=[1, 0])
