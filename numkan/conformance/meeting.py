"""Two overlapping calls: one is stopped before a line of Python until the other has run.

Threads that merely run at the same time hardly ever hit a race whose window is one statement wide. Here the first call
is stopped before a chosen line, in any module; the second runs from beginning to end; then the first continues. If the
first one holds a lock there, the second waits for it, and the first continues after a moment.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["count_lines", "meet"]

#: How long a stopped call waits for the other one, which may need a lock that it holds.
PATIENCE = 0.2


def _traced(call: Callable[[], Any], at_line: Callable[[], None]) -> Any:
    """Run a call, and do something before each of its lines."""

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            at_line()
        return local

    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: local)
    try:
        return call()
    finally:
        sys.settrace(before)


def count_lines(call: Callable[[], Any]) -> int:
    """Return how many lines of Python a call runs through.

    >>> count_lines(lambda: sum(range(9)))
    1
    """
    lines = 0

    def count() -> None:
        nonlocal lines
        lines += 1

    _traced(call, count)
    return lines


def meet(first: Callable[[], Any], second: Callable[[], Any], line: int) -> tuple[Any, Any]:
    """Return the results of two calls, the first of which is stopped before its line while the second runs."""
    there, done = threading.Event(), threading.Event()
    found: dict[str, Any] = {}
    errors: list[BaseException] = []
    passed = 0

    def stop() -> None:
        nonlocal passed
        if passed == line:
            there.set()
            done.wait(PATIENCE)
        passed += 1

    def run(name: str, call: Callable[[], Any], after: threading.Event) -> None:
        try:
            found[name] = call()
        except BaseException as error:
            errors.append(error)
        finally:
            after.set()

    stopping = threading.Thread(target=run, args=("first", lambda: _traced(first, stop), there), daemon=True)
    stopping.start()
    there.wait()
    run("second", second, done)
    stopping.join()
    if errors:
        raise errors[0]
    return found["first"], found["second"]
