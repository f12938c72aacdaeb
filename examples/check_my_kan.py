"""Check your own KAN: a small one in NumPy has a fault that is easily made; the laws find it; mended, it passes.

Run it with ``python examples/check_my_kan.py``; it takes half a minute and writes check_my_kan.png.
"""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from numkan import conformance

# --- a KAN in thirty lines ----------------------------------------------------------------------------------------


class MyKAN:
    """One layer, and its basis by the recursion of Cox and de Boor; first of all, what it promises."""

    dtype, bits = ("float64", "float32"), "rounding"  # rows of a batch may differ in the last bits
    extrapolation = "fade"  # outside the grid the padded functions go on, to zero
    right_end = "closed"
    degenerate_knots = "limit"  # knots may be repeated
    degrees = (1, 2, 3)

    def basis(self, x, knots, k):
        """Return all basis functions at every point, (n, n_basis)."""
        end = len(knots) - 1 - k
        t, x = knots, np.where(np.isinf(x), knots[-1] + 1, x)[:, None]
        values = ((t[:-1] <= x) & (x < t[1:])).astype(x.dtype)
        last = np.flatnonzero(t[:end] < t[end])[-1]  # the interval that the right end belongs to
        values[x[:, 0] == t[end]] = np.eye(len(t) - 1, dtype=x.dtype)[last]
        with np.errstate(all="ignore"):
            for d in range(1, k + 1):
                rising = self.quotient(x - t[: -d - 1], t[d:-1] - t[: -d - 1]) * values[:, :-1]
                falling = self.quotient(t[d + 1 :] - x, t[d + 1 :] - t[1:-d]) * values[:, 1:]
                values = self.repaired(rising + falling)
        return values

    def layer_forward(self, layer, x):
        """Return the outputs (n, n_out) of a layer for samples (n, n_in)."""
        y = x / (1 + np.exp(-x)) @ (layer.mask * layer.scale_base)
        for i, knots in enumerate(layer.grid):
            coef = (layer.mask[i] * layer.scale_sp[i])[:, None] * layer.coef[i]
            y = y + self.basis(x[:, i], knots, layer.k) @ coef.T
        return y

    def quotient(self, a, b):
        """Return the share of the way from knot to knot."""
        return a / b

    def repaired(self, values):
        """Set to 0 what repeated knots have made 0/0. This is the fault: the other term is lost with it."""
        return np.nan_to_num(values)


class Mended(MyKAN):
    """0/0 is 0 in each term by itself, and nothing else needs repair: not a number in, not a number out."""

    def quotient(self, a, b):
        """Return the share of the way from knot to knot, 0 where they are one."""
        return np.divide(a, b, out=a * (0 * b), where=b != 0)

    def repaired(self, values):
        """Return what needs no repair."""
        return values


# --- what the laws say --------------------------------------------------------------------------------------------


def main():
    before, after = (conformance.check(kan, seed=0) for kan in (MyKAN(), Mended()))
    for result in before.failed:
        print(result.line[:110])
    print(f"before: {before.total}")
    example = next(result.example for result in before.failed if result.law.id == "P-PoU")
    print(f"the smallest knots whose functions do not sum to 1: {example['knots']}, of degree {example['k']}")
    print(f"after:  {after.total}")
    assert {"P-PoU", "P-NAN"} <= {result.law.id for result in before.failed}
    assert after.ok

    knots, k = np.array([-3, -2, -1, 0, 1, 2, 2, 3, 4, 5, 6, 7.0]), 3
    x = np.linspace(0, 4, 401)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
    for ax, kan in zip(axes, (MyKAN(), Mended()), strict=True):
        values = kan.basis(x, knots, k)
        ax.plot(x, values)
        ax.plot(x, values.sum(axis=1), "k--", label="their sum")
        ax.set(title=type(kan).__name__, xlabel="x, with a double knot at 2")
        ax.legend()
    figure.savefig("check_my_kan.png", dpi=120)


if __name__ == "__main__":
    main()
