"""Calls that an executor begins before it is known whether they are needed.

A search asks for one call after the other, and what it asks for next depends on the results so far. It can foresee
much of it, though. What it foresees begins ahead, and is taken where it turns out to be exactly what is asked for; all
else is dropped. So results are those of a search that makes one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from numkan.train.workers import Call, Workers

__all__ = ["Ahead"]


class Ahead:
    """The calls that have begun, by what they were asked to do."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._begun: dict[Hashable, Call] = {}

    def foresee(self, orders: Iterable[Hashable], begin: Callable[[Any], Call]) -> None:
        """Begin what will be asked for, the first first; drop what has not begun and is no longer foreseen."""
        if self._workers.are_here:
            return
        wanted = list(orders)
        self.drop(set(self._begun).difference(wanted))
        for order in wanted:
            if order not in self._begun:
                self._begun[order] = begin(order)

    def result(self, order: Hashable, begin: Callable[[Any], Call]) -> Any:
        """Return the result of a call that may have begun."""
        if order not in self._begun:
            self._begun[order] = begin(order)
        call = self._begun[order]
        value = call.result()
        del self._begun[order]
        return value

    def drop(self, orders: Iterable[Hashable] | None = None) -> None:
        """Cancel calls, or all of them, the last first; those that run end by themselves."""
        for order in [order for order in reversed(self._begun) if orders is None or order in orders]:
            self._begun.pop(order).cancel()
