"""``numkan._blas``: BLAS has one thread inside, and the user's number of threads outside, whatever happens."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pytest
import scipy.linalg  # loads the second of the two libraries of BLAS
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

import numkan
from numkan import KAN, _blas, pde
from numkan._blas import one_blas_thread
from numkan.optimize import LevenbergMarquardt, levenberg_marquardt
from numkan.spline import curve2coef, extend_grid

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
Y = np.sin(3 * X[:, 0]) + X[:, 1]


def blas_threads() -> set[int]:
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """The user's setting, on a machine with one core too."""
    if not blas_threads():
        pytest.skip("threadpoolctl knows no library of BLAS here")
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS has no threads")
        yield
        assert blas_threads() == {2}
    assert not _blas._inside


# --- what runs inside ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lm", "lbfgs", "adam"])
def test_a_callback_of_fit_sees_one_thread(method):
    seen = []
    KAN([2, 1, 1], seed=0).fit(
        X, Y, method=method, steps=2, grids=[3], restarts=1, callback=lambda state: seen.append(blas_threads())
    )
    assert seen
    assert all(threads == {1} for threads in seen)
    assert blas_threads() == {2}


def test_windows_of_time_are_laid_out_with_one_thread():
    seen = []

    def decay(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        seen.append(blas_threads())
        start = pde.Equation([[0.0]], lambda x, u: u - 1.0)
        return [pde.Equation(pde.Interior([t0], [t1], 16), lambda x, u, du: du[:, 0] + u), start]

    pde.march(KAN([1, 1], grid=3, k=3), decay, [0.0, 0.5, 1.0], growing=True)
    assert seen == [{1}, {1}]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_an_error_in_a_fit_gives_the_threads_back(error):
    def fail(state: Any) -> None:
        raise error

    with pytest.raises(error):
        KAN([2, 1, 1], seed=0).fit(X, Y, method="lbfgs", steps=2, grids=[3], callback=fail)
    assert blas_threads() == {2}


def spy(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[set[int]]:
    """Record the threads that every call of a function of LAPACK finds."""
    seen, call = [], getattr(module, name)

    def look(*args: Any, **options: Any) -> Any:
        seen.append(blas_threads())
        return call(*args, **options)

    monkeypatch.setattr(module, name, look)
    return seen


GRID = extend_grid([[-1.0, 0.0, 1.0]], 1)

CALLS: dict[str, tuple[str, Callable[[], object]]] = {
    "make a model": ("pinv", lambda: KAN([2, 1, 1], seed=0)),
    "update grids": ("lstsq", lambda: KAN([2, 1, 1], seed=0).update_grid_from_samples(X)),
    "take over grids": (
        "lstsq",
        lambda: KAN([2, 1, 1], seed=0).initialize_grid_from_parent(KAN([2, 1, 1], grid=3, seed=0), X),
    ),
    "refine": ("lstsq", lambda: KAN([2, 1, 1], grid=2, seed=0).refine(3)),
    "fit curves": ("lstsq", lambda: curve2coef(X[:, :1], Y[:, None, None], GRID, 1)),
    "Levenberg-Marquardt": ("svd", lambda: levenberg_marquardt(lambda c: (X @ c - Y, X), [0.0, 0.0], steps=2)),
    "its steps": ("svd", lambda: LevenbergMarquardt(lambda c: (X @ c - Y, X), [0.0, 0.0]).step()),
}


@pytest.mark.parametrize("what", CALLS)
def test_lapack_has_one_thread(what, monkeypatch):
    name, call = CALLS[what]
    seen = spy(monkeypatch, scipy.linalg, name)
    call()
    assert seen
    assert all(threads == {1} for threads in seen)
    assert blas_threads() == {2}


@pytest.mark.jit
def test_a_search_sets_the_number_of_threads_at_its_beginning_and_its_end_only(monkeypatch):
    numbers: list[int] = []
    for kind in {type(library) for library in ThreadpoolController().select(user_api="blas").lib_controllers}:

        def watched(self: Any, number: int, change: Any = kind.set_num_threads) -> None:
            numbers.append(number)
            change(self, number)

        monkeypatch.setattr(kind, "set_num_threads", watched)
    numkan.search(X, Y, widths=[[2, 1]])
    assert [number for number, _ in groupby(numbers)] == [1, 2]


# --- nested, and by several threads -------------------------------------------------------------------------------


def test_nested_callers_give_the_threads_back_once_the_outer_one_leaves():
    with one_blas_thread():
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_the_last_of_several_threads_to_leave_gives_the_threads_back():
    entered, may_leave, seen = threading.Event(), threading.Event(), []

    def first() -> None:
        with one_blas_thread():
            entered.set()
            may_leave.wait(20)
        seen.append(blas_threads())

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(20)
    with one_blas_thread():
        may_leave.set()
        thread.join(20)  # who entered first has left, from a thread that is no more
        assert blas_threads() == {1}
    assert seen == [{1}]
    assert blas_threads() == {2}


def test_a_thread_may_set_limits_of_its_own_while_another_has_been_inside():
    """threadpoolctl 3.8 lets only one thread of Python set the number until that one lets go."""
    entered, may_leave = threading.Event(), threading.Event()

    def inside() -> None:
        with one_blas_thread():
            pass
        entered.set()
        may_leave.wait(20)

    thread = threading.Thread(target=inside)
    thread.start()
    assert entered.wait(20)
    with threadpool_limits(1, user_api="blas"):
        assert blas_threads() == {1}
    may_leave.set()
    thread.join(20)
    assert blas_threads() == {2}


def test_many_threads_that_come_and_go_see_one_thread_inside_and_leave_two():
    wrong = []

    def come_and_go() -> None:
        for _ in range(200):
            with one_blas_thread():
                if _blas._numbers(_blas._libraries().of_process) != [1] * len(_blas._libraries().of_process):
                    wrong.append(1)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert blas_threads() == {2}


# --- interruptions ------------------------------------------------------------------------------------------------


class Interrupts:
    """A library of BLAS; the call of the given number interrupts."""

    def __init__(self, at: int) -> None:
        self.number, self._at, self._calls = 2, at, 0

    def _call(self) -> None:
        self._calls += 1
        if self._calls == self._at:
            raise KeyboardInterrupt

    def get_num_threads(self) -> int:
        self._call()
        return self.number

    def set_num_threads(self, number: int) -> None:
        self._call()
        self.number = number
        self._call()


@pytest.mark.parametrize("of_thread", [False, True])
@pytest.mark.parametrize("at", range(1, 8))
def test_ctrl_c_at_any_moment_leaves_what_the_user_had(at, of_thread, monkeypatch):
    library = Interrupts(at)
    libraries = _blas._Libraries(*(((), (library,)) if of_thread else ((library,), ())))
    monkeypatch.setattr(_blas, "_libraries", lambda: libraries)
    interrupted = False
    try:
        with one_blas_thread():
            assert library.number == 1
    except KeyboardInterrupt:
        interrupted = True
    assert interrupted == (at <= 5)
    assert library.number == 2
    assert not _blas._inside


class Own:
    """A library whose number is each thread's own."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def get_num_threads(self) -> int:
        return self._numbers.get(threading.get_ident(), 2)

    def set_num_threads(self, number: int) -> None:
        self._numbers[threading.get_ident()] = number


def test_a_number_that_is_a_thread_s_own_is_given_back_to_each(monkeypatch):
    library = Own()
    monkeypatch.setattr(_blas, "_libraries", lambda: _blas._Libraries((), (library,)))
    entered, may_leave, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        with one_blas_thread():
            seen.append(library.get_num_threads())
            entered.set()
            may_leave.wait(20)
        seen.append(library.get_num_threads())

    with one_blas_thread():
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(20)
        assert library.get_num_threads() == 1
    assert library.get_num_threads() == 2
    may_leave.set()
    thread.join(20)
    assert seen == [1, 2]


# --- fork ---------------------------------------------------------------------------------------------------------


def in_a_child(look: Callable[[], bool]) -> bool:
    """Return what a forked child says."""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if look() else 1)
        except BaseException:
            traceback.print_exc()
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_the_user_s_threads_though_another_thread_was_inside():
    entered, may_leave = threading.Event(), threading.Event()

    def inside() -> None:
        with one_blas_thread():
            entered.set()
            may_leave.wait(20)

    def look() -> bool:
        with one_blas_thread():
            one = blas_threads() == {1}
        return one and blas_threads() == {2}

    thread = threading.Thread(target=inside)
    thread.start()
    assert entered.wait(20)
    try:
        assert in_a_child(look)
    finally:
        may_leave.set()
        thread.join(20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_inside_is_inside_until_it_leaves():
    def look() -> bool:
        return blas_threads() == {1}

    with one_blas_thread():
        assert in_a_child(look)
        child = os.fork()
    left = blas_threads() == {2}
    if not child:
        os._exit(0 if left else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert left


def test_all_libraries_that_are_found_are_those_of_blas():
    libraries = _blas._libraries()
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    assert len(libraries.of_process) + len(libraries.of_thread) == len(found) >= 1
