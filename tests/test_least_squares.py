"""Normal equations from local support are those of the whole Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KAN
from numkan.model import shared_squares
from numkan.model.curved import SQUARES, Entries
from numkan.model.least_squares import LeastSquares, SplineLayer, spline_layer
from numkan.model.losses import LOSSES
from numkan.model.shared_squares import SharedSquares, least_squares
from tests.small_networks import patchy


def spline_layers(model: KAN) -> tuple[list[SplineLayer], Any]:
    layers, coefs = zip(*map(spline_layer, model.act_fun), strict=True)
    return list(layers), np.concatenate([coef.reshape(-1) for coef in coefs])


def effective_jacobian(model: KAN, x: Any) -> Any:
    """The whole Jacobian by the effective coefficients, from the one by all parameters."""
    columns = []
    for parts, layer in zip(model.unravel(np.arange(model.n_params)), model.act_fun, strict=True):
        scale = layer.mask * layer.scale_sp
        places = parts["coef"].transpose(0, 2, 1).astype(int)
        columns.append((places, np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)))
    jac = model.jacobian(x)
    return np.concatenate(
        [(jac[:, :, places] * by[:, None, :]).reshape(*jac.shape[:2], -1) for places, by in columns], axis=2
    )


CASES = [
    ([2, 5, 1], {"grid": 4, "k": 3}),
    ([2, 5, 1], {"grid": 40, "k": 3}),
    ([3, 2, 2], {"grid": 30, "k": 5, "base_fun": "identity"}),
    ([2, 3, 2, 2], {"grid": [3, 25, 7], "k": [2, 3, 1]}),
    ([1, 1], {"grid": 5, "k": 0}),
    ([2, 2, 1], {"grid": 30, "k": 4, "extrapolate": "fade", "grid_range": (-0.7, 0.8)}),
    ([2, 2, 1], {"grid": 30, "k": 3, "base_fun": (np.sin, np.cos)}),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("width", "options"), CASES)
def test_they_are_those_of_the_jacobian(width, options, weighted):
    model = patchy(width, **options)
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-1.2, 1.2, (700, width[0])), rng.standard_normal((700, width[-1]))
    root = rng.uniform(0.1, 2, 700) if weighted else np.ones(700)
    layers, c = spline_layers(model)
    problem = LeastSquares(layers, x, y, root if weighted else None)
    jac = (root[:, None, None] * effective_jacobian(model, x)).reshape(-1, c.size)
    residuals = (root[:, None] * (model(x) - y)).reshape(-1)
    f, gradient, normal = problem.normal_equations(c)
    assert f == pytest.approx(residuals @ residuals, rel=1e-12)
    assert problem.loss(c) == pytest.approx(f, rel=1e-14)
    np.testing.assert_allclose(gradient, jac.T @ residuals, atol=1e-11 * (np.abs(jac).T @ np.abs(residuals)).max())
    np.testing.assert_allclose(normal, jac.T @ jac, atol=1e-12 * (np.abs(jac).T @ np.abs(jac)).max())
    assert (normal == normal.T).all()
    f, slope = problem.slope(c)
    assert f == pytest.approx(residuals @ residuals, rel=1e-12)
    np.testing.assert_allclose(slope, gradient, atol=1e-11 * (np.abs(jac).T @ np.abs(residuals)).max())


@pytest.mark.parametrize("grid", [3, 12, 60])
def test_segments_and_dense_products_agree(grid):
    model = patchy([2, 3, 1], grid=grid)
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-1, 1, (900, 2)), rng.standard_normal((900, 1))
    layers, c = spline_layers(model)
    (f, gradient, normal), (f2, gradient2, normal2) = (
        LeastSquares(layers, x, y, dense=dense).normal_equations(c) for dense in (False, True)
    )
    assert f == f2
    np.testing.assert_allclose(gradient, gradient2, atol=1e-12 * np.abs(gradient).max())
    np.testing.assert_allclose(normal, normal2, atol=1e-12 * np.abs(normal).max())


@pytest.mark.jit
def test_a_layer_of_many_outputs_is_fast_enough_to_be_dense():
    layers, _ = spline_layers(KAN([4, 20, 3], grid=3))
    assert LeastSquares(layers, np.zeros((5, 4)), np.zeros((5, 3))).dense
    layers, _ = spline_layers(KAN([2, 1, 1], grid=160))
    assert not LeastSquares(layers, np.zeros((5, 2)), np.zeros((5, 1))).dense


@pytest.mark.jit
def test_the_equations_of_many_samples_are_the_sums_over_their_parts():
    model = patchy([2, 3, 2], grid=20)
    rng = np.random.default_rng(5)
    x, y, root = rng.uniform(-1, 1, (9000, 2)), rng.standard_normal((9000, 2)), rng.uniform(0.1, 2, 9000)
    layers, c = spline_layers(model)
    whole = LeastSquares(layers, x, y, root).normal_equations(c)
    parts = [
        LeastSquares(layers, x[rows], y[rows], root[rows]).normal_equations(c)
        for rows in (slice(0, 700), slice(700, 1000), slice(1000, 9000))
    ]
    for ours, theirs in zip(whole, map(sum, zip(*parts, strict=True)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11 * np.abs(theirs).max())
    assert LeastSquares(layers, x, y, root).loss(c) == pytest.approx(whole[0], rel=1e-13)


# --- threads ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(shared_squares, "_ALONE", 40)
    monkeypatch.setattr(shared_squares, "_PART", 20)


@pytest.mark.parametrize("curved", [SQUARES, Entries(LOSSES["poisson"], np.zeros(1))])
def test_many_samples_have_the_same_sums_to_rounding_and_the_same_bits_for_any_threads(small_parts, curved):
    layers, c = spline_layers(patchy([2, 2, 1], grid=4))
    rng = np.random.default_rng(0)
    x, y, root = rng.uniform(-1, 1, (90, 2)), rng.integers(0, 4, (90, 1)).astype(float), rng.uniform(0.1, 2, 90)
    results = []
    for threads in (1, 2, 5):
        numkan.set_threads(threads)
        shared = least_squares(layers, x, y, root, curved=curved)
        assert isinstance(shared, SharedSquares)
        results.append((shared.loss(c), shared.scatter(c), *shared.slope(c), *shared.normal_equations(c)))
    whole = LeastSquares(layers, x, y, root, curved=curved)
    expected = (whole.loss(c), whole.scatter(c), *whole.slope(c), *whole.normal_equations(c))
    for a, b in zip(results[0], expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())
    assert len({tuple(np.asarray(part).tobytes() for part in result) for result in results}) == 1


def test_threads_take_parts_of_many_samples(small_parts, monkeypatch):
    """All of them, at least four, whose sizes differ by a sample at most."""
    seen = []
    whole = LeastSquares.loss
    monkeypatch.setattr(LeastSquares, "loss", lambda self, c: (seen.append(len(self.x)), whole(self, c))[1])
    layers, c = spline_layers(patchy([2, 2, 1], grid=4))
    for n in (40, 41, 90):
        seen.clear()
        least_squares(layers, np.zeros((n, 2)), np.zeros((n, 1))).loss(c)
        assert sum(seen) == n
        assert len(seen) == {40: 1, 41: 4, 90: 8}[n]
        assert max(seen) - min(seen) <= 1


def test_samples_are_one_part_where_matrices_are_large(small_parts, monkeypatch):
    monkeypatch.setattr(shared_squares, "_MOST_COEFFICIENTS", 41)
    layers = spline_layers(patchy([2, 2, 1], grid=4))[0]  # 6 x 7 coefficients
    assert not isinstance(least_squares(layers, np.zeros((90, 2)), np.zeros((90, 1))), SharedSquares)
