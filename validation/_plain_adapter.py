"""A correct adapter in plain NumPy, written from the textbook: what `kit_trial.py` changes at random.

B-splines by the recursion of Cox and de Boor, knots inserted by Boehm's rule, fits by singular values, and layers,
networks and losses with their gradients. The spline fades outside its knots.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Plain:
    """The adapter."""

    name = "plain NumPy"
    dtype = ("float64", "float32")
    extrapolation = "fade"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "exact"
    short_rank = "least norm"
    base_fun = ("silu", "identity")
    weights = True

    # --- splines ---

    def indicators(self, x: Any, knots: Any, k: int) -> Any:
        """Return 1 in the span that holds a point, 0 in the others; the domain is closed at its right end."""
        held = (knots[:-1] <= x[:, None]) & (x[:, None] < knots[1:])
        end = len(knots) - 1 - k
        last = max(j for j in range(k, end) if knots[j] < knots[j + 1])
        held[x == knots[end]] = np.arange(len(knots) - 1) == last
        return held.astype(knots.dtype)

    def ratio(self, over: Any, under: Any) -> Any:
        """Return a quotient, 0/0 being 0."""
        over, under = np.broadcast_arrays(over, under)
        return np.divide(over, under, out=np.zeros_like(over), where=under > 0)

    def values(self, x: Any, knots: Any, k: int, degree: int) -> Any:
        """Return the functions of a degree, at points that are finite, in the spans of degree k."""
        values = self.indicators(x, knots, k)
        x = np.where(np.isfinite(x), x, knots[0])[:, None]
        for d in range(1, degree + 1):
            width = knots[d:] - knots[:-d]
            rising = self.ratio(x - knots[: -d - 1], width[:-1]) * values[:, :-1]
            falling = self.ratio(knots[d + 1 :] - x, width[1:]) * values[:, 1:]
            values = rising + falling
        return values

    def basis(self, x: Any, knots: Any, k: int) -> Any:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Any, knots: Any, k: int, nu: int) -> Any:
        values = np.zeros((len(x), len(knots) - 1 - k), knots.dtype)
        if nu <= k:
            values = self.values(x, knots, k, k - nu)
            for d in range(k - nu + 1, k + 1):
                quotient = self.ratio(values, knots[d:] - knots[:-d])
                values = (quotient[:, :-1] - quotient[:, 1:]) * knots.dtype.type(d)
        values[np.isnan(x)] = np.nan
        return values

    def curve(self, x: Any, knots: Any, coef: Any, k: int) -> Any:
        return (self.basis(x, knots, k) * coef).sum(axis=1)

    def insert_knot(self, knots: Any, coef: Any, k: int, t: float) -> Any:
        new = knots.dtype.type(t)
        j = max(i for i in range(len(knots) - 1) if knots[i] <= new < knots[i + 1])
        coef = np.append(coef, coef[-1:])  # its last share is 0
        finer = np.empty_like(coef)
        for i in range(len(finer)):
            if i <= j - k:
                finer[i] = coef[i]
            elif i > j:
                finer[i] = coef[i - 1]
            else:
                share = (new - knots[i]) / (knots[i + k] - knots[i])
                finer[i] = share * coef[i] + (1 - share) * coef[i - 1]
        return np.concatenate([knots[: j + 1], [new], knots[j + 1 :]]), finer

    def fit_curve(self, x: Any, y: Any, knots: Any, k: int, weight: Any = None) -> Any:
        root = np.ones(len(x)) if weight is None else np.sqrt(weight.astype(float))
        matrix = root[:, None] * self.basis(x, knots, k).astype(float)
        left, singular, right = np.linalg.svd(matrix, full_matrices=False)
        used = singular > 500 * np.finfo(x.dtype).eps * singular[0]
        inverse = np.divide(1, singular, out=np.zeros_like(singular), where=used)
        return (right.T @ (inverse * (left.T @ (root * y)))).astype(x.dtype)

    # --- layers ---

    def base(self, layer: Any, x: Any) -> Any:
        """Return the base function, and its derivative."""
        if layer.base_fun == "identity":
            return x, np.ones_like(x)
        with np.errstate(over="ignore"):
            share = 1 / (1 + np.exp(-x))
        return x * share, share * (1 + x * (1 - share))

    def layer_forward(self, layer: Any, x: Any) -> Any:
        y = np.zeros((len(x), layer.n_out), layer.coef.dtype)
        for i in range(layer.n_in):
            point = x[:, i].copy()
            values = self.basis(point, layer.grid[i], layer.k)
            spline = (values[:, None, :] * layer.coef[i]).sum(axis=2)
            base, _ = self.base(layer, point)
            edges = layer.scale_base[i] * base[:, None] + layer.scale_sp[i] * spline
            y += np.where(layer.mask[i] > 0, edges, 0)
        return y

    def layer_vjp(self, layer: Any, x: Any, y_bar: Any) -> Any:
        grads = {name: np.zeros_like(getattr(layer, name)) for name in ("coef", "scale_base", "scale_sp")}
        grads["x"] = np.zeros_like(x)
        for i in range(layer.n_in):
            point = x[:, i].copy()
            values = self.basis(point, layer.grid[i], layer.k)
            slopes = self.dbasis(point, layer.grid[i], layer.k, 1)
            base, steep = self.base(layer, point)
            bar = y_bar * layer.mask[i]
            by_spline = bar.T @ values
            grads["scale_base"][i] = bar.T @ base
            grads["scale_sp"][i] = (by_spline * layer.coef[i]).sum(axis=1)
            grads["coef"][i] = layer.scale_sp[i][:, None] * by_spline
            curves = (slopes[:, None, :] * layer.coef[i]).sum(axis=2)
            edges = layer.scale_base[i] * steep[:, None] + layer.scale_sp[i] * curves
            grads["x"][:, i] = (bar * edges).sum(axis=1)
        return grads

    # --- networks ---

    def network_forward(self, layers: Any, x: Any) -> Any:
        for layer in layers:
            x = self.layer_forward(layer, x)
        return x

    def network_vjp(self, layers: Any, x: Any, y_bar: Any) -> Any:
        inputs = [x]
        for layer in layers[:-1]:
            inputs.append(self.layer_forward(layer, inputs[-1]))
        grads = []
        for place in range(len(layers) - 1, -1, -1):
            grad = self.layer_vjp(layers[place], inputs[place], y_bar)
            y_bar = grad.pop("x")
            grads.insert(0, grad)
        return grads, y_bar

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> Any:
        out = self.network_forward(layers, x)
        share = weight / weight.sum()
        rows = np.arange(len(x))
        if loss == "mse":
            value = (share[:, None] * (out - y) ** 2).sum() / out.shape[1]
            bar = 2 * share[:, None] * (out - y) / out.shape[1]
        else:
            lowered = out - out.max(axis=1, keepdims=True)
            powers = np.exp(lowered)
            total = powers.sum(axis=1)
            value = (share * (np.log(total) - lowered[rows, y])).sum()
            bar = powers / total[:, None]
            bar[rows, y] -= 1
            bar = bar * share[:, None]
        return value, self.network_vjp(layers, x, bar.astype(x.dtype))[0]


adapter = Plain()
