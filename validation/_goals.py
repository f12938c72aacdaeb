"""What the times of `benchmark.py` are held against. A goal is a number and its bound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from _report import table
from _speed_data import COLUMNS, TITLES, Record, Times, cases, fastest_peer


@dataclass(frozen=True)
class Goal:
    """A measured value, and the bound that it should reach, or with ``most`` stay under."""

    what: str
    value: float
    bound: float
    most: bool = False
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Say whether the value is on the right side of its bound."""
        return self.value <= self.bound if self.most else self.value >= self.bound

    def row(self) -> list[str]:
        """Cells of a table: what, measured, bound, met or missed."""
        sign = "at most" if self.most else "at least"
        verdict = "met" if self.met else "missed"
        return [self.what, f"{self.value:.3g} {self.unit}", f"{sign} {self.bound:g} {self.unit}", verdict]


def goal_table(goals: Iterable[Goal]) -> str:
    """Lay out goals in Markdown."""
    return table(["", "measured", "goal", ""], [goal.row() for goal in goals])


def count(goals: list[Goal]) -> str:
    """Say how many are met."""
    return f"{sum(goal.met for goal in goals)} of {len(goals)} met"


# name of the peer, column -> how many times faster numkan must be; small and mid, float32, one thread each
FLOOR = {
    ("pykan plain", "forward"): 20.0,
    ("pykan plain", "both"): 15.0,
    **{(f"inkan{form}", column): 1.0 for form in ("", " dense", " compiled", " dense compiled") for column in COLUMNS},
}

# workload -> dtype -> how many times faster than the fastest peer numkan wants to be: fwd, fwd+bwd; one thread each
TARGETS = {
    "small": {"float32": (3.5, 6.5), "float64": (3.8, 9.0)},
    "mid": {"float32": (3.0, 5.0), "float64": (4.5, 7.5)},
    "mnist": {"float32": (1.9, 1.7), "float64": (1.5, 1.7)},
    "wide": {"float32": (1.7, 1.5), "float64": (1.4, 1.3)},
    "row": {"float32": (8.0, 15.0), "float64": (8.0, 15.0)},
}
SPEEDUP = 1.7  # of two threads over one, on the large workloads


def floor(times: list[Record]) -> list[Goal]:
    """Hold numkan against the peers of the floor that were there."""
    goals = []
    for (name, dtype), case in cases(times, 1).items():
        if name not in ("small", "mid") or dtype != "float32":
            continue
        for (peer, column), factor in FLOOR.items():
            if peer in case:
                ratio = case[peer][column] / case["numkan"][column]
                goals.append(Goal(f"{name} {dtype} {TITLES[column]}, {peer}", ratio, factor))
    return goals


def targets(times: list[Record]) -> list[Goal]:
    """Hold numkan against the fastest peer, one thread each."""
    wanted = {
        (name, dtype, column): bound
        for name, by_dtype in TARGETS.items()
        for dtype, bounds in by_dtype.items()
        for column, bound in zip(COLUMNS, bounds, strict=True)
    }
    return [
        _against_fastest(name, dtype, case, column, wanted[name, dtype, column])
        for (name, dtype), case in cases(times, 1).items()
        for column in COLUMNS
        if fastest_peer(case, column)
    ]


def ahead(times: list[Record]) -> list[Goal]:
    """Hold numkan against the fastest peer, two threads each: it is to be ahead everywhere."""
    return [
        _against_fastest(name, dtype, case, column, 1.0)
        for (name, dtype), case in cases(times, 2).items()
        for column in COLUMNS
        if fastest_peer(case, column)
    ]


def _against_fastest(name: str, dtype: str, case: Times, column: str, bound: float) -> Goal:
    found = fastest_peer(case, column)
    assert found is not None
    peer, ratio = found
    return Goal(f"{name} {dtype} {TITLES[column]}, {peer}", ratio, bound)


def speedups(records: list[Record]) -> list[Goal]:
    """Hold two threads of numkan against one."""
    return [
        Goal(f"{r['workload']} {r['dtype']} {TITLES[column]}", r[column], SPEEDUP)
        for r in records
        if r["threads"] == 2
        for column in COLUMNS
    ]
