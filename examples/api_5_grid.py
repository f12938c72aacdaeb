"""API 5: Grid. The tutorial of pykan's grid, cell by cell, in NumPy.

One important feature of KANs is that they embed splines to neural networks. However, splines are only valid for
approximating functions in known bounded regions, while the range of activations in neural networks may be changing over
training. So we have to update grids properly according to that. Let's first take a look at how we parametrize splines.

Run ``python examples/api_5_grid.py [figure]``; the figure is api_5_grid.png in the working directory by default.
"""

import sys

import matplotlib

matplotlib.use("Agg")  # draw into a file, with no display

import matplotlib.pyplot as plt
import numpy as np

from numkan import KAN, silu
from numkan.plot import plot_basis
from numkan.spline import B_batch, extend_grid


def main(figure="api_5_grid.png"):
    np.set_printoptions(precision=4, suppress=True, linewidth=120)

    # Consider a 1D example. Suppose we have grid in [-1,1] with G intervals, spline degree k, and samples in [-1,1].
    G = 5
    k = 3
    grid = np.linspace(-1, 1, G + 1)[None, :]
    grid = extend_grid(grid, k_extend=k)

    x = np.linspace(-1, 1, 1001)[None, :]
    basis = B_batch(x, grid, k=k)
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    for i in range(G + k):
        left.plot(x[0], basis[0, :, i])
    left.legend([f"B_{i}(x)" for i in np.arange(G + k)], frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    left.set_xlabel("x")
    left.set_ylabel("B_i(x)")
    left.set_title("in [-1, 1], as in the tutorial", fontsize="medium")
    plot_basis(grid, k, ax=right)  # the same functions, from end to end
    right.set_title("on all knots", fontsize="medium")
    fig.savefig(figure, dpi=120)
    plt.close(fig)
    assert basis.shape == (1, 1001, G + k)
    assert np.allclose(basis.sum(axis=2), 1, rtol=0, atol=1e-14)

    # There are G+k B-spline basis. The function is a linear combination of these bases,
    #     spline(x) = sum_{i=0}^{G+k-1} c_i B_i(x).
    # We don't need worry about the implementation since it's already built in KAN. But let's check if KAN is indeed
    # implementing this. We initialize a [1,1] KAN, which is simply a 1D spline.
    model = KAN(width=[1, 1], grid=G, k=k)
    assert model.act_fun[0].coef[0].shape[1] == G + k  # coefficients c_i
    model_output = model(x[0][:, None])  # the model forward
    spline_output = np.einsum("j,ij->i", model.act_fun[0].coef[0][0], basis[0])[:, None]
    print("model - spline, mean square:", np.mean((model_output - spline_output) ** 2))
    assert np.mean((model_output - spline_output) ** 2) > 1e-6

    # They are not the same, what's happening? We want to remind that we model the activation function to have two
    # additive parts, a base function b(x) plus the spline function, i.e.,
    #     phi(x) = scale_base*b(x) + scale_sp*spline(x), and by default b(x) = silu(x) = x/(1+exp(-x)).
    base_output = silu(x[0][:, None])
    scale_base = model.act_fun[0].scale_base
    scale_sp = model.act_fun[0].scale_sp
    difference = np.mean((model_output - (scale_base * base_output + scale_sp * spline_output)) ** 2)
    print("model - (base + spline), mean square:", difference.round(16))
    assert difference < 1e-30

    # What if my grid does not match my data? For example, my grid is in [-1,1], but my data is in [-10,10] or
    # [-0.5,0.5]. Use update_grid_from_samples to adjust grids to samples. This applies to all splines in all layers.
    for end, step in ((10, 4.0), (0.5, 0.2)):
        model = KAN(width=[1, 1], grid=G, k=k)
        print(f"\nsamples in [-{end}, {end}]:", model.act_fun[0].grid, sep="\n")  # by default, the grid is in [-1,1]
        x = np.linspace(-end, end, 1001)[:, None]
        model.update_grid_from_samples(x)
        print(model.act_fun[0].grid)  # now the grid becomes in [-end,end]; zero variance would get a margin of 0.01
        assert np.allclose(model.act_fun[0].grid, step * (np.arange(12) - 5.5), rtol=0, atol=1e-13)

    # Uniform grid or non-uniform? We consider two options: (1) uniform grid; (2) adaptive grid (based on sample
    # distribution) such that there are (roughly) same number of samples in each interval. We provide a parameter
    # grid_eps to interpolate between these two regimes. grid_eps = 1 gives (1), and grid_eps = 0 gives (2). By default
    # we set grid_eps = 1 (uniform grid). There could be other options but it is out of our scope here.
    normal = np.random.default_rng(0).normal(0, 1, size=(1000, 1))
    # The tutorial's own normal samples came from another generator. These six have the quantiles that it prints.
    printed = np.array([[-3.9455, -0.8148, -0.2487, 0.2936, 0.8768, 3.3837]]).T
    uniform = [-8.3431, -6.8772, -5.4114, -3.9455, -2.4797, -1.0138, 0.4520, 1.9179, 3.3837, 4.8496, 6.3154, 7.7813]
    adaptive = [*uniform[:4], -0.8148, -0.2487, 0.2936, 0.8768, *uniform[8:]]
    for name, grid_eps, expected in (("uniform", 1.0, uniform), ("adaptive", 0.0, adaptive)):
        for samples, x in (("normal samples", normal), ("the tutorial's quantiles", printed)):
            model = KAN(width=[1, 1], grid=G, k=k, grid_eps=grid_eps)
            model.update_grid_from_samples(x)
            print(f"\n{name} grid, {samples}:", model.act_fun[0].grid, sep="\n")
        assert np.allclose(model.act_fun[0].grid, expected, rtol=0, atol=3e-4)  # it prints four decimals


if __name__ == "__main__":
    main(*sys.argv[1:2])
