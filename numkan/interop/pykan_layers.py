"""A pykan model as plain arrays and settings, and the layers that they make. No torch is needed here.

The arrays have the names that they have in pykan's state: ``act_fun.0.coef``, ``symbolic_fun.0.mask``, ``node_bias_0``.
A live model and a checkpoint both become a :class:`Source` of them, and everything that cannot be carried over is found
in one place. Read from pykan 0.2.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan._check import FloatArray, check_number
from numkan.base import Function
from numkan.interop._needed import reason
from numkan.layer.layer import KANLayer
from numkan.spline.knots import check_grid

__all__ = ["ARRAYS", "BASES", "Settings", "Source", "check_knots", "layers_of", "numpy_array", "source_of_model"]

#: The arrays of a layer of edges.
ARRAYS = ("grid", "coef", "mask", "scale_base", "scale_sp")

#: The base functions that pykan has, in its own names and in ours.
BASES = ("silu", "identity", "zero")

#: The arrays that determine the dtype of a model; masks may have any.
_NUMBERS = (".grid", ".coef", ".scale_base", ".scale_sp")

#: Factors and biases of pykan's sums over edges, and of the nodes made of them: name and neutral value.
AFFINE = {"subnode_scale": 1, "subnode_bias": 0, "node_scale": 1, "node_bias": 0}


@dataclass(frozen=True)
class Settings:
    """The settings of a layer."""

    base_fun: str | tuple[Function, ...]
    grid_eps: float
    sp_trainable: bool = True
    sb_trainable: bool = True


@dataclass(frozen=True)
class Source:
    """A pykan model: arrays by the names of its state, and the settings of its layers."""

    arrays: Mapping[str, FloatArray]
    settings: list[Settings]
    symbolic: bool = True  # whether its symbolic edges are computed


def numpy_array(name: str, tensor: Any) -> FloatArray:
    """Return a tensor (or whatever NumPy takes for an array) as an array of float32 or float64."""
    try:
        array = np.asarray(tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else tensor)
    except (TypeError, RuntimeError) as error:  # a dtype that NumPy has not, a tensor without numbers
        raise TypeError(
            f"Argument `model` must have numbers that NumPy can hold in {name}: {reason(error)}."
        ) from error
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"Argument `model` must have float32 or float64 numbers in {name}, not {array.dtype}.")
    return array


# --- a live model -------------------------------------------------------------------------------------------------


def source_of_model(model: Any) -> Source:
    """Return the arrays and settings of a live pykan model, or of any object with the same attributes."""
    parts = ("act_fun", "symbolic_fun", *AFFINE)
    if any(not hasattr(model, part) for part in parts):
        raise TypeError(
            f"Argument `model` must be a pykan model or the path of a checkpoint, not {type(model).__name__}."
        )
    arrays, settings = {}, []
    for place, (layer, symbolic) in enumerate(zip(model.act_fun, model.symbolic_fun, strict=True)):
        found = {f"act_fun.{place}.{name}": getattr(layer, name) for name in ARRAYS}
        found[f"symbolic_fun.{place}.mask"] = symbolic.mask
        found |= {f"{name}_{place}": getattr(model, name)[place] for name in AFFINE}
        arrays.update({name: numpy_array(name, tensor) for name, tensor in found.items()})
        base_fun = _base_name(model, layer, place)
        trainable = [bool(getattr(layer, name).requires_grad) for name in ("scale_sp", "scale_base")]
        settings.append(Settings(base_fun, layer.grid_eps, *trainable))
    source = Source(arrays, settings, bool(getattr(model, "symbolic_enabled", True)))
    _check_inputs(model, arrays)
    return source


def _base_name(model: Any, layer: Any, place: int) -> str:
    """Return the name of a layer's base function, from a module's type or from pykan's name for its function."""
    named = getattr(model, "base_fun_name", None)
    modules = {"SiLU": "silu", "Identity": "identity"}
    of_type = type(layer.base_fun).__name__
    if of_type in modules:
        return modules[of_type]
    if named == "zero" and layer.base_fun is getattr(model, "base_fun", None):
        return "zero"
    called = repr(getattr(layer.base_fun, "__name__", layer.base_fun))
    raise ValueError(
        f"Argument `model` must have the base function 'silu', 'identity' or 'zero' in layer {place}, not {called}."
    )


def _check_inputs(model: Any, arrays: Mapping[str, FloatArray]) -> None:
    """Raise an error if a model does not take all inputs in their order, as after pykan's `prune_input`."""
    chosen = getattr(model, "input_id", None)
    if chosen is None:
        return
    n_in = len(arrays["act_fun.0.grid"])
    ids = [int(i) for i in chosen]
    if ids != list(range(n_in)):
        raise ValueError(f"Argument `model` must take {n_in} inputs in their order in layer 0, not those at {ids}.")


# --- layers -------------------------------------------------------------------------------------------------------


def layers_of(source: Source) -> list[KANLayer]:
    """Return numkan's layers; raise an error that says what cannot be carried over, and in which layer."""
    numbers = [array for name, array in source.arrays.items() if name.endswith(_NUMBERS)]
    dtype = np.dtype(np.float32 if all(array.dtype == np.float32 for array in numbers) else np.float64)
    layers: list[KANLayer] = []
    for place, settings in enumerate(source.settings):
        layers.append(_layer(source, place, settings, dtype))
        if place and layers[-1].n_in != layers[-2].n_out:
            raise ValueError(
                f"Argument `model` must have as many inputs in layer {place} as there are outputs before it, "
                f"{layers[-2].n_out}, not {layers[-1].n_in}."
            )
    return layers


def _layer(source: Source, place: int, settings: Settings, dtype: np.dtype[Any]) -> KANLayer:
    arrays = {name: source.arrays[f"act_fun.{place}.{name}"] for name in ARRAYS}
    symbolic = source.arrays[f"symbolic_fun.{place}.mask"]
    k = _degree({**arrays, "symbolic mask": symbolic.T}, place)
    _check_nodes(source, place, symbolic)
    name = f"model.act_fun[{place}]"
    check_knots(check_grid(f"{name}.grid", arrays["grid"], k, dtype), place)
    n_in, n_out, n_basis = arrays["coef"].shape
    layer = KANLayer(
        n_in,
        n_out,
        n_basis - k,
        k,
        base_fun=settings.base_fun,
        grid_eps=check_number(f"{name}.grid_eps", settings.grid_eps, 0, 1),
        sp_trainable=settings.sp_trainable,
        sb_trainable=settings.sb_trainable,
        extrapolate="fade",
        init="power",  # cheap to draw; all parameters are overwritten
        dtype=dtype,
    )
    for array in ARRAYS:
        setattr(layer, array, arrays[array])
    return layer


def _degree(arrays: Mapping[str, FloatArray], place: int) -> int:
    """Return the degree that follows from the shapes of a layer's arrays, after a check of all of them."""
    shapes = {name: array.shape for name, array in arrays.items()}
    n_in, n_out, n_basis = shapes["coef"] if len(shapes["coef"]) == 3 else (0, 0, 0)
    edges = (n_in, n_out)
    n_knots = shapes["grid"][1] if len(shapes["grid"]) == 2 else 0
    k = n_knots - n_basis - 1
    fitting = {**dict.fromkeys(shapes, edges), "grid": (n_in, n_knots), "coef": (n_in, n_out, n_basis)}
    if min(n_in, n_out, n_basis - k) < 1 or k < 1 or shapes != fitting:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            "Argument `model` must have grid (n_in, G + 2k + 1), coef (n_in, n_out, G + k) with G and k at least 1, "
            f"masks and scales (n_in, n_out) in layer {place}, not {listed}."
        )
    return k


def check_knots(knots: FloatArray, place: int) -> None:
    """Raise an error if knots of an input coincide, because pykan then drops a part of the recursion."""
    together = knots[:, 1:] == knots[:, :-1]
    if together.any():
        i, at = (int(index) for index in np.argwhere(together)[0])
        raise ValueError(
            f"Argument `model` must have knots that differ in layer {place}, not two at {knots[i, at]} for input {i}, "
            "of which pykan makes no spline."
        )


def _check_nodes(source: Source, place: int, symbolic: FloatArray) -> None:
    """Raise an error if anything lies between edges and outputs: symbolic edges, products, scales or biases."""
    if source.symbolic and symbolic.any():
        o, i = (int(index) for index in np.argwhere(symbolic)[0])
        raise ValueError(
            f"Argument `model` must have no symbolic edges in layer {place}, not one from input {i} to output {o}."
        )
    sums = len(symbolic)
    for name, neutral in AFFINE.items():
        array = source.arrays[f"{name}_{place}"]
        if array.shape != (sums,):
            raise ValueError(
                f"Argument `model` must have no multiplication nodes in layer {place}, "
                f"not {array.size} nodes of {sums} sums."
            )
        other = np.flatnonzero(array != neutral)
        if len(other):
            at = int(other[0])
            raise ValueError(
                f"Argument `model` must have a {name} of {neutral} in layer {place}, not {array[at]} at {at}."
            )
