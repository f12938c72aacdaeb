"""Claim: a million noisy rows are fitted to the accuracy that their noise allows, in bounded memory, to the same bits.

y = exp(sin(pi x0) + x1^2) + x2 x3 + 0.1 N by [4,5,1]. Each measurement is a process of its own, whose kernels are
compiled before. CPU seconds are those of all threads, on data in memory unless said; memory is the peak of resident
memory less that before the fit. RMSE is that to the function without noise, on 20,000 new points; its bound is 0.0015,
or 1.2 sigma sqrt(freedom / n) where that is more. Gradient boosting (scikit-learn) stands beside it. The other parts
are fits on workers of dask (`_scale_workers.py`) and a simulation of many of them (`_scale_simulation.py`), from which
SCALE.md is made. Exit code 1 where a bound is broken.

    python validation/scale.py                       # all parts
    python validation/scale.py --part rows           # a million rows
    python validation/scale.py --part rows --rows 250000   # fewer, for which there are no bounds of CPU time
    python validation/scale.py --part kills --write  # into scale.json and SCALE.md
    python validation/scale.py --report --write      # SCALE.md from scale.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _results
import _scale_report
import numpy as np
from _goals import goal_table
from _report import facts
from _speed_data import load

import numkan
from numkan import KAN
from numkan.data import Rows

FILE, SCALE = Path(__file__).with_name("scale.json"), Path(__file__).with_name("SCALE.md")
SIGMA, BEST, FACTOR = 0.1, 0.0015, 1.2

#: What is measured: the form of the data, threads, and into how many files they are divided.
FITS = {
    "numkan, 1 thread": ("arrays", 1, 0),
    "numkan, 2 threads": ("arrays", 2, 0),
    "numkan, 3 files, 2 threads": ("files", 2, 3),
}


#: What is measured with workers, by `_scale_workers`.
WITH_WORKERS = {
    "workers": "cluster_fit(1_000_000, 2)",
    "files": "cluster_fit(10_000_000, 2, steps=2, **_scale_workers.SHORT)",
    "step": "step(10_000_000)",
    "kills": "kills(20)",
    "many": "many_fits()",
}
PARTS = ("rows", *WITH_WORKERS, "simulation")


def truth(x: Any) -> Any:
    """Return the function without noise."""
    return np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2) + x[:, 2] * x[:, 3]


def samples(n: int) -> tuple[Any, Any]:
    """Return n samples with noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (n, 4))
    return x, truth(x) + SIGMA * rng.standard_normal(n)


def error(predict: Any) -> float:
    """Return the RMSE to the truth on new points."""
    x = np.random.default_rng(1).uniform(-1, 1, (20_000, 4))
    return float(np.sqrt(np.mean((np.reshape(predict(x), -1) - truth(x)) ** 2)))


def resident() -> float:
    """Return the resident memory of this process in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def peak() -> float:
    """Return its peak in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit(n: int, form: str, threads: int, parts: int) -> dict[str, Any]:
    """Fit once, and measure."""
    numkan.set_threads(threads)
    x, y = samples(n)
    KAN([4, 5, 1], seed=0).fit(x[:500], y[:500], restarts=1, steps=2)  # loads the kernels
    model = KAN([4, 5, 1], seed=0)
    with tempfile.TemporaryDirectory() as folder:
        data: tuple[Any, ...] = (x, y)
        if form == "files":
            paths: list[list[str]] = [[], []]
            for whole, names, letter in zip((x, y), paths, "xy", strict=True):
                for number, part in enumerate(np.array_split(whole, parts)):
                    names.append(f"{folder}/{letter}{number}.npy")
                    np.save(names[-1], part)
            del x, y, whole, part
            data = (Rows(*paths),)
        before, began, wall = resident(), time.process_time(), time.perf_counter()
        result = model.fit(*data)
        seconds, wall = time.process_time() - began, time.perf_counter() - wall
    return {
        "seconds": seconds,
        "wall": wall,
        "memory": peak() - before,
        "error": error(model),
        "bound": max(BEST, FACTOR * SIGMA * math.sqrt(result.freedom / n)),
        "steps": result.steps,
        "bits": hashlib.sha256(model.params.tobytes()).hexdigest()[:16],
    }


def boost(n: int, trees: int) -> dict[str, Any]:
    """Fit by gradient boosting, and measure."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, y = samples(n)
    model = HistGradientBoostingRegressor(max_iter=trees, early_stopping=False)
    before, began, wall = resident(), time.process_time(), time.perf_counter()
    model.fit(x, y)
    seconds, wall = time.process_time() - began, time.perf_counter() - wall
    return {"seconds": seconds, "wall": wall, "memory": peak() - before, "error": error(model.predict)}


def measured(call: str, module: str = "scale") -> dict[str, Any]:
    """Return what a call measures in a new process."""
    program = f"import json, {module}; print(json.dumps({module}.{call}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows_part(n: int) -> dict[str, Any]:
    """Measure fits of rows in this machine's memory and files, and boosting beside them."""
    rows = dict[str, dict[str, Any]]()
    calls = {name: f"fit({n}, {form!r}, {threads}, {parts})" for name, (form, threads, parts) in FITS.items()}
    calls |= {f"boosting, {trees} trees": f"boost({n}, {trees})" for trees in (100, 1000)}
    print(f"{n} rows{'':22} {'CPU s':>7} {'wall s':>7} {'MB':>6} {'RMSE':>8} {'bound':>8}  bits")
    for name, call in calls.items():
        row = rows[name] = measured(call)
        print(
            f"{name:30} {row['seconds']:7.1f} {row['wall']:7.1f} {row['memory']:6.0f} {row['error']:8.5f} "
            f"{row.get('bound', math.nan):8.5f}  {row.get('bits', '')}",
            flush=True,
        )
    return {"n": n, "rows": rows}


def part_of(name: str, n: int, data: dict[str, Any]) -> dict[str, Any]:
    """Measure a part."""
    if name == "rows":
        return rows_part(n)
    if name == "simulation":
        step = data["step"]
        found = measured(f"simulated({step['equations'] / step['n']})", "_scale_simulation")
    else:
        found = measured(WITH_WORKERS[name], "_scale_workers")
    print(f"{name}: {json.dumps(found)}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="all of them by default")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    data = load(FILE) if FILE.exists() else {}
    for name in [] if options.report else options.part or PARTS:
        load_before = os.getloadavg()[0]
        part = part_of(name, options.rows, data)
        about = facts(("numkan", "numpy", "scipy", "numba", "scikit-learn", "dask", "distributed"))
        data[name] = {"about": about, "load": load_before, **part}
        if options.write:
            FILE.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if options.write and data:
        SCALE.write_text(_scale_report.text(data), encoding="utf-8")
        _results.write()
    goals = _scale_report.goals(data)
    print(goal_table(goals))
    return not all(goal.met for goal in goals)


if __name__ == "__main__":
    sys.exit(main())
