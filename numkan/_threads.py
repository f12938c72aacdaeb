"""A pool of threads for fixed tasks, whose results do not depend on the number of threads.

Tasks are numbered, and each writes to its own memory. Samples of a prediction, or inputs of a gradient, do not depend
on each other, so threads share them. A sum over samples is divided into parts that depend on its size alone, and the
partial sums are added in the order of the tasks.
"""

from __future__ import annotations

import _thread
import atexit
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from numkan._check import check_integer

__all__ = ["get_threads", "one_thread", "run_tasks", "set_threads"]

#: At most this many jobs per thread wait in the queue. More of them wait for a thread that died or is busy for long.
_MAX_WAITING = 16

_lock = threading.Lock()
_pool: _Pool | None = None
_threads: int | None = None
_here = threading.local()  # `is_alone` where this thread of Python works without helpers


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # the cores that this process may use, if the system says so
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_threads() -> int:
    """Return how many threads numkan uses: the number given to :func:`set_threads`, or the cores of this process.

    In a worker of an executor that :func:`fit_many` or :func:`search` was given, it is 1.

    Examples
    --------
    >>> import numkan
    >>> numkan.set_threads(2)
    >>> numkan.get_threads()
    2
    """
    global _threads
    if getattr(_here, "is_alone", False):
        return 1
    if _threads is None:
        _threads = _available_cores()
    return _threads


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the calling thread of Python work without helpers inside, since others work beside it. It may be nested."""
    before = getattr(_here, "is_alone", False)
    _here.is_alone = True
    try:
        yield
    finally:
        _here.is_alone = before


def set_threads(n: int) -> None:
    """Let numkan use `n` threads from now on. Only the time depends on `n`; results have the same bits.

    (The last bit depends on the machine code: on the processor, the version of Numba, and its settings
    ``NUMBA_DISABLE_JIT`` and ``NUMBA_BOUNDSCHECK``.)

    Parameters
    ----------
    n : int
        At least 1. BLAS always has one thread while numkan calls it, see :func:`numkan.KAN.fit`.

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


class _Job:
    """Numbered tasks that a caller and its helpers share."""

    def __init__(self, task: Callable[[int], None], n_tasks: int) -> None:
        self._task: Callable[[int], None] | None = task
        self._n_tasks = n_tasks
        self._tickets = itertools.count()  # next() on it is atomic under the interpreter lock
        self._stopped = self._closed = False
        self._lock, self._helped = threading.Lock(), threading.Lock()
        self._helped.acquire()  # released when all helpers have left a closed job
        self._helpers = 0
        self.error: BaseException | None = None

    def work(self) -> None:
        """Do tasks until none is left, or one of them raises."""
        task = self._task
        try:
            while task and not self._stopped and (index := next(self._tickets)) < self._n_tasks:
                task(index)
        except BaseException:
            self._stopped = True
            raise

    def help(self) -> None:
        """Work as a helper, and keep an error for the caller."""
        with self._lock:
            if self._closed:
                return
            self._helpers += 1
        try:
            self.work()
        except BaseException as error:
            self.error = error
        with self._lock:
            self._helpers -= 1
            if self._closed and self._helpers == 0:
                self._helped.release()

    def close(self) -> None:
        """Let no task and no helper begin any more, and wait for the helpers at work.

        Call it again if Ctrl-C interrupts it.
        """
        self._stopped = True
        with self._lock:
            self._closed = True
            is_over = self._helpers == 0
        if not is_over:
            self._helped.acquire()
        self._task = None  # frees it: a helper that starts too late may hold the job for long


class _Pool:
    """Threads that wait for jobs."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self.n_started = 0

    def offer(self, job: _Job, n_helpers: int) -> None:
        """Ask threads to help with a job; busy threads find it closed later."""
        self._start(min(n_helpers, self._size))
        for _ in range(min(n_helpers, self.n_started)):
            if self._jobs.qsize() < _MAX_WAITING * self.n_started:
                self._jobs.put(job)

    def _start(self, wanted: int) -> None:
        """Start threads until `wanted` have been started.

        `threading.Thread.start` would wait until the thread runs, for ever if memory is short and the thread dies at
        once. This does not wait, and other threads do the tasks of a thread that died.
        """
        while self.n_started < wanted:
            try:
                _thread.start_new_thread(self._serve, ())
            except (RuntimeError, MemoryError):  # the system has no more threads, or the interpreter is about to end
                return
            self.n_started += 1

    def end(self) -> None:
        """Let the threads end after the jobs they have."""
        for _ in range(self.n_started):
            self._jobs.put(None)

    def _serve(self) -> None:
        """Help with one job after the other."""
        while (job := self._jobs.get()) is not None:
            job.help()
            del job  # so that a waiting thread keeps nothing alive


def _offer(job: _Job, n_helpers: int) -> None:
    global _pool
    with _lock:
        if _pool is None:
            _pool = _Pool(get_threads() - 1 or 1)
        _pool.offer(job, n_helpers)


def _drop_pool() -> None:
    global _pool
    if _pool is not None:
        _pool.end()
        _pool = None


def _forget_pool() -> None:
    """Forget the pool in a forked child: its threads exist in the parent only."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


atexit.register(_drop_pool)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _wait(job: _Job) -> None:
    """Wait until no helper is at work; then raise the last interrupt that arrived meanwhile."""
    interrupt: BaseException | None = None
    while True:
        try:
            job.close()
            break
        except BaseException as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


def run_tasks(task: Callable[[int], None], n_tasks: int) -> None:
    """Call ``task(0), ..., task(n_tasks - 1)``, each once, in any order and on any thread.

    The caller works too. When a task raises (or Ctrl-C arrives), no new task begins, and the error is raised as soon as
    running tasks have ended.
    """
    n_helpers = min(get_threads(), n_tasks) - 1
    if n_helpers < 1:
        for index in range(n_tasks):
            task(index)
        return
    job, error = _Job(task, n_tasks), None
    try:
        try:
            _offer(job, n_helpers)
            job.work()
        finally:
            _wait(job)
        error = job.error
        if error is not None:
            raise error
    finally:
        error = job.error = None  # breaks a cycle of references through the traceback
