"""The flat memory of a network in direct form: sizes and offsets by which its kernels find everything.

A network's parameters, tables, packed edges and scratch memory are flat arrays. A row of `layout` has the sizes and
offsets of one layer, `offsets` those of the scratch memory. So a kernel takes a whole network in a few arguments, and
the kernels of a layer are called with `layout` and the number of the layer.

Row of `layout`:

| field                | meaning                                                                  |
|----------------------|--------------------------------------------------------------------------|
| N_IN, N_OUT, N_BASIS | inputs, outputs, basis functions of an input                             |
| WIDTH                | length of a row of outputs, with padding                                 |
| N_PIECES             | polynomial pieces of an input                                            |
| KIND                 | the base function's kind, see ``base.py``                                |
| COEF ... MASK        | offsets of the layer's parameters and masks                              |
| LOCAL ... HINTS      | offsets of its tables, see ``direct.DirectTables``                       |
| FIRST                | offset of its table of integers                                          |
| N_CELLS              | cells of its look-up; 0 where each cell is a piece                       |
| EDGES, PIECE_STRIDE  | offset of its packed polynomials, and from one piece to the next         |
| SCALES, GRADS        | offsets of its packed base scales, and of the gradient by packed edges   |
| INPUTS               | number of columns of the scratch memory before those of its inputs       |

Parts of the scratch memory, for a block of samples: columns have one entry a sample, rows one an output.

| part             | meaning                                                                                      |
|------------------|----------------------------------------------------------------------------------------------|
| VALUES           | columns of the inputs x of one layer                                                         |
| POINTS           | columns of pairs (w, b(x)) of all inputs of all layers                                       |
| SLOPES           | columns of pairs (b'(x), dw/dx)                                                              |
| OUTPUTS          | rows of outputs of one layer                                                                 |
| COTANGENTS       | rows of the outputs' cotangents                                                              |
| INPUT_COTANGENTS | columns of the inputs' cotangents                                                            |
| BUFFER           | coefficients, functions or sums of one input, see the kernels that use it                    |
"""

from __future__ import annotations

N_IN, N_OUT, N_BASIS, WIDTH, N_PIECES, KIND = range(6)
COEF, SCALE_BASE, SCALE_SP, MASK = range(6, 10)
LOCAL, MATRICES, CELLS, HINTS, FIRST, N_CELLS = range(10, 16)
EDGES, PIECE_STRIDE, SCALES, GRADS, INPUTS = range(16, 21)
N_FIELDS = 21

VALUES, POINTS, SLOPES, OUTPUTS, COTANGENTS, INPUT_COTANGENTS, BUFFER = range(7)
N_PARTS = 7
