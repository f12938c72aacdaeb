"""Training works on a copy; what it accepts is written into the caller's model here, whole or not at all."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numkan._check import FloatArray
from numkan.model.network import Network

__all__ = ["commit_grids", "commit_params", "scratch_copy", "uninterrupted"]


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


def scratch_copy(model: Network) -> Network:
    """Return a copy to work on. Where the policy is "raise" it gives NaN, which a line search steps back from."""
    work = model.copy()
    for layer in work.act_fun:
        if layer.extrapolate == "raise":
            layer.extrapolate = "nan"
    return work


def commit_params(model: Network, theta: FloatArray) -> None:
    """Write parameters into a model: one copy of memory, which nothing interrupts."""
    model._theta[:] = theta


def commit_grids(model: Network, work: Network) -> None:
    """Take over grids and parameters; views of the model's parameters stay live unless their shape changes."""
    if work.grid == model.grid:
        with uninterrupted():
            for layer, new in zip(model.act_fun, work.act_fun, strict=True):
                layer._replace(new.grid, new.coef)
            model._theta[:] = work._theta
        return
    fresh = work.copy()
    for layer, new in zip(model.act_fun, fresh.act_fun, strict=True):
        new.extrapolate = layer.extrapolate
    with uninterrupted():
        model._become(fresh)
