"""numkan's threads over one thread on large workloads, without peers.

The cases alternate, so that a second in which a shared machine has only one core free affects all of them a little.
Threads of plain arithmetic, which share nothing, not even memory, are timed beside them: what the machine itself gains.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from _contest import WORKLOADS, warm_up
from _peers import numkan_public
from _speed_data import COLUMNS, Record
from _timing import LEAD, alternate
from numba import njit

import numkan

LARGE = ("mnist", "wide")  # work enough for two threads
ROUNDS = 25  # at least: fewer bursts may all fall into one phase of the machine
MACHINE = "machine"
_LOOPS = 10_000_000  # of the arithmetic below: it takes far longer than starting a thread


@njit(nogil=True)
def _arithmetic(loops: int, factor: float) -> float:  # pragma: no cover
    """Multiply and add in registers, in eight chains that do not wait for each other."""
    a = b = c = d = e = f = g = h = factor
    for _ in range(loops):
        a, b, c, d = a * factor + 1.0, b * factor + 2.0, c * factor + 3.0, d * factor + 4.0
        e, f, g, h = e * factor + 5.0, f * factor + 6.0, g * factor + 7.0, h * factor + 8.0
    return a + b + c + d + e + f + g + h


def _each(threads: int) -> None:
    """Do the same arithmetic on each of some threads."""
    others = [threading.Thread(target=_arithmetic, args=(_LOOPS, 0.5)) for _ in range(threads - 1)]
    for other in others:
        other.start()
    _arithmetic(_LOOPS, 0.5)
    for other in others:
        other.join()


def gains(workloads: Sequence[str], dtypes: Sequence[str], threads: int, seconds: float, rounds: int) -> list[Record]:
    """Return how many times faster numkan is with its threads than with one; `seconds` for each figure."""
    cases = [(name, dtype) for name in workloads if name in LARGE for dtype in dtypes]
    contenders = {case: numkan_public(WORKLOADS[case[0]], case[1], threads) for case in cases}
    calls: dict[str, Callable[[], Any]] = {}
    counts = {}
    for (name, dtype), contender in contenders.items():
        for column in COLUMNS:
            warm_up(getattr(contender, column))
            for count in (1, threads):
                call = f"{name} {dtype} {column} {count}"
                calls[call], counts[call] = getattr(contender, column), count
    for count in (1, threads):
        call = f"{MACHINE} {count}"
        calls[call], counts[call] = functools.partial(_each, count), count

    def before(call: str) -> None:
        numkan.set_threads(counts[call])
        calls[call]()  # starts the threads

    times = alternate(calls, seconds * len(cases) * len(COLUMNS), max(rounds, ROUNDS), before, LEAD)
    machine = threads * times[f"{MACHINE} 1"] / times[f"{MACHINE} {threads}"]
    records: list[Record] = []
    for name, dtype in cases:
        one, many = ({c: times[f"{name} {dtype} {c} {count}"] for c in COLUMNS} for count in (1, threads))
        gain = {column: one[column] / many[column] for column in COLUMNS}
        records.append({"threads": threads, "workload": name, "dtype": dtype, **gain, MACHINE: machine})
    print(f"measured: {threads} threads over one; of arithmetic alone {machine:.2f}", file=sys.stderr)
    return records
