"""B-splines on their knots, with a policy outside: the object that functions of splines are given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples, check_dtype, check_integer, check_option
from numkan.spline.knots import check_grid, common_dtype, interior_knots
from numkan.spline.local import LocalDerivatives, LocalFunctions, local_functions
from numkan.spline.pieces import Pieces, check_inside, derived_pieces, local_pieces
from numkan.spline.policies import EXTRAPOLATIONS, POLICIES, Policy

__all__ = ["SplineBasis"]


@dataclass(frozen=True, eq=False)
class SplineBasis:
    """The B-splines of one degree on the knots of each input, under an extrapolation policy.

    It is immutable, so that values computed from it once (the local polynomials of its pieces) stay valid.

    Parameters
    ----------
    knots : array_like, shape (n_in, G + 2k + 1)
        Extended knots, non-decreasing in each row, see :func:`numkan.spline.extend_grid`.
    degree : int
        Degree k, at least 0.
    policy : {"continue", "fade", "linear", "clamp", "nan", "raise"}
        The continuation of the splines outside the domain ``[t_k, t_{G+k}]``, see :func:`numkan.spline.coef2curve`.

    Attributes
    ----------
    knots : ndarray, shape (n_in, G + 2k + 1)
        Read-only; float32 if they were given so, float64 otherwise.
    degree : int
    policy : str

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import SplineBasis
    >>> from numkan.spline import extend_grid
    >>> basis = SplineBasis(extend_grid([[0.0, 1.0, 2.0]], k_extend=1), degree=1, policy="linear")
    >>> basis.n_in, basis.n_basis, basis.domain
    (1, 3, (array([0.]), array([2.])))
    >>> basis.values([[0.5], [3.0]])[:, 0]
    array([[ 0.5,  0.5,  0. ],
           [ 0. , -1. ,  2. ]])
    >>> basis.derivative([[0.5]])[0, 0]
    array([-1.,  1.,  0.])
    >>> basis.local([[0.5], [1.5]]).first[:, 0]
    array([0, 1])
    """

    knots: FloatArray
    degree: int
    policy: str = "continue"

    def __post_init__(self) -> None:
        degree = check_integer("degree", self.degree, 0)
        check_option("policy", self.policy, EXTRAPOLATIONS)
        object.__setattr__(self, "degree", degree)
        object.__setattr__(self, "knots", check_grid("knots", self.knots, degree, common_dtype(self.knots)))

    @classmethod
    def unchecked(cls, knots: FloatArray, degree: int, policy: str) -> SplineBasis:
        """Return the basis for arguments that have been checked; knots are not copied, and become read-only."""
        basis = cls.__new__(cls)
        knots.flags.writeable = False
        for name, value in (("knots", knots), ("degree", degree), ("policy", policy)):
            object.__setattr__(basis, name, value)
        return basis

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return len(self.knots)

    @property
    def n_basis(self) -> int:
        """Number of functions of each input, G + k."""
        return int(self.knots.shape[1]) - self.degree - 1

    @property
    def n_intervals(self) -> int:
        """Number of grid intervals G."""
        return self.n_basis - self.degree

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the knots."""
        return self.knots.dtype

    @property
    def domain(self) -> tuple[FloatArray, FloatArray]:
        """First and last point of the domain of each input, (n_in,) each."""
        return self.knots[:, self.degree], self.knots[:, self.n_basis]

    @property
    def interior(self) -> FloatArray:
        """The knots of the domain, (n_in, G + 1)."""
        return interior_knots(self.knots, self.degree)

    @property
    def outside(self) -> Policy:
        """The policy as an object, with its properties."""
        return POLICIES[self.policy]

    @cached_property
    def pieces(self) -> Pieces:
        """The local polynomials."""
        return local_pieces(self.knots, self.degree, self.policy)

    def derived(self, nu: int) -> Pieces:
        """Return the local polynomials of the `nu`-th derivatives, which are kept."""
        if nu == 0:
            return self.pieces
        kept: dict[int, Pieces] = self.__dict__.setdefault("_derived", {})
        if nu not in kept:
            kept[nu] = derived_pieces(self.pieces, nu)
        return kept[nu]

    def local_derivatives(self, x: FloatArray, order: int) -> LocalDerivatives:
        """Return the k + 1 functions at canonical x (n, n_in), with their derivatives up to `order`."""
        values = np.empty((order + 1, *x.shape, self.degree + 1), x.dtype)
        first = np.empty(x.shape, np.int64)
        for nu in range(0, order + 1, 2):  # a derivative and the next one come together
            first, values[nu], slopes = local_functions(x, self.derived(nu), slopes=nu < order)
            if nu < order:
                values[nu + 1] = slopes
        return LocalDerivatives(first, values)

    def local(self, x: Any, *, slopes: bool = False) -> LocalFunctions:
        """Return the k + 1 functions that do not vanish at x (n, n_in): (first, values, slopes).

        Returns
        -------
        LocalFunctions
            ``first`` (n, n_in), index of the first function; ``values`` (n, n_in, k + 1); ``slopes`` of the same shape,
            or empty unless they are asked for.
        """
        return local_functions(self._points(x), self.pieces, slopes=slopes)

    def values(self, x: Any) -> FloatArray:
        """Return all functions at x (n, n_in), shape (n, n_in, G + k)."""
        return self._dense(x, self.pieces)

    def derivative(self, x: Any, order: int = 1) -> FloatArray:
        """Return the derivatives of all functions at x (n, n_in), shape (n, n_in, G + k)."""
        order = check_integer("order", order, 0)
        return self._dense(x, local_pieces(self.knots, self.degree, self.policy, order))

    def check_inside(self, name: str, x: FloatArray) -> None:
        """Raise the error for points x (n, n_in) outside the domain, under any policy."""
        check_inside(name, x, self.knots, self.degree)

    def with_values(self) -> SplineBasis:
        """Return the basis that fits use: under the policy "continue" if this one has no values outside."""
        return self if self.outside.has_values else self.under("continue")

    def astype(self, dtype: Any) -> SplineBasis:
        """Return the same basis with knots of another dtype, float32 or float64."""
        dtype = check_dtype(dtype)
        return self if dtype == self.dtype else self.on(self.knots.astype(dtype))

    def on(self, knots: FloatArray) -> SplineBasis:
        """Return the same functions on other knots, see :meth:`unchecked`."""
        return self.unchecked(knots, self.degree, self.policy)

    def under(self, policy: str) -> SplineBasis:
        """Return the same basis under another policy, which has been checked."""
        return self if policy == self.policy else self.unchecked(self.knots, self.degree, policy)

    def input(self, i: int) -> SplineBasis:
        """Return the basis of input `i` alone."""
        i = check_integer("i", i, 0)
        if i >= self.n_in:
            raise ValueError(f"Argument `i` must be less than {self.n_in}, not {i}.")
        one = self.unchecked(self.knots[i : i + 1], self.degree, self.policy)
        one.__dict__["pieces"] = Pieces(*(table[i : i + 1] for table in self.pieces))
        return one

    def _points(self, x: Any) -> FloatArray:
        points = as_samples("x", x, self.n_in, self.dtype)
        if self.outside.raises:
            self.check_inside("x", points)
        return points

    def _dense(self, x: Any, pieces: Pieces) -> FloatArray:
        first, values, _ = local_functions(self._points(x), pieces)
        out = np.zeros((*first.shape, self.n_basis), self.dtype)
        np.put_along_axis(out, first[..., None] + np.arange(self.degree + 1), values, axis=2)
        return out

    def __repr__(self) -> str:
        return f"SplineBasis({self.n_in} inputs, G={self.n_intervals}, k={self.degree}, policy={self.policy!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("knots", "degree", "policy")}
