"""Threads over fixed blocks: how much runs at once never changes a bit.

Work is cut into tasks by its size alone, the tasks are done by a pool and by the caller, and partial sums are added in
the order of the tasks. So one thread and many give the same numbers, and several Python threads may call at once.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from numkan._check import check_integer

__all__ = ["get_threads", "run_tasks", "set_threads"]

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_threads: int | None = None


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # the cores that this process may use, where the system tells
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_threads() -> int:
    """Return how many threads numkan uses: what :func:`set_threads` said, or the cores of this process."""
    global _threads
    if _threads is None:
        _threads = _available_cores()
    return _threads


def set_threads(n: int) -> None:
    """Let numkan use `n` threads from now on. The numbers it returns do not depend on `n`, only the time does.

    Parameters
    ----------
    n : int
        At least 1. Linear algebra goes through BLAS and LAPACK, which have thread counts of their own.

    Raises
    ------
    ValueError, TypeError
        If `n` is not a positive integer.

    Examples
    --------
    >>> import numkan
    >>> numkan.set_threads(2)
    >>> numkan.get_threads()
    2
    """
    global _threads
    count = check_integer("n", n, 1)
    with _lock:
        _threads = count
        _drop_pool()


def _drop_pool() -> None:
    global _pool
    if _pool is not None:
        _pool.shutdown(wait=False)
        _pool = None


def _forget_pool() -> None:
    """Forget the pool in a forked child: its threads exist in the parent only."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def run_tasks(task: Callable[[int], None], n_tasks: int, *, serial: bool = False) -> None:
    """Call ``task(0), ..., task(n_tasks - 1)``, each once, in any order and on any thread.

    The caller works too. When a task raises (or Ctrl-C arrives), no new task begins, those under way are waited for,
    and the error goes on to the caller.
    """
    helpers = min(get_threads(), n_tasks) - 1
    if serial or helpers < 1:
        for index in range(n_tasks):
            task(index)
        return
    tickets = itertools.count()  # next() on it is atomic under the interpreter lock
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.is_set() and (index := next(tickets)) < n_tasks:
                task(index)
        except BaseException:
            stop.set()
            raise

    with _lock:
        global _pool
        if _pool is None:
            _pool = ThreadPoolExecutor(get_threads() - 1 or 1, thread_name_prefix="numkan")
        futures = [_pool.submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for future in futures:
            future.cancel()
        wait([future for future in futures if not future.cancelled()])
    for future in futures:
        if not future.cancelled():
            future.result()
