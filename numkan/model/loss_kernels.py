"""Kernels of the losses that are compiled: the sum over some samples, and its derivative by the outputs."""

from __future__ import annotations

import numpy as np

from numkan.compile import kernel

__all__ = ["cross_entropy", "linear", "squared"]


@kernel
def _sum_of_squares(y, at, target, goal, n_out):  # type: ignore[no-untyped-def]
    """Return the sum of squared differences of one row: four sums, so that an addition need not wait for the last.

    Places are unsigned, or every one would be asked whether it counts from the end of the array.
    """
    a = b = c = d = 0.0
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    whole = np.uint64(n_out // 4 * 4)
    for o in range(np.uint64(0), whole, np.uint64(4)):
        i, j = at + o, goal + o
        e0, e1 = np.float64(y[i] - target[j]), np.float64(y[i + one] - target[j + one])
        e2, e3 = np.float64(y[i + two] - target[j + two]), np.float64(y[i + three] - target[j + three])
        a, b, c, d = a + e0 * e0, b + e1 * e1, c + e2 * e2, d + e3 * e3
    for o in range(whole, np.uint64(n_out)):
        e = np.float64(y[at + o] - target[goal + o])
        a += e * e
    return (a + b) + (c + d)


@kernel
def squared(y, y_at, count, n_out, target, weight, begin, scale, y_bar, bar_at, bar_width):  # type: ignore[no-untyped-def]
    """Return sum w e^2 over `count` samples, and fill y_bar with 2 * scale * w * e; y_bar may be y.

    All arrays are flat: y has the samples' outputs from y_at on, y_bar from bar_at on in rows of bar_width; target
    (n * n_out,) and weight (n,), or (0,) for ones, have all samples, these from number `begin` on.
    """
    scale, weighted = y_bar.dtype.type(2.0 * scale), weight.shape[0] > 0
    loss = 0.0
    for s in range(count):
        factor = scale * weight[begin + s] if weighted else scale
        at, to = np.uint64(y_at + s * n_out), np.uint64(bar_at + s * bar_width)
        goal = np.uint64((begin + s) * n_out)
        if n_out == 1:  # two loops of one turn each would take three times as long
            e = y[at] - target[goal]
            row, y_bar[to] = np.float64(e) * np.float64(e), factor * e
        else:
            row = _sum_of_squares(y, at, target, goal, n_out)
            for o in range(np.uint64(n_out)):
                y_bar[to + o] = factor * (y[at + o] - target[goal + o])
        loss += row * weight[begin + s] if weighted else row
    return loss


@kernel
def cross_entropy(y, y_at, count, n_out, label, weight, begin, scale, y_bar, bar_at, bar_width):  # type: ignore[no-untyped-def]
    """Return sum w (log sum exp y - y_label), and fill y_bar with scale * w * (softmax - one at the label).

    Arrays as in `squared`; label (n,).
    """
    scale, weighted = y_bar.dtype.type(scale), weight.shape[0] > 0
    loss = 0.0
    for s in range(count):
        factor = scale * weight[begin + s] if weighted else scale
        at, to, own = y_at + s * n_out, bar_at + s * bar_width, label[begin + s]
        top = y[at]
        for o in range(1, n_out):
            top = y[at + o] if y[at + o] > top or y[at + o] != y[at + o] else top
        over = np.float64(top - y[at + own])
        total = 0.0
        for o in range(n_out):
            y_bar[to + o] = np.exp(y[at + o] - top)
            total += y_bar[to + o]
        for o in range(n_out):
            y_bar[to + o] = factor * (y_bar[to + o] / y_bar.dtype.type(total))
        y_bar[to + own] -= factor
        row = np.log(total) + over
        loss += row * weight[begin + s] if weighted else row
    return loss


@kernel
def linear(y, y_at, count, n_out, target, weight, begin, scale, y_bar, bar_at, bar_width):  # type: ignore[no-untyped-def]
    """Fill y_bar with target, which holds cotangents of the outputs; return 0. Arrays as in `squared`."""
    for s in range(count):
        at, to = (begin + s) * n_out, bar_at + s * bar_width
        for o in range(n_out):
            y_bar[to + o] = target[at + o]
    return 0.0
