"""Solve Poisson's equation on a square, and look at the error: seconds on one core, and 1e-6 or better.

Run ``python examples/pde.py [figure]``; a figure is saved if its name is given.
"""

import sys

import matplotlib

matplotlib.use("Agg")  # draw into a file, with no display

import matplotlib.pyplot as plt
import numpy as np

from numkan import KAN, pde


def truth(x):
    """Return the solution, which the network is not told: sin(pi x_1) sin(pi x_2)."""
    return np.sin(np.pi * x[:, 0]) * np.sin(np.pi * x[:, 1])


def poisson(x, u, du, d2u):
    """Return what is to be 0: the Laplacian less its right side, divided by their size, so that they weigh as u does.

    u (n,) has its derivatives by each input alone beside it, (n, 2) each.
    """
    size = 2 * np.pi**2
    return (d2u[:, 0] + d2u[:, 1]) / size + truth(x)


def boundary(x, u):
    """Return what is to be 0 on the boundary."""
    return u


def draw(solution, figure):
    """Draw the solution, its error, and how the residual fell."""
    line = np.linspace(-1, 1, 101)
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    points = grid.reshape(-1, 2)
    u = solution(points)[:, 0]
    error = np.abs(u - truth(points))
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    for ax, values, title in ((left, u, "solution"), (middle, np.log10(error + 1e-16), "log$_{10}$ |error|")):
        image = ax.pcolormesh(line, line, values.reshape(101, 101), cmap="viridis", rasterized=True)
        fig.colorbar(image, ax=ax)
        ax.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    # Most steps belong to starts: networks drawn anew, of which the best goes on.
    last = [state for state in solution.history if state.stage > 0]
    right.semilogy([state.seconds for state in last], [state.loss for state in last], color="#0072B2")
    right.set(title="sum of squares on ever finer grids", xlabel="seconds")
    fig.savefig(figure, dpi=120)
    plt.close(fig)
    print("figure:", figure)


def main(figure=None):
    box = [-1, -1], [1, 1]
    equations = [
        pde.Equation(pde.Interior(*box, 1024), poisson),
        pde.Equation(pde.Boundary(*box, 64), boundary),
    ]

    # Equations of second order need splines of a degree above 2; the smoother the solution, the higher. A network as
    # narrow as this may get stuck, so several are drawn. Their residuals tell which one is good; no truth is needed.
    model = KAN([2, 2, 1], k=7)
    solution = pde.solve(model, equations, random_state=0)
    print(solution)

    fresh = np.random.default_rng(1).uniform(-1, 1, (2000, 2))
    error = np.linalg.norm(solution(fresh)[:, 0] - truth(fresh)) / np.linalg.norm(truth(fresh))
    print(f"relative error on new points: {error:.1e}")

    # The answer is a formula of a few hundred numbers, and so are its derivatives.
    u, _, d2u = model.derivatives(fresh)
    print(f"Laplacian / u: {np.median((d2u[:, 0, 0] + d2u[:, 0, 1]) / u[:, 0]):.6f}, -2 pi^2 = {-2 * np.pi**2:.6f}")

    if figure:
        draw(solution, figure)
    assert error < 1e-6, error


if __name__ == "__main__":
    main(*sys.argv[1:2])
