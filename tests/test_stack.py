"""numkan.model.stack: layers in a row - how they are made, their numbers as one vector, their copies."""

from __future__ import annotations

import copy
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from numkan import KAN, KANLayer
from numkan.conformance.law import assert_identical
from tests.naive_network import KINDS
from tests.network_cases import TANH
from tests.small_networks import FLOATS, NAMES, assert_same_results, points, small, state, targets

# --- construction -------------------------------------------------------------------------------------------------


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
from numkan.compile.notice import notice

notice.is_due = False  # a line on stderr, where compiling takes long
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


def test_a_copy_shares_splines_until_it_has_another_grid_or_policy() -> None:
    model = small()
    bases = [layer.basis for layer in model.act_fun]
    other = model.copy()
    assert [layer.basis for layer in other.act_fun] == bases
    first, second = other.act_fun
    first.grid, second.extrapolate = first.grid + 1, "clamp"
    assert [layer.basis for layer in model.act_fun] == bases
    x = points(20)
    np.testing.assert_array_equal(other(x), pickle.loads(pickle.dumps(other))(x))


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
