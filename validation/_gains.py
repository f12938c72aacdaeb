"""numkan's threads over one thread on large workloads, without peers.

All cases take turns, so that seconds in which the machine has no second core to give, which shared machines have, fall
on all of them a little and on none for long.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from _contest import WORKLOADS, warm_up
from _peers import numkan_public
from _speed_data import COLUMNS, Record
from _turns import LEAD, alternate

import numkan

LARGE = ("mnist", "wide")  # work enough for two threads
ROUNDS = 25  # at least: fewer turns may all fall into one phase of the machine


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
                turn = f"{name} {dtype} {column} {count}"
                calls[turn], counts[turn] = getattr(contender, column), count

    def before(turn: str) -> None:
        numkan.set_threads(counts[turn])
        calls[turn]()  # starts the threads

    times = alternate(calls, seconds * len(cases) * len(COLUMNS), max(rounds, ROUNDS), before, LEAD)
    records: list[Record] = []
    for name, dtype in cases:
        one, many = ({c: times[f"{name} {dtype} {c} {count}"] for c in COLUMNS} for count in (1, threads))
        gain = {column: one[column] / many[column] for column in COLUMNS}
        records.append({"threads": threads, "workload": name, "dtype": dtype, **gain})
    print(f"measured: {threads} threads over one", file=sys.stderr)
    return records
