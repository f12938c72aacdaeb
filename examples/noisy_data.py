"""Noisy data: find the curve, the noise level and the inputs that matter, told nothing but the samples.

Run ``python examples/noisy_data.py [figure]``; a figure is saved if its name is given.
"""

import sys

import matplotlib

matplotlib.use("Agg")  # draw into a file, with no display

import matplotlib.pyplot as plt
import numpy as np

from numkan import search
from numkan.plot import plot_network

NOISE = 0.1


def f(x):
    """Return the truth: exp(sin(pi x_1) + x_2^2). The third input has no part in it."""
    return np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)


def draw(model, x, y, figure):
    """Draw the network, and a cut through truth, samples and what was found."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    plot_network(model, x, ax=left, inputs=["$x_1$", "$x_2$", "$x_3$"], outputs=["y"])
    line = np.zeros((200, 3))
    line[:, 0] = np.linspace(-1, 1, 200)
    near = abs(x[:, 1]) < 0.2
    right.plot(x[near, 0], y[near], ".", color="0.6", label="samples with $|x_2| < 0.2$")
    right.plot(line[:, 0], f(line), color="0.2", linewidth=3, alpha=0.4, label="truth, $x_2 = 0$")
    found, sure = model(line)[:, 0], 2 * model.predict_std(line)[:, 0]
    right.plot(line[:, 0], found, color="#0072B2", label="found, $x_2 = x_3 = 0$")
    right.fill_between(line[:, 0], found - sure, found + sure, color="#0072B2", alpha=0.25, label="two deviations")
    right.set_xlabel("$x_1$")
    right.legend(frameon=False)
    fig.savefig(figure, dpi=120)
    plt.close(fig)
    print("figure:", figure)


def main(figure=None):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 3))
    y = f(x) + NOISE * rng.normal(size=300)

    # Networks from narrow to wide are fitted, and the narrowest that explains the data is taken. How much its edges are
    # smoothed is decided by the samples, edge by edge: what only follows noise is smoothed until nothing is left of it.
    model, table = search(x, y, random_state=0)
    print(table)

    # The model is told to go on from where it is, and says what it makes of the samples.
    result = model.fit(x, y, start="keep", grids=None)
    print(f"noise: {result.noise:.3f} found, {NOISE} added")

    fresh = rng.uniform(-1, 1, (1000, 3))
    error = np.sqrt(np.mean((model(fresh)[:, 0] - f(fresh)) ** 2))
    print(f"RMSE against the truth, on new points: {error:.3f}")

    # How sure the fit is of itself: of ten truths, nine should lie within 1.64 deviations.
    share = np.mean(abs(model(fresh)[:, 0] - f(fresh)) < 1.64 * model.predict_std(fresh)[:, 0])
    print(f"within the band for 90 %: {share:.0%} of the truth")

    # The score of an edge is how much the output moves with it.
    scores = model.edge_scores(x)[0].max(axis=1)
    scores = scores / scores.max()
    for name, score in zip(("x_1", "x_2", "x_3"), scores, strict=True):
        print(f"edges of {name}: {score:.3f}{'' if score > 0.02 else ', vanished'}")

    if figure:
        draw(model, x, y, figure)
    assert error < 0.6 * NOISE, error
    assert abs(result.noise - NOISE) < 0.02, result.noise
    assert share > 0.75, share
    assert scores[2] < 0.02 < scores[:2].min(), scores


if __name__ == "__main__":
    main(*sys.argv[1:2])
