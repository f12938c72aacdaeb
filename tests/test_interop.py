"""pykan's models: the same function and the same numbers, there and back; what cannot be carried over is named.

Tests marked `peers` meet live pykan and torch, and are skipped where these are not installed. All others run
everywhere, with a stand-in that has pykan's attributes (``interop_stand_in.py``).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan import KAN
from numkan.conformance.adapter import Array
from numkan.conformance.law import assert_identical, assert_within
from numkan.interop import from_pykan, to_pykan
from tests import naive_network
from tests.interop_stand_in import (
    ARRAYS,
    Tanh,
    Tensor,
    fake_torch,
    fake_yaml,
    save,
    settings_of,
    stand_in,
    state_of,
    twins,
)
from tests.naive_network import KINDS
from tests.network_cases import SINGLE, TANH, random_points
from tests.small_networks import FLOATS
from tests.test_bad_input import SENTENCE, complaint

BASES = ("silu", "identity", "zero")
SETTINGS = ("k", "base_fun", "grid_eps", "extrapolate", "sp_trainable", "sb_trainable", "dtype")

#: The promise, in units of the sum of the magnitudes of the terms.
BOUND = 1e-12


def numbers(model: KAN) -> list[dict[str, bytes]]:
    return [{name: getattr(layer, name).tobytes() for name in ARRAYS} for layer in model.act_fun]


def settings(model: KAN) -> list[dict[str, Any]]:
    return [{name: getattr(layer, name) for name in SETTINGS} for layer in model.act_fun]


# --- with the stand-in --------------------------------------------------------------------------------------------


@st.composite
def forms(draw: st.DrawFn) -> tuple[type, list[int]]:
    """A dtype, and degrees of two layers."""
    dtype = draw(st.sampled_from(FLOATS))
    degrees = st.integers(1, 4) if dtype == np.float64 else st.sampled_from([k for k in SINGLE if k])
    return dtype, draw(st.lists(degrees, min_size=2, max_size=2))


@given(st.sampled_from(BASES), forms(), st.booleans(), st.booleans(), st.integers(0, 99))
def test_a_model_keeps_its_numbers_and_its_function(base_fun, form, sp_trainable, sb_trainable, seed):
    dtype, k = form
    theirs = stand_in(
        k=k, base_fun=base_fun, dtype=dtype, sp_trainable=sp_trainable, sb_trainable=sb_trainable, seed=seed
    )
    model = from_pykan(theirs)
    assert type(model) is KAN
    for layer, other, degree in zip(model.act_fun, theirs.act_fun, k, strict=True):
        for name in ARRAYS:
            assert_identical(getattr(layer, name), getattr(other, name).array, name)
        got = [getattr(layer, name) for name in SETTINGS]
        assert got == [degree, base_fun, 0.25, "fade", sp_trainable, sb_trainable, dtype]
    layers = twins(theirs)
    x = random_points(np.random.default_rng(seed), layers[0], 7)
    unit = 1e-14 if dtype == np.float64 else 1e-5
    sizes = naive_network.sizes(layers, x)[-1]
    assert_within(model(x), naive_network.network_forward(layers, x), 100 * unit * sizes)


def test_the_new_model_shares_no_memory_with_the_old_one():
    theirs = stand_in()
    model = from_pykan(theirs)
    before = numbers(model)
    for layer in theirs.act_fun:
        for name in ARRAYS:
            getattr(layer, name).array[...] = 7
    assert numbers(model) == before


def test_masks_may_be_of_another_dtype_and_between_0_and_1():
    theirs = stand_in()
    theirs.act_fun[0].mask = Tensor(np.array([[1, 0.5, 0], [0.25, 1, 1]], np.float32))
    layer = from_pykan(theirs).act_fun[0]
    assert layer.dtype == np.float64
    assert layer.mask.tolist() == [[1, 0.5, 0], [0.25, 1, 1]]


def test_symbolic_edges_that_are_switched_off_do_not_count():
    theirs = stand_in()
    theirs.symbolic_fun[0].mask.array[0, 1] = 1
    theirs.symbolic_enabled = False
    assert numbers(from_pykan(theirs)) == numbers(from_pykan(stand_in()))


def put(tensor: Tensor, place: Any, value: float) -> None:
    tensor.array[place] = value


def node(name: str, place: int, value: float) -> Callable[[Any], None]:
    return lambda m: put(getattr(m, name)[1], place, value)


def products(m: Any) -> None:
    """One product of two of the three sums of layer 0: two nodes."""
    for name in ("node_scale", "node_bias"):
        tensors = getattr(m, name)
        tensors[0] = Tensor(tensors[0].array[:2])


def collapsed(m: Any) -> None:
    grid = m.act_fun[1].grid.array
    grid[2, 4] = grid[2, 3]


CANNOT_BE_CARRIED: dict[str, tuple[str, Callable[[Any], object]]] = {
    "symbolic edge": (
        "no symbolic edges in layer 0, not one from input 1 to output 2",
        lambda m: put(m.symbolic_fun[0].mask, (2, 1), 1.0),
    ),
    "products": ("no multiplication nodes in layer 0, not 2 nodes of 3 sums", products),
    "node scale": ("a node_scale of 1 in layer 1, not 2.0 at 0", node("node_scale", 0, 2.0)),
    "node bias": ("a node_bias of 0 in layer 1, not -0.5 at 0", node("node_bias", 0, -0.5)),
    "subnode scale": ("a subnode_scale of 1 in layer 1, not 0.0 at 0", node("subnode_scale", 0, 0.0)),
    "subnode bias": ("a subnode_bias of 0 in layer 1, not nan at 0", node("subnode_bias", 0, np.nan)),
    "base function": (
        "'silu', 'identity' or 'zero' in layer 1, not Tanh()",
        lambda m: setattr(m.act_fun[1], "base_fun", Tanh()),
    ),
    "a function that is not the model's": (
        "'silu', 'identity' or 'zero' in layer 0, not '<lambda>'",
        lambda m: (setattr(m, "base_fun_name", "zero"), setattr(m.act_fun[0], "base_fun", lambda x: x * 0)),
    ),
    "knots at one place": ("knots that differ in layer 1, not two at", collapsed),
    "falling knots": ("`model.act_fun[0].grid` must be non-decreasing", lambda m: put(m.act_fun[0].grid, (0, 3), 9.0)),
    "chosen inputs": (
        "2 inputs in their order in layer 0, not those at [0, 2]",
        lambda m: setattr(m, "input_id", Tensor([0, 2])),
    ),
    "shape of a mask": (
        "in layer 0, not grid (2, 11), coef (2, 3, 7), mask (3, 2)",
        lambda m: setattr(m.act_fun[0], "mask", Tensor(np.ones((3, 2)))),
    ),
    "degree 0": (
        "with G and k at least 1",
        lambda m: m.act_fun[1].__dict__.update(
            grid=Tensor(m.act_fun[1].grid.array[:, 2:-2]), coef=Tensor(m.act_fun[1].coef.array[:, :, 1:-1])
        ),
    ),
    "layers that do not fit": (
        "as many inputs in layer 1 as there are outputs before it, 3, not 2",
        lambda m: (
            m.act_fun.__setitem__(1, stand_in((2, 1), [3], [2]).act_fun[0]),
            setattr(m.symbolic_fun[1], "mask", Tensor(np.zeros((1, 2)))),
        ),
    ),
    "half precision": (
        "float32 or float64 numbers in act_fun.0.coef, not float16",
        lambda m: setattr(m.act_fun[0], "coef", Tensor(np.ones((2, 3, 7), np.float16))),
    ),
    "grid_eps": (
        "`model.act_fun[1].grid_eps` must lie in [0, 1], not 2",
        lambda m: setattr(m.act_fun[1], "grid_eps", 2),
    ),
}


@pytest.mark.parametrize("what", CANNOT_BE_CARRIED)
def test_what_cannot_be_carried_over_is_one_sentence_that_names_the_layer(what: str) -> None:
    part, change = CANNOT_BE_CARRIED[what]
    theirs = stand_in()
    change(theirs)
    with pytest.raises((ValueError, TypeError)) as caught:
        from_pykan(theirs)
    assert SENTENCE.match(str(caught.value)), caught.value
    assert part in str(caught.value)


def test_arguments_that_do_not_go_together_are_named() -> None:
    for value, part in ((3, "int"), (None, "NoneType"), (KAN([1, 1]).frozen(), "not FrozenKAN"), ([], "not list")):
        with pytest.raises(TypeError, match=f"must be a pykan model or the path of a checkpoint, .*{part}"):
            from_pykan(value)
    with pytest.raises(TypeError, match="must be a pykan model or the path of a checkpoint, not KAN"):
        from_pykan(KAN([1, 1]))
    complaint("grid_eps", "given together with `base_fun`", from_pykan, "name", base_fun="silu")
    complaint("base_fun", "given together with `grid_eps`", from_pykan, "name", grid_eps=0.1)
    complaint("base_fun", "left out for a model", from_pykan, stand_in(), base_fun="silu", grid_eps=0.1)
    complaint("base_fun", "not 'tanh'", from_pykan, "name", base_fun="tanh", grid_eps=0.1)
    complaint("grid_eps", "[0, 1], not 1.5", from_pykan, "name", base_fun="silu", grid_eps=1.5)
    for value, part in ((3, "int"), (stand_in(), "SimpleNamespace"), (KAN([1, 1]).act_fun[0], "KANLayer")):
        complaint("model", part, to_pykan, value)


def repeated(model: KAN) -> None:
    grid = model.act_fun[1].grid.copy()
    grid[1, 4] = grid[1, 5]
    model.act_fun[1].grid = grid


HAS_NO_PYKAN: dict[str, tuple[str, dict[str, Any], Callable[[KAN], object]]] = {
    "policy": ("'fade', pykan's policy, in layer 0, not 'continue'", {"extrapolate": "continue"}, lambda m: None),
    "one layer's policy": (
        "in layer 1, not 'clamp'",
        {},
        lambda m: setattr(m.act_fun[1], "extrapolate", "clamp"),
    ),
    "degree 0": ("a degree of at least 1, as pykan has, in layer 1, not 0", {"k": [3, 0]}, lambda m: None),
    "pair": ("in layer 0, not functions of the user's", {"base_fun": TANH}, lambda m: None),
    "bases": (
        "the base function of layer 0, 'silu', in layer 1, not 'zero'",
        {},
        lambda m: setattr(m.act_fun[1], "_base", KAN([1, 1], base_fun="zero").act_fun[0]._base),
    ),
    "knots": ("knots that differ in layer 1, not two at", {}, repeated),
}


@pytest.mark.parametrize("what", HAS_NO_PYKAN)
def test_what_pykan_has_not_is_one_sentence_that_names_the_layer(what: str) -> None:
    part, options, change = HAS_NO_PYKAN[what]
    model = KAN([2, 3, 1], **{"extrapolate": "fade", **options})
    change(model)
    complaint("model", part, to_pykan, model)


# --- checkpoints, with stand-ins for torch and yaml ---------------------------------------------------------------


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setitem(sys.modules, "torch", fake_torch)
    monkeypatch.setitem(sys.modules, "yaml", fake_yaml)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("base_fun", BASES)
def test_a_checkpoint_is_the_model_that_was_saved(reader: Path, base_fun: str) -> None:
    theirs = stand_in(base_fun=base_fun, sp_trainable=False)
    save("mark", state_of(theirs), settings_of(theirs))
    model = from_pykan(theirs)
    for path in ("mark", reader / "mark"):
        again = from_pykan(path)
        assert type(again) is KAN
        assert numbers(again) == numbers(model)
        assert settings(again) == settings(model)


def test_without_a_configuration_the_caller_says_what_it_would(reader: Path) -> None:
    theirs = stand_in(sp_trainable=False)
    save("mark", state_of(theirs))
    again = from_pykan("mark", base_fun="identity", grid_eps=0.75)
    assert numbers(again) == numbers(from_pykan(theirs))
    for layer in again.act_fun:
        assert (layer.base_fun, layer.grid_eps, layer.sp_trainable) == ("identity", 0.75, True)
    assert from_pykan("mark", base_fun=TANH, grid_eps=0).act_fun[0].base_fun == TANH
    with pytest.raises(FileNotFoundError, match=r"with mark_config.yml, which is not there. Give `base_fun`"):
        from_pykan("mark")
    save("mark", None, "not settings")
    assert numbers(from_pykan("mark", base_fun="silu", grid_eps=0)) == numbers(again)


def test_a_checkpoint_says_which_layer_cannot_be_carried_over(reader: Path) -> None:
    theirs = stand_in()
    theirs.symbolic_fun[1].mask.array[0, 2] = 1
    save("mark", state_of(theirs), settings_of(theirs))
    complaint("model", "no symbolic edges in layer 1, not one from input 2 to output 0", from_pykan, "mark")
    complaint("model", "in layer 1", from_pykan, "mark", base_fun="silu", grid_eps=0.5)
    save("mark", None, {**settings_of(theirs), "symbolic_enabled": False})
    assert from_pykan("mark").width == [2, 3, 1]


WRONG_SETTINGS = [
    ({"base_fun_name": "tanh"}, "in layer 0 and the others, not 'tanh'"),
    ({"base_fun_name": None}, "not None"),
    ({"grid_eps": 3}, "[0, 1], not 3"),
    ({"grid_eps": "x"}, "not 'x'"),
    ({"sp_trainable": 1}, "true or false for sp_trainable"),
    ({"symbolic_enabled": None}, "true or false for symbolic_enabled"),
]


@pytest.mark.parametrize(("wrong", "part"), WRONG_SETTINGS)
def test_wrong_settings_in_a_checkpoint_are_named(reader: Path, wrong: dict[str, Any], part: str) -> None:
    theirs = stand_in()
    save("mark", state_of(theirs), {**settings_of(theirs), **wrong})
    with pytest.raises((ValueError, TypeError)) as caught:
        from_pykan("mark")
    assert part in str(caught.value)
    assert "mark_config.yml" in str(caught.value)


def test_files_that_are_no_checkpoint_are_named(reader: Path) -> None:
    theirs = stand_in()
    state = state_of(theirs)
    for content, part in (("{", "plain settings in mark_config.yml"), ("[1]", "settings in mark_config.yml, not [1]")):
        Path("mark_config.yml").write_text(content, encoding="utf-8")
        complaint("model", part, from_pykan, "mark")
    save("mark", None, settings_of(theirs))
    with pytest.raises(FileNotFoundError, match=r"a checkpoint with mark_state, which is not there."):
        from_pykan("mark")
    Path("mark_state").write_bytes(b"no state")
    with pytest.raises(
        ValueError, match=r"^Argument `model` must name a checkpoint that pykan wrote, not mark_state: "
    ):
        from_pykan("mark")
    for name in ("act_fun.1.mask", "node_bias_0", "symbolic_fun.0.affine", "act_fun.0.coef"):
        save("mark", {key: value for key, value in state.items() if key != name})
        complaint("model", "is missing", from_pykan, "mark")
    save("mark", {**state, "biases.0.weight": np.ones(3)})
    complaint("model", "biases.0.weight is unknown", from_pykan, "mark")


@pytest.mark.parametrize("missing", ["torch", "yaml"])
def test_a_package_that_is_missing_is_one_sentence_that_names_the_extra(
    reader: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    theirs = stand_in()
    save("mark", state_of(theirs), settings_of(theirs))
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"needs `{missing}`, which the extra `peers` installs \(pip install"):
        from_pykan("mark")


@pytest.mark.parametrize("missing", ["torch", "kan"])
def test_without_pykan_nothing_becomes_pykan(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f"Making a pykan model needs `{missing}`, which the extra `peers`"):
        to_pykan(KAN([1, 1], extrapolate="fade"))


def test_nothing_of_theirs_is_imported_before_it_is_needed() -> None:
    program = """
import sys
import numba
before = set(sys.modules)  # numba imports yaml where it is installed
import numkan.interop
assert not {"torch", "kan", "yaml"} & (set(sys.modules) - before)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# --- with live pykan ----------------------------------------------------------------------------------------------


def live(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that meets pykan, whose own warnings are its own."""
    return pytest.mark.peers(pytest.mark.filterwarnings("ignore")(test))


@pytest.fixture
def kan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package, in float64, in a folder of its own."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    package = pytest.importorskip("kan", reason="pykan is not installed")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    monkeypatch.chdir(tmp_path)
    yield package
    torch.set_default_dtype(before)


def drawn(kan: Any, width: Any, seed: int = 0, **options: Any) -> Any:
    """A live model with uneven grids, numbers of size one, and some edges masked."""
    import torch

    rng = np.random.default_rng(seed)
    model = kan.KAN(width=list(width), seed=seed, auto_save=False, **{"grid": 4, "k": 3, **options})
    model.update_grid_from_samples(torch.tensor(rng.beta(2, 4, (200, width[0])) * 3 - 1))
    for layer in model.act_fun:
        for name in ("coef", "scale_base", "scale_sp"):
            getattr(layer, name).data = torch.tensor(rng.normal(size=getattr(layer, name).shape))
        layer.mask.data = torch.tensor((rng.random(tuple(layer.mask.shape)) < 0.8).astype(float))
    return model


def live_points(model: Any, seed: int = 0) -> Array:
    """Points inside the grids, in their padding, beyond it, and on every knot but the outermost.

    On these all terms vanish, and a sum without terms has no rounding to measure by.
    """
    rng, grid, k = np.random.default_rng(seed), model.act_fun[0].grid.detach().numpy(), model.act_fun[0].k
    low, high = grid[:, k], grid[:, -1 - k]
    spans = [(0, 1, 40), (-0.6, 1.6, 20), (-3, 4, 10)]
    return np.vstack([*(low + rng.uniform(a, b, (n, len(low))) * (high - low) for a, b, n in spans), grid.T[1:-1]])


def assert_same_function(theirs: Any, model: KAN, x: Array) -> None:
    """Outputs and gradients within the bound; at k = 1 without slopes by x on the last interior knot."""
    import torch

    layers = twins(theirs)
    y_bar = np.random.default_rng(1).normal(size=(len(x), model.n_out))
    theirs.zero_grad()
    x_torch = torch.tensor(x, requires_grad=True)
    y = theirs(x_torch)
    y.backward(torch.tensor(y_bar))
    assert_within(model(x), y.detach().numpy(), BOUND * naive_network.sizes(layers, x)[-1], "outputs")
    params_bar, x_bar = model.vjp(x, y_bar)
    sizes, size_x = naive_network.jacobian_sizes(layers, x)
    for depth, (own, layer, size) in enumerate(zip(model.unravel(params_bar), theirs.act_fun, sizes, strict=True)):
        for name in KINDS:
            bound = BOUND * np.einsum("no,no...->...", np.abs(y_bar), size[name])
            assert (name in own) == getattr(layer, name).requires_grad
            if name in own:
                assert_within(own[name], getattr(layer, name).grad.numpy(), bound, f"{name} of layer {depth}")
    bound = BOUND * np.einsum("no,noi->ni", np.abs(y_bar), size_x)
    k = layers[0].k
    compared = x != layers[0].grid[:, -1 - k] if k == 1 else np.ones(x.shape, bool)
    assert_within(x_bar[compared], x_torch.grad.numpy()[compared], bound[compared], "slopes")


@live
@pytest.mark.parametrize("width", [[1, 1], [2, 4, 1], [3, 2, 3, 2]], ids=str)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize(("base_fun", "grid_eps"), [("silu", 0.02), ("identity", 0.5), ("zero", 1.0)])
def test_live_models_are_the_same_function_there_and_back(kan, width, k, base_fun, grid_eps) -> None:
    theirs = drawn(kan, width, seed=k, k=k, base_fun=base_fun, grid_eps=grid_eps)
    x = live_points(theirs)
    model = from_pykan(theirs)
    assert model.width == width
    assert {(layer.k, layer.base_fun, layer.grid_eps) for layer in model.act_fun} == {(k, base_fun, grid_eps)}
    assert_same_function(theirs, model, x)
    again = to_pykan(model)
    assert_same_function(again, model, x)
    assert numbers(from_pykan(again)) == numbers(model)
    assert settings(from_pykan(again)) == settings(model)


@live
def test_live_models_of_layers_that_differ_and_flags_go_there_and_back(kan) -> None:
    theirs = drawn(kan, [2, 3, 2], grid=[3, 6], k=[1, 4], sp_trainable=False)
    theirs.act_fun[1].grid_eps = 0.9
    theirs.act_fun[1].scale_base.requires_grad_(False)
    theirs.act_fun[0].mask.data[0, 0] = 0.5
    model = from_pykan(theirs)
    assert [model.grid, model.k] == [[3, 6], [1, 4]]
    assert [layer.grid_eps for layer in model.act_fun] == [0.02, 0.9]
    assert [layer.sb_trainable for layer in model.act_fun] == [True, False]
    assert_same_function(theirs, model, live_points(theirs))
    again = to_pykan(model)
    assert [again.grid, again.k, again.sp_trainable] == [[3, 6], [1, 4], False]
    assert numbers(from_pykan(again)) == numbers(model)
    assert settings(from_pykan(again)) == settings(model)


@live
def test_a_live_model_of_float32_stays_one(kan) -> None:
    import torch

    torch.set_default_dtype(torch.float32)
    theirs = kan.KAN(width=[2, 3, 1], auto_save=False)
    model = from_pykan(theirs)
    assert model.dtype == np.float32
    again = to_pykan(model)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    torch.set_default_dtype(torch.float64)
    assert {parameter.dtype for parameter in to_pykan(model).parameters()} == {torch.float32}
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2)).astype(np.float32)
    np.testing.assert_allclose(model(x), again(torch.tensor(x)).detach().numpy(), rtol=0, atol=1e-5)
    assert numbers(from_pykan(again)) == numbers(model)


@live
def test_on_the_outermost_knots_nothing_but_rounding_is_left(kan) -> None:
    import torch

    theirs = drawn(kan, [1, 1], base_fun="zero")
    theirs.act_fun[0].mask.data[...] = 1
    model, grid = from_pykan(theirs), twins(theirs)[0].grid
    ends = grid[:, [0, -1]].T
    assert (theirs(torch.tensor(ends)).detach().numpy() == 0).all()
    assert np.abs(model(ends)).max() < 1e-15
    assert (model(2 * ends) == 0).all()


@live
def test_at_degree_1_the_slope_on_the_last_interior_knot_is_the_only_difference(kan) -> None:
    import torch

    theirs = drawn(kan, [1, 1], k=1, base_fun="zero")
    theirs.act_fun[0].mask.data[...] = 1
    model, (layer,) = from_pykan(theirs), twins(theirs)
    x = layer.grid.T.copy()
    x_torch = torch.tensor(x, requires_grad=True)
    theirs(x_torch).sum().backward()
    own, slope = model.derivative(x)[:, 0, 0], x_torch.grad.numpy()[:, 0]
    differ = np.abs(own - slope) > 1e-9
    assert np.flatnonzero(differ).tolist() == [len(x) - 2]
    assert_within(model(x), theirs(x_torch).detach().numpy(), 1e-12)


@live
@pytest.mark.parametrize("base_fun", BASES)
def test_a_live_checkpoint_is_the_model_that_was_saved(kan, base_fun) -> None:
    theirs = drawn(kan, [2, 3, 1], base_fun=base_fun, sb_trainable=False, grid_eps=0.3)
    theirs.saveckpt("mark")
    model = from_pykan(theirs)
    again = from_pykan("mark")
    assert numbers(again) == numbers(model)
    assert settings(again) == settings(model)
    assert_same_function(theirs, again, live_points(theirs))
    os.remove("mark_config.yml")
    alone = from_pykan(Path("mark"), base_fun=base_fun, grid_eps=0.3)
    assert numbers(alone) == numbers(model)
    assert from_pykan(kan.KAN(width=[1, 1], auto_save=False)).width == [1, 1]


@live
def test_a_live_model_that_was_trained_pruned_and_refined_is_carried_over(kan) -> None:
    import torch

    x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    data = {"train_input": torch.tensor(x), "train_label": torch.tensor(np.sin(3 * x[:, :1]) + x[:, 1:] ** 2)}
    data |= {"test_input": data["train_input"], "test_label": data["train_label"]}
    theirs = kan.KAN(width=[2, 4, 1], grid=3, k=3, seed=0, ckpt_path="ckpt")
    theirs.fit(data, opt="LBFGS", steps=5, lamb=0.001)
    theirs = theirs.prune(node_th=0.1, edge_th=0.05).refine(6)
    theirs(data["train_input"])
    model = from_pykan(theirs)
    assert model.grid == [6, 6]
    assert_same_function(theirs, model, live_points(theirs))
    theirs.saveckpt("mark")
    assert numbers(from_pykan("mark")) == numbers(model)


@live
def test_what_a_live_model_cannot_hand_over_is_named(kan) -> None:
    import torch

    theirs = drawn(kan, [2, 3, 1])
    theirs.fix_symbolic(1, 2, 0, "sin", fit_params_bool=False, log_history=False)
    complaint("model", "no symbolic edges in layer 1, not one from input 2 to output 0", from_pykan, theirs)
    theirs.saveckpt("mark")
    complaint("model", "no symbolic edges in layer 1", from_pykan, "mark")
    theirs.unfix_symbolic_all(log_history=False)
    assert from_pykan(theirs).width == [2, 3, 1]

    for arity in (2, 3):
        products = kan.KAN(width=[2, [2, 1], 1], mult_arity=arity, auto_save=False)
        part = f"no multiplication nodes in layer 0, not 3 nodes of {2 + arity} sums"
        complaint("model", part, from_pykan, products)
        products.saveckpt("products")
        complaint("model", part, from_pykan, "products")

    for name, place in (("node_scale", 0), ("node_bias", 1), ("subnode_scale", 1), ("subnode_bias", 0)):
        moved = kan.KAN(width=[2, 3, 1], auto_save=False, affine_trainable=True)
        assert from_pykan(moved).width == [2, 3, 1]
        getattr(moved, name)[place].data += 0.5
        complaint("model", f"a {name} of {int('scale' in name)} in layer {place}, not", from_pykan, moved)
        moved.saveckpt("moved")
        complaint("model", f"a {name} of {int('scale' in name)} in layer {place}, not", from_pykan, "moved")

    other = kan.KAN(width=[2, 1], base_fun=torch.nn.Tanh(), auto_save=False)
    complaint("model", "in layer 0, not Tanh()", from_pykan, other)
    other.saveckpt("other")
    complaint("model", "Give `base_fun` and `grid_eps`", from_pykan, "other")
    own = from_pykan("other", base_fun=TANH, grid_eps=0.02)
    x = np.random.default_rng(0).uniform(-1, 1, (9, 2))
    assert_within(own(x), other(torch.tensor(x)).detach().numpy(), 1e-13)

    chosen = drawn(kan, [3, 2, 1])
    chosen(torch.ones(5, 3))
    chosen = chosen.prune_input(active_inputs=[0, 2], log_history=False)
    complaint("model", "2 inputs in their order in layer 0, not those at [0, 2]", from_pykan, chosen)
    chosen.input_id = torch.arange(2)
    assert from_pykan(chosen).width == [2, 2, 1]


@live
def test_a_state_that_would_run_code_is_refused(kan) -> None:
    import torch

    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, ("sprung",)

    kan.KAN(width=[1, 1], auto_save=False).saveckpt("mark")
    torch.save({"act_fun.0.coef": Trap()}, "mark_state")
    with pytest.raises(
        ValueError, match=r"^Argument `model` must name a checkpoint that pykan wrote, not mark_state: "
    ):
        from_pykan("mark")
    Path("mark_config.yml").write_text("grid: !!python/object/apply:os.mkdir ['sprung']", encoding="utf-8")
    complaint("model", "plain settings in mark_config.yml", from_pykan, "mark")
    assert not os.path.exists("sprung")


@live
def test_making_a_pykan_model_leaves_no_trace(kan, capsys) -> None:
    import torch

    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    new = to_pykan(KAN([2, 3, 1], extrapolate="fade", seed=3))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002
    assert capsys.readouterr().out == ""
    assert os.listdir() == []
    assert new.device == "cpu"
    assert new.auto_save is False


@live
def test_a_pykan_model_that_was_made_can_be_trained(kan) -> None:
    import torch

    theirs = to_pykan(KAN([2, 3, 1], grid=3, extrapolate="fade", seed=3))
    x = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    data = {"train_input": torch.tensor(x), "train_label": torch.tensor(x[:, :1] * x[:, 1:])}
    data |= {"test_input": data["train_input"], "test_label": data["train_label"]}
    losses = theirs.fit(data, opt="LBFGS", steps=5)["train_loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert_same_function(theirs, from_pykan(theirs), live_points(theirs))
