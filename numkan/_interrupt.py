"""Changes that are made completely or not at all, whatever signal handlers and other threads raise."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from operator import call
from typing import Any

__all__ = ["at_once", "uninterrupted"]

_SIGNALS = tuple(signal.valid_signals())

#: The handlers of the signals that are held back now, and the signals among them that have arrived.
_handlers: dict[int, Any] = {}
_arrived: list[int] = []


def at_once(changes: Iterable[Callable[[], object]]) -> None:
    """Make changes, each a call of a function written in C: all of them, or none.

    Signal handlers run between two instructions of Python code, and there are none from the first change to the last.
    """
    deque(map(call, tuple(changes)), maxlen=0)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and all other signals that Python handles; their handlers run right after the block.

    If such blocks are nested, handlers run after the inner one.
    """
    if threading.get_ident() != threading.main_thread().ident:  # handlers run in the main thread only
        yield
        return
    is_outermost = not _handlers
    try:
        if is_outermost:
            _hold_back()
        yield
    finally:
        handlers = _handlers.copy()
        if is_outermost:
            _let_through()
        with ExitStack() as calls:  # if one of them raises, the next one is called nevertheless
            while _arrived:
                number = _arrived.pop()
                calls.callback(handlers[number], number, None)


def _hold(number: int, frame: Any) -> None:
    if number not in _arrived:
        _arrived.append(number)


def _hold_back() -> None:
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if callable(handler):  # not if the signal is ignored, or handled by the system or by C code
            _handlers[number] = handler
            signal.signal(number, _hold)


def _let_through() -> None:
    try:
        for number in tuple(_handlers):
            signal.signal(number, _handlers[number])
            del _handlers[number]
    finally:
        if _handlers:  # a signal arrived after its handler had been restored, and the handler raised
            _let_through()
