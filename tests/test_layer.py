"""numkan.layer: every kernel against its slow twin, and what a KANLayer shows of its numbers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import BSpline

from numkan import KANLayer, get_threads, set_threads
from numkan.conformance.adapter import Array
from numkan.conformance.law import assert_identical, assert_within
from numkan.layer.buffers import thread_array, thread_arrays
from numkan.layer.edges import Edges, padded, pull_gradient
from numkan.layer.initialize import draw
from numkan.layer.jacobian import fill_jacobian, pull_back, tangent
from numkan.layer.pack import GradientSink, Source, add_gradient, new_packed, pack, pack_tangent, unpack_gradient
from numkan.layer.packed import PackedLayer
from numkan.model import Network
from numkan.spline import extend_grid
from tests import naive_network as naive
from tests.naive_network import KINDS, Layer
from tests.network_cases import AGAIN, BASES, DOUBLE, SINGLE, TANH, layer_of, random_layer, random_points

FLOATS = (np.float64, np.float32)
SHAPES = ((1, 1), (3, 2), (2, 9))
N = 6


def example(k: int, dtype: Any, shape: tuple[int, int] = (3, 2), **options: Any) -> tuple[Layer, Array]:
    rng = np.random.default_rng(100 * k + sum(shape))
    layer = random_layer(rng, *shape, 4, k, **options).astype(dtype)
    return layer, random_points(rng, layer, N)


def noise(seed: int, *shape: int, dtype: Any = np.float64) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def native(array: Array) -> Array:
    """(n_in, n_out, p) as coefficients lie in memory, (n_in, p, n_out)."""
    return np.ascontiguousarray(array.transpose(0, 2, 1))


def backward(packed: PackedLayer, x: Array, y_bar: Array, **options: Any) -> tuple[Array, Array]:
    """Return the gradient by the packed coefficients, as a sink gets it whose scales and mask are 1, and by x."""
    n_in, n_rows, width = packed.coefs.shape
    coef, scale = np.ones((n_in, n_rows - 1, width), x.dtype), np.ones((n_in, width), x.dtype)
    bars = np.full_like(coef, np.nan), np.full_like(scale, np.nan), np.empty_like(scale)
    sink = GradientSink(coef, scale, scale, *bars, np.zeros(n_in, np.bool_))
    x_bar = packed.backward(x, y_bar, sink, **options)
    assert sink.started.all()
    return np.concatenate([bars[0], bars[1][:, None]], axis=1), x_bar


def check_kernels(layer: Layer, x: Array) -> None:
    """Forward and backward of one layer in both families, tangent, Jacobian and pull-back, against the twins."""
    eps, dtype = np.finfo(x.dtype).eps, x.dtype
    exact, at = layer.astype(float), x.astype(float)
    n_in, n_out = layer.mask.shape
    fast = layer_of(layer)
    packed = fast.pack()
    (by_params,), by_x = naive.jacobian_sizes([exact], at)
    edges, size = Edges.of(packed, x, slopes=True), naive.sizes([exact], at)[-1]
    for y in (packed.forward(x), edges.outputs()):
        assert_within(y, naive.forward(exact, at), 64 * eps * size, "forward")

    dots = {name: noise(1, *getattr(layer, name).shape, dtype=dtype) for name in KINDS}
    x_dot, y_bar = noise(2, N, n_in, dtype=dtype), noise(3, N, n_out, dtype=dtype)
    moved = new_packed(n_in, layer.coef.shape[2], n_out, dtype)
    pack_tangent(
        fast._coef, fast._scale_sp, fast._mask, native(dots["coef"]), dots["scale_base"], dots["scale_sp"], moved
    )
    size = (by_x * abs(x_dot)[:, None]).sum(axis=2)
    for name in KINDS:
        size += (by_params[name] * abs(dots[name])).reshape(N, n_out, -1).sum(axis=2)
    assert_within(tangent(edges, x_dot, moved), naive.tangent(exact, at, x_dot, dots), 64 * eps * size, "tangent")

    width, none = packed.coefs.shape[2], np.empty((0, packed.coefs.shape[2]), dtype)
    local = np.zeros_like(packed.coefs)
    local_bar = pull_gradient(edges, padded(y_bar, width), local, none, none)
    want, want_x = naive.backward(exact, at, y_bar.astype(float))
    features = naive.prepare(exact, at, sizes=True)
    for grad, x_bar in (backward(packed, x, y_bar), (local, local_bar)):
        size = np.einsum("nip,no->ipo", features, abs(y_bar))
        assert_within(grad[..., :n_out], want, 64 * eps * size, "coefficients")
        assert not grad[..., n_out:].any(), "the padding stays zero"
        assert_within(x_bar, want_x, 64 * eps * np.einsum("no,noi->ni", abs(y_bar), by_x), "inputs")

    delta = noise(4, N, 2, n_out, dtype=dtype)
    size = np.einsum("nqo,noi->nqi", abs(delta), by_x)
    below, wide = pull_back(edges, padded(delta, width), n_in + 3), padded(delta, width)
    assert_within(below[..., :n_in], naive.pull_back(exact, at, delta.astype(float)), 64 * eps * size, "pull back")
    assert not below[..., n_in:].any(), "the padding stays zero"
    rows = np.zeros((N, 2, fast.n_params), dtype)
    source = Source(fast._coef, fast._scale_base, fast._scale_sp, fast._mask)
    n_coef = fast._coef.size
    fill_jacobian(edges, wide, source, (0, n_coef, n_coef + n_in * n_out), rows)
    model = Network._of([fast])
    expected = naive.jacobian(exact, at, delta.astype(float))
    for s in range(N):
        for q in range(2):
            for name, got in model.unravel(rows[s, q])[0].items():
                size = np.einsum("o,o...->...", abs(delta[s, q]), by_params[name][s])
                assert_within(got, expected[name][s, q], 64 * eps * size, f"Jacobian by {name}")


#: Float32 has tables of 8 lanes too.
DEGREES = [*((k, np.float64) for k in DOUBLE), *((k, np.float32) for k in sorted({*SINGLE, 3 if AGAIN else 5}))]


@pytest.mark.parametrize(("k", "dtype"), DEGREES, ids=lambda value: str(getattr(value, "__name__", value)))
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
def test_kernels_are_their_twins_for_every_degree_and_policy(policy: str, k: int, dtype: type) -> None:
    check_kernels(*example(k, dtype, extrapolate=policy))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("base_fun", BASES, ids=["silu", "identity", "zero", "tanh"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_are_their_twins_for_every_base_and_shape(shape: tuple[int, int], base_fun: Any, dtype: type) -> None:
    check_kernels(*example(3, dtype, shape, base_fun=base_fun))


@pytest.mark.jit
@pytest.mark.parametrize("n_in", [16, 17, 33])
def test_kernels_are_their_twins_across_groups_of_inputs_and_blocks_of_samples(n_in: int) -> None:
    check_sums(n_in, 2, 3, 2, 131)


@pytest.mark.jit
@pytest.mark.parametrize("k", DOUBLE if AGAIN else [2, 3, 5])
@pytest.mark.parametrize("n_out", [32, 70, 129])
def test_kernels_are_their_twins_across_tiles_of_outputs(n_out: int, k: int) -> None:
    check_sums(3, n_out, 4, k, 20)


@pytest.mark.jit
@pytest.mark.parametrize("k", DOUBLE if AGAIN else [1, 3])
def test_kernels_are_their_twins_across_tiles_and_blocks(k: int) -> None:
    check_sums(3, 70, 4, k, 1100)  # two blocks or more, the last of them a short one, whatever the vectors


@pytest.mark.jit
@pytest.mark.parametrize("n_intervals", [20, 40, 200])
def test_kernels_are_their_twins_on_the_longer_blocks_of_fine_grids(n_intervals: int) -> None:
    check_sums(2, 3, n_intervals, 3, 1100)


@pytest.mark.jit
@pytest.mark.parametrize("n_threads", [2, 3, 50])
def test_threads_share_the_inputs_of_a_layer_and_change_no_bit(n_threads: int) -> None:
    packed = KANLayer(35, 72, grid=3, seed=0).pack()
    rng = np.random.default_rng(0)
    x, y_bar = rng.uniform(-1.5, 1.5, (1200, 35)), rng.normal(size=(1200, 72))
    before = get_threads()
    try:
        set_threads(1)
        want, want_x = backward(packed, x, y_bar)
        set_threads(n_threads)
        grad, x_bar = backward(packed, x, y_bar)
        assert_identical(packed.backward(x, y_bar, None), want_x, "the gradient by coefficients is not wanted")
    finally:
        set_threads(before)
    assert_identical(grad, want)
    assert_identical(x_bar, want_x)
    assert backward(packed, x, y_bar, inputs=False)[1].size == 0


def test_what_comes_of_further_samples_is_added() -> None:
    packed = KANLayer(2, 3, grid=3, seed=0).pack()
    coef, scale = np.ones((2, 6, 3)), np.ones((2, 3))
    sink = GradientSink(coef, scale, scale, *(np.full_like(a, np.nan) for a in (coef, scale, scale)), np.zeros(2, bool))
    part = np.arange(2 * 7 * packed.coefs.shape[2], dtype=float).reshape(2, 7, -1)
    add_gradient(part[:1], 0, 1, sink)
    assert_identical(sink.coef_bar[0], part[0, :6, :3])
    assert np.isnan(sink.coef_bar[1]).all()
    add_gradient(part[1:], 1, 2, sink)
    add_gradient(part, 0, 2, sink)
    assert_identical(sink.coef_bar, 2 * part[:, :6, :3])
    assert_identical(sink.base_bar, 2 * part[:, 6, :3])
    assert_identical(sink.sp_bar, 2 * part[:, :6, :3].sum(axis=1))


def test_memory_that_is_lent_is_not_lent_again_before_it_comes_back() -> None:
    dtype = np.dtype(np.float64)
    with thread_array("test", 8, dtype) as one, thread_array("test", 8, dtype) as other:
        assert not np.shares_memory(one, other)
    with thread_array("test", 8, dtype) as again:
        assert np.shares_memory(again, one) or np.shares_memory(again, other)
    with thread_array("test", 1 << 24, dtype) as large:
        assert large.size == 1 << 24
    with thread_array("test", 8, dtype) as again:
        assert not np.shares_memory(again, large), "so much is not kept"


def test_what_is_put_together_is_kept_for_its_key_alone() -> None:
    def made(n: int) -> Any:
        return thread_arrays("test pair", n, lambda: ([np.empty(n), np.empty(n)], 16 * n))

    with made(8) as one, made(8) as other:
        assert one is not other, "each holder has its own"
    with made(8) as again:
        assert again is one or again is other
    with made(9) as longer:
        assert longer[0].size == 9
    with made(1 << 23) as large:
        assert large[0].size == 1 << 23
    with made(1 << 23) as larger:
        assert larger is not large, "so much is not kept"


def check_sums(n_in: int, n_out: int, n_intervals: int, k: int, n: int) -> None:
    """Forward and backward of one layer against the twins."""
    rng = np.random.default_rng(n_in)
    layer = random_layer(rng, n_in, n_out, n_intervals, k)
    packed, x, y_bar = layer_of(layer).pack(), random_points(rng, layer, n), rng.normal(size=(n, n_out))
    features, slopes, curves = (naive.prepare(layer, x, nu, sizes=True) for nu in range(3))
    eps = np.finfo(float).eps
    assert_within(packed.forward(x), naive.forward(layer, x), 64 * eps * naive.sizes([layer], x)[-1], "forward")
    (grad, x_bar), (want, want_x) = backward(packed, x, y_bar), naive.backward(layer, x, y_bar)
    size = np.einsum("nip,no->ipo", features, abs(y_bar))
    assert_within(grad[..., :n_out], want, 64 * eps * size, "coefficients")
    slopes += abs(x)[..., None] * curves  # the middle of a short span is rounded too
    size = np.einsum("nip,ipo,no->ni", slopes, abs(naive.pack(layer)), abs(y_bar))
    assert_within(x_bar, want_x, 128 * eps * size, "inputs")  # the twin rounds as well


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_what_is_rounded_is_as_small_as_its_function_where_knots_lie_close(dtype: type) -> None:
    """A coefficient is large whose function nearly vanishes on the piece."""
    layer = KANLayer(1, 1, grid=6, k=3, base_fun="zero", dtype=dtype)
    layer.grid = extend_grid(np.array([[-1.0, 0.0, 1.0, 1.0001, 1.0002, 2.0, 3.0]]), 3).astype(dtype)
    layer.coef[...], layer.mask[...], layer.scale_sp[...] = 1, 1, 1
    layer.coef[..., 3] = 1000
    low, high = layer.grid[0, 5:7]
    x = np.linspace(low, high, 9, dtype=dtype)[1:-1]
    basis = BSpline.design_matrix(x.astype(float), layer.grid[0].astype(float), 3).toarray()
    want = basis @ layer.coef.astype(float).ravel()
    assert abs(want).max() < 10
    assert_within(layer.pack().forward(x[:, None])[:, 0], want, 64 * np.finfo(dtype).eps * want, "outputs")


@pytest.mark.jit
@pytest.mark.parametrize("n_in", [20, 530])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_bits_of_a_row_depend_on_no_other_row_and_no_other_output(dtype: type, n_in: int) -> None:
    rng = np.random.default_rng(8)
    layer = random_layer(rng, n_in, 70, 5, 3).astype(dtype)
    packed, x = layer_of(layer).pack(), random_points(rng, layer, 300).astype(dtype)
    y_bar = rng.normal(size=(300, 70)).astype(dtype)
    y, (_, x_bar) = packed.forward(x), backward(packed, x, y_bar)
    for rows in (slice(7, 8), slice(100, 231), rng.permutation(300)):
        assert_identical(packed.forward(x[rows]), y[rows])
        assert_identical(backward(packed, x[rows], y_bar[rows])[1], x_bar[rows])
    few = layer.replace(**{name: getattr(layer, name)[:, 5:8] for name in ("coef", "scale_base", "scale_sp", "mask")})
    assert_identical(layer_of(few).pack().forward(x), y[:, 5:8])


def test_slow_twins_agree_with_complex_steps() -> None:
    layer, x = example(3, np.float64, extrapolate="continue")
    (by_params,), by_x = naive.network_jacobian([layer], x)
    delta = np.broadcast_to(np.eye(2), (N, 2, 2))
    dense = naive.jacobian(layer, x, delta)
    for name in KINDS:
        np.testing.assert_allclose(dense[name], by_params[name], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(naive.pull_back(layer, x, delta), by_x, rtol=1e-12, atol=1e-12)
    packed, x_bar = naive.backward(layer, x, np.ones((N, 2)))
    for name, got in naive.unpack_gradient(layer, packed).items():
        np.testing.assert_allclose(got, by_params[name].sum(axis=(0, 1)), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(x_bar, by_x.sum(axis=1), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_packing_and_unpacking_are_their_twins(shape: tuple[int, int], dtype: type) -> None:
    layer, _ = example(2, dtype, shape)
    exact, eps = layer.astype(float), np.finfo(dtype).eps
    n_in, n_out = shape
    n_basis = layer.coef.shape[2]
    packed = new_packed(n_in, n_basis, n_out, np.dtype(dtype))
    coef = native(layer.coef)
    pack(coef, layer.scale_base, layer.scale_sp, layer.mask, packed)
    want = naive.pack(exact)
    assert_within(packed[..., :n_out], want, 4 * eps * abs(want))
    assert not packed[..., n_out:].any()

    dots = {name: noise(5, *getattr(layer, name).shape, dtype=dtype) for name in KINDS}
    pack_tangent(coef, layer.scale_sp, layer.mask, native(dots["coef"]), dots["scale_base"], dots["scale_sp"], packed)
    size = (
        abs(layer.scale_sp * layer.mask).max() * abs(dots["coef"]).max()
        + abs(dots["scale_sp"]).max() * abs(layer.coef).max()
    )
    assert_within(packed[..., :n_out], naive.pack_tangent(exact, dots), 4 * eps * (size + 1))

    bar = noise(6, n_in, n_basis + 1, n_out, dtype=dtype)
    packed[..., :n_out] = bar
    packed[:, :, :n_out][np.broadcast_to(layer.mask[:, None, :] == 0, bar.shape)] = np.nan
    out = np.empty_like(coef), *(np.empty_like(layer.mask) for _ in range(2))
    numbers = packed, coef, layer.scale_sp, layer.mask, *out
    unpack_gradient(*numbers, False)
    want = naive.unpack_gradient(exact, bar.astype(float))
    sizes = exact.replace(**{name: abs(getattr(exact, name)) for name in (*KINDS, "mask")})
    size = naive.unpack_gradient(sizes, abs(bar).astype(float))
    for name, got in zip(KINDS, (out[0].transpose(0, 2, 1), *out[1:]), strict=True):
        assert_within(got, want[name], 4 * n_basis * eps * size[name], name)
        assert (got[layer.mask == 0] == 0).all(), "what is masked is exactly 0, also where nothing is finite"
    once = [array.copy() for array in out]
    unpack_gradient(*numbers, True)
    for array, before in zip(out, once, strict=True):
        assert_within(array, 2 * before, 4 * n_basis * eps * abs(before), "once more")


# --- outside, and what is no number -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp", "nan"])
@pytest.mark.parametrize("k", [3] if AGAIN else [0, 1, 3])
def test_P_NAN_nan_in_gives_nan_out_in_its_own_row(k: int, policy: str, dtype: type) -> None:
    layer, x = example(k, dtype, extrapolate=policy)
    fast = layer_of(layer.replace(mask=np.ones_like(layer.mask)))
    low, high = layer.grid[:, k], layer.grid[:, -1 - k]
    x = np.clip(x, low, high)
    whole = fast(x)
    x[2, 1] = np.nan
    got = fast(x)
    assert np.isnan(got[2]).all()
    np.testing.assert_array_equal(np.delete(got, 2, axis=0), np.delete(whole, 2, axis=0))
    assert np.isfinite(whole).all()


@pytest.mark.parametrize("k", SINGLE if AGAIN else [3, 5])
def test_far_outside_nothing_overflows_that_counts_for_nothing(k: int) -> None:
    """The square of such a w is no float32."""
    layer, x = example(k, np.float32, extrapolate="linear")
    x[0], x[1], x[3, 1] = 1e20, -1e20, 1e22
    check_kernels(layer, x)


def test_policies_at_infinity() -> None:
    layer, x = example(3, np.float64, extrapolate="clamp", base_fun="zero")
    x[0], x[1] = np.inf, -np.inf
    ends = np.array([layer.grid[:, -4], layer.grid[:, 3]])
    with np.errstate(all="ignore"):
        at_infinity = layer_of(layer)(x)[:2]
        np.testing.assert_array_equal(at_infinity, layer_of(layer)(np.add(ends, [[7], [-7]])))
        assert_within(at_infinity, layer_of(layer)(ends), 32 * np.finfo(float).eps, "values at the ends")
        faded = layer_of(layer.replace(extrapolate="fade"))(x)
        assert not faded[:2].any()
        assert np.isnan(layer_of(layer.replace(extrapolate="nan", mask=np.ones_like(layer.mask)))(x)[:2]).all()


def test_policy_raise_names_the_points_outside_and_nan_outside_is_nan() -> None:
    layer, x = example(3, np.float64, extrapolate="raise")
    fast = layer_of(layer)
    inside = np.clip(x, layer.grid[:, 3], layer.grid[:, -4])
    np.testing.assert_array_equal(fast(inside), layer_of(layer.replace(extrapolate="linear"))(inside))
    inside[1, 2] = 1e3
    with pytest.raises(
        ValueError, match=r"^Argument `x` must lie inside the grid.* 1 entries, the first \(1000\.0\) at"
    ):
        fast(inside)


# --- what a layer shows -------------------------------------------------------------------------------------------


def test_views_are_live_and_assignable() -> None:
    layer, x = example(2, np.float64)
    fast, numbers = layer_of(layer), layer
    for name in (*KINDS, "mask"):
        view = getattr(fast, name)
        view[0, 1] = 0.5
        array = np.array(getattr(numbers, name))
        array[0, 1] = 0.5
        numbers = numbers.replace(**{name: array})
        assert_within(fast(x), naive.forward(numbers, x), 1e-12, f"after {name}[...] =")
        setattr(fast, name, (2 * array).tolist())
        numbers = numbers.replace(**{name: 2 * array})
        assert getattr(fast, name) is view
        assert_within(fast(x), naive.forward(numbers, x), 1e-12, f"after {name} =")
    with pytest.raises(ValueError, match=r"^Argument `coef` must have shape \(3, 2, 6\), not \(3, 6, 2\)\.$"):
        fast.coef = np.zeros((3, 6, 2))


def test_the_grid_is_read_only_and_a_whole_new_one_is_checked_and_used() -> None:
    layer, x = example(2, np.float64)
    fast = layer_of(layer)
    fast(x)
    with pytest.raises(ValueError, match="read-only"):
        fast.grid[0, 0] = -9
    grid = layer.grid + 0.25
    fast.grid = grid
    grid[0, 0] = -99  # the layer has a copy
    assert fast.grid[0, 0] == layer.grid[0, 0] + 0.25
    assert_within(fast(x), naive.forward(layer.replace(grid=layer.grid + 0.25), x), 1e-12)
    before = fast.grid.tobytes()
    for bad, rule in (
        (layer.grid[:, ::-1], "non-decreasing"),
        (layer.grid[:, :-1], "have shape"),
        (np.where(layer.grid == layer.grid[1, 2], np.nan, layer.grid), "finite"),
        (np.zeros_like(layer.grid), "positive length"),
        (layer.grid[0], "have shape"),
    ):
        with pytest.raises(ValueError, match=f"^Argument `grid` must .*{rule}"):
            fast.grid = bad
        assert fast.grid.tobytes() == before


def test_a_policy_that_changes_is_used() -> None:
    layer, x = example(2, np.float64, extrapolate="fade")
    fast = layer_of(layer)
    fast(x)
    fast.extrapolate = "linear"
    assert_within(fast(x), naive.forward(layer.replace(extrapolate="linear"), x), 1e-12)
    fast.grid_eps = 0
    assert fast.grid_eps == 0


@pytest.mark.parametrize("base_fun", ["silu", TANH])
def test_copies_and_pickles_are_whole_and_apart(base_fun: Any) -> None:
    layer, x = example(2, np.float32, base_fun=base_fun)
    fast = layer_of(layer)
    want = fast(x).copy()
    for other in (copy.copy(fast), copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert other(x).tobytes() == want.tobytes()
        assert repr(other) == repr(fast)
        assert other.base_fun == base_fun
        other.coef[...] = 0
        other.mask[...] = 0
        assert not other(x).any()
        with pytest.raises(ValueError, match="read-only"):
            other.grid[0, 0] = 0
    assert fast(x).tobytes() == want.tobytes()


@pytest.mark.parametrize(("sp", "sb"), [(True, True), (True, False), (False, True), (False, False)])
def test_what_is_not_trainable_is_no_parameter(sp: bool, sb: bool) -> None:
    layer = KANLayer(2, 3, 4, 2, sp_trainable=sp, sb_trainable=sb)
    assert layer.n_params == 2 * 3 * (6 + sp + sb)
    layer.scale_sp[...], layer.scale_base[...] = 2, 3
    x = np.zeros((1, 2))
    both = KANLayer(2, 3, 4, 2)
    both.coef, both.scale_sp, both.scale_base = layer.coef, layer.scale_sp, layer.scale_base
    assert layer(x).tobytes() == both(x).tobytes()


def test_initial_numbers_are_those_of_their_schemes() -> None:
    layer = KANLayer(4, 50, 5, 3, noise_scale=0.3, scale_base_mu=1.0, scale_base_sigma=0.5, seed=0)
    np.testing.assert_array_equal(layer.scale_sp, np.full((4, 50), 0.5))
    assert 0.25 <= layer.scale_base.min() < layer.scale_base.max() <= 0.75
    knots = np.linspace(-1, 1, 6)[:, None] * np.ones(4)
    at_knots = np.einsum("nip,iop->nio", naive.basis(knots, layer.grid, 3, "fade"), layer.coef)
    assert 0.02 < abs(at_knots).max() <= 0.3 / 5 / 2 + 1e-12
    power = draw("power", np.random.default_rng(0), layer.grid, 3, 500, 0.3, 0.0, 1.0)
    size = 4 * (5 + 3 + 1)
    assert power.coef.std() == pytest.approx(size**-1.75, rel=0.05)
    assert power.scale_base.std() == pytest.approx(size**-0.25, rel=0.05)
    assert (power.scale_sp == 1).all()


def test_the_parent_must_be_a_layer_of_the_same_size() -> None:
    layer, x = layer_of(example(2, np.float64)[0]), np.zeros((4, 3))
    with pytest.raises(TypeError, match=r"^Argument `parent` must be a KANLayer, not int\.$"):
        layer.initialize_grid_from_parent(3, x)
    with pytest.raises(ValueError, match=r"^Argument `parent` must have 3 inputs and 2 outputs, not 1 and 2\.$"):
        layer.initialize_grid_from_parent(KANLayer(1, 2), x)
