"""A line on stderr where compiling takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from numkan.compile.cache import kept_in

__all__ = ["notice"]


class _Notice:
    """One line on stderr, once a process, where it has compiled for some seconds in all and may seem to hang.

    Whoever compiles holds Numba's compiler lock, so this needs none.
    """

    patience = 3.0  # seconds

    def __init__(self) -> None:
        self._seconds, self._depth, self._began = 0.0, 0, 0.0
        self.is_due = True

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Count the time that is spent inside; kernels compile those that they call, within their own time."""
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1
        try:
            self._look()
            yield
            self._look()
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._seconds += time.perf_counter() - self._began

    def _look(self) -> None:
        if self.is_due and self._seconds + time.perf_counter() - self._began >= self.patience:
            self.is_due = False
            if sys.stderr is not None:  # as under pythonw
                with suppress(OSError, ValueError):  # a pipe that is broken, a file that is closed
                    print(f"numkan compiles kernels for this machine ({kept_in()}).", file=sys.stderr, flush=True)


notice = _Notice()
