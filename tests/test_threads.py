"""numkan._threads: every task once, errors and Ctrl-C passed on, forks; and models used from many threads."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KAN, _threads, get_threads, set_threads
from numkan._threads import Call, run_tasks, run_together
from numkan._watch import count, enter, leave, new_count, turns_in, wait, watch
from numkan.compile import kernel


@pytest.fixture(autouse=True)
def _count() -> Iterator[None]:
    before = get_threads()
    yield
    set_threads(before)


@pytest.mark.parametrize("serial", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("n_tasks", [0, 1, 2, 3, 50])
def test_every_task_is_done_once(n_tasks: int, count: int, serial: bool) -> None:
    set_threads(count)
    done: list[int] = []
    run_tasks(done.append, n_tasks, serial=serial)
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


def test_serial_tasks_stay_on_the_calling_thread() -> None:
    set_threads(3)
    threads = set()
    run_tasks(lambda index: threads.add(threading.get_ident()), 9, serial=True)
    assert threads == {threading.get_ident()}


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
@pytest.mark.parametrize("of_caller", [True, False])
@pytest.mark.parametrize("awake", [0, 0.05])
def test_ctrl_c_while_helpers_are_waited_for_waits_all_the_same(
    of_caller: bool, awake: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_threads(2)
    run_tasks(lambda index: None, 2)
    monkeypatch.setattr(_threads._pool, "turns", turns_in(awake))
    caller, begun, done = threading.get_ident(), threading.Event(), []

    def task(index: int) -> None:
        if threading.get_ident() == caller:
            assert begun.wait(timeout=30)
        else:
            begun.set()
            time.sleep(0.02 if awake else 0.2)
            # the caller watches, or sleeps and is woken only by a signal of its own
            signal.pthread_kill(caller if of_caller else threading.get_ident(), signal.SIGINT)
            time.sleep(0.2)
        done.append(index)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's jobs in the background ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_tasks(task, 2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(done) == [0, 1]


def test_ctrl_c_that_comes_again_and_again_leaves_no_helper_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    close, began, at_work, calls = _threads._Job.close, threading.Event(), threading.Event(), []

    def interrupted(job: Any, turns: int) -> None:
        calls.append(turns)
        if len(calls) < 4:
            raise KeyboardInterrupt
        close(job, turns)

    def task(index: int) -> None:
        if threading.current_thread() is threading.main_thread():
            began.wait(10)
            return
        began.set()
        time.sleep(0.1)
        at_work.set()

    monkeypatch.setattr(_threads._Job, "close", interrupted)
    set_threads(2)
    with pytest.raises(KeyboardInterrupt):
        run_tasks(task, 2)
    assert at_work.is_set()
    assert len(calls) == 4


def test_without_threads_to_be_had_the_caller_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise RuntimeError("can't start new thread")

    set_threads(2)
    with monkeypatch.context() as patched:
        patched.setattr(_threads, "start_new_thread", refuse)
        done: list[int] = []
        run_tasks(done.append, 9)
        assert done == list(range(9))
        assert _threads._pool._jobs.empty()
    barrier = threading.Barrier(2)
    run_tasks(lambda index: barrier.wait(timeout=30), 2)  # passes only if both tasks are under way


def test_threads_that_die_at_once_leave_all_to_the_caller_and_nothing_piles_up(monkeypatch: pytest.MonkeyPatch) -> None:
    set_threads(3)
    monkeypatch.setattr(_threads, "start_new_thread", lambda *arguments: 0)
    done: list[int] = []
    for _ in range(200):
        run_tasks(done.append, 3)
    assert sorted(done) == sorted([0, 1, 2] * 200)
    assert 0 < _threads._pool._jobs.qsize() < 50


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
    set_threads(4)
    run_tasks(lambda index: time.sleep(0.001), 50)
    held = weakref.ref(_threads._pool)  # by each of its threads
    set_threads(1)
    deadline = time.monotonic() + 30
    while held() is not None:
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


@pytest.mark.parametrize("turns", [0, 1000])
def test_a_watcher_counts_itself_and_sees_what_comes(turns: int) -> None:
    counted, number = new_count(), new_count()
    number[:] = 4, 3
    assert watch(counted, number, 4, turns)
    assert not watch(counted, number, 5, turns)
    number[0] = 6
    assert watch(counted, number, 5, turns)
    assert counted[0] == 3


@pytest.mark.jit
def test_a_watcher_is_awake_and_leaves_the_interpreter_to_others() -> None:
    counted, number, told = new_count(), new_count(), []
    thread = threading.Thread(target=lambda: told.append(watch(counted, number, 1, turns_in(60))))
    thread.start()
    while counted[0] == 0:
        time.sleep(0)
    number[0] = 1
    thread.join(timeout=30)
    assert told == [True]


def test_a_waiter_is_told_whether_what_it_waits_for_came() -> None:
    numbers = np.array([7, 2])
    assert wait(numbers, 1, 2, 0)
    assert not wait(numbers, 1, 3, 100)
    assert count_on(numbers, 1) == 2
    assert wait(numbers, 1, 3, 0)
    assert numbers.tolist() == [7, 3]


@kernel
def count_on(numbers, at):  # type: ignore[no-untyped-def]
    return count(numbers, at)


@kernel
def _count_many(numbers, taken):  # type: ignore[no-untyped-def]
    """Mark each number that is taken, until there are no more."""
    number = count(numbers, 0)
    while number < len(taken):
        taken[number] += 1
        number = count(numbers, 0)


@pytest.mark.jit
def test_threads_that_count_take_each_number_once() -> None:
    numbers, taken = np.zeros(1, np.int64), np.zeros(1_000_000, np.int64)
    _count_many(numbers, taken[:0])
    numbers[0] = 0
    threads = [threading.Thread(target=_count_many, args=(numbers, taken)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (taken == 1).all()
    assert numbers[0] == len(taken) + 4


# --- together -----------------------------------------------------------------------------------------------------


@kernel
def _meet(met, at, n_threads, turns, call):  # type: ignore[no-untyped-def]
    """Count this thread, wait for the others, and count it again if they came."""
    enter(call)
    count(met, at)
    if wait(met, at, n_threads, turns):
        count(met, at + 1)
    leave(call)


@pytest.mark.jit
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_are_in_a_kernel_together_each_of_them_once(n_threads: int) -> None:
    set_threads(3)
    met, turns = np.zeros(200, np.int64), turns_in(30)
    for at in range(0, 200, 2):  # helpers who look out for the next one, and some who sleep
        run_together(lambda call, at=at: _meet(met, at, n_threads, turns, call), n_threads)  # type: ignore[misc]
        assert met[at : at + 2].tolist() == [n_threads, n_threads], "it has returned when all parts are over"
        time.sleep(0.001 * (at % 7 == 0))


@kernel
def _count_together(numbers, call):  # type: ignore[no-untyped-def]
    enter(call)
    count(numbers, 0)
    leave(call)


@pytest.mark.parametrize("caller_is", ["awake", "asleep", "awake, then asleep"])
def test_a_caller_waits_for_a_part_that_takes_long_and_for_nothing_else(
    caller_is: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_threads(2)
    caller, begun, numbers = threading.get_ident(), threading.Event(), np.zeros(1, np.int64)
    run_tasks(lambda index: None, 2)
    monkeypatch.setattr(_threads._pool, "turns", 0 if caller_is == "asleep" else turns_in(30))

    def part(call: Call) -> None:
        if threading.get_ident() == caller:
            if caller_is == "awake, then asleep":
                monkeypatch.setattr(_threads, "watch", lambda *_: False)
            enter(call)
            assert begun.wait(timeout=30)
        else:
            begun.set()
            time.sleep(0.05)
            _count_together(numbers, call)

    start = time.perf_counter()
    run_together(part, 2)
    assert numbers[0] == 1
    assert time.perf_counter() - start < 20, "a helper who looks out for the next offer keeps nobody waiting"


def test_what_is_done_together_and_tasks_take_turns() -> None:
    set_threads(2)
    numbers, done = np.zeros(1, np.int64), []
    for index in range(50):
        before = int(numbers[0])
        run_together(lambda call: _count_together(numbers, call), 2)
        assert numbers[0] > before
        run_tasks(lambda task, index=index: done.append((index, task)), 3)  # type: ignore[misc]
    assert sorted(done) == [(index, task) for index in range(50) for task in range(3)]


@pytest.mark.parametrize("of_caller", [True, False])
def test_an_error_in_a_part_goes_on_to_the_caller_and_helpers_go_on(of_caller: bool) -> None:
    set_threads(2)
    caller, barrier = threading.get_ident(), threading.Barrier(2)
    numbers = np.zeros(1, np.int64)

    def part(call: Call) -> None:
        enter(call)  # what the caller has not offered, a helper finds when it does not watch any more
        barrier.wait(timeout=30)
        if (threading.get_ident() == caller) is of_caller:
            raise ArithmeticError("a part")
        _count_together(numbers, call)

    for _ in range(3):
        with pytest.raises(ArithmeticError, match="a part"):
            run_together(part, 2)
    assert numbers[0] == 3
    other = threading.Barrier(2)
    run_tasks(lambda index: other.wait(timeout=30), 2)  # passes only if both tasks are under way


@kernel
def _leave(call):  # type: ignore[no-untyped-def]
    leave(call)


@pytest.mark.jit
def test_a_part_that_is_over_counts_itself_and_looks_out_for_the_next_offer() -> None:
    rung, left, offers = new_count(), new_count(), new_count()
    _leave(Call(rung, left, offers, 1, 0))
    assert (rung[0], left[0], offers[0]) == (0, 1, 0)
    thread = threading.Thread(target=_leave, args=(Call(rung, left, offers, 1, turns_in(60)),))
    thread.start()
    while left[0] < 2:
        time.sleep(0)
    time.sleep(0.01)
    assert thread.is_alive()
    offers[0] = 1
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_without_threads_to_be_had_the_caller_does_its_part_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise RuntimeError("can't start new thread")

    set_threads(2)
    monkeypatch.setattr(_threads, "start_new_thread", refuse)
    numbers = np.zeros(1, np.int64)
    run_together(lambda call: _count_together(numbers, call), 2)
    assert numbers[0] == 1


def test_the_count_may_change_while_tasks_run() -> None:
    set_threads(2)
    done: list[int] = []

    def task(index: int) -> None:
        set_threads(1 + index % 3)
        done.append(index)

    run_tasks(task, 30)
    assert sorted(done) == list(range(30))


def test_the_count_begins_with_the_cores_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "_threads", None)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert get_threads() == cores
    monkeypatch.setattr(_threads, "_threads", None)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert get_threads() == (os.cpu_count() or 1)


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "2", None])
def test_a_count_must_be_a_positive_integer(bad: Any) -> None:
    before = get_threads()
    with pytest.raises((TypeError, ValueError), match=r"^Argument `n` must be (an integer|at least 1), not .*\.$"):
        set_threads(bad)
    assert get_threads() == before


# --- models -------------------------------------------------------------------------------------------------------


#: Networks and samples that threads share: parts of many samples; inputs of a wide layer; and one block.
SHARED = [([2, 3, 1], 40_005), ([150, 72], 2051), ([150, 72], 401)]


def model_and_samples(width: list[int], n: int) -> tuple[KAN, Any, Any]:
    rng = np.random.default_rng(0)
    model = KAN(width, grid=4, k=3, seed=3)
    return model, rng.uniform(-1.2, 1.2, (n, width[0])), rng.normal(size=(n, width[-1]))


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads share work on any machine: on one core they do not."""
    monkeypatch.setattr(_threads, "_available_cores", lambda: 2)


def outputs_and_gradient(model: KAN, x: Any, y: Any) -> bytes:
    return model(x).tobytes() + model.loss_and_grad(x, y)[1].tobytes()


def count_of_helpers() -> int:
    return 0 if _threads._pool is None else _threads._pool.n_started


@pytest.mark.jit
@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("call", ["prediction", "gradient"])
@pytest.mark.parametrize(("width", "n"), SHARED)
def test_threads_share_what_the_tests_below_say_they_share(width: list[int], n: int, call: str) -> None:
    model, x, y = model_and_samples(width, n)
    set_threads(2)
    assert count_of_helpers() == 0
    model(x) if call == "prediction" else model.loss_and_grad(x, y)
    assert count_of_helpers() == 1


@pytest.mark.jit
@pytest.mark.usefixtures("two_cores")
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
@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(("width", "n"), SHARED)
def test_a_forked_child_computes_the_same_bits(width: list[int], n: int) -> None:
    model, x, y = model_and_samples(width, n)
    set_threads(2)
    want = outputs_and_gradient(model, x, y)
    assert count_of_helpers() == 1  # which the child lacks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            same = count_of_helpers() == 0 and outputs_and_gradient(model, x, y) == want and count_of_helpers() == 1
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
