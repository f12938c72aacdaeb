"""model.derivatives beside the slow twin, its laws, and what it refuses."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.base import base_derivatives, base_function
from numkan.conformance import network_twin, twin
from numkan.conformance.adapter import Array
from numkan.spline.policies import EXTRAPOLATIONS

WITH_VALUES = [policy for policy in EXTRAPOLATIONS if policy not in ("nan", "raise")]


def network(seed: int = 0, **settings: Any) -> KAN:
    return KAN([2, 3, 2], grid=[4, 5], k=[5, 4], seed=seed, **settings)


def points(n: int = 24, reach: float = 1.3) -> Array:
    return np.random.default_rng(1).uniform(-reach, reach, (n, 2))


def silu_slopes(x: Array, nu: int) -> Array:
    """Derivatives of x s(x) in the plain, from those of s."""
    s = network_twin.sigmoid(x)
    d = [s, s * (1 - s), s * (1 - s) * (1 - 2 * s), s * (1 - s) * (1 - 6 * s + 6 * s * s)]
    return x * d[nu] + (nu * d[nu - 1] if nu else 0)


def edges_of(layer: Any, x: Array, nu: int) -> Array:
    """The edges (n, n_in, n_out) differentiated nu times: of de Boor's recursion, at complex x too."""
    splines = twin.basis(x, layer.grid, layer.k, layer.extrapolate, nu)
    curves = np.einsum("nip,iop->nio", splines, layer.coef)
    return layer.mask * (layer.scale_sp * curves + layer.scale_base * silu_slopes(x, nu)[:, :, None])


def slow(model: KAN, x: Array, a: int, b: int) -> tuple[Array, Array]:
    """d/dx_a and d2/dx_a dx_b of the outputs, by the chain rule on whole arrays; x may be complex."""
    first, second = {i: np.eye(2)[i] + 0 * x for i in (a, b)}, 0 * x
    for layer in model.act_fun:
        slope, bend = edges_of(layer, x, 1), edges_of(layer, x, 2)
        second = np.einsum("nio,ni,ni->no", bend, first[a], first[b]) + np.einsum("nio,ni->no", slope, second)
        first = {i: np.einsum("nio,ni->no", slope, v) for i, v in first.items()}
        x = edges_of(layer, x, 0).sum(axis=1)
    return first[a], second


@pytest.mark.parametrize("policy", WITH_VALUES)
def test_they_are_those_of_the_slow_twin_under_every_policy(policy: str) -> None:
    model, x = network(extrapolate=policy), points()
    u, du, d2u, d3u = model.derivatives(x, order=3, mixed=True)
    np.testing.assert_allclose(u, model(x), rtol=0, atol=1e-13)
    np.testing.assert_allclose(du, model.derivative(x), rtol=0, atol=1e-13)
    for a in range(2):
        for b in range(2):
            first, second = slow(model, x, a, b)
            np.testing.assert_allclose(du[:, :, a], first, rtol=0, atol=1e-12)
            np.testing.assert_allclose(d2u[:, :, a, b], second, rtol=0, atol=1e-10)
        stepped = x + 1e-30j * np.eye(2)[a]  # the third derivative: a complex step of the second
        np.testing.assert_allclose(d3u[:, :, a], slow(model, stepped, a, a)[1].imag / 1e-30, rtol=0, atol=1e-8)


def test_they_are_those_of_40_digits() -> None:
    """Of a network that mpmath evaluates by de Boor's recursion on its own, and differentiates."""
    mp = pytest.importorskip("mpmath")
    model = KAN([1, 2, 1], grid=4, k=5, seed=1)

    def function(knots: list[Any], p: int, k: int, x: Any) -> Any:
        if k == 0:
            return mp.mpf(knots[p] <= x < knots[p + 1])
        rising = (x - knots[p]) / (knots[p + k] - knots[p]) * function(knots, p, k - 1, x)
        falling = (knots[p + k + 1] - x) / (knots[p + k + 1] - knots[p + 1]) * function(knots, p + 1, k - 1, x)
        return rising + falling

    def network(x: Any) -> Any:
        nodes = [x]
        for layer in model.act_fun:
            grid, sums = [[mp.mpf(knot) for knot in row] for row in layer.grid], [mp.mpf(0)] * layer.n_out
            for i, node in enumerate(nodes):
                values = [function(grid[i], p, layer.k, node) for p in range(layer.G + layer.k)]
                for o in range(layer.n_out):
                    spline = sum(value * mp.mpf(c) for value, c in zip(values, layer.coef[i, o], strict=True))
                    silu = node / (1 + mp.exp(-node))
                    sums[o] += mp.mpf(layer.scale_sp[i, o]) * spline + mp.mpf(layer.scale_base[i, o]) * silu
            nodes = sums
        return nodes[0]

    for point in (-0.83, 0.13):
        found = model.derivatives([[point]], order=3)
        with mp.workdps(40):
            for nu, one in enumerate(found):
                exact = float(mp.diff(network, mp.mpf(point), nu))
                np.testing.assert_allclose(one.ravel(), exact, rtol=1e-12 * 20**nu, atol=1e-13 * 20**nu)


def test_each_order_is_the_beginning_of_the_next() -> None:
    model, x = network(), points()
    orders = [model.derivatives(x, order=order) for order in (1, 2, 3)]
    for shorter, longer in pairwise(orders):
        for one, other in zip(shorter, longer, strict=False):
            assert one.tobytes() == other.tobytes()


def test_mixed_derivatives_are_symmetric_and_hold_those_by_one_input() -> None:
    model, x = network(), points()
    matrices = model.derivatives(x, mixed=True)[2]
    assert matrices.tobytes() == np.ascontiguousarray(matrices.swapaxes(2, 3)).tobytes()
    np.testing.assert_array_equal(np.diagonal(matrices, axis1=2, axis2=3), model.derivatives(x)[2])


def test_they_are_linear_in_the_last_coefficients() -> None:
    models = [network(seed, sb_trainable=False, scale_base_sigma=0.0) for seed in (0, 0, 0)]
    rng = np.random.default_rng(2)
    one, other = (rng.normal(size=models[0].act_fun[1].coef.shape) for _ in range(2))
    for model, coef in zip(models, (one, other, 2 * one - other), strict=True):
        model.act_fun[1].coef[...] = coef
    found = [model.derivatives(points(), order=3) for model in models]
    for first, second, both in zip(*found, strict=True):
        np.testing.assert_allclose(both, 2 * first - second, rtol=0, atol=1e-11 * np.abs(first).max())


def test_the_chain_rule_holds_for_inputs_in_other_units() -> None:
    """x -> (x - 3) / 2 in every input: the same network on other knots."""
    model, x = network(base_fun="zero"), points(reach=0.99)
    other = model.copy()
    other.act_fun[0].grid = 2 * model.act_fun[0].grid + 3
    for nu, (one, two) in enumerate(zip(model.derivatives(x, 3), other.derivatives(2 * x + 3, 3), strict=True)):
        np.testing.assert_allclose(two * 2**nu, one, rtol=0, atol=1e-11 * np.abs(one).max())


@pytest.mark.jit
def test_a_row_has_the_same_bits_in_any_batch() -> None:
    model, x = KAN([3, 40, 2], k=4), np.random.default_rng(0).uniform(-1, 1, (400, 3))
    whole = model.derivatives(x)
    for part, rows in ((model.derivatives(x[:1]), slice(0, 1)), (model.derivatives(x[7:90]), slice(7, 90))):
        for one, other in zip(whole, part, strict=True):
            assert one[rows].tobytes() == other.tobytes()


def test_float32_stays_float32() -> None:
    x = points().astype(np.float32)
    for one, other in zip(network(dtype=np.float32).derivatives(x), network().derivatives(x), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-4 * np.abs(other).max())


@pytest.mark.parametrize("k", [0, 1, 2])
def test_derivatives_beyond_the_degree_are_0(k: int) -> None:
    model = KAN([1, 1], grid=4, k=k, base_fun="zero")
    x = np.linspace(-0.9, 0.9, 7)[:, None]
    for nu, one in enumerate(model.derivatives(x, order=3)):
        assert one.any() == (nu <= k)


def test_silu_has_derivatives_accurate_to_rounding() -> None:
    mp = pytest.importorskip("mpmath")
    x = np.array([-700.0, -30.0, -3.0, -0.2, 0.0, 0.5, 4.0, 25.0])
    for nu, found in enumerate(base_derivatives(base_function("silu"), x, 4)):
        with mp.workdps(60):
            truth = [float(mp.diff(lambda t: t / (1 + mp.exp(-t)), point, nu)) for point in x]
        np.testing.assert_allclose(found, truth, rtol=1e-13, atol=1e-16)
    far = base_derivatives(base_function("silu"), np.array([-np.inf, np.inf, np.nan]), 4)[2:]
    for one in far:
        np.testing.assert_array_equal(one, [0, 0, np.nan])


def test_a_users_base_function_brings_its_derivatives() -> None:
    waves = (np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x))
    x = points(5, 0.9)[:, :1]
    model = KAN([1, 1], base_fun=waves)
    model.act_fun[0].coef[...] = 0
    scale = model.act_fun[0].scale_base[0, 0]
    for one, wave in zip(model.derivatives(x, order=3), waves, strict=True):
        np.testing.assert_allclose(one.ravel(), scale * wave(x).ravel(), rtol=1e-14)
    assert KAN([1, 1], base_fun=model.act_fun[0].base_fun).derivatives(x, order=3)[3].shape == (5, 1, 1)


def test_too_few_derivatives_of_a_base_function_are_an_error() -> None:
    model = KAN([1, 1], base_fun=(np.sin, np.cos))
    assert len(model.derivatives([[0.5]], order=1)) == 2
    with pytest.raises(ValueError, match="Argument `base_fun` must have derivatives up to order 2 for this, not 1"):
        model.derivatives([[0.5]])


def test_what_they_refuse() -> None:
    model = network()
    with pytest.raises(ValueError, match=r"Argument `order` must lie in \[1, 3\], not 4"):
        model.derivatives(points(), order=4)
    with pytest.raises(ValueError, match="Argument `order` must be at least 1, not 0"):
        model.derivatives(points(), order=0)
    with pytest.raises(TypeError, match="Argument `mixed` must be True or False, not 1"):
        model.derivatives(points(), mixed=1)  # type: ignore[arg-type]


def test_points_outside_are_told_under_raise_and_nan_under_nan() -> None:
    with pytest.raises(ValueError, match="must lie inside the grid"):
        network(extrapolate="raise").derivatives([[0.0, 1.5]])
    assert all(np.isnan(one).all() for one in network(extrapolate="nan").derivatives([[0.0, 1.5]], order=3)[1:])
