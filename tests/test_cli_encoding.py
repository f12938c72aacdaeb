"""From columns to inputs: numbers standardised, categories as indicators, gaps as a constant and an indicator."""

from __future__ import annotations

import json
import math
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan._encoding import Category, Moments, Number
from numkan.cli import survey as survey_module
from numkan.cli import tables
from numkan.cli.encoding import Encoding
from numkan.cli.errors import CommandError
from numkan.cli.survey import survey
from numkan.cli.tables import Block, open_table
from numkan.train.history import Stage


def survey_of(tmp_path, text, targets=("y",), category=(), classify=False):
    (tmp_path / "t.csv").write_text(text)
    with open_table(str(tmp_path / "t.csv")) as table:
        inputs = [name for name in table.names if name not in targets]
        return survey(table, inputs, targets, category, classify)


def column(name, cells):
    return f"{name},y\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(cells))


def test_a_column_of_numbers_is_standardised_and_a_gap_is_the_mean(tmp_path):
    encoding, n_rows = survey_of(tmp_path, column("a", [1, 3, "", 5]))
    assert n_rows == 4
    x, unknown = encoding.encode(Block(0, 3, {"a": ["3", "NA", "5"]}))
    assert encoding.inputs == ["a", "a is missing"]
    np.testing.assert_allclose(x, [[0, 0], [0, 1], [2 / np.sqrt(8 / 3), 0]])
    assert unknown == {"a": 0}


def test_a_gap_where_the_fit_had_none_is_the_mean(tmp_path):
    encoding, _ = survey_of(tmp_path, column("a", [1, 3]))
    assert encoding.encode(Block(0, 2, {"a": ["", "3"]}))[0].tolist() == [[0.0], [1.0]]


def test_categories_become_indicators_and_unseen_ones_are_gaps(tmp_path):
    encoding, _ = survey_of(tmp_path, column("a", ["x", "y", "", "x"]))
    assert encoding.inputs == ["a = x", "a = y", "a is missing"]
    x, unknown = encoding.encode(Block(0, 4, {"a": ["y", "z", "", " x"]}))
    assert x.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]]
    assert unknown == {"a": 1}


def test_an_unseen_category_where_the_fit_had_no_gaps_has_the_shares_of_the_others(tmp_path):
    encoding, _ = survey_of(tmp_path, column("a", ["x", "y", "x", "x"]))
    x, unknown = encoding.encode(Block(0, 3, {"a": ["z", "", "y"]}))
    assert x.tolist() == [[0.75, 0.25], [0.75, 0.25], [0, 1]]
    assert unknown == {"a": 1}


def test_numbers_are_categories_where_that_is_asked_for(tmp_path):
    encoding, _ = survey_of(tmp_path, column("a", [1, 2, 1]), category=["a"])
    assert encoding.columns == (Category("a", ("1", "2"), (2 / 3, 1 / 3), gaps=False),)


def test_a_column_whose_first_text_comes_late_is_a_category_with_all_its_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_CELLS", 4)
    encoding, n_rows = survey_of(tmp_path, column("a", [1, 2, 1, "", 2, "x", 1]))
    assert (encoding.columns, n_rows) == ((Category("a", ("1", "2", "x"), (3 / 6, 2 / 6, 1 / 6), gaps=True),), 7)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.integers(1, 7), st.floats(-1e9, 1e9))
def test_moments_of_blocks_are_those_of_the_whole(numbers, size, shift):
    values = np.array(numbers) + shift
    moments = Moments()
    for begin in range(0, len(values), size):
        moments.add(np.append(values[begin : begin + size], np.nan))
    found = moments.column("a")
    assert found.gaps
    assert found.mean == pytest.approx(values.mean(), rel=1e-12, abs=1e-9)
    if values.std() > 1e-6 * (1 + abs(shift)):
        assert found.scale == pytest.approx(values.std(), rel=1e-6)


def test_a_weight_counts_a_cell_so_many_times():
    values, weight = np.array([1.0, 4.0, np.nan, 2.5]), np.array([3.0, 1.0, 2.0, 2.0])
    weighed, repeated = Moments(), Moments()
    weighed.add(values, weight)
    repeated.add(np.repeat(values, weight.astype(int)))
    assert weighed.column("a").mean == pytest.approx(repeated.column("a").mean, rel=1e-15)
    assert weighed.column("a").scale == pytest.approx(repeated.column("a").scale, rel=1e-15)


@pytest.mark.parametrize("cells", [[5, 5, 5], [0.1, 0.1, 0.1], [1e300, 1e300], [0, 0], [1e308, 1.5e308, 1.7e308]])
def test_a_column_whose_spread_is_nothing_or_beyond_floats_has_scale_one(tmp_path, cells):
    encoding, _ = survey_of(tmp_path, column("a", cells))
    assert encoding.columns[0].scale == 1.0
    assert np.isfinite(encoding.columns[0].mean)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,y\n", "has no rows"),
        ("a,y\n,1\nNA,2\n", "Column 'a' of .* has no values: leave it out by --ignore"),
        ("a,y\n1,\n2,NA\n", "Column 'y' of .* has no values"),
        ("a,y\n1,1\ninf,2\n", "Column 'a' must be finite, but .* has inf in row 2"),
        ("a,y\n1,1\n1,-1e999\n", "Column 'y' must be finite, but .* has -inf in row 2"),
        ("a,y\n1,x\n2,x\n", "must hold two classes at least, not only 'x'"),
    ],
)
def test_what_cannot_be_fitted_is_told(tmp_path, text, says):
    with pytest.raises(CommandError, match=says):
        survey_of(tmp_path, text)


def test_too_many_texts_are_told_with_the_one_that_is_no_number(tmp_path, monkeypatch):
    monkeypatch.setattr(survey_module, "_MAX_LEVELS", 3)
    with pytest.raises(CommandError, match="has text in it, such as '1,5', and more than 3 different values"):
        survey_of(tmp_path, column("a", [1.5, 2.5, '"1,5"', 3.5, 4.5, 5.5]))


@pytest.mark.parametrize(
    ("cells", "classify", "classes"),
    [
        (["b", "a", "", "b"], False, ("a", "b")),
        (["True", "False"], False, ("False", "True")),
        ([10, 9, 10], True, ("9", "10")),
        ([10, 9, 10], False, None),
        (["x", 1, 2], False, ("1", "2", "x")),
    ],
)
def test_texts_are_classes_and_integers_are_where_it_is_asked_for(tmp_path, cells, classify, classes):
    text = "a,y\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(cells))
    encoding, _ = survey_of(tmp_path, text, classify=classify)
    assert encoding.classes == classes


def test_fractions_are_no_classes(tmp_path):
    with pytest.raises(CommandError, match=r"must hold integers or text with --classify, not 0\.5"):
        survey_of(tmp_path, "a,y\n1,0.5\n2,1\n", classify=True)


def test_classes_are_of_one_target(tmp_path):
    with pytest.raises(CommandError, match="must name one column where it holds classes, not 2"):
        survey_of(tmp_path, "a,y,z\n1,u,1\n2,v,2\n", targets=("y", "z"))


# --- in the file --------------------------------------------------------------------------------------------------

ENCODING = Encoding((Number("a", 0.1, 2.0, True), Category("b", ("x", "é"), (0.25, 0.75), False)), ("y",), ("0", "1"))


def test_the_encoding_comes_back_from_its_json():
    assert Encoding.from_json(ENCODING.to_json()) == ENCODING
    numbers = Encoding(ENCODING.columns, ("y", "z"), None)
    assert Encoding.from_json(numbers.to_json()) == numbers


def test_the_stages_of_the_fit_come_back_without_their_seconds():
    stages = (Stage(5, 12, 0.25, math.nan, 1.5, "converged"), Stage(9, 0, math.inf, 0.5, 2.0, "stopped"))
    found = Encoding.from_json(replace(ENCODING, stages=stages).to_json()).stages
    expected = [(5, 12, 0.25, math.nan, math.nan, "converged"), (9, 0, math.nan, 0.5, math.nan, "stopped")]
    np.testing.assert_equal([astuple(stage) for stage in found], expected)
    old = json.loads(ENCODING.to_json())
    del old["stages"]
    assert Encoding.from_json(json.dumps(old).encode()) == ENCODING


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(version=3),
        lambda content: content.pop("columns"),
        lambda content: content.update(columns=[1]),
        lambda content: content.update(targets=[]),
        lambda content: content.update(classes=[1, 2]),
        lambda content: content["columns"][0].update(kind="date"),
        lambda content: content["columns"][0].update(mean=None),
        lambda content: content["columns"][0].update(scale=0),
        lambda content: content["columns"][0].update(gaps="yes"),
        lambda content: content["columns"][1].update(levels="xy"),
        lambda content: content["columns"][1].update(shares=[1.0]),
        lambda content: content["columns"][1].update(shares=["x", "y"]),
        lambda content: content["columns"][1].update(name=7),
        lambda content: content.update(stages=3),
        lambda content: content.update(stages=[{"grid": 5}]),
        lambda content: content.update(stages=[{"grid": 0, "steps": 1, "loss": 1, "validation": 1, "ended": "x"}]),
    ],
)
def test_a_changed_encoding_is_refused(change):
    content = json.loads(ENCODING.to_json())
    change(content)
    with pytest.raises((ValueError, TypeError, KeyError)):
        Encoding.from_json(json.dumps(content).encode())
