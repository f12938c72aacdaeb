"""Ctrl-C at the right moment: a few statements that are done all together or not at all."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["uninterrupted"]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back for the few statements inside; it is raised right after them."""
    held: list[int] = []

    def hold(number: int, frame: Any) -> None:
        held.append(number)

    # Signals arrive in the main thread only, and handlers that Python did not install cannot be put back.
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or previous is None:
        yield
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if held:
            signal.raise_signal(signal.SIGINT)
