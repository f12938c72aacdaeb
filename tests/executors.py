"""Executors to hold against each other, and functions that other processes can import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import pytest

THERE = {"dask": find_spec("distributed") is not None, "loky": find_spec("loky") is not None}

#: Each imports numkan in new processes, which takes seconds.
OTHER_PROCESSES = [
    "processes",
    pytest.param("loky", marks=pytest.mark.skipif(not THERE["loky"], reason="loky is not installed")),
    pytest.param(
        "dask",
        marks=[
            pytest.mark.skipif(not THERE["dask"], reason="dask.distributed is not installed"),
            pytest.mark.filterwarnings("default"),  # of its own and of tornado's
        ],
    ),
]


class Backwards(Executor):
    """One that makes its calls when the first result is asked for, the last call first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.n_calls = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = _Asked(self._run)
        self._waiting.append((future, partial(fn, *args, **kwargs)))
        return future

    def _run(self) -> None:
        while self._waiting:
            future, call = self._waiting.pop()
            if future.set_running_or_notify_cancel():
                self.n_calls += 1
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)


class _Asked(Future[Any]):
    def __init__(self, run: Callable[[], None]) -> None:
        super().__init__()
        self._run = run

    def result(self, timeout: float | None = None) -> Any:
        self._run()
        return super().result(timeout)


@contextmanager
def opened(name: str) -> Iterator[Executor]:
    """An executor with two workers."""
    if name == "backwards":
        yield Backwards()
    elif name == "threads":
        with ThreadPoolExecutor(2) as threads:
            yield threads
    elif name == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            yield processes
    elif name == "loky":
        from loky import ProcessPoolExecutor as Loky

        with Loky(2) as executor:
            yield executor
    else:
        from dask.distributed import Client, LocalCluster

        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            yield client.get_executor()
