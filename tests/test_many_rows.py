"""Rows that are read in blocks: the same blocks from any parts, and fits whose last stage takes all of them."""

from __future__ import annotations

import itertools
import pickle
import tracemalloc

import numpy as np
import pytest

import numkan
from numkan import KAN, data
from numkan.data import Rows, recut
from numkan.model.least_squares import LeastSquares
from numkan.model.row_squares import RowSquares, _Sums, tree_sum
from numkan.train import many_rows, plan
from numkan.train.passes import RowPasses
from numkan.train.splines import Splines

SETTINGS = {"grids": [3, 6], "restarts": 2}


def f(x):
    return np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)


def samples(n=1000, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    return x, f(x) + noise * rng.standard_normal(n)


@pytest.fixture
def small(monkeypatch):
    """Blocks, the sample and the border of long arrays are small."""
    monkeypatch.setattr(data, "BLOCK", 128)
    monkeypatch.setattr(many_rows, "_SAMPLE", 300)
    monkeypatch.setattr(many_rows, "_MANY", 900)


def fitted(x, y=None, **options):
    model = KAN([2, 1, 1], seed=0, dtype=options.pop("dtype", np.float64))
    return model, model.fit(x, y, **SETTINGS | options)


def npy(folder, name, array, cuts):
    """Paths of files that hold an array in parts."""
    paths = []
    for number, part in enumerate(np.split(array, cuts)):
        paths.append(folder / f"{name}{number}.npy")
        np.save(paths[-1], part)
    return paths


# --- blocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [[], [4], [1, 1, 5, 9], range(1, 10)])
def test_blocks_do_not_depend_on_the_parts(cuts):
    whole = np.arange(20.0).reshape(10, 2)
    blocks = list(recut(iter(np.split(whole, cuts)), 4))
    assert [len(block) for block in blocks] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def in_parquet(folder, x, y):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    paths = []
    for number, rows in enumerate((slice(0, 7), slice(7, None))):
        columns = {"a": x[rows, 0], "target": y[rows], "b": x[rows, 1]}
        paths.append(folder / f"{number}.parquet")
        parquet.write_table(pyarrow.table(columns), paths[-1], row_group_size=5)
    return Rows(paths, target="target")


FORMS = {
    "arrays": lambda folder, x, y: Rows(x, y),
    "a file each": lambda folder, x, y: Rows(npy(folder, "x", x, [])[0], npy(folder, "y", y, [])),
    "many files": lambda folder, x, y: Rows(npy(folder, "x", x, [3, 50]), npy(folder, "y", y, [10, 20, 30])),
    "memory maps": lambda folder, x, y: Rows(np.load(npy(folder, "x", x, [])[0], mmap_mode="r"), y),
    "parquet": in_parquet,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_blocks(form, tmp_path):
    x, y = samples(100)
    rows = pickle.loads(pickle.dumps(FORMS[form](tmp_path, x, y)))
    assert len(rows) == 100
    for block, begin in zip(rows.blocks(32), range(0, 100, 32), strict=True):
        np.testing.assert_array_equal(block.x, x[begin : begin + 32])
        np.testing.assert_array_equal(block.y.reshape(-1), y[begin : begin + 32])


# --- sums ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, 7))
def test_a_sum_does_not_depend_on_the_order_of_arrival(n):
    """Of texts, which show the tree."""
    found = set()
    for order in itertools.permutations(range(n)):
        sums = _Sums[str](lambda a, b: f"({a}{b})")
        for place in order:
            sums.take(place, str(place))
        found.add(sums.total())
    assert found == {["0", "(01)", "((01)2)", "((01)(23))", "(((01)(23))4)", "(((01)(23))(45))"][n - 1]}


class Source:
    last = None

    def __init__(self, x, y, size):
        self.n_targets, self._x, self._y, self._size = y.size, x, y, size

    def blocks(self):
        for begin in range(0, len(self._x), self._size):
            rows = slice(begin, begin + self._size)
            yield self._x[rows], self._y[rows]

    def sum(self, part, add):
        return tree_sum(self.blocks(), lambda block: part(*block), add)


def test_sums_over_blocks_are_those_of_all_rows_to_rounding_and_have_the_same_bits_for_any_threads():
    x, y = samples(70)
    y = y[:, None]
    splines = Splines.of(KAN([2, 2, 1], grid=3, seed=0))
    c = splines.vector
    whole = LeastSquares(splines.layers, x, y)
    results = []
    for threads in (1, 2, 5):
        numkan.set_threads(threads)
        blocks = RowSquares(splines.layers, x[:9], y[:9], Source(x, y, 16))
        assert blocks.n_targets == 70
        results.append((blocks.loss(c), *blocks.normal_equations(c)))
    expected = (whole.loss(c), *whole.normal_equations(c))
    for a, b in zip(results[0], expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())
    assert len({tuple(np.asarray(part).tobytes() for part in result) for result in results}) == 1


def test_with_the_curvature_of_the_sample_loss_and_slope_are_those_of_all_rows():
    x, y = samples(70)
    y = y[:, None]
    splines = Splines.of(KAN([2, 2, 1], grid=3, seed=0))
    c = splines.vector
    whole, some = LeastSquares(splines.layers, x, y), LeastSquares(splines.layers, x[:9], y[:9])
    blocks = RowSquares(splines.layers, x[:9], y[:9], Source(x, y, 16), curvature=some)
    value, gradient, _ = whole.normal_equations(c)
    found = blocks.loss(c), *blocks.normal_equations(c)
    for a, b in zip(found, (value, value, gradient, some.normal_equations(c)[2] * 70 / 9), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


def test_an_error_of_a_block_is_raised():
    def blocks():
        yield from Source(x, y, 16).blocks()
        raise OSError("gone")

    x, y = samples(40)[0], np.zeros((40, 1))
    source = Source(x, y, 16)
    source.blocks = blocks
    splines = Splines.of(KAN([2, 1], grid=3, seed=0))
    with pytest.raises(OSError, match="gone"):
        RowSquares(splines.layers, x, y, source).loss(splines.vector)


# --- fits ---------------------------------------------------------------------------------------------------------


@pytest.mark.jit
def test_a_fit_has_the_same_bits_for_any_parts_and_threads(small, tmp_path):
    x, y = samples()
    bits = set()
    for threads, form in ((1, "arrays"), (2, "many files"), (3, "parquet")):
        numkan.set_threads(threads)
        folder = tmp_path / form
        folder.mkdir()
        bits.add(fitted(FORMS[form](folder, x, y))[0].params.tobytes())
    assert len(bits) == 1


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_last_stage_takes_all_rows(dtype, small):
    x, y = samples()
    model, result = fitted(Rows(x, y), dtype=dtype)
    assert result.chosen["rows"].startswith("30")
    assert result.loss == pytest.approx(np.mean((model(x)[:, 0] - y) ** 2), rel=1e-5)
    assert result.noise == pytest.approx(0.1, rel=0.1)
    sample = many_rows.sampled(model, RowPasses(Rows(x, y)))
    alone, _ = fitted(sample.x, sample.y)
    new = np.random.default_rng(1).uniform(-1, 1, (1000, 2))
    error, before = (np.mean((m(new)[:, 0] - f(new)) ** 2) for m in (model, alone))
    assert error < 0.8 * before


@pytest.mark.jit
def test_the_last_stage_goes_on_with_the_weights_of_its_own_grid(small, monkeypatch):
    monkeypatch.setattr(many_rows, "_LAST_UPDATES", 0)
    rows, found = Rows(*samples(noise=1.0, seed=3)), []
    for finest in (5, 256):
        monkeypatch.setattr(plan, "_LM_FINEST_GRID", finest)
        found.append(KAN([2, 1], grid=5, seed=0).fit(rows))
    assert [stage.grid for stage in found[1].stages[:3]] == [5, 22, 5]
    for weights in zip(*(result.weights for result in found), strict=True):
        np.testing.assert_array_equal(*weights)


def excess(n, monkeypatch):
    """How much better the fit is that goes on, in what chance would gain."""
    monkeypatch.setattr(many_rows, "_SAMPLE", 300)
    x, y = samples(n, noise=0.3)
    model = KAN([2, 2, 1], seed=0)
    first = model.fit(Rows(x, y), grids=[5, 10], restarts=4)
    model.fit(x, y, grids=None, method="lm", start="keep", penalty=None, validation=None)
    return (first.loss - np.mean((model(x)[:, 0] - y) ** 2)) / (first.noise**2 * first.freedom / n)


@pytest.mark.jit
def test_the_last_stage_goes_on_while_steps_gain_more_than_chance(monkeypatch):
    """Half a per cent of the loss, where fewer rows stop, is much more than chance here."""
    assert excess(20_000, monkeypatch) < 0.9


@pytest.fixture
def passes(monkeypatch):
    """What the passes over all rows sum, by name."""
    found, total = [], RowPasses.sum

    def count(rows, part, add):
        found.append(type(part.part).__name__)
        return total(rows, part, add)

    monkeypatch.setattr(RowPasses, "sum", count)
    return found


@pytest.mark.jit
def test_equations_of_all_rows_are_made_for_steps_and_the_posterior_alone(small, passes):
    _, result = fitted(Rows(*samples()))
    last = result.stages[-1].steps
    assert passes.count("BlockEquations") <= last + 2  # that of the begin, and that of the end where grids move


@pytest.mark.jit
def test_steps_of_many_rows_take_the_curvature_of_the_sample(small, passes):
    """The equations of all rows then show that no step is left, and give the posterior."""
    _, result = fitted(Rows(*samples(4000)))
    some, last = result.stages[-2:]
    assert some.steps > 0
    assert last.steps == 0
    assert some.grid == last.grid
    assert passes.count("BlockSlope") > some.steps
    assert passes.count("BlockEquations") == 1


@pytest.mark.jit
def test_steps_with_the_curvature_of_the_sample_end_as_low_as_others_but_for_chance(small, monkeypatch):
    """Rows in the order of an input too, of which no part stands for the others."""
    x, y = samples(4000)
    order = np.argsort(x[:, 0])
    found = [fitted(rows)[1] for rows in (Rows(x, y), Rows(x[order], y[order]))]
    monkeypatch.setattr(many_rows, "_TIMES_SAMPLE", np.inf)
    other = fitted(Rows(x, y))[1]
    chance = other.noise**2 * other.freedom / 4000
    assert all(result.loss - other.loss < chance for result in found)


@pytest.mark.jit
def test_a_fit_that_ends_among_steps_of_all_rows_has_their_loss(small):
    def stop(state):
        if state.stage == 2:
            raise StopIteration

    x, y = samples(4000)
    model, result = fitted(Rows(x, y), callback=stop)
    assert "sample" not in result.message
    assert result.chosen["rows"].endswith("all of them in the last stage")
    assert result.loss == pytest.approx(np.mean((model(x)[:, 0] - y) ** 2), rel=1e-9)


@pytest.mark.jit
def test_a_fit_that_ends_before_its_last_stage_says_so(small):
    def stop(state):
        raise StopIteration

    x, y = samples()
    _, result = fitted(Rows(x, y), callback=stop)
    assert result.chosen["rows"].endswith("the fit ended before the last stage, which would have taken all of them")
    assert "loss and noise are those of the sample" in result.message
    whole = fitted(Rows(x, y))[1]
    assert "sample" not in whole.message
    assert whole.chosen["rows"].endswith("all of them in the last stage")


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("policy", ["raise", "nan"])
def test_a_policy_refuses_none_of_all_rows(policy, dtype, small):
    """Though at two rows, which are not in the sample, activations are far beyond all others."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, (1000, 1))
    x = np.hstack([t, 0.02 * rng.standard_normal((1000, 1)) - t])
    x[146], x[425] = [0.9, 0.9], [-0.9, -0.8]
    model = KAN([2, 1, 1], seed=0, extrapolate=policy, dtype=dtype)
    y = np.tanh(2 * x.sum(axis=1)) + 0.05 * rng.standard_normal(1000)
    result = model.fit(Rows(x, y), **SETTINGS)
    outputs = model(x)[:, 0]
    assert np.isfinite(outputs).all()
    assert result.loss == pytest.approx(np.mean((outputs - y) ** 2), rel=1e-4)


@pytest.mark.jit
def test_the_posterior_is_that_of_all_rows(small):
    x, y = samples()
    stds = [fitted(rows)[0].predict_std(x).mean() for rows in (Rows(x, y), Rows(x[:300], y[:300]))]
    assert stds[0] < 0.75 * stds[1]


@pytest.mark.jit
def test_grids_of_inputs_reach_over_all_rows(small):
    x, y = samples()
    x[777], x[3] = [2.5, -1.75], [-3.0, 4.0]
    model, _ = fitted(Rows(x, y))
    low, high = model.act_fun[0].basis.domain
    assert (low <= x.min(axis=0)).all()
    assert (high >= x.max(axis=0)).all()


@pytest.mark.jit
def test_long_arrays_are_read_in_blocks(small):
    x, y = samples()
    model, result = fitted(x, y)
    assert "rows" in result.chosen
    assert model.params.tobytes() == fitted(Rows(x, y))[0].params.tobytes()
    for other in ({"sample_weight": np.ones(1000)}, {"method": "lm"}, {"loss": "huber"}, {"validation": 0.1}):
        assert "rows" not in fitted(x, y, steps=1, **other)[1].chosen


@pytest.mark.jit
def test_a_fit_stopped_among_steps_of_all_rows_goes_on_to_the_same_bits(small, tmp_path):
    def stop(state):
        if state.stage == last:
            raise KeyboardInterrupt

    rows = Rows(*samples())
    whole, result = fitted(rows)
    last, path = max(number for number, stage in enumerate(result.stages) if stage.steps), tmp_path / "fit.ckpt"
    with pytest.raises(KeyboardInterrupt):
        fitted(rows, checkpoint=path, every=1, callback=stop)
    again, _ = fitted(rows, resume=path)
    assert again.params.tobytes() == whole.params.tobytes()


@pytest.mark.jit
def test_memory_does_not_grow_with_the_rows(small, tmp_path):
    peaks = []
    for n in (2000, 20_000):
        x, y = samples(n)
        rows = Rows(npy(tmp_path, f"x{n}-", x, []), npy(tmp_path, f"y{n}-", y, []))
        del x, y
        tracemalloc.start()
        fitted(rows, steps=3)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 8 * 20_000  # the draw of the sample numbers all rows


# --- bad arguments ------------------------------------------------------------------------------------------------


X, Y = samples(40)


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "text"),
    [
        (X, Y[:-1], {}, ValueError, "`y` must have as many rows as `x`, 40, not 39"),
        (X, None, {}, TypeError, r"`y` must be an array \(n, \.\.\.\) or paths, not None"),
        ([], Y, {}, TypeError, "`x` must be an array, a path or a list of paths"),
        (["a.csv"], Y, {}, ValueError, r"`x` must have paths that end in \.npy or \.parquet, not 'a\.csv'"),
        (X, Y, {"target": "y"}, TypeError, "`target` must be None for rows that are not of parquet"),
        (["a.parquet"], Y, {}, TypeError, "`target` must name the columns"),
        (["none.npy"], Y, {}, FileNotFoundError, "none"),
    ],
)
def test_rows_that_are_not_as_said_are_refused(x, y, options, error, text):
    with pytest.raises(error, match=text):
        Rows(x, y, **options)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"y": Y}, TypeError, r"`y` must be None where `x` is numkan\.data\.Rows"),
        ({"method": "lbfgs"}, ValueError, "`method` must be 'auto' or 'lm' or 'adam' where `x`"),
        ({"loss": "huber"}, ValueError, "`loss` must be 'mse' where `x`"),
        ({"sample_weight": np.ones(40)}, ValueError, "`sample_weight` must be None where `x`"),
        ({"validation": 0.1}, ValueError, "`validation` must be 'auto' or None where `x`"),
    ],
)
def test_what_rows_do_not_have_is_refused(options, error, text):
    model = KAN([2, 1], seed=0)
    before = model.params.tobytes()
    with pytest.raises(error, match=text):
        model.fit(Rows(X, Y), **options)
    assert model.params.tobytes() == before


def test_an_error_in_a_row_names_its_block(monkeypatch):
    monkeypatch.setattr(data, "BLOCK", 16)
    y = Y.copy()
    y[20] = np.nan
    with pytest.raises(ValueError, match="`y` must be finite") as caught:
        KAN([2, 1], seed=0).fit(Rows(X, y))
    assert caught.value.__notes__ == ["This was the block of rows that begins with row 16."]


def test_rows_without_a_row_are_refused():
    with pytest.raises(ValueError, match="`x` must have at least one row to fit, not 0"):
        KAN([2, 1], seed=0).fit(Rows(X[:0], Y[:0]))
