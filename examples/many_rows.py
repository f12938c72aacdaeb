"""Many rows: fit samples that lie in files, of which memory holds a few thousand at a time.

Run ``python examples/many_rows.py``.
"""

import tempfile
from pathlib import Path

import numpy as np

from numkan import KAN
from numkan.data import Rows

N, FILES, NOISE = 300_000, 8, 0.2


def f(x):
    """Return what is to be learned, from samples with noise: exp(sin(pi x) + y^2)."""
    return np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)


def write(folder):
    """Write the samples as they would come, a file a day; return the paths of inputs and targets."""
    rng = np.random.default_rng(0)
    paths = [[Path(folder, f"{name}{day}.npy") for day in range(FILES)] for name in "xy"]
    for x_path, y_path in zip(*paths, strict=True):
        x = rng.uniform(-1, 1, (N // FILES, 2))
        np.save(x_path, x)
        np.save(y_path, f(x) + NOISE * rng.standard_normal(len(x)))
    return paths


def main():
    with tempfile.TemporaryDirectory() as folder:
        # The rows know where they are and are read in blocks, again in each step. How they are divided into files
        # makes no difference to the result, to the bit; nor does the number of threads, which share the blocks.
        rows = Rows(*write(folder))
        print(f"{len(rows)} rows in {FILES} files")

        # A sample of the rows is enough to find the start and the grid; then all rows have their say.
        model = KAN(width=[2, 2, 1], seed=0)
        result = model.fit(rows, progress=True)
    print(result.chosen["rows"])
    print(result)
    print(f"noise: {result.noise:.4f} found, {NOISE} added")

    # With noise, the error falls with the root of the number of rows: it cannot be much less than this.
    x = np.random.default_rng(1).uniform(-1, 1, (10_000, 2))
    error = float(np.sqrt(np.mean((model(x)[:, 0] - f(x)) ** 2)))
    least = NOISE * np.sqrt(result.freedom / N)
    print(f"RMSE against the truth, on new points: {error:.4f}")
    print(f"to be expected from {result.freedom:.0f} degrees of freedom: {least:.4f}")
    assert error < 2 * least, (error, least)


if __name__ == "__main__":
    main()
