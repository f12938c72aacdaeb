"""The time in which BLAS would do a workload's useful work, and the share of that rate that numkan reaches.

A call has to do its useful flops and to move its bytes: at the machine's rates that takes the longer of flops / (rate
of a product of matrices in BLAS) and bytes / (rate of a large copy), one thread each. It is a measure, not a bound: a
product of matrices does not reach the processor's peak. Useful are, for a forward pass, the product and
sum of each of the k + 1 basis functions and of the base function on every edge: 2 (k + 2) N n_in n_out a layer. The
gradient by coefficients is as much again, and so is the gradient by inputs of every layer but the first. Bytes are
those of parameters, inputs and outputs (or targets), once, and of the gradient.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from _goals import Goal
from _report import table
from _speed_data import COLUMNS, TITLES, Record, cases, own
from _timing import alternate

if TYPE_CHECKING:
    from _peers import Workload

SIDE = 1024  # of the matrices
COPIED = 1 << 27  # bytes, far more than a cache holds
BOUND = 1.3  # time of wide, float32, forward, over that of its useful flops


def rates(dtype: str) -> dict[str, float]:
    """Measure flops a second of a product of matrices, and bytes a second of a large copy, read and written."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, SIDE, SIDE)).astype(dtype)
    c = np.empty_like(a)
    source, target = np.ones(COPIED, np.uint8), np.zeros(COPIED, np.uint8)
    calls = {"flops": lambda: np.matmul(a, b, out=c), "bytes": lambda: np.copyto(target, source)}
    times = alternate(calls, 0.3, 5)
    return {"flops": 2 * SIDE**3 / times["flops"], "bytes": 2 * COPIED / times["bytes"]}


def useful_flops(work: Workload, column: str) -> int:
    """Count the flops that a call is asked for."""
    layers = [2 * (work.k + 2) * work.rows * n_in * n_out for n_in, n_out in pairwise(work.width)]
    return sum(layers) if column == "forward" else 3 * sum(layers) - layers[0]


def least_bytes(work: Workload, column: str, dtype: str) -> int:
    """Count the bytes that a call must move at least."""
    parameters = sum(n_in * n_out * (work.G + work.k + 2) for n_in, n_out in pairwise(work.width))
    samples = work.rows * (work.width[0] + work.width[-1])
    return np.dtype(dtype).itemsize * (samples + (1 if column == "forward" else 2) * parameters)


def work_seconds(work: Workload, column: str, dtype: str, rate: dict[str, float]) -> float:
    """Return the time of the flops or of the bytes at the machine's rates, whichever is longer."""
    return max(useful_flops(work, column) / rate["flops"], least_bytes(work, column, dtype) / rate["bytes"])


def table_of_shares(times: list[Record], machine: list[Record], workloads: dict[str, Workload]) -> str:
    """Lay out flops, bytes, the time of them at these rates, the measured time and the share reached."""
    rows = []
    for r in machine:
        work, dtype = workloads[r["workload"]], r["dtype"]
        rate = [f"{r['flops'] / 1e9:.0f}", f"{r['bytes'] / 1e9:.1f}"]
        for column in COLUMNS:
            useful, spent = work_seconds(work, column, dtype, r), own(cases(times, 1)[work.name, dtype], column)
            size = [f"{useful_flops(work, column) / 1e6:.4g}", f"{least_bytes(work, column, dtype) / 1e6:.3g}"]
            cells = [*size, *rate, f"{1e3 * useful:.3g}", f"{1e3 * spent:.3g}", f"{100 * useful / spent:.0f} %"]
            rows.append([f"{work.name} {dtype} {TITLES[column]}", *cells])
    heads = ["", "Mflop", "MB", "BLAS Gflop/s", "copy GB/s", "work ms", "numkan ms", "share"]
    return table(heads, rows)


def roofline(times: list[Record], machine: list[Record], workloads: dict[str, Workload]) -> list[Goal]:
    """Hold the wide network's prediction against its useful flops at the rate of BLAS."""
    rate = {(r["workload"], r["dtype"]): r["flops"] for r in machine}.get(("wide", "float32"))
    if rate is None:
        return []
    spent = own(cases(times, 1)["wide", "float32"], "forward")
    useful = useful_flops(workloads["wide"], "forward") / rate
    return [Goal("wide float32 fwd, over its useful flops at the rate of BLAS", spent / useful, BOUND, most=True)]
