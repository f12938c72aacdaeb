"""The memory plan of a network in direct form (``layer/direct.py``): which networks take it, and where everything lies.

A plan depends on the grids and shapes of a network, not on its coefficients. It is made once and kept until the grids
change. Networks whose tables would leave the cache sort their samples instead (``layer/sort.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.layer import direct
from numkan.layer.buffers import aligned_empty
from numkan.layer.layer import KANLayer
from numkan.layer.layout import LAYER, PARTS, Grids, Scratch
from numkan.spline.pieces import Pieces, function_lanes

__all__ = ["MAX_ROW_BYTES", "DirectPlan", "Sizes", "direct_plan"]

#: The polynomials of all edges may take at most this many bytes: beyond, they leave the second-level cache.
_MAX_POLYNOMIAL_BYTES = 4 << 20

#: A row of outputs may take at most this many bytes. Sorting the samples of a block pays for longer rows.
MAX_ROW_BYTES = 256

#: The scratch memory of a thread, and the tables of all grids, may take at most this many bytes each.
_MAX_SCRATCH_BYTES = 20 << 20

#: The cost of one input of a sample beside its edges, in multiply-adds.
_INPUT_WORK = 32

#: Bytes of a cache line, on which every array begins.
_LINE = 64


class Sizes(NamedTuple):
    """Lengths of the arrays that a thread needs."""

    work: int  # scratch memory
    pieces: int  # the piece of every sample, for every input
    edges: int  # packed edges
    grads: int  # gradient by packed edges

    def fit(self, other: Sizes) -> bool:
        """Return whether arrays of other sizes are large enough."""
        return all(own <= large for own, large in zip(self, other, strict=True))


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class DirectPlan:
    """What the kernels need to know about a network beside its parameters."""

    k: int
    dtype: np.dtype[Any]
    grids: Grids
    scratch: Scratch  # its offsets; every thread adds memory of its own
    width: tuple[int, ...]  # inputs, and outputs of each layer
    n_params: int
    sizes: Sizes
    sample_work: int  # the cost of one sample, in multiply-adds


def direct_plan(layers: Sequence[KANLayer], numbers: FloatArray) -> DirectPlan | None:
    """Return the plan of a network whose parameters lie in `numbers`, or None where the form does not suit it."""
    if not _suits(layers):
        return None
    records = _shapes(layers, numbers)
    if records is None:
        return None  # another thread is changing the network's shape
    k, dtype = layers[0].k, layers[0].dtype
    pieces = [layer.pieces for layer in layers]
    n_inputs = direct.padded(records["n_in"], dtype)  # samples are transposed in squares
    records["inputs"] = _begins(n_inputs)
    sizes = _plan_edges(records, pieces, k, dtype)
    if sizes is None:
        return None
    floats, integers = _Store(dtype), _Store(np.dtype(np.int32))
    if not _store_tables(records, pieces, k, floats, integers):
        return None
    parts = _scratch_parts(records, n_inputs, k, dtype)
    if max(floats.size, parts.sum()) * dtype.itemsize > _MAX_SCRATCH_BYTES:
        return None
    n_edges, n_grads = sizes
    return DirectPlan(
        k=k,
        dtype=dtype,
        grids=Grids(records, floats.flat(), integers.flat()),
        scratch=Scratch(**dict(zip(PARTS, _begins(parts).tolist(), strict=True)), work=None, index=None),
        width=(layers[0].n_in, *(layer.n_out for layer in layers)),
        n_params=sum(layer.n_params for layer in layers),
        sizes=Sizes(int(parts.sum()), int(n_inputs.sum()) * direct.BLOCK, n_edges, n_grads),
        sample_work=int((records["n_in"] * (_INPUT_WORK + (k + 2) * records["n_out"])).sum()),
    )


def _suits(layers: Sequence[KANLayer]) -> bool:
    """Return whether degree, base functions and policies allow the direct form."""
    k = layers[0].k
    if k == 0 or any(layer.k != k or layer._base.is_custom for layer in layers):
        return False  # steps are looked up, not evaluated; a user's base function is Python
    return all(layer.basis.outside.has_values for layer in layers)


def _shapes(layers: Sequence[KANLayer], numbers: FloatArray) -> Any:
    """Return the records with the sizes of each layer and its parameters; None where they do not lie in `numbers`."""
    records: Any = np.zeros(len(layers), LAYER)
    for record, layer in zip(records, layers, strict=True):
        record.n_in, record.n_out, record.n_basis, record.kind = (
            layer.n_in,
            layer.n_out,
            layer.G + layer.k,
            layer._base.kind,
        )
        record.width, record.n_pieces = direct.row_width(layer.n_out, layer.dtype), layer.pieces.first.shape[1]
        record.trains_base, record.trains_sp = layer.sb_trainable, layer.sp_trainable
        views = layer._coef, layer._scale_base, layer._scale_sp, layer._mask
        if not all(np.may_share_memory(view, numbers) for view in views):
            return None
        record.coef, record.scale_base, record.scale_sp, record.mask = (
            (view.ctypes.data - numbers.ctypes.data) // numbers.itemsize for view in views
        )
    return records


def _plan_edges(records: Any, pieces: Sequence[Pieces], k: int, dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """Complete the records of packed edges and their gradient, and return their lengths; None if they are too long."""
    n_in, width = records["n_in"], records["width"]
    records["piece_stride"] = direct.piece_stride(k, width)
    sizes = _lines(n_in * records["n_pieces"] * records["piece_stride"], dtype)
    if sizes.sum() * dtype.itemsize > _MAX_POLYNOMIAL_BYTES or width.max() * dtype.itemsize > MAX_ROW_BYTES:
        return None
    scales = _lines(n_in * width, dtype)
    records["edges"], records["scales"] = _begins(sizes), int(sizes.sum()) + _begins(scales)
    gradient = _lines(n_in * (records["n_basis"] + 1) * width, dtype)
    records["grads"] = _begins(gradient)
    return int(sizes.sum() + scales.sum()), int(gradient.sum())


def _store_tables(records: Any, pieces: Sequence[Pieces], k: int, floats: _Store, integers: _Store) -> bool:
    """Append the tables of all grids and complete the records; return False where a grid does not suit the look-up."""
    for record, own in zip(records, pieces, strict=True):
        tables = direct.direct_tables(own, k)
        if tables is None or not np.isfinite(tables.matrices).all():
            return False  # gradients are summed over pieces without samples too
        record.local, record.matrices, record.cells, record.hints = (floats.put(table) for table in tables[:-1])
        record.first, record.n_cells = integers.put(tables.first), tables.hints.shape[1]
    return True


def _scratch_parts(records: Any, n_inputs: Any, k: int, dtype: np.dtype[Any]) -> Any:
    """Return the lengths of the parts of the scratch memory."""
    total, widest = int(n_inputs.sum()), int(records["width"].max())
    parts = {
        "values": int(n_inputs.max()) * direct.BLOCK,
        "points": 2 * total * direct.BLOCK,
        "slopes": 2 * total * direct.BLOCK,
        "cotangents": widest * direct.BLOCK,
        "input_cotangents": widest * direct.BLOCK,
        "buffer": max(
            int((records["n_basis"] * records["width"]).max()),
            function_lanes(k) * max(direct.BLOCK, direct.MAX_SUMS),
        ),
        "outputs": widest * direct.BLOCK,
    }
    return _lines([parts[part] for part in PARTS], dtype)


def _begins(sizes: Any) -> Any:
    """Return where each of some consecutive parts begins."""
    return np.cumsum(sizes) - sizes


def _lines(sizes: Any, dtype: np.dtype[Any]) -> Any:
    """Return sizes rounded up to whole cache lines."""
    numbers = _LINE // dtype.itemsize
    return -(-np.asarray(sizes) // numbers) * numbers


class _Store:
    """A flat array that arrays are appended to."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._arrays: list[Any] = []
        self.size = 0

    def put(self, array: Any) -> int:
        """Append an array on a cache line, and return its offset."""
        padding = int(_lines(array.size, self._dtype)) - array.size
        self._arrays += [array.reshape(-1), np.zeros(padding, self._dtype)]
        self.size += array.size + padding
        return int(self.size - array.size - padding)

    def flat(self) -> Any:
        out = aligned_empty(self.size, self._dtype)
        np.concatenate(self._arrays, out=out)
        return out
