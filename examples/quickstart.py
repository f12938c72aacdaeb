"""Quickstart: fit a small Kolmogorov-Arnold network, look at it, and measure what it has learned.

Run ``python examples/quickstart.py [figure]``; the figure is quickstart.png in the working directory by default.
"""

import sys

import matplotlib

matplotlib.use("Agg")  # draw into a file, with no display

import matplotlib.pyplot as plt
import numpy as np

from numkan import KAN
from numkan.plot import plot_history, plot_network


def f(x):
    """Return what is to be learned, from its values alone: exp(sin(pi x) + y^2)."""
    return np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)


def rmse(model, x):
    return float(np.sqrt(model.loss(x, f(x))))


def main(figure="quickstart.png"):
    rng = np.random.default_rng(0)
    train, test = rng.uniform(-1, 1, (1000, 2)), rng.uniform(-1, 1, (1000, 2))

    # Two inputs, five nodes between, one output: 15 edges, each a spline of degree 3. The fit begins on coarse grids,
    # where there is little to get wrong, and refines them as long as samples that it has held out gain from it. Each
    # time it goes on from the function that it has. The last stage is that of the best grid, on all samples.
    model = KAN(width=[2, 5, 1], seed=0)
    result = model.fit(train, f(train))

    print(f"{'grid':>5} {'steps':>6} {'train RMSE':>11} {'held out':>11} {'seconds':>8}")
    for stage in result.stages:
        errors = f"{np.sqrt(stage.loss):11.2e} {np.sqrt(stage.validation):11.2e}"
        print(f"{stage.grid:5d} {stage.steps:6d} {errors} {stage.seconds:8.2f}")
    print(result.message)

    # The network as it is: every edge is a curve that can be read. The darker, the more it does.
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=[1, 1.1])
    plot_network(model, train, ax=left, inputs=["x", "y"], outputs=[r"$\exp(\sin(\pi x) + y^2)$"])
    plot_history(result, ax=right)
    fig.savefig(figure, dpi=120)
    plt.close(fig)
    print("figure:", figure)

    # Those held out had a say in when to stop, so the last word is that of points that played no part at all.
    error = rmse(model, test)
    print(f"RMSE on 1000 new points: {error:.2e}")
    assert error < 1e-4, error


if __name__ == "__main__":
    main(*sys.argv[1:2])
