"""Growth of numkan's time and memory with the grid, the degree and the rows: one thread, no peers.

A sweep changes one number of a workload. The calls of its values alternate. The time of each is divided by what it
should cost (nothing for a finer grid, k + 2 for a degree, the rows for rows) and by that of the first value.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _contest import warm_up
from _goals import Goal
from _peers import Workload, numkan_public
from _report import table
from _speed_data import COLUMNS, TITLES, Record
from _timing import alternate, elsewhere

import numkan

COST: dict[str, Callable[[int], int]] = {"G": lambda G: 1, "k": lambda k: k + 2, "rows": lambda rows: rows}
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Sweep:
    """A workload, one of its numbers, the values it takes (the first is compared with), and bounds.

    Bounds are for fwd and fwd+bwd, by dtype.
    """

    title: str
    work: Workload
    over: str
    values: tuple[int, ...]
    bounds: dict[str, tuple[float, float]]

    def at(self, value: int) -> Workload:
        """Return the workload with the number changed."""
        change: dict[str, Any] = {self.over: value}
        return replace(self.work, **change)


def both(fwd: float, both: float) -> dict[str, tuple[float, float]]:
    """Return the same bounds for both dtypes."""
    return dict.fromkeys(DTYPES, (fwd, both))


#: On fine grids the coefficients of [256,256] come from memory for every block, in float64 twice the bytes.
FINE = {"float32": (1.6, 1.6), "float64": (1.9, 1.9)}

GRIDS, DEGREES, ROWS = (5, 10, 20, 50, 100), (3, 1, 2, 4, 5), (4000, 1_000_000)
SWEEPS = (
    Sweep("[4,16,16,1], 10,000 rows, grids", Workload("", (4, 16, 16, 1), 5, 10_000), "G", GRIDS, both(1.3, 1.6)),
    Sweep("[256,256], 10,000 rows, grids", Workload("", (256, 256), 5, 10_000), "G", GRIDS, FINE),
    Sweep("[256,256] G5, 1024 rows, degrees", Workload("", (256, 256), 5, 1024), "k", DEGREES, both(1.5, 1.5)),
    Sweep("[4,16,16,1] G10, rows", Workload("", (4, 16, 16, 1), 10, 4000), "rows", ROWS, both(1.2, 1.2)),
)
LARGE = Workload("", (4, 16, 16, 1), 10, 1_000_000)
CALLS = ("prediction", "loss", "loss and gradient")
MEMORY = 100.0  # MB beyond input and output


def sweep(plan: Sweep, dtype: str, seconds: float, rounds: int) -> list[Record]:
    """Time one sweep; seconds a call."""
    contenders = {v: numkan_public(plan.at(v), dtype, 1) for v in plan.values}
    records: list[Record] = [{"sweep": plan.title, "dtype": dtype, plan.over: v} for v in plan.values]
    for column in COLUMNS:
        calls: dict[int, Callable[[], Any]] = {v: getattr(c, column) for v, c in contenders.items()}
        for call in calls.values():
            warm_up(call)
        for record, spent in zip(records, alternate(calls, seconds, rounds).values(), strict=True):
            record[column] = spent
    print(f"measured: {plan.title}, {dtype}", file=sys.stderr)
    return records


def sweeps(seconds: float, rounds: int) -> list[Record]:
    """Time all sweeps in this process."""
    return [r for plan in SWEEPS for dtype in DTYPES for r in sweep(plan, dtype, seconds, rounds)]


def _resident(field: str) -> int:
    """Bytes of memory that this process has ("VmRSS") or had at its peak ("VmHWM"), as Linux says."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def peak(call: str, dtype: str) -> int:
    """Return the bytes at the peak of one call beyond what there was before, and beyond its result."""
    numkan.set_threads(1)
    model = numkan.KAN(list(LARGE.width), grid=LARGE.G, k=LARGE.k, seed=1, dtype=dtype)
    run = {"prediction": lambda x, y: model(x), "loss": model.loss, "loss and gradient": model.loss_and_grad}[call]
    x, y = np.empty((LARGE.rows, LARGE.width[0]), dtype), np.ones((LARGE.rows, LARGE.width[-1]), dtype)
    # drawn in place: the call would reuse the memory that a copy has freed, and it would not be counted
    np.random.default_rng(0).random(dtype=x.dtype, out=x)
    # compiled in a thread that ends: its scratch memory goes with it, so that of the measured call is counted
    compiling = threading.Thread(target=run, args=(x[:10], y[:10]))
    compiling.start()
    compiling.join()
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")  # forgets the peak so far; without it the figure can only be larger
    before = _resident("VmRSS")
    result = run(x, y)
    return _resident("VmHWM") - before - (result.nbytes if isinstance(result, np.ndarray) else 0)


def memory() -> list[Record]:
    """Measure the peak of each call in a process of its own; nothing where the system does not tell."""
    if not sys.platform.startswith("linux"):
        print("skipped: peak memory (read from Linux's /proc)", file=sys.stderr)
        return []
    return [
        {"call": call, "dtype": dtype, "bytes": elsewhere(1, peak, call, dtype)} for call in CALLS for dtype in DTYPES
    ]


def relative(plan: Sweep, dtype: str, column: str, records: list[Record]) -> dict[int, float]:
    """Return the time of each value but the first, by what it should cost, over that of the first."""
    found = [r for r in records if r["sweep"] == plan.title and r["dtype"] == dtype]
    per_cost = {r[plan.over]: r[column] / COST[plan.over](r[plan.over]) for r in found}
    first = per_cost.pop(plan.values[0])
    return {value: t / first for value, t in per_cost.items()}


def scaling(data: dict[str, list[Record]]) -> list[Goal]:
    """Hold the worst value of each sweep, and the most memory, against the bounds."""
    goals = []
    for plan in SWEEPS:
        for dtype in DTYPES:
            for column, bound in zip(COLUMNS, plan.bounds[dtype], strict=True):
                worst = max(relative(plan, dtype, column, data["sweeps"]).values())
                goals.append(Goal(f"{plan.title}, {dtype} {TITLES[column]}", worst, bound, most=True))
    for r in data["memory"]:
        what = f"memory of a {r['call']}, 1,000,000 rows, {r['dtype']}"
        goals.append(Goal(what, r["bytes"] / 1e6, MEMORY, most=True, unit="MB"))
    return goals


def sweep_tables(records: list[Record]) -> str:
    """Lay out a table for each sweep, with all its values."""
    parts = []
    for plan in SWEEPS:
        rows = [
            [
                f"{dtype} {TITLES[column]}",
                *(f"{ratio:.2f}" for ratio in relative(plan, dtype, column, records).values()),
            ]
            for dtype in DTYPES
            for column in COLUMNS
        ]
        first, *others = (f"{plan.over} = {value:,}" for value in plan.values)
        parts.append(f"{plan.title}; {first} is 1\n\n{table(['', *others], rows)}")
    return "\n\n".join(parts)


def summary(data: dict[str, list[Record]]) -> str:
    """Name the worst value of each sweep and the largest memory of a call; the long tables have every value."""
    worst = [
        f"{plan.title}: {max(max(relative(plan, d, c, data['sweeps']).values()) for d in DTYPES for c in COLUMNS):.2f}"
        for plan in SWEEPS
    ]
    text = f"The worst of all values, both dtypes, with and without gradient: {'; '.join(worst)}."
    if data["memory"]:
        peak = max(r["bytes"] for r in data["memory"]) / 1e6
        text += f" No call on 1,000,000 rows takes more than {peak:.2g} MB ({MEMORY:g} MB allowed)."
    return text
