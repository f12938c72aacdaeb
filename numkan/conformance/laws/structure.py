"""Laws of the structure of networks: edges add up, the order of nodes is arbitrary, masked parts have no effect."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance import network_twin
from numkan.conformance.adapter import KINDS, Array, Layer
from numkan.conformance.cases import NetworkCase
from numkan.conformance.law import assert_identical, assert_within, law, require
from numkan.conformance.steady import is_steady

LAYERS: dict[str, Any] = {"about": "networks", "needs": ("layer_forward",)}
NETWORKS: dict[str, Any] = {"about": "networks", "needs": ("network_forward",)}


def alike(impl: Any, got: Any, want: Any, bound: Any, what: str) -> None:
    """Require the same bits, or what rounding may leave of them, as the implementation declares."""
    if impl.bits == "exact":
        assert_identical(got, want, what)
    else:
        assert_within(got, want, bound, what)


@law("N-ADD", "4 (n_in + 1) (k + 2) eps sum |terms|", "Kolmogorov-Arnold", **LAYERS, policies=("bits",))
def edges_add(impl: Any, case: NetworkCase) -> None:
    """A layer's output is the sum of its edges; masking one edge subtracts its activation."""
    layer = case.layer.replace(mask=np.ones_like(case.layer.mask))
    whole = impl.layer_forward(layer, case.x).astype(float)
    size = network_twin.sizes([layer.astype(float)], case.x.astype(float))[-1]
    bound = 4 * (layer.n_in + 1) * (layer.k + 2) * case.eps * size
    total = np.zeros_like(whole)
    for i in range(layer.n_in):
        alone, without = np.zeros_like(layer.mask), np.ones_like(layer.mask)
        alone[i], without[i, 0] = 1, 0
        edges = impl.layer_forward(layer.replace(mask=alone), case.x).astype(float)
        total += edges
        rest = impl.layer_forward(layer.replace(mask=without), case.x).astype(float)
        assert_within(rest[:, 0], whole[:, 0] - edges[:, 0], bound[:, 0], f"without edge {i}")
        alike(impl, rest[:, 1:], whole[:, 1:], bound[:, 1:], "other outputs")
    assert_within(total, whole, bound, "sum of the edges")


def _reordered(layers: list[Layer], depth: int, order: Array) -> list[Layer]:
    """Return layers with the nodes after layer `depth` in another order: its outputs, and the next layer's inputs."""
    out = list(layers)
    outputs = {name: getattr(layers[depth], name)[:, order].copy() for name in (*KINDS, "mask")}
    out[depth] = layers[depth].replace(**outputs)
    if depth + 1 < len(layers):
        inputs = {name: getattr(layers[depth + 1], name)[order].copy() for name in ("grid", *KINDS, "mask")}
        out[depth + 1] = layers[depth + 1].replace(**inputs)
    return out


@law("N-PERM-H", "64 eps sum |terms|", "symmetry", **NETWORKS)
def hidden_order(impl: Any, case: NetworkCase) -> None:
    """Hidden nodes in another order, with all that belongs to them, give the same outputs."""
    if not is_steady(case):
        return
    layers = list(case.layers)
    for depth in range(len(layers) - 1):
        layers = _reordered(layers, depth, np.arange(layers[depth].n_out)[::-1])
    before, after = (impl.network_forward(numbers, case.x) for numbers in (list(case.layers), layers))
    assert_within(after, before, 64 * case.eps * network_twin.sizes(*case.exact)[-1], "output")


@law("N-PERM-O", "exact, or 64 eps sum |terms|, as `bits` declares", "symmetry", **NETWORKS, policies=("bits",))
def output_order(impl: Any, case: NetworkCase) -> None:
    """Outputs in another order are the same numbers in that order."""
    if impl.bits != "exact" and not is_steady(case):
        return
    order = np.roll(np.arange(case.y.shape[1]), 1)
    moved = _reordered(list(case.layers), len(case.layers) - 1, order)
    want = impl.network_forward(case.layers, case.x)[:, order]
    bound = 64 * case.eps * network_twin.sizes(*case.exact)[-1][:, order]
    alike(impl, impl.network_forward(moved, case.x), want, bound, "outputs")


@law(
    "N-PRUNE",
    "exact (0.0 is -0.0), or 64 eps sum |terms|, as `bits` declares",
    "pykan, prune",
    **NETWORKS,
    policies=("bits",),
)
def pruned(impl: Any, case: NetworkCase) -> None:
    """A network whose masked inputs, nodes and edges are taken out is the masked one; masked numbers count nothing."""
    layers = list(case.layers)
    for depth in range(len(layers) - 1):
        into, out_of = layers[depth].mask.copy(), layers[depth + 1].mask.copy()
        into[:, 0], out_of[0] = 0, 0
        layers[depth], layers[depth + 1] = layers[depth].replace(mask=into), layers[depth + 1].replace(mask=out_of)
    masked = impl.network_forward(layers, case.x)
    bound = 64 * case.eps * network_twin.sizes([layer.astype(float) for layer in layers], case.x.astype(float))[-1]
    other = [layer.replace(coef=np.where(layer.mask[:, :, None] == 0, 7, layer.coef)) for layer in layers]
    alike(impl, impl.network_forward(other, case.x), masked, bound, "other numbers under the mask")
    for depth in range(len(layers) - 1):
        if layers[depth].n_out > 1:
            layers = _reordered(layers, depth, np.arange(1, layers[depth].n_out))
    if impl.bits == "exact" or is_steady(case):
        alike(impl, impl.network_forward(layers, case.x), masked, bound, "without the masked nodes")


@law(
    "N-ZERO", "exact; on other knots, and 2 x: 8 n_in eps if `bits` are not", "definition", **LAYERS, policies=("bits",)
)
def no_splines(impl: Any, case: NetworkCase) -> None:
    """Without coefficients the knots do not matter, and the output is the base alone."""
    bare = case.layer.replace(coef=np.zeros_like(case.layer.coef))
    alone = impl.layer_forward(bare, case.x)
    bound = 8 * bare.n_in * case.eps * network_twin.sizes([bare.astype(float)], case.x.astype(float))[-1]
    other = bare.replace(grid=bare.grid + case.dtype.type(3), scale_sp=bare.scale_sp * 0)
    alike(impl, impl.layer_forward(other, case.x), alone, bound, "on other knots")
    bases = getattr(impl, "base_fun", None) or ("silu",)
    if "zero" in bases:
        found = impl.layer_forward(bare.replace(base_fun="zero"), case.x)
        require(not found.any(), f"{found} without a spline and without a base")
    if "identity" in bases:
        single = np.zeros_like(bare.mask)
        single[-1] = 1
        plain = bare.replace(base_fun="identity", mask=single, scale_base=np.full_like(bare.scale_base, 2))
        expected = np.repeat(2 * case.x[:, [-1]], bare.n_out, axis=1)
        found = impl.layer_forward(plain, case.x)
        alike(impl, found, expected, 8 * bare.n_in * case.eps * abs(expected), "2 x")
