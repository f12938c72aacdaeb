"""Claim: on smooth functions with noise, intervals of 50, 80, 90 and 95 % hold that many observations, to 3 points.

Three functions (a sine, a sum of two curves, a product, which needs a hidden layer), noise of 5, 20 and 50 % of the
function's deviation, 100, 300 and 1000 samples. Coverage is that of fresh observations. Beside it is the mean width of
the intervals for 90 %, scaled until they hold exactly 90 %, over that of scikit-learn's Gaussian process, which fits
its length scales and its noise by evidence.

    OPENBLAS_NUM_THREADS=1 python validation/certainty.py --seeds 200 --write     # certainty.json
    python validation/certainty.py --report                                       # prints what it holds
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _report import facts, table
from scipy.stats import norm

from numkan import KAN

FILE = Path(__file__).with_name("certainty.json")
LEVELS = (0.5, 0.8, 0.9, 0.95)
NOISES, SIZES = (0.05, 0.2, 0.5), (100, 300, 1000)

#: Points of coverage, the samples that judge a fit, and the largest number of samples of a Gaussian process.
MOST, TEST, LARGEST = 0.03, 500, 300


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


def cell(function: Function, noise: float, n: int, seeds: int, fit: Callable[..., Answer]) -> dict[str, Any]:
    """Return coverages and the width at equal coverage, over seeds; they are in deviations of the noise."""
    ratios, deviations, began = [], [], time.process_time()
    for seed in range(seeds):
        x, y = data(function, noise, n, 2 * seed)
        at, seen = data(function, noise, TEST, 2 * seed + 1)
        predicted, deviation = fit(function, x, y, at, seed)
        ratios.append(np.abs(predicted - seen) / deviation)
        deviations.append(deviation / (noise * function.deviation))
    ratio = np.concatenate(ratios)
    return {
        "seeds": seeds,
        "coverage": [float(np.mean(ratio < norm.ppf(0.5 + 0.5 * level))) for level in LEVELS],
        "width": float(2.0 * np.quantile(ratio, 0.9) * np.mean(np.concatenate(deviations))),
        "seconds": (time.process_time() - began) / seeds,
    }


def measured(seeds: int, hidden_seeds: int, peer_seeds: int) -> Iterator[dict[str, Any]]:
    """Yield every cell."""
    for function in FUNCTIONS:
        for n in SIZES:
            for noise in NOISES:
                most = seeds if len(function.width) == 2 else hidden_seeds
                found = {"function": function.name, "n": n, "noise": noise}
                found |= {"numkan": cell(function, noise, n, most, by_network)}
                if n <= LARGEST and peer_seeds:
                    found["process"] = cell(function, noise, n, peer_seeds, by_process)
                    own = cell(function, noise, n, min(peer_seeds, most), by_network)  # the same samples
                    found["relative width"] = own["width"] / found["process"]["width"]
                print(row(found), file=sys.stderr, flush=True)
                yield found


def row(found: dict[str, Any]) -> tuple[str, ...]:
    """Return the line of a cell."""
    covers = [f"{100 * share:.1f}" for share in found["numkan"]["coverage"]]
    beside = found.get("relative width")
    width = "" if beside is None else f"{beside:.3f}"
    return found["function"], str(found["n"]), f"{found['noise']:g}", str(found["numkan"]["seeds"]), *covers, width


def worst(cells: list[dict[str, Any]]) -> float:
    """Return the largest distance of a coverage from what it should be."""
    return max(abs(a - b) for found in cells for a, b in zip(found["numkan"]["coverage"], LEVELS, strict=True))


def report(cells: list[dict[str, Any]]) -> str:
    """Return the table, and what it says."""
    names = ("function", "n", "noise", "seeds", *(f"{100 * level:g} %" for level in LEVELS), "width over GP's")
    lines = [table(names, [row(found) for found in cells]), ""]
    for function in FUNCTIONS:
        own = [found for found in cells if found["function"] == function.name]
        mean = np.mean([found["numkan"]["coverage"] for found in own], axis=0)
        said = ", ".join(f"{100 * share:.1f}" for share in mean)
        lines.append(f"{function.name}: {said} % on average; the worst cell is off by {100 * worst(own):.1f} points")
    return "\n".join(lines)


def main() -> int:
    """Measure, or print what was measured; return 1 where the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--hidden-seeds", type=int, help="of the product; as many by default")
    parser.add_argument("--peer-seeds", type=int, default=10, help="of the Gaussian process")
    parser.add_argument("--write", action="store_true", help="keep the results in certainty.json")
    parser.add_argument("--report", action="store_true", help="print what certainty.json holds, measuring nothing")
    options = parser.parse_args()
    if options.report:
        cells = json.loads(FILE.read_text(encoding="utf-8"))["cells"]
    else:
        hidden = options.seeds if options.hidden_seeds is None else options.hidden_seeds
        cells = list(measured(options.seeds, hidden, options.peer_seeds))
    if options.write:
        whole = {"about": facts(("numkan", "numpy", "scipy", "scikit-learn")), "cells": cells}
        FILE.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(report(cells))
    return int(worst(cells) > MOST)


if __name__ == "__main__":
    sys.exit(main())
