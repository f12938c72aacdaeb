"""The questions of the golden vectors about layers and networks, and their exact answers.

Parameters are small dyadic numbers from a rule, so that any reader can see that there is nothing behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from _exact_layers import (
    ZERO,
    Layer,
    Sized,
    activations,
    backward,
    edge,
    features,
    forward,
    given,
    pull_back,
    summed,
    total,
)
from _golden_splines import BOTH, Question, padded

#: Everything here is within this many u of its size, the bound of numkan's own laws of networks.
UNITS = 128


class Dyadic:
    """A row of numbers between -1 and 1 with denominators of 16, from a rule: state -> 37 state + 11 mod 101."""

    def __init__(self, start: int) -> None:
        self.state = start

    def next(self) -> Fraction:
        self.state = (self.state * 37 + 11) % 101
        return Fraction(self.state % 33 - 16, 16)

    def table(self, *shape: int) -> Any:
        if not shape:
            return self.next()
        return [self.table(*shape[1:]) for _ in range(shape[0])]


def layer_of(
    rule: Dyadic, n_in: int, n_out: int, k: int, base_fun: str, extrapolate: str, uneven: bool = False, G: int = 4
) -> Layer:
    """Draw a layer on [-2, 2], shifted by 1/4 at every second input, one edge of it masked."""
    grid = []
    for i in range(n_in):
        shift = Fraction(i % 2, 4)
        interior = [Fraction(4 * j, G) - 2 + shift for j in range(G + 1)]
        if uneven:
            interior = [t + (Fraction(j % 3, 8) if 0 < j < G else ZERO) for j, t in enumerate(interior)]
        grid.append(padded(interior, k))
    mask = [[Fraction(1)] * n_out for _ in range(n_in)]
    if n_in * n_out > 2:
        mask[n_in - 1][0] = ZERO
    shape = (n_in, n_out)
    return Layer(
        grid,
        rule.table(*shape, G + k),
        rule.table(*shape),
        rule.table(*shape),
        mask,
        k,
        base_fun,
        extrapolate,
    )


def tensors(layer: Layer, prefix: str = "") -> dict[str, Any]:
    """Return the arrays of a layer by their names."""
    names = ("grid", "coef", "scale_base", "scale_sp", "mask")
    return {prefix + name: getattr(layer, name) for name in names}


INSIDE = [Fraction(n, 16) for n in (-28, -16, -9, 0, 5, 13, 21, 27)]
ENDS = [Fraction(-2), Fraction(2), Fraction(9, 4), Fraction(-7, 4)]
OUTSIDE = [Fraction(n, 16) for n in (-34, -33, 33, 35, 37, -60, 75, 200)]


def rows(points: list[Fraction], n_in: int) -> list[list[Fraction]]:
    """Turn points into samples: each input gets them in another order."""
    return [[points[(n * (2 * i + 1) + i) % len(points)] for i in range(n_in)] for n in range(len(points))]


def layer() -> Iterator[Question]:
    """Layers of every degree inside their grids, and of some degrees outside, under each rational policy."""
    for k in range(6):
        for base_fun in ("identity", "zero")[: 1 + (k == 3)]:
            made = layer_of(Dyadic(k + 1), 2, 3, k, base_fun, "fade", uneven=k % 2 == 1)
            points = INSIDE if k < 2 else INSIDE + ENDS  # at k = 1 the slope at a last knot is a matter of convention
            yield answered(f"inside, k={k} b={base_fun}", made, rows(points, 2))
    for extrapolate in ("fade", "clamp", "linear", "continue"):
        for k in (2, 3):
            made = layer_of(Dyadic(7), 2, 2, k, "identity", extrapolate, uneven=True)
            yield answered(f"outside, {extrapolate} k={k}", made, rows(OUTSIDE, 2))


def answered(name: str, made: Layer, x: list[list[Fraction]]) -> Question:
    """Answer with a layer's outputs, its derivatives by x, and what y_bar gives."""
    y_bar = [[Fraction((3 * n + 2 * o) % 7 - 3, 4) for o in range(made.n_out)] for n in range(len(x))]
    samples = [given_inputs(row) for row in x]
    values = [forward(made, row) for row in samples]
    slopes = []
    for row in samples:
        steep = features(made, row, 1)
        slopes.append([[edge(made, i, o, steep[i]) for i in range(made.n_in)] for o in range(made.n_out)])
    pulled = [backward(made, row, given(bar)) for row, bar in zip(samples, y_bar, strict=True)]
    outputs = {"y": values, "dy_dx": slopes, "x_bar": [x_bar for _, x_bar in pulled]}
    outputs |= {f"{kind}_bar": array for kind, array in summed([grad for grad, _ in pulled]).items()}
    settings = {"k": made.k, "base_fun": made.base_fun, "extrapolate": made.extrapolate}
    inputs = {"x": x, "y_bar": y_bar, **tensors(made)}
    return Question(name, BOTH, settings, inputs, {key: (value, UNITS) for key, value in outputs.items()})


def given_inputs(row: list[Fraction]) -> list[Sized]:
    """Give inputs the size zero: they carry no error."""
    return [Sized(point, ZERO) for point in row]


def network() -> Iterator[Question]:
    """Small networks whose hidden activations stay inside their grids: outputs, loss and gradients by everything."""
    for name, width, k, base_fun in (
        ("[2, 2, 1] k=3 b=identity", (2, 2, 1), 3, "identity"),
        ("[2, 3, 2] k=2 b=zero", (2, 3, 2), 2, "zero"),
        ("[1, 2, 2, 1] k=1 b=identity", (1, 2, 2, 1), 1, "identity"),
    ):
        rule = Dyadic(3 * k)
        layers = [layer_of(rule, a, b, k, base_fun, "fade") for a, b in pairwise(width)]
        layers = [*layers[:1], *(widened(made) for made in layers[1:])]
        yield learned(name, layers, rows(INSIDE[1:6], width[0]))


def widened(made: Layer) -> Layer:
    """Stretch the grids of a hidden layer to [-8, 8] or so, where its inputs are sure to lie."""
    grid = [[4 * t for t in knots] for knots in made.grid]
    return Layer(grid, made.coef, made.scale_base, made.scale_sp, made.mask, made.k, made.base_fun, made.extrapolate)


def learned(name: str, layers: list[Layer], x: list[list[Fraction]]) -> Question:
    """Answer with the mean squared error over all n * n_out entries, and its gradient."""
    n_out = layers[-1].n_out
    target = [[Fraction((5 * n + 3 * o) % 8 - 4, 2) for o in range(n_out)] for n in range(len(x))]
    runs = [activations(layers, row) for row in x]
    for acts in runs:
        for made, hidden in zip(layers, acts, strict=False):
            ends = [(knots[made.k], knots[len(knots) - 1 - made.k]) for knots in made.grid]
            assert all(low < a.value < high for (low, high), a in zip(ends, hidden, strict=True)), "a grid is left"
    count = len(x) * n_out
    errors = [
        [Sized(a.value - t, a.size + abs(t)) for a, t in zip(acts[-1], wanted, strict=True)]
        for acts, wanted in zip(runs, target, strict=True)
    ]
    loss = total([Sized(e.value**2 / count, e.size**2 / count) for row in errors for e in row])
    bars = [[Sized(2 * e.value / count, 2 * e.size / count) for e in row] for row in errors]
    pulled = [pull_back(layers, acts, bar) for acts, bar in zip(runs, bars, strict=True)]
    outputs: dict[str, Any] = {"y": [acts[-1] for acts in runs], "loss": loss, "x_grad": [bar for _, bar in pulled]}
    for depth, grad in enumerate(summed([grads for grads, _ in pulled])):
        outputs |= {f"{depth}.{kind}_grad": array for kind, array in grad.items()}
    inputs: dict[str, Any] = {"x": x, "target": target}
    for depth, made in enumerate(layers):
        inputs |= tensors(made, f"{depth}.")
    first = layers[0]
    settings = {"k": first.k, "base_fun": first.base_fun, "extrapolate": first.extrapolate, "depth": len(layers)}
    return Question(name, BOTH, settings, inputs, {key: (value, UNITS) for key, value in outputs.items()})
