"""Goals, each a number and its bound; claims, each the goals of one script; and the goals of `benchmark.py`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from _report import table
from _speed_data import COLUMNS, TITLES, Record, Times, cases, fastest_peer, own


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
        value = str(self.value) if isinstance(self.value, int) else f"{self.value:.3g}"
        return [
            self.what,
            f"{value} {self.unit}".strip(),
            f"{sign} {self.bound:g} {self.unit}".strip(),
            verdict,
        ]


def goal_table(goals: Iterable[Goal]) -> str:
    """Lay out goals in Markdown."""
    return table(["", "measured", "goal", ""], [goal.row() for goal in goals])


def count(goals: list[Goal]) -> str:
    """Say how many are met."""
    return f"{sum(goal.met for goal in goals)} of {len(goals)} met"


@dataclass(frozen=True)
class Claim:
    """What one script claims: its goals, who measured them, and whether a missed one fails the script."""

    what: str
    script: str
    goals: list[Goal]
    about: dict[str, str]
    decides: bool = True
    group: str = ""  # claims of one group share a line of the summary

    @property
    def missed(self) -> list[Goal]:
        """List the goals that are not met."""
        return [goal for goal in self.goals if not goal.met]


#: How many times pykan's speed numkan reaches on small and mid, float32, one thread each: what the README promises.
PYKAN = {"forward": 20.0, "both": 15.0}

#: How many times the fastest peer's speed numkan keeps: float32, one thread each, vectors of 512 bits; fwd, fwd+bwd.
FLOORS = {
    "small": (6.0, 6.5),  # the call costs as much as the arithmetic: a third less is allowed for a faster cold start
    "mid": (5.5, 4.0),  # each sample looks up its own piece, and the gradient scatters into it: a third less, as above
    "mnist": (2.5, 2.3),  # peers spend most of their time in BLAS here, which is hard to beat
    "wide": (2.1, 1.9),  # numkan runs near the rate of BLAS on k + 2 of G + k + 1 products: that bounds the lead
    "row": (7.5, 6.5),  # microseconds a call, which Python and the checks of arguments share
}
SPEEDUP = 1.5  # of two threads over one on mnist and wide: the rest goes to waking a thread and to shared memory


def over_pykan(times: list[Record]) -> list[Goal]:
    """Hold numkan against pykan without its symbolic branch, where pykan took part."""
    return [
        Goal(f"{name} {dtype} {TITLES[column]}, pykan plain", case["pykan plain"][column] / own(case, column), factor)
        for (name, dtype), case in cases(times, 1).items()
        if name in ("small", "mid") and dtype == "float32" and "pykan plain" in case
        for column, factor in PYKAN.items()
    ]


def ahead(times: list[Record], threads: int) -> list[Goal]:
    """Hold numkan against the fastest peer of every workload and dtype: it is ahead everywhere."""
    return [
        _against_fastest(name, dtype, case, column, 1.0)
        for (name, dtype), case in cases(times, threads).items()
        for column in COLUMNS
        if fastest_peer(case, column)
    ]


def floors(times: list[Record]) -> list[Goal]:
    """Hold numkan against the fastest peer by the floors: float32, one thread each."""
    return [
        _against_fastest(name, dtype, case, column, bound)
        for (name, dtype), case in cases(times, 1).items()
        if dtype == "float32"
        for column, bound in zip(COLUMNS, FLOORS[name], strict=True)
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
