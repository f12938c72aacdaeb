"""The flat memory of a network in direct form: what its kernels take, and where in it everything lies.

A network's parameters, tables, packed edges and scratch memory are flat arrays. A record of `LAYER` has the sizes and
offsets of one layer, :class:`Grids` all that kernels read beside parameters, :class:`Scratch` the memory they work in.

Fields of `LAYER`:

| field                    | meaning                                                                  |
|--------------------------|--------------------------------------------------------------------------|
| n_in, n_out, n_basis     | inputs, outputs, basis functions of an input                             |
| width                    | length of a row of outputs, with padding                                 |
| n_pieces                 | polynomial pieces of an input                                            |
| kind                     | the base function's kind, see ``base.py``                                |
| coef ... mask            | offsets of the layer's parameters and masks                              |
| trains_base, trains_sp   | whether scale_base and scale_sp are parameters                           |
| local ... hints          | offsets of its tables, see ``direct.DirectTables``                       |
| first                    | offset of its table of integers                                          |
| n_cells                  | cells of its look-up; 0 where each cell is a piece                       |
| edges, piece_stride      | offset of its packed polynomials, and from one piece to the next         |
| scales, grads            | offsets of its packed base scales, and of the gradient by packed edges   |
| inputs                   | number of columns of the scratch memory before those of its inputs       |
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["LAYER", "PARTS", "Grids", "Scratch"]

_FIELDS = [
    *("n_in", "n_out", "n_basis", "width", "n_pieces", "kind"),
    *("coef", "scale_base", "scale_sp", "mask", "trains_base", "trains_sp"),
    *("local", "matrices", "cells", "hints", "first", "n_cells"),
    *("edges", "piece_stride", "scales", "grads", "inputs"),
]

#: Sizes and offsets of one layer: records, whose fields kernels read as attributes.
LAYER = np.dtype((np.record, np.dtype([(field, np.int64) for field in _FIELDS], align=True)))


class Grids(NamedTuple):
    """What kernels read of a network beside its parameters."""

    layers: Any  # (depth,) records of `LAYER`
    tables: Any  # flat: the tables of all grids, see `direct.DirectTables`
    firsts: Any  # flat, int32: the tables of integers


class Scratch(NamedTuple):
    """The memory of one thread for a block of samples; the offsets are those of parts of `work`.

    Columns have one entry a sample, rows one an output.
    """

    values: int  # columns of the inputs x of one layer
    points: int  # columns of pairs (w, b(x)) of all inputs of all layers
    slopes: int  # columns of pairs (b'(x), dw/dx)
    outputs: int  # rows of outputs of one layer
    cotangents: int  # rows of the outputs' cotangents
    input_cotangents: int  # columns of the inputs' cotangents
    buffer: int  # coefficients, functions or sums of one input, see the kernels that use it
    work: Any  # flat
    index: Any  # flat, int32: columns of the pieces of all inputs of all layers


#: The parts of the scratch memory, in order.
PARTS = Scratch._fields[:-2]
