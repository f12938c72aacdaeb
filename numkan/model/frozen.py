"""A frozen model: what predictions need, packed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples
from numkan.layer.packed import PackedLayer
from numkan.model.evaluate import forward

__all__ = ["FrozenKAN"]


@dataclass(frozen=True, slots=True, eq=False)
class FrozenKAN:
    """An immutable predictor, as :meth:`numkan.KAN.frozen` returns it.

    It holds the model's numbers of that moment in the form that kernels read, so a call has nothing to prepare: the
    fast way to many small calls. Any number of threads may share one. Its outputs are those of the model, bit for bit.
    """

    layers: tuple[PackedLayer, ...]
    n_in: int
    dtype: np.dtype[Any]

    def __call__(self, x: Any) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in)."""
        return forward(self.layers, as_samples("x", x, self.n_in, self.dtype))
