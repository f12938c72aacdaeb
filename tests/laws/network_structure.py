"""Laws of what a network is made of: edges add up, nodes have no order, what is masked is not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests import naive_network as naive
from tests.laws import Array, Law, assert_identical, assert_within, law
from tests.laws.networks import NetworkCase, Networks, is_steady
from tests.naive_network import KINDS, Layer

LAWS: list[Law] = []


@law("N-ADD", "4 (n_in + 1) (k + 2) eps sum |terms|", "Kolmogorov-Arnold", LAWS)
def edges_add(impl: Networks, case: NetworkCase) -> None:
    """A layer's output is the sum of its edges; masking one edge subtracts its activation."""
    layer = case.first(mask=np.ones_like(case.layer.mask))
    whole = impl.layer_forward(layer, case.x).astype(float)
    size = naive.sizes([layer.astype(float)], case.x.astype(float))[-1]
    n_in, n_out = layer.mask.shape
    bound = 4 * (n_in + 1) * (layer.k + 2) * case.eps * size
    total = np.zeros_like(whole)
    for i in range(n_in):
        alone, without = np.zeros_like(layer.mask), np.ones_like(layer.mask)
        alone[i], without[i, 0] = 1, 0
        edges = impl.layer_forward(layer._replace(mask=alone), case.x).astype(float)
        total += edges
        rest = impl.layer_forward(layer._replace(mask=without), case.x).astype(float)
        assert_within(rest[:, 0], whole[:, 0] - edges[:, 0], bound[:, 0], f"without edge {i}")
        if n_out > 1:
            assert_identical(rest[:, 1:], whole[:, 1:], "other outputs")
    assert_within(total, whole, bound, "sum of the edges")


def _reordered(layers: list[Layer], depth: int, order: Array) -> list[Layer]:
    """The nodes behind layer `depth` in another order: its outputs, and the inputs of the next layer."""
    out = list(layers)
    outputs = {name: getattr(layers[depth], name)[:, order].copy() for name in (*KINDS, "mask")}
    out[depth] = layers[depth]._replace(**outputs)
    if depth + 1 < len(layers):
        inputs = {name: getattr(layers[depth + 1], name)[order].copy() for name in ("grid", *KINDS, "mask")}
        out[depth + 1] = layers[depth + 1]._replace(**inputs)
    return out


@law("N-PERM-H", "64 eps sum |terms|", "symmetry", LAWS)
def hidden_order(impl: Networks, case: NetworkCase) -> None:
    """Hidden nodes in another order, with all that belongs to them, give the same outputs."""
    if not is_steady(case):
        return
    layers = list(case.layers)
    for depth in range(len(layers) - 1):
        layers = _reordered(layers, depth, np.arange(layers[depth].coef.shape[1])[::-1])
    before, after = (impl.network_forward(numbers, case.x) for numbers in (case.layers, layers))
    assert_within(after, before, 64 * case.eps * naive.sizes(*case.exact)[-1])


@law("N-PERM-O", "exact", "symmetry", LAWS)
def output_order(impl: Networks, case: NetworkCase) -> None:
    """Outputs in another order are the same numbers in that order."""
    order = np.roll(np.arange(case.y.shape[1]), 1)
    moved = _reordered(list(case.layers), len(case.layers) - 1, order)
    assert_identical(
        impl.network_forward(moved, case.x), impl.network_forward(case.layers, case.x)[:, order], "outputs"
    )


@law("N-PRUNE", "exact (0.0 is -0.0)", "pykan, prune", LAWS)
def pruned(impl: Networks, case: NetworkCase) -> None:
    """A network whose masked inputs, nodes and edges are taken out is the masked one; masked numbers count nothing."""
    layers = list(case.layers)
    for depth in range(len(layers) - 1):
        into, out_of = layers[depth].mask.copy(), layers[depth + 1].mask.copy()
        into[:, 0], out_of[0] = 0, 0
        layers[depth], layers[depth + 1] = (
            layers[depth]._replace(mask=into),
            layers[depth + 1]._replace(mask=out_of),
        )
    masked = impl.network_forward(layers, case.x)
    other = [layer._replace(coef=np.where(layer.mask[:, :, None] == 0, 7, layer.coef)) for layer in layers]
    assert_identical(impl.network_forward(other, case.x), masked, "other numbers behind the mask")
    for depth in range(len(layers) - 1):
        if layers[depth].coef.shape[1] > 1:
            layers = _reordered(layers, depth, np.arange(1, layers[depth].coef.shape[1]))
    assert_identical(impl.network_forward(layers, case.x), masked, "without the masked nodes")


def _covered(case: NetworkCase) -> NetworkCase:
    """The case with simple knots, and with grids that hold all activations."""
    x, layers = case.x, []
    for layer in case.layers:
        gaps = np.maximum(np.diff(layer.grid, axis=1), 0.1)
        inside = slice(layer.k, gaps.shape[1] - layer.k)
        low, high = x.min(axis=0) - 0.1, x.max(axis=0) + 0.1
        gaps *= ((high - low) / gaps[:, inside].sum(axis=1))[:, None]
        start = low - gaps[:, : layer.k].sum(axis=1)
        knots = np.concatenate([start[:, None], start[:, None] + np.cumsum(gaps, axis=1)], axis=1)
        layers.append(layer._replace(grid=knots.astype(case.dtype)))
        x = naive.forward(layers[-1].astype(float), x.astype(float))
    return replace(case, layers=tuple(layers))


@law("N-REF", "64 (k + 1) eps sum |terms|", "knot insertion; Boehm 1980", LAWS)
def refined(impl: Networks, case: NetworkCase) -> None:
    """On nested grids outputs and derivatives by the inputs stay, where grids hold the activations."""
    case = _covered(case)
    if not is_steady(case):
        return
    k, times = max(layer.k for layer in case.layers), 2
    finer = impl.refine(case.layers, times)
    before, after = (impl.network_forward(layers, case.x) for layers in (case.layers, finer))
    bound = 64 * (k + 1) * case.eps * times
    assert_within(after, before, bound * naive.sizes(*case.exact)[-1], "outputs")
    before, after = (impl.network_derivative(layers, case.x) for layers in (case.layers, finer))
    assert_within(after, before, bound * naive.jacobian_sizes(*case.exact)[1], "derivatives")


@law("N-ZERO", "exact", "definition", LAWS)
def no_splines(impl: Networks, case: NetworkCase) -> None:
    """Without coefficients the knots do not matter, and the output is the base alone."""
    bare = case.first(coef=np.zeros_like(case.layer.coef))
    alone = impl.layer_forward(bare, case.x)
    other = bare._replace(grid=(bare.grid + case.dtype.type(3)), scale_sp=bare.scale_sp * 0)
    assert_identical(impl.layer_forward(other, case.x), alone, "on other knots")
    assert not impl.layer_forward(bare._replace(base_fun="zero"), case.x).any()
    single = np.zeros_like(bare.mask)
    single[-1] = 1
    plain = bare._replace(base_fun="identity", mask=single, scale_base=np.full_like(bare.scale_base, 2))
    expected = np.repeat(2 * case.x[:, [-1]], bare.mask.shape[1], axis=1)
    assert_identical(impl.layer_forward(plain, case.x), expected, "2 x")
