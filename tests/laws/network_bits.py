"""Laws of bits: what must not depend on batches, threads, containers, calls or files."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from tests import naive_network as naive
from tests.laws import Array, Law, assert_identical, assert_within, law
from tests.laws.network_derivatives import loss_sizes
from tests.laws.networks import NetworkCase, Networks, contracted, flat, is_steady
from tests.naive_network import KINDS

LAWS: list[Law] = []
N_THREADS = 10


@law("N-SUB", "exact", "scikit-learn, methods_subset_invariance and sample_order_invariance", LAWS)
def subsets(impl: Networks, case: NetworkCase) -> None:
    """A row has the same outputs, derivatives and Jacobian in any batch, order and chunking."""
    n = len(case.x)
    functions = (
        lambda x: impl.network_forward(case.layers, x),
        lambda x: impl.network_derivative(case.layers, x),
        lambda x: flat(impl.network_jacobian(case.layers, x), batch=2),
        lambda x: impl.network_vjp(case.layers, x, np.ones((len(x), case.y.shape[1]), case.dtype))[1],
    )
    order = np.roll(np.arange(n), 1)[::-1]
    for place, function in enumerate(functions):
        whole = function(case.x)
        assert_identical(function(case.x[order]), whole[order], f"reordered, function {place}")
        for begin, end in ((0, 1), (n - 1, n), (0, n // 2), (n // 2, n)):
            assert_identical(function(case.x[begin:end]), whole[begin:end], f"rows {begin} to {end}, function {place}")


@law("N-CHG", "64 eps of the sum of the terms' magnitudes", "linearity of the sum", LAWS)
def chunked_gradient(impl: Networks, case: NetworkCase) -> None:
    """The gradient of a weighted mean is the weighted mean of the gradients of its parts."""
    n = len(case.x)
    if n < 2 or not is_steady(case):
        return
    parts = [case.rows(slice(0, n // 2)), case.rows(slice(n // 2, n))]

    def gradient(part: NetworkCase) -> Array:
        return flat(impl.network_loss(part.layers, part.x, part.y, "mse", part.weight)[1])

    shares = [part.weight.sum(dtype=float) / case.weight.sum(dtype=float) for part in parts]
    mean = sum(share * gradient(part) for share, part in zip(shares, parts, strict=True))
    layers, x = case.exact
    y, size = naive.network_forward(layers, x), naive.sizes(layers, x)[-1]
    shape = loss_sizes(y, size, case.y, "mse", case.weight.astype(float))
    bound = [{name: contracted(d[name], shape) for name in KINDS} for d in naive.jacobian_sizes(layers, x)[0]]
    assert_within(gradient(case), mean, 64 * case.eps * flat(bound))


def results(impl: Networks, case: NetworkCase) -> list[Array]:
    """All that a network computes, as a list of arrays."""
    y_bar = case.noise(*case.y.shape)
    out: list[Any] = [impl.network_forward(case.layers, case.x), impl.network_derivative(case.layers, case.x)]
    for loss, target in (("mse", case.y), ("cross_entropy", case.labels)):
        value, grads = impl.network_loss(case.layers, case.x, target, loss, case.weight)
        out += [np.array(value), flat(grads)]
    grads, x_bar = impl.network_vjp(case.layers, case.x, y_bar)
    return [*out, flat(grads), x_bar, flat(impl.network_jacobian(case.layers, case.x), batch=2)]


@law("N-DET", "exact", "numkan, same bits", LAWS)
def deterministic(impl: Networks, case: NetworkCase) -> None:
    """Again, and with any number of threads, the bits are the same."""
    impl.set_threads(1)
    first = results(impl, case)
    for count in (1, 2, 3):
        impl.set_threads(count)
        for place, (got, want) in enumerate(zip(results(impl, case), first, strict=True)):
            assert_identical(got, want, f"result {place} on {count} threads")


@law("N-PURE", "exact", "scikit-learn, dict_unchanged", LAWS)
def pure(impl: Networks, case: NetworkCase) -> None:
    """Arguments stay as they are, results share no memory with them, and a call leaves no trace on a model."""
    numbers = [getattr(layer, name) for layer in case.layers for name in ("grid", *KINDS, "mask")]
    given = [case.x, case.y, case.labels, case.weight, *numbers]
    before = [array.tobytes() for array in given]
    out = results(impl, case)
    model = impl.model(case.layers)
    state = impl.state(model)
    out.append(model(case.x))
    assert impl.state(model) == state, "a call changed the model"
    assert [array.tobytes() for array in given] == before, "an argument was written to"
    for result in out:
        assert not any(np.shares_memory(result, array) for array in given), "a result is a view of an argument"
    again = model(case.x)
    assert not np.shares_memory(again, out[-1]), "two results share memory"
    assert_identical(again, out[-1])


def containers(x: Array) -> dict[str, Any]:
    """The same numbers in other containers."""
    strided = np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]
    locked = x.copy()
    locked.flags.writeable = False
    unaligned = np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    return {
        "list": x.tolist(),
        "tuple": tuple(tuple(row) for row in x.tolist()),
        "list of arrays": list(x),
        "Fortran order": np.asfortranarray(x),
        "strided": strided,
        "negative strides": x[::-1, ::-1].copy()[::-1, ::-1],
        "read-only": locked,
        "byte-swapped": x.astype(x.dtype.newbyteorder()),
        "unaligned": unaligned,
    }


@law("N-IN", "exact", "scikit-learn, data_not_an_array, f_contiguous_array, readonly_memmap_input", LAWS)
def any_container(impl: Networks, case: NetworkCase) -> None:
    """Lists, tuples, other orders, strides and byte orders, read-only and mapped arrays give the same bits."""
    want = impl.network_forward(case.layers, case.x)
    for what, x in containers(case.x).items():
        assert_identical(impl.network_forward(case.layers, x), want, what)
    with tempfile.TemporaryDirectory() as folder:
        mapped = np.memmap(Path(folder) / "x", case.dtype, "w+", shape=case.x.shape)
        mapped[...] = case.x
        assert_identical(impl.network_forward(case.layers, mapped), want, "memory-mapped")
        del mapped
    whole = np.rint(case.x)
    want = impl.network_forward(case.layers, whole)
    assert_identical(impl.network_forward(case.layers, whole.astype(np.int16)), want, "integers")


@law("N-THR", "exact", "scipy, _run_concurrent_barrier", LAWS)
def concurrent(impl: Networks, case: NetworkCase) -> None:
    """Many threads behind a barrier on one model get the bits that one gets."""
    model = impl.model(case.layers)
    batches = [np.roll(case.x, turn, axis=0) for turn in range(N_THREADS)]
    want = [np.array(model(x)) for x in batches]
    got: list[Any] = [None] * N_THREADS
    barrier = threading.Barrier(N_THREADS)

    def work(place: int) -> None:
        barrier.wait()
        got[place] = model(batches[place])

    threads = [threading.Thread(target=work, args=(place,)) for place in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in range(N_THREADS):
        assert_identical(got[place], want[place], f"thread {place}")


@law("N-IO", "exact, also of -0.0 and NaN payloads", "safetensors; sage", LAWS)
def files(impl: Networks, case: NetworkCase) -> None:
    """A model that was saved and loaded has the same bytes, and saving it twice writes the same file."""
    coef = case.layer.coef.copy()
    coef.flat[0] = -0.0
    coef.flat[-1] = np.array([-1], f"i{case.dtype.itemsize}").view(case.dtype)[0]
    layers = [case.first(coef=coef), *case.layers[1:]]
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "one.npz", Path(folder) / "two.npz"
        impl.save(layers, one)
        back = impl.load(one, case.layer.base_fun)
        impl.save(back, two)
        assert one.read_bytes() == two.read_bytes(), "the second file differs"
    for got, want in zip(back, layers, strict=True):
        assert got[6:] == want[6:]
        assert got.k == want.k
        for name in ("grid", *KINDS, "mask"):
            found, sent = getattr(got, name), getattr(want, name)
            assert found.dtype == sent.dtype
            assert found.tobytes() == np.ascontiguousarray(sent).tobytes(), name
