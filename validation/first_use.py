"""Claim: what a user waits for and gets on the first day stays within the bounds of the table.

Every start is a process of its own: "cold" with an empty folder of compiled kernels, "warm" with a full one. Imports
are compared with those of numpy, scipy.linalg and numba alone, alternating, medians. What ``examples/quickstart.py``
compiles is its time cold less its time warm. The fit is of its function, exp(sin(pi x) + y^2), by [2,5,1] on 1000
samples with grids 3, 5, 10, 20, for five seeds. Exit code 1 where a bound is broken.

    python validation/first_use.py [--write]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from _report import header, table, write_section

from numkan import KAN

BASE = "import numpy, scipy.linalg, numba"
FORWARD = "import numpy as np; from numkan import KAN; KAN([2, 5, 1], seed=0)(np.zeros((1, 2)))"
FIT = (
    "import numpy as np; from numkan import KAN; x = np.random.default_rng(0).uniform(-1, 1, (1000, 2)); "
    "KAN([2, 5, 1], grid=3, seed=0).fit(x, np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2), grids=[3, 5, 10, 20])"
)
EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart.py"


def seconds(cache: str, *arguments: str) -> float:
    """Run Python with some arguments in a new process, from its start to its end."""
    start, environment = time.perf_counter(), {**os.environ, "NUMBA_CACHE_DIR": cache}
    subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def compilation() -> float:
    """Return the seconds in which what the quickstart needs is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (seconds(folder, str(EXAMPLE), f"{folder}/figure.png") for _ in range(2))
    return cold - warm


def medians(codes: list[str], cache: str, rounds: int = 7) -> list[float]:
    """Let each have its turn, round by round."""
    times = [[seconds(cache, "-c", code) for code in codes] for _ in range(rounds)]
    return [statistics.median(turns) for turns in zip(*times, strict=True)]


def grid_update() -> tuple[float, float]:
    """Return seconds and MB of a grid update of [64, 64, 1], G = 20, on 10,000 samples."""
    model = KAN([64, 64, 1], grid=20, seed=0)
    x = np.random.default_rng(0).normal(size=(10_000, 64))
    model.copy().update_grid_from_samples(x)  # compiled
    start = time.perf_counter()
    model.copy().update_grid_from_samples(x)
    spent = time.perf_counter() - start
    tracemalloc.start()
    model.update_grid_from_samples(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return spent, peak / 1e6


def fit(seed: int) -> tuple[float, float]:
    """Return RMSE on new points, and seconds, of a fit of the quickstart's function."""
    rng = np.random.default_rng(seed)
    train, test, new = rng.uniform(-1, 1, (3, 1000, 2))

    def f(x: np.ndarray) -> np.ndarray:
        return np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)

    model = KAN([2, 5, 1], grid=3, k=3, seed=seed)
    result = model.fit(train, f(train), method="lbfgs", grids=[3, 5, 10, 20], validation=(test, f(test)))
    return float(np.sqrt(model.loss(new, f(new)))), result.seconds


def measure() -> list[tuple[str, float, float, str]]:
    """Return what is measured: name, value, bound, unit."""
    with tempfile.TemporaryDirectory() as cold:
        first = seconds(cold, "-c", FIT)
        seconds(cold, "-c", FORWARD)
        base, own, forward = medians([BASE, f"{BASE}; import numkan", FORWARD], cold)
    spent, megabytes = grid_update()
    fit(0)  # compiled
    fits = [fit(seed) for seed in range(5)]
    return [
        ("import, beyond numpy, scipy.linalg and numba", own - base, 0.3, "s"),
        ("cold: start, import and first fit", first, 60, "s"),
        ("cold: what examples/quickstart.py compiles", compilation(), 30, "s"),
        ("warm: start, import and first prediction", forward, 1.5, "s"),
        ("grid update of [64,64,1], G = 20, 10,000 samples", spent, 2, "s"),
        ("its memory beyond the samples", megabytes, 300, "MB"),
        ("fit by [2,5,1]: RMSE on new points, median of 5 seeds", statistics.median(e for e, _ in fits), 2e-4, ""),
        ("fit by [2,5,1]: the longest", max(s for _, s in fits), 30, "s"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    options = parser.parse_args()
    found = measure()
    rows = [
        [name, f"{value:.3g} {unit}", f"{bound:g} {unit}", "ok" if value <= bound else "BROKEN"]
        for name, value, bound, unit in found
    ]
    text = table(["", "measured", "bound", ""], rows)
    head = header(["numkan", "numpy", "numba", "scipy"])
    print(f"{head}\n\n{text}")
    if options.write:
        write_section("first_use", f"## The first day\n\n`first_use.py`. {head}\n\n{text}")
    return 0 if all(value <= bound for _, value, bound, _ in found) else 1


if __name__ == "__main__":
    sys.exit(main())
