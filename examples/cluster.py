"""A cluster: fit rows that lie on the workers of dask, twice, to the same bits.

Run ``python examples/cluster.py``, with ``pip install "numkan[dask]"``.
"""

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster

from numkan import KAN

PARTS, ROWS, NOISE = 8, 12_500, 0.2


def f(x):
    """Return what is to be learned, from samples with noise: exp(sin(pi x) + y^2)."""
    return np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)


def load(part):
    """Load a part of the samples, inputs and target in columns; a worker would read a file here."""
    rng = np.random.default_rng(part)
    x = rng.uniform(-1, 1, (ROWS, 2))
    return np.column_stack([x, f(x) + NOISE * rng.standard_normal(ROWS)])


def fit(n_workers):
    """Fit the samples on a cluster of `n_workers` workers."""
    # A real cluster differs in this line alone: Client(scheduler_file=...), or that of dask-jobqueue.
    options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        # Workers load the samples, and can load them again. They keep them between the passes of the fit; only
        # coefficients, sums and a sample of the rows travel.
        parts = [da.from_delayed(dask.delayed(load)(part), (ROWS, 3), float) for part in range(PARTS)]
        table = client.persist(da.concatenate(parts))
        model = KAN(width=[2, 2, 1], seed=0)
        result = model.fit(table[:, :2], table[:, 2])
    return model, result


def main():
    model, result = fit(n_workers=1)
    print(result.chosen["rows"])
    print(f"noise: {result.noise:.4f} found, {NOISE} added")

    # Sums over rows are added in the same order, whichever worker has them: the bits do not depend on the cluster.
    again, _ = fit(n_workers=2)
    assert again.params.tobytes() == model.params.tobytes()
    print("one worker and two give the same bits")

    x = np.random.default_rng(100).uniform(-1, 1, (10_000, 2))
    error = float(np.sqrt(np.mean((model(x)[:, 0] - f(x)) ** 2)))
    least = NOISE * np.sqrt(result.freedom / (PARTS * ROWS))
    print(f"RMSE against the truth, on new points: {error:.4f}")
    print(f"to be expected from {result.freedom:.0f} degrees of freedom: {least:.4f}")
    assert error < 2 * least, (error, least)


if __name__ == "__main__":
    main()
