"""Rows of dask: the same bits as from arrays, for any chunks and workers, none of which send their rows here."""

from __future__ import annotations

import os
import signal
from collections import Counter

import numpy as np
import pytest

from numkan import KAN, data
from numkan.data import Rows
from numkan.train import many_rows, passes, pieces

dask = pytest.importorskip("dask")
Callback = pytest.importorskip("dask.callbacks").Callback
da = pytest.importorskip("dask.array")

pytestmark = [pytest.mark.jit, pytest.mark.filterwarnings("default")]  # dask warns on its own and tornado's behalf


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(data, "BLOCK", 128)
    monkeypatch.setattr(many_rows, "_SAMPLE", 300)
    with dask.config.set(scheduler="synchronous"):
        yield


def samples(n=1000):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (n, 2))
    return x, np.sin(3 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(n)


def fitted(x, y=None, **options):
    model = KAN([2, 1, 1], seed=0)
    result = model.fit(x, y, grids=[3, 6], restarts=2, **options)
    return model.params.tobytes(), result.loss, result.noise


@pytest.fixture(scope="module")
def here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "BLOCK", 128)
        patch.setattr(many_rows, "_SAMPLE", 300)
        return fitted(Rows(*samples()))


def in_chunks(x, y):
    return da.from_array(x, chunks=(333, 1)), da.from_array(y, chunks=90)


def of_unknown_length(x, y):
    x, y = da.from_array(x, chunks=(250, 2)), da.from_array(y, chunks=250)
    return x[y > -9], y[y > -9]


def in_frames(x, y):
    frames = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")
    frame = frames.from_pandas(pandas.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}), npartitions=3)
    return frame[["a", "b"]], frame["y"]


@pytest.mark.parametrize("form", [in_chunks, of_unknown_length, in_frames])
def test_a_fit_has_the_bits_of_rows_of_arrays(form, here):
    assert fitted(*form(*samples())) == here


def test_very_many_rows_have_the_bits_of_rows_of_arrays():
    """Whose first steps have the curvature of the sample."""
    x, y = samples(4000)
    assert fitted(*in_chunks(x, y)) == fitted(Rows(x, y))


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_task_that_sums_many_blocks_gives_the_same_bits(most, here, monkeypatch):
    """Of 8 blocks."""
    monkeypatch.setattr(passes, "_MOST_TASKS", most)
    assert passes._blocks_of_a_task(1000) == {1: 8, 3: 4, 7: 2}[most]
    assert fitted(*in_chunks(*samples())) == here


@pytest.mark.parametrize("chunks", [(100,), (7, 93), (10, 30, 60), (0, 50, 0, 50, 0), (1,) * 100, (95, 5)])
@pytest.mark.parametrize("most", [1, 2, 8])
def test_pieces_are_the_rows_whatever_the_chunks_are(chunks, most, monkeypatch):
    """Chunks that are large are cut by tasks of their own."""
    monkeypatch.setattr(pieces, "_MOST_USES", most)
    whole = np.arange(200.0).reshape(100, 2)
    found = list(pieces.pieces_of(da.from_array(whole, chunks=(chunks, 1)), 32))
    assert [piece.length for piece in found] == [32, 32, 32, 4]
    rows = [pieces.rows_of_piece(dask.compute(*piece.chunks), piece.skip, piece.length) for piece in found]
    np.testing.assert_array_equal(np.concatenate(rows), whole)


def test_many_small_chunks_are_joined_by_dask():
    """Two for each piece are not. As arguments 2000 chunks cost 1.8 s a pass, and 0.3 s where dask joins them."""
    values = np.arange(200.0).reshape(100, 2)
    for size, expected in ((5, [1, 1, 1, 1]), (15, [3, 3, 3, 1])):
        found = list(pieces.pieces_of(da.from_array(values, chunks=(size, 2)), 32))
        assert [len(piece.chunks) for piece in found] == expected
        rows = [pieces.rows_of_piece(dask.compute(*piece.chunks), piece.skip, piece.length) for piece in found]
        np.testing.assert_array_equal(np.concatenate(rows), values)


def count_rows(x, y):
    return len(x)


def add(a, b):
    return a + b


def test_a_pass_has_a_task_for_each_piece_and_few_that_add():
    """And none that cuts or joins chunks: of 8 blocks, in chunks of 2.6 blocks."""
    x, y = dask.persist(*samples_in_chunks(333))
    keys = []
    with Callback(pretask=lambda key, *_: keys.append(key)):
        assert passes.DaskPasses(x, y).sum(count_rows, add) == 1000
    names = Counter(str(key).partition("-")[0] for key in keys)
    assert names["_alone"] == 8
    assert names["_added"] == 3
    assert len(keys) <= 8 + 3 + 8 + 2  # with the chunks, and what the tasks share


def samples_in_chunks(size):
    x, y = samples()
    return da.from_array(x, chunks=(size, 2)), da.from_array(y, chunks=size)


def test_a_task_sums_more_blocks_where_tasks_enough_are_left():
    assert [passes._blocks_of_a_task(128 * blocks) for blocks in (15, 16, 32, 4096, 4097)] == [1, 2, 4, 4, 8]


def load(n, begin, end, column):
    """Part of the samples; only workers may have it."""
    from distributed import get_worker

    get_worker()  # raises an error elsewhere
    x, y = samples(n)
    return (y if column else x)[begin:end]


def loaded(n, size):
    def array(column):
        shape = (size,) if column else (size, 2)
        parts = [dask.delayed(load)(n, begin, begin + size, column) for begin in range(0, n, size)]
        return da.concatenate([da.from_delayed(part, shape, float) for part in parts])

    return array(0), array(1)


def test_rows_stay_on_workers_one_of_which_is_killed_and_the_bits_are_the_same(here):
    distributed = pytest.importorskip("distributed")
    killed = []

    def kill(state):
        if state.stage == 2 and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with (
        dask.config.set(scheduler=None),
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
    ):
        x, y = client.persist(loaded(1000, 200))
        assert fitted(x, y, callback=kill) == here
    assert killed


def test_rows_that_were_scattered_are_warned_of_and_rows_that_were_persisted_are_not(here):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with (
        dask.config.set(scheduler=None),
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
    ):
        x, y = samples()
        sent = da.from_delayed(client.scatter(x), x.shape, float)
        with pytest.warns(UserWarning, match="`x` has rows that were sent by `client.scatter`") as caught:
            assert fitted(sent, client.persist(da.from_array(y, chunks=200))) == here
        ours = [one for one in caught if "scatter" in str(one.message)]
        assert [one.filename for one in ours] == [__file__]


def test_an_error_in_a_row_names_its_block():
    x, y = samples(300)
    y[200] = np.inf
    with pytest.raises(ValueError, match="`y` must be finite") as caught:
        fitted(*in_chunks(x, y))
    assert caught.value.__notes__ == ["This was the block of rows that begins with row 128."]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda x, y: (x, np.zeros(50)), TypeError, "`y` must be a collection of dask as `x` is"),
        (lambda x, y: (x, y[:-1]), ValueError, "`y` must have as many rows as `x`, 50, not 49"),
        (lambda x, y: (dask.delayed(1), y), TypeError, r"`x` must be an array \(n, \.\.\.\) or a data frame of dask"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, text):
    with pytest.raises(error, match=text):
        fitted(*change(*in_chunks(*samples(50))))
