"""A frozen model: what predictions need, packed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples
from numkan.model.blocks import Predictor, is_long_and_copied, predict_by_block

__all__ = ["FrozenKAN"]


@dataclass(frozen=True, slots=True, eq=False)
class FrozenKAN:
    """An immutable predictor, as :meth:`numkan.KAN.frozen` returns it.

    It holds the model's parameters of that moment in the form that kernels read, so a call has nothing to prepare: this
    is the fast way to make many small calls. No call writes into it, and any number of threads may share one. Its
    outputs are those of the model, bit for bit.

    Examples
    --------
    >>> from numkan import KAN
    >>> model = KAN([2, 3, 1], seed=0)
    >>> fast = model.frozen()
    >>> before = model([[0.1, -0.5]])
    >>> model.act_fun[0].coef[...] = 0
    >>> bool((fast([[0.1, -0.5]]) == before).all())
    True
    """

    _predictor: Predictor = field(repr=False)
    n_in: int
    dtype: np.dtype[Any]
    by_block: bool = field(default=False, repr=False)  # whether long arrays may be copied block by block

    def __call__(self, x: Any) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in)."""
        if self.by_block and is_long_and_copied(x, self.n_in, self.dtype):
            return predict_by_block(self._predictor, x, self.n_in, self.dtype)
        return self._predictor(as_samples("x", x, self.n_in, self.dtype))

    def predict(self, x: Any) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in), as a call does."""
        return self(x)
