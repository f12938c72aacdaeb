r"""The limited memory of L-BFGS: an inverse Hessian held as the last few pairs of steps and gradient changes.

With :math:`s_i = x_{i+1} - x_i`, :math:`y_i = \nabla f_{i+1} - \nabla f_i` and :math:`\rho_i = 1 / s_i^T y_i` the
matrix is

.. math:: H_{i+1} = (I - \rho_i s_i y_i^T) H_i (I - \rho_i y_i s_i^T) + \rho_i s_i s_i^T, \qquad
          H_0 = \frac{s^T y}{y^T y} I \text{ of the newest pair.}

It is never formed: Nocedal, Math. Comp. 35 (1980) 773.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.optimize.kernels import two_loop
from numkan.optimize.objective import dot

__all__ = ["CurvaturePairs"]


class CurvaturePairs:
    """A ring of at most `memory` pairs (s, y), the oldest overwritten first.

    Parameters
    ----------
    memory : int
        How many pairs are kept.
    size : int
        Length of the vectors.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, memory: int, size: int, dtype: np.dtype[Any]) -> None:
        self._s: FloatArray = np.zeros((memory, size), dtype)
        self._y: FloatArray = np.zeros((memory, size), dtype)
        self._rho = np.zeros(memory)
        self._weights = np.zeros(memory)
        self._oldest = 0
        self._count = 0
        self._scale = 1.0

    def __len__(self) -> int:
        return self._count

    def pairs(self) -> list[tuple[FloatArray, FloatArray]]:
        """Return copies of the pairs, the oldest first."""
        rows = [(self._oldest + i) % len(self._rho) for i in range(self._count)]
        return [(self._s[row].copy(), self._y[row].copy()) for row in rows]

    def clear(self) -> None:
        """Forget everything: H is the identity."""
        self._count = 0
        self._scale = 1.0

    def add(self, s: FloatArray, y: FloatArray) -> bool:
        """Store a pair, unless its curvature s.y is not positive beyond rounding: u |s| |y|, u the spacing of 1."""
        sy, ss, yy = dot(s, y), dot(s, s), dot(y, y)
        rounding = float(np.finfo(s.dtype).eps) * math.sqrt(ss) * math.sqrt(yy)
        if not (sy > rounding and yy > 0.0 and math.isfinite(1.0 / sy) and math.isfinite(sy / yy)):
            return False
        # The row is not part of the ring while it is written, so an interruption leaves only complete pairs.
        memory = len(self._rho)
        if self._count == memory:
            self._count -= 1
            self._oldest = (self._oldest + 1) % memory
        row = (self._oldest + self._count) % memory
        self._s[row] = s
        self._y[row] = y
        self._rho[row] = 1.0 / sy
        self._scale = sy / yy
        self._count += 1
        return True

    def times(self, vector: FloatArray) -> FloatArray:
        """Return H times `vector`."""
        product = np.array(vector)
        with np.errstate(over="ignore", invalid="ignore"):
            two_loop(self._s, self._y, self._rho, self._oldest, self._count, self._scale, self._weights, product)
        return product
