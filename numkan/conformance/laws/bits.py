"""Laws of bits: results that do not depend on batches, threads, containers, calls or files."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from numkan.conformance import network_twin
from numkan.conformance.adapter import KINDS, Array, claims
from numkan.conformance.cases import Case, NetworkCase
from numkan.conformance.law import assert_identical, assert_within, law, require
from numkan.conformance.laws.gradients import contracted, flat, shared
from numkan.conformance.laws.structure import alike
from numkan.conformance.meeting import count_lines, meet
from numkan.conformance.points import probes, with_more_knots
from numkan.conformance.steady import is_steady

NETWORKS: dict[str, Any] = {"about": "networks", "needs": ("network_forward",)}
N_THREADS = 10
MEETINGS = 8  # lines of a call before which another one comes in between


@law(
    "N-SUB",
    "exact, or 64 eps of the terms' magnitudes, as `bits` declares",
    "scikit-learn, methods_subset_invariance and sample_order_invariance",
    **NETWORKS,
    policies=("bits",),
)
def subsets(impl: Any, case: NetworkCase) -> None:
    """A row has the same outputs, derivatives and Jacobian in any batch, order and chunking."""
    if impl.bits != "exact" and not is_steady(case):
        return
    n = len(case.x)
    layers, x = case.exact
    sizes, (by_params, by_x) = network_twin.sizes(layers, x)[-1], network_twin.jacobian_sizes(layers, x)
    functions: dict[str, tuple[Callable[[Array], Any], Array]] = {
        "network_forward": (lambda x: impl.network_forward(case.layers, x), sizes),
        "network_derivative": (lambda x: impl.network_derivative(case.layers, x), by_x),
        "network_vjp": (
            lambda x: impl.network_vjp(case.layers, x, np.ones((len(x), case.y.shape[1]), case.dtype))[1],
            by_x.sum(axis=1),
        ),
    }
    if claims(impl, "network_jacobian"):
        told = shared(by_params, impl.network_jacobian(case.layers, case.x))
        functions["network_jacobian"] = (
            lambda x: flat(impl.network_jacobian(case.layers, x), batch=2),
            flat(told, batch=2),
        )
    order = np.roll(np.arange(n), 1)[::-1]
    for name, (function, size) in functions.items():
        if claims(impl, name):
            whole, bound = function(case.x), 64 * case.eps * size
            alike(impl, function(case.x[order]), whole[order], bound[order], f"{name}, rows in another order")
            for begin, end in ((0, 1), (n - 1, n), (0, n // 2), (n // 2, n)):
                rows = slice(begin, end)
                alike(impl, function(case.x[rows].copy()), whole[rows], bound[rows], f"{name}, rows {begin} to {end}")


@law("N-CHG", "64 eps of the sum of the terms' magnitudes", "linearity of the sum", "networks", needs=("network_loss",))
def chunked_gradient(impl: Any, case: NetworkCase) -> None:
    """The gradient of a weighted mean is the weighted mean of the gradients of its parts."""
    n = len(case.x)
    if n < 2 or not is_steady(case):
        return
    parts = [case.rows(slice(0, n // 2)), case.rows(slice(n // 2, n))]

    def gradients(part: NetworkCase) -> Any:
        return impl.network_loss(part.layers, part.x, part.y, "mse", part.weight)[1]

    whole = gradients(case)
    shares = [part.weight.sum(dtype=float) / case.weight.sum(dtype=float) for part in parts]
    mean = sum(share * flat(gradients(part)) for share, part in zip(shares, parts, strict=True))
    layers, x = case.exact
    y, size = network_twin.network_forward(layers, x), network_twin.sizes(layers, x)[-1]
    shape = network_twin.loss_sizes(y, size, case.y, "mse", case.weight.astype(float))
    bound = [{name: contracted(d[name], shape) for name in KINDS} for d in network_twin.jacobian_sizes(layers, x)[0]]
    assert_within(flat(whole), mean, 64 * case.eps * flat(shared(bound, whole)), "gradient")


def results(impl: Any, case: NetworkCase) -> dict[str, Any]:
    """Return all that a network computes, as arrays."""
    y_bar = case.noise(*case.y.shape)
    out: dict[str, Any] = {"outputs": impl.network_forward(case.layers, case.x)}
    if claims(impl, "layer_vjp"):
        out |= impl.layer_vjp(case.layer, case.x, case.noise(len(case.x), case.layer.n_out))
    if claims(impl, "network_derivative"):
        out["derivative"] = impl.network_derivative(case.layers, case.x)
    if claims(impl, "network_loss"):
        for loss, target in (("mse", case.y), ("cross_entropy", case.labels)):
            value, grads = impl.network_loss(case.layers, case.x, target, loss, case.weight)
            out |= {loss: np.array(value), f"gradient of {loss}": flat(grads)}
    if claims(impl, "network_vjp"):
        grads, x_bar = impl.network_vjp(case.layers, case.x, y_bar)
        out |= {"product": flat(grads), "product, x": x_bar}
    if claims(impl, "network_jacobian"):
        out["jacobian"] = flat(impl.network_jacobian(case.layers, case.x), batch=2)
    return out


@law("N-DET", "exact", "the same program on the same numbers", **NETWORKS)
def deterministic(impl: Any, case: NetworkCase) -> None:
    """Again, and with any number of threads, the bits are the same."""
    threads = claims(impl, "set_threads")
    before = impl.set_threads(1) if threads else 0
    try:
        first = results(impl, case)
        for count in (1, 2, 3, 8):
            if threads:
                impl.set_threads(count)
            for name, got in results(impl, case).items():
                assert_identical(got, first[name], f"{name}, {f'on {count} threads' if threads else 'again'}")
    finally:
        if threads:
            impl.set_threads(before)


def same_again(call: Callable[[], Any], disturb: Callable[[], Any], given: list[Array]) -> Any:
    """Require that a call writes to no argument, and that its result is an array of its own; return it."""
    before = [array.tobytes() for array in given]
    result = call()
    require([array.tobytes() for array in given] == before, "an argument was written to")
    arrays = [one for one in (result if isinstance(result, tuple) else (result,)) if isinstance(one, np.ndarray)]
    for array in arrays:
        require(not any(np.shares_memory(array, one) for one in given), "a result is a view of an argument")
    kept = [array.copy() for array in arrays]
    disturb()
    for array, copy in zip(arrays, kept, strict=True):
        assert_identical(array, copy, "a result that a later call wrote to: values")
    return result


@law("P-PURE", "exact", "scikit-learn, dict_unchanged", "splines")
def pure_splines(impl: Any, case: Case) -> None:
    """Arguments stay as they are, and results are arrays of their own, which no later call writes to."""
    x, k = probes(case), case.k
    given = [x, case.knots, case.coef]
    other = x[::-1].copy()
    calls: dict[str, Callable[[Array], Any]] = {"basis": lambda x: impl.basis(x, case.knots, k)}
    if claims(impl, "dbasis"):
        calls["dbasis"] = lambda x: impl.dbasis(x, case.knots, k, 1)
    if claims(impl, "curve"):
        calls["curve"] = lambda x: impl.curve(x, case.knots, case.coef, k)
    if claims(impl, "insert_knot"):
        new = with_more_knots(case, 1, simple=True)
        if new:
            calls["insert_knot"] = lambda x: impl.insert_knot(case.knots, case.coef, k, new[0])
    for call in calls.values():
        same_again(partial(call, x), partial(call, other), given)


@law("N-PURE", "exact", "scikit-learn, dict_unchanged", **NETWORKS)
def pure(impl: Any, case: NetworkCase) -> None:
    """Arguments stay as they are, results share no memory with them, and a call leaves no trace on a model."""
    numbers = [getattr(layer, name) for layer in case.layers for name in ("grid", *KINDS, "mask")]
    given = [case.x, case.y, case.labels, case.weight, *numbers]
    other = case.x[::-1].copy()
    first = impl.network_forward(case.layers, case.x)
    again = same_again(
        lambda: impl.network_forward(case.layers, case.x), lambda: impl.network_forward(case.layers, other), given
    )
    assert_identical(again, first, "outputs, asked for again")
    same_again(lambda: tuple(results(impl, case).values()), lambda: results(impl, case), given)
    if claims(impl, "model"):
        model = impl.model(case.layers)
        state = impl.state(model) if claims(impl, "state") else b""
        out = same_again(lambda: model(case.x), lambda: model(other), given)
        require(not claims(impl, "state") or impl.state(model) == state, "a call changed the model")
        assert_identical(model(case.x), out, "outputs of a model, asked for again")


def containers(x: Array) -> dict[str, Any]:
    """Return the same numbers in other containers."""
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


@law(
    "N-IN",
    "exact",
    "scikit-learn, data_not_an_array, f_contiguous_array, readonly_memmap_input",
    "networks",
    needs=("network_forward", "containers"),
)
def any_container(impl: Any, case: NetworkCase) -> None:
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


@law("N-THR", "exact", "scipy, _run_concurrent_barrier", "networks", needs=("model",))
def concurrent(impl: Any, case: NetworkCase) -> None:
    """Many threads on one model get the bits that one gets; so do two calls of which one stops while the other runs."""
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
    one, other = case.x, -case.x
    want = [np.array(model(x)) for x in (one, other)]
    lines = count_lines(lambda: model(one))
    for line in sorted({*range(min(lines, MEETINGS)), *(lines * np.arange(MEETINGS) // MEETINGS).tolist()}):
        for result, due in zip(meet(lambda: model(one), lambda: model(other), line), want, strict=True):
            assert_identical(result, due, f"two calls at once, one of which stops before its line {line}")


@law("N-IO", "exact, also of -0.0 and NaN payloads", "safetensors; sage", "networks", needs=("save", "load"))
def files(impl: Any, case: NetworkCase) -> None:
    """A model that was saved and loaded has the same bytes; where files are declared the same, twice the same file."""
    coef = case.layer.coef.copy()
    coef.flat[0] = -0.0
    coef.flat[-1] = np.array([-1], f"i{case.dtype.itemsize}").view(case.dtype)[0]
    layers = [case.layer.replace(coef=coef), *case.layers[1:]]
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "one.npz", Path(folder) / "two.npz"
        impl.save(layers, one)
        back = list(impl.load(one))
        if claims(impl, "same_files"):
            impl.save(back, two)
            require(one.read_bytes() == two.read_bytes(), "the second file differs")
    require(len(back) == len(layers), f"{len(back)} layers came back of {len(layers)}")
    for depth, (got, want) in enumerate(zip(back, layers, strict=True)):
        for name in ("k", "base_fun", "extrapolate"):
            found, sent = getattr(got, name), getattr(want, name)
            require(found == sent, f"layer {depth}, {name}: {found!r} came back for {sent!r}")
        for name in ("grid", *KINDS, "mask"):
            found, sent = np.asarray(getattr(got, name)), getattr(want, name)
            require(found.dtype == sent.dtype, f"layer {depth}, {name}: {found.dtype} came back for {sent.dtype}")
            assert_identical(found, sent, f"layer {depth}, {name}")
            require(found.tobytes() == np.ascontiguousarray(sent).tobytes(), f"layer {depth}, {name}: other bytes")
