r"""How sure an average of networks is: the mixture of what each of them expects of an observation, as wide as it errs.

An average is better than its networks, because their errors cancel in part: the mixture of their distributions, which
is that of a network drawn from them, is too wide for it. Nor are the errors on real tables normal. The average's errors
at samples that its networks have not seen tell both. Cross-validation has what a network says of the samples of its own
fold; of another sample, with target y and prediction f, it would have said

.. math:: f - \frac{h}{1 - h} (y - f), \qquad h = w\, v / s^2 ,

had it not seen it, with the variance v of its function there, its noise s, and the weight w of the sample, whose mean
is 1; and v would be :math:`v / (1 - h)`. That is exact for least squares with given penalties and noise.

With e the mean square of these errors, and v(x) the variance of the mixture of functions, without noise, deviations are
:math:`\sqrt{s^2 + c^2 v(x)}`, with one noise :math:`s^2 = e - c^2\, \overline{\min(v, e)}`, so that on average they
are right, a few samples of large v left aside; c is 1, or less where the functions would be more than half of e. The
posterior of hidden layers is linear in their parameters, and can have no bound where they have seen nothing: v is at
most the square of the largest target. An interval reaches as many deviations to both sides as hold that share of the
errors, each over its own deviation (normalised conformal prediction). The mixture says where the average is less sure,
and the errors how wide an interval is.

References
----------
H. Papadopoulos, A. Gammerman and V. Vovk, "Normalized nonconformity measures for regression conformal prediction",
Artificial Intelligence and Applications 2008. R. F. Barber, E. J. Candes, A. Ramdas and R. J. Tibshirani, "Predictive
inference with the jackknife+", Annals of Statistics 49 (2021). R. D. Cook and S. Weisberg, *Residuals and Influence in
Regression*, Chapman and Hall 1982, for leverages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from numkan.kan import KAN
from numkan.sklearn.tasks import Task

__all__ = ["Calibration", "Mixture", "Unseen", "judged_rows", "posterior_needed", "without_it"]

Floats = NDArray[np.float64]

#: Bisections of a quantile: to rounding.
_HALVINGS = 60

#: Functions make up at most this share of the errors.
_MOST = 0.5

#: Samples whose errors calibrate a mixture, and quantiles of them that are kept, at most.
_ROWS, _QUANTILES = 1000, 200

#: Leverages are believed up to this one: beyond it, what a network would say without a sample is extrapolated far.
_MOST_LEVERAGE = 0.8

_TINY = np.finfo(np.float64).tiny


@contextmanager
def posterior_needed() -> Iterator[None]:
    """Say of an average what a network that has no posterior says of itself."""
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            "A network of the average has no posterior: Levenberg-Marquardt has not fitted it, because it is too "
            "large or `time_limit` was over, or it has changed since. Smaller layers (`hidden`), fewer columns or more "
            "time will help."
        ) from error


class Mixture(NamedTuple):
    """Normal distributions with weights (n_models,) that sum to 1."""

    weights: Floats
    means: Floats  # (n_models, n, n_out)
    deviations: Floats  # of the same shape

    @classmethod
    def of(cls, weights: Floats, models: tuple[KAN, ...], z: Floats, kind: str = "observation") -> Self:
        """Return what networks expect of observations at z (n, n_in), or of the function ("mean")."""
        with posterior_needed():
            deviations = np.array([model.predict_std(z, kind) for model in models], np.float64)
        return cls(weights, np.array([model(z) for model in models], np.float64), deviations)

    @property
    def mean(self) -> Floats:
        """The mean (n, n_out)."""
        return self._averaged(self.means)

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


class Unseen(NamedTuple):
    """What an average does at samples that its networks have not seen."""

    rows: NDArray[np.int64]  # of these samples
    errors: Floats  # (n_rows, n_out)
    variance: Floats  # of the mixture of functions (n_rows, n_out)


def judged_rows(n: int) -> NDArray[np.int64]:
    """Return which of n samples are looked at."""
    return np.arange(0, n, -(-n // _ROWS))


def without_it(model: KAN, task: Task, rows: NDArray[np.int64], seen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return what a network would say of samples (n_rows, n_out) had it not seen them, and its deviations there.

    `seen` (n_rows,) tells which ones it has seen.
    """
    z, weight = task.z[rows], task.weight[rows] / task.weight.mean()
    said, deviation = (np.asarray(of(z), np.float64) for of in (model, model.predict_std))
    assert model._posterior is not None
    told = weight[:, None] * np.square(deviation / max(model._posterior.noise, _TINY))
    leverage = np.where(seen[:, None], np.minimum(told, _MOST_LEVERAGE), 0.0)
    return said - leverage / (1.0 - leverage) * (task.goal[rows] - said), deviation / np.sqrt(1.0 - leverage)


class Calibration(NamedTuple):
    """How wide an average's errors are beside the mixture of its networks."""

    noise: Floats  # s (n_out,)
    factor: Floats  # c (n_out,)
    sizes: Floats  # (m, n_out): quantiles of errors over their deviations, from level 1 / (m + 1) on
    most: Floats | float = np.inf  # (n_out,): deviations of functions are no more than the largest target

    @classmethod
    def of(cls, task: Task, unseen: Unseen | None) -> Self | None:
        """Return it as errors tell it; None where there are none."""
        if unseen is None:
            return None
        most: Floats = np.abs(task.goal).max(axis=0)
        weight, errors, variance = task.weight[unseen.rows], unseen.errors, np.minimum(unseen.variance, most**2)
        squares = np.average(np.square(errors), axis=0, weights=weight)
        mean = np.average(np.minimum(variance, squares), axis=0, weights=weight)
        if not (np.isfinite(mean + squares).all() and (squares > 0.0).all()):
            return None
        factor = np.sqrt(np.minimum(1.0, _MOST * squares / np.where(mean > 0.0, mean, 1.0)))
        noise = np.sqrt(squares - factor**2 * mean)
        sizes = np.abs(errors) / np.sqrt(noise**2 + factor**2 * variance)
        return cls(noise, factor, np.column_stack([_quantiles(size, weight) for size in sizes.T]), most)

    def deviation(self, functions: Mixture) -> Floats:
        """Return the deviations (n, n_out) of observations, by the mixture of functions."""
        deviations: Floats = np.hypot(self.noise, self.factor * np.minimum(functions.deviation, self.most))
        return deviations

    def reach(self, level: float) -> Floats:
        """Return how many deviations (n_out,) an interval of a level reaches to both sides.

        Beyond the largest error the deviations go on in proportion to those of a normal distribution.
        """
        m = len(self.sizes)
        normal = ndtri(0.5 + 0.5 * np.arange(m + 1) / (m + 1))
        sizes, at = np.vstack([np.zeros_like(self.factor), self.sizes]), ndtri(0.5 + 0.5 * level)
        if at > normal[-1]:
            beyond: Floats = sizes[-1] * at / normal[-1]
            return beyond
        return np.array([np.interp(at, normal, column) for column in sizes.T])


def _quantiles(values: Floats, weight: Floats) -> Floats:
    """Return quantiles of values that weigh, at levels k / (m + 1), as many as there are values, but not too many."""
    order = np.argsort(values, kind="stable")
    levels = weight[order].cumsum() / (weight.sum() + weight.mean())
    m = min(len(values), _QUANTILES)
    found: Floats = np.interp(np.arange(1, m + 1) / (m + 1), levels, values[order])
    return found
