"""Find a law's constant from noisy data, with its interval: how fast heat spreads, from 200 readings.

Run ``python examples/inverse.py [figure]``; a figure is saved if its name is given.
"""

import sys

import matplotlib

matplotlib.use("Agg")  # draw into a file, with no display

import matplotlib.pyplot as plt
import numpy as np

from numkan import KAN, pde

D, NOISE = 0.25, 0.05


def truth(x):
    """Return the temperature at (t, x), which only the readings know of: three modes that fade."""
    t, place = x[:, 0], np.pi * x[:, 1]
    return sum(np.exp(-D * (m * np.pi) ** 2 * t) * np.sin(m * place) / m for m in (1, 2, 3))


def heat(x, u, du, d2u, rate):
    """Return what is to be 0: u_t - rate u_xx. The rate is an unknown, which comes by its name."""
    return du[:, 0] - rate * d2u[:, 1]


def draw(solution, x, y, figure):
    """Draw readings and solution at three times, and the constant with its interval."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", width_ratios=[2, 1])
    place = np.linspace(0, 1, 100)
    for t, color in ((0.05, "#0072B2"), (0.3, "#009E73"), (0.8, "#D55E00")):
        line = np.column_stack([np.full(100, t), place])
        left.plot(place, solution(line)[:, 0], color=color, label=f"t = {t}")
        left.plot(place, truth(line), ":", color="0.2")
        near = abs(x[:, 0] - t) < 0.04
        left.plot(x[near, 1], y[near], ".", color=color)
    left.set(xlabel="x", ylabel="temperature", title="readings near three times, solution, truth (dotted)")
    left.legend(frameon=False)
    value, error = solution.unknowns["rate"], solution.standard_errors["rate"]
    right.errorbar([0], [value], [2 * error], fmt="o", capsize=6, color="#0072B2", label="found, 2 standard errors")
    right.axhline(D, color="0.2", linestyle=":", label="truth")
    right.set(xlim=(-1, 1), ylim=(value - 5 * error, value + 4 * error), xticks=[], title="rate")
    right.legend(frameon=False, loc="lower center")
    fig.savefig(figure, dpi=120)
    plt.close(fig)
    print("figure:", figure)


def main(figure=None):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (200, 2))  # time and place of each reading
    y = truth(x) + NOISE * rng.normal(size=200)

    # The law holds exactly in the box and the ends are kept at 0; how it was in the beginning nobody knows. The
    # readings are noisy, and how much is to be estimated. The exact equations are weighed as heavily as the network can
    # obey them: more would bend the rate, and its standard error would not tell.
    box = [0, 0], [1, 1]
    equations = [
        pde.Equation(pde.Interior(*box, 512), heat),
        pde.Equation(pde.Boundary(*box, 32, faces=[(1, 0), (1, 1)]), lambda x, u: u),
        pde.Equation(x, lambda x, u: u - y, noise="estimate"),
    ]
    model = KAN([2, 5, 1], k=5)
    solution = pde.solve(model, equations, unknowns={"rate": 1.0}, draws=2, ladder=[4, 8], random_state=0)
    print(solution)

    value, error = solution.unknowns["rate"], solution.standard_errors["rate"]
    print(f"rate: {value:.4f} +- {error:.4f} (truth {D})")
    print(f"noise: {solution.deviations[2]:.3f} found, {NOISE} added")

    if figure:
        draw(solution, x, y, figure)
    assert abs(value - D) < 2.5 * error, (value, error)
    assert error < 0.01, error
    assert abs(solution.deviations[2] - NOISE) < 0.01, solution.deviations


if __name__ == "__main__":
    main(*sys.argv[1:2])
