"""The law of large numbers: base functions and softmax far beyond where an exponential overflows."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance import network_twin
from numkan.conformance.adapter import Array, Layer, claims
from numkan.conformance.cases import NetworkCase
from numkan.conformance.law import assert_within, law

#: Beside zero: where exp(x) overflows in float32 (88.7) and in float64 (709.8), and where it is lost beside 1.
MAGNITUDES = (0.0, 1e-30, 1.0, 17.0, 40.0, 88.0, 89.0, 104.0, 709.0, 710.0, 746.0, 1e4)


def _bare(case: NetworkCase) -> Layer:
    """Return the first layer without its splines, whose policies have laws of their own."""
    return case.layer.replace(coef=np.zeros_like(case.layer.coef))


def _points(case: NetworkCase) -> Array:
    """Return samples (n, n_in) that hold every magnitude with both signs in every input, in another order each."""
    numbers = np.concatenate([MAGNITUDES, np.negative(MAGNITUDES)]).astype(case.dtype)
    return np.stack([np.roll(numbers, 7 * i) for i in range(case.layer.n_in)], axis=1)


@law(
    "N-BIG",
    "64 eps of the sum of the terms' magnitudes, plus underflow",
    "log-sum-exp; Blanchard, Higham, Higham 2021",
    "networks",
    needs=("layer_forward",),
)
def extremes(impl: Any, case: NetworkCase) -> None:
    """Base functions, their slopes and softmax are right where exponentials overflow or vanish, at x to 1e4."""
    if case.layer.extrapolate in ("nan", "raise"):
        return  # nothing is promised outside the domain
    layer, x = _bare(case), _points(case)
    factors = (layer.mask * layer.scale_base).astype(float)
    lost = float(np.finfo(case.dtype).tiny) * (1 + np.abs(x.astype(float)))  # of each base function, by underflow
    with np.errstate(all="ignore"):
        value, size = (network_twin.base(x.astype(float), layer.base_fun, sizes=sizes) for sizes in (False, True))
        slope, steep = (network_twin.base(x.astype(float), layer.base_fun, True, sizes) for sizes in (False, True))
    bound = (64 * case.eps * size + lost) @ np.abs(factors) + float(np.finfo(case.dtype).tiny)
    assert_within(impl.layer_forward(layer, x), value @ factors, bound, "output")
    if claims(impl, "layer_vjp"):
        y_bar = case.noise(len(x), layer.n_out)
        due = slope * (y_bar.astype(float) @ factors.T)
        bound_x = (64 * case.eps * steep + lost) * (np.abs(y_bar).astype(float) @ np.abs(factors).T)
        assert_within(impl.layer_vjp(layer, x, y_bar)["x"], due, bound_x, "gradient, x")
    if claims(impl, "network_loss"):
        _cross_entropy(impl, layer, x, value @ factors, bound)


def _cross_entropy(impl: Any, layer: Layer, x: Array, logits: Array, bound: Array) -> None:
    """Check the loss of logits of that size, one sample at a time: a difference of logits."""
    eps = float(np.finfo(x.dtype).eps)
    for n in range(len(x)):
        label = np.array([n % layer.n_out])
        value = impl.network_loss([layer], x[n : n + 1], label, "cross_entropy", np.ones(1, x.dtype))[0]
        due = network_twin.cross_entropy(logits[n : n + 1], label)
        room = 64 * eps * (1 + abs(logits[n]).max()) + 2 * bound[n].max()
        assert_within(value, due, room, f"cross-entropy of sample {n}")
