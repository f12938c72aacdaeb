"""``numkan.fit_many``: the same models from any executor and from none, in the order of the tasks."""

from __future__ import annotations

import warnings
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from numkan import KAN, fit_many, get_threads, set_threads
from numkan._threads import one_thread
from numkan.compile.build import this_build
from tests.executors import OTHER_PROCESSES, Backwards, opened

X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
Y = np.sin(3 * X[:, 0]) + X[:, 1] ** 2


def fitted(x: Any, y: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    model = KAN([2, 1, 1], grid=2, k=2, seed=options["random_state"])
    return model, model.fit(x, y, grids=[2, 3], steps=2, **options)


MAKE = partial(fitted, X, Y)
TASKS = [{"method": method, "random_state": seed} for seed in (0, 1) for method in ("lbfgs", "lm")]


def bits(fits: Any) -> list[Any]:
    return [(model.params.tobytes(), result.loss, result.steps) for model, result in fits]


def echo(task: Any) -> tuple[Any, Any]:
    return task, get_threads()


# --- the same from every executor -----------------------------------------------------------------------------------


@pytest.mark.jit
@pytest.mark.parametrize("name", ["backwards", "threads"])
def test_models_have_the_same_bits_from_any_executor_in_this_process_and_from_none(name):
    with opened(name) as executor:
        found = bits(fit_many(MAKE, TASKS, executor))
    assert found == bits(fit_many(MAKE, TASKS)) == bits(MAKE(task) for task in TASKS)
    assert len(set(found)) == len(TASKS)


@pytest.mark.jit
@pytest.mark.parametrize("name", OTHER_PROCESSES)
def test_models_have_the_same_bits_from_workers_in_other_processes(name):
    with opened(name) as executor:
        found = bits(fit_many(MAKE, TASKS, executor))
    assert found == bits(fit_many(MAKE, TASKS))


def test_results_are_in_the_order_of_the_tasks_whichever_ended_first():
    executor = Backwards()
    ended = []
    assert [task for task, _ in fit_many(lambda task: (task, ended.append(task)), iter("abc"), executor)] == list("abc")
    assert ended == ["c", "b", "a"]
    assert fit_many(echo, []) == fit_many(echo, [], executor) == []


# --- one thread for each worker -------------------------------------------------------------------------------------


def test_a_worker_has_one_thread_of_numkan_and_of_blas_and_the_caller_keeps_his():
    before = get_threads()
    set_threads(3)

    def counts(_: Any) -> tuple[Any, Any]:
        return get_threads(), {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

    try:
        with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(2) as executor:
            outside = counts(0)[1]
            assert {threads for threads, _ in fit_many(counts, range(4), executor)} == {1}
            assert all(blas <= {1} for _, blas in fit_many(counts, range(4), executor))
            assert fit_many(counts, [0]) == [(3, {1} if outside else set())]
            assert executor.submit(counts, 0).result() == (3, outside)
        assert get_threads() == 3
    finally:
        set_threads(before)


def test_one_thread_may_be_nested_and_ends_with_an_error():
    before = get_threads()

    def fails() -> None:
        with one_thread():
            with one_thread():
                assert get_threads() == 1
            assert get_threads() == 1
            raise ValueError("inside")

    set_threads(2)
    try:
        with pytest.raises(ValueError, match="inside"):
            fails()
        assert get_threads() == 2
    finally:
        set_threads(before)


# --- errors and Ctrl-C ----------------------------------------------------------------------------------------------


def fails_from_two_on(task: int) -> tuple[int, int]:
    if task >= 2:
        raise ArithmeticError(f"no fit of {task}")
    return task, task


@pytest.mark.parametrize("name", ["none", "backwards", "threads"])
def test_an_error_is_that_of_the_first_task_that_failed_and_names_it(name):
    with opened("threads" if name == "none" else name) as executor, pytest.raises(ArithmeticError) as caught:
        fit_many(fails_from_two_on, range(6), None if name == "none" else executor)
    assert str(caught.value) == "no fit of 2"
    assert caught.value.__notes__ == ["This was task 2 of fit_many: 2."]


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_after_an_error_in_a_task_no_further_one_begins(error):
    def make(task: int) -> Any:
        if task == 1:
            raise error
        return task, task

    class Idle(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            futures.append(Future())
            if len(futures) <= 2:
                futures[-1].set_running_or_notify_cancel()
                try:
                    futures[-1].set_result(fn(*args, **kwargs))
                except BaseException as raised:
                    futures[-1].set_exception(raised)
            return futures[-1]

    futures: list[Future[Any]] = []
    with pytest.raises(error):
        fit_many(make, range(5), Idle())
    assert [future.cancelled() for future in futures] == [False, False, True, True, True]


def test_ctrl_c_while_it_waits_cancels_what_has_not_begun():
    class Interrupted(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            raise KeyboardInterrupt

    class Waiting(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            futures.append(Interrupted())
            return futures[-1]

    futures: list[Future[Any]] = []
    with pytest.raises(KeyboardInterrupt):
        fit_many(echo, range(5), Waiting())
    assert [future.cancelled() for future in futures] == [True] * 5


@pytest.mark.parametrize("made", [None, KAN, (1, 2, 3), [1, 2]])
@pytest.mark.parametrize("name", ["none", "backwards"])
def test_make_must_return_a_pair(made, name):
    with pytest.raises(
        TypeError, match=r"^Argument `make` must return a model and the result of its fit, not "
    ) as caught:
        fit_many(lambda task: made, [{"seed": 4}], None if name == "none" else Backwards())
    assert caught.value.__notes__ == ["This was task 0 of fit_many: {'seed': 4}."]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((3, [1]), r"Argument `make` must be callable, not 3\."),
        ((echo, 3), r"Argument `tasks` must be iterable, and no text, not 3\."),
        ((echo, "12"), r"Argument `tasks` must be iterable, and no text, not '12'\."),
        ((echo, np.array(1.0)), r"Argument `tasks` must be iterable, and no text, not .*"),
        ((echo, [1], 2), r"Argument `executor` must be None or a concurrent\.futures\.Executor .*, not 2\."),
        (
            (echo, [1], ThreadPoolExecutor),
            r"Argument `executor` must be None or .*, not <class .*ThreadPoolExecutor'>\.",
        ),
    ],
)
def test_an_argument_that_is_not_as_said_is_one_sentence(arguments, text):
    with pytest.raises(TypeError, match=f"^{text}$"):
        fit_many(*arguments)


# --- workers that differ --------------------------------------------------------------------------------------------


def test_workers_that_differ_are_named_once(monkeypatch):
    build, name = this_build(), "NUMKAN_VECTOR_WIDTH"
    ours = dict(build.parts)[name]
    theirs = "128" if ours == "256" else "256"
    monkeypatch.setenv(name, theirs)  # for the workers: this process has looked already
    with opened("processes") as executor, pytest.warns(RuntimeWarning) as caught:
        assert len(fit_many(echo, range(3), executor)) == 3
    (warning,) = caught
    difference = f"{name} {theirs}, not {ours or 'unset'} here"
    assert str(warning.message) == f"Results of workers on {build.host} may differ in the last bits: {difference}."


def test_workers_that_do_not_differ_are_not_named():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_many(echo, range(3), Backwards())
    names = dict(this_build().parts)
    assert names["processor"]
    assert names["numkan"]
