"""A model as one Python file that needs NumPy alone."""

from __future__ import annotations

import base64
import os
import textwrap
from collections.abc import Iterator

import numpy as np

from numkan._check import FloatArray
from numkan._npz import check_path
from numkan._replace_file import replace_file
from numkan.base import BASE_FUNCTIONS
from numkan.export.tables import LayerTables, network_tables
from numkan.model.network import Network

__all__ = ["to_numpy"]


def to_numpy(self: Network, path: str | os.PathLike[str]) -> None:
    """Write the model as a Python file with one function, ``predict(x)``, that needs NumPy alone.

    ``predict`` takes points (n, n_in) and returns (n, n_out), in the dtype of the model. It follows the policies of the
    layers outside their grids, ``"raise"`` included, and agrees with the model up to a few units in the last place of
    the sum over a node's inputs.

    Parameters
    ----------
    path : str or path
        Where the file is written, as a whole or not at all.

    Raises
    ------
    ValueError
        If the base function is a user's own.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import runpy, tempfile
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model, x = KAN([2, 3, 1], seed=0), np.array([[0.5, -0.2]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.to_numpy(f"{folder}/exported.py")
    ...     predict = runpy.run_path(f"{folder}/exported.py")["predict"]
    >>> bool(np.allclose(predict(x), model(x), rtol=1e-14))
    True
    """
    text = "\n".join(_lines(self, network_tables(self)))
    replace_file(check_path(path), lambda file: file.write(text.encode("ascii")))


def _lines(model: Network, tables: list[LayerTables]) -> Iterator[str]:
    yield _HEAD.format(model=repr(model), dtype=model.dtype.name)
    for layer, own in zip(tables, model.act_fun, strict=True):
        yield f"LAYERS.append(\n    Layer(\n        base={layer.base_fun!r}, raises={own.extrapolate == 'raise'},"
        for name in ("breaks", "centre", "inverse", "poly", "base"):
            yield f"        {'base_weight' if name == 'base' else name}={_array(getattr(layer, name))},"
        yield "    )\n)"
    yield "\nBASE_FUNCTIONS = {"
    for name in sorted({layer.base_fun for layer in tables}):
        formula = BASE_FUNCTIONS[name].numpy.format(cut="-87" if model.dtype == np.float32 else "-708")
        yield f"    {name!r}: lambda x: {formula},"
    yield "}"
    yield _PREDICT.format(limit="np.finfo(DTYPE).max", n_in=model.n_in)


def _array(values: FloatArray) -> str:
    data = base64.b64encode(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()).decode()
    lines = textwrap.wrap(data, 108) or [""]
    body = "\n".join(f'            "{line}"' for line in lines)
    return f"array(\n            {values.shape},\n{body},\n        )"


_HEAD = '''"""{model}, written by numkan: predict(x) needs NumPy alone."""

import base64
from collections import namedtuple

import numpy as np

DTYPE = np.dtype("{dtype}")

#: On piece j of input i an edge is poly[i, j, o] (highest power first) in w = (x - centre[i, j]) * inverse[i, j], and
#: base_weight[i, o] times the base function. breaks (n_in, n_pieces - 1) is where the next piece begins.
Layer = namedtuple("Layer", "base raises breaks centre inverse poly base_weight")
LAYERS = []


def array(shape, data):
    """Return the numbers that stand in a string, little-endian."""
    return np.frombuffer(base64.b64decode(data), DTYPE.newbyteorder("<")).astype(DTYPE).reshape(shape)

'''

_PREDICT = '''

def base_function(name, x):
    """Return the base function at x."""
    with np.errstate(over="ignore", invalid="ignore"):
        return BASE_FUNCTIONS[name](x).astype(DTYPE)


def edges(layer, i, x):
    """Return what input i adds to each output, (n, n_out)."""
    breaks = layer.breaks[i]
    if layer.raises and ((x < breaks[0]) | (x >= breaks[-1])).any():
        raise ValueError("A point lies outside the grid of input %d." % i)
    piece = np.searchsorted(breaks, x, side="right")
    largest = np.finfo(DTYPE).max
    w = (np.clip(x, -largest, largest) - layer.centre[i, piece]) * layer.inverse[i, piece]
    poly = layer.poly[i, piece]
    value = poly[:, :, 0]
    for m in range(1, poly.shape[2]):
        value = value * w[:, None] + poly[:, :, m]
    value = np.where(np.isnan(w)[:, None], w[:, None], value)
    return value + layer.base_weight[i] * base_function(layer.base, x)[:, None]


def predict(x):
    """Return predictions (n, n_out) at points x (n, {n_in})."""
    x = np.asarray(x, DTYPE)
    if x.ndim != 2 or x.shape[1] != {n_in}:
        raise ValueError("Argument `x` must have shape (n, {n_in}), not %s." % (x.shape,))
    for layer in LAYERS:
        x = sum(edges(layer, i, x[:, i]) for i in range(x.shape[1]))
    return x
'''
