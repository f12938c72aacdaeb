r"""The random parameters of a new layer.

Two schemes, both from a local :class:`numpy.random.Generator`:

``"pykan"``
    The scheme of the reference implementation (Liu et al., "KAN: Kolmogorov-Arnold Networks", arXiv 2404.19756):
    splines of minimum norm through uniform noise of size noise_scale / G at the interior knots,
    :math:`s_{base} = (\mu + \sigma\, U(-1, 1)) / \sqrt{n_{in}}`, and :math:`s_{sp} = 1 / \sqrt{n_{in}}`.
``"power"``
    The power law of Rigas, Verma, Alexandridis and Wang, "Initialization schemes for Kolmogorov-Arnold networks: an
    empirical study" (arXiv 2509.03417), which keeps the variance of the activations from layer to layer bounded for any
    width and grid: normal numbers of standard deviation :math:`(n_{in} (G + k + 1))^{-\alpha}` for
    :math:`s_{base}`, with :math:`\alpha = 1/4`, and of exponent :math:`\beta = 7/4` for the coefficients;
    :math:`s_{sp} = 1`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan.spline.basis import basis_at_knots

__all__ = ["INITIALIZATIONS", "Drawn", "draw"]

INITIALIZATIONS = ("pykan", "power")

_POWER_BASE = 0.25
_POWER_COEF = 1.75


class Drawn(NamedTuple):
    """A layer's parameters, in float64."""

    coef: FloatArray  # (n_in, G + k, n_out), as it lies in memory
    scale_base: FloatArray  # (n_in, n_out)
    scale_sp: FloatArray  # (n_in, n_out)


def draw(
    init: str,
    rng: np.random.Generator,
    grid: FloatArray,
    k: int,
    n_out: int,
    noise_scale: float,
    scale_base_mu: float,
    scale_base_sigma: float,
) -> Drawn:
    """Draw the parameters of a layer whose inputs all have the knots ``grid[0]``; grid (n_in, G + 2k + 1)."""
    n_in, n_basis = grid.shape[0], grid.shape[1] - k - 1
    if init == "power":
        size = float(n_in * (n_basis + 1))
        coef = size**-_POWER_COEF * rng.standard_normal((n_in, n_basis, n_out))
        scale_base = size**-_POWER_BASE * rng.standard_normal((n_in, n_out))
        return Drawn(coef, scale_base, np.ones((n_in, n_out)))
    at_knots = basis_at_knots(np.asarray(grid[0], np.float64), k)
    noise = (rng.random((len(at_knots), n_in, n_out)) - 0.5) * (noise_scale / (n_basis - k))
    with one_blas_thread():
        through = scipy.linalg.pinv(at_knots)  # G + 1 conditions on G + k coefficients: the solution of minimum norm
    coef = np.einsum("pg,gio->ipo", through, noise)
    scale_base = (scale_base_mu + scale_base_sigma * rng.uniform(-1, 1, (n_in, n_out))) / np.sqrt(n_in)
    return Drawn(coef, scale_base, np.full((n_in, n_out), 1 / np.sqrt(n_in)))
