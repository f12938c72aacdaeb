"""numkan.simd.vectors: the vector operations in every way to run them, and networks at every vector width."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import config

from numkan.compile import kernel
from numkan.conformance.adapter import Array
from numkan.simd.llvm_vectors import llvm_ops
from numkan.simd.python_vectors import checked_ops, numpy_ops
from numkan.simd.vectors import as_python, lanes_of, rounded_ops, vector_ops, vector_width
from tests.network_cases import AGAIN

PROJECT = Path(__file__).parents[1]
FLOATS = (np.float64, np.float32)


def combine(ops: Any, a: Array, b: Array, c: Array, dtype: type) -> tuple[Array, Array]:
    """Every operation at offset 1: a * b + c, splat(3) * a, and the total of a."""
    lanes, load, store, splat, fma, mul, total, _ = ops
    three, out, sums = dtype(3), np.zeros(2 * lanes + 2, dtype), np.zeros(1, dtype)

    @kernel
    def run(a, b, c, out, sums):  # type: ignore[no-untyped-def]
        va = load(a, 1)
        store(out, 1, fma(va, load(b, 1), load(c, 1)))
        store(out, lanes + 1, mul(splat(three), va))
        sums[0] = total(va)

    run(a, b, c, out, sums)
    return out, sums


def by_halves(v: Array) -> Any:
    while len(v) > 1:
        v = v[: len(v) // 2] + v[len(v) // 2 :]
    return v[0]


def ways() -> list[Any]:
    """The ways to run that this process can: NumPy slices need the JIT off, LLVM's vectors need it on."""
    if config.DISABLE_JIT:
        return [numpy_ops, checked_ops]
    return [checked_ops] if config.BOUNDSCHECK else [checked_ops, llvm_ops]


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("way", ways(), ids=lambda way: way.__name__)
def test_operations_are_those_of_numpy(way: Any, lanes: int, dtype: type) -> None:
    rng = np.random.default_rng(lanes)
    a, b, c = (rng.normal(size=lanes + 2).astype(dtype) for _ in range(3))
    out, sums = combine(way(lanes), a, b, c, dtype)
    inside = slice(1, lanes + 1)
    eps = np.finfo(dtype).eps
    terms = abs(a * b) + abs(c)
    assert (abs(out[inside] - (a * b + c)[inside]) <= 2 * eps * terms[inside]).all()
    np.testing.assert_array_equal(out[lanes + 1 : -1], 3 * a[inside])
    assert out[0] == out[-1] == 0
    assert abs(sums[0] - by_halves(a[inside])) <= (eps * abs(a).sum() if lanes > 4 else 0)
    assert out.dtype == sums.dtype == dtype


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("way", ways(), ids=lambda way: way.__name__)
def test_what_is_reached_is_counted(way: Any, lanes: int, dtype: type) -> None:
    _, load, store, splat, *_, reached = way(lanes)
    two = dtype(2)

    @kernel
    def run(x, ends, out):  # type: ignore[no-untyped-def]
        number = splat(two)
        for j in range(3):
            number = reached(number, load(x, 0), splat(ends[j]))
        store(out, 0, number)

    x, ends, out = np.linspace(0, 1, lanes).astype(dtype), np.array([0, 0.5, np.nan], dtype), np.zeros(lanes, dtype)
    x[1], x[2] = np.nan, 0.5
    run(x, ends, out)
    np.testing.assert_array_equal(out, 2 + (x[:, None] >= ends).sum(axis=1))


@pytest.mark.skipif(not as_python(), reason="compiled vectors check no bounds")
@pytest.mark.parametrize("lanes", [4, 8])
@pytest.mark.parametrize("way", ways(), ids=lambda way: way.__name__)
def test_a_vector_that_is_not_whole_in_its_array_is_an_index_error(way: Any, lanes: int) -> None:
    _, load, store, *_ = way(lanes)

    @kernel
    def read(array, at, out):  # type: ignore[no-untyped-def]
        store(out, 0, load(array, at))

    @kernel
    def write(array, at, out):  # type: ignore[no-untyped-def]
        store(out, at, load(array, 0))

    array, out = np.arange(lanes + 2.0), np.zeros(lanes + 2)
    for run in (read, write):
        run(array, 2, out)
        for at in (3, lanes + 1, lanes + 2):
            with pytest.raises(IndexError):
                run(array, at, out)


@pytest.mark.jit
@pytest.mark.skipif(bool(config.BOUNDSCHECK), reason="bounds are checked without vectors")
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_compiled_multiply_adds_round_once(dtype: type) -> None:
    eps = np.finfo(dtype).eps
    a = np.full(6, 1 + eps, dtype)
    out, _ = combine(llvm_ops(4), a, a, np.full(6, -(1 + 2 * eps), dtype), dtype)
    np.testing.assert_array_equal(out[1:5], np.full(4, eps**2, dtype))
    single, _ = combine(rounded_ops(1), a, a, np.full(6, -(1 + 2 * eps), dtype), dtype)
    assert single[1] == eps**2


def test_nan_goes_through_every_operation() -> None:
    lanes = 4
    a = np.arange(6.0)
    a[2] = np.nan
    out, sums = combine(vector_ops(lanes), a, np.zeros(6), np.zeros(6), np.float64)
    np.testing.assert_array_equal(np.isnan(out[1:9]), [False, True, False, False] * 2)
    assert np.isnan(sums[0])


def test_lanes_fill_the_vector() -> None:
    if config.DISABLE_JIT or config.BOUNDSCHECK:
        assert lanes_of(np.dtype(np.float64)) == lanes_of(np.dtype(np.float32)) == 4
    else:
        assert lanes_of(np.dtype(np.float64)) * 64 == lanes_of(np.dtype(np.float32)) * 32 == vector_width()


def test_a_width_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMKAN_VECTOR_WIDTH", "100")
    vector_width.cache_clear()
    try:
        with pytest.raises(ValueError, match="NUMKAN_VECTOR_WIDTH must be 128, 256 or 512, not '100'"):
            vector_width()
    finally:
        monkeypatch.undo()
        vector_width.cache_clear()


def width_in_a_new_process(**environment: str) -> int:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", "from numkan.simd.vectors import vector_width; print(vector_width())"],
        env={**os.environ, "NUMKAN_VECTOR_WIDTH": "", **environment},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


@pytest.mark.jit
@pytest.mark.skipif(AGAIN, reason="the whole run has settings of its own")
@pytest.mark.parametrize("told", [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_CPU_FEATURES": ""}, {"NUMBA_ENABLE_AVX": "0"}])
def test_instructions_are_those_that_numba_compiles_for_whatever_the_host_has(told: dict[str, str]) -> None:
    assert width_in_a_new_process(**told) == 128
