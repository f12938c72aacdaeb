"""Where everything lies of a network whose edges are merged into polynomials.

A network's numbers, tables, edges and scratch memory are flat arrays; a row of `places` has the offsets for one layer,
`offsets` those of the scratch memory. So a kernel takes a whole network in a few arguments, and the kernels of a layer
are called with `places` and the number of the layer. What lies there is said in ``columns.py`` and ``direct.py``, the
two forms that such networks have.
"""

from __future__ import annotations

#: What a row of `places` says. Sizes of a layer, N_ROWS those of its gradient with padding, WIDTH of a row of outputs,
#: ENTRIES of its tables, and the kind of b:
N_IN, N_OUT, N_BASIS, N_ROWS, WIDTH, ENTRIES, KIND = range(7)
#: where its parameters are in the numbers of the network,
COEF, SCALE_BASE, SCALE_SP, MASK = range(7, 11)
#: its tables in those of the grids (FIRST in those of integers), and how many cells it has, if they are not pieces,
BREAKS, LOCAL, POLY, FUNCTIONS, MATRICES, CELLS, HINTS, FIRST, N_CELLS = range(11, 20)
#: its polynomials, those of a piece PIECE numbers apart, and scales of b in the packed edges, its gradient in packed
#: gradients,
EDGES, PIECE, SCALES, GRADS = range(20, 24)
#: and how many columns come before those of its inputs, and of its outputs, where the scratch memory has them.
INPUTS, BEHIND = range(24, 26)
N_PLACES = 26

#: Where the parts of the scratch memory begin. In column form all of them are columns of a block: x of all layers and
#: the outputs; w, b and b' of all inputs; cotangents of a layer's outputs and of its inputs; functions of one input;
#: outputs by rows. For those of the direct form see ``direct.py``.
VALUES, W, B, SLOPE, BARS, OTHER_BARS, FUNCTION_VALUES, OUTPUTS = range(8)
N_OFFSETS = 8
