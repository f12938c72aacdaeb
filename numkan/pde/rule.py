r"""The damping of steps that suits equations: between that of Levenberg and that of Marquardt.

Columns of J differ by orders of magnitude where residuals hold second derivatives. Marquardt's damping, by the diagonal
of A = J^T J, lets coefficients that are hardly seen move too far, and Levenberg's, by the identity, does not let them
move at all; their geometric mean, :math:`D = (A_{jj}\, \overline{A_{jj}})^{1/2}`, does best of these.
"""

from __future__ import annotations

import numpy as np

from numkan._check import FloatArray
from numkan.optimize import Nielsen

__all__ = ["Between"]


class Between(Nielsen):
    """Nielsen's rule with the geometric mean of both dampings."""

    def _weights(self) -> FloatArray:
        diagonal = np.diagonal(self._normal)
        mean = float(diagonal.mean())
        # where no point lies the column is 0, and its coefficient stays
        return np.sqrt(np.maximum(diagonal, 1e-12 * mean) * mean)
