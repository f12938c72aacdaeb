"""The cases of laws: one spline, one layer with samples for its grid, or one network with samples.

A case is plain numbers. It can be written as JSON and read again without the library that it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np

from numkan.conformance.adapter import KINDS, Array, Layer

__all__ = ["CASES", "AnyCase", "Case", "GridCase", "NetworkCase", "from_plain", "plain"]


@dataclass(frozen=True)
class Case:
    """One knot vector, with points and coefficients."""

    knots: Array  # (G + 2k + 1,), non-decreasing, of the dtype that is tested
    k: int
    inside: Array  # points of the domain
    anywhere: Array  # points anywhere
    coef: Array  # (G + k,)
    closed: bool = True  # whether the domain's right end belongs to the last interval; if not, it is not probed

    @property
    def n_basis(self) -> int:
        """Number of functions."""
        return len(self.knots) - 1 - self.k

    @property
    def domain(self) -> tuple[Any, Any]:
        """Both ends."""
        return self.knots[self.k], self.knots[self.n_basis]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that is tested."""
        return self.knots.dtype

    @property
    def eps(self) -> float:
        """The spacing of 1."""
        return float(np.finfo(self.knots.dtype).eps)


@dataclass(frozen=True)
class GridCase:
    """Samples, and the layer of one dtype that they come to."""

    x: Array  # (n, n_in)
    grid: Array  # (n_in, G_old + 2k + 1)
    coef: Array  # (n_in, n_out, G_old + k)
    k: int
    G: int
    grid_eps: float
    extrapolate: str = "continue"
    flavour: str = "numkan"  # where the knots are expected

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that is tested."""
        return self.x.dtype

    @property
    def eps(self) -> float:
        """The spacing of 1."""
        return float(np.finfo(self.x.dtype).eps)

    @property
    def layer(self) -> Layer:
        """The layer. Its spline scales are powers of two, not 1, so an error in their use is found."""
        ones = np.ones(self.coef.shape[:2], self.coef.dtype)
        scale_sp = np.where(np.indices(ones.shape).sum(axis=0) % 2, 0.5, 2.0).astype(ones.dtype)
        return Layer(self.grid, self.coef, 0 * ones, scale_sp, ones, self.k, "silu", self.extrapolate)

    def update(self, impl: Any) -> tuple[Array, Array]:
        """Return an implementation's new knots, and its new coefficients in the old scales."""
        layer = self.layer
        resized = {} if layer.G == self.G else {"G": self.G}
        new = impl.update_grid(layer, self.x, self.grid_eps, **resized)
        share = np.asarray(new.mask * new.scale_sp / layer.scale_sp)
        return np.asarray(new.grid), np.asarray(new.coef) * share[:, :, None]

    def interior(self, impl: Any) -> Array:
        """Return an implementation's new knots of the domain (n_in, G + 1), in float64."""
        return self.update(impl)[0][:, self.k : self.k + self.G + 1].astype(float)

    @property
    def ordered(self) -> Array:
        """Samples (n_in, n), sorted."""
        return np.asarray(np.sort(self.x, axis=0).T)


@dataclass(frozen=True)
class NetworkCase:
    """A network with samples and targets."""

    layers: tuple[Layer, ...]
    x: Array  # (n, n_in)
    y: Array  # (n, n_out)
    labels: Array  # (n,)
    weight: Array  # (n,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that is tested."""
        return self.x.dtype

    @property
    def eps(self) -> float:
        """The spacing of 1."""
        return float(np.finfo(self.dtype).eps)

    @property
    def exact(self) -> tuple[list[Layer], Array]:
        """The same numbers in float64, for the slow twin."""
        return [layer.astype(float) for layer in self.layers], self.x.astype(float)

    @property
    def layer(self) -> Layer:
        """The first layer."""
        return self.layers[0]

    def rows(self, which: Any) -> NetworkCase:
        """Return the case with some of its samples."""
        return replace(self, **{name: getattr(self, name)[which] for name in ("x", "y", "labels", "weight")})

    def noise(self, *shape: int) -> Array:
        """Return numbers between -1 and 1 that depend on the shape only."""
        return np.asarray(np.sin(1.0 + np.arange(int(np.prod(shape)))).reshape(shape), self.dtype)


AnyCase: TypeAlias = Case | GridCase | NetworkCase

#: The subjects of laws, and the class of their cases.
CASES: dict[str, type[Any]] = {"splines": Case, "grids": GridCase, "networks": NetworkCase}


def plain(case: Any) -> dict[str, Any]:
    """Return a case as lists, numbers and text; floats are written so that they are read as the same floats.

    >>> plain(Case(np.array([0.0, 1.0]), 0, np.array([0.5]), np.array([0.1]), np.array([2.0])))["inside"]
    [0.5]
    """

    def simple(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.tolist()
        if isinstance(value, Layer):
            return {field.name: simple(getattr(value, field.name)) for field in fields(value)}
        return [simple(one) for one in value] if isinstance(value, tuple) else value

    return {"dtype": case.dtype.name, **{field.name: simple(getattr(case, field.name)) for field in fields(case)}}


def from_plain(about: str, numbers: dict[str, Any]) -> Any:
    """Return the case that was written with :func:`plain`.

    >>> case = Case(np.array([0.0, 0.1], np.float32), 0, np.ones(1), np.ones(1), np.ones(1))
    >>> from_plain("splines", plain(case)).knots
    array([0. , 0.1], dtype=float32)
    """
    numbers = dict(numbers)
    dtype = np.dtype(numbers.pop("dtype"))

    def full(name: str, value: Any) -> Any:
        if name == "layers":
            return tuple(Layer(**{key: full(key, one) for key, one in layer.items()}) for layer in value)
        return np.array(value, np.intp if name == "labels" else dtype) if isinstance(value, list) else value

    case = CASES[about](**{name: full(name, value) for name, value in numbers.items()})
    wrong = [what for what, holds in _shapes(case).items() if not holds]
    if wrong:
        raise ValueError(f"{wrong[0]} of a shape or value that no case has")
    return case


def _shapes(case: AnyCase) -> dict[str, bool]:
    """Return what must be true of the numbers of a case, by name."""
    if isinstance(case, Case):
        degree = _is_degree(case.k) and case.knots.ndim == 1 and len(case.knots) > 2 * case.k + 1
        return {
            "knots": degree and bool((np.diff(case.knots) >= 0).all() and case.domain[0] < case.domain[1]),
            "coef": degree and case.coef.shape == (case.n_basis,),
            "points": case.inside.ndim == case.anywhere.ndim == 1,
        }
    if isinstance(case, GridCase):
        held = case.x.ndim == 2 and _is_degree(case.k) and _is_degree(case.G - 1)
        return {"x": held, "layer": held and _is_layer(case.layer) and case.x.shape[1] == case.layer.n_in}
    widths = [case.x.shape[1:], *((layer.n_out,) for layer in case.layers if _is_layer(layer))]
    return {
        "layers": len(widths) > len(case.layers) > 0
        and all(width == (layer.n_in,) for width, layer in zip(widths, case.layers, strict=False)),
        "samples": case.x.ndim == 2 and case.y.shape == (len(case.x), *widths[-1]),
        "labels": case.labels.shape == case.weight.shape == (len(case.x),),
    }


def _is_degree(k: Any) -> bool:
    return isinstance(k, int) and k >= 0


def _is_layer(layer: Layer) -> bool:
    """Return whether a layer's arrays are of shapes that belong to each other."""
    if layer.coef.ndim != 3 or not _is_degree(layer.k):
        return False
    n_in, n_out, n_basis = layer.coef.shape
    edges = {array.shape for array in (layer.scale_base, layer.scale_sp, layer.mask)}
    return n_basis > layer.k and edges == {(n_in, n_out)} and layer.grid.shape == (n_in, n_basis + layer.k + 1)


#: Names of the arrays of a layer.
ARRAYS = ("grid", *KINDS, "mask")
