"""The storage of a layer: its B-splines, its parameters as views of one vector, and its settings."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from numkan._attributes import KnownAttributes
from numkan._check import FloatArray, as_float_array, check_number, check_option
from numkan.base import BaseFunction, Function, base_function
from numkan.spline.knots import check_grid
from numkan.spline.pieces import Pieces
from numkan.spline.policies import EXTRAPOLATIONS
from numkan.spline.spline_basis import SplineBasis

__all__ = ["SETTINGS", "LayerParameters"]

#: Attributes that another layer of the same kind takes over as they are.
SETTINGS = ("_grid_eps", "_base", "_sp_trainable", "_sb_trainable", "_dtype")


class LayerParameters(KnownAttributes):
    """The storage of a :class:`numkan.KANLayer`, and the public attributes that show it."""

    _basis: SplineBasis  # never changed, but replaced: copies of the layer share it, and its tables
    _grid_eps: float
    _base: BaseFunction
    _sp_trainable: bool
    _sb_trainable: bool
    _dtype: np.dtype[Any]

    def _allocate(self, basis: SplineBasis, n_out: int) -> None:
        """Take B-splines as they are, and make room for coef, scale_base, scale_sp and mask."""
        self._basis = basis
        self._shape: tuple[int, int, int] = (basis.n_in, basis.n_basis, n_out)
        self._bind(np.zeros(self.n_params, self._dtype), np.zeros(self._n_fixed, self._dtype))
        self._mask[...] = 1

    @property
    def _n_fixed(self) -> int:
        """Number of entries that are not trained: masks, and scales that are not trainable."""
        n_in, _, n_out = self._shape
        return n_in * n_out * (1 + (not self.sb_trainable) + (not self.sp_trainable))

    def _bind(self, storage: FloatArray, fixed: FloatArray) -> None:
        """Make the parameters views of `storage` (n_params,), and entries that are not trained views of `fixed`.

        The values are those that the two vectors hold. Views taken before become read-only.
        """
        self._retire()
        n_in, _, n_out = self._shape
        self._storage, self._fixed = storage, fixed
        self._mask, *others = fixed.reshape(-1, n_in, n_out)
        sections = self._sections(storage)
        self._coef = sections["coef"]
        self._scale_base = sections["scale_base"] if self.sb_trainable else others.pop()
        self._scale_sp = sections["scale_sp"] if self.sp_trainable else others.pop()
        self._shown = (self._coef.transpose(0, 2, 1), self._scale_base[:], self._scale_sp[:], self._mask[:])

    def _effective(self, dtype: np.dtype[Any] | None = None) -> tuple[FloatArray, FloatArray]:
        """Return the effective coefficients (n_in, G + k, n_out) and base scales (n_in, n_out), of a dtype if given."""
        scale, base = (self._mask * array for array in (self._scale_sp, self._scale_base))
        if dtype is not None:
            scale, base = scale.astype(dtype), base.astype(dtype)
        return scale[:, None] * self._coef, base

    def _sections(self, vector: FloatArray) -> dict[str, FloatArray]:
        """Return views of a vector in the order of the parameters: coef (n_in, G + k, n_out), then the scales."""
        n_in, n_basis, n_out = self._shape
        at = n_in * n_basis * n_out
        sections: dict[str, FloatArray] = {"coef": vector[:at].reshape(n_in, n_basis, n_out)}
        for name, trainable in (("scale_base", self.sb_trainable), ("scale_sp", self.sp_trainable)):
            if trainable:
                sections[name] = vector[at : at + n_in * n_out].reshape(n_in, n_out)
                at += n_in * n_out
        return sections

    def _retire(self) -> None:
        """Make the views that were handed out read-only: the layer would not see what is written into them."""
        for view in getattr(self, "_shown", ()):
            view.flags.writeable = False

    def _move_to(self, storage: FloatArray, fixed: FloatArray) -> None:
        """Copy all values into `storage` and `fixed`, and make the parameters views of these."""
        storage[:], fixed[:] = self._storage, self._fixed
        self._bind(storage, fixed)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for derived in ("_coef", "_scale_base", "_scale_sp", "_mask", "_shown"):
            state.pop(derived, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._base = base_function(self._base)  # raises if a newer numkan has written a name that this one lacks
        # A copy each: joblib may hand over memory-mapped, read-only arrays.
        self._basis = self._basis.on(np.array(self._basis.knots))
        self._bind(np.array(self._storage), np.array(self._fixed))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__getstate__())  # one snapshot: another thread may change the layer meanwhile
        twin._bind(twin._storage.copy(), twin._fixed.copy())
        return twin

    # --- shape and settings ---------------------------------------------------------------------------------------

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(self._shape[0])

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return int(self._shape[2])

    @property
    def k(self) -> int:
        """Degree of the splines."""
        return self._basis.degree

    @property
    def G(self) -> int:
        """Number of grid intervals."""
        return self._basis.n_intervals

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of all numbers of the layer."""
        return self._dtype

    @property
    def base_fun(self) -> str | tuple[Function, ...]:
        """The base function: its name, or the user's functions."""
        value, derivative = self._base.value, self._base.derivative
        return self._base.name if value is None or derivative is None else (value, derivative, *self._base.further)

    @property
    def sp_trainable(self) -> bool:
        """Whether `scale_sp` is among the trainable parameters."""
        return self._sp_trainable

    @property
    def sb_trainable(self) -> bool:
        """Whether `scale_base` is among the trainable parameters."""
        return self._sb_trainable

    @property
    def n_params(self) -> int:
        """Number of trainable parameters."""
        n_in, n_basis, n_out = self._shape
        return n_in * n_out * (n_basis + self.sb_trainable + self.sp_trainable)

    @property
    def coef(self) -> FloatArray:
        """Spline coefficients (n_in, n_out, G + k), a live view."""
        return self._shown[0]

    @coef.setter
    def coef(self, value: Any) -> None:
        self._assign("coef", self._shown[0], value)

    @property
    def scale_base(self) -> FloatArray:
        """Scales of the base function (n_in, n_out), a live view."""
        return self._shown[1]

    @scale_base.setter
    def scale_base(self, value: Any) -> None:
        self._assign("scale_base", self._shown[1], value)

    @property
    def scale_sp(self) -> FloatArray:
        """Scales of the splines (n_in, n_out), a live view."""
        return self._shown[2]

    @scale_sp.setter
    def scale_sp(self, value: Any) -> None:
        self._assign("scale_sp", self._shown[2], value)

    @property
    def mask(self) -> FloatArray:
        """Factor of each edge (n_in, n_out), 1 or 0, a live view."""
        return self._shown[3]

    @mask.setter
    def mask(self, value: Any) -> None:
        self._assign("mask", self._shown[3], value)

    def _assign(self, name: str, view: FloatArray, value: Any) -> None:
        array = as_float_array(name, value, self._dtype)
        if array.shape != view.shape:
            raise ValueError(f"Argument `{name}` must have shape {view.shape}, not {array.shape}.")
        view[...] = array

    @property
    def grid(self) -> FloatArray:
        """Knots (n_in, G + 2k + 1), read-only. Assign a whole new array; the coefficients stay as they are."""
        return self._basis.knots

    @grid.setter
    def grid(self, value: Any) -> None:
        knots = check_grid("grid", value, self.k, self._dtype)
        if knots.shape != self.grid.shape:
            raise ValueError(f"Argument `grid` must have shape {self.grid.shape}, not {knots.shape}.")
        self._basis = self._basis.on(np.array(knots))

    @property
    def grid_eps(self) -> float:
        """Blend of grid updates: 1 uniform, 0 quantiles."""
        return self._grid_eps

    @grid_eps.setter
    def grid_eps(self, value: float) -> None:
        self._grid_eps = check_number("grid_eps", value, 0, 1)

    @property
    def extrapolate(self) -> str:
        """Policy outside the grid."""
        return self._basis.policy

    @extrapolate.setter
    def extrapolate(self, value: str) -> None:
        self._basis = self._basis.under(check_option("extrapolate", value, EXTRAPOLATIONS))

    @property
    def basis(self) -> SplineBasis:
        """The B-splines on the grid, under the layer's policy."""
        return self._basis

    @property
    def pieces(self) -> Pieces:
        """Local polynomials of the grid under the layer's policy."""
        return self.basis.pieces
