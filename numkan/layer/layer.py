"""One layer of a KAN: a grid for each input, an edge from every input to every output."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from numkan._check import (
    FloatArray,
    as_samples,
    check_dtype,
    check_finite,
    check_flag,
    check_number,
    check_option,
    check_seed,
    check_size,
)
from numkan._interrupt import at_once
from numkan.base import Function, base_function
from numkan.layer.grid import Coverage, coverage, first_grid, grid_from_samples, refined_grid
from numkan.layer.initialize import INITIALIZATIONS, draw
from numkan.layer.pack import new_packed, over_inputs, pack, packed_shape
from numkan.layer.packed import PackedLayer
from numkan.layer.parameters import SETTINGS, LayerParameters
from numkan.layer.refine import grid_from_parent, refine_coef
from numkan.layer.refit import refit
from numkan.spline.lstsq import COND
from numkan.spline.policies import EXTRAPOLATIONS
from numkan.spline.spline_basis import SplineBasis

__all__ = ["KANLayer"]


class KANLayer(LayerParameters):
    r"""A layer of a Kolmogorov-Arnold network.

    .. math::

        y_o = \sum_i \phi_{io}(x_i), \qquad
        \phi_{io}(x) = m_{io} \left( s^{base}_{io}\, b(x) + s^{sp}_{io} \sum_{p=0}^{G+k-1} c_{iop}\, B_{p,k}(x; t_i)
        \right)

    Parameters
    ----------
    n_in, n_out : int
        Number of inputs and outputs.
    grid : int
        Number of grid intervals G.
    k : int
        Degree of the splines.
    noise_scale : float
        Size of the noise that the splines start from, see `init`.
    scale_base_mu, scale_base_sigma : float
        Mean and spread of the base scales under ``init="pykan"``.
    base_fun : {"silu", "identity", "zero"} or (callable, callable)
        The base function b, or a pair (value, derivative) of functions of an array. Its second and third derivative
        may follow in the tuple, for :meth:`numkan.KAN.derivatives`.
    grid_eps : float in [0, 1]
        How grid updates lay knots: 1 uniform, 0 at the quantiles of the samples.
    grid_range : (float, float)
        Domain of the first grid.
    sp_trainable, sb_trainable : bool
        Whether `scale_sp` and `scale_base` are among the trainable parameters.
    extrapolate : {"continue", "fade", "linear", "clamp", "nan", "raise"}
        The value of a spline outside its grid: the end polynomial for 3 % of the domain and then a straight line,
        pykan's padded basis, a straight line, the end value, NaN, or an error.
    init : {"pykan", "power"}
        How parameters are drawn, see :mod:`numkan.layer.initialize`: the scheme of pykan, or the power law of Rigas et
        al. (arXiv 2509.03417).
    seed : int, numpy.random.Generator or None
        Source of the random numbers; no global state is read or written.
    dtype : float32 or float64

    Attributes
    ----------
    coef : ndarray, shape (n_in, n_out, G + k)
        Live view: writing into it changes the layer.
    scale_base, scale_sp, mask : ndarray, shape (n_in, n_out)
        Live views.
    grid : ndarray, shape (n_in, G + 2k + 1)
        Knots, read-only; assign a whole new array to change them.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the argument, its rule and its value.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KANLayer
    >>> layer = KANLayer(2, 3, grid=4, k=2, seed=0)
    >>> layer.coef.shape, layer.grid.shape
    ((2, 3, 6), (2, 9))
    >>> layer(np.zeros((5, 2))).shape
    (5, 3)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        grid: int = 5,
        k: int = 3,
        *,
        noise_scale: float = 0.3,
        scale_base_mu: float = 0.0,
        scale_base_sigma: float = 1.0,
        base_fun: str | tuple[Function, ...] = "silu",
        grid_eps: float = 1.0,
        grid_range: tuple[float, float] = (-1.0, 1.0),
        sp_trainable: bool = True,
        sb_trainable: bool = True,
        extrapolate: str = "continue",
        init: str = "pykan",
        seed: int | np.random.Generator | None = 1,
        dtype: DTypeLike = np.float64,
    ) -> None:
        n_in, n_out = check_size("n_in", n_in, 1), check_size("n_out", n_out, 1)
        n_intervals, k = check_size("grid", grid, 1), check_size("k", k, 0)
        check_option("init", init, INITIALIZATIONS)
        check_option("extrapolate", extrapolate, EXTRAPOLATIONS)
        self._grid_eps = check_number("grid_eps", grid_eps, 0, 1)
        self._base = base_function(base_fun)
        self._sp_trainable = check_flag("sp_trainable", sp_trainable)
        self._sb_trainable = check_flag("sb_trainable", sb_trainable)
        noise_scale = check_number("noise_scale", noise_scale)
        base_mu = check_number("scale_base_mu", scale_base_mu)
        base_sigma = check_number("scale_base_sigma", scale_base_sigma)
        self._dtype = check_dtype(dtype)
        knots = first_grid(grid_range, n_in, n_intervals, k, self._dtype)
        rng = check_seed("seed", seed)
        drawn = draw(init, rng, knots, k, n_out, noise_scale, base_mu, base_sigma)
        self._allocate(SplineBasis.unchecked(knots, k, extrapolate), n_out)
        self._coef[...] = drawn.coef
        self._scale_base[...] = drawn.scale_base
        self._scale_sp[...] = drawn.scale_sp

    def __repr__(self) -> str:
        return (
            f"KANLayer({self.n_in}, {self.n_out}, grid={self.G}, k={self.k}, extrapolate={self.extrapolate!r}, "
            f"dtype={self._dtype})"
        )

    def pack(self, coefs: Any = None) -> PackedLayer:
        """Return the layer as it is now in the form that kernels read, packed into `coefs` if its shape is right.

        The shape is wrong if another thread has given the layer another grid meanwhile.
        """
        own = self.__dict__.copy()  # one snapshot: another thread may change the layer meanwhile
        basis: SplineBasis = own["_basis"]
        shape: tuple[int, int, int] = own["_shape"]
        if coefs is None or coefs.shape != packed_shape(*shape, self._dtype):
            coefs = new_packed(*shape, self._dtype)
        over_inputs(pack, own["_coef"], own["_scale_base"], own["_scale_sp"], own["_mask"], coefs)
        inside = basis.knots if basis.outside.raises else None
        return PackedLayer(basis.degree, shape[2], self._base, basis.pieces, coefs, inside)

    def __call__(self, x: Any) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in)."""
        return self.pack().forward(as_samples("x", x, self.n_in, self._dtype))

    def update_grid_from_samples(self, x: Any, margin: float = 0.0, cond: float = COND) -> None:
        """Lay the grid over samples (n, n_in) and refit the coefficients, in place.

        See :func:`numkan.layer.grid.grid_from_samples` and :func:`numkan.layer.refit.refit` for the rules.
        """
        x = self._grid_samples(x)
        cond = check_number("cond", cond, 0.0)
        check_finite("coef", self.coef)
        knots = grid_from_samples(x, self.G, self.k, self._grid_eps, margin, self._dtype)
        basis = self.basis.on(knots)
        self._replace(basis, refit(x, self.basis, self.coef, basis, cond))

    def initialize_grid_from_parent(self, parent: KANLayer, x: Any) -> None:
        """Take over a parent's knots, interpolated to this layer's G, and its splines on samples (n, n_in), in place.

        As in pykan, only the splines are taken over, and not the parent's scales and mask.
        """
        x = self._grid_samples(x)
        if not isinstance(parent, KANLayer):
            raise TypeError(f"Argument `parent` must be a KANLayer, not {type(parent).__name__}.")
        if (parent.n_in, parent.n_out) != (self.n_in, self.n_out):
            raise ValueError(
                f"Argument `parent` must have {self.n_in} inputs and {self.n_out} outputs, "
                f"not {parent.n_in} and {parent.n_out}."
            )
        knots, coef = grid_from_parent(x, parent.basis.under(self.extrapolate), parent.coef, self.G, self.k)
        self._replace(self.basis.on(knots.astype(self._dtype)), coef)

    def _grid_samples(self, x: Any) -> FloatArray:
        samples = as_samples("x", x, self.n_in, self._dtype)
        if len(samples) == 0:
            raise ValueError(f"Argument `x` must have at least one row to lay a grid over, not shape {samples.shape}.")
        check_finite("x", samples, x)
        return samples

    def _replace(self, basis: SplineBasis, coef: FloatArray) -> None:
        """Take new B-splines and coefficients, both or none."""
        at_once(self._changes(basis, coef))

    def _changes(self, basis: SplineBasis, coef: FloatArray) -> list[Callable[[], object]]:
        """Return the changes, for :func:`at_once`, that give the layer new knots and coefficients of the same shapes.

        The policy outside the grid stays. Views of the coefficients stay live.
        """
        return [
            partial(self.__dict__.update, _basis=basis.under(self.extrapolate)),
            partial(self.coef.__setitem__, ..., np.asarray(coef, self._dtype)),
        ]

    def refine(self, grid: int) -> KANLayer:
        """Return a new layer with `grid` intervals and the same function; see :mod:`numkan.layer.refine`."""
        n_intervals = check_size("grid", grid, 1)
        basis = self.basis.on(refined_grid(self.basis, n_intervals))
        return self._with(basis, refine_coef(self.basis, self.coef, basis))

    def _with(self, basis: SplineBasis, coef: FloatArray) -> KANLayer:
        """Return a new layer that has other B-splines, and coefficients (n_in, n_out, G + k) for them."""
        new = KANLayer.__new__(KANLayer)
        for name in SETTINGS:
            setattr(new, name, getattr(self, name))
        new._allocate(basis, self.n_out)
        new.coef[...] = coef
        for name in ("_scale_base", "_scale_sp", "_mask"):
            getattr(new, name)[...] = getattr(self, name)
        return new

    def coverage(self, x: Any) -> Coverage:
        """Return the share of samples (n, n_in) outside the grid and the number of empty spans, for each input."""
        return coverage(as_samples("x", x, self.n_in, self._dtype), self.basis)
