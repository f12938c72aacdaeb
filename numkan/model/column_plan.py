"""Where the numbers of a network lie in column form; made once for its grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._lanes import fitting_entries, has_lookups, index_dtype
from numkan.base import GIVEN
from numkan.layer import columns as at
from numkan.layer.layer import KANLayer
from numkan.layer.work import aligned_empty
from numkan.spline.pieces import Pieces

__all__ = ["ColumnPlan", "Sizes", "column_plan"]

#: Edges whose tables take more are better summed over their basis functions, because they leave the cache: 1.25 MB of
#: float32, and half of that of float64, which takes twice the vectors. So it is bytes times bytes of a number.
_MOST_TABLES = 5 << 20

#: A gradient evaluates all functions at each sample. Where their tables take more than two registers, that pays up to
#: so many bytes of products of one input's functions and the outputs.
_MOST_PRODUCT_BYTES = 3 << 10

#: What an input of a sample costs beside its edges, in multiply-adds.
_INPUT_WORK = 32


class Sizes(NamedTuple):
    """Numbers in the parts of a thread's memory."""

    work: int  # columns of numbers
    pieces: int  # columns of them
    edges: int  # packed
    grads: int  # by packed edges

    def fit(self, other: Sizes) -> bool:
        """Tell whether memory of other sizes is large enough."""
        work, pieces, edges, grads = other
        return self.work <= work and self.pieces <= pieces and self.edges <= edges and self.grads <= grads


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class ColumnPlan:
    """What the kernels of the column form need to know about a network, but for its numbers."""

    k: int
    dtype: np.dtype[Any]
    entries: int  # of each table
    tables: Any  # of all grids, see `layer/columns.py`
    firsts: Any  # those of integers
    places: Any  # (depth, N_PLACES), where the parts of each layer lie
    trained: Any  # (depth, 2): whether scale_base and scale_sp are parameters
    offsets: Any  # (N_OFFSETS,), where the parts of the scratch memory lie
    width: tuple[int, ...]  # inputs, and outputs of each layer
    n_params: int
    sizes: Sizes
    sample_work: int  # what a sample costs, in multiply-adds
    has_gradient: bool  # whether gradients are to be computed in this form


def column_plan(layers: Sequence[KANLayer], numbers: FloatArray) -> ColumnPlan | None:
    """Return the plan of a network whose layers live in `numbers`, or None where the form does not suit it."""
    k, dtype, pieces = layers[0].k, layers[0].dtype, [layer.pieces for layer in layers]
    entries = _entries(layers, pieces)
    if not entries:
        return None
    floats, integers = _Store(dtype), _Store(index_dtype(dtype))
    places = np.zeros((len(layers), at.N_PLACES), np.int64)
    for place, layer, own in zip(places, layers, pieces, strict=True):
        n_basis = layer.G + k
        place[[at.N_IN, at.N_OUT, at.N_BASIS, at.KIND]] = layer.n_in, layer.n_out, n_basis, layer._base.kind
        place[at.N_ROWS] = at.padded(n_basis + 1, dtype)
        views = layer._coef, layer._scale_base, layer._scale_sp, layer._mask
        if not all(np.may_share_memory(view, numbers) for view in views):
            return None  # another thread is changing the network's shape
        place[[at.COEF, at.SCALE_BASE, at.SCALE_SP, at.MASK]] = [
            (view.ctypes.data - numbers.ctypes.data) // dtype.itemsize for view in views
        ]
        tables = at.column_tables(own, k, n_basis, entries)
        floating = [at.BREAKS, at.LOCAL, at.POLY, at.FUNCTIONS, at.MATRICES]
        place[floating] = [floats.put(table) for table in tables[:-1]]
        place[at.FIRST] = integers.put(tables.first)
    edges = places[:, at.N_IN] * places[:, at.N_OUT]
    edge_numbers, n_edges = (k + 1) * entries, int(edges.sum())
    places[:, at.EDGES] = _starts(edges * edge_numbers)
    places[:, at.SCALES] = n_edges * edge_numbers + _starts(edges)
    places[:, at.GRADS] = _starts(edges * places[:, at.N_ROWS])
    places[:, at.INPUTS] = _starts(places[:, at.N_IN] * at.BLOCK)
    parts = _scratch_parts(places)
    inputs, products = places[:, at.N_IN], int(((places[:, at.N_BASIS] + 1) * places[:, at.N_OUT]).max())
    return ColumnPlan(
        k=k,
        dtype=dtype,
        entries=entries,
        tables=floats.flat(),
        firsts=integers.flat(),
        places=places,
        trained=np.array([[layer.sb_trainable, layer.sp_trainable] for layer in layers], np.int64),
        offsets=_starts(parts),
        width=(layers[0].n_in, *(layer.n_out for layer in layers)),
        n_params=sum(layer.n_params for layer in layers),
        sizes=Sizes(
            work=int(parts.sum()),
            pieces=int(inputs.sum()) * at.BLOCK,
            edges=n_edges * (edge_numbers + 1),
            grads=int((edges * places[:, at.N_ROWS]).sum()),
        ),
        has_gradient=entries * dtype.itemsize <= 2 * 64 or products * dtype.itemsize <= _MOST_PRODUCT_BYTES,
        sample_work=int((inputs * (_INPUT_WORK + (k + 2) * places[:, at.N_OUT])).sum()),
    )


def _starts(sizes: Any) -> Any:
    """Return where each of some parts begins that lie one after the other."""
    return np.cumsum(sizes) - sizes


def _entries(layers: Sequence[KANLayer], pieces: Sequence[Pieces]) -> int:
    """Return the size of tables that suits all layers; 0 where the form does not suit the network."""
    k, dtype = layers[0].k, layers[0].dtype
    if not has_lookups() or any(layer.k != k for layer in layers):
        return 0
    if any(layer._base.kind == GIVEN for layer in layers):
        return 0  # a user's base function is Python
    # Grids are laid over activations that the other form computes. In this one they may lie on the other side of a
    # knot, by a rounding, which matters where edges jump.
    if any(layer.extrapolate in ("nan", "raise") for layer in layers) or (k == 0 and len(layers) > 1):
        return 0
    needed = max(max(own.first.shape[1], layer.G + k) for own, layer in zip(pieces, layers, strict=True))
    entries = fitting_entries(needed, dtype)
    edges = sum(layer.n_in * layer.n_out for layer in layers)
    return entries if edges * (k + 1) * entries * dtype.itemsize**2 <= _MOST_TABLES else 0


def _scratch_parts(places: Any) -> Any:
    """Return the sizes of the parts of the scratch memory."""
    inputs, outputs = int(places[:, at.N_IN].sum()), int(places[-1, at.N_OUT])
    widest = int(places[:, [at.N_IN, at.N_OUT]].max())
    columns = {
        at.VALUES: inputs + outputs,
        at.W: inputs,
        at.B: inputs,
        at.SLOPE: inputs,
        at.BARS: widest,
        at.OTHER_BARS: widest,
        at.FUNCTION_VALUES: int(places[:, at.N_ROWS].max()),
        at.OUTPUTS: outputs,
    }
    return np.array([columns[part] * at.BLOCK for part in range(at.N_OFFSETS)], np.int64)


class _Store:
    """Arrays one after the other in a flat one."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._arrays: list[Any] = []
        self._size = 0

    def put(self, array: Any) -> int:
        """Append an array; return where it begins."""
        self._arrays.append(array.reshape(-1))
        self._size += array.size
        return self._size - int(array.size)

    def flat(self) -> Any:
        out = aligned_empty(self._size, self._dtype)
        np.concatenate(self._arrays, out=out)
        return out
