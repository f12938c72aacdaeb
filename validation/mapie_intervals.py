"""Claim: MAPIE makes intervals of the estimator, unchanged, that hold as many observations as they say, to 5 points.

python -m pip install -e ".[sklearn,mapie]"
OPENBLAS_NUM_THREADS=1 python validation/mapie_intervals.py
"""

from __future__ import annotations

import sys

import numpy as np
from mapie.regression import CrossConformalRegressor, SplitConformalRegressor

from numkan.sklearn import KANRegressor

LEVEL, MOST, SEEDS = 0.9, 0.05, 5


def data(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return samples of a product with noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    return x, np.sin(3 * x[:, 0]) * x[:, 1] + 0.2 * rng.standard_normal(n)


def intervals(name: str, seed: int, at: np.ndarray) -> np.ndarray:
    """Return lower and upper ends (n, 2)."""
    x, y = data(300, seed)
    estimator = KANRegressor(hidden=(2,))
    if name == "numkan":
        return np.column_stack(estimator.fit(x, y).predict_interval(at, LEVEL))
    if name == "split":
        split = SplitConformalRegressor(estimator, confidence_level=LEVEL, prefit=False)
        found = split.fit(x[:200], y[:200]).conformalize(x[200:], y[200:]).predict_interval(at)
    else:
        found = CrossConformalRegressor(estimator, confidence_level=LEVEL).fit_conformalize(x, y).predict_interval(at)
    return found[1][:, :, 0]


def main() -> int:
    """Print coverage and width; return 1 where the claim fails."""
    worst = 0.0
    for name in ("numkan", "split", "cross"):
        held, widths = [], []
        for seed in range(SEEDS):
            at, seen = data(500, 1000 + seed)
            low, high = intervals(name, seed, at).T
            held.append(np.mean((low < seen) & (seen < high)))
            widths.append(np.mean(high - low))
        print(f"{name:8} {100 * np.mean(held):5.1f} % of observations, mean width {np.mean(widths):.3f}")
        worst = max(worst, abs(float(np.mean(held)) - LEVEL))
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
