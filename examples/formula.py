"""A law of physics from noisy samples: how velocities add, and with it the speed of light.

Run ``python examples/formula.py [figure]``; a figure is saved if its name is given. It needs sympy:
``pip install numkan[symbolic]``.
"""

import sys

import matplotlib

matplotlib.use("Agg")  # draw into a file, with no display

import matplotlib.pyplot as plt
import numpy as np

from numkan import search, symbolic
from numkan.plot import plot_network

LIGHT = 299.792458  # metres in a microsecond
NOISE = 0.2


def add(u, v):
    """Return how fast a thing is that moves at v in a train that moves at u."""
    return (u + v) / (1 + u * v / LIGHT**2)


def draw(model, formula, x, figure):
    """Draw the network with the functions that were found on its edges, and what the formula leaves."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
    plot_network(model, x, ax=left, inputs=["u", "v"], outputs=["w"], formula=formula)
    left.set_title("the network: rapidities add", fontsize=10, pad=24)
    for v in (-200.0, 0.0, 200.0):
        line = np.stack([np.linspace(-250, 250, 101), np.full(101, v)], axis=1)
        right.plot(line[:, 0], formula(line), label=f"v = {v:g}")
        right.plot(line[:, 0], line.sum(axis=1), color="0.75", linewidth=1, linestyle=":", zorder=0)
    right.axhline(LIGHT, color="0.3", linewidth=0.8)
    right.axhline(-LIGHT, color="0.3", linewidth=0.8)
    right.set_ylim(-330, 330)
    right.set_xlabel("u (metres in a microsecond)")
    right.set_title(f"w = ${formula.latex()}$", fontsize=13, pad=14)
    right.legend(frameon=False, loc="lower right")
    fig.savefig(figure, dpi=120)
    plt.close(fig)
    print("figure:", figure)


def main(figure=None):
    rng = np.random.default_rng(0)
    x = rng.uniform(-250, 250, (600, 2))
    w = add(*x.T) + NOISE * rng.normal(size=600)

    # A narrow network is fitted, so that each edge is one function; then it is asked what it has learned.
    model, _ = search(x, w, effort=0.3, widths=[[2, 1, 1]])
    formula = symbolic.explain(model, x, w, names=["u", "v"])
    print("w =", formula)
    print("status:", formula.status)
    for part in formula.parts:
        print(f"{part.chosen}; runners-up: {', '.join(f'{name} ({error:.2f})' for name, error in part.runners_up)}")

    # Which number is the speed of light? A free constant has a standard error; others are known exactly.
    (constant,) = [c for c in formula.constants if not c.snapped]
    u = 100.0
    light = u / np.sqrt(2 * u / formula([[u, u]])[0] - 1)  # w = 2 u / (1 + u^2 / c^2) where both are u
    error = light * constant.error / abs(constant.value) / 2
    print(f"constant: {constant}")
    print(f"speed of light: {light:.2f} +- {error:.2f}")

    if figure:
        draw(model, formula, x, figure)
    assert formula.status == "within noise", formula.status
    assert abs(light - LIGHT) < 4 * error < 4, (light, error)


if __name__ == "__main__":
    main(*sys.argv[1:2])
