"""numkan.model.network: a network as a whole - its numbers, copies, derivatives, chunks and grids."""

from __future__ import annotations

import copy
import os
import pickle
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from numkan import KAN, KANLayer
from numkan.layer import work
from numkan.model import network
from numkan.spline import extend_grid
from tests.laws import Array, assert_identical, assert_within
from tests.naive_network import KINDS
from tests.network_cases import TANH, model_of, numbers_of
from tests.small_networks import FLOATS, NAMES, assert_same_results, points, results, small, state, targets

# --- construction -------------------------------------------------------------------------------------------------
from tests.test_layer_grid import TUTORIAL_ADAPTIVE, TUTORIAL_UNIFORM


def test_a_grid_that_another_thread_replaces_meanwhile_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here in the middle of a call: after memory was made for the layers as they were, before they are packed."""
    x, y = points(7, 2), targets(7, 3)
    for call in (lambda model: model(x), lambda model: model.loss_and_grad(x, y)[0]):
        model = KAN([2, 4, 3], grid=5, extrapolate="nan", seed=0)
        finer, make = model.refine(40), network._new_coefficients
        want = call(finer)

        def late(*arguments: Any) -> Any:
            made = make(*arguments)  # noqa: B023
            model._become(finer)  # noqa: B023
            return made

        monkeypatch.setattr(work, "_local", threading.local())
        with monkeypatch.context() as patch:
            patch.setattr(network, "_new_coefficients", late)
            assert_identical(call(model), want)


def test_one_number_serves_all_layers_and_a_list_gives_each_its_own() -> None:
    model = KAN(width=[2, 3, 1], grid=[4, 6], k=[2, 3])
    assert (model.width, model.depth, model.n_in, model.n_out) == ([2, 3, 1], 2, 2, 1)
    assert (model.grid, model.k) == ([4, 6], [2, 3])
    assert [layer.coef.shape for layer in model.act_fun] == [(2, 3, 6), (3, 1, 9)]
    assert [layer.grid.shape for layer in model.act_fun] == [(2, 9), (3, 13)]
    assert [layer.mask.shape for layer in model.act_fun] == [(2, 3), (3, 1)]
    assert model.n_params == model.params.size == 6 * (6 + 2) + 3 * (9 + 2)
    assert repr(model) == "KAN(width=[2, 3, 1], grid=[4, 6], k=[2, 3], extrapolate='continue', dtype=float64)"
    assert repr(KAN((2, 3, 1), 4)) == "KAN(width=[2, 3, 1], grid=4, k=3, extrapolate='continue', dtype=float64)"
    for same in (
        KAN((2, 3, 1), (4, 6), (2, 3)),
        KAN(np.array([2, 3, 1], np.int16), np.array([4, 6]), np.array([2, 3], np.uint8)),
    ):
        assert state(same) == state(model)


def test_the_defaults_are_the_tutorials() -> None:
    model = KAN([1, 1])
    (layer,) = model.act_fun
    np.testing.assert_allclose(layer.grid, np.linspace(-2.2, 2.2, 12)[None], rtol=0, atol=1e-15)
    assert (layer.G, layer.k, layer.grid_eps, layer.base_fun) == (5, 3, 1.0, "silu")
    assert (layer.extrapolate, layer.dtype) == ("continue", np.float64)
    assert (layer.mask == 1).all()
    assert (layer.sp_trainable, layer.sb_trainable) == (True, True)


def test_options_reach_every_layer() -> None:
    options: dict[str, Any] = {"base_fun": TANH, "grid_eps": 0.25, "extrapolate": "clamp", "dtype": np.float32}
    model = small(**options, grid_range=(0, 3), sp_trainable=False, sb_trainable=False)
    for layer in model.act_fun:
        for name, value in options.items():
            assert getattr(layer, name) == value
        assert (layer.grid[:, 3] == 0).all()
        assert (layer.grid[:, -4] == 3).all()
        assert not layer.sp_trainable
        assert not layer.sb_trainable


@pytest.mark.parametrize("init", ["pykan", "power"])
def test_a_seed_gives_the_bits_and_layers_draw_one_after_the_other(init: str) -> None:
    model = KAN([2, 2, 2], init=init, seed=5)
    assert state(KAN([2, 2, 2], init=init, seed=5)) == state(model)
    assert state(KAN([2, 2, 2], init=init, seed=np.random.default_rng(5))) == state(model)
    assert (KAN([2, 2, 2], init=init, seed=6).params != model.params).any()
    assert (KAN([2, 2, 2], init=init, seed=None).params != KAN([2, 2, 2], init=init, seed=None).params).any()
    first, second = model.act_fun
    assert (first.coef != second.coef).any()
    rng = np.random.default_rng(5)
    alone = [KANLayer(2, 2, init=init, seed=rng) for _ in range(2)]
    for layer, want in zip(model.act_fun, alone, strict=True):
        for name in NAMES:
            assert_identical(getattr(layer, name), getattr(want, name), name)


def test_a_float32_model_starts_from_the_rounded_numbers_of_the_float64_one() -> None:
    wide, narrow = small(), small(dtype=np.float32)
    assert_identical(narrow.params, wide.params.astype(np.float32))
    for layer, want in zip(narrow.act_fun, wide.act_fun, strict=True):
        assert_identical(layer.grid, want.grid.astype(np.float32))


def test_no_global_random_state_is_read_or_written() -> None:
    def bits() -> bytes:
        model = small()
        model.update_grid_from_samples(points(20))
        model.fit(points(8), targets(8), method="adam", steps=1, grids=[4], batch_size=4, validation=0.25)
        return state(model)

    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    before, plain = np.random.get_state()[1], random.getstate()  # noqa: NPY002
    first = bits()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert random.getstate() == plain
    np.random.seed(2)  # noqa: NPY002
    random.seed(2)
    assert bits() == first


SILENT = """
import sys
from numkan import KAN, KANLayer

seen = []
watching = False
def watch(event, args):
    if watching and event.split(".")[0] in ("open", "os", "shutil", "tempfile", "pathlib", "subprocess", "socket"):
        seen.append((event, args))
sys.addaudithook(watch)
def construct(seed):
    for init in ("pykan", "power"):
        KAN([2, 3, 1], grid=4, k=2, init=init, seed=seed).copy().refine(8)
    KANLayer(2, 3, seed=seed)
construct(0)  # kernels come from their cache now
watching = True
construct(1)
watching = False
assert not seen, seen
"""


def test_constructors_print_nothing_and_touch_no_file(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    done = subprocess.run([sys.executable, "-c", SILENT], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


# --- the vector of parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_params_and_views_are_one_memory(dtype: type) -> None:
    model = small(dtype=dtype)
    views = [[getattr(layer, name) for name in KINDS] for layer in model.act_fun]
    vector = np.arange(model.n_params).astype(dtype)
    model.params = vector
    assert_identical(model.params, vector)
    for layer, sections, seen in zip(model.act_fun, model.unravel(vector), views, strict=True):
        assert list(sections) == list(KINDS)
        for name, view in zip(KINDS, seen, strict=True):
            assert getattr(layer, name) is view, "a view stays the same object"
            assert_identical(view, sections[name], name)
            view[0, 1] = -1
    assert (model.params == -1).sum() == sum(layer.G + layer.k + 2 for layer in model.act_fun)
    model.params[:] = 7
    assert not (model.params == 7).all(), "what was read is a copy"
    model.params = np.arange(model.n_params).tolist()
    assert_identical(model.params, vector)


def test_unravel_reads_a_vector_in_place_and_a_list_too() -> None:
    model = small()
    vector = np.zeros(model.n_params)
    parts = model.unravel(vector)
    for place, part in enumerate(parts):
        for name in KINDS:
            assert np.shares_memory(part[name], vector)
            assert part[name].shape == getattr(model.act_fun[place], name).shape
            part[name][...] = getattr(model.act_fun[place], name)
    assert_identical(vector, model.params)
    for part, want in zip(model.unravel(vector.tolist()), parts, strict=True):
        for name in KINDS:
            assert_identical(part[name], want[name])


@pytest.mark.parametrize(("sp", "sb"), [(True, False), (False, True), (False, False)])
def test_what_is_not_trainable_is_absent_from_every_vector_and_nothing_else_changes(sp: bool, sb: bool) -> None:
    whole, part = small(), small(sp_trainable=sp, sb_trainable=sb)
    names = {"coef"} | ({"scale_sp"} if sp else set()) | ({"scale_base"} if sb else set())
    x, y = points(), targets()
    keep = np.zeros(whole.n_params)
    for sections in whole.unravel(keep):
        for name in names:
            sections[name][...] = 1
    keep = keep.astype(bool)
    assert [set(sections) for sections in part.unravel(part.params)] == [names] * 2
    assert_identical(part.params, whole.params[keep])
    assert_identical(part(x), whole(x))
    assert_identical(part.loss_and_grad(x, y)[1], whole.loss_and_grad(x, y)[1][keep])
    assert_identical(part.vjp(x, y)[0], whole.vjp(x, y)[0][keep])
    assert_identical(part.jacobian(x), whole.jacobian(x)[:, :, keep])
    change = np.zeros(whole.n_params)
    change[keep] = np.random.default_rng(0).normal(size=keep.sum())
    assert_identical(part.jvp(x, change[keep]), whole.jvp(x, change))
    finer, wider = part.refine(8), whole.refine(8)
    assert finer.n_params == sum(layer.coef.size + layer.mask.size * (sp + sb) for layer in finer.act_fun)
    assert_identical(finer(x), wider(x))


def test_masked_edges_keep_their_entries_and_have_zero_gradients() -> None:
    model, x, y = small(), points(), targets()
    before = model.params
    masks = [np.array([[1, 0, 1], [0, 1, 1]]), np.array([[1, 1], [0, 1], [1, 0]])]
    for layer, mask in zip(model.act_fun, masks, strict=True):
        layer.mask = mask
    assert_identical(model.params, before)
    rows = [model.loss_and_grad(x, y)[1], model.vjp(x, y)[0], *model.jacobian(x).reshape(-1, model.n_params)]
    reached = np.zeros(model.n_params)
    for row in rows:
        for sections, mask in zip(model.unravel(row), masks, strict=True):
            for name in KINDS:
                assert not sections[name][mask == 0].any(), name
        reached += abs(row)
    for sections, mask in zip(model.unravel(reached), masks, strict=True):
        for name in ("scale_base", "scale_sp"):
            assert sections[name][mask == 1].all(), "every other edge takes part"


# --- nothing stale ------------------------------------------------------------------------------------------------


def shift_grid(layer: KANLayer) -> None:
    layer.grid = layer.grid * 1.5 + 0.1


def halve(name: str) -> Any:
    def change(layer: KANLayer) -> None:
        getattr(layer, name)[...] *= 0.5

    return change


def assign(name: str) -> Any:
    def change(layer: KANLayer) -> None:
        setattr(layer, name, getattr(layer, name) * 0.5)

    return change


def other_policy(layer: KANLayer) -> None:
    layer.extrapolate = "fade"


CHANGES = {
    **{f"{name}[...] =": halve(name) for name in NAMES},
    **{f"{name} =": assign(name) for name in NAMES},
    "grid =": shift_grid,
    "extrapolate =": other_policy,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_through_a_layer_is_seen_by_everything_at_once(change: str) -> None:
    model, x, y = small(scale_base_sigma=6), points(), targets()  # hidden activations outside the grid too
    for depth in range(2):
        before = results(model, x, y)
        CHANGES[change](model.act_fun[depth])
        assert (model(x) != before["outputs"]).any(), "the change is one"
        assert_same_results(model, model_of(numbers_of(model)), x, y, f"after {change} in layer {depth}")


def test_new_params_are_seen_by_everything_at_once() -> None:
    model, x, y = small(), points(), targets()
    results(model, x, y)
    model.params = 0.5 * model.params
    assert_same_results(model, model_of(numbers_of(model)), x, y)


def test_updated_grids_are_seen_by_everything_at_once() -> None:
    model, x, y = small(), points(), targets()
    results(model, x, y)
    view = model.act_fun[1].coef
    model.update_grid_from_samples(points(30))
    assert model.act_fun[1].coef is view, "views outlive what does not change a shape"
    assert_same_results(model, model_of(numbers_of(model)), x, y)


def test_views_turn_read_only_when_a_fit_changes_the_shape() -> None:
    model, x, y = small(), points(12), targets(12)
    old = [getattr(layer, name) for layer in model.act_fun for name in NAMES]
    model.fit(x, y, grids=[5], steps=1)
    assert model.grid == [5, 5]
    for view in old:
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 1
    model.act_fun[0].coef[...] = 0
    assert (model.unravel(model.params)[0]["coef"] == 0).all()


# --- copies -------------------------------------------------------------------------------------------------------


def by_joblib(model: KAN, mmap_mode: str | None, folder: Path) -> KAN:
    joblib.dump(model, folder / "model")
    again: KAN = joblib.load(folder / "model", mmap_mode=mmap_mode)
    return again


OWN: dict[str, Any] = {"base_fun": TANH, "dtype": np.float32, "sp_trainable": False}

COPIES: dict[str, Any] = {
    "copy.copy": lambda model, folder: copy.copy(model),
    "copy.deepcopy": lambda model, folder: copy.deepcopy(model),
    "model.copy": lambda model, folder: model.copy(),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "pickle, protocol 2": lambda model, folder: pickle.loads(pickle.dumps(model, 2)),
    "joblib": lambda model, folder: by_joblib(model, None, folder),
    "joblib, mapped": lambda model, folder: by_joblib(model, "r", folder),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("options", [{}, OWN], ids=["plain", "own"])
def test_copies_are_whole_and_apart(way: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = small(**options)
    model.act_fun[0].mask[0, 1] = 0
    model.act_fun[1].grid_eps = 0.25
    x, y, before = points(dtype=model.dtype), targets(dtype=model.dtype), state(model)
    other = COPIES[way](model, tmp_path)
    assert type(other) is KAN
    assert repr(other) == repr(model)
    assert [layer.grid_eps for layer in other.act_fun] == [1.0, 0.25]
    assert_same_results(other, model, x, y)
    assert_identical(other.params, model.params)
    for depth, layer in enumerate(other.act_fun):
        for name in [name for name in KINDS if name in other.unravel(other.params)[depth]]:
            getattr(layer, name)[...] = 0.25
            assert (other.unravel(other.params)[depth][name] == 0.25).all(), f"{name} of layer {depth} is a view"
        with pytest.raises(ValueError, match="read-only"):
            layer.grid[0, 0] = -9
    other.params = np.full(other.n_params, 2.0)
    assert all((layer.coef == 2).all() for layer in other.act_fun)
    other.act_fun[0].mask[...] = 0
    other.act_fun[0].scale_sp[...] = 0.5
    other.update_grid_from_samples(points(20))
    assert state(model) == before


@pytest.mark.parametrize("way", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_model_and_its_layer_copied_together_stay_together(way: Any) -> None:
    model = small()
    other, layer = way((model, model.act_fun[1]))
    assert other.act_fun[1] is layer
    layer.coef[...] = 5
    assert (other.unravel(other.params)[1]["coef"] == 5).all()


def test_a_layer_taken_out_of_a_model_lives_alone() -> None:
    model = small()
    alone = copy.deepcopy(model.act_fun[0])
    before = state(model)
    alone.coef[...] = 0
    alone.grid = alone.grid + 1
    assert state(model) == before


# --- what a network computes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_activations_are_the_inputs_of_every_layer_and_the_outputs(dtype: type) -> None:
    model, x = small(dtype=dtype), points(dtype=dtype)
    acts = model.activations(x)
    assert [a.shape for a in acts] == [(7, 2), (7, 3), (7, 2)]
    assert_identical(acts[0], x)
    for layer, inputs, outputs in zip(model.act_fun, acts[:-1], acts[1:], strict=True):
        assert_identical(layer(inputs), outputs)
    np.testing.assert_allclose(acts[-1], model(x), rtol=0, atol=16 * np.finfo(dtype).eps * abs(acts[-1]).max())
    assert not np.shares_memory(acts[0], x)
    acts[0][...] = acts[1][...] = 0
    assert_identical(model.activations(x)[-1], acts[-1])


def test_products_with_unit_vectors_are_columns_and_rows() -> None:
    model, x = small(), points()
    jac, slopes = model.jacobian(x), model.derivative(x)
    assert jac.shape == (7, 2, model.n_params)
    assert slopes.shape == (7, 2, 2)
    eye = np.eye(model.n_params)
    scale = 1e-13 * (1 + abs(jac).max())
    for place in range(0, model.n_params, 5):
        assert_within(model.jvp(x, eye[place]), jac[:, :, place], scale, f"parameter {place}")
    for i in range(2):
        assert_within(model.jvp(x, x_dot=np.tile(np.eye(2)[i], (7, 1))), slopes[:, :, i], 1e-13, f"input {i}")
    assert not model.jvp(x).any(), "no change, no change"
    both = model.jvp(x, eye[0], np.ones_like(x))
    assert_within(both, jac[:, :, 0] + slopes.sum(axis=2), scale)
    y_bar = targets()
    params_bar, x_bar = model.vjp(x, y_bar)
    assert (params_bar.shape, x_bar.shape) == ((model.n_params,), (7, 2))
    assert_within(params_bar, np.einsum("nqp,nq->p", jac, y_bar), 10 * scale)
    assert_within(x_bar, np.einsum("nqi,nq->ni", slopes, y_bar), 1e-13)


def softmax(y: Array) -> Array:
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_gradients_are_products_with_the_slope_of_the_loss() -> None:
    model, x, y = small(), points(), targets()
    weight, labels = np.arange(7) + 0.5, np.arange(7) % 2
    share = (weight / weight.sum())[:, None]
    predicted = model(x)
    want = model.vjp(x, share * (predicted - y))[0]
    loss, grad = model.loss_and_grad(x, y, sample_weight=weight)
    assert isinstance(loss, float)
    assert loss == pytest.approx((share * (predicted - y) ** 2).sum() / 2, rel=1e-14)
    assert_within(grad, want, 1e-13)
    loss, grad = model.loss_and_grad(x, labels, "cross_entropy", weight)
    p = softmax(predicted)
    assert loss == pytest.approx(-(share[:, 0] * np.log(p[np.arange(7), labels])).sum(), rel=1e-13)
    assert_within(grad, model.vjp(x, share * (p - np.eye(2)[labels]))[0], 1e-13)
    for target, kind in ((y, "mse"), (labels, "cross_entropy")):
        both = model.loss(x, target, kind, weight), model.loss_and_grad(x, target, kind, weight)[0]
        assert both[0] == pytest.approx(both[1], rel=1e-14)


def test_one_output_takes_targets_without_their_axis_and_labels_come_in_any_number_type() -> None:
    model, x, y = KAN([2, 1], grid=4), points(), targets(n_out=1)
    assert_identical(model.loss_and_grad(x, y[:, 0])[1], model.loss_and_grad(x, y)[1])
    assert model.loss(x, y[:, 0]) == model.loss(x, y)
    assert_identical(model.residuals_and_jacobian(x, y[:, 0])[0], model.residuals_and_jacobian(x, y)[0])
    model, labels = small(), np.arange(7) % 2
    want = model.loss_and_grad(x, labels, "cross_entropy")
    for same in (labels.tolist(), labels.astype(np.uint8), labels.astype(float), labels.astype(bool)):
        value, grad = model.loss_and_grad(x, same, "cross_entropy")
        assert value == want[0]
        assert_identical(grad, want[1])


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("weight", [None, np.arange(7.0)], ids=["plain", "weighted"])
def test_residuals_square_to_the_loss_and_their_jacobian_gives_its_gradient(weight: Any, dtype: type) -> None:
    model, x, y = small(dtype=dtype), points(dtype=dtype), targets(dtype=dtype)
    residuals, jac = model.residuals_and_jacobian(x, y, weight)
    assert (residuals.shape, jac.shape) == ((14,), (14, model.n_params))
    assert residuals.dtype == jac.dtype == dtype
    loss, grad = model.loss_and_grad(x, y, sample_weight=weight)
    r, J, eps = residuals.astype(float), jac.astype(float), float(np.finfo(dtype).eps)
    assert r @ r == pytest.approx(loss, rel=20 * eps)
    assert_within(2 * J.T @ r, grad, 100 * eps * (abs(J).T @ abs(r)) + 10 * eps)


def test_an_empty_batch_has_outputs_of_no_rows() -> None:
    model, none = small(), np.zeros((0, 2))
    assert model(none).shape == model.frozen()(none).shape == (0, 2)
    assert [a.shape for a in model.activations(none)] == [(0, 2), (0, 3), (0, 2)]
    assert model.derivative(none).shape == (0, 2, 2)
    assert model.jacobian(none).shape == (0, 2, model.n_params)
    params_bar, x_bar = model.vjp(none, none)
    assert not params_bar.any()
    assert x_bar.shape == (0, 2)
    assert model.jvp(none, model.params, none).shape == (0, 2)
    assert [np.isnan(c.outside).all() and (c.empty_spans == 4).all() for c in model.coverage(none)] == [True, True]


# --- grids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_the_tutorials_cells_print_the_tutorials_grids(dtype: type) -> None:
    for end, outer in ((10, 22.0), (0.5, 1.1)):
        model = KAN(width=[1, 1], grid=5, k=3, dtype=dtype)
        np.testing.assert_allclose(model.act_fun[0].grid[0], np.linspace(-2.2, 2.2, 12), rtol=0, atol=5e-5)
        model.update_grid_from_samples(np.linspace(-end, end, 1001)[:, None])
        grid = model.act_fun[0].grid
        assert grid.dtype == dtype
        np.testing.assert_allclose(grid[0], np.linspace(-outer, outer, 12), rtol=0, atol=5e-5)


@pytest.mark.parametrize(("grid_eps", "printed"), [(1.0, TUTORIAL_UNIFORM), (0.0, TUTORIAL_ADAPTIVE)])
def test_the_tutorials_normal_samples_give_the_grids_it_prints(grid_eps: float, printed: list[float]) -> None:
    # five samples that have the order statistics of its knots stand for the tutorial's, whose generator is not ours
    x = np.repeat(TUTORIAL_ADAPTIVE[3:8], 10)
    x[-1] = TUTORIAL_ADAPTIVE[8]
    model = KAN(width=[1, 1], grid=5, k=3, grid_eps=grid_eps)
    model.update_grid_from_samples(x[::-1, None])
    np.testing.assert_allclose(model.act_fun[0].grid[0], printed, rtol=0, atol=1.01e-4)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_layers_are_updated_front_to_back_on_activations_recomputed(dtype: type) -> None:
    model, x = small(dtype=dtype, noise_scale=3), points(40, dtype=dtype, reach=3)
    old, alone, a = model.copy(), model.copy(), x
    model.update_grid_from_samples(x)
    for layer, updated in zip(alone.act_fun, model.act_fun, strict=True):
        layer.update_grid_from_samples(a)
        assert_identical(updated.grid, layer.grid)
        assert_identical(updated.coef, layer.coef)
        for name in ("scale_base", "scale_sp", "mask"):
            assert_identical(getattr(updated, name), getattr(layer, name))
        a = layer(a)
    inputs = model.activations(x)
    for layer, a in zip(model.act_fun, inputs[:-1], strict=True):
        assert_identical(layer.grid[:, layer.k], a.min(axis=0))
        assert_identical(layer.grid[:, -1 - layer.k], a.max(axis=0))
    assert (inputs[1] != old.activations(x)[1]).any(), "so the order matters here"


def test_a_margin_widens_every_layer() -> None:
    model, x = small(), points(40)
    model.update_grid_from_samples(x, margin=0.25)
    for layer, a in zip(model.act_fun, model.activations(x)[:-1], strict=True):
        length = np.ptp(a, axis=0)
        np.testing.assert_allclose(layer.grid[:, 3], a.min(axis=0) - 0.25 * length, rtol=1e-13)
        np.testing.assert_allclose(layer.grid[:, -4], a.max(axis=0) + 0.25 * length, rtol=1e-13)


def test_an_update_keeps_the_function_that_the_new_knots_can_represent() -> None:
    model = small()
    for layer in model.act_fun:  # one polynomial on the domain, which "continue" and any knots keep
        layer.grid = np.repeat(extend_grid(np.linspace(-9, 9, 5)[None], 3), layer.n_in, axis=0)
        layer.coef = np.broadcast_to(np.arange(7.0) / 10, layer.coef.shape)
    x = points(60)
    before = model(x)
    model.update_grid_from_samples(x)
    assert_within(model(x), before, 1e-12 * abs(before).max())


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_samples_than_intervals_update_all_layers(n: int) -> None:
    model, x = small(grid_eps=0.5), points(n)
    before = model(x)
    model.update_grid_from_samples(x)
    for layer in model.act_fun:
        assert (np.diff(layer.grid) > 0).all()
    assert_within(model(x), before, 1e-9)


def test_a_failing_update_leaves_every_layer_as_it_was() -> None:
    x, far = points(20), points(20)
    far[3, 1] = np.nan

    def at(model: KAN, depth: int, name: str, value: float) -> KAN:
        getattr(model.act_fun[depth], name)[0, 0] = value
        return model

    for model, samples, message in (
        (small(), far, r"^Argument `x` must be finite, not with 1 NaN.*\(nan\) at \(3, 1\)\.$"),
        (at(small(), 0, "scale_base", np.inf), x, r"^Argument `activations\[1\]` must be finite, not with 20 NaN"),
        (at(small(), 1, "coef", np.nan), x, r"^Argument `act_fun\[1\]\.coef` must be finite, not with 7 NaN"),
    ):
        before = state(model)
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
            model.update_grid_from_samples(samples)
        assert state(model) == before
        with (
            np.errstate(all="ignore"),
            pytest.raises(ValueError, match=message.replace("act_fun", r"parent\.act_fun", 1)),
        ):
            small(grid=8).initialize_grid_from_parent(model, samples)
        assert state(model) == before


@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp", "nan", "raise"])
def test_grids_can_be_laid_over_samples_outside_whatever_the_policy(policy: str) -> None:
    model = small(extrapolate=policy)
    x = points(30, reach=2)
    model.update_grid_from_samples(x)
    assert np.isfinite(model(x)).all()
    for cover in model.coverage(x):
        assert not cover.outside.any()


def test_coverage_counts_by_layer_and_input() -> None:
    model = small()
    x = np.array([[-1.0, 0.9], [0.4, 1.1], [1.0, -1.5], [0.2, 0.0]])
    first, second = model.coverage(x)
    np.testing.assert_array_equal(first.outside, [0, 0.5])
    np.testing.assert_array_equal(first.empty_spans, [1, 2])  # spans end at -1, -0.5, 0, 0.5, 1
    hidden = model.activations(x)[1]
    np.testing.assert_array_equal(second.outside, (abs(hidden) > 1).mean(axis=0))


# --- refinement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["continue", "linear", "clamp"])
def test_on_nested_grids_a_refined_model_is_the_same_function(policy: str) -> None:
    model = small(extrapolate=policy, noise_scale=3, grid_eps=0.5)
    x = points(50, reach=1.5)
    model.update_grid_from_samples(x)
    model.act_fun[0].mask[0, 0] = 0
    before, views = state(model), [layer.coef for layer in model.act_fun]
    finer = model.refine(12)
    assert (type(finer), finer.grid, finer.k, finer.width) == (KAN, [12, 12], [3, 3], [2, 3, 2])
    at = points(90, reach=2)  # outside the grids too: there the end polynomials go on
    assert_within(finer(at), model(at), 1e-12 * (1 + abs(model(at)).max()))
    assert_within(finer.derivative(at), model.derivative(at), 1e-11 * (1 + abs(model.derivative(at)).max()))
    assert [layer.grid_eps for layer in finer.act_fun] == [0.5, 0.5]
    assert_identical(finer.act_fun[0].mask, model.act_fun[0].mask)
    finer.params = 0 * finer.params
    finer.act_fun[0].mask[...] = 0
    assert state(model) == before
    assert all(layer.coef is view and view.flags.writeable for layer, view in zip(model.act_fun, views, strict=True))


def test_each_layer_may_have_its_own_new_grid_coarser_or_the_same() -> None:
    model = small()
    for layer in model.act_fun:  # a quadratic on wide knots, which every grid can represent
        layer.grid = np.repeat(extend_grid(np.linspace(-9, 9, 5)[None], 3), layer.n_in, axis=0)
        layer.coef = np.broadcast_to(np.arange(7.0) ** 2 / 10, layer.coef.shape)
    x = points(20)
    for grid, want in ((2, [2, 2]), ([6, 3], [6, 3]), ((4, 8), [4, 8]), (np.array([1, 4]), [1, 4])):
        other = model.refine(grid)
        assert other.grid == want
        assert_within(other(x), model(x), 1e-11 * abs(model(x)).max())


def test_a_coarser_model_is_close() -> None:
    model = small(grid=8)
    for layer in model.act_fun:
        layer.coef = np.sin(np.arange(11.0) / 3) * np.ones((layer.n_in, layer.n_out, 1))
    x = points(50, reach=0.9)
    coarse = model.refine(4)
    assert 0 < abs(coarse(x) - model(x)).max() < 0.02 * np.ptp(model(x))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_a_child_takes_over_the_splines_of_its_parent(dtype: type) -> None:
    parent, child = small(noise_scale=3, dtype=dtype), small(grid=8, seed=9, dtype=dtype)
    x = points(60, dtype=dtype)
    parent.update_grid_from_samples(x)
    for layer, of in zip(child.act_fun, parent.act_fun, strict=True):
        layer.scale_base, layer.scale_sp = of.scale_base, of.scale_sp  # the scales stay behind, as in pykan
    before, view = state(parent), child.act_fun[0].coef
    child.initialize_grid_from_parent(parent, x)
    assert state(parent) == before
    assert child.act_fun[0].coef is view
    assert_within(child(x), parent(x), 1e4 * np.finfo(dtype).eps)
    for layer, of in zip(child.act_fun, parent.act_fun, strict=True):
        assert_identical(layer.grid[:, 3:-3:2], of.grid[:, 3:-3])


def test_a_childs_own_samples_are_not_rounded_to_the_parents_dtype() -> None:
    parent, x = small(dtype=np.float32), points(60)
    child, other = small(grid=8), small(grid=8)
    child.initialize_grid_from_parent(parent, x)
    other.act_fun[0].initialize_grid_from_parent(parent.act_fun[0], x)
    assert_identical(child.act_fun[0].coef, other.act_fun[0].coef)


def wide_slope(x: Array) -> Array:
    return 1 - np.tanh(x.astype(float)) ** 2


WIDE_TANH = (np.tanh, wide_slope)  # its slope is float64


# --- float32 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base_fun", ["silu", WIDE_TANH], ids=["silu", "own"])
def test_a_float32_model_is_float32_from_end_to_end(base_fun: Any) -> None:
    model = small(dtype=np.float32, base_fun=base_fun)
    x, y = points(), targets()  # float64
    rounded = x.astype(np.float32), y.astype(np.float32)

    def check(model: KAN) -> None:
        assert model.dtype == model.params.dtype == np.float32
        for layer in model.act_fun:
            assert layer.dtype == np.float32
            for name in (*NAMES, "grid"):
                assert getattr(layer, name).dtype == np.float32, name
        for name, value in results(model, x, y).items():
            assert value.dtype == (np.float64 if name == "loss" else np.float32), name
        for sections in model.unravel(model.loss_and_grad(x, y)[1]):
            assert {part.dtype for part in sections.values()} == {np.dtype(np.float32)}
        for kind, target in (("mse", y), ("cross_entropy", np.arange(7) % 2)):
            value, grad = model.loss_and_grad(x, target, kind, np.arange(7.0))
            assert (type(value), grad.dtype) == (float, np.float32)
            assert type(model.loss(x, target, kind)) is float

    check(model)
    assert_same_results(model, model.copy(), *rounded)
    for name, value in results(model, x, y).items():
        assert_identical(value, results(model, *rounded)[name], name)
    check(model.refine(8))
    check(model.refine(3))
    model.params = model.params.astype(float)
    model.update_grid_from_samples(points(30))
    check(model)
    child = small(dtype=np.float32, grid=8, base_fun=base_fun)
    child.initialize_grid_from_parent(model, points(30))
    check(child)
    child.fit(points(8), targets(8), grids=None, steps=1)
    check(child)


def test_layers_cannot_be_exchanged_and_what_they_train_cannot_be_changed() -> None:
    model = small()
    with pytest.raises(TypeError):
        model.act_fun[0] = model.act_fun[1]  # type: ignore[index]
    with pytest.raises(AttributeError):
        model.act_fun = model.copy().act_fun  # type: ignore[misc]
    for name in ("sp_trainable", "sb_trainable"):
        with pytest.raises(AttributeError):
            setattr(model.act_fun[0], name, False)


def test_a_layer_in_hand_stays_the_layer_when_the_model_changes_its_shape() -> None:
    model, x = small(), points()
    layer, view = model.act_fun[0], model.act_fun[0].coef
    model._become(model.refine(7))
    assert model.act_fun[0] is layer
    assert layer.G == 7
    before = model(x)
    layer.coef[...] += 1
    assert (model(x) != before).any()
    with pytest.raises(ValueError, match="read-only"):
        view[...] = 0


def test_a_masked_edge_has_gradient_zero_whatever_its_numbers() -> None:
    model, x = small(), points()
    layer = model.act_fun[0]
    layer.mask[0, 0] = 0
    layer.scale_sp[0, 0] = layer.coef[0, 0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        _, grad = model.loss_and_grad(x, np.zeros((len(x), model.n_out)))
    parts = model.unravel(grad)[0]
    assert parts["scale_sp"][0, 0] == parts["scale_base"][0, 0] == 0
    assert not parts["coef"][0, 0].any()
