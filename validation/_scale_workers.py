"""Measurements of :mod:`scale` with workers: rows on dask's, workers that are killed, and many fits at once.

Each function runs in a process of its own. Workers are processes of one thread, on this machine. Their CPU seconds are
those between the begin and the end of a fit; idle loops of dask are among them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

import numkan
from numkan import KAN
from numkan.data import Rows

#: Rows of a file.
PART = 250_000

#: Of the fits in which a worker is killed: rows, and settings that keep the ladder short.
KILLED_ROWS, KILLED_PART, SHORT = 100_000, 5_000, {"grids": [5], "restarts": 1}

#: Of the many fits, each of about two seconds.
MANY, MANY_ROWS = 16, 20_000


def cluster_fit(n: int, workers: int, **options: Any) -> dict[str, Any]:
    """Fit rows of files on workers, and the same files in this process."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _files(folder, n)
        local = _measured(Rows(*paths), **options)
        with _cluster(workers) as client:
            x, y = _arrays(paths, n)
            KAN([4, 5, 1], seed=0).fit(x[:60_000], y[:60_000], steps=2, **SHORT)  # workers load their kernels
            base, before = client.run(_resident), client.run(time.process_time)
            found = _measured(x, y, **options)
            after, peaks = client.run(time.process_time), client.run(_peak)
        own = sum(after[one] - before[one] for one in before)
    return {
        "n": n,
        "workers": workers,
        "local": local,
        "client": found,
        "worker seconds": own,
        "worker memory": max(peaks[one] for one in peaks),
        "worker memory above its begin": max(peaks[one] - base[one] for one in peaks),
        "over local": (own + found["seconds"]) / local["seconds"] - 1.0,
        "same bits": found["bits"] == local["bits"],
    }


def step(n: int) -> dict[str, Any]:
    """Measure passes of normal equations, of loss and slope, and of the loss over rows of files, in this process."""
    from numkan.model.row_squares import BlockEquations, BlockLoss, BlockSlope, add_equations, add_numbers, add_slopes
    from numkan.train.passes import RowPasses
    from numkan.train.splines import Splines

    numkan.set_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows(*_files(folder, n))
        sample = rows._block(0).x
        splines = Splines.of(KAN([4, 5, 1], seed=0)).on_grids(sample, (17, 17))
        passes, seconds = RowPasses(rows), {}
        for name, part, add in (
            ("equations", BlockEquations(splines.layers, False, splines.vector), add_equations),
            ("slope", BlockSlope(splines.layers, False, splines.vector), add_slopes),
            ("loss", BlockLoss(splines.layers, False, splines.vector), add_numbers),
        ):
            part(sample[:100], sample[:100, :1])  # loads the kernels
            began = time.process_time()
            passes.sum(_Columns(part), add)
            seconds[name] = time.process_time() - began
    return {"n": n, "coefficients": int(splines.vector.size), **seconds}


class _Columns:
    """A part of a sum, with targets as a column."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __call__(self, x: Any, y: Any) -> Any:
        return self._part(x, y[:, None])


def kills(times: int, seed: int = 0) -> dict[str, Any]:
    """Kill a worker in each of some fits, at random times; count the fits that end with the same bits.

    Each has a cluster of its own: what is tried is the fit, and not how dask replaces the worker for the next one.
    """
    rng = np.random.default_rng(seed)
    bits, hit = [], 0
    with tempfile.TemporaryDirectory() as folder:
        paths = _files(folder, KILLED_ROWS, KILLED_PART)
        whole = _bits(KAN([4, 5, 1], seed=0), Rows(*paths), **SHORT)
        for _ in range(times):
            with _cluster(2) as client:
                x, y = _arrays(paths, KILLED_ROWS, KILLED_PART)
                _bits(KAN([4, 5, 1], seed=0), x, y, **SHORT)  # workers load their kernels
                began = time.perf_counter()
                _bits(KAN([4, 5, 1], seed=0), x, y, **SHORT)
                lasts = time.perf_counter() - began
                victim = int(rng.choice(sorted(client.run(os.getpid).values())))
                kill = threading.Timer(float(rng.uniform(0.02, 0.98)) * lasts, os.kill, (victim, signal.SIGKILL))
                kill.start()
                bits.append(_bits(KAN([4, 5, 1], seed=0), x, y, **SHORT))
                hit += not kill.is_alive()
                kill.join()
    return {"times": times, "killed before the end": hit, "same bits": sum(one == whole for one in bits)}


def many_fits() -> dict[str, Any]:
    """Fit many models here and in two processes."""
    numkan.set_threads(1)
    began = time.perf_counter(), time.process_time()
    here = numkan.fit_many(one_of_many, range(MANY))
    alone, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    began_wall = time.perf_counter()
    with ProcessPoolExecutor(2) as executor:
        there = numkan.fit_many(one_of_many, range(MANY), executor)
    together = time.perf_counter() - began_wall
    same = all(a[0].params.tobytes() == b[0].params.tobytes() for a, b in zip(here, there, strict=True))
    return {"fits": MANY, "seconds each": cpu / MANY, "wall": alone, "wall of two": together, "same bits": same}


def one_of_many(seed: int) -> tuple[Any, Any]:
    """Fit a model to samples of its own."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (MANY_ROWS, 4))
    y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2) + x[:, 2] * x[:, 3] + 0.1 * rng.standard_normal(MANY_ROWS)
    model = KAN([4, 5, 1], seed=seed)
    return model, model.fit(x, y, random_state=seed)


# --- parts --------------------------------------------------------------------------------------------------------


def _files(folder: str, n: int, part: int = PART) -> tuple[list[str], list[str]]:
    """Write samples in files, a part at a time."""
    paths: tuple[list[str], list[str]] = ([], [])
    for number, begin in enumerate(range(0, n, part)):
        rng = np.random.default_rng(number)
        x = rng.uniform(-1, 1, (min(part, n - begin), 4))
        y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2) + x[:, 2] * x[:, 3] + 0.1 * rng.standard_normal(len(x))
        for values, names, letter in zip((x, y), paths, "xy", strict=True):
            names.append(f"{folder}/{letter}{number}.npy")
            np.save(names[-1], values)
    return paths


def _arrays(paths: tuple[list[str], list[str]], n: int, part: int = PART) -> tuple[Any, Any]:
    """Return the files as arrays of dask, which workers load."""
    import dask
    import dask.array as da

    def array(names: list[str], columns: tuple[int, ...]) -> Any:
        lengths = [min(part, n - begin) for begin in range(0, n, part)]
        return da.concatenate(
            [
                da.from_delayed(dask.delayed(np.load)(name), (length, *columns), float)
                for name, length in zip(names, lengths, strict=True)
            ]
        )

    return array(paths[0], (4,)), array(paths[1], ())


@contextlib.contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


def _measured(*data: Any, **options: Any) -> dict[str, Any]:
    """Fit on one thread, and measure what this process takes; count the passes over all rows by what they sum."""
    numkan.set_threads(1)
    model = KAN([4, 5, 1], seed=0)
    with _counted_passes() as passes:
        began, wall = time.process_time(), time.perf_counter()
        model.fit(*data, **options)
        seconds, wall = time.process_time() - began, time.perf_counter() - wall
    bits = hashlib.sha256(model.params.tobytes()).hexdigest()[:16]
    return {"seconds": seconds, "wall": wall, "passes": dict(passes), "bits": bits}


@contextlib.contextmanager
def _counted_passes() -> Iterator[Counter[str]]:
    from numkan.train.passes import RowPasses

    found, whole = Counter[str](), RowPasses.sum

    def counted(self: RowPasses, part: Any, add: Any) -> Any:
        found[type(getattr(part, "part", part)).__name__] += 1
        return whole(self, part, add)

    RowPasses.sum = counted  # type: ignore[method-assign]
    try:
        yield found
    finally:
        RowPasses.sum = whole  # type: ignore[method-assign]


def _bits(model: KAN, *data: Any, **options: Any) -> str:
    model.fit(*data, **options)
    return hashlib.sha256(model.params.tobytes()).hexdigest()[:16]


def _resident() -> float:
    with open("/proc/self/status", encoding="utf-8") as lines:
        line = next(line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
