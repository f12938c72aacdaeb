"""Models written out: as a C header that is compiled, as a file of NumPy, and as polynomials of scipy."""

from __future__ import annotations

import ctypes
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numkan import KAN, silu
from numkan.export.tables import layer_tables
from numkan.spline.policies import EXTRAPOLATIONS

#: Points of each network.
MANY = 10_000

CC = shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler")


def points(model: Any, n: int, seed: int = 0) -> Any:
    """Points inside the first grid and outside, its knots among them."""
    rng = np.random.default_rng(seed)
    layer = model.act_fun[0]
    inside = layer.grid[:, [layer.k, -1 - layer.k]]
    length = inside[:, 1] - inside[:, 0]
    x = rng.uniform(inside[:, 0] - length, inside[:, 1] + length, (n, model.n_in))
    knots = layer.grid[:, rng.integers(0, layer.grid.shape[1], (len(x) // 10))].T
    x[: len(knots)] = knots
    return x.astype(model.dtype)


def networks() -> dict[str, Any]:
    made: dict[str, Any] = {
        policy: KAN([3, 4, 2], grid=5, k=3, extrapolate=policy, seed=1) for policy in EXTRAPOLATIONS
    }
    made |= {f"k={k}": KAN([2, 3, 1], grid=7, k=k, seed=k) for k in (0, 1, 2, 5)}
    made |= {name: KAN([2, 3, 1], base_fun=name, seed=2) for name in ("identity", "zero")}
    made["single"] = KAN([3, 4, 2], dtype=np.float32, seed=3)
    made["deep"] = KAN([2, 3, 3, 3, 2], grid=[3, 8, 20, 4], k=[1, 2, 3, 4], seed=4)
    made["one interval"] = KAN([1, 1], grid=1, k=3, seed=5)
    uneven = KAN([2, 3, 1], grid=12, grid_eps=0.02, seed=6)
    uneven.update_grid_from_samples(np.random.default_rng(0).normal(size=(500, 2)) ** 3)
    made["uneven"] = uneven
    masked = KAN([3, 4, 2], seed=7)
    masked.act_fun[0].mask[0, 1] = 0
    masked.act_fun[1].mask[2, :] = 0
    made["masked"] = masked
    made["raise"].act_fun[1].grid = 20 * made["raise"].act_fun[1].grid  # so that no hidden node leaves it
    return made


NETWORKS = networks()
CASES = pytest.mark.parametrize("name", NETWORKS)


def with_noise(model: Any) -> Any:
    """Draw coefficients as large as those of a trained model, the same ones always."""
    rng = np.random.default_rng(9)
    for layer in model.act_fun:
        layer.coef[:] = rng.normal(size=layer.coef.shape)
    return model


def bound(model: Any, x: Any) -> Any:
    """Four units in the last place of the sum of the terms of a node, carried through the layers by their slopes."""
    eps = float(np.finfo(model.dtype).eps)
    error, nodes = np.zeros(x.shape), x
    for layer in model.act_fun:
        terms, carried = 0.0, 0.0
        for i in range(layer.n_in):
            here = edge_values(layer, nodes, i)
            terms = terms + edge_terms(layer, nodes[:, i], i)
            if error.any():
                step = np.maximum(error[:, i], 1e-7)
                there = [np.abs(edge_values(layer, moved(nodes, i, sign * step), i) - here) for sign in (1, -1)]
                carried = carried + np.fmax(*there) * (error[:, i] / step)[:, None]
        error = 4 * eps * terms + 1.1 * carried
        nodes = layer(nodes)
    return error


def edge_terms(layer: Any, x: Any, i: int) -> Any:
    """The sum of the absolute terms of an edge: of the powers on a piece, and of the base function."""
    tables = layer_tables(layer)
    piece = np.searchsorted(tables.breaks[i], x, side="right")
    w = np.abs((x - tables.centre[i, piece]) * tables.inverse[i, piece]).astype(np.float64)
    powers = w[:, None] ** np.arange(layer.k, -1, -1)
    base = {"silu": silu, "identity": np.asarray, "zero": np.zeros_like}[tables.base_fun](x)
    splines = np.einsum("nom,nm->no", np.abs(tables.poly[i, piece]), powers)
    return splines + np.abs(tables.base[i] * base[:, None])


def moved(nodes: Any, i: int, step: Any) -> Any:
    out = nodes.copy()
    out[:, i] = out[:, i] + step
    return out


def edge_values(layer: Any, nodes: Any, i: int) -> Any:
    """What input i adds to each output."""
    keep = layer.mask.copy()
    try:
        layer.mask[:] = 0
        layer.mask[i] = keep[i]
        return layer(nodes).astype(np.float64)
    finally:
        layer.mask[:] = keep


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that compiles a model and returns its predictions at points."""
    folder = tmp_path_factory.mktemp("c")

    def predict(model: Any, name: str) -> Any:
        stem = "".join(letter if letter.isalnum() else "_" for letter in name)
        model.to_c(folder / f"{stem}.h", name="forward")
        real = "float" if model.dtype == np.float32 else "double"
        (folder / f"{stem}.c").write_text(
            f'#include "{stem}.h"\nvoid many(const {real} *x, {real} *y, long n) {{\n'
            f"  for (long s = 0; s < n; s++) forward(x + s * {model.n_in}, y + s * {model.n_out});\n}}\n"
        )
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-shared", "-fPIC"]
        library = folder / f"{stem}.so"
        subprocess.run([str(CC), *flags, f"{stem}.c", "-o", library, "-lm"], cwd=folder, check=True)
        many = ctypes.CDLL(str(library)).many
        pointer = np.ctypeslib.ndpointer(model.dtype, flags="C_CONTIGUOUS")
        many.argtypes, many.restype = [pointer, pointer, ctypes.c_long], None

        def at(x: Any) -> Any:
            y = np.empty((len(x), model.n_out), model.dtype)
            many(np.ascontiguousarray(x), y, len(x))
            return y

        return at

    return predict


def exported(model: Any, folder: Path) -> Any:
    model.to_numpy(folder / "model.py")
    return runpy.run_path(str(folder / "model.py"))["predict"]


def assert_same(model: Any, predict: Any, x: Any) -> None:
    if model.extrapolate == "raise":
        layer = model.act_fun[0]
        low, high = layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]
        x = x[((x >= low) & (x <= high)).all(axis=1)]
    expected = model(x)
    actual = predict(x)
    assert actual.dtype == model.dtype
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    ok = ~np.isnan(expected).any(axis=1)
    assert ok.any()
    assert (np.abs(actual[ok].astype(np.float64) - expected[ok]) <= bound(model, x[ok])).all()


@pytest.mark.jit
@needs_cc
@CASES
def test_the_c_header_predicts_what_the_model_predicts(name, compiled):
    model = with_noise(NETWORKS[name])
    assert_same(model, compiled(model, name), points(model, MANY))


@pytest.mark.jit
@CASES
def test_the_file_of_numpy_predicts_what_the_model_predicts(name, tmp_path):
    model = with_noise(NETWORKS[name])
    assert_same(model, exported(model, tmp_path), points(model, MANY))


@CASES
def test_scipys_polynomials_are_the_splines(name):
    model = with_noise(NETWORKS[name])
    x = points(model, 100)[:, :1].astype(np.float64)
    for layer, curves in zip(model.act_fun, model.to_scipy(), strict=True):
        base = layer.scale_base.copy()
        try:
            layer.scale_base[:] = 0
            for i in range(layer.n_in):
                at = np.tile(x, layer.n_in).astype(model.dtype)
                if model.extrapolate == "raise":
                    at = np.clip(at, layer.grid[:, layer.k], layer.grid[:, -1 - layer.k])
                expected = edge_values(layer, at, i)
                actual = np.stack([curve(at[:, i]) for curve in curves[i]], axis=1)
                rtol = 1e-10 if model.dtype == np.float64 else 1e-3
                np.testing.assert_allclose(
                    actual, expected, rtol=rtol, atol=rtol * np.nanmax(np.abs(expected), initial=1)
                )
        finally:
            layer.scale_base[:] = base


@needs_cc
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300, -0.0])
def test_numbers_at_the_ends_of_the_line_give_what_the_model_gives(value, compiled, tmp_path):
    model = with_noise(KAN([2, 3, 1], seed=0, base_fun="silu", extrapolate="clamp"))
    x = np.array([[0.3, value], [value, 0.1]])
    expected = model(x)
    for predict in (compiled(model, f"value{value}"), exported(model, tmp_path)):
        np.testing.assert_allclose(predict(x), expected, rtol=1e-13)


def test_the_file_of_numpy_refuses_what_the_policy_refuses(tmp_path):
    predict = exported(KAN([2, 1], extrapolate="raise", seed=0), tmp_path)
    assert predict(np.array([[1.0, -1.0]])).shape == (1, 1)
    with pytest.raises(ValueError, match="outside the grid of input 1"):
        predict(np.array([[1.0, -1.1]]))
    with pytest.raises(ValueError, match="must have shape"):
        predict(np.zeros(2))


@needs_cc
def test_a_point_that_the_policy_refuses_is_nan_in_c(compiled):
    model = KAN([2, 1], extrapolate="raise", seed=0)
    assert np.isnan(compiled(model, "refused")(np.array([[1.0, -1.1]]))).all()


def test_the_head_of_the_header_has_points_to_test_it_with(tmp_path):
    model = KAN([2, 3, 2], seed=0)
    model.to_c(tmp_path / "model.h")
    lines = [
        line.split("=")[1] for line in (tmp_path / "model.h").read_text().splitlines() if line[3:6] in ("x =", "y =")
    ]
    x, y = (np.array([[float(v) for v in line.split(",")] for line in part]) for part in (lines[::2], lines[1::2]))
    assert len(x) >= 4
    np.testing.assert_array_equal(model(x), y)


def test_the_same_model_makes_the_same_files(tmp_path):
    for name in ("to_c", "to_numpy"):
        for path in (tmp_path / "one", tmp_path / "other"):
            getattr(KAN([2, 3, 1], seed=0), name)(path)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize("name", ["to_c", "to_numpy"])
def test_what_cannot_be_written_is_refused_and_leaves_no_file(name, tmp_path):
    model = KAN([2, 1], base_fun=(np.sin, np.cos))
    with pytest.raises(ValueError, match="base function is one of"):
        getattr(model, name)(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["2x", "a b", "", "x;", None])
def test_a_function_that_c_cannot_name_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="`name` must be a C identifier"):
        KAN([2, 1]).to_c(tmp_path / "file.h", name=name)
