"""Threads over fixed blocks: how much runs at once never changes a bit.

What is summed is cut into tasks by its size alone, the tasks are done by a pool and by the caller, and partial sums are
added in the order of the tasks. What is cut by the number of threads are rows (``layer/shared_block.py``) and inputs
(``layer/packed.py``), none of which depends on another, and between two threads the two sums that outputs of many
inputs are for any number. So one thread and many give the same numbers, and several Python threads may call at once.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
from _thread import start_new_thread
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple

from numkan._check import check_integer
from numkan._watch import COUNT, STAY_AWAY, new_count, turns_in, watch

__all__ = ["Call", "get_threads", "get_threads_at_once", "run_tasks", "run_together", "set_threads"]

#: Seconds that a helper without work, and a caller that waits for helpers, stay awake.
_AWAKE = 3e-4

#: Seconds that a helper who is awake leaves the interpreter to the caller, who is on the way into its own first task:
#: to ask for it meanwhile means to be put to sleep, and to begin four times as late.
_HEAD_START = 2e-5

#: So many offers wait for each helper at most: more of them wait for a helper that died, or is busy for long.
_MOST_WAITING = 16

_lock = threading.Lock()
_pool: _Pool | None = None
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


def get_threads_at_once() -> int:
    """Return how many of the threads run at once: those beyond the cores only keep others waiting in a kernel."""
    return min(get_threads(), _available_cores())


def set_threads(n: int) -> None:
    """Let numkan use `n` threads from now on. The numbers it returns do not depend on `n`, only the time does.

    (They do depend, in the last bit, on what changes the machine code: the processor, the version of Numba, and its
    settings ``NUMBA_DISABLE_JIT`` and ``NUMBA_BOUNDSCHECK``.)

    Parameters
    ----------
    n : int
        At least 1. BLAS has one thread in whatever numkan does, see :func:`numkan.KAN.fit`. A thread that has nothing
        to do looks out for work for 0.3 ms or twice that before it sleeps, unless there are more threads than cores;
        the arrays of a call may be held that long.

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


def _patience(n_threads: int) -> int:
    """Return how many turns of ``_watch.py`` so many threads wait for each other, awake: none if they exceed cores."""
    return turns_in(_AWAKE) if n_threads <= _available_cores() else 0


class Call(NamedTuple):
    """What a kernel that threads are in together says to the pool, by `enter` and `leave` of ``_watch.py``.

    The caller's own part offers the job: so a helper finds the interpreter free. A helper's part says itself that it is
    over, and looks out for the next offer: so the caller finds the interpreter free. Meanwhile the helper touches no
    array, but holds them. A part does nothing behind its kernel.
    """

    rung: Any  # is counted when the part begins
    left: Any  # is counted when it is over
    offers: Any  # then it waits until these have come to `goal`, for so many turns at most
    goal: int
    turns: int


#: What a part says that has nobody to help.
_ALONE = Call(new_count(), new_count(), new_count(), 0, 0)


class _Job:
    """Tasks that a caller and its helpers share; or, without a number of tasks, the part that each of them does."""

    def __init__(self, task: Callable[[Any], None], n_tasks: int | None = None) -> None:
        self._task: Callable[[Any], None] | None = task
        self._n_tasks, self.together = n_tasks or 0, n_tasks is None
        self._tickets = itertools.count()  # next() on it is atomic under the interpreter lock
        self._stopped = self._closed = False
        self._lock, self._helped = threading.Lock(), threading.Lock()
        self._helped.acquire()  # released when all helpers have left a closed job
        self._entered = self._left = 0
        self.counted_out = new_count()  # helpers that are done, and leave the interpreter alone
        self.offers = new_count()  # of the pool that has it
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

    def do_part(self, call: Call) -> bool:
        """Do a part, unless the job has been stopped; return whether it is done."""
        task = self._task
        if task is None or self._stopped:
            return False
        try:
            task(call)
        except BaseException:
            self._stopped = True
            raise
        return True

    def help(self, call: Call | None = None) -> bool:
        """Work as a helper, keeping what is raised for the caller; return whether to count in `counted_out`."""
        with self._lock:
            if self._closed:
                return False
            self._entered += 1
        is_counted = False
        try:
            if call is None:
                self.work()
            else:
                is_counted = self.do_part(call)
        except BaseException as error:
            self.error = error
        with self._lock:
            self._left += 1
            if self._closed and self._left == self._entered:
                self._helped.release()
        return not is_counted

    def close(self, turns: int) -> None:
        """Let no task and no helper begin any more, and wait for those who are at it, awake for so many turns.

        Where Ctrl-C ends it, it is to be called again.
        """
        self._stopped = True
        with self._lock:
            self._closed = True
            is_over = self._left == self._entered
        if not is_over and not watch(new_count(), self.counted_out, self._entered, turns):
            self.offers[COUNT] += 1  # a helper who looks out for the next offer is to go on
            self._helped.acquire()
        self._task = None  # a helper who comes too late may hold the job for long


class _Pool:
    """Threads that wait for jobs."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.turns = _patience(get_threads())
        self._head_start = round(self.turns * _HEAD_START / _AWAKE)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._offers, unused = new_count(), new_count()
        self.call = Call(self._offers, unused, unused, 0, 0)  # what a caller's part says
        self.n_started = 0

    def offer(self, job: _Job, helpers: int) -> None:
        """Ask so many helpers to join in; those who are busy will come too late.

        Those who are awake hear of what is done together from the caller's kernel.
        """
        job.offers = self._offers
        self._start(min(helpers, self._size))
        for _ in range(min(helpers, self.n_started)):
            if self._jobs.qsize() < _MOST_WAITING * self.n_started:
                self._jobs.put(job)
        self._offers[STAY_AWAY] = 0 if job.together else self._head_start
        if not job.together:
            self._offers[COUNT] += 1  # may be lost where a kernel counts too: who is awake then comes later

    def _start(self, wanted: int) -> None:
        """Start threads until there have been so many.

        `threading.Thread.start` would wait until the thread runs: for ever, where memory is short and the thread dies
        on its first steps. Here nobody waits, and what such a thread does not do is done by the others.
        """
        while self.n_started < wanted:
            try:
                start_new_thread(self._serve, ())
            except (RuntimeError, MemoryError):  # the system has no more, or the interpreter is about to end
                return
            self.n_started += 1

    def end(self) -> None:
        """Let the threads end when they have done what they are at."""
        for _ in range(self.n_started):
            self._jobs.put(None)
        self._offers[COUNT] += 1

    def _serve(self) -> None:
        """Help with one job after the other."""
        uncounted = counted_out = new_count()
        while True:
            offers = int(self._offers[COUNT])
            turns = self.turns if self._jobs.empty() else 0
            if watch(counted_out, self._offers, offers + 1, turns) and self._jobs.empty():
                counted_out = uncounted  # others have it, and the next one may come soon
                continue
            job = self._jobs.get()
            if job is None:
                return
            call = self._helping(job, uncounted) if job.together else None
            counted_out = job.counted_out if job.help(call) else uncounted

    def _helping(self, job: _Job, unused: Any) -> Call:
        """Return what a helper's part says."""
        goal, turns = int(self._offers[COUNT]) + 1, self.turns if self._jobs.empty() else 0
        return Call(unused, job.counted_out, self._offers, goal, turns)


def _offer(job: _Job, helpers: int) -> tuple[Call, int]:
    """Offer a job to the pool; return what the caller's part says, if it has one, and how long to wait for it awake."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = _Pool(get_threads() - 1 or 1)
        _pool.offer(job, helpers)
        return _pool.call, _pool.turns


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


def _wait(job: _Job, turns: int) -> None:
    """Wait until no thread is at work; an interrupt goes on to the caller afterwards, however often it comes."""
    interrupt: BaseException | None = None
    while True:
        try:
            job.close(turns)
            break
        except BaseException as error:
            interrupt, turns = error, 0
    if interrupt is not None:
        raise interrupt


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
    _share(_Job(task, n_tasks), helpers)


def run_together(task: Callable[[Call], None], n_threads: int) -> None:
    """Call ``task(call)`` once, and once more on each of n_threads - 1 helpers, as far as they come in time.

    `call` goes to a kernel, which does what nobody else does yet, between `enter` and `leave`. What is raised goes on
    to the caller.
    """
    if n_threads < 2:
        task(_ALONE)
        return
    _share(_Job(task), n_threads - 1)


def _share(job: _Job, helpers: int) -> None:
    """Work at a job with so many helpers, until all are done."""
    turns = 0
    error: BaseException | None = None
    try:
        try:
            call, turns = _offer(job, helpers)
            if job.together:
                job.do_part(call)
            else:
                job.work()
        finally:
            _wait(job, turns)
        error = job.error
        if error is not None:
            raise error
    finally:
        error = job.error = None  # they hold each other, by way of the traceback
