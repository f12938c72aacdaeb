"""Claim: what a user waits for and gets on the first day stays within the bounds of the table.

Every start is a process of its own: "cold" with an empty folder of compiled kernels, "warm" with a full one. Imports
are compared with those of numpy, scipy.linalg and numba alone, alternating, medians. What ``examples/quickstart.py``
compiles is its time cold less its time warm. "First" calls are the CPU seconds of all threads after the imports, each
in a process of its own with an empty folder of compiled kernels: nearly all of it is compilation. The fit is of the
quickstart's function, exp(sin(pi x) + y^2), by [2,5,1] on 1000 samples with grids 3, 5, 10, 20, for five seeds. Exit
code 1 where a bound is broken.

    python validation/first_use.py              # in full
    python validation/first_use.py --quick      # the first calls alone, a minute
    python validation/first_use.py --write      # in full, into checks.json and RESULTS.md
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
from _checks import goal, keep
from _goals import goal_table
from _report import facts, paragraph
from _speed_data import Record

from numkan import KAN

BASE = "import numpy, scipy.linalg, numba"
FORWARD = "import numpy as np; from numkan import KAN; KAN([2, 5, 1], seed=0)(np.zeros((1, 2)))"
FIT = (
    "import numpy as np; from numkan import KAN; x = np.random.default_rng(0).uniform(-1, 1, (1000, 2)); "
    "KAN([2, 5, 1], grid=3, seed=0).fit(x, np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2), grids=[3, 5, 10, 20])"
)

#: Run in front of each first call.
IMPORTS = """
import time
import numpy as np
from numkan import KAN
x = np.random.default_rng(0).uniform(-1, 1, (500, 2))
y, labels = np.sin(3 * x[:, :1]), (x[:, 0] > 0).astype(int)
images, digits = np.random.default_rng(0).uniform(-1, 1, (256, 784)), np.eye(10)[np.arange(256) % 10]
start = time.process_time()
"""

#: What a user calls first -> code, and CPU seconds at most.
FIRST = {
    "first prediction of [2,5,1]": ("KAN([2, 5, 1])(x)", 2.0),
    "first default fit of [2,5,1]": ("KAN([2, 5, 1]).fit(x, y)", 3.0),
    "first classification by [2,5,3]": ("KAN([2, 5, 3]).fit(x, labels, loss='cross_entropy', steps=20)", 12.0),
    "first Adam fit of [2,5,1]": ("KAN([2, 5, 1]).fit(x, y, method='adam', steps=20, grids=None)", 12.0),
    "first loss_and_grad of [784,64,10]": ("KAN([784, 64, 10]).loss_and_grad(images, digits)", 12.0),
}
EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart.py"


def seconds(cache: str, *arguments: str) -> float:
    """Run Python with some arguments in a new process, from its start to its end."""
    start, environment = time.perf_counter(), {**os.environ, "NUMBA_CACHE_DIR": cache}
    subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def first_call(code: str) -> float:
    """Return the CPU seconds of a call after the imports, in a new process with an empty folder of kernels."""
    with tempfile.TemporaryDirectory() as empty:
        program = f"{IMPORTS}{code}\nprint(time.process_time() - start)"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "NUMBA_CACHE_DIR": empty},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return float(done.stdout.split()[-1])


def compilation() -> float:
    """Return the seconds in which what the quickstart needs is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (seconds(folder, str(EXAMPLE), f"{folder}/figure.png") for _ in range(2))
    return cold - warm


def medians(codes: list[str], cache: str, rounds: int = 7) -> list[float]:
    """Time each program once a round; return the median of each."""
    times = [[seconds(cache, "-c", code) for code in codes] for _ in range(rounds)]
    return [statistics.median(spent) for spent in zip(*times, strict=True)]


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


def first_calls() -> list[Record]:
    """Measure the first calls of a user."""
    return [record(f"cold: {what}, CPU", first_call(code), bound, "s") for what, (code, bound) in FIRST.items()]


def others() -> list[Record]:
    """Measure all the rest."""
    with tempfile.TemporaryDirectory() as cold:
        first = seconds(cold, "-c", FIT)
        seconds(cold, "-c", FORWARD)
        base, own, forward = medians([BASE, f"{BASE}; from numkan import KAN", FORWARD], cold)
    spent, megabytes = grid_update()
    fit(0)  # compiled
    fits = [fit(seed) for seed in range(5)]
    return [
        record("import, beyond numpy, scipy.linalg and numba", own - base, 0.3, "s"),
        record("cold: start, import and first fit", first, 60, "s"),
        record("cold: what examples/quickstart.py compiles", compilation(), 30, "s"),
        record("warm: start, import and first prediction", forward, 1.5, "s"),
        record("grid update of [64,64,1], G = 20, 10,000 samples", spent, 2, "s"),
        record("its memory beyond the samples", megabytes, 300, "MB"),
        record(
            "fit by [2,5,1]: RMSE on new points, median of 5 seeds", statistics.median(e for e, _ in fits), 2e-4, ""
        ),
        record("fit by [2,5,1]: the longest", max(s for _, s in fits), 30, "s"),
    ]


def record(what: str, value: float, bound: float, unit: str) -> Record:
    """Make a row of checks.json."""
    return {"what": what, "value": value, "bound": bound, "unit": unit}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the first calls alone")
    parser.add_argument("--write", action="store_true", help="write what was measured into checks.json and RESULTS.md")
    options = parser.parse_args()
    if options.write and options.quick:
        parser.error("--write is for a run that is not --quick")
    rows = [*first_calls(), *([] if options.quick else others())]
    about, goals = facts(["numkan", "numpy", "numba", "scipy"]), [goal(row) for row in rows]
    print(f"{paragraph(about)}\n\n{goal_table(goals)}")
    if options.write:
        claim = "what a user waits for and gets on the first day. Cold: with an empty folder of compiled kernels."
        keep("first_use", {"about": {**about, "claim": claim}, "rows": rows})
    return 0 if all(g.met for g in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
