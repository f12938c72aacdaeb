"""The interface between an implementation and the laws: its methods, and the policies that it declares.

An *adapter* is any object with a method :meth:`Adapter.basis`. Every other method is optional: the laws that need it
run where it is there, and are reported as "not claimed" where it is not. Nothing has to be inherited; the class
:class:`Adapter` only documents, for readers and for type checkers, the arguments and results of each method.

All arguments and results are NumPy arrays in C order, numbers, or a :class:`Layer` of arrays. An adapter of a torch,
JAX or C++ library converts them::

    class Mine:
        dtype = ("float64", "float32")
        extrapolation = "fade"
        right_end = "open"
        degenerate_knots = "limit"
        bits = "rounding"

        def basis(self, x, knots, k):
            values = mylib.b_splines(torch.from_numpy(x), torch.from_numpy(knots), k)
            return values.numpy()

Rules for all methods:

- Letters are `n` samples, `m` knots, `k` the polynomial degree (3 is cubic), `G` intervals of the domain, so that
  m = G + 2k + 1 and there are G + k = m - k - 1 basis functions.
- A *knot vector* is 1-D, non-decreasing, and extended: `k` knots stand on each side of the domain, which is
  [knots[k], knots[m - 1 - k]] and has a positive length. Padding is made by the caller; it need not be uniform, and at
  clamped ends it repeats the end.
- Results have the dtype of the arrays that went in: float32 stays float32.
- Arguments are not written to, and results are arrays of their own, not views of arguments nor a buffer that the next
  call uses again.
- Arguments may be anything that the declared policies allow, and a point may be NaN.

Policies are attributes. A law fails if a policy that it needs is not declared, because users must be able to know it.

=================== ======================================================================================== =========
attribute           values                                                                                   needed
=================== ======================================================================================== =========
`dtype`             "float64", "float32", or a tuple of both: what the methods compute in                    always
`extrapolation`     what `basis`, `dbasis` and `curve` do outside the domain: "fade" (the padded functions   `basis`
                    go on, and are zero outside the knots), "zero", "clamp" (the value at the nearest end;
                    derivatives 0), "linear", "polynomial" (the end polynomials go on), "continue" (for 3 %
                    of the domain's length; then linear), "periodic" (those a number of lengths of the
                    domain away), "nan", "raise"
`right_end`         "closed": at the right end of the domain, values and derivatives are those of the last   `basis`
                    interval inside; "open": those of the padding after it, zero where there is none (and
                    those of the left end where the spline is periodic)
`degenerate_knots`  "limit": repeated knots are allowed, and 0/0 is 0 term by term; "error": they raise,        `basis`
                    except at ends whose `knots` are "clamped"
`bits`              "exact": a row has the same bits in any batch and order; "rounding": nearly the same     `basis`
`grid_update`       where `update_grid` puts the knots: "numkan", "pykan", "efficient-kan" or "jaxkan"       that
                    (formulas in :func:`numkan.conformance.grids.interior_knots`)
`short_rank`        what `fit_curve` does where samples do not determine the curve: "least norm" (the        that
                    solution whose coefficients are smallest in the 2-norm) or "error"
`layer_extrapolate` names that `Layer.extrapolate` may have, as a tuple; without it: (extrapolation,)        no
`base_fun`          names that `Layer.base_fun` may have, as a tuple; without it: ("silu",)                  no
`degrees`           degrees that are supported, as an iterable; without it: 0 to 5                           no
`layer_degrees`     degrees that layers are tried with, where each takes long to compile; without it:        no
                    `degrees`
`uniform_only`      True where knots are always taken as evenly spaced: cases then have dyadic ones          no
`knots`             "any"; "clamped" where an end of the domain has to be a knot k + 1 times, as in          no
                    statsmodels: cases of splines then have no others (layers keep their padding)
`min_intervals`     the least number of intervals of a domain; without it: 1                                 no
`max_derivative`    the highest order that `dbasis` has; without it: any                                     no
`weights`           True where `fit_curve` takes weights, as a keyword `weight` (n,)                         no
`least_change`      True where `update_grid` changes coefficients that the samples do not determine as       no
                    little as possible
`exact_refits`      True where the order of samples changes no bit of what `update_grid` makes of them       no
`containers`        True where samples may be lists, tuples, and arrays of any order, stride or byte order   no
`same_files`        True where saving the same network twice writes the same file                            no
`subnormals`        True where knots may be so near each other that their gaps are subnormal numbers         no
`name`, `version`   what the report shows                                                                    no
=================== ======================================================================================== =========

A law uses methods of the last group in addition, if an adapter has them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

__all__ = ["KINDS", "METHODS", "POLICIES", "Adapter", "Array", "Layer", "claims"]

Array: TypeAlias = NDArray[Any]

#: The parameters of a layer, in the order that everything here has them.
KINDS = ("coef", "scale_base", "scale_sp")


@dataclass(frozen=True)
class Layer:
    """A KAN layer as its numbers.

    With B_p the basis functions on the knots of input i, s the policy outside the domain, and b the base function,

        y[n, o] = sum_i mask[i, o] * (   scale_base[i, o] * b(x[n, i])
                                       + scale_sp[i, o] * sum_p coef[i, o, p] B_p(x[n, i])   )

    The policy acts on the spline only; b sees x as it is.

    Parameters
    ----------
    grid : ndarray, shape (n_in, G + 2k + 1)
        Extended knots of each input.
    coef : ndarray, shape (n_in, n_out, G + k)
        Spline coefficients.
    scale_base, scale_sp, mask : ndarray, shape (n_in, n_out)
        Factors of the base function, of the spline, and of both. A mask holds zeros and ones.
    k : int
        Degree.
    base_fun : {"silu", "identity", "zero"}
        b(x) = x / (1 + exp(-x)), x, or 0.
    extrapolate : str
        One of the policies of `extrapolation` in this module's table.

    Examples
    --------
    >>> from numkan import KANLayer
    >>> from numkan.conformance import Layer
    >>> own = KANLayer(2, 3, grid=5, k=3)
    >>> layer = Layer(own.grid, own.coef, own.scale_base, own.scale_sp, own.mask, own.k, "silu", "continue")
    >>> layer.n_in, layer.n_out, layer.G
    (2, 3, 5)
    """

    grid: Array
    coef: Array
    scale_base: Array
    scale_sp: Array
    mask: Array
    k: int
    base_fun: Any = "silu"
    extrapolate: str = "fade"

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return len(self.coef)

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return len(self.coef[0])

    @property
    def G(self) -> int:
        """Number of intervals of the domain."""
        return len(self.grid[0]) - 2 * self.k - 1

    def replace(self, **changes: Any) -> Layer:
        """Return the layer with other numbers."""
        return replace(self, **changes)

    def astype(self, dtype: Any) -> Layer:
        """Return the layer in another dtype."""
        return self.replace(**{name: getattr(self, name).astype(dtype) for name in ("grid", *KINDS, "mask")})


class Adapter(Protocol):
    """All methods that laws know of. Only `basis` is required; take those that your implementation has.

    Examples
    --------
    >>> from numkan.conformance import check
    >>> from numkan.spline import B_batch
    >>> class Mine:
    ...     dtype, extrapolation, right_end, degenerate_knots, bits = "float64", "fade", "closed", "limit", "exact"
    ...     def basis(self, x, knots, k):
    ...         return B_batch(x[:, None], knots[None, :], k)[:, 0]
    >>> check(Mine(), only=["P-PoU"]).ok
    True
    """

    # --- splines: one knot vector, one row of points ---

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        """Return the values of all basis functions, (n, m - k - 1), at the points `x` (n,)."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        """Return their derivatives of order `nu` >= 0, (n, m - k - 1); zeros for nu > k, `basis` for nu = 0."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        """Return sum_p coef[p] B_p(x), (n,), for coefficients (m - k - 1,)."""

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        """Return knots (m + 1,) and coefficients (m - k,) of the same curve with one more knot `t` of the domain."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int) -> Array:
        """Return the coefficients (m - k - 1,) of the least-squares curve through (x, y), both (n,), x in the domain.

        An adapter that declares ``weights = True`` also takes a keyword `weight` (n,): sum(weight * residual^2).
        """

    # --- one layer ---

    def layer_forward(self, layer: Layer, x: Array) -> Array:
        """Return the outputs (n, n_out) for the samples `x` (n, n_in)."""

    def layer_vjp(self, layer: Layer, x: Array, y_bar: Array) -> dict[str, Array]:
        """Return the gradients of sum(y_bar * outputs), for `y_bar` (n, n_out).

        Keys are "x" (n, n_in), "coef" (n_in, n_out, G + k), and "scale_base" and "scale_sp" (n_in, n_out) where the
        implementation can tell them. Masked edges have gradients of exactly 0.
        """

    def layer_jacobian(self, layer: Layer, x: Array) -> dict[str, Array]:
        """Return the derivatives of every output of every sample, with the keys of `layer_vjp`.

        Shapes are "x" (n, n_out, n_in), and (n, n_out) followed by the parameter's shape for the others.
        """

    def update_grid(self, layer: Layer, x: Array, grid_eps: float) -> Layer:
        """Return the layer on knots laid over the samples `x` (n, n_in), with curves that keep their values there.

        G stays. `grid_eps` = 1 asks for even knots, 0 for knots that each hold as many samples. An implementation may
        change scales as well as coefficients: only their product is looked at.
        """

    def refine(self, layer: Layer, G: int) -> Layer:
        """Return the layer on `G` intervals: on a multiple of those it has the same functions; `G` may be less too.

        New knots of the domain interpolate the old ones linearly in index space. Where an implementation needs samples
        to do it, the adapter makes them.
        """

    # --- networks: layers one after the other ---

    def network_forward(self, layers: Sequence[Layer], x: Array) -> Array:
        """Return the outputs (n, n_out) of the last layer for the samples `x` (n, n_in) of the first."""

    def save(self, layers: Sequence[Layer], path: str | os.PathLike[str]) -> None:
        """Write a network to a file (or folder) at `path`, which does not exist yet."""

    def load(self, path: str | os.PathLike[str]) -> Sequence[Layer]:
        """Return the layers that were saved at `path`."""

    # --- further methods, which some laws use in addition ---

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        """Return the values of `dbasis`, (n, m - k - 1), from the implementation's (sparse) design matrix."""

    def refinement_matrix(self, knots: Array, finer: Array, k: int) -> Array:
        """Return A (m_finer - k - 1, m - k - 1) with ``coefficients on finer = A @ coefficients on knots``."""

    def fit_rank(self, x: Array, knots: Array, k: int) -> int:
        """Return the rank that `fit_curve` finds."""

    def network_loss(self, layers: Sequence[Layer], x: Array, y: Array, loss: str, weight: Array) -> Any:
        """Return (value, gradients: a dict for each layer) of "mse" or, with labels `y` (n,), "cross_entropy".

        "mse" is sum_n weight_n sum_o (y_no - outputs_no)^2 / (n_out sum weight), "cross_entropy" the weighted mean.
        """

    def network_vjp(self, layers: Sequence[Layer], x: Array, y_bar: Array) -> tuple[list[dict[str, Array]], Array]:
        """Return the gradients of sum(y_bar * outputs): a dict for each layer, and those by `x`."""

    def network_jvp(self, layers: Sequence[Layer], x: Array, dots: list[dict[str, Array]], x_dot: Array) -> Array:
        """Return the change (n, n_out) of the outputs along a change of the parameters and of `x`."""

    def network_jacobian(self, layers: Sequence[Layer], x: Array) -> list[dict[str, Array]]:
        """Return the derivatives of the outputs by the parameters, (n, n_out, shape of each), a dict for each layer."""

    def network_derivative(self, layers: Sequence[Layer], x: Array) -> Array:
        """Return the derivatives of the outputs by `x`, (n, n_out, n_in)."""

    def model(self, layers: Sequence[Layer]) -> Any:
        """Return a callable of samples, which is called repeatedly, and from many threads at once."""

    def state(self, model: Any) -> bytes:
        """Return all numbers of such a model."""

    def set_threads(self, count: int) -> int:
        """Let the implementation use `count` threads, and return how many it used before."""


#: Methods that an adapter may have.
METHODS = tuple(name for name, value in vars(Adapter).items() if callable(value) and not name.startswith("_"))

#: Policies with a choice: attribute -> what it may be.
POLICIES: dict[str, tuple[str, ...]] = {
    "dtype": ("float64", "float32"),
    "extrapolation": ("fade", "zero", "clamp", "linear", "polynomial", "continue", "periodic", "nan", "raise"),
    "right_end": ("closed", "open"),
    "degenerate_knots": ("limit", "error"),
    "bits": ("exact", "rounding"),
    "grid_update": ("numkan", "pykan", "efficient-kan", "jaxkan"),
    "short_rank": ("least norm", "error"),
    "knots": ("any", "clamped"),
}


def claims(adapter: Any, name: str) -> bool:
    """Return whether an adapter has a method, or declares an attribute that is true.

    >>> class Mine:
    ...     weights = False
    ...     def basis(self, x, knots, k): ...
    >>> claims(Mine(), "basis"), claims(Mine(), "curve"), claims(Mine(), "weights")
    (True, False, False)
    """
    return bool(getattr(adapter, name, None))
