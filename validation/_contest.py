"""numkan and its peers on the workloads of `benchmark.py`, in this process, as records for speed.json."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from _peers import CONTENDERS, Contender, Workload, check_outputs, forget_compiled
from _roofline import rates
from _speed_data import COLUMNS, Record
from _timing import LEAD, alternate

WORKLOADS = {
    w.name: w
    for w in (
        Workload("small", (2, 5, 1), 5, 1000),
        Workload("mid", (4, 16, 16, 1), 10, 2000),
        Workload("mnist", (784, 64, 10), 5, 256),
        Workload("wide", (256, 256), 5, 1024),
        Workload("row", (4, 16, 16, 1), 10, 1),
    )
}
TOO_LARGE = {
    ("pykan default", "wide"): "minutes a call: Python for each of 65,536 edges",
    ("pykan default", "mnist"): "minutes a call: Python for each of 50,816 edges",
}


def warm_up(call: Callable[[], Any]) -> None:
    """Call three times: some peers compile again at the second call."""
    for _ in range(3):
        call()


def assemble(
    names: Sequence[str], work: Workload, dtype: str, threads: int
) -> tuple[dict[str, Contender], dict[str, str]]:
    """Build and warm up the contenders; return them, and why others are left out: not installed, slow, or failed."""
    ready, absent = {}, {}
    for name in names:
        if (name, work.name) in TOO_LARGE:
            absent[name] = TOO_LARGE[name, work.name]
            continue
        if name == "numkan frozen" and work.rows > 1:
            continue  # for many rows it is numkan without the packing
        try:
            contender = CONTENDERS[name](work, dtype, threads)
            check_outputs(contender.forward(), work, dtype)
            for call in (contender.forward, contender.both):
                if call:
                    warm_up(call)
        except Exception as error:  # a peer may fail in any way; numkan may not
            if name.startswith("numkan"):
                raise
            absent[name] = f"{type(error).__name__}: {str(error)[:200]}"
            continue
        ready[name] = contender
    return ready, absent


def contest(
    workloads: Sequence[str], dtypes: Sequence[str], names: Sequence[str], threads: int, seconds: float, rounds: int
) -> dict[str, list[Record]]:
    """Time every contender on every workload; with one thread also what the machine reaches."""
    warnings.simplefilter("ignore")  # of the peers
    data: dict[str, list[Record]] = {"times": [], "rates": [], "absent": []}
    for work in map(WORKLOADS.__getitem__, workloads):
        for dtype in dtypes:
            start = time.perf_counter()
            forget_compiled()
            case = {"workload": work.name, "dtype": dtype}
            contenders, absent = assemble(names, work, dtype, threads)
            for name, why in absent.items():
                print(f"left out: {name} on {work.name} {dtype} ({why})", file=sys.stderr)
                data["absent"].append({"threads": threads, **case, "contender": name, "why": why})
            records = {c: {"threads": threads, **case, "contender": c} for c in contenders}
            for column in COLUMNS:
                calls = {c: call for c in contenders if (call := getattr(contenders[c], column))}
                lead = LEAD if threads > 1 else 0.0
                for c, median in alternate(calls, seconds, rounds, lead=lead).items():
                    records[c][column] = median
            data["times"].extend(records.values())
            if threads == 1:
                data["rates"].append({**case, **rates(dtype)})
            spent = time.perf_counter() - start
            print(f"measured: {work.name} {dtype}, {threads} thread(s), in {spent:.0f} s", file=sys.stderr)
    return data
