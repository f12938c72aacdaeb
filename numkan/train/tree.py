"""The progress of a fit as a tree of dicts, lists, numbers, texts and arrays, which can be written to a file.

A tree that comes out of a file is not trusted. Its numbers and arrays are read by :func:`integer`, :func:`real` and
:func:`array`, which raise an error if an entry is of another kind.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from numkan._check import FloatArray, check_integer
from numkan._npz import read_array
from numkan._shown import shown
from numkan.layer.layer import KANLayer
from numkan.model.network import Network

__all__ = [
    "Tree", "array", "integer", "items", "knots", "network_of", "network_tree", "put_together", "real", "reals",
    "take_apart",
]  # fmt: skip

Tree = dict[str, Any]

_DTYPES = ("float32", "float64")


# --- files --------------------------------------------------------------------------------------------------------


def take_apart(tree: Any, arrays: dict[str, Any], name: str = "fit") -> Any:
    """Return a tree as JSON can hold it. Its arrays go into `arrays`, under the names of their places in the tree."""
    if isinstance(tree, np.ndarray):
        if tree.dtype.name not in _DTYPES:
            raise TypeError(f"array {name} is of {tree.dtype}")
        arrays[name] = np.ascontiguousarray(tree).astype(tree.dtype.newbyteorder("<"), copy=False)
        return {"array": name, "dtype": tree.dtype.name, "shape": list(tree.shape)}
    if isinstance(tree, dict):
        return {key: take_apart(value, arrays, f"{name}.{key}") for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [take_apart(value, arrays, f"{name}.{place}") for place, value in enumerate(tree)]
    if isinstance(tree, float | np.floating):
        return float(tree) if math.isfinite(tree) else {"float": str(float(tree))}
    return tree


def put_together(tree: Any, archive: zipfile.ZipFile, index: dict[str, zipfile.ZipInfo]) -> Any:
    """Return what :func:`take_apart` was given, and take its arrays out of `index`."""
    if isinstance(tree, list):
        return [put_together(value, archive, index) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {"float"}:
        return float(tree["float"])
    if set(tree) == {"array", "dtype", "shape"}:
        name, shape = tree["array"], tuple(check_integer("shape", size, 0) for size in tree["shape"])
        if tree["dtype"] not in _DTYPES or f"{name}.npy" not in index:
            raise ValueError(f"member {shown(name)} is missing, or of the dtype {shown(tree['dtype'])}.")
        dtype = np.dtype(tree["dtype"])
        return read_array(archive, index.pop(f"{name}.npy"), dtype, shape).astype(dtype)
    return {key: put_together(value, archive, index) for key, value in tree.items()}


# --- parts of a tree ----------------------------------------------------------------------------------------------


def integer(tree: Tree, key: str) -> int:
    """Return an integer that is not negative."""
    return check_integer(key, tree[key], 0)


def real(tree: Tree, key: str) -> float:
    """Return a number, which may be NaN or infinite."""
    (value,) = reals([tree[key]])
    return value


def reals(values: Any, number: int | None = None) -> list[float]:
    """Return a list of numbers, `number` of them if that is given; they may be NaN or infinite."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise TypeError(f"{shown(values)} is no list of numbers.")
    if number is not None and len(values) != number:
        raise ValueError(f"{shown(values)} has {len(values)} numbers, not {number}.")
    return [float(value) for value in values]


def items(tree: Tree, key: str, number: int | None = None) -> list[Any]:
    """Return a list, of `number` entries if that is given."""
    found = tree[key]
    if not isinstance(found, list) or number not in (None, len(found)):
        raise TypeError(f"{shown(key)} is no list{'' if number is None else f' of {number}'}.")
    return found


def array(value: Any, shape: Sequence[int], dtype: Any = np.float64) -> FloatArray:
    """Return an array of just this shape and dtype."""
    if not isinstance(value, np.ndarray) or value.shape != tuple(shape) or value.dtype != dtype:
        what = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else shown(value)
        raise ValueError(f"an array must be {np.dtype(dtype)} of shape {tuple(shape)}, not {what}.")
    return value


def knots(value: Any, n_in: int, k: int, dtype: Any = np.float64) -> FloatArray:
    """Return the knots of a layer (n_in, G + 2k + 1), which are finite and do not decrease."""
    found = array(value, (n_in, np.shape(value)[-1] if np.ndim(value) else 0), dtype)
    length = found[:, -1 - k] - found[:, k] if found.shape[1] >= 2 * k + 2 else np.zeros(n_in)
    if not (np.isfinite(found).all() and (np.diff(found, axis=1) >= 0.0).all() and (length > 0.0).all()):
        raise ValueError("knots must be finite, not decrease, and span more than a point.")
    return found


# --- networks -----------------------------------------------------------------------------------------------------


def network_tree(model: Network, theta: FloatArray) -> Tree:
    """Return grids and parameters of a network."""
    return {"grids": [np.array(layer.grid) for layer in model.act_fun], "params": np.array(theta)}


def network_of(tree: Tree, template: Network) -> tuple[Network, FloatArray]:
    """Return a network like a template, on these grids, at these parameters; and the parameters."""
    grids = items(tree, "grids", template.depth)
    layers = [_on(layer, grid) for layer, grid in zip(template.act_fun, grids, strict=True)]
    model = type(template)._of(layers)
    theta = array(tree["params"], (model.n_params,), model.dtype)
    model._theta[:] = theta
    return model, theta


def _on(layer: KANLayer, grid: Any) -> KANLayer:
    basis = layer.basis.on(knots(grid, layer.n_in, layer.k, layer.dtype))
    return layer._with(basis, np.zeros((layer.n_in, layer.n_out, basis.n_basis), layer.dtype))
