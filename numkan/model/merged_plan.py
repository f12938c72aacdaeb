"""Where everything lies of a network whose edges are merged into polynomials; made once for its grids.

Such a network has one of two forms. In column form (``layer/columns.py``) tables are in registers: on hosts that can
look up in these, where grids have few pieces. In direct form (``layer/direct.py``) they are in memory, as long as they
stay in the cache. Beyond, samples are sorted (``layer/sort.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._lanes import fitting_entries, has_lookups, index_dtype, sample_lanes
from numkan.base import GIVEN
from numkan.layer import columns, direct
from numkan.layer import places as at
from numkan.layer.layer import KANLayer
from numkan.layer.work import aligned_empty
from numkan.spline.pieces import Pieces, function_lanes

__all__ = ["MergedPlan", "Sizes", "merged_plan"]

#: Edges whose tables take more are better summed over their basis functions, because they leave the cache: 1.25 MB of
#: float32, and half of that of float64, which takes twice the vectors. So it is bytes times bytes of a number.
_MOST_COLUMN_TABLES = 5 << 20

#: In direct form polynomials may take so many bytes, and a row of outputs. Longer rows are worth sorting samples for.
_MOST_DIRECT_BYTES, _LONGEST_ROW = 4 << 20, 256

#: So many bytes may a thread's columns take there, and the tables of all grids.
_MOST_SCRATCH_BYTES = 20 << 20

#: Tables of two registers are worth it where no layer has more outputs: in direct form they would not fill a vector.
_FEW_OUTPUTS = 8

#: What an input of a sample costs beside its edges, in multiply-adds.
_INPUT_WORK = 32

#: Bytes of a register, and of a cache line, on which parts of memory begin.
_REGISTER = _LINE = 64


class Sizes(NamedTuple):
    """Numbers in the parts of a thread's memory."""

    work: int  # scratch memory
    pieces: int  # columns of them
    edges: int  # packed
    grads: int  # by packed edges

    def fit(self, other: Sizes) -> bool:
        """Tell whether memory of other sizes is large enough."""
        work, pieces, edges, grads = other
        return self.work <= work and self.pieces <= pieces and self.edges <= edges and self.grads <= grads


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class MergedPlan:
    """What kernels need to know about a network, but for its numbers."""

    k: int
    dtype: np.dtype[Any]
    entries: int  # of each table in column form; 0 in direct form
    tables: Any  # of all grids, see `layer/columns.py` and `layer/direct.py`
    firsts: Any  # those of integers
    places: Any  # (depth, N_PLACES), where the parts of each layer lie
    trained: Any  # (depth, 2): whether scale_base and scale_sp are parameters
    offsets: Any  # (N_OFFSETS,), where the parts of the scratch memory lie
    width: tuple[int, ...]  # inputs, and outputs of each layer
    n_params: int
    sizes: Sizes
    sample_work: int  # what a sample costs, in multiply-adds

    @property
    def block(self) -> int:
        """How many samples the kernels take at once."""
        return columns.BLOCK if self.entries else direct.BLOCK

    @property
    def index_dtype(self) -> np.dtype[Any]:
        """Of the numbers of pieces."""
        return index_dtype(self.dtype) if self.entries else np.dtype(np.int32)


class _Form(NamedTuple):
    """What the two forms do not share."""

    entries: int
    tables: Any
    firsts: Any
    parts: Any  # sizes of the scratch memory's
    sizes: tuple[int, int, int]  # pieces, edges and grads


def merged_plan(layers: Sequence[KANLayer], numbers: FloatArray) -> MergedPlan | None:
    """Return the plan of a network whose layers live in `numbers`, or None where no merged form suits it."""
    if not _can_merge(layers):
        return None
    places = _places(layers, numbers)
    if places is None:
        return None  # another thread is changing the network's shape
    pieces, width = [layer.pieces for layer in layers], (layers[0].n_in, *(layer.n_out for layer in layers))
    entries = _entries(layers, pieces)
    suits = entries and (entries * numbers.itemsize <= _REGISTER or max(width[1:]) <= _FEW_OUTPUTS)
    form = None if suits else _direct(layers, pieces, places)
    if form is None and entries:
        form = _columns(layers, pieces, places, entries)
    if form is None:
        return None
    inputs = places[:, at.N_IN]
    return MergedPlan(
        k=layers[0].k,
        dtype=layers[0].dtype,
        entries=form.entries,
        tables=form.tables,
        firsts=form.firsts,
        places=places,
        trained=np.array([[layer.sb_trainable, layer.sp_trainable] for layer in layers], np.int64),
        offsets=_starts(form.parts),
        width=width,
        n_params=sum(layer.n_params for layer in layers),
        sizes=Sizes(int(form.parts.sum()), *form.sizes),
        sample_work=int((inputs * (_INPUT_WORK + (layers[0].k + 2) * places[:, at.N_OUT])).sum()),
    )


def _can_merge(layers: Sequence[KANLayer]) -> bool:
    """Tell whether the layers may take one of the two forms."""
    k = layers[0].k
    if any(layer.k != k or layer._base.kind == GIVEN for layer in layers):
        return False  # a user's base function is Python
    # Grids are laid over activations that the other form computes. In this one they may lie on the other side of a
    # knot, by a rounding, which matters where edges jump.
    return not (any(layer.extrapolate in ("nan", "raise") for layer in layers) or (k == 0 and len(layers) > 1))


def _places(layers: Sequence[KANLayer], numbers: FloatArray) -> Any:
    """Return what both forms say of each layer, or None where layers do not live in `numbers`."""
    places = np.zeros((len(layers), at.N_PLACES), np.int64)
    for place, layer in zip(places, layers, strict=True):
        place[[at.N_IN, at.N_OUT, at.N_BASIS, at.KIND]] = layer.n_in, layer.n_out, layer.G + layer.k, layer._base.kind
        views = layer._coef, layer._scale_base, layer._scale_sp, layer._mask
        if not all(np.may_share_memory(view, numbers) for view in views):
            return None
        place[[at.COEF, at.SCALE_BASE, at.SCALE_SP, at.MASK]] = [
            (view.ctypes.data - numbers.ctypes.data) // numbers.itemsize for view in views
        ]
    return places


def _starts(sizes: Any) -> Any:
    """Return where each of some parts begins that lie one after the other."""
    return np.cumsum(sizes) - sizes


def _lines(sizes: Any, dtype: np.dtype[Any]) -> Any:
    """Return sizes rounded up to whole cache lines."""
    numbers = _LINE // dtype.itemsize
    return -(-np.asarray(sizes) // numbers) * numbers


def _put_columns(places: Any, inputs: Any) -> None:
    """Complete where inputs and outputs of each layer lie, with so many columns for them."""
    places[:, at.INPUTS] = _starts(inputs)
    places[:, at.BEHIND] = places[:, at.INPUTS] + inputs


# --- in column form -----------------------------------------------------------------------------------------------


def _entries(layers: Sequence[KANLayer], pieces: Sequence[Pieces]) -> int:
    """Return the size of tables that suits all layers; 0 where the form does not suit the network."""
    k, dtype = layers[0].k, layers[0].dtype
    if not has_lookups():
        return 0
    needed = max(max(own.first.shape[1], layer.G + k) for own, layer in zip(pieces, layers, strict=True))
    entries = fitting_entries(needed, dtype)
    edges = sum(layer.n_in * layer.n_out for layer in layers)
    return entries if edges * (k + 1) * entries * dtype.itemsize**2 <= _MOST_COLUMN_TABLES else 0


def _columns(layers: Sequence[KANLayer], pieces: Sequence[Pieces], places: Any, entries: int) -> _Form:
    """Return the column form, and complete the places."""
    k, dtype = layers[0].k, layers[0].dtype
    floats, integers = _Store(dtype), _Store(index_dtype(dtype))
    places[:, at.ENTRIES], places[:, at.WIDTH] = entries, places[:, at.N_OUT]
    for place, own in zip(places, pieces, strict=True):
        n_basis = int(place[at.N_BASIS])
        place[at.N_ROWS] = columns.padded(n_basis + 1, dtype)
        tables = columns.column_tables(own, k, n_basis, entries)
        floating = [at.BREAKS, at.LOCAL, at.POLY, at.FUNCTIONS, at.MATRICES]
        place[floating] = [floats.put(table) for table in tables[:-1]]
        place[at.FIRST] = integers.put(tables.first)
    _put_columns(places, places[:, at.N_IN])
    inputs, outputs = int(places[:, at.N_IN].sum()), int(places[-1, at.N_OUT])
    edges = places[:, at.N_IN] * places[:, at.N_OUT]
    edge_numbers, n_edges = (k + 1) * entries, int(edges.sum())
    places[:, at.EDGES] = _starts(edges * edge_numbers)
    places[:, at.SCALES] = n_edges * edge_numbers + _starts(edges)
    places[:, at.GRADS] = _starts(edges * places[:, at.N_ROWS])
    widest = int(places[:, [at.N_IN, at.N_OUT]].max())
    parts = {
        at.VALUES: inputs + outputs,
        at.W: inputs,
        at.B: inputs,
        at.SLOPE: inputs,
        at.BARS: widest,
        at.OTHER_BARS: widest,
        at.FUNCTION_VALUES: int(places[:, at.N_ROWS].max()),
        at.OUTPUTS: outputs,
    }
    return _Form(
        entries=entries,
        tables=floats.flat(),
        firsts=integers.flat(),
        parts=np.array([parts[part] * columns.BLOCK for part in range(at.N_OFFSETS)], np.int64),
        sizes=(inputs * columns.BLOCK, n_edges * (edge_numbers + 1), int((edges * places[:, at.N_ROWS]).sum())),
    )


# --- in direct form -----------------------------------------------------------------------------------------------


def _direct(layers: Sequence[KANLayer], pieces: Sequence[Pieces], places: Any) -> _Form | None:
    """Return the direct form, and complete the places; None where it does not suit the network."""
    k, dtype = layers[0].k, layers[0].dtype
    places[:, at.WIDTH] = [direct.direct_width(layer.n_out, dtype) for layer in layers]
    places[:, at.ENTRIES] = [own.first.shape[1] for own in pieces]
    width = places[:, at.WIDTH]
    places[:, at.PIECE] = direct.piece_numbers(k, width)
    sizes = _lines(places[:, at.N_IN] * places[:, at.ENTRIES] * places[:, at.PIECE], dtype)
    if k == 0 or sizes.sum() * dtype.itemsize > _MOST_DIRECT_BYTES or width.max() * dtype.itemsize > _LONGEST_ROW:
        return None
    floats, integers = _Store(dtype), _Store(np.dtype(np.int32))
    for place, own in zip(places, pieces, strict=True):
        tables = direct.direct_tables(own, k)
        if tables is None or not np.isfinite(tables.matrices).all():
            return None  # gradients are summed over pieces where no sample is, too
        floating = [at.LOCAL, at.MATRICES, at.CELLS, at.HINTS]
        place[floating] = [floats.put(table) for table in tables[:-1]]
        place[at.FIRST], place[at.N_CELLS] = integers.put(tables.first), tables.hints.shape[1]
    inputs = columns.padded(places[:, at.N_IN], dtype)  # squares of rows are turned into columns
    _put_columns(places, inputs)
    scales = _lines(places[:, at.N_IN] * width, dtype)
    places[:, at.EDGES], places[:, at.SCALES] = _starts(sizes), int(sizes.sum()) + _starts(scales)
    n_inputs, widest = int(inputs.sum()), int(width.max())
    of_one = n_inputs + int(places[-1, at.N_OUT]) + sample_lanes(dtype)
    parts = {
        at.VALUES: max(int(inputs.max()) * direct.BLOCK, of_one),  # of one layer
        at.W: 2 * n_inputs * direct.BLOCK,  # with b
        at.B: of_one,
        at.SLOPE: 2 * n_inputs * direct.BLOCK,  # with dw/dx
        at.BARS: widest * direct.BLOCK,
        at.OTHER_BARS: widest * direct.BLOCK,
        at.FUNCTION_VALUES: max(
            int((places[:, at.N_BASIS] * width).max()), function_lanes(k) * max(direct.BLOCK, direct.MOST_SUMS)
        ),
        at.OUTPUTS: widest * direct.BLOCK,
    }
    places[:, at.N_ROWS] = places[:, at.N_BASIS] + 1
    gradient = _lines(places[:, at.N_IN] * places[:, at.N_ROWS] * width, dtype)
    places[:, at.GRADS] = _starts(gradient)
    parts_of_memory = _lines([parts[part] for part in range(at.N_OFFSETS)], dtype)
    if max(floats.size, parts_of_memory.sum()) * dtype.itemsize > _MOST_SCRATCH_BYTES:
        return None
    return _Form(
        entries=0,
        tables=floats.flat(),
        firsts=integers.flat(),
        parts=parts_of_memory,
        sizes=(n_inputs * direct.BLOCK, int(sizes.sum() + scales.sum()), int(gradient.sum())),
    )


class _Store:
    """Arrays one after the other in a flat one."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._arrays: list[Any] = []
        self.size = 0

    def put(self, array: Any) -> int:
        """Append an array, which begins on a cache line; return where."""
        padding = int(_lines(array.size, self._dtype)) - array.size
        self._arrays += [array.reshape(-1), np.zeros(padding, self._dtype)]
        self.size += array.size + padding
        return int(self.size - array.size - padding)

    def flat(self) -> Any:
        out = aligned_empty(self.size, self._dtype)
        np.concatenate(self._arrays, out=out)
        return out
