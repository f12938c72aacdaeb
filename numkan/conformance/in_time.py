"""Time limits: an action runs in a thread, which is abandoned where a call of the adapter does not return."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable

from numkan.conformance.guard import Guard
from numkan.conformance.scope import AdapterError

__all__ = ["in_time"]

#: Factor on the time limit of a call for the time between calls: the kit's own arithmetic, on a busy machine.
BETWEEN = 10


def in_time(action: Callable[[], None], guard: Guard, timeout: float, when: str) -> None:
    """Run an action in a thread of its own, and raise an error if a call of the adapter does not return.

    A delay between calls is not the adapter's fault, unless a model that it has made hangs. Such a call cannot be
    stopped; its thread ends at its next call of the adapter. Warnings are silenced here and not in the thread, because
    their filters belong to the whole process: an abandoned thread would set them back at any time.
    """
    raised: list[BaseException] = []

    def work() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)

    guard.since = time.monotonic()
    thread = threading.Thread(target=work, daemon=True)
    guard.alive()  # before it starts: it may let no other thread run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thread.start()
        _wait(thread, guard, timeout, when)
    if raised:
        raise raised[0]


def _wait(thread: threading.Thread, guard: Guard, timeout: float, when: str) -> None:
    """Wait until a thread ends, or abandon it and raise an error."""
    while thread.is_alive():
        guard.alive()
        thread.join(min(0.05, timeout))
        calling, waited = guard.calling, time.monotonic() - guard.since
        if thread.is_alive() and waited > (timeout if calling else BETWEEN * timeout):
            guard.abandoned = True
            if calling:
                raise AdapterError(f"The adapter hangs: `{calling}` did not return within {timeout:g} s {when}.")
            raise AdapterError(f"Between two calls of the adapter {BETWEEN * timeout:g} s went by {when}.")
