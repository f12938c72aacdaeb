"""Calls that an executor begins before it is known whether they are needed.

A search makes one call after the other, and each call depends on the results before it. But most calls can be
predicted. Predicted calls begin early. If the search then makes exactly such a call, it takes the result; the others
are cancelled. So the results are those of a search that makes one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from numkan.train.workers import Call, Workers

__all__ = ["Ahead"]


class Ahead:
    """The calls that have begun, by their orders."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._begun: dict[Hashable, Call] = {}

    def foresee(self, orders: Iterable[Hashable], begin: Callable[[Any], Call]) -> None:
        """Begin the calls of predicted orders, in this order; cancel the calls of all other orders."""
        if self._workers.are_here:
            return
        wanted = list(orders)
        self.drop(set(self._begun).difference(wanted))
        for order in wanted:
            if order not in self._begun:
                self._begun[order] = begin(order)

    def result(self, order: Hashable, begin: Callable[[Any], Call]) -> Any:
        """Return the result of an order, whose call begins now unless it has begun before."""
        if order not in self._begun:
            self._begun[order] = begin(order)
        call = self._begun[order]
        value = call.result()
        del self._begun[order]
        return value

    def drop(self, orders: Iterable[Hashable] | None = None) -> None:
        """Cancel the calls of some orders, or all calls, the last first. A call that is running is not interrupted."""
        for order in [order for order in reversed(self._begun) if orders is None or order in orders]:
            self._begun.pop(order).cancel()
