"""How sure an average of networks is: the mixture of what each of them expects of an observation."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from numkan.kan import KAN

__all__ = ["Mixture"]

Floats = NDArray[np.float64]

#: Bisections of a quantile: to rounding.
_HALVINGS = 60


class Mixture(NamedTuple):
    """Normal distributions with weights (n_models,) that sum to 1."""

    weights: Floats
    means: Floats  # (n_models, n, n_out)
    deviations: Floats  # of the same shape

    @classmethod
    def of(cls, weights: Floats, models: tuple[KAN, ...], z: Floats) -> Self:
        """Return what networks expect of observations at z (n, n_in)."""
        try:
            deviations = np.array([model.predict_std(z, "observation") for model in models], np.float64)
        except RuntimeError as error:
            raise RuntimeError(
                "A network of the average has no posterior: Levenberg-Marquardt has not fitted it, because it is too "
                "large, or it has changed since. Smaller layers (`hidden`) or fewer columns will help."
            ) from error
        return cls(weights, np.array([model(z) for model in models], np.float64), deviations)

    @property
    def deviation(self) -> Floats:
        """The standard deviation (n, n_out): that of the networks, and that between them."""
        mean = self._averaged(self.means)
        deviation: Floats = np.sqrt(self._averaged(np.square(self.deviations) + np.square(self.means - mean)))
        return deviation

    def quantile(self, share: float) -> Floats:
        """Return the values (n, n_out) below which an observation is with this probability."""
        ends = self.means + ndtri(share) * self.deviations
        if len(self.weights) == 1:
            first: Floats = ends[0]
            return first
        low, high = ends.min(axis=0), ends.max(axis=0)  # the mixture's lies between those of its parts
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            is_below = self._averaged(ndtr((middle - self.means) / self.deviations)) < share
            low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
        found: Floats = 0.5 * (low + high)
        return found

    def _averaged(self, values: Floats) -> Floats:
        average: Floats = np.tensordot(self.weights, values, axes=1)
        return average
