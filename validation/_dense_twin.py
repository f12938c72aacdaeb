"""A slow KAN in plain NumPy that adds up the magnitudes of the terms: the yardstick of `crosscheck_pykan.py`.

Every formula is evaluated twice, as it stands and with each product replaced by its absolute value. The second is the
sum of the magnitudes of the terms, the scale on which two correct programs may differ by rounding. It is dense, uses
the recursion as books print it (0/0 = 0, term by term), and shares nothing with numkan or pykan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit


def basis(x: np.ndarray, grid: np.ndarray, k: int) -> np.ndarray:
    """Cox-de Boor on the padded knots: x (n, n_in), grid (n_in, G+2k+1) -> (n, n_in, G+k)."""
    z, t = x[:, :, None], grid[None]
    b = ((z >= t[..., :-1]) & (z < t[..., 1:])).astype(float)
    for d in range(1, k + 1):
        left = _ratio(z - t[..., : -d - 1], t[..., d:-1] - t[..., : -d - 1])
        right = _ratio(t[..., d + 1 :] - z, t[..., d + 1 :] - t[..., 1:-d])
        b = left * b[..., :-1] + right * b[..., 1:]
    return b


def basis_slope(x: np.ndarray, grid: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate the basis' derivative, and the sum of the magnitudes of its two terms; both (n, n_in, G+k)."""
    lower, t = basis(x, grid, k - 1), grid[None]
    left = k * _ratio(lower[..., :-1], t[..., k:-1] - t[..., : -k - 1])
    right = k * _ratio(lower[..., 1:], t[..., k + 1 :] - t[..., 1:-k])
    return left - right, left + right


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)


@dataclass(frozen=True)
class Layer:
    """Parameters of one layer: coef (n_in, n_out, G+k), grid (n_in, G+2k+1), the others (n_in, n_out)."""

    grid: np.ndarray
    coef: np.ndarray
    scale_base: np.ndarray
    scale_sp: np.ndarray
    mask: np.ndarray
    k: int


@dataclass(frozen=True)
class Terms:
    """Outputs, and sums of magnitudes: of the outputs' terms and of those of the gradient of the mean squared error."""

    y: np.ndarray
    activations: list[np.ndarray]
    size_y: np.ndarray
    size_gradient: list[dict[str, np.ndarray]]
    size_x: np.ndarray


def evaluate(layers: list[Layer], x: np.ndarray, target: np.ndarray) -> Terms:
    """Run the network forward, then the backward pass on magnitudes alone."""
    activations, size = [x], np.zeros(0)
    for layer in layers:
        b, s = basis(activations[-1], layer.grid, layer.k), _silu(activations[-1])
        base, spline = layer.mask * layer.scale_base, layer.mask * layer.scale_sp
        activations.append(s @ base + np.einsum("nip,io,iop->no", b, spline, layer.coef))
        size = abs(s) @ abs(base) + np.einsum("nip,io,iop->no", b, abs(spline), abs(layer.coef))
    delta = 2 / target.size * (size + abs(target))  # d loss / dy = 2 (y - target) / (n n_out), term by term
    gradients = []
    for layer, z in zip(reversed(layers), reversed(activations[:-1]), strict=True):
        b, s = basis(z, layer.grid, layer.k), abs(_silu(z))
        db, ds = basis_slope(z, layer.grid, layer.k)[1], _silu_slope_size(z)
        base, spline, coef = abs(layer.mask * layer.scale_base), abs(layer.mask * layer.scale_sp), abs(layer.coef)
        gradients.append(
            {
                "coef": np.einsum("no,nip,io->iop", delta, b, spline),
                "scale_base": np.einsum("no,ni->io", delta, s) * abs(layer.mask),
                "scale_sp": np.einsum("no,nip,iop->io", delta, b, coef) * abs(layer.mask),
            }
        )
        delta = np.einsum("no,nip,io,iop->ni", delta, db, spline, coef) + (delta @ base.T) * ds
    return Terms(activations[-1], activations, size, gradients[::-1], delta)


def _silu(x: np.ndarray) -> np.ndarray:
    return x * expit(x)


def _silu_slope_size(x: np.ndarray) -> np.ndarray:
    return expit(x) * (1 + abs(x) * expit(-x))
