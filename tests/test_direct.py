"""The direct form of networks: when it is taken, where it finds points, and that it is one function with the rows."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numba import config

from numkan import KAN
from numkan.compile import kernel
from numkan.layer.direct import _SLACK, BLOCK, MAX_SUMS, direct_tables
from numkan.layer.direct_forward import cells_kernel, locate_direct
from numkan.model import direct_network
from numkan.model.direct_network import _workspace
from numkan.model.evaluate import forward
from numkan.model.targets import targets
from numkan.simd.cells import cell_ops
from numkan.simd.vectors import sample_lanes, vector_ops
from numkan.spline import extend_grid
from numkan.spline.pieces import function_lanes, local_pieces
from numkan.spline.policies import EXTRAPOLATIONS
from tests.direct_cases import DEGREES, FLOATS, check_form, is_direct, model_of, plan_of
from tests.network_cases import AGAIN, SINGLE

GRID = 30

CONTINUOUS = [(k, dtype) for k, dtype in DEGREES if k > 0]


def direct_model(width: list[int], grid: Any = GRID, k: Any = 3, even: bool = False, **options: Any) -> KAN:
    """A network in direct form, on knots that are equally spaced or not."""
    model = model_of(width, grid, k, **options)
    if even:
        for layer, other in zip(model.act_fun, KAN(width, grid=grid, k=k, **options).act_fun, strict=True):
            layer.grid = other.grid
    assert is_direct(model)
    return model


# --- where points are ---------------------------------------------------------------------------------------------


def pieces_found(model: KAN, x: Any) -> Any:
    """The pieces that the kernel finds for points (n,) of the first input of the first layer."""
    plan = plan_of(model)
    scratch = _workspace(plan).scratch
    work, index, at = scratch.work, scratch.index, scratch.values
    lanes, layer = sample_lanes(model.dtype), plan.grids.layers[0]
    full = -(-len(x) // lanes) * lanes
    work[at : at + len(x)] = x
    with np.errstate(all="ignore"):  # the JIT off
        locate_direct(plan.dtype)(plan.grids, layer, full, scratch, True)
    first = layer.inputs * BLOCK
    return index[first : first + len(x)].copy()


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
def test_points_are_found_where_they_are(policy: str, even: bool, dtype: type) -> None:
    for grid, domain in ((GRID, (-1, 1)), (100, (0, 1)), (40, (1000, 1003)), (30, (-1e-30, 1e-30))):
        model = direct_model([1, 2], grid, even=even, dtype=dtype, extrapolate=policy, grid_range=domain)
        breaks = model.act_fun[0].pieces.ends[0, :-1]
        low, high = breaks[0], breaks[-1]
        x = np.random.default_rng(0).uniform(low - (high - low) / 5, high + (high - low) / 5, 200).astype(dtype)
        x = np.concatenate([x, breaks, np.nextafter(breaks, dtype(np.inf)), [np.inf, -np.inf]]).astype(dtype)
        want = (x[:, None] >= breaks).sum(axis=1)
        got = pieces_found(model, x)
        slack = _SLACK * np.finfo(dtype).eps * abs(breaks).max()
        below = (x[:, None] >= breaks - dtype(slack)).sum(axis=1)
        assert ((got == want) | (got == below)).all()
        at_breaks = slice(200, 200 + 2 * len(breaks))
        np.testing.assert_array_equal(got[at_breaks], want[at_breaks])
        if not even:
            np.testing.assert_array_equal(got, want)
        assert 0 <= pieces_found(model, np.full(3, np.nan, dtype)).max() <= len(breaks)


def test_cells_are_pieces_where_breaks_are_equally_spaced_and_roundings_make_no_difference() -> None:
    even = np.linspace(-1, 1, 3 + 2 * 3 + 18)[None]
    moved = even.copy()
    moved[0, 10] += 1e-9
    shifted = even.astype(np.float32) + np.float32(100)
    far = extend_grid(np.linspace(514.68, 516.68, 69)[None], 5).astype(np.float32)  # roundings are a share of spans
    for grid, k, plain in (
        (even, 3, True),
        (even, 2, True),
        (even, 1, False),
        (moved, 3, False),
        (shifted, 2, False),
        (far, 5, False),
    ):
        tables = direct_tables(local_pieces(grid, k), k)
        assert tables is not None
        assert (tables.hints.size == 0) == plain


@pytest.mark.parametrize("domain", [(-1, 1), (100, 103), (1000, 1003)])
@pytest.mark.parametrize("k", [k for k in (1, 2, 3) if k in SINGLE])
def test_just_below_a_break_both_forms_are_one_function(k: int, domain: tuple[float, float]) -> None:
    model = direct_model([1, 2], 40, k, even=True, dtype=np.float32, grid_range=domain, base_fun="zero")
    x = breaks = model.act_fun[0].pieces.ends[0, :-1]
    for _ in range(20):
        breaks = np.nextafter(breaks, np.float32(-np.inf))
        x = np.append(x, breaks)
    check_form(model, x[:, None], np.zeros((len(x), 2)))


def test_knots_that_lie_close_take_the_other_form() -> None:
    model = KAN([2, 3, 1], grid=GRID)
    assert is_direct(model)
    grid = model.act_fun[1].grid.copy()
    middle = grid.shape[1] // 2
    grid[:, middle - 2 : middle + 3] = grid[:, middle, None] + 1e-9 * np.arange(-2, 3)
    model.act_fun[1].grid = grid
    assert not is_direct(model)
    assert np.isfinite(model(np.zeros((3, 2)))).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_cells_are_what_numpy_says(dtype: type) -> None:
    kind = np.dtype(dtype)
    step = sample_lanes(kind)
    _, load, store, splat, *_ = vector_ops(step)
    cell, store_cell, bounded, _ = cell_ops(kind)
    left, rate, top = dtype(-0.3), dtype(7.7), dtype(12)
    x = np.concatenate([np.random.default_rng(0).uniform(-2, 3, 60), [np.nan, np.inf, -np.inf, 0]]).astype(dtype)

    @kernel
    def run(x, cells, finite):  # type: ignore[no-untyped-def]
        for s in range(0, x.shape[0], step):
            store_cell(cells, s, cell(load(x, s), splat(left), splat(rate), splat(top)))
            store(finite, s, bounded(load(x, s)))

    cells, finite = np.zeros(len(x), np.int32), np.zeros_like(x)
    run(x, cells, finite)
    with np.errstate(invalid="ignore"):
        place = np.where(np.isnan(x), 0, (x - left) * rate)
    np.testing.assert_array_equal(cells, np.floor(np.clip(place, 0, top)))
    far = np.finfo(dtype).max
    np.testing.assert_array_equal(finite, np.clip(x, -far, far))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
def test_local_variables_of_cells_are_those_of_the_pieces_bit_for_bit(policy: str, dtype: type) -> None:
    kind = np.dtype(dtype)
    step = sample_lanes(kind)
    _, load, store, *_ = vector_ops(step)
    cell, _, _, local = cell_ops(kind)
    read = cells_kernel(step)

    @kernel
    def run(x, tables, found, inverses):  # type: ignore[no-untyped-def]
        cells, spans = read(tables, 0)
        for s in range(0, x.shape[0], step):
            own = load(x, s)
            w, inverse = local(own, cell(own, cells[0], cells[1], cells[2]), spans)
            store(found, s, w)
            store(inverses, s, inverse)

    for k, G, (low, high) in ((3, 37, (-1, 1)), (2, 37, (0, 1)), (5, 8, (10, 13)), (3, 1, (-1, 1)), (1, 1, (0, 1))):
        edges = np.array([np.linspace(low, high, G + 1), np.linspace(low - 1, high, G + 1)])
        pieces = local_pieces(extend_grid(edges, k).astype(dtype), k, policy)
        tables = direct_tables(pieces, k)
        assert tables is not None
        by_arithmetic = k > 1 or policy in ("linear", "clamp")  # the others have breaks within, which are compared
        assert (tables.hints.size == 0) == by_arithmetic
        for i in range(2 if by_arithmetic else 0):
            breaks, numbers = pieces.ends[i, :-1], tables.cells[i]
            points = np.random.default_rng(0).uniform(low - 1, high, 100)
            x = np.concatenate([breaks, points, [-5, 3000, np.inf, -np.inf, np.nan]])
            x = np.resize(x.astype(dtype), 160)
            found, inverses = np.zeros((2, len(x)), dtype)
            with np.errstate(all="ignore"):
                run(x, numbers, found, inverses)
                place = (x - numbers[0]) * numbers[1]
                place = np.floor(np.clip(np.where(np.isnan(place), 0, place), 0, numbers[2]))
                piece = place.astype(int) + (x >= breaks[0]) + (x >= breaks[-1])
                finite = np.clip(x, -np.finfo(dtype).max, np.finfo(dtype).max)
                np.testing.assert_array_equal(found, (finite - pieces.centre[i, piece]) * pieces.inverse[i, piece])
            np.testing.assert_array_equal(inverses, pieces.inverse[i, piece])


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
def test_knots_nearly_as_far_apart_as_numbers_go_make_no_noise(policy: str, dtype: type) -> None:
    far, k = 0.44 * float(np.finfo(dtype).max), 3
    knots = np.linspace(-far, far, 6)
    model = KAN([1, 2], grid=5, k=k, dtype=dtype, extrapolate=policy)
    model.act_fun[0].grid = np.concatenate([[-far] * k, knots, [far] * k])[None]
    assert np.isfinite(model(np.zeros((2, 1), dtype))).all()


# --- the function -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "dtype"), CONTINUOUS, ids=lambda value: str(getattr(value, "__name__", value)))
def test_both_forms_are_one_function_for_every_degree(k: int, dtype: type) -> None:
    model = direct_model([3, 5, 2], [GRID, 12], k, dtype=dtype)
    rng = np.random.default_rng(1)
    x = rng.uniform(-1.5, 1.5, (37 if config.DISABLE_JIT else BLOCK + 3, 3)).astype(dtype)
    check_form(model, x, rng.normal(size=(len(x), 2)))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("width", [[4, 16, 16, 1], [1, 1], [7, 1, 3, 1], [2, 3, 27], [5, 3, 32]])
def test_both_forms_are_one_function_for_rows_of_every_length(width: list[int], even: bool, dtype: type) -> None:
    model = direct_model(width, even=even, dtype=dtype)
    rng = np.random.default_rng(2)
    for n in (5,) if config.DISABLE_JIT else (2, 37, 130):
        x = rng.uniform(-1.2, 1.2, (n, width[0])).astype(dtype)
        check_form(model, x, rng.normal(size=(n, width[-1])), weight=rng.uniform(0, 1, n))


@pytest.mark.parametrize("n_pieces", [MAX_SUMS, MAX_SUMS + 1])
def test_both_forms_are_one_function_where_there_are_more_pieces_than_samples(n_pieces: int) -> None:
    model = direct_model([2, 1], n_pieces - 4, dtype=np.float32)
    plan = plan_of(model)
    assert plan.grids.layers[0].n_pieces == n_pieces
    assert plan.sizes.work - _workspace(plan).scratch.buffer >= MAX_SUMS * function_lanes(plan.k)
    rng = np.random.default_rng(7)
    check_form(model, rng.uniform(-1.2, 1.2, (40, 2)).astype(np.float32), rng.normal(size=(40, 1)))


@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
@pytest.mark.parametrize("base", ["silu", "identity", "zero"])
def test_both_forms_are_one_function_for_every_policy_and_base(policy: str, base: str) -> None:
    model = direct_model([2, 3, 3], extrapolate=policy, base_fun=base, even=policy != "fade")
    x = np.random.default_rng(3).uniform(-3, 3, (20, 2))
    check_form(model, x, np.arange(20) % 3, "cross_entropy")


@pytest.mark.parametrize("n_out", [1, 5])
def test_masked_edges_have_a_gradient_of_zero_where_others_have_none(n_out: int) -> None:
    model = direct_model([3, n_out])
    model.act_fun[0].mask[:] = 1
    model.act_fun[0].mask[1, -1] = 0
    x = np.full((4, 3), np.nan)
    _, grad = model._loss_and_grad(x, targets(np.zeros((4, n_out)), 4, n_out, model.dtype, "mse"))
    part = model.unravel(grad)[0]
    for array in part.values():
        assert (array[model.act_fun[0].mask == 0] == 0).all()
    assert np.isnan(part["scale_base"][model.act_fun[0].mask != 0]).all()


def test_which_networks_take_the_form() -> None:
    fine, wide = {"grid": 100}, {"grid": 30, "dtype": np.float32}
    assert is_direct(KAN([2, 5, 1], grid=5))
    assert is_direct(KAN([4, 16, 16, 1], **fine))
    assert is_direct(KAN([2, 64, 1], **wide))
    assert not is_direct(KAN([2, 65, 1], **wide))  # rows too long
    assert not is_direct(KAN([64, 64, 64], grid=200, dtype=np.float32))  # polynomials too large for the cache
    assert not is_direct(KAN([2, 3], grid=100, k=0))  # steps
    assert not is_direct(KAN([2, 3, 1], k=[2, 3]))  # two degrees
    assert not is_direct(KAN([2, 3, 1], base_fun=(np.tanh, lambda x: 1 / np.cosh(x) ** 2)))
    assert not is_direct(KAN([2000, 1], grid=5))  # too much scratch memory
    for policy in EXTRAPOLATIONS:
        assert is_direct(KAN([2, 3, 1], extrapolate=policy, **fine)) == (policy not in ("nan", "raise"))


def test_a_model_whose_parameters_grids_or_policy_change_is_packed_anew() -> None:
    model, x = KAN([2, 3, 1], grid=3), np.random.default_rng(5).uniform(-1, 1, (6, 2))
    plan = plan_of(model)
    before = model(x)
    model.act_fun[1].coef[...] += 1
    assert plan_of(model) is plan  # it does not depend on coefficients
    moved = model(x)
    assert (moved != before).all()
    model.act_fun[0].grid = model.act_fun[0].grid * 1.5
    assert plan_of(model) is not plan
    assert (model(x) != moved).any()
    np.testing.assert_allclose(model(x), forward(model._pack(), x), rtol=1e-12)
    model.act_fun[0].extrapolate = "nan"
    assert not is_direct(model)


def test_a_plan_for_an_array_that_another_thread_has_replaced_is_made_anew() -> None:
    model = model_of([2, 5, 1], 4)
    model._planned = ([layer.basis for layer in model.act_fun], model.params, None)
    direct = model._direct()
    assert direct is not None
    assert model._direct() is direct


@pytest.mark.parametrize("trained", [(True, False), (False, True), (False, False)])
def test_what_is_not_trained_counts_and_has_no_gradient(trained: tuple[bool, bool]) -> None:
    model = direct_model([2, 5, 1], 4, sb_trainable=trained[0], sp_trainable=trained[1])
    rng = np.random.default_rng(4)
    check_form(model, rng.uniform(-1, 1, (9, 2)), rng.normal(size=9))


def test_no_samples_have_no_outputs() -> None:
    model = direct_model([2, 3, 2])
    assert model(np.empty((0, 2))).shape == model.frozen()(np.empty((0, 2))).shape == (0, 2)


def test_nan_and_infinity_stay_in_their_rows() -> None:
    model = direct_model([2, 3, 1], 4)
    x = np.random.default_rng(7).uniform(-1, 1, (20, 2))
    want = model(x)
    x[3, 0], x[11, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore", over="ignore"):  # the JIT off: infinity times 0, and times 2
        got = model(x)
    assert np.isnan(got[3]).all()
    keep = np.delete(np.arange(20), [3, 11])
    np.testing.assert_array_equal(got[keep], want[keep])


def in_a_new_process(code: str) -> None:
    """Run code that looks at which kernels were compiled, or loaded."""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.jit
@pytest.mark.skipif(AGAIN, reason="it is no matter of bounds or vectors")
def test_a_loss_alone_compiles_no_gradient() -> None:
    in_a_new_process("""
import numpy as np
from numkan import KAN
from numkan.layer.direct_unpack import unpack_direct
KAN([2, 3, 1]).loss(np.zeros((9, 2)), np.zeros(9))
assert not unpack_direct(np.dtype(np.float64)).is_compiled
""")


@pytest.mark.jit
@pytest.mark.skipif(AGAIN, reason="it is no matter of bounds or vectors")
def test_a_default_fit_compiles_no_prediction_and_no_base_function() -> None:
    in_a_new_process("""
import numpy as np
from numkan import KAN
from numkan.base import fill_base
from numkan.layer.direct_pack import pack_direct
from numkan.model.direct_kernels import predict_direct
x = np.linspace(-1, 1, 60)[:, None]
model = KAN([1, 2, 1])
assert model.fit(x, np.sin(3 * x[:, 0])).success
form = 3, np.dtype(np.float64)
assert not fill_base(form[1]).signatures
assert not predict_direct(*form).is_compiled and not pack_direct(*form).is_compiled
model(x)
assert predict_direct(*form).is_compiled
""")


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_samples_enough_for_many_partial_sums_sum_to_the_same_gradient(dtype: type) -> None:
    model = direct_model([4, 9, 9, 1], dtype=dtype)
    rng = np.random.default_rng(6)
    x = rng.uniform(-1, 1, (60_001, 4)).astype(dtype)
    check_form(model, x, rng.normal(size=len(x)))


@pytest.mark.jit
def test_sums_over_many_samples_forget_nothing_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_network, "_MAX_PARTIAL_SUMS", 1)
    x = np.random.default_rng(5).uniform(-1, 1, (1_000_000, 1)).astype(np.float32)
    numbers = KAN([1, 2, 1], grid=40, seed=0, dtype=np.float32).params
    grads = []
    for dtype in FLOATS:
        model = KAN([1, 2, 1], grid=40, dtype=dtype)
        model.params = numbers
        grads.append(model.loss_and_grad(x, np.sin(3 * x) + 5)[1].astype(np.float64))
    single, double = grads
    assert abs(single - double).max() <= 1e-6 * abs(double).max()


@pytest.mark.parametrize("n_out", [1, 3])
def test_a_gradient_of_a_function_that_nearly_vanishes_is_as_exact_as_the_function(n_out: int) -> None:
    model = direct_model([1, n_out], GRID, dtype=np.float32, even=True, base_fun="zero")
    breaks = model.act_fun[0].pieces.ends[0]
    far = np.random.default_rng(6).uniform(0.97, 1, (4000, 1))
    x = (breaks[10] + far * (breaks[11] - breaks[10])).astype(np.float32)
    y = np.zeros((len(x), n_out))
    _, grad = model.loss_and_grad(x, y)
    exact = direct_model([1, n_out], GRID, even=True, base_fun="zero")
    exact.act_fun[0].grid, exact.params = model.act_fun[0].grid.astype(float), model.params.astype(float)
    _, expected = exact.loss_and_grad(x.astype(float), y)
    smallest = abs(expected[expected != 0]).min()
    assert smallest < 1e-6 * abs(expected).max()
    np.testing.assert_allclose(grad, expected, rtol=5e-3)  # of a sample alone: eps over the function, 6e-2


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_rows_have_the_same_bits_whatever_stands_beside_them(dtype: type) -> None:
    model, rng = direct_model([3, 17, 2], dtype=dtype), np.random.default_rng(8)
    x = rng.uniform(-1.2, 1.2, (BLOCK + 40, 3)).astype(dtype)
    whole = model(x)
    for rows in (slice(0, 2), slice(5, 40), slice(BLOCK - 3, BLOCK + 7), slice(40, None)):
        np.testing.assert_array_equal(model(x[rows]), whole[rows])
    np.testing.assert_array_equal(model.frozen()(x), whole)


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
def test_one_row_has_the_bits_that_it_has_in_a_batch(policy: str, dtype: type) -> None:
    far = float(np.finfo(dtype).max)
    rows = [[0.2, 0.3], [-3, 3], [np.nan, 0.3], [0.2, np.inf], [-np.inf, 0.1], [far, -far], [0, -0.0], [1e-30, 1]]
    x = np.array(rows, dtype)
    for base in ("silu", "identity", "zero"):
        model = direct_model([2, 5, 3], dtype=dtype, even=base == "silu", extrapolate=policy, base_fun=base)
        want, frozen = model(x), model.frozen()
        for row, outputs in zip(x, want, strict=True):
            for got in (model(row[None])[0], frozen(row[None])[0]):
                assert np.array_equal(got.view(np.uint8), outputs.view(np.uint8)) or np.isnan(outputs).any()
                np.testing.assert_array_equal(got, outputs)
