"""numkan._threads: every task once, errors and Ctrl-C passed on, forks; and models used from many threads."""

from __future__ import annotations

import _thread
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KAN, get_threads, set_threads
from numkan._threads import run_tasks


@pytest.fixture(autouse=True)
def _count() -> Iterator[None]:
    before = get_threads()
    yield
    set_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("n_tasks", [0, 1, 2, 3, 50])
def test_every_task_is_done_once(n_tasks: int, count: int) -> None:
    set_threads(count)
    done: list[int] = []
    run_tasks(done.append, n_tasks)
    assert sorted(done) == list(range(n_tasks))


def test_tasks_run_on_several_threads_at_once() -> None:
    set_threads(3)
    barrier = threading.Barrier(3)
    threads = set()

    def task(index: int) -> None:
        barrier.wait(timeout=30)  # passes only if three tasks are under way
        threads.add(threading.get_ident())

    run_tasks(task, 3)
    assert len(threads) == 3


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, StopIteration])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_error_in_a_task_reaches_the_caller_and_nothing_new_begins(count: int, error: type[BaseException]) -> None:
    set_threads(count)
    begun, under_way = [], set()

    def task(index: int) -> None:
        under_way.add(index)
        begun.append(index)
        if index == 2:
            under_way.remove(index)
            raise error("from task 2")
        time.sleep(0.001)
        under_way.remove(index)

    with pytest.raises(error, match="from task 2"):
        run_tasks(task, 400)
    assert not under_way, "what was under way is waited for"
    assert len(begun) < 400
    done: list[int] = []
    run_tasks(done.append, 20)
    assert sorted(done) == list(range(20)), "the pool still works"


def test_an_error_on_a_helper_thread_reaches_the_caller() -> None:
    set_threads(2)
    caller, helper_ran = threading.get_ident(), threading.Event()

    def task(index: int) -> None:
        if threading.get_ident() == caller:
            assert helper_ran.wait(timeout=30)
        else:
            helper_ran.set()
            raise ArithmeticError("on a helper")

    with pytest.raises(ArithmeticError, match="on a helper"):
        run_tasks(task, 2)


def test_tasks_may_run_tasks() -> None:
    set_threads(2)
    done: list[tuple[int, int]] = []
    run_tasks(lambda outer: run_tasks(lambda inner: done.append((outer, inner)), 3), 4)
    assert sorted(done) == [(outer, inner) for outer in range(4) for inner in range(3)]


def test_a_helper_keeps_nothing_of_what_it_did() -> None:
    set_threads(2)
    barrier = threading.Barrier(2)

    class Held:
        def task(self, index: int) -> None:
            barrier.wait(timeout=30)  # one task each

    held = Held()
    seen = weakref.ref(held)
    run_tasks(held.task, 2)
    del held
    assert seen() is None


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals for threads")
@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("of_caller", [True, False])
def test_ctrl_c_while_helpers_are_waited_for_waits_all_the_same(of_caller: bool, times: int) -> None:
    set_threads(2)
    caller, begun, done = threading.get_ident(), threading.Event(), []

    def task(index: int) -> None:
        if threading.get_ident() == caller:
            assert begun.wait(timeout=30)
        else:
            begun.set()
            for _ in range(times):
                time.sleep(0.05)  # the caller sleeps, and is woken only by a signal of its own
                signal.pthread_kill(caller if of_caller else threading.get_ident(), signal.SIGINT)
            time.sleep(0.1)
        done.append(index)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's jobs in the background ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_tasks(task, 2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(done) == [0, 1]


def test_without_threads_to_be_had_the_caller_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise RuntimeError("can't start new thread")

    set_threads(2)
    with monkeypatch.context() as patched:
        patched.setattr(_thread, "start_new_thread", refuse)
        done: list[int] = []
        run_tasks(done.append, 9)
        assert done == list(range(9))
    barrier = threading.Barrier(2)
    run_tasks(lambda index: barrier.wait(timeout=30), 2)  # passes only if both tasks are under way


def test_threads_that_die_at_once_leave_all_to_the_caller_and_nothing_piles_up(monkeypatch: pytest.MonkeyPatch) -> None:
    set_threads(3)
    monkeypatch.setattr(_thread, "start_new_thread", lambda *arguments: 0)
    done: list[int] = []
    for _ in range(200):
        run_tasks(done.append, 3)
    assert sorted(done) == sorted([0, 1, 2] * 200)
    assert sum(type(thing).__module__ == run_tasks.__module__ for thing in gc.get_objects()) < 50


def test_a_job_that_a_helper_comes_too_late_for_holds_nothing() -> None:
    set_threads(2)
    held, done = threading.Event(), threading.Event()

    def task(index: int) -> None:
        held.set()
        done.wait(timeout=30)

    other = threading.Thread(target=run_tasks, args=(task, 2))
    other.start()
    assert held.wait(timeout=30)

    class Held:
        def task(self, index: int) -> None:
            pass

    short = Held()
    seen = weakref.ref(short)
    run_tasks(short.task, 2)
    del short
    assert seen() is None
    done.set()
    other.join()


def test_an_error_holds_nothing_when_it_has_been_dealt_with() -> None:
    set_threads(2)
    barrier = threading.Barrier(2)

    class Held:
        def task(self, index: int) -> None:
            barrier.wait(timeout=30)
            raise ArithmeticError(index)  # in the caller and in the helper

    held = Held()
    seen = weakref.ref(held)
    gc.disable()
    try:
        with contextlib.suppress(ArithmeticError):
            run_tasks(held.task, 2)
        del held
        assert seen() is None
    finally:
        gc.enable()


def test_threads_of_an_earlier_count_end() -> None:
    set_threads(1)
    barrier = threading.Barrier(4)
    set_threads(4)
    run_tasks(lambda index: barrier.wait(timeout=30), 4)
    others = _thread._count() - 3  # threads of this process that are no helpers
    set_threads(1)
    deadline = time.monotonic() + 30
    while _thread._count() > others:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_many_callers_share_the_helpers() -> None:
    set_threads(3)
    sums = [0] * 8

    def call(caller: int) -> None:
        for _ in range(100):
            parts: list[int] = []
            run_tasks(parts.append, 6)
            sums[caller] += sum(parts)

    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(8)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert sums == [100 * 15] * 8


def test_the_count_may_change_while_tasks_run() -> None:
    set_threads(2)
    done: list[int] = []

    def task(index: int) -> None:
        set_threads(1 + index % 3)
        done.append(index)

    run_tasks(task, 30)
    assert sorted(done) == list(range(30))


@pytest.mark.parametrize(
    ("system", "cores"),
    [
        ("os.sched_getaffinity = lambda process: {2, 3, 5}", 3),
        ("del os.sched_getaffinity; os.cpu_count = lambda: 7", 7),
        ("del os.sched_getaffinity; os.cpu_count = lambda: None", 1),
    ],
)
def test_the_count_begins_with_the_cores_of_this_process(system: str, cores: int) -> None:
    code = f"import os; os.sched_getaffinity = None; {system}; import numkan; print(numkan.get_threads())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == f"{cores}\n"


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "2", None])
def test_a_count_must_be_a_positive_integer(bad: Any) -> None:
    before = get_threads()
    with pytest.raises((TypeError, ValueError), match=r"^Argument `n` must be (an integer|at least 1), not .*\.$"):
        set_threads(bad)
    assert get_threads() == before


# --- models -------------------------------------------------------------------------------------------------------


#: Networks and samples that threads share: parts of many samples; inputs of a wide layer; and one block.
SHARED = [([2, 3, 1], 40_005), ([150, 72], 2051), ([150, 72, 2], 401)]


def model_and_samples(width: list[int], n: int) -> tuple[KAN, Any, Any]:
    rng = np.random.default_rng(0)
    model = KAN(width, grid=4, k=3, seed=3)
    return model, rng.uniform(-1.2, 1.2, (n, width[0])), rng.normal(size=(n, width[-1]))


def outputs_and_gradient(model: KAN, x: Any, y: Any) -> bytes:
    return model(x).tobytes() + model.loss_and_grad(x, y)[1].tobytes()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads that are begun while a test runs."""
    begun: list[int] = []
    begin = _thread.start_new_thread
    monkeypatch.setattr(_thread, "start_new_thread", lambda *arguments: begun.append(begin(*arguments)))
    return begun


@pytest.mark.jit
@pytest.mark.parametrize("call", ["prediction", "gradient"])
@pytest.mark.parametrize(("width", "n"), SHARED)
def test_threads_share_what_the_tests_below_say_they_share(
    width: list[int], n: int, call: str, begun: list[int]
) -> None:
    model, x, y = model_and_samples(width, n)
    set_threads(2)
    model(x) if call == "prediction" else model.loss_and_grad(x, y)
    assert len(begun) == 1


@pytest.mark.jit
@pytest.mark.parametrize(("width", "n"), SHARED)
def test_N_THR_ten_threads_share_a_model_a_frozen_one_and_a_pool(width: list[int], n: int) -> None:
    model, x, y = model_and_samples(width, n)
    frozen = model.frozen()
    set_threads(1)
    want = outputs_and_gradient(model, x, y) + frozen(x[:9]).tobytes()
    set_threads(2)
    barrier, found = threading.Barrier(10), []

    def work() -> None:
        barrier.wait()
        found.append(outputs_and_gradient(model, x, y) + frozen(x[:9]).tobytes())

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [want] * 10


@pytest.mark.jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize(("width", "n"), SHARED)
def test_a_forked_child_computes_the_same_bits(width: list[int], n: int, begun: list[int]) -> None:
    model, x, y = model_and_samples(width, n)
    set_threads(2)
    want = outputs_and_gradient(model, x, y)
    assert len(begun) == 1  # a helper, which the child lacks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            same = outputs_and_gradient(model, x, y) == want and len(begun) == 2
            numkan.set_threads(3)
            code = 0 if same and model.loss(x, y) > 0 else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 60
    done, status = os.waitpid(child, os.WNOHANG)
    while done == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
        done, status = os.waitpid(child, os.WNOHANG)
    if done == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0
    assert outputs_and_gradient(model, x, y) == want, "the parent goes on"
