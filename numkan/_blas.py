"""One thread of BLAS while numkan calls it: matrices are small here, and more threads cost more than they save.

On a busy machine a call of a few microseconds waits for threads that have no core: a fit took fifty times as long
beside two other processes. The last bits of a sum in BLAS also depend on the number of its threads.

Most libraries have one setting for the process. The first thread of Python that enters saves and limits it, the last
one that leaves restores it. OpenMP and MKL have one for each thread of Python, which saves and restores its own. Other
callers of BLAS in the process have one thread meanwhile too. Accelerate (macOS) has no such setting and is left alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

__all__ = ["blas_builds", "one_blas_thread"]


class _Libraries(NamedTuple):
    """The BLAS libraries of the process, by the scope of their setting."""

    of_process: tuple[Any, ...]
    of_thread: tuple[Any, ...]


_lock = threading.Lock()
_before: list[int] = []  # the settings of the process, as the first one to enter found them
_inside: dict[int, list[int]] = {}  # Python threads that have entered, and their own settings


@cache
def _libraries() -> _Libraries:
    """Find NumPy's and SciPy's libraries: both are loaded once `scipy.linalg` is."""
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    own = [lib.internal_api == "mkl" or getattr(lib, "threading_layer", "") == "openmp" for lib in found]
    return _Libraries(
        tuple(lib for lib, its in zip(found, own, strict=True) if not its),
        tuple(lib for lib, its in zip(found, own, strict=True) if its),
    )


def blas_builds() -> list[str]:
    """Return name, version and architecture of each library of BLAS: what decides the last bits of its sums."""
    found = [lib for libraries in _libraries() for lib in libraries]
    return sorted(f"{lib.internal_api} {lib.version} {getattr(lib, 'architecture', '')}".strip() for lib in found)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside, and restore the number after. It may be nested, and entered by any thread.

    An exception or Ctrl-C at any point leaves a consistent state: leaving twice is the same as leaving once.
    """
    me = threading.get_ident()
    if me in _inside:
        yield
        return
    try:
        _enter(me)
        yield
    finally:
        try:
            _leave(me)
        except BaseException:
            _leave(me)
            raise


def _enter(me: int) -> None:
    with _lock:
        libraries = _libraries()
        if not _inside:
            _before[:] = _numbers(libraries.of_process)
        _inside[me] = _numbers(libraries.of_thread)
        _set(libraries.of_process, [1] * len(libraries.of_process))
        _set(libraries.of_thread, [1] * len(libraries.of_thread))


def _leave(me: int) -> None:
    with _lock:
        if me not in _inside:
            return
        libraries = _libraries()
        _set(libraries.of_thread, _inside[me])
        if len(_inside) == 1:
            _set(libraries.of_process, _before)
        del _inside[me]


def _numbers(libraries: tuple[Any, ...]) -> list[int]:
    return [lib.get_num_threads() for lib in libraries]


def _set(libraries: tuple[Any, ...], numbers: list[int]) -> None:
    for lib, number in zip(libraries, numbers, strict=True):
        # From threadpoolctl 3.8 on only the first thread of Python that sets a number may set others, until it lets go.
        let_go = getattr(lib, "clear_controlling_thread", None)
        if let_go:
            let_go(force=True)
        lib.set_num_threads(number)
        if let_go:
            let_go(force=True)


def _after_fork() -> None:
    """Forget the threads that exist in the parent only: the child begins with the user's setting, or inside."""
    global _lock
    _lock = threading.Lock()
    me = threading.get_ident()
    if not _inside:
        return
    here = _inside.get(me)
    _inside.clear()
    if here is not None:
        _inside[me] = here
    else:
        _set(_libraries().of_process, _before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
