"""Mini-batches of rows in files: every row once an epoch, in bounded memory, to the bits of arrays."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from numkan import KAN, data
from numkan.data import Rows
from numkan.train import many_rows, row_batches
from numkan.train.held_out import HeldOut
from numkan.train.row_batches import RowBatches
from numkan.train.samples import Batches, check_samples


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(data, "BLOCK", 64)
    monkeypatch.setattr(many_rows, "_SAMPLE", 300)


def samples(n=1000):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (n, 2))
    return x, np.sin(3 * x[:, 0]) + x[:, 1] ** 2 + 0.05 * rng.standard_normal(n)


def in_files(folder, x, y, parts=3):
    paths = [[], []]
    for whole, names, letter in zip((x, y), paths, "xy", strict=True):
        for number, part in enumerate(np.array_split(whole, parts)):
            names.append(folder / f"{letter}{number}.npy")
            np.save(names[-1], part)
    return Rows(*paths)


def in_parquet(folder, x, y):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    paths = []
    for number, some in enumerate(np.array_split(np.arange(len(x)), 2)):
        table = pyarrow.table({"a": x[some, 0], "b": x[some, 1], "target": y[some]})
        paths.append(folder / f"{number}.parquet")
        parquet.write_table(table, paths[-1], row_group_size=50)
    return Rows(paths, target="target")


FORMS = {"arrays": lambda folder, x, y: Rows(x, y), "files": in_files, "parquet": in_parquet}


# --- batches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_block_is_read_alone(form, tmp_path):
    x, y = samples(300)
    rows = FORMS[form](tmp_path, x, y)
    for number, block in enumerate(rows.blocks()):
        alone = rows._block(number)
        np.testing.assert_array_equal(alone.x, block.x)
        np.testing.assert_array_equal(alone.y, block.y)


def batches_of(n, size, seed=0, take=None):
    x = np.arange(float(n))[:, None]
    model = KAN([1, 1], seed=0)
    rows = Rows(x, x)
    whole = check_samples(model, x, x, "mse", None)
    take = take or (lambda x, y: check_samples(model, x, y, "mse", None))
    return RowBatches(rows, take, size, np.random.default_rng(seed)), whole


def test_rows_of_one_pool_are_drawn_as_those_of_an_array_are():
    some, whole = batches_of(250, 30)
    others = Batches(whole, 30, np.random.default_rng(0))
    for _ in range(20):
        a, b = next(some), next(others)
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.goal.y, b.goal.y)
        assert a.goal.total == b.goal.total


def test_an_epoch_has_every_row_once_but_for_an_incomplete_batch_in_a_new_order():
    some, _ = batches_of(1000, 30)
    first, second = (np.concatenate([next(some).x[:, 0] for _ in range(33)]) for _ in range(2))
    for epoch in (first, second):
        assert len(np.unique(epoch)) == 990
        assert np.abs(np.corrcoef(epoch, np.arange(990))[0, 1]) < 0.9  # no walk through the rows
    assert not np.array_equal(first, second)
    blocks = first[:240] // 64
    assert 4 <= len(np.unique(blocks)) <= 5  # the last block is short


def test_no_more_than_a_pool_is_held():
    most = []

    def take(x, y):
        most.append(len(x))
        return check_samples(KAN([1, 1], seed=0), x, y, "mse", None)

    some, _ = batches_of(1000, 30, take=take)
    for _ in range(50):
        next(some)
        assert len(some._pool) <= 4 * 64 + 30
    assert max(most) == 4 * 64


def test_batches_go_on_from_a_place():
    some, _ = batches_of(1000, 30)
    for _ in range(50):
        next(some)
    place, expected = some.place(), [next(some).x for _ in range(40)]
    again, _ = batches_of(1000, 30, seed=5)
    again.go_to(*place)
    for x in expected:
        np.testing.assert_array_equal(next(again).x, x)


def test_a_pool_all_of_whose_rows_are_held_out_is_passed_over():
    model = KAN([1, 1], seed=0)

    def take(x, y):
        kept = x[:, 0] < 100
        return check_samples(model, x[kept], y[kept], "mse", None) if kept.any() else None

    some, _ = batches_of(1000, 30, take=take)
    found = np.concatenate([next(some).x[:, 0] for _ in range(9)])
    assert found.max() < 100
    assert len(np.unique(found)) > 80


# --- held-out rows ------------------------------------------------------------------------------------------------


def test_a_block_tells_alone_which_of_its_rows_are_held_out_and_copies_stay_together():
    x = np.random.default_rng(0).uniform(size=(2000, 3))
    x[1500:] = x[:500]
    held = HeldOut.of(x[:1000], 150, key=7)
    assert np.count_nonzero(held(x[:1000])) == 150
    np.testing.assert_array_equal(held(x[1500:]), held(x[:500]))
    np.testing.assert_array_equal(held(x)[300:400], held(x[300:400]))
    assert 100 < np.count_nonzero(held(x[1000:1500])) / 500 * 1000 < 200
    np.testing.assert_array_equal(held(np.where(x == x[3], -0.0, x))[3], HeldOut(*held)(np.zeros((1, 3)))[0])


def test_a_key_changes_which_rows_are_held_out():
    x = np.random.default_rng(0).uniform(size=(500, 3))
    masks = [HeldOut.of(x, 100, key)(x) for key in (1, 2)]
    assert 5 < np.count_nonzero(masks[0] & masks[1]) < 40  # 20 by chance


# --- fits ---------------------------------------------------------------------------------------------------------

SETTINGS = {"method": "adam", "grids": [4], "steps": 120, "batch_size": 50}


def fitted(x, y=None, **options):
    model = KAN([2, 3, 1], seed=0)
    result = model.fit(x, y, **SETTINGS | options)
    return model, result


@pytest.mark.jit
def test_a_fit_has_the_same_bits_from_any_form(tmp_path):
    x, y = samples()
    found = [fitted(FORMS[form](tmp_path, x, y))[0].params.tobytes() for form in FORMS]
    assert len(set(found)) == 1


@pytest.mark.jit
def test_rows_of_one_pool_give_the_bits_of_arrays():
    x, y = samples(250)
    model, result = fitted(Rows(x, y))
    other, expected = fitted(x, y)
    assert model.params.tobytes() == other.params.tobytes()
    assert result.loss == expected.loss


@pytest.mark.jit
@pytest.mark.parametrize("policy", ["continue", "raise"])
def test_all_rows_teach_and_are_judged(policy, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2000, 2))
    y = np.sin(3 * x[:, 0]) + x[:, 1] ** 2
    model = KAN([2, 3, 1], seed=0, extrapolate=policy)
    result = model.fit(in_files(tmp_path, x, y), **SETTINGS | {"steps": 600})
    assert result.loss == pytest.approx(np.mean((model(x)[:, 0] - y) ** 2), rel=1e-6)
    sample = many_rows.sampled(model, many_rows.RowPasses(Rows(x, y)))
    alone = KAN([2, 3, 1], seed=0)
    alone.fit(sample.x, sample.y, **SETTINGS | {"steps": 600})
    assert result.loss < np.mean((alone(x)[:, 0] - y) ** 2)
    assert result.chosen["rows"].endswith("mini-batches of all of them")


@pytest.mark.jit
def test_held_out_rows_never_teach(monkeypatch):
    seen = []

    class Watched(RowBatches):
        def __next__(self):
            batch = super().__next__()
            seen.append(batch.x)
            return batch

    monkeypatch.setattr(row_batches, "RowBatches", Watched)
    x, y = samples()
    _, result = fitted(Rows(x, y), validation="auto", grids="auto", steps=100)
    taught = {row.tobytes() for batch in seen for row in batch}
    assert 0.8 < len(taught) / 1000 < 0.9
    assert np.isfinite(result.validation_loss)
    assert "samples held out" in result.chosen["validation"]


@pytest.mark.jit
def test_a_fit_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    def stop(state):
        if state.step == 70:
            raise KeyboardInterrupt

    rows, path = Rows(*samples()), tmp_path / "fit.ckpt"
    whole, _ = fitted(rows)
    with pytest.raises(KeyboardInterrupt):
        fitted(rows, checkpoint=path, every=1, callback=stop)
    again, _ = fitted(rows, resume=path)
    assert again.params.tobytes() == whole.params.tobytes()


@pytest.mark.jit
def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for n in (1500, 9000):
        (folder := tmp_path / str(n)).mkdir()
        rows = in_files(folder, *samples(n))
        tracemalloc.start()
        fitted(rows)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_batch_larger_than_the_sample_is_refused():
    with pytest.raises(ValueError, match=r"`batch_size` must be at most 300 where `x` is numkan\.data\.Rows, not 301"):
        fitted(Rows(*samples()), batch_size=301)
