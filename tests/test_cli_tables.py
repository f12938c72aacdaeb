"""Tables: what is a number, a text, a gap; rows in blocks; and what is said of a broken file."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest

from numkan.cli import tables
from numkan.cli.errors import CommandError
from numkan.cli.tables import BadCell, as_numbers, as_texts, open_table


def read(path, *names):
    with open_table(str(path)) as table:
        blocks = list(table.blocks(names or table.names))
    return {name: [cell for block in blocks for cell in block.columns[name]] for name in names or table.names}


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "a,b\r\n1,x\r\n2,y\r\n",
        "\ufeffa,b\n1,x\n2,y",
        "a;b\n1;x\n2;y\n",
        "a\tb\n1\tx\n2\ty\n",
        'a, "b"\n\n1, "x"\n2,y\n\n',
    ],
)
def test_csv_of_the_usual_dialects_is_read(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    assert read(tmp_path / "t.csv") == {"a": ["1", "2"], "b": ["x", "y"]}


def test_quoted_cells_hold_commas_quotes_and_lines(tmp_path):
    (tmp_path / "t.csv").write_text('a,"b ""c"""\n"1,5","two\nlines"\n', newline="")
    assert read(tmp_path / "t.csv") == {"a": ["1,5"], 'b "c"': ["two\nlines"]}


def test_blocks_join_to_the_whole_and_may_be_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_CELLS", 20)
    (tmp_path / "t.csv").write_text("\ufeffa,b\n" + "".join(f"{row},{row * row}\n" for row in range(25)), "utf-8")
    with open_table(str(tmp_path / "t.csv")) as table:
        for _ in range(2):
            blocks = list(table.blocks(["b", "a"]))
            assert [(block.begin, block.size) for block in blocks] == [(0, 10), (10, 10), (20, 5)]
            assert [cell for block in blocks for cell in block.columns["b"]] == [str(row * row) for row in range(25)]


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_CELLS", 1000)
    peaks = []
    for n_rows in (2_000, 20_000):
        (tmp_path / "t.csv").write_text("a,b\n" + "1.25,2.5\n" * n_rows)
        tracemalloc.start()
        try:
            with open_table(str(tmp_path / "t.csv")) as table:
                for block in table.blocks(table.names):
                    as_numbers(block.columns["a"])
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "must begin with a line of column names, not be empty"),
        (b"1,2\n3,4\n", "must name the columns, not hold numbers"),
        (b"a,a\n1,2\n", "must have different names, not twice 'a'"),
        (b"a,b\n1,2\n3\n", "Line 3 of .* must have 2 cells, as the first one has, not 1"),
        (b"a,b\n1,2\n3,4,5\n", "Line 3 of .* must have 2 cells, as the first one has, not 3"),
        (b"a,b\n1,2\n3,\0\n", "must be text, not with a zero byte after line 2"),
        (b"a,b\n1,2\n\xff,4\n", "must be text in UTF-8, not with the byte 0xff"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n", "is no CSV after line 1: field larger than field limit"),
    ],
)
def test_a_broken_csv_is_told_where(tmp_path, content, says):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(CommandError, match=says):
        read(tmp_path / "t.csv")


def test_an_unknown_column_is_told_with_those_there_are(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with (
        open_table(str(tmp_path / "t.csv")) as table,
        pytest.raises(CommandError, match="no column 'c', only 'a', 'b'"),
    ):
        table.column("c")


def test_a_matrix_has_numbered_columns_from_both_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_CELLS", 6)
    array = np.arange(15.0).reshape(5, 3)
    np.save(tmp_path / "t.npy", array)
    with open_table(str(tmp_path / "t.npy")) as table:
        assert (table.column("-1"), table.column("0"), table.column("-3")) == ("2", "0", "0")
        with pytest.raises(CommandError, match="has no column '-4'"):
            table.column("-4")
    assert read(tmp_path / "t.npy", "2") == {"2": array[:, 2].tolist()}


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2), complex), np.array([["a"]]), np.array([{}])])
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path, array):
    np.save(tmp_path / "t.npy", array)
    with pytest.raises(CommandError, match=r"t.npy must "):
        read(tmp_path / "t.npy")


def test_parquet_without_pyarrow_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CommandError, match="parquet needs pyarrow: python -m pip install pyarrow"):
        read("t.parquet")


def test_parquet_gives_numbers_texts_and_gaps(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"f": [1.5, None], "i": [3, None], "s": ["x", None], "b": [True, False]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    cells = read(tmp_path / "t.parquet")
    assert cells["s"] == ["x", None]
    assert cells["b"] == ["True", "False"]
    np.testing.assert_array_equal(cells["f"], [1.5, np.nan])
    np.testing.assert_array_equal(cells["i"], [3, np.nan])
    (tmp_path / "no.parquet").write_text("no")
    with pytest.raises(CommandError, match="must be a parquet file"):
        read(tmp_path / "no.parquet")


def test_gaps_are_nan_and_none():
    gaps = ["", " ", "NA", "n/a", "NaN", "null", "None"]
    assert np.isnan(as_numbers(["1", *gaps])).tolist() == [False] + [True] * len(gaps)
    assert as_texts(["x ", *gaps]) == ["x"] + [None] * len(gaps)
    assert as_texts(np.array([1.0, np.nan, 2.5])) == ["1", None, "2.5"]


@pytest.mark.parametrize("text", ["x", "1_000", "0x10", "1,5", "1 2"])
def test_what_is_no_number_is_told_with_its_row(text):
    with pytest.raises(BadCell) as caught:
        as_numbers(["1", "", text])
    assert (caught.value.row, caught.value.text) == (2, text)
    with pytest.raises(BadCell):
        as_numbers(["1", text])


def test_the_standard_input_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("a\n1\n")
    with open(tmp_path / "t.csv") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with open_table("-") as table:
            assert [block.columns["a"] for block in table.blocks(["a"])] == [("1",)]
            with pytest.raises(CommandError, match="not the standard input"):
                next(table.blocks(["a"]))


@pytest.mark.parametrize("name", ["t.csv", "t.npy"])
def test_a_damaged_table_is_read_or_told_and_raises_nothing_else(tmp_path, name):
    rng, path = np.random.default_rng(0), tmp_path / name
    if name == "t.npy":
        np.save(path, rng.normal(size=(5, 3)))
    else:
        path.write_bytes(b'\xef\xbb\xbfa,b,c\n1,2,x\n,3,"y,z"\nNA,1e3,w\n')
    whole, told = path.read_bytes(), []
    for _ in range(200):
        damaged = bytearray(whole[: rng.integers(len(whole) // 2, len(whole) + 1)])
        for place in rng.integers(0, min(len(damaged), 140), rng.integers(1, 5)):
            damaged[place] = rng.choice([0, 10, 13, 34, 44, 40, 255, rng.integers(256)])
        path.write_bytes(damaged)
        try:
            read(path)
        except CommandError as error:
            told.append(str(error))
    assert len(told) > 20
    assert not any("\n" in text for text in told)


def test_a_model_is_no_table(tmp_path):
    (tmp_path / "m.npz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(CommandError, match=r"m\.npz must be a table, \.csv, \.npy or \.parquet, not an archive"):
        read(tmp_path / "m.npz")
