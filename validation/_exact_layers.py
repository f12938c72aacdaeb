"""Layers and networks in rational arithmetic: outputs, gradients by everything, and the sizes of their terms.

The base function is "zero" or "identity", so that nothing is irrational. Each number is a `Sized`: an exact value with
the sum of the magnitudes of the terms that it is made of, which is the yardstick of rounding errors; a number that is
given has size zero, a hidden activation the size that it has gathered itself. Functions have the names and the shapes
that numkan's slow twin of the same thing has; the derivation of the backward pass is written at its steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Any, NamedTuple

from numkan.conformance import exact  # the oracle

ZERO = Fraction(0)
#: Under "continue", the end polynomial goes on for this share of the domain's length.
REACH = Fraction(3, 100)

Table = list[list[Fraction]]


class Sized(NamedTuple):
    """A number, and the sum of the magnitudes of its terms."""

    value: Fraction
    size: Fraction


NOTHING = Sized(ZERO, ZERO)


def total(terms: list[Sized]) -> Sized:
    """Add numbers, and add their sizes."""
    return Sized(sum((t.value for t in terms), ZERO), sum((t.size for t in terms), ZERO))


def times(factor: Fraction, number: Sized) -> Sized:
    """Scale a number by an exact factor."""
    return Sized(factor * number.value, abs(factor) * number.size)


@dataclass(frozen=True)
class Layer:
    """A layer as its numbers: grid[i], coef[i][o], scale_base[i][o], scale_sp[i][o], mask[i][o]."""

    grid: Table
    coef: list[Table]
    scale_base: Table
    scale_sp: Table
    mask: Table
    k: int
    base_fun: str
    extrapolate: str

    @property
    def n_in(self) -> int:
        return len(self.grid)

    @property
    def n_out(self) -> int:
        return len(self.mask[0])


# --- the basis under a policy -------------------------------------------------------------------------------------


def basis(layer: Layer, i: int, x: Fraction, nu: int) -> list[Sized]:
    """Return D^nu of the functions of input i: outside the domain what the policy says, by Taylor's formula."""
    knots, k = layer.grid[i], layer.k
    low, high = knots[k], knots[len(knots) - 1 - k]
    if layer.extrapolate == "fade" or low <= x <= high:
        return plain(x, knots, k, nu)
    end = low if x < low else high
    reach = REACH * (high - low) if layer.extrapolate == "continue" else ZERO
    offset = x - end
    if abs(offset) <= reach:
        return taylor(end, knots, k, offset, nu)
    edge = reach if offset > 0 else -reach
    flat = [NOTHING] * (len(knots) - 1 - k)
    slope = flat if layer.extrapolate == "clamp" else taylor(end, knots, k, edge, 1)
    if nu > 0:
        return slope if nu == 1 else flat
    start = taylor(end, knots, k, edge, 0)
    return [total([a, times(offset - edge, b)]) for a, b in zip(start, slope, strict=True)]


def plain(x: Fraction, knots: list[Fraction], k: int, nu: int) -> list[Sized]:
    """Return D^nu of the plain functions; each has the size of all of them: a local polynomial errs by that."""
    size = sum(exact.magnitudes(x, knots, k, nu), ZERO)
    return [Sized(value, size) for value in exact.basis(x, knots, k, nu)]


def taylor(end: Fraction, knots: list[Fraction], k: int, offset: Fraction, nu: int) -> list[Sized]:
    """Return D^nu of the polynomials that the functions are at the domain's end, at some offset from it."""
    orders = [plain(end, knots, k, q) for q in range(nu, k + 1)]
    powers = [offset**q / factorial(q) for q in range(len(orders))]
    return [
        total([times(power, order[p]) for power, order in zip(powers, orders, strict=True)])
        for p in range(len(knots) - 1 - k)
    ]


def base(layer: Layer, x: Fraction, nu: int) -> Sized:
    """Return D^nu of b at x."""
    if layer.base_fun == "zero":
        return NOTHING
    value = (x, Fraction(1), ZERO)[min(nu, 2)]
    return Sized(value, abs(value))


def features(layer: Layer, x: list[Sized], nu: int) -> list[list[Sized]]:
    """Return D^nu of all functions and of b for each input; an input's own size comes in by the next derivative."""
    out = []
    for i, point in enumerate(x):
        here = [*basis(layer, i, point.value, nu), base(layer, point.value, nu)]
        if point.size:
            steeper = [*basis(layer, i, point.value, nu + 1), base(layer, point.value, nu + 1)]
            here = [Sized(h.value, h.size + s.size * point.size) for h, s in zip(here, steeper, strict=True)]
        out.append(here)
    return out


# --- layers -------------------------------------------------------------------------------------------------------


def edge(layer: Layer, i: int, o: int, row: list[Sized]) -> Sized:
    """Return phi_io, or a derivative of it, from the features of input i."""
    spline = total([times(c, b) for c, b in zip(layer.coef[i][o], row[:-1], strict=True)])
    both = total([times(layer.scale_sp[i][o], spline), times(layer.scale_base[i][o], row[-1])])
    return times(layer.mask[i][o], both)


def forward(layer: Layer, x: list[Sized]) -> list[Sized]:
    """Return y_o = sum_i phi_io(x_i) for one sample."""
    rows = features(layer, x, 0)
    return [total([edge(layer, i, o, rows[i]) for i in range(layer.n_in)]) for o in range(layer.n_out)]


Gradient = dict[str, list]  # coef [i][o][p], scale_base [i][o], scale_sp [i][o]


def backward(layer: Layer, x: list[Sized], y_bar: list[Sized]) -> tuple[Gradient, list[Sized]]:
    """Return cotangents of the parameters and of x for one sample, from those of the outputs.

    1. y_o = sum_i m_io (s_base b(x_i) + s_sp sum_p c_iop B_p(x_i)) is linear in each parameter: its cotangent is
       y_bar_o times its factor.
    2. x_i moves every y_o, by phi'_io(x_i).
    """
    rows, slopes = features(layer, x, 0), features(layer, x, 1)
    grad: Gradient = {"coef": [], "scale_base": [], "scale_sp": []}
    for i in range(layer.n_in):
        by_coef, by_base, by_sp = [], [], []
        for o in range(layer.n_out):
            mask = layer.mask[i][o]
            spline = total([times(c, b) for c, b in zip(layer.coef[i][o], rows[i][:-1], strict=True)])
            by_coef.append([product(times(mask * layer.scale_sp[i][o], b), y_bar[o]) for b in rows[i][:-1]])
            by_base.append(product(times(mask, rows[i][-1]), y_bar[o]))
            by_sp.append(product(times(mask, spline), y_bar[o]))
        grad["coef"].append(by_coef)
        grad["scale_base"].append(by_base)
        grad["scale_sp"].append(by_sp)
    x_bar = [
        total([product(edge(layer, i, o, slopes[i]), y_bar[o]) for o in range(layer.n_out)]) for i in range(layer.n_in)
    ]
    return grad, x_bar


def product(a: Sized, b: Sized) -> Sized:
    """Multiply two numbers, each of which may carry an error in proportion to its size."""
    return Sized(a.value * b.value, a.size * b.size)


# --- networks -----------------------------------------------------------------------------------------------------


def activations(layers: list[Layer], x: list[Fraction]) -> list[list[Sized]]:
    """Return the inputs of every layer, and the outputs of the last, for one sample."""
    out = [[Sized(point, ZERO) for point in x]]
    for layer in layers:
        out.append(forward(layer, out[-1]))
    return out


def pull_back(layers: list[Layer], acts: list[list[Sized]], y_bar: list[Sized]) -> tuple[list[Gradient], list[Sized]]:
    """Return cotangents of all parameters and of x for one sample."""
    grads = []
    for layer, x in zip(layers[::-1], acts[-2::-1], strict=True):
        grad, y_bar = backward(layer, x, y_bar)
        grads.append(grad)
    return grads[::-1], y_bar


def given(numbers: list[Fraction]) -> list[Sized]:
    """Give cotangents the size of their magnitude."""
    return [Sized(n, abs(n)) for n in numbers]


def summed(samples: list) -> Any:
    """Add nested lists of numbers entry by entry: gradients of samples to the gradient of their sum."""
    first = samples[0]
    if isinstance(first, Sized):
        return total(samples)
    if isinstance(first, dict):
        return {name: summed([sample[name] for sample in samples]) for name in first}
    return [summed(list(entries)) for entries in zip(*samples, strict=True)]
