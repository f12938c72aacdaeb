"""A pass over 1e9 rows on 100 workers, by dask's own scheduler, whose tasks sleep for as long as their rows would take.

Scheduler, client and workers are threads of one process, which has the CPU seconds of all of them. What a task costs
them is measured in a pass whose tasks do not sleep, so that loops of workers that wait are a small part of it. The
graph is that of a fit (:mod:`numkan.train.passes`); it knows nothing of the rows, so each piece of the stub has one.
"""

from __future__ import annotations

import math
import pickle
import time
from typing import Any

import numpy as np

from numkan import KAN, data
from numkan.model.row_squares import BlockEquations
from numkan.train import passes
from numkan.train.splines import Splines

ROWS, WORKERS = 1_000_000_000, 100

#: A second in this network is so many bytes.
BANDWIDTH = 1e9


def simulated(row_seconds: float, rows: int = ROWS, workers: int = WORKERS) -> dict[str, Any]:
    """Return what a pass takes by the formula and in the simulation, given CPU seconds a row of normal equations."""
    block = data.BLOCK
    group = passes._blocks_of_a_task(rows)
    pieces = -(-rows // (group * block))
    each = group * block * row_seconds
    sums, sent = sizes()
    found = stub_pass(pieces, workers, each)
    return {
        "rows": rows,
        "workers": workers,
        "tasks": tasks_of(pieces),
        "task seconds": each,
        "sum bytes": sums,
        "sent bytes": sent,
        "computed": math.ceil(pieces / workers) * each + (waits_of(pieces) * sums + workers * sent) / BANDWIDTH,
        "wall": found["wall"],
        "scheduler seconds a task": found["seconds"] / tasks_of(pieces),
    }


def levels_of(pieces: int) -> list[int]:
    """Return how many sums each level of additions has."""
    levels = []
    while pieces > 1:
        pieces = -(-pieces // passes._ADDED)
        levels.append(pieces)
    return levels


def tasks_of(pieces: int) -> int:
    """Return the number of tasks of a pass: of x, of y, of both, and additions."""
    return 3 * pieces + sum(levels_of(pieces))


def waits_of(pieces: int) -> int:
    """Return how many sums travel one after the other: all but one of those that a task adds."""
    return (passes._ADDED - 1) * len(levels_of(pieces))


def sizes() -> tuple[int, int]:
    """Return the bytes of a sum, and of what a task is sent, for [4,5,1] at about 500 coefficients."""
    x = np.random.default_rng(0).uniform(-1, 1, (1000, 4))
    splines = Splines.of(KAN([4, 5, 1], seed=0)).on_grids(x, (17, 17))
    part = BlockEquations(splines.layers, False, splines.vector)
    return len(pickle.dumps(part(x, x[:, :1]))), len(pickle.dumps(part))


class Stub:
    """Sleeps for as long as the rows of a piece would take, and returns a number."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, x: Any, y: Any) -> float:
        """Sleep."""
        time.sleep(self._seconds)
        return 1.0


def add(a: float, b: float) -> float:
    """Return a + b."""
    return a + b


def stub_pass(pieces: int, workers: int, seconds: float) -> dict[str, float]:
    """Return the wall seconds of a pass whose first tasks sleep, and the CPU seconds of one without sleep."""
    import dask.array as da
    from distributed import Client, LocalCluster

    options = {"n_workers": workers, "threads_per_worker": 1, "processes": False, "memory_limit": 0}
    with LocalCluster(dashboard_address=None, **options) as cluster, Client(cluster):
        before = data.BLOCK, passes._BLOCKS
        data.BLOCK, passes._BLOCKS = 1, 1  # stubs need no rows
        try:
            ones = da.ones(pieces, chunks=1)
            stub = passes.DaskPasses(ones, ones)
            assert stub.sum(Stub(0.0), add) == pieces  # the first pass starts threads
            cpu = time.process_time()
            stub.sum(Stub(0.0), add)
            cpu, wall = time.process_time() - cpu, time.perf_counter()
            stub.sum(Stub(seconds), add)
            return {"wall": time.perf_counter() - wall, "seconds": cpu}
        finally:
            data.BLOCK, passes._BLOCKS = before
