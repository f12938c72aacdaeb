"""``numkan fit`` and ``numkan predict`` from end to end: what is printed is what the model says."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tracemalloc

import numpy as np
import pytest

from numkan import KAN
from numkan.cli import main, tables
from numkan.cli.encoding import Encoding
from numkan.cli.tables import open_table

pytestmark = pytest.mark.jit

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (60, 2))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, columns):
    with open(name, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def rows_of(text):
    header, *rows = csv.reader(io.StringIO(text))
    return header, np.array(rows, float)


def run(capsys, *arguments):
    """Run a command that succeeds, and return what it prints."""
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def encoded(model, data):
    """Return the outputs of a saved model at a table, by way of the library."""
    network = KAN.load(model)
    encoding = Encoding.from_json(network._encoding)
    with open_table(data) as table:
        (block,) = table.blocks([column.name for column in encoding.columns])
        return network(encoding.encode(block)[0])


@pytest.fixture
def mixed():
    """A table of a number with gaps, a category with gaps, and a target with gaps that follows from both."""
    a = [f"{value:.6f}" if row % 7 else "" for row, value in enumerate(X[:, 0])]
    b = ["red" if value > 0 else "blue" if value > -0.7 else "" for value in X[:, 1]]
    y = [X[row, 0] + 2.0 * (colour == "red") if row % 10 else "" for row, colour in enumerate(b)]
    write("d.csv", {"a": a, "b": b, "y": y})
    return "d.csv"


def test_a_table_with_gaps_and_categories_is_fitted_kept_and_predicted(capsys, mixed, monkeypatch):
    told = json.loads(run(capsys, "fit", mixed, "--target", "y", "--out", "m.npz", "--width", 5, 1, "--json"))
    assert (told["rows"], told["skipped"], told["success"], told["classes"]) == (54, 6, True, None)
    assert told["inputs"] == ["a", "a is missing", "b = blue", "b = red", "b is missing"]
    assert told["score"] > 0.8
    assert told["rmse"] == pytest.approx(np.sqrt(told["loss"]))
    with monkeypatch.context() as patch:
        patch.setattr(tables, "_CELLS", 30)
        header, found = rows_of(run(capsys, "predict", "m.npz", mixed))
    assert header == ["y"]
    assert found.tobytes() == encoded("m.npz", mixed).tobytes()


def test_columns_are_found_by_name_and_unseen_texts_are_gaps(capsys, mixed):
    run(capsys, "fit", mixed, "--target", "y", "--out", "m.npz", "--width", 5, 1)
    write("new.csv", {"z": ["q", "q"], "b": ["green", ""], "a": [0.25, 0.25]})
    assert main(["predict", "m.npz", "new.csv"]) == 0
    out, err = capsys.readouterr()
    first, second = rows_of(out)[1]
    assert first == second
    assert err == "numkan: column 'b' has text that the fit has not seen in 1 row: taken for gaps.\n"
    write("bad.csv", {"b": ["red"], "a": ["many"]})
    assert main(["predict", "m.npz", "bad.csv"]) == 2
    assert "Column 'a' must hold numbers, not 'many' in row 1" in capsys.readouterr().err
    write("bad.csv", {"b": ["red"]})
    assert main(["predict", "m.npz", "bad.csv"]) == 2
    assert capsys.readouterr() == ("", "numkan: bad.csv has no column 'a', only 'b'.\n")
    write("empty.csv", {"a": [], "b": []})
    assert run(capsys, "predict", "m.npz", "empty.csv") == "y\n"


def test_text_is_classified_and_predictions_are_probabilities(capsys):
    write("d.csv", {"a": X[:, 0], "b": X[:, 1], "kind": np.where(X[:, 0] + X[:, 1] > 0, "yes, sir", "no")})
    told = json.loads(run(capsys, "fit", "d.csv", "--target", "kind", "--out", "m.npz", "--json", "--width", 2, 2))
    assert (told["classes"], told["outputs"], told["loss_name"]) == (["no", "yes, sir"],) * 2 + ("cross_entropy",)
    assert told["rmse"] is None
    header, found = rows_of(run(capsys, "predict", "m.npz", "d.csv"))
    assert header == ["no", "yes, sir"]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.mean((found.argmax(axis=1) == 1) == (X[:, 0] + X[:, 1] > 0)) == told["score"] > 0.9
    assert "target kind: classes no, yes, sir" in run(capsys, "show", "m.npz")


def test_integers_are_numbers_unless_they_are_to_be_classes(capsys):
    labels = (X[:, 0] > 0).astype(int) + 3
    np.save("d.npy", np.column_stack([X, labels]))
    asked = "--target", "-1", "--json", "--ignore", "1", "--width", 1
    assert json.loads(run(capsys, "fit", "d.npy", *asked, 1))["classes"] is None
    told = json.loads(run(capsys, "fit", "d.npy", *asked, 2, "--classify"))
    assert (told["classes"], told["columns"]) == (["3", "4"], ["0"])


def test_several_targets_are_several_outputs(capsys):
    write("d.csv", {"a": X[:, 0], "u": X[:, 0] ** 2, "v": -X[:, 0]})
    targets = "--target", "u", "--target", "v"
    text = run(capsys, "fit", *targets, "d.csv", "--out", "m.npz", "--plot", "f.pdf", "--width", 1, 2)
    assert "R2 of the data that were fitted: 1" in text
    assert "The model is in m.npz." in text
    assert sorted(os.listdir()) == ["d.csv", "f.pdf", "m.npz"]
    with open("f.pdf", "rb") as file:
        assert file.read(5) == b"%PDF-"
    header, found = rows_of(run(capsys, "predict", "m.npz", "d.csv"))
    assert header == ["u", "v"]
    np.testing.assert_allclose(found, np.column_stack([X[:, 0] ** 2, -X[:, 0]]), atol=1e-3)


def test_the_same_seed_writes_the_same_file_and_the_default_width_has_five_hidden_nodes(capsys):
    write("d.csv", {"a": X[:, 0], "y": X[:, 0] ** 2})
    told = [
        json.loads(run(capsys, "fit", "d.csv", "--target", "y", "--json", "--seed", 4, "--out", name))
        for name in ("1.npz", "2.npz")
    ]
    assert told[0]["width"] == [1, 5, 1]
    with open("1.npz", "rb") as first, open("2.npz", "rb") as second:
        assert first.read() == second.read()


def test_a_model_saved_in_python_takes_all_columns_as_numbers(capsys):
    model = KAN([2, 1, 2], seed=3)
    model.save("m.npz")
    x = np.vstack([X, [[np.nan, 1.0]]])
    np.save("x.npy", x)
    header, found = rows_of(run(capsys, "predict", "m.npz", "x.npy"))
    assert header == ["y0", "y1"]
    np.testing.assert_array_equal(found, model(x))
    write("x.csv", {"a": [1]})
    assert main(["predict", "m.npz", "x.csv"]) == 2
    assert "must have 2 columns for this model, which names none of them, not 1" in capsys.readouterr().err


def test_an_encoding_of_another_network_is_refused(capsys, mixed):
    run(capsys, "fit", mixed, "--target", "y", "--out", "m.npz", "--width", 5, 1)
    other = KAN([2, 1])
    other._encoding = KAN.load("m.npz")._encoding
    other.save("m.npz")
    assert main(["predict", "m.npz", mixed]) == 2
    assert "has an encoding of (5, 1) inputs and outputs, not of (2, 1)" in capsys.readouterr().err
    other._encoding = b"{}"
    other.save("m.npz")
    assert main(["show", "m.npz"]) == 2
    assert "has an encoding that cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--out", "d.csv"], "Argument `--out` must not name the table itself, 'd.csv'."),
        (["--out", "no/m.npz"], "Argument `--out` must name a file that can be written, not 'no/m.npz'."),
        (["--plot", "f.doc"], "Argument `--plot` must end in .pdf, .png, .svg, not 'f.doc'."),
        (["--width", "2", "1"], "must begin with 5 inputs (a, a is missing, b = blue, b = red, b is missing)"),
        (["--target", "y"], "must name other columns than 'y', which is named twice"),
        (["--ignore", "y"], "must name other columns than 'y', which is ignored"),
        (["--ignore", "a", "--ignore", "b"], "must have a column beside the targets"),
        (["--ignore", "c"], "d.csv has no column 'c'"),
        (["--k", "-1"], "Argument `k` must be at least 0, not -1."),
        (["--time-limit", "-1"], "Argument `time_limit` must be at least 0, not -1.0."),
    ],
)
def test_a_wrong_option_is_one_line_and_nothing_is_written(capsys, mixed, options, says):
    assert main(["fit", mixed, "--target", "y", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
    assert os.listdir() == ["d.csv"]


def test_a_fit_that_is_not_successful_is_exit_code_3_and_is_not_kept(capsys):
    write("d.csv", {"a": X[:, 0], "y": np.where(X[:, 0] > 0, 1e300, -1e300)})
    assert main(["fit", "d.csv", "--target", "y", "--width", "1", "1", "--out", "m.npz", "--json"]) == 3
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["success"], told["out"], told["score"]) == (False, None, None)
    assert told["message"] in err
    assert os.listdir() == ["d.csv"]


def test_the_bar_is_on_the_standard_error_where_it_is_asked_for(capsys, mixed):
    pytest.importorskip("tqdm")
    options = "fit", mixed, "--target", "y", "--width", "5", "1"
    assert main([*options, "--progress"]) == 0
    out, err = capsys.readouterr()
    assert "step" in err
    assert "step/s" not in out
    assert main(list(options)) == 0
    assert "step" not in capsys.readouterr().err


def test_every_key_of_the_json_is_in_the_help(capsys, mixed):
    objects = {
        "fit": run(capsys, "fit", mixed, "--target", "y", "--width", 5, 1, "--out", "m.npz", "--json"),
        "show": run(capsys, "show", "m.npz", "--json"),
        "info": run(capsys, "info", "--json"),
    }
    for command, text in objects.items():
        told = json.loads(text)
        nested = [one for value in told.values() if isinstance(value, list) for one in value if isinstance(one, dict)]
        words = set(re.findall(r"[a-z_0-9]+", run(capsys, command, "--help").partition("--json prints")[2]))
        assert {*told, *(key for one in nested for key in one)} <= words, command


def test_predictions_of_long_tables_take_no_more_memory_than_those_of_short_ones(capfd, monkeypatch):
    monkeypatch.setattr(tables, "_CELLS", 1000)
    KAN([2, 1], grid=2, k=1).save("m.npz")
    peaks = []
    for n_rows in (500, 2_000, 20_000):
        with open("x.csv", "w") as file:
            file.write("a,b\n" + "0.25,0.5\n" * n_rows)
        tracemalloc.start()
        assert main(["predict", "m.npz", "x.csv"]) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]


def test_the_formula_of_a_fit_is_printed_with_names_that_python_can_read(capsys):
    pytest.importorskip("sympy")
    x = RNG.uniform(1, 2, (60, 2))
    write("law.csv", {"the mass": x[:, 0], "2r": x[:, 1], "y": 3 * x[:, 0] * x[:, 1]})
    out = run(capsys, "fit", "law.csv", "--target", "y", "--width", 2, 1, 1, "--formula")
    assert "y = 3*_2r*the_mass (exact; held-out RMSE " in out
    told = json.loads(run(capsys, "fit", "law.csv", "--target", "y", "--width", 2, 1, 1, "--formula", "--json"))
    (formula,) = told["formulas"]
    assert (formula["output"], formula["formula"], formula["status"]) == ("y", "3*_2r*the_mass", "exact")
    assert (formula["stopped"], formula["constants"][0]["exact"]) == (None, "3")
    assert formula["held_out"] < 1e-14


def test_a_formula_is_refused_before_anything_is_fitted(capsys):
    write("few.csv", {"a": X[:20, 0], "y": X[:20, 1]})
    write("kinds.csv", {"a": X[:, 0], "y": ["no" if value > 0 else "yes" for value in X[:, 1]]})
    for file, message in (("few.csv", "must have at least 30 rows"), ("kinds.csv", "numbers, not classes")):
        assert main(["fit", file, "--target", "y", "--formula"]) == 2
        assert message in capsys.readouterr().err
