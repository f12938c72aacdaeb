"""numkan's own adapter, through its public functions: ``numkan.conformance.own:adapter`` on the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

import numkan
from numkan import KAN, KANLayer, spline
from numkan.conformance.adapter import KINDS, Array, Layer

__all__ = ["Numkan", "adapter", "layer_of", "model_of", "numbers_of"]

ARRAYS = ("grid", *KINDS, "mask")


def layer_of(numbers: Layer) -> KANLayer:
    """Return a KANLayer with these numbers."""
    options = {"base_fun": numbers.base_fun, "extrapolate": numbers.extrapolate, "dtype": numbers.coef.dtype}
    layer = KANLayer(numbers.n_in, numbers.n_out, numbers.G, numbers.k, init="power", **options)
    for name in ARRAYS:
        setattr(layer, name, getattr(numbers, name))
    return layer


def model_of(layers: Any) -> KAN:
    """Return a KAN with these layers."""
    first = layers[0]
    model = KAN(
        [first.n_in, *(layer.n_out for layer in layers)],
        grid=[layer.G for layer in layers],
        k=[layer.k for layer in layers],
        base_fun=first.base_fun,
        extrapolate=first.extrapolate,
        init="power",
        dtype=first.coef.dtype,
    )
    for into, numbers in zip(model.act_fun, layers, strict=True):
        for name in ARRAYS:
            setattr(into, name, getattr(numbers, name))
    return model


def numbers_of(layer: KANLayer) -> Layer:
    """Return a layer's numbers, copied."""
    arrays = {name: np.array(getattr(layer, name)) for name in ARRAYS}
    return Layer(**arrays, k=layer.k, base_fun=layer.base_fun, extrapolate=layer.extrapolate)


class Numkan:
    """numkan, with all methods that laws use."""

    name, version = "numkan", numkan.__version__
    dtype = ("float64", "float32")
    extrapolation = "fade"
    layer_extrapolate = ("continue", "fade", "linear", "clamp")
    base_fun = ("silu", "identity", "zero")
    layer_degrees = (1, 3)  # each compiles for ten seconds
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "exact"
    grid_update = "numkan"
    short_rank = "least norm"
    weights = least_change = exact_refits = containers = same_files = subnormals = True

    # --- splines ---

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        """See :class:`numkan.conformance.Adapter`, as for all methods here."""
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:  # noqa: D102
        return spline.B_batch(x[:, None], knots[None], k, nu)[:, 0]

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Array:  # noqa: D102
        return np.asarray(spline.design_matrix(x, knots, k, nu).toarray())

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:  # noqa: D102
        return spline.coef2curve(x[:, None], knots[None], coef[None, None], k)[:, 0, 0]

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:  # noqa: D102
        return spline.insert_knots(knots, coef, k, np.array([t], knots.dtype))

    def refinement_matrix(self, knots: Array, finer: Array, k: int) -> Array:  # noqa: D102
        return spline.refinement_matrix(knots, finer, k)

    def _fit(self, x: Array, y: Array, knots: Array, k: int, weight: Array | None = None) -> Any:
        return spline.curve2coef(x[:, None], y[:, None, None], knots[None], k, sample_weight=weight, return_info=True)

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Array | None = None) -> Array:  # noqa: D102
        return np.asarray(self._fit(x, y, knots, k, weight)[0][0, 0])

    def fit_rank(self, x: Array, knots: Array, k: int) -> int:  # noqa: D102
        return int(self._fit(x, np.zeros_like(x), knots, k)[1].rank[0])

    # --- layers ---

    def layer_forward(self, layer: Layer, x: Array) -> Array:  # noqa: D102
        return layer_of(layer)(x)

    def layer_vjp(self, layer: Layer, x: Array, y_bar: Array) -> dict[str, Array]:  # noqa: D102
        grads, x_bar = self.network_vjp([layer], x, y_bar)
        return {**grads[0], "x": x_bar}

    def layer_jacobian(self, layer: Layer, x: Array) -> dict[str, Array]:  # noqa: D102
        return {**self.network_jacobian([layer], x)[0], "x": self.network_derivative([layer], x)}

    def update_grid(self, layer: Layer, x: Array, grid_eps: float) -> Layer:  # noqa: D102
        moved = layer_of(layer)
        moved.grid_eps = grid_eps
        moved.update_grid_from_samples(x)
        return numbers_of(moved)

    def refine(self, layer: Layer, G: int) -> Layer:  # noqa: D102
        return numbers_of(layer_of(layer).refine(G))

    # --- networks ---

    def model(self, layers: Any) -> KAN:  # noqa: D102
        return model_of(layers)

    def state(self, model: Any) -> bytes:  # noqa: D102
        return b"".join(getattr(layer, name).tobytes() for layer in model.act_fun for name in ARRAYS)

    def set_threads(self, count: int) -> int:  # noqa: D102
        before = numkan.get_threads()
        numkan.set_threads(count)
        return before

    def network_forward(self, layers: Any, x: Array) -> Array:  # noqa: D102
        return self.model(layers)(x)

    def network_loss(self, layers: Any, x: Array, y: Array, loss: str, weight: Array) -> Any:  # noqa: D102
        model = self.model(layers)
        value, grad = model.loss_and_grad(x, y, loss, weight)
        return value, model.unravel(grad)

    def network_vjp(self, layers: Any, x: Array, y_bar: Array) -> tuple[list[dict[str, Array]], Array]:  # noqa: D102
        model = self.model(layers)
        grad, x_bar = model.vjp(x, y_bar)
        return model.unravel(grad), x_bar

    def network_jvp(self, layers: Any, x: Array, dots: list[dict[str, Array]], x_dot: Array) -> Array:  # noqa: D102
        model = self.model(layers)
        change = np.zeros_like(model.params)
        for into, dot in zip(model.unravel(change), dots, strict=True):
            for name in KINDS:
                into[name][...] = dot[name]
        return model.jvp(x, change, x_dot)

    def network_jacobian(self, layers: Any, x: Array) -> list[dict[str, Array]]:  # noqa: D102
        model = self.model(layers)
        rows = model.jacobian(x)
        read = [[model.unravel(row) for row in sample] for sample in rows]

        def gathered(depth: int, name: str) -> Array:
            shape = (*rows.shape[:2], *getattr(layers[depth], name).shape)
            return np.array([[row[depth][name] for row in sample] for sample in read]).reshape(shape)

        return [{name: gathered(depth, name) for name in KINDS} for depth in range(len(layers))]

    def network_derivative(self, layers: Any, x: Array) -> Array:  # noqa: D102
        return self.model(layers).derivative(x)

    def save(self, layers: Any, path: Any) -> None:  # noqa: D102
        self.model(layers).save(path)

    def load(self, path: Any) -> list[Layer]:  # noqa: D102
        return [numbers_of(layer) for layer in KAN.load(path).act_fun]


adapter = Numkan()
