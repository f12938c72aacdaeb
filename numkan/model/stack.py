"""KAN layers in a row, whose parameters are views of one vector."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from numkan._attributes import KnownAttributes
from numkan._check import (
    FloatArray,
    as_float_array,
    as_samples,
    check_dtype,
    check_integer,
    check_length,
    check_option,
    check_seed,
    is_list,
)
from numkan._interrupt import at_once
from numkan._shown import shown
from numkan.base import Function
from numkan.layer.buffers import aligned_empty
from numkan.layer.layer import KANLayer
from numkan.layer.packed import PackedLayer
from numkan.spline.policies import EXTRAPOLATIONS

__all__ = ["Stack", "per_layer"]

#: What a model has beside its layers, and copies have too.
_BESIDE = ("drawn", "encoding", "posterior")


class Stack(KnownAttributes):
    """Layers whose parameters are one vector. :class:`numkan.model.Network` makes a function of them."""

    #: Digest of the parameters and grids that the constructor drew; None where it is not known.
    _drawn: bytes | None = None
    #: JSON that describes how columns of a table became the inputs, or None; it is saved with the model.
    _encoding: bytes | None = None
    _posterior: Any = None  #: of :mod:`numkan.model.posterior`, which never changes, or None

    def __init__(
        self,
        width: Sequence[int],
        grid: int | Sequence[int] = 5,
        k: int | Sequence[int] = 3,
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
        sizes = _check_width(width)
        depth = len(sizes) - 1
        grids, degrees = per_layer("grid", grid, depth, 1), per_layer("k", k, depth, 0)
        rng = check_seed("seed", seed)
        self._take(
            [
                KANLayer(
                    sizes[layer],
                    sizes[layer + 1],
                    grid=grids[layer],
                    k=degrees[layer],
                    noise_scale=noise_scale,
                    scale_base_mu=scale_base_mu,
                    scale_base_sigma=scale_base_sigma,
                    base_fun=base_fun,
                    grid_eps=grid_eps,
                    grid_range=grid_range,
                    sp_trainable=sp_trainable,
                    sb_trainable=sb_trainable,
                    extrapolate=extrapolate,
                    init=init,
                    seed=rng,
                    dtype=check_dtype(dtype),
                )
                for layer in range(depth)
            ]
        )
        self._drawn = self._digest()

    # --- storage --------------------------------------------------------------------------------------------------

    def _take(self, layers: Sequence[KANLayer]) -> None:
        """Become the network of these layers, whose parameters move into one vector."""
        n_params = sum(layer.n_params for layer in layers)
        self._n_in, self._n_out, self._dtype = layers[0].n_in, layers[-1].n_out, layers[0].dtype
        n_fixed = sum(layer._n_fixed for layer in layers)
        self._numbers: FloatArray = aligned_empty(n_params + n_fixed, self._dtype)
        self._theta: FloatArray = self._numbers[:n_params]
        fixed = self._numbers[n_params:]
        at = at_fixed = 0
        for layer in layers:
            layer._move_to(self._theta[at : at + layer.n_params], fixed[at_fixed : at_fixed + layer._n_fixed])
            at, at_fixed = at + layer.n_params, at_fixed + layer._n_fixed
        self._layers = tuple(layers)

    def _become(self, other: Stack) -> None:
        """Take over another network's grids and parameters, of any shape: all of them, or none.

        The layer objects stay, so a caller's reference to one is still a layer of this network. Views of its parameters
        become read-only.
        """
        fresh = other.copy()
        mine = {name: value for name, value in vars(fresh).items() if name[1:] not in ("layers", *_BESIDE)}
        shown = [view for layer in self._layers for view in layer._shown]
        pairs = zip(self._layers, fresh._layers, strict=True)
        at_once(
            [
                *(partial(vars(layer).update, vars(new)) for layer, new in pairs),
                partial(vars(self).update, mine),
                *(partial(view.setflags, write=False) for view in shown),
            ]
        )

    def _replace(self, layers: Sequence[KANLayer], params: FloatArray | None = None) -> None:
        """Take the grids of layers of the same shapes, with their coefficients or all parameters: all, or none."""
        changes = [
            change
            for layer, new in zip(self._layers, layers, strict=True)
            for change in layer._changes(new.basis, new.coef)
        ]
        if params is not None:
            changes.append(partial(self._theta.__setitem__, ..., params))
        at_once(changes)

    @classmethod
    def _of(cls, layers: list[KANLayer]) -> Self:
        model = cls.__new__(cls)
        model._take(layers)
        return model

    def _with_layers(self, layers: list[KANLayer]) -> Self:
        """Return a network of other layers with the same meaning of inputs and outputs (the encoding of a table)."""
        twin = type(self)._of(layers)
        twin._encoding = self._encoding
        return twin

    def copy(self) -> Self:
        """Return an independent copy.

        Examples
        --------
        >>> from numkan import KAN
        >>> model = KAN([2, 1], seed=0)
        >>> other = model.copy()
        >>> other.act_fun[0].coef[...] = 0
        >>> bool(model.act_fun[0].coef.any())
        True
        """
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = self._with_layers([copy.deepcopy(layer, memo) for layer in self.act_fun])
        twin._drawn, twin._posterior = self._drawn, self._posterior
        return twin

    def __copy__(self) -> Self:
        return self.copy()  # a copy that shares the vector but not its views would be neither

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": list(self._layers), **{name: getattr(self, f"_{name}") for name in _BESIDE}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._take(state["layers"])
        for name in _BESIDE:
            setattr(self, f"_{name}", state.get(name))  # pickles of older versions do not have all

    def _digest(self) -> bytes:
        """Return a digest of all parameters and grids, byte for byte."""
        numbers = hashlib.blake2b(self._numbers.data, digest_size=16)
        for layer in self._layers:
            numbers.update(layer.grid.data)
        return numbers.digest()

    @property
    def is_as_drawn(self) -> bool:
        """Whether parameters, grids and masks are byte for byte those that the constructor drew."""
        return self._drawn is not None and self._drawn == self._digest()

    # --- shape and settings ---------------------------------------------------------------------------------------

    @property
    def act_fun(self) -> tuple[KANLayer, ...]:
        """The layers, from the inputs to the outputs."""
        return self._layers

    @property
    def width(self) -> list[int]:
        """Number of nodes: inputs, hidden layers, outputs."""
        return [self.act_fun[0].n_in] + [layer.n_out for layer in self.act_fun]

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.act_fun)

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self._n_in

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self._n_out

    @property
    def grid(self) -> list[int]:
        """Number of grid intervals G of each layer."""
        return [layer.G for layer in self.act_fun]

    @property
    def k(self) -> list[int]:
        """Degree of each layer."""
        return [layer.k for layer in self.act_fun]

    @property
    def extrapolate(self) -> str | tuple[str, ...]:
        """Policy outside the grids: one for all layers, or a tuple of one for each where they differ.

        Assign either of these; all layers change, or none.
        """
        policies = tuple(layer.extrapolate for layer in self._layers)
        return policies[0] if len(set(policies)) == 1 else policies

    @extrapolate.setter
    def extrapolate(self, value: str | Sequence[str]) -> None:
        if is_list(value):
            check_length("extrapolate", value, self.depth, "layer")
            policies = [str(check_option(f"extrapolate[{i}]", one, EXTRAPOLATIONS)) for i, one in enumerate(value)]
        else:
            policies = [str(check_option("extrapolate", value, EXTRAPOLATIONS))] * self.depth
        for layer, policy in zip(self._layers, policies, strict=True):
            layer.extrapolate = policy

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of all numbers of the model."""
        return self._dtype

    @property
    def n_params(self) -> int:
        """Number of trainable parameters."""
        return int(self._theta.size)

    @property
    def params(self) -> FloatArray:
        """All trainable parameters (n_params,), a copy; assign a whole vector to change them.

        Layer by layer: `coef`, and `scale_base` and `scale_sp` if they are trainable. Entries are in the order of
        memory; use :meth:`unravel` to read such a vector.
        """
        return self._theta.copy()

    @params.setter
    def params(self, value: Any) -> None:
        self._theta[:] = self._vector("params", value)

    def _vector(self, name: str, value: Any) -> FloatArray:
        vector = as_float_array(name, value, self.dtype)
        if vector.shape != self._theta.shape:
            raise ValueError(f"Argument `{name}` must have shape {self._theta.shape}, not {vector.shape}.")
        return vector

    def unravel(self, vector: Any) -> list[dict[str, FloatArray]]:
        """Read a vector in the order of `params` (a gradient, a row of the Jacobian) as arrays of their natural shape.

        Parameters
        ----------
        vector : array_like, shape (n_params,)

        Returns
        -------
        list of dict
            For each layer ``coef`` (n_in, n_out, G + k), and ``scale_base`` and ``scale_sp`` (n_in, n_out) if they are
            trainable. Views of `vector` if it is an array of the model's dtype.

        Examples
        --------
        >>> from numkan import KAN
        >>> model = KAN([2, 3, 1], grid=5, k=3, seed=0)
        >>> [{name: array.shape for name, array in layer.items()} for layer in model.unravel(model.params)][1]
        {'coef': (3, 1, 8), 'scale_base': (3, 1), 'scale_sp': (3, 1)}
        """
        vector = self._vector("vector", vector)
        out, at = [], 0
        for layer in self.act_fun:
            sections = layer._sections(vector[at : at + layer.n_params])
            sections["coef"] = sections["coef"].transpose(0, 2, 1)
            out.append(sections)
            at += layer.n_params
        return out

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(width={self.width}, grid={_short(self.grid)}, k={_short(self.k)}, "
            f"extrapolate={self.extrapolate!r}, dtype={self.dtype})"
        )

    def _hint(self, name: str) -> str:
        if hasattr(KANLayer, name):
            return f" It belongs to the layers: set `{name}` of each layer in `act_fun`."
        return super()._hint(name)

    # --- for subclasses -------------------------------------------------------------------------------------------

    def _pack(self) -> list[PackedLayer]:
        return [layer.pack() for layer in self.act_fun]

    def _samples(self, x: Any, name: str = "x") -> FloatArray:
        return as_samples(name, x, self._n_in, self._dtype)


def _check_width(width: Sequence[int]) -> list[int]:
    if not is_list(width):
        raise TypeError(f"Argument `width` must be a list of integers, not {shown(width)}.")
    if len(width) < 2:
        raise ValueError(
            f"Argument `width` must have at least 2 entries, inputs and outputs, not {shown(list(width))}."
        )
    return [check_integer(f"width[{place}]", n, 1) for place, n in enumerate(width)]


def per_layer(name: str, value: int | Sequence[int], depth: int, minimum: int) -> list[int]:
    """Return one integer for each layer, from one for all or a list."""
    if isinstance(value, Sequence | np.ndarray) and is_list(value):
        check_length(name, value, depth, "layer")
        return [check_integer(f"{name}[{place}]", n, minimum) for place, n in enumerate(value)]
    return [check_integer(name, value, minimum)] * depth


def _short(values: list[int]) -> int | list[int]:
    """Return one number where all are the same."""
    return values[0] if len(set(values)) == 1 else values
