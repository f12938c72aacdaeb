"""The page on the format of files is right: its reader of 20 lines predicts what numkan does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from numkan import KAN
from numkan._encoding import Number
from numkan.cli.encoding import Encoding
from numkan.model import archive
from numkan.spline.pieces import EXTRAPOLATIONS

FORMS = [("float64", 0), ("float64", 2), ("float64", 3), ("float32", 3)]

PAGE = (Path(__file__).parents[1] / "docs/file_format.md").read_text(encoding="utf-8")
(READER,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def predict():
    names: dict[str, object] = {}
    exec(READER, names)
    return names["predict"]


def made(policy, dtype, k, base_fun):
    """A network with uneven and repeated knots, numbers in all arrays, and edges that are masked or scaled."""
    rng = np.random.default_rng(k)
    model = KAN([2, 3, 2], grid=[5, 3], k=k, base_fun=base_fun, extrapolate=policy, seed=k, dtype=dtype)
    for layer in model.act_fun:
        grid = layer.grid + rng.uniform(0, 0.1, layer.grid.shape)
        grid[0, k + 2] = grid[0, k + 1]
        layer.grid = np.sort(grid, axis=1)
        layer.coef[...] = rng.normal(size=layer.coef.shape)
        layer.scale_sp[...] = rng.normal(size=layer.scale_sp.shape)
        layer.mask[0, 1], layer.mask[1, 0] = 0, -0.5
    return model


def inputs(model):
    """Points inside the grids of the first layer, at their ends, and outside, near and far."""
    k, grid = model.k[0], model.act_fun[0].grid
    ends = grid[:, [k, -k - 1]].T
    length = ends[1] - ends[0]
    outside = [ends[side] + sign * share * length for side, sign in ((0, -1), (1, 1)) for share in (0.01, 0.2, 3)]
    return np.vstack([np.random.default_rng(0).uniform(-1, 1, (20, 2)), ends, outside])


@pytest.mark.parametrize("policy", EXTRAPOLATIONS)
@pytest.mark.parametrize(("dtype", "k"), FORMS)
def test_the_reader_of_the_page_predicts_what_numkan_does(tmp_path, predict, policy, dtype, k):
    model = made(policy, dtype, k, ("silu", "identity", "zero")[k % 3])
    model.save(tmp_path / "m.npz")
    x = inputs(model).astype(dtype)
    if policy == "raise":  # both say where that is the case
        model.extrapolate = "nan"
    expected = model(x)
    with np.load(tmp_path / "m.npz") as file:
        found = predict(file, x.astype(float))
    inside = ~np.isnan(expected)
    assert inside.any()
    assert (~inside).any() == (policy in ("nan", "raise"))
    tolerance = 1e-12 if dtype == "float64" else 2e-4
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected[inside]).max())


def test_the_reader_has_twenty_lines():
    lines = [line for line in READER.splitlines() if line.strip()]
    assert sum(not line.startswith("import") for line in lines) <= 20


def test_the_page_names_all_members_and_settings(tmp_path):
    model = KAN([2, 1])
    model._encoding = Encoding((Number("a", 0.0, 1.0, False),), ("y",), None).to_json()
    model.save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as file:
        config, encoding = (json.loads(file[name].tobytes()) for name in ("config", "encoding"))
        members = file.files
    assert config["format"] == archive.FORMAT
    assert f"This page describes format {archive.FORMAT}." in PAGE
    for name in (*members, *config, *config["layers"][0], *encoding, *encoding["columns"][0], *EXTRAPOLATIONS):
        assert f"`{name}`" in PAGE, name


def test_the_help_of_save_describes_the_file():
    text = KAN.save.__doc__
    for name in ("config", *archive._ARRAYS, *EXTRAPOLATIONS, "encoding"):
        assert f"``{name}``" in text, name
    assert "(n_in, n_out, G + k)" in text
