"""The checks of `faults.py` on a busy machine: a search and a fit of exp(sin(pi x) + y^2) on 1000 samples.

Every number comes from a process of its own, which has run both once before it measures. Times are CPU seconds, of all
threads of the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

TIMES, BUSY = 5, 4
MOST, MORE = 1.4, 0.1  # a busy machine may take this many times as long, plus these seconds
THREADS = ("1", "2", "")  # OPENBLAS_NUM_THREADS; the last: not set
ALONE, BESIDE = ("1", 0), ("", BUSY)  # what is timed: threads, and busy processes

CODE = """
import hashlib, json, statistics, sys, time
import numpy as np
import numkan

x = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)

def search():
    return numkan.search(x, y, random_state=0)[0]

def fit():
    model = numkan.KAN([2, 5, 1], seed=0)
    model.fit(x, y, random_state=0)
    return model

def measure(call):
    bits, seconds = {hashlib.sha256(call().params.tobytes()).hexdigest()}, []
    for _ in range(int(sys.argv[1])):
        start = time.process_time()
        bits.add(hashlib.sha256(call().params.tobytes()).hexdigest())
        seconds.append(time.process_time() - start)
    return {"bits": sorted(bits), "seconds": statistics.median(seconds)}

print(json.dumps({"search": measure(search), "fit": measure(fit)}))
"""


class Measured(NamedTuple):
    """The digests of all models that a call has made, and the median of its CPU seconds."""

    bits: list[str]
    seconds: float


@contextlib.contextmanager
def busy_machine(processes: int) -> Iterator[None]:
    """Keep this many processes busy inside the block."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@cache
def measure(threads: str, beside: int) -> dict[str, Measured]:
    """Run search and fit in a new process with a number of threads of BLAS, beside a number of busy processes."""
    times = TIMES if (threads, beside) in (ALONE, BESIDE) else 1
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    if threads:
        environment["OPENBLAS_NUM_THREADS"] = threads
    with busy_machine(beside):
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(times)], env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    return {call: Measured(**found) for call, found in json.loads(done.stdout).items()}


def times_of(call: str) -> tuple[str, bool]:
    """Compare the time beside busy processes, BLAS as installed, with that alone and with one thread of BLAS."""
    alone, beside = measure(*ALONE)[call].seconds, measure(*BESIDE)[call].seconds
    return f"{beside:.2f} s, alone {alone:.2f} s", beside <= MOST * alone + MORE


def check_time_of_search() -> tuple[str, bool]:
    """Beside four busy processes, with BLAS as installed, a search takes hardly more CPU time than alone.

    At most 1.4 times as much and 0.1 s, against one thread of BLAS; medians of five.
    """
    return times_of("search")


def check_time_of_fit() -> tuple[str, bool]:
    """Beside four busy processes, with BLAS as installed, a fit of [2,5,1] takes hardly more CPU time than alone.

    At most 1.4 times as much and 0.1 s, against one thread of BLAS; medians of five.
    """
    return times_of("fit")


def check_bits() -> tuple[str, bool]:
    """Search and fit give the same bits with 1, 2 and any threads of BLAS, on a busy machine and on an idle one."""
    runs = [measure(threads, beside) for threads in THREADS for beside in (0, BUSY)]
    kinds = {call: len({bits for found in runs for bits in found[call].bits}) for call in ("search", "fit")}
    said = ", ".join(f"{count} kind{'s' if count > 1 else ''} of bits of {call}" for call, count in kinds.items())
    return f"{said} in {len(runs)} processes", set(kinds.values()) == {1}
