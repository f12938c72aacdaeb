"""How times are taken: in bursts of calls that alternate, with a process of its own for each number of threads."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar
from unittest import mock

Name = TypeVar("Name", str, int)

DISTURBED = 1.5  # a median this many times the best burst shows other work on the machine
BURST = 5e-3  # seconds that the timed calls of a burst take together, at least
LONG = 1.0  # seconds from which one call is a burst
LEAD = 0.015  # seconds of calls before the timed ones, with two threads and more


def burst(call: Callable[[], Any], lead: float = 0.0) -> float:
    """Return the seconds per call of one burst.

    The first call is not timed: it finds the caches filled by other contenders, which no user's loop does. Nor are the
    calls of the next `lead` seconds: OpenMP's threads, which most peers use, spin for 5 ms after their work and hold a
    core, and a contender's own threads take as long to wake.
    """
    start = time.perf_counter()
    call()
    spent = time.perf_counter() - start
    if spent > LONG:
        return spent
    while time.perf_counter() - start < lead:
        call()
    calls, start = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        spent = time.perf_counter() - start
        if spent > BURST:
            return spent / calls


def alternate(
    calls: dict[Name, Callable[[], Any]],
    seconds: float,
    rounds: int,
    before: Callable[[Name], Any] = lambda name: None,
    lead: float = 0.0,
) -> dict[Name, float]:
    """Time each call in bursts, one burst each round; return the median of its bursts.

    Every call has `rounds` bursts. Those that have not used their share of the time by then have more, until the time
    is over: a call that takes seconds does not shorten the others' share. ``before(name)`` is not timed.
    """
    bursts: dict[Name, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            _round(calls, bursts, before, lead)
        rest = {name: call for name, call in calls.items() if sum(bursts[name]) < seconds / len(calls)}
        deadline = time.perf_counter() + seconds
        while len(rest) >= min(2, len(calls)) and time.perf_counter() < deadline:
            _round(rest, bursts, before, lead)
    finally:
        gc.enable()
    for name, t in bursts.items():
        if statistics.median(t) > DISTURBED * min(t):
            print(f"disturbed: {name}, median {statistics.median(t):.3g} s, best {min(t):.3g} s", file=sys.stderr)
    return {name: statistics.median(t) for name, t in bursts.items()}


def _round(
    calls: dict[Name, Callable[[], Any]], bursts: dict[Name, list[float]], before: Callable[[Name], Any], lead: float
) -> None:
    for name, call in calls.items():
        before(name)
        bursts[name].append(burst(call, lead))


def elsewhere(threads: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own, whose libraries are told their number of threads before they start."""
    one = str(threads)
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), one)
    limits["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()} intra_op_parallelism_threads={one}"
    with (
        mock.patch.dict(os.environ, limits),
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        return pool.submit(_here, threads, function, *arguments).result()


def _here(threads: int, function: Callable[..., Any], *arguments: Any) -> Any:
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, whatever a library thinks of its flags
    return function(*arguments)
