"""``numkan explore``: the page of a saved model and a table."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.cli import main


def read(path: Path) -> Any:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.S)
    return json.loads(text)


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f8")


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{rng.uniform(1, 3):.4f},{'oak' if s % 2 else 'pine'},{s / 10:.4f}" for s in range(40)]
    path = tmp_path / "beams.csv"
    path.write_text("\n".join(["length,material,load", *rows, "2.0,oak,"]))
    return path


def test_a_fitted_table_makes_a_page_in_its_own_names_and_units(capsys, tmp_path, table):
    model = str(tmp_path / "m.npz")
    main(["fit", str(table), "--target", "load", "--out", model, "--width", "3", "1", "--no-progress"])
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert main(["explore", model, str(table), str(page)]) == 0
    assert capsys.readouterr().out == f"The page is in {page}.\n"
    data = read(page)
    assert data["inputs"] == ["length", "material = oak", "material = pine"]
    assert data["outputs"] == ["load"]
    assert data["samples"]["count"] == 40  # not the row without a target
    lengths = np.array([float(line.split(",")[0]) for line in table.read_text().splitlines()[1:41]])
    mean, scale = data["units"][0]
    np.testing.assert_allclose(mean + scale * floats(data["samples"]["x"]).reshape(40, 3)[:, 0], lengths, rtol=1e-12)
    assert data["units"][1:] == [[0.0, 1.0], [0.0, 1.0]]
    assert [type(cell) for cell in data["stages"][0]] == [int, int, float, float, str]


@pytest.mark.jit
def test_a_fit_that_keeps_its_posterior_makes_a_page_with_intervals(capsys, tmp_path, table):
    model, page = str(tmp_path / "m.npz"), tmp_path / "page.html"
    for options, key in (([], "none"), (["--posterior"], "root")):
        fit = ["fit", str(table), "--target", "load", "--out", model, "--width", "3", "1", "--no-progress"]
        assert main([*fit, *options]) == 0
        assert main(["explore", model, str(table), str(page)]) == 0
        assert key in read(page)["interval"]
    capsys.readouterr()
    assert main(["fit", str(table), "--target", "load", "--posterior"]) == 2
    assert "Argument `--posterior` must come with --out" in capsys.readouterr().err


@pytest.mark.jit
def test_a_fit_without_a_posterior_is_kept_without_it(capsys, tmp_path, table, monkeypatch):
    monkeypatch.setattr("numkan.train.posterior.MOST", 1)
    model = tmp_path / "m.npz"
    fit = ["fit", str(table), "--target", "load", "--width", "3", "1", "--no-progress", "--posterior"]
    assert main([*fit, "--out", str(model)]) == 0
    assert "numkan: the posterior is not kept: The model has no posterior" in capsys.readouterr().err
    assert KAN.load(model).width == [3, 1]


def test_a_model_without_names_takes_inputs_and_then_outputs(tmp_path):
    model = KAN([2, 2, 1], seed=0)
    model.save(tmp_path / "m.npz")
    values = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    np.save(tmp_path / "data.npy", values)
    page = tmp_path / "page.html"
    assert main(["explore", str(tmp_path / "m.npz"), str(tmp_path / "data.npy"), str(page)]) == 0
    data = read(page)
    assert floats(data["samples"]["y"]).tolist() == values[:, 2].tolist()
    assert floats(data["samples"]["prediction"]).tolist() == model(values[:, :2])[:, 0].tolist()


def test_a_table_that_does_not_fit_the_model_is_one_line_and_no_page(capsys, tmp_path, table):
    KAN([2, 2, 1], seed=0).save(tmp_path / "m.npz")
    np.save(tmp_path / "data.npy", np.zeros((5, 2)))
    page = tmp_path / "page.html"
    for data, message in (("data.npy", "must have 2 inputs and 1 outputs"), ("beams.csv", "must hold numbers")):
        assert main(["explore", str(tmp_path / "m.npz"), str(tmp_path / data), str(page)]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not page.exists()
