"""Calls that an executor runs: each on one thread, with the same result as a call in this process.

An executor is any of ``concurrent.futures.Executor``: threads, processes, or workers on other machines. Its workers run
at once, so each has one thread of numkan and one of BLAS while it is at work. Which worker runs a call, and when, has
no influence on what the call returns; the processor and the versions there have. A worker that differs in these from
this process is named in a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, Protocol

from numkan._blas import one_blas_thread
from numkan._shown import shown
from numkan._threads import one_thread
from numkan.compile.build import Build, differences, this_build

__all__ = ["Call", "Workers", "named"]


class Call(Protocol):
    """A call that may be running."""

    def result(self) -> Any:
        """Wait for what the call returns, or raise what it raised."""

    def cancel(self) -> object:
        """Drop the call if it has not begun."""


class Workers:
    """The workers of an executor, or without one this process, which makes a call when its result is asked for."""

    def __init__(self, executor: Any) -> None:
        if executor is not None and not isinstance(executor, Executor):
            what = "None or a concurrent.futures.Executor (a dask client's is client.get_executor())"
            raise TypeError(f"Argument `executor` must be {what}, not {shown(executor)}.")
        self._executor = executor
        self._named: set[str] = set()

    @property
    def are_here(self) -> bool:
        """Whether there is no executor."""
        return self._executor is None

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Call:
        """Let a worker call a function; with processes, the function and all that it is given must pickle."""
        if self._executor is None:
            return _Here(function, arguments)
        return _There(self._executor.submit(_alone, function, arguments), self._compare)

    def _compare(self, build: Build) -> None:
        """Warn once of each machine whose results may have other bits."""
        found = differences(build, this_build())
        if found and build.host not in self._named:
            self._named.add(build.host)
            text = f"Results of workers on {build.host} may differ in the last bits: {'; '.join(found)} here."
            warnings.warn(text, RuntimeWarning, stacklevel=2)


def _alone(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Build]:
    """Call a function in a worker."""
    with one_thread(), one_blas_thread():
        return function(*arguments), this_build()


class _Here:
    """A call that this process makes when its result is asked for."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function, self._arguments = function, arguments

    def result(self) -> Any:
        with one_blas_thread():
            return self._function(*self._arguments)

    def cancel(self) -> None:
        pass


class _There:
    """A call that was handed to an executor."""

    def __init__(self, future: Future[tuple[Any, Build]], compare: Callable[[Build], None]) -> None:
        self._future, self._compare = future, compare

    def result(self) -> Any:
        value, build = self._future.result()
        self._compare(build)
        return value

    def cancel(self) -> bool:
        return self._future.cancel()


@contextmanager
def named(name: Callable[[], str]) -> Iterator[None]:
    """Add a note to an error of a call, so that its traceback says which call it was."""
    try:
        yield
    except Exception as error:
        error.add_note(name())
        raise
