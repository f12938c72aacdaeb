"""Kernels of the losses that are compiled: the sum over some samples, and its derivative by the outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numkan.compile import kernel

__all__ = ["Goal", "Rows", "cross_entropy", "linear", "squared"]


class Goal(NamedTuple):
    """The targets of all samples, and their weights."""

    target: Any  # (n * n_out,) targets, or (n,) integer labels, flat
    weight: Any  # (n,), or (0,) for ones
    scale: float  # factor of a sample's derivative


class Rows(NamedTuple):
    """Rows of outputs, or of their cotangents, in a flat array."""

    numbers: Any  # flat
    at: int  # where the first row begins
    width: int  # from one row to the next


@kernel
def _sum_of_squares(y, at, target, goal, n_out):  # type: ignore[no-untyped-def]
    """Return the sum of squared differences of one row: four sums, so that an addition need not wait for the last.

    Indices are unsigned, because the compiler would check each signed one for counting from the end of the array.
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
def squared(y, goal, begin, count, n_out, y_bar):  # type: ignore[no-untyped-def]
    """Return sum w e^2 over `count` samples, and fill y_bar with 2 * scale * w * e.

    y, y_bar: `Rows` of these samples, which may be the same. goal: `Goal` of all samples, of which these are number
    `begin` and so on.
    """
    outputs, bars, target, weight = y.numbers, y_bar.numbers, goal.target, goal.weight
    scale, weighted = bars.dtype.type(2.0 * goal.scale), weight.shape[0] > 0
    loss = 0.0
    for s in range(count):
        factor = scale * weight[begin + s] if weighted else scale
        at, to = np.uint64(y.at + s * y.width), np.uint64(y_bar.at + s * y_bar.width)
        own = np.uint64((begin + s) * n_out)
        if n_out == 1:  # two loops of one iteration each would take three times as long
            e = outputs[at] - target[own]
            row, bars[to] = np.float64(e) * np.float64(e), factor * e
        else:
            row = _sum_of_squares(outputs, at, target, own, n_out)
            for o in range(np.uint64(n_out)):
                bars[to + o] = factor * (outputs[at + o] - target[own + o])
        loss += row * weight[begin + s] if weighted else row
    return loss


@kernel
def cross_entropy(y, goal, begin, count, n_out, y_bar):  # type: ignore[no-untyped-def]
    """Return sum w (log sum exp y - y_label), and fill y_bar with scale * w * (softmax - one at the label).

    Arguments as in `squared`, with labels for targets.
    """
    outputs, bars, weight = y.numbers, y_bar.numbers, goal.weight
    scale, weighted = bars.dtype.type(goal.scale), weight.shape[0] > 0
    loss = 0.0
    for s in range(count):
        factor = scale * weight[begin + s] if weighted else scale
        at, to, own = y.at + s * y.width, y_bar.at + s * y_bar.width, goal.target[begin + s]
        top = outputs[at]
        for o in range(1, n_out):
            top = outputs[at + o] if outputs[at + o] > top or outputs[at + o] != outputs[at + o] else top
        over = np.float64(top - outputs[at + own])
        total = 0.0
        for o in range(n_out):
            bars[to + o] = np.exp(outputs[at + o] - top)
            total += bars[to + o]
        for o in range(n_out):
            bars[to + o] = factor * (bars[to + o] / bars.dtype.type(total))
        bars[to + own] -= factor
        row = np.log(total) + over
        loss += row * weight[begin + s] if weighted else row
    return loss


@kernel
def linear(y, goal, begin, count, n_out, y_bar):  # type: ignore[no-untyped-def]
    """Fill y_bar with the targets, which are cotangents of the outputs; return 0. Arguments as in `squared`."""
    for s in range(count):
        at, to = (begin + s) * n_out, y_bar.at + s * y_bar.width
        for o in range(n_out):
            y_bar.numbers[to + o] = goal.target[at + o]
    return 0.0
