"""Goals of scale.py, and SCALE.md, made from scale.json."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import fill
from typing import Any

from _goals import Claim, Goal, goal_table
from _report import paragraph, table
from _scale_simulation import tasks_of, waits_of

from numkan.data import BLOCK
from numkan.train.passes import _MOST_TASKS, _blocks_of_a_task

FILE = Path(__file__).with_name("scale.json")

Data = dict[str, Any]


def goals(data: Data) -> list[Goal]:
    """Return what the parts that have been measured are held against."""
    found: list[Goal] = []
    for name, of_part in _GOALS.items():
        if name in data:
            found += of_part(data[name])
    return found


def claim(data: Data) -> Claim:
    """Return the claim of the script."""
    about = min((part["about"] for part in data.values()), key=lambda one: str(one["date"]))
    return Claim("Many rows, many fits", "scale.py", goals(data), about)


def _most(what: str, value: float, bound: float, unit: str = "") -> Goal:
    return Goal(what, value, bound, most=True, unit=unit)


def _of_rows(part: Data) -> list[Goal]:
    fits = [row for name, row in part["rows"].items() if name.startswith("numkan")]
    one, two, _ = fits
    n = f"{part['n']:.0e} rows".replace("e+0", "e")
    found = [
        _most(f"{n}: RMSE to the truth over its bound", max(row["error"] / row["bound"] for row in fits), 1),
        _most(f"{n}: memory of the fit", max(row["memory"] for row in fits), 150, "MB"),
        _most(f"{n}: bits that differ, threads and files", len({row["bits"] for row in fits}) - 1, 0),
        Goal(f"{n}: two threads over one, wall", one["wall"] / two["wall"], 1.6),
    ]
    return [*found, _most(f"{n}: CPU", one["seconds"], 12, "s")] if part["n"] == 1_000_000 else found


def _of_workers(part: Data) -> list[Goal]:
    return [
        _most("1e6 rows, two workers: CPU over local", 100 * part["over local"], 15, "%"),
        _most("1e6 rows, two workers: bits that differ", int(not part["same bits"]), 0),
    ]


def _of_files(part: Data) -> list[Goal]:
    return [
        _most("1e7 rows in files: memory of a worker", part["worker memory"], 300, "MB"),
        _most("1e7 rows in files, two workers: bits that differ", int(not part["same bits"]), 0),
    ]


def _of_step(part: Data) -> list[Goal]:
    return [_most("1e7 rows in files: CPU of a step, loss and slope of all rows", part["slope"], 23, "s")]


def _of_kills(part: Data) -> list[Goal]:
    return [Goal(f"{part['times']} fits with a worker killed: same bits", part["same bits"], part["times"], unit="")]


def _of_many(part: Data) -> list[Goal]:
    what = f"{part['fits']} fits of {part['seconds each']:.1f} s in two processes over one, wall"
    return [Goal(what, part["wall"] / part["wall of two"], 1.7)]


def _of_simulation(part: Data) -> list[Goal]:
    return [_most("a pass over 1e9 rows on 100 workers: simulated over computed", part["wall"] / part["computed"], 1.5)]


_GOALS = {
    "rows": _of_rows,
    "workers": _of_workers,
    "files": _of_files,
    "step": _of_step,
    "kills": _of_kills,
    "many": _of_many,
    "simulation": _of_simulation,
}

# --- SCALE.md -----------------------------------------------------------------------------------------------------

#: Bytes a second of the network.
_BANDWIDTH = 1e9


def text(data: Data) -> str:
    """Write SCALE.md."""
    is_whole = all(name in data for name in ("rows", "workers", "step", "simulation"))
    parts = [
        "# Scale",
        _filled(
            "Made from [scale.json](scale.json), which `scale.py` writes. Where other work ran beside a measurement, "
            "its wall times are longer than on an idle machine; `load` in the file says how much there was."
        ),
        "## Measured",
        goal_table(goals(data)),
        *([_fits(data["rows"])] if "rows" in data else []),
        _filled(paragraph(claim(data).about)),
    ]
    if is_whole:
        parts += ["## What a fit costs", _costs(data), _extrapolated(data)]
        parts += ["## A simulation", _simulation(data["simulation"]), "## Where it stops paying", _stops(data)]
    return "\n\n".join(parts) + "\n"


def _filled(words: str) -> str:
    return fill(words, 120, break_on_hyphens=False, break_long_words=False)


def _fits(part: Data) -> str:
    rows = [
        [name, f"{row['seconds']:.1f}", f"{row['wall']:.1f}", f"{row['memory']:.0f}", f"{row['error']:.5f}"]
        for name, row in part["rows"].items()
    ]
    return table([f"{part['n']:,} rows", "CPU s", "wall s", "MB", "RMSE"], rows)


class _Costs:
    """What passes are made of."""

    def __init__(self, data: Data) -> None:
        step, simulation, local = data["step"], data["simulation"], data["workers"]["local"]
        self.row, self.slope = step["equations"] / step["n"], step["slope"] / step["n"]
        self.task, self.sum, self.sent = (
            simulation[k] for k in ("scheduler seconds a task", "sum bytes", "sent bytes")
        )
        self.equations, self.slopes = (local["passes"].get(k, 0) for k in ("BlockEquations", "BlockSlope"))
        passes = self.equations * self.row + self.slopes * self.slope
        self.sample = max(local["seconds"] - passes * data["workers"]["n"], 0.0)

    def pieces(self, rows: float) -> tuple[int, int]:
        """Return the number of first sums of a pass, and their rows."""
        size = _blocks_of_a_task(int(rows)) * BLOCK
        return int(-(-rows // size)), size

    def passes(self, rows: float, workers: int, row: float) -> float:
        """Return the seconds of a pass: the longer of the workers' and the scheduler's, and what travels."""
        pieces, size = self.pieces(rows)
        work = math.ceil(pieces / workers) * min(size, rows) * row
        travels = waits_of(pieces) * self.sum + workers * self.sent
        return max(work, self.scheduler(rows)) + travels / _BANDWIDTH

    def scheduler(self, rows: float) -> float:
        """Return the seconds of the scheduler for a pass."""
        return tasks_of(self.pieces(rows)[0]) * self.task

    def fit(self, rows: float, workers: int) -> float:
        """Return the seconds of a fit."""
        equations, slopes = (self.passes(rows, workers, row) for row in (self.row, self.slope))
        return self.sample + self.equations * equations + self.slopes * slopes


def _costs(data: Data) -> str:
    costs = _Costs(data)
    return _filled(
        f"[4,5,1] with {data['step']['coefficients']} coefficients: {1e6 * costs.row:.2f} CPU us a row for normal "
        f"equations, {1e6 * costs.slope:.2f} for loss and slope, and 40 bytes to read, {40e-6 / costs.row:.0f} MB a "
        f"second for "
        f"each core. The sums of a task are {1e-6 * costs.sum:.1f} MB, of which one reaches the client; a task is sent "
        f"{1e-3 * costs.sent:.0f} kB of layers and coefficients, once a worker. Dask's scheduler, client and "
        f"workers take "
        f"{1e3 * costs.task:.2f} ms of CPU a task, and there are {tasks_of(_MOST_TASKS) / _MOST_TASKS:.1f} for "
        f"each of at most {_MOST_TASKS} first sums. "
        f"Starts and ladder on the sample take {costs.sample:.0f} s in the client, whatever the rows are. In the last "
        f"stage {costs.slopes} passes give loss and slope, and {costs.equations} the normal equations. With these, a "
        "fit takes, in seconds on idle cores with a network of 1 GB a second:"
    )


def _extrapolated(data: Data) -> str:
    costs, workers = _Costs(data), (1, 10, 100, 1000)
    rows = [
        [f"{n:.0e} rows".replace("e+0", "e"), *(f"{costs.fit(n, w):,.0f}" for w in workers)]
        for n in (1e6, 1e7, 1e8, 1e9)
    ]
    return table(["workers", *map(str, workers)], rows)


def _simulation(part: Data) -> str:
    return _filled(
        f"The graph of a pass over {part['rows']:.0e} rows on {part['workers']} workers, {part['tasks']} tasks, "
        f"was run "
        f"by dask's own scheduler, with threads of one process for workers. Tasks that sum rows slept for as long as "
        f"their rows would take, {part['task seconds']:.2f} s each. The pass took {part['wall']:.1f} s; the "
        f"formula says "
        f"{part['computed']:.1f} s. It does not show a network, nor workers that fail or differ in speed."
    )


def _stops(data: Data) -> str:
    costs = _Costs(data)
    bounds = []
    for n in (1e7, 1e8, 1e9):
        most = n * costs.row / costs.scheduler(n)
        name = f"{n:.0e}".replace("e+0", "e")
        bounds.append(f"{most:.0f} workers at {name} rows")
    half = next((w for w in range(1, 100_000) if costs.fit(1e6, 1) / costs.fit(1e6, w) < 0.5 * w), 1)
    return _filled(
        f"A pass can be no faster than its scheduler: beyond {', '.join(bounds)} more workers gain nothing. First sums "
        f"of more blocks would move that bound, at the price of larger tasks to repeat where a worker is lost. At 1e6 "
        f"rows starts and ladder on the sample remain, so that {half} workers gain half of their number, and "
        f"one machine "
        "is enough. With 1,500 coefficients a sum has 18 MB: rows cost more, and the bounds lie higher. Reading is no "
        "limit before some thousand workers on a file system of 10 GB a second."
    )
