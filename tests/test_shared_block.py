"""numkan.layer.shared_block: threads that share a layer at few samples leave no trace, whoever is late or gives up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from numkan import KAN, _threads, get_threads, set_threads
from numkan._watch import new_count
from numkan.layer import shared_block, work
from numkan.layer.packed import PackedLayer
from numkan.layer.shared_block import Sharing, Stretch, is_shared
from numkan.layer.work import BLOCK, Sorted
from numkan.model import cuts
from tests.laws import Array, assert_identical, assert_within
from tests.small_networks import FLOATS, patchy, points, targets


@pytest.fixture(autouse=True)
def _small_work_is_shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On small layers too, on any number of threads; lots are cut once for a key, and would outlive the changes."""
    monkeypatch.setattr(shared_block, "_THREAD_WORK", 1)
    monkeypatch.setattr(cuts, "_SHARED_WORK", 1)
    monkeypatch.setattr(work, "_local", threading.local())
    before = get_threads()
    monkeypatch.setattr(_threads, "_available_cores", lambda: 8)
    yield
    set_threads(before)


#: Of a caller who has no helpers.
_CALL = _threads.Call(*(new_count() for _ in range(3)), 0, 0)


def wide(n_in: int, beyond: int, **options: Any) -> KAN:
    """One layer of two tiles, and a few outputs beyond: more vectors, and padding."""
    tile = shared_block._tile(options.setdefault("k", 3), np.dtype(options.setdefault("dtype", np.float64)))
    return patchy([n_in, 2 * tile + beyond], grid=3, **options)


def both_ways(model: KAN, x: Array) -> tuple[PackedLayer, Array, Sorted, Array, Sorted]:
    """Return outputs, and what was sorted, of one thread and of all."""
    (layer,) = model._pack()
    alone, together = (Sorted(layer.work, len(x), layer.coefs.shape[0], BLOCK) for _ in range(2))
    y = np.full((len(x), layer.n_out), np.nan, x.dtype)
    assert is_shared(layer, len(x))
    Stretch([layer], len(x), [together]).forward([layer], [x, y])
    return layer, layer.forward(x, keep=alone), alone, y, together


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("k", [0, 3])
@pytest.mark.parametrize("n_threads", [2, 5])
def test_threads_that_share_a_layer_give_the_bits_of_one(n_threads: int, k: int, dtype: Any) -> None:
    set_threads(n_threads)
    for n_in, beyond, n in ((18, 3, 20), (1, 0, 1), (16, 11, 7)):
        model = wide(n_in, beyond, k=k, dtype=dtype)
        x = points(n, n_in, dtype)
        x[0, 0], x[-1, -1] = np.nan, np.inf
        layer, want, alone, got, together = both_ways(model, x)
        assert_identical(got, want)
        y_bar, grads = points(n, layer.n_out, dtype), []
        for kept in (alone, together):
            parts: dict[int, Array] = {}
            x_bar = layer.backward(x, y_bar, lambda low, _, part, to=parts: to.update({low: part.copy()}), kept=kept)
            grads.append((x_bar, np.concatenate([parts[low] for low in sorted(parts)])))
        for one, other in zip(*grads, strict=True):
            assert_identical(other, one, "backward reads what they sorted")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_coefficients_are_packed_on_the_way_where_they_are_yet_to_be(n_threads: int, dtype: Any) -> None:
    set_threads(n_threads)
    model = wide(35, 3, dtype=dtype)
    packed, (own,) = model._pack()[0], model._layers
    layer = own._ready(np.full_like(packed.coefs, np.nan))
    assert np.isnan(layer.coefs).all()
    x = points(20, 35, dtype)
    y = np.full((20, layer.n_out), np.nan, dtype)
    Stretch([layer], 20, [Sorted(layer.work, 20, 35, BLOCK)]).forward([layer], [x, y])
    assert_identical(y, packed.forward(x))
    assert_identical(layer.coefs, packed.coefs)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("k", [1, 3])
def test_of_few_tiles_each_thread_has_a_part(k: int, dtype: Any) -> None:
    lanes = shared_block.lanes_of(np.dtype(dtype))
    tile, part = shared_block._tile(k, np.dtype(dtype)), shared_block._part(k, np.dtype(dtype))
    for width, n_threads in ((2 * part, 2), (2 * part, 8), (tile + part + lanes, 2), (3 * part - lanes, 3)):
        set_threads(n_threads)
        model = patchy([17, width], grid=3, k=k, dtype=dtype)
        (layer,) = model._pack()
        columns = shared_block._columns(layer, n_threads)
        assert lanes <= columns <= part, "nobody takes more than a part where not all find a tile"
        assert columns == part or columns * n_threads >= width, "nor less, unless all find as much"
        _, want, _, got, _ = both_ways(model, points(11, 17, dtype))
        assert_identical(got, want)
    assert shared_block._columns(patchy([2, 4 * tile], k=k, dtype=dtype)._pack()[0], 2) == 2 * tile


@pytest.mark.parametrize("base_fun", ["identity", "zero", (np.tanh, lambda x: 1 - np.tanh(x) ** 2)], ids=str)
def test_every_base_function_is_shared(base_fun: Any) -> None:
    set_threads(2)
    _, want, _, got, _ = both_ways(wide(3, 2, base_fun=base_fun), points(9, 3))
    assert_identical(got, want)


def counted(counts: Array) -> tuple[int, list[list[int]]]:
    """Return how many gave up, and for each layer what was taken, filled, taken and summed."""
    return int(counts[shared_block._GONE]), counts[shared_block._LAYERS :].reshape(-1, shared_block._COUNTS).tolist()


def spied_on(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Any]]:
    """Return the factory of the kernel that threads are in together, and where its arguments will be."""
    kernel, seen = shared_block._join_kernel, []

    def spied(k: int, dtype: Any) -> Any:
        return lambda *arguments: (seen.append(arguments), kernel(k, dtype)(*arguments))

    monkeypatch.setattr(shared_block, "_join_kernel", spied)
    return kernel, seen


def test_who_gives_up_waiting_sums_nothing_and_the_rest_is_done_later(monkeypatch: pytest.MonkeyPatch) -> None:
    set_threads(2)
    kernel, seen = spied_on(monkeypatch)
    _, want, _, _, _ = both_ways(wide(40, 3), points(30, 40))
    steps, values, counts, turns, works, call = seen[0]
    _, [[_, _, _, n_units]] = counted(counts)
    assert n_units > 2
    join, (y,) = kernel(3, want.dtype), [step.y for step in steps]
    counts[:], y[:], turns = 0, np.nan, 50
    counts[shared_block._LAYERS + shared_block._TAKEN] = 1  # it is somebody's, who does not get ahead
    join(steps, values, counts, turns, works, call)
    assert counted(counts) == (1, [[4, 2, 0, 0]])  # of three groups
    assert np.isnan(y).all()
    counts[shared_block._LAYERS : shared_block._LAYERS + 2] = 0, 1
    join(steps, values, counts, turns, works, call)
    assert counted(counts) == (2, [[4, 4, 0, 0]]), "who fills the last group leaves the tiles to all"
    counts[shared_block._GONE] = 0
    join(steps, values, counts, turns, works, call)
    assert counted(counts) == (0, [[5, 4, n_units + 1, n_units]])
    assert_identical(y, want)


def test_nobody_begins_with_a_layer_before_the_one_before_is_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_threads(2)
    kernel, seen = spied_on(monkeypatch)
    n_out = wide(1, 0).n_out
    model, x = patchy([18, n_out, 2], grid=3), points(9, 18)
    layers, y = model._pack(), np.full((9, 2), np.nan)
    keep = [Sorted(layer.work, 9, layer.coefs.shape[0], BLOCK) for layer in layers]
    Stretch(layers, 9, keep).forward(layers, [x, np.empty((9, n_out)), y])
    want = y.copy()
    steps, values, counts, turns, works, call = seen[0]
    n_units = counted(counts)[1][0][3]
    counts[:], y[:] = 0, np.nan
    counts[shared_block._LAYERS + shared_block._TILES] = 1  # it is somebody's, who does not get ahead
    join = kernel(3, want.dtype)
    join(steps, values, counts, 50, works, call)
    gone, (first, second) = counted(counts)
    assert gone == 1
    assert first[3] == n_units - 1
    assert second == [0, 0, 0, 0]
    counts[:] = 0
    join(steps, values, counts, turns, works, call)
    assert_identical(y, want)


@pytest.mark.parametrize("patient", [False, True])
def test_where_somebody_gives_up_another_round_does_what_is_left(
    patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_threads(2)
    kernel, run_together, rounds = shared_block._join_kernel, shared_block.run_together, []

    def noted(task: Any, n_threads: int) -> None:
        rounds.append(n_threads)
        run_together(task, n_threads)

    def as_if_one_were_late(k: int, dtype: Any) -> Any:
        def join(*arguments: Any) -> None:
            filled = arguments[2][shared_block._LAYERS + shared_block._FILLED :]
            filled[0] += -100 if len(rounds) == 1 else 200
            kernel(k, dtype)(*arguments)

        return join

    monkeypatch.setattr(shared_block, "patience", lambda n_threads: 100 * patient)
    monkeypatch.setattr(shared_block, "run_together", noted)
    monkeypatch.setattr(shared_block, "_join_kernel", as_if_one_were_late)
    _, want, _, got, _ = both_ways(wide(40, 3), points(30, 40))
    assert_identical(got, want)
    assert len(rounds) > 1
    assert set(rounds) == {2}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n_threads", [2, 5])
def test_a_stretch_of_layers_has_the_bits_of_each_for_itself(n_threads: int, dtype: Any) -> None:
    """Narrow layers behind a wide one, layers that share scratch memory, and coefficients that are yet to be packed."""
    set_threads(n_threads)
    n_out = wide(1, 0, dtype=dtype).n_out
    model = patchy([5, n_out, n_out, 3, 1, n_out + 1], grid=3, dtype=dtype)
    for n in (1, 23):
        x = points(n, 5, dtype)
        layers = [layer._ready(np.full_like(layer.pack().coefs, np.nan)) for layer in model._layers]
        keep = [Sorted(layer.work, n, layer.coefs.shape[0], BLOCK) for layer in layers]
        acts = [x, *(np.full((n, layer.n_out), np.nan, dtype) for layer in layers)]
        sharing = Sharing(layers, n, keep)
        assert [part for part, _ in sharing.stretches] == [slice(0, 4), slice(4, 5)]
        for part, stretch in sharing.stretches:
            stretch.forward(layers[part], acts[part.start : part.stop + 1])
        for depth, layer in enumerate(model._pack()):
            assert_identical(acts[depth + 1], layer.forward(acts[depth]), f"layer {depth}, {n} samples")


def test_a_stretch_ends_where_python_looks_at_activations_where_degrees_differ_and_where_it_is_long() -> None:
    def parts(*layers: Any) -> list[slice]:
        keep = [Sorted(layer.work, 2, layer.coefs.shape[0], BLOCK) for layer in layers]
        return [part for part, _ in Sharing(layers, 2, keep).stretches]

    def layer(**options: Any) -> PackedLayer:
        (packed,) = KAN([2, 2], grid=3, **options)._pack()
        return packed

    plain, inside, steep = layer(), layer(extrapolate="raise"), layer(k=2)
    own = layer(base_fun=(np.tanh, lambda x: 1 - np.tanh(x) ** 2))
    assert parts(plain, plain, layer(base_fun="identity")) == [slice(0, 3)]
    assert parts(inside, plain, inside, plain) == [slice(0, 2), slice(2, 4)]
    assert parts(own, own) == [slice(0, 1), slice(1, 2)]
    assert parts(*[plain] * 9) == [slice(0, 4), slice(4, 8), slice(8, 9)]
    assert parts(plain, steep, steep, plain) == [slice(0, 1), slice(1, 3), slice(3, 4)]


def test_there_are_no_more_threads_in_a_kernel_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(shared_block, "run_together", lambda task, n_threads: used.append(n_threads) or task(_CALL))
    for cores, n_threads, want in ((3, 2, [2]), (2, 5, [2]), (1, 5, [])):
        monkeypatch.setattr(_threads, "_available_cores", lambda cores=cores: cores)
        set_threads(n_threads)
        used.clear()
        _, alone, _, got, _ = both_ways(wide(18, 1), points(7, 18))
        assert_identical(got, alone)
        assert used == want


def unmerged(model: KAN) -> KAN:
    """Return the model as it is where it is too large to be one call."""
    model._planned = ([layer.pieces for layer in model.act_fun], model._numbers, None)
    assert model._merged() is None
    return model


def test_many_callers_share_one_model() -> None:
    set_threads(2)
    model, x = unmerged(wide(18, 1, dtype=np.float32)), points(11, 18, np.float32)
    want, got = model.act_fun[0](x), []
    callers = [threading.Thread(target=lambda: got.extend(model(x) for _ in range(5))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(got) == 20
    for y in got:
        assert_identical(y, want)


# --- in a network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_network_whose_layers_are_shared_has_the_same_bits_on_any_number_of_threads(dtype: Any) -> None:
    n_out = wide(1, 0, dtype=dtype).n_out
    model = unmerged(patchy([4, n_out, n_out + 1], grid=3, dtype=dtype))
    n = 19
    x, y = points(n, 4, dtype), targets(n, n_out + 1, dtype)
    assert cuts.stay_whole(model._pack(), n)
    found: list[tuple[Array, ...]] = []
    for n_threads in (1, 2, 3):
        set_threads(n_threads)
        loss, grad = model.loss_and_grad(x, y)
        found.append((model(x), np.array(loss), grad, np.array(model.loss(x, y)), *model.activations(x)))
    for other in found[1:]:
        for value, want in zip(other, found[0], strict=True):
            assert_identical(value, want)
    outputs, loss, grad = found[0][:3]
    assert loss == found[0][3]
    assert_identical(outputs, np.concatenate([model(x[begin : begin + 5]) for begin in range(0, n, 5)]))
    eps = np.finfo(dtype).eps
    want = model.vjp(x, 2 / outputs.size * (outputs - y))[0]
    assert_within(grad, want, 100 * eps * (abs(want) + abs(want).max()), "gradient")


@pytest.mark.jit
def test_a_batch_that_is_not_shared_leaves_the_memory_of_one_that_is() -> None:
    set_threads(2)
    model = unmerged(wide(2, 1, k=1))
    model(points(9, 2))
    kept = work._local.sharing
    model(points(work.LONGEST_BLOCK + 1, 2))
    assert work._local.sharing is kept
    assert kept[1] is not None
    model(points(9, 2))
    assert work._local.sharing[1] is kept[1]
    set_threads(3)
    model(points(9, 2))
    assert work._local.sharing[1] is not kept[1], "for another number of threads"


def test_a_last_lot_that_is_shorter_is_shared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "_LOT_NUMBERS", 1)
    monkeypatch.setattr(cuts, "_CHUNK_WORK", 1)
    set_threads(2)
    model, n = unmerged(wide(2, 1, k=1)), BLOCK + 9
    layers = model._pack()
    assert cuts.lot_rows(layers) == BLOCK
    assert cuts.stay_whole(layers, BLOCK)
    x, y = points(n, 2), targets(n, model.n_out)
    loss, grad = model.loss_and_grad(x, y)
    residuals = model(x) - y
    assert loss == pytest.approx(np.mean(residuals**2), rel=1e-12)
    assert_within(grad, model.vjp(x, 2 / residuals.size * residuals)[0], 1e-12 * (1 + abs(grad)), "gradient")


def test_layers_are_shared_where_samples_fit_a_block_and_nearly_all_the_work_is_in_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_block, "_THREAD_WORK", 4_000_000)
    monkeypatch.setattr(cuts, "_SHARED_WORK", 16_000_000)
    layers = KAN([300, 300, 10], k=1, init="power")._pack()
    block = layers[0].block
    assert cuts.stay_whole(layers, block)
    assert not cuts.stay_whole(layers, block + 1), "threads share the samples"
    assert not cuts.stay_whole(layers, 1), "there is too little to do"
    assert not cuts.stay_whole(KAN([4000, 1], k=1, init="power")._pack(), block), "there is one tile"
    assert not is_shared(layers[1], 1)


def test_a_point_outside_is_named_where_layers_are_shared() -> None:
    set_threads(2)
    model = unmerged(patchy([3, wide(1, 0).n_out, 2 * wide(1, 0).n_out], grid=3, extrapolate="raise"))
    x = np.zeros((9, 3))
    x[5, 2] = 7
    with pytest.raises(ValueError, match=r"^Argument `x` .*\(7\.0\) at \(5, 2\)"):
        model(x)
    x[5, 2] = 0.5
    for layer in model.act_fun:
        layer.coef[...] = layer.scale_base[...] = 0
    layer = model.act_fun[0]
    layer.scale_base[2, 1], layer.mask[2, 1] = 1e3, 1
    for call in (model, model.activations, lambda x: model.loss(x, np.zeros((9, model.n_out)))):
        with pytest.raises(ValueError, match=r"inside the grid of layer 1 .* at input 1 from row 5, "):
            call(x)
