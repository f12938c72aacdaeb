"""numkan.layer.shared_block: threads that share a block of samples leave no trace, whoever is late."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from numkan import KAN, _threads, get_threads, set_threads
from numkan.layer import shared_block, work
from numkan.layer.packed import PackedLayer
from numkan.layer.shared_block import Sharing, threads_for
from numkan.layer.work import BLOCK
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


def shared(model: KAN, n_threads: int, x: Array, *, packed: bool = False) -> tuple[list[PackedLayer], list[Array]]:
    """Return the layers and all activations of so many threads, from coefficients that are packed or are not."""
    set_threads(n_threads)
    layers = [layer._ready(np.full_like(layer.pack().coefs, np.nan)) for layer in model._layers]
    layers = [layer.filled() for layer in layers] if packed else layers
    acts = [x, *(np.full((len(x), layer.n_out), np.nan, x.dtype) for layer in layers)]
    for part, stretch in Sharing(layers, len(x)).stretches:
        stretch.forward(layers[part], acts[part.start : part.stop + 1])
    return layers, acts


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("n_threads", [2, 5])
def test_threads_that_share_a_block_give_the_bits_of_one(n_threads: int, packed: bool, dtype: Any) -> None:
    """Wide and narrow layers, layers that share scratch memory, fewer samples than parts, a last part that is short."""
    model = patchy([18, 35, 35, 3, 1, 36], grid=3, dtype=dtype)
    for n in (1, 16, 17, 75):
        x = points(n, 18, dtype)
        x[0, 0], x[-1, -1] = np.nan, np.inf
        layers, acts = shared(model, n_threads, x, packed=packed)
        for depth, layer in enumerate(model._pack()):
            assert_identical(acts[depth + 1], layer.forward(acts[depth]), f"layer {depth}, {n} samples")
            assert_identical(layers[depth].coefs, layer.coefs, "the caller has packed what lasts")


@pytest.mark.parametrize("k", [0, 1, 5])
def test_every_degree_is_shared(k: int) -> None:
    model, x = patchy([3, 40], grid=3, k=k), points(40, 3)
    _, (_, y) = shared(model, 3, x)
    assert_identical(y, model._pack()[0].forward(x))


@pytest.mark.parametrize("base_fun", ["identity", "zero", (np.tanh, lambda x: 1 - np.tanh(x) ** 2)], ids=str)
def test_every_base_function_is_shared(base_fun: Any) -> None:
    model, x = patchy([3, 34, 2], grid=3, base_fun=base_fun), points(40, 3)
    _, acts = shared(model, 2, x)
    for depth, layer in enumerate(model._pack()):
        assert_identical(acts[depth + 1], layer.forward(acts[depth]))


Join = tuple[Any, ...]


def watched(monkeypatch: pytest.MonkeyPatch, run_together: Any) -> list[Join]:
    """Return where the arguments of the kernel will be that threads are in together, by `run_together`."""
    kernel, seen = shared_block._join_kernel, []

    def spied(k: int, dtype: Any) -> Any:
        return lambda *arguments: (seen.append(arguments), kernel(k, dtype)(*arguments))

    monkeypatch.setattr(shared_block, "_join_kernel", spied)
    monkeypatch.setattr(shared_block, "run_together", run_together)
    return seen


def helper_first(task: Any, n_threads: int) -> None:
    """Run a helper's part to its end before the caller's begins, in place of `run_together`."""
    helper = threading.Thread(target=task, args=(_threads._ALONE,))
    helper.start()
    helper.join()
    task(_threads._ALONE)


def test_a_caller_alone_does_all_parts_and_who_comes_late_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = shared_block._join_kernel
    seen = watched(monkeypatch, lambda task, n_threads: task(_threads._ALONE))
    model, x = patchy([5, 34], grid=3), points(91, 5)
    (layer,), (_, y) = shared(model, 3, x)
    want = model._pack()[0].forward(x)
    assert_identical(y, want)
    (steps, (coefs,), size, part, counts, works, kept, call), join = seen[0], kernel(3, want.dtype)
    assert coefs is layer.coefs
    assert (size, part, kept, counts.parts[0]) == (32, 0, -1, 4), "it asked for the fourth of three parts"
    own = np.full_like(coefs, np.nan)
    for next_part, begin in ((3, 91), (2, 64), (1, 32)):
        counts.parts[0], y[:] = next_part, np.nan
        join(steps, (own,), size, -1, counts, works, kept, call)
        assert_identical(y[begin:], want[begin:], f"a helper who comes when part {next_part} is next")
        assert np.isnan(y[:begin]).all()
        assert np.isnan(own).all() == (begin == 91), "who finds nothing to do packs nothing"
    assert_identical(own, coefs)


@pytest.mark.parametrize("packed", [False, True])
def test_a_helper_has_the_parts_behind_the_first_and_coefficients_of_its_own_unless_they_are_packed(
    packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watched(monkeypatch, helper_first)
    model, x = patchy([5, 34, 33, 2], grid=3), points(40, 5)
    monkeypatch.setattr(shared_block, "_MOST_COPIED", model._pack()[1].coefs.size - 1)
    layers, acts = shared(model, 2, x, packed=packed)
    (_, copies, size, part, _, works, _, _), (_, coefs, _, first, counts, others, _, _) = seen
    assert (size, part, first, counts.parts[0]) == (24, -1, 0, 4)
    assert all(own is layer.coefs for own, layer in zip(coefs, layers, strict=True))
    is_own = [own is not layer.coefs for own, layer in zip(copies, layers, strict=True)]
    assert is_own == [not packed, False, not packed], "there are too many in the second layer"
    assert all(own.out is not other.out for own, other in zip(works, others, strict=True))
    for depth, layer in enumerate(model._pack()):
        assert_identical(copies[depth], layer.coefs)
        assert_identical(acts[depth + 1], layer.forward(acts[depth]))


# --- where each of two threads has a chain ------------------------------------------------------------------------


def wide(dtype: Any = np.float64) -> KAN:
    return patchy([520, 3, 2], grid=3, k=2, dtype=dtype)


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_that_have_a_chain_each_give_the_bits_of_one(n_threads: int, packed: bool, dtype: Any) -> None:
    """Three share samples."""
    model = patchy([520, 18, 513, 2], grid=3, k=2, dtype=dtype)
    for n in (17, 19):
        set_threads(n_threads)
        assert threads_for(model._pack(), n) == n_threads
        layers, acts = shared(model, n_threads, points(n, 520, dtype), packed=packed)
        for depth, layer in enumerate(model._pack()):
            assert_identical(acts[depth + 1], layer.forward(acts[depth]), f"layer {depth}, {n} samples")
            assert_identical(layers[depth].coefs, layer.coefs)


def test_a_stretch_begins_with_outputs_of_two_chains() -> None:
    layers = patchy([520, 2, 513, 3, 2], grid=3, k=2)._pack()
    for n_threads in (2, 3):
        set_threads(n_threads)
        sharing = Sharing(layers, 20, keeps=True)
        parts = [slice(0, 2), slice(2, 4)] if n_threads == 2 else [slice(0, 4)]
        assert [part for part, _ in sharing.stretches] == parts
        assert [kept is not None for kept in sharing.kept] == [n_threads == 2, False, n_threads == 2, False]
        assert [kept for kept in sharing.kept if kept] == [own.kept for _, own in sharing.stretches if own.kept]


def check_activations(model: KAN, layers: list[PackedLayer], acts: list[Array]) -> None:
    for depth, layer in enumerate(model._pack()):
        assert_identical(acts[depth + 1], layer.forward(acts[depth]))
        assert_identical(layers[depth].coefs, layer.coefs)


def test_a_caller_alone_does_both_chains_and_who_comes_late_none(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = shared_block._join_kernel
    seen = watched(monkeypatch, lambda task, n_threads: task(_threads._ALONE))
    model = wide()
    layers, acts = shared(model, 2, points(9, 520))
    check_activations(model, layers, acts)
    (steps, coefs, size, _, counts, *rest), y = seen[0], acts[2].copy()
    assert [part[0] for part in counts] == [3, 3, 2]
    steps[0].other[:], acts[1][8:], acts[2][:] = 1, 2, np.nan
    counts.parts[0] = 1
    kernel(2, y.dtype)(steps, coefs, size, -1, counts, *rest)
    assert (acts[1][8:] == 3).all(), "it adds what others have summed"
    assert np.isnan(acts[2][:8]).all()
    assert_identical(acts[2][8:], model._pack()[1].forward(acts[1])[8:])


def test_helpers_have_done_it_before_the_caller_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited for a caller's chain would wait for ever where Ctrl-C comes first."""
    seen = watched(monkeypatch, helper_first)
    model = wide()
    layers, acts = shared(model, 2, points(9, 520))
    check_activations(model, layers, acts)
    (_, copies, *_), (_, coefs, *_) = seen
    assert copies[0] is coefs[0] is layers[0].coefs
    assert copies[1] is not coefs[1] is layers[1].coefs


def test_who_has_done_a_chain_waits_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watched(monkeypatch, lambda task, n_threads: task(_threads._ALONE))
    model, kernel = wide(), shared_block._join_kernel
    _, acts = shared(model, 2, points(9, 520))
    (steps, coefs, size, _, counts, *rest), y = seen[0], acts[2].copy()
    counts.parts[0], counts.chains[0], counts.done[0], steps[0].other[:], acts[2][:] = 0, 1, 0, np.nan, np.nan
    acts[1][:] = 5
    other = threading.Thread(target=kernel(2, y.dtype), args=(steps, coefs, size, -1, counts, *rest), daemon=True)
    other.start()
    for _ in range(1000):
        if counts.done[0] == 1:
            break
        other.join(0.01)
    other.join(0.05)
    assert other.is_alive()
    assert np.isnan(acts[2]).all()
    counts.done[0] = 2
    other.join(60)
    assert not other.is_alive()
    assert_identical(acts[1], 5 + steps[0].other.reshape(acts[1].shape))
    assert_identical(acts[2], model._pack()[1].forward(acts[1]))


def test_nobody_waits_for_a_chain_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels raise with the JIT off, and bounds checked."""
    seen: list[Any] = []

    def failing(k: int, dtype: Any) -> Any:
        def join(*arguments: Any) -> None:
            seen.append(arguments[4])
            raise KeyboardInterrupt

        return join

    monkeypatch.setattr(shared_block, "_join_kernel", failing)
    with pytest.raises(KeyboardInterrupt):
        shared(wide(), 2, points(9, 520))
    assert all(counts.done[0] == 2 for counts in seen)


def test_what_is_sorted_for_chains_is_what_one_thread_keeps() -> None:
    model, x = wide(), points(9, 520)
    packed, y_bar = model._pack()[0], targets(9, 3)
    set_threads(2)
    sharing = Sharing(model._pack()[:1], 9, keeps=True)
    (kept,) = sharing.kept
    assert kept is not None
    sharing.stretches[0][1].forward([packed], [x, np.empty((9, 3))])
    alone = work.Sorted(packed.work, 9, 520, BLOCK)
    packed.forward(x, keep=alone)
    got, want = kept.within(packed.work), alone.within(packed.work)
    assert_identical(got.n_runs, want.n_runs)
    for name in ("order", "ordered"):
        slots, wanted = (getattr(of, name).reshape(520, -1)[:, :9] for of in (got, want))
        assert_identical(slots, wanted, name)
    assert_identical(packed.backward(x, y_bar, None, kept=kept), packed.backward(x, y_bar, None))


def test_a_stretch_ends_where_python_looks_at_activations_where_degrees_differ_and_where_it_is_long() -> None:
    def parts(*layers: Any) -> list[slice]:
        return [part for part, _ in Sharing(layers, 2).stretches]

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


def test_there_are_no_more_threads_than_cores_or_than_have_enough_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = KAN([40, 40], grid=3)._pack()
    for cores, n_threads, want in ((3, 2, 2), (2, 5, 2), (1, 5, 1)):
        monkeypatch.setattr(_threads, "_available_cores", lambda cores=cores: cores)
        set_threads(n_threads)
        assert threads_for(layers, 100) == want
        assert (cuts.new_sharing(layers, 100) is None) == (want == 1)
    monkeypatch.setattr(_threads, "_available_cores", lambda: 9)
    set_threads(9)
    assert threads_for(layers, 17) == 3, "parts are eight samples at least"
    assert threads_for(layers, 1) == 1
    monkeypatch.setattr(shared_block, "_THREAD_WORK", 50 * layers[0].row_work)
    assert threads_for(layers, 200) == 4
    used: list[int] = []
    monkeypatch.setattr(shared_block, "run_together", lambda task, n: used.append(n) or task(_threads._ALONE))
    shared(KAN([40, 40, 1], grid=3, extrapolate="raise"), 9, np.zeros((200, 40)))
    assert used == [4, 1], "a stretch for each layer, whose own work is what counts"


def sorted_form(model: KAN) -> KAN:
    """Return the model as it is where it is too large to be one call."""
    model._planned = ([layer.pieces for layer in model.act_fun], model._numbers, None)
    assert model._direct() is None
    return model


def test_many_callers_share_one_model() -> None:
    set_threads(2)
    model, x = sorted_form(patchy([18, 34], grid=3, dtype=np.float32)), points(40, 18, np.float32)
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


@pytest.mark.parametrize("width", [[4, 34, 35], pytest.param([520, 33, 2], marks=pytest.mark.jit)], ids=str)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_network_at_a_block_that_is_shared_has_the_same_bits_on_any_number_of_threads(
    dtype: Any, width: list[int]
) -> None:
    model = sorted_form(patchy(width, grid=3, dtype=dtype))
    n = 39
    x, y = points(n, width[0], dtype), targets(n, width[-1], dtype)
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
def test_what_is_sorted_for_chains_is_kept_for_the_gradient_alone() -> None:
    set_threads(2)
    model, x = sorted_form(patchy([520, 33, 2], grid=3)), points(9, 520)
    model.loss(x, targets(9, 2))
    assert list(work._local.__dict__["lot of a loss"][1].keep) == []
    model.loss_and_grad(x, targets(9, 2))
    assert [kept is not None for kept in work._local.lot[1].keep] == [True, False]


@pytest.mark.jit
def test_a_batch_that_is_not_shared_leaves_the_memory_of_one_that_is() -> None:
    set_threads(2)
    model = sorted_form(patchy([2, 33], grid=3, k=1))
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
    model, n = sorted_form(patchy([2, 33], grid=3, k=1)), BLOCK + 9
    layers = model._pack()
    assert cuts.lot_rows(layers) == BLOCK
    assert cuts.stay_whole(layers, BLOCK)
    x, y = points(n, 2), targets(n, model.n_out)
    loss, grad = model.loss_and_grad(x, y)
    residuals = model(x) - y
    assert loss == pytest.approx(np.mean(residuals**2), rel=1e-12)
    assert_within(grad, model.vjp(x, 2 / residuals.size * residuals)[0], 1e-12 * (1 + abs(grad)), "gradient")


def test_samples_stay_whole_where_they_fit_a_block_and_nearly_all_the_work_is_in_wide_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuts, "_SHARED_WORK", 16_000_000)
    layers = KAN([300, 300, 10], k=1, init="power")._pack()
    block = layers[0].block
    assert cuts.stay_whole(layers, block)
    assert not cuts.stay_whole(layers, block + 1), "threads share chunks"
    assert not cuts.stay_whole(layers, 1), "there is too little to do"
    assert not cuts.stay_whole(KAN([4000, 31], k=1, init="power")._pack(), block), "to sort once more would cost much"
    assert cuts.stay_whole(KAN([4000, 32], k=1, init="power")._pack(), block)


def test_a_point_outside_is_named_where_layers_are_shared() -> None:
    set_threads(2)
    model = sorted_form(patchy([3, 32, 64], grid=3, extrapolate="raise"))
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
