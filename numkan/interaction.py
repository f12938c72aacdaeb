r"""Interactions: what two inputs do together, beyond what each of them does alone.

Differences of second order show which pairs interact most. With :math:`x'` another sample, and :math:`x^{i}` the
sample x that has input i from :math:`x'`,

.. math:: d_{ij} = f(x) - f(x^{i}) - f(x^{j}) + f(x^{ij}), \qquad
          \mathrm{share}_{ij} = \frac{\operatorname{mean} d_{ij}^2}{4 \operatorname{var} f} ,

which for independent inputs is the share of all terms of the analysis of variance that contain both i and j. The map of
a pair is what averages over the other inputs leave of both,

.. math:: I_{ij}(a, b) = \bar f(x_i = a, x_j = b) - \bar f(x_i = a) - \bar f(x_j = b) + \bar f .

A network of one layer is a sum of curves: all its interactions are 0.

References
----------
J. H. Friedman and B. E. Popescu, "Predictive learning via rule ensembles", Annals of Applied Statistics 2 (2008).
R. Liu and A. B. Owen, "Estimating mean dimensionality of analysis of variance decompositions", Journal of the American
Statistical Association 101 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, check_finite, check_integer, check_names
from numkan.model.network import Network, check_model

__all__ = ["Interaction", "interactions"]

_POINTS = 21  # of a map, along each input
_SAMPLES, _AVERAGED = 500, 200  # of x: for shares, and for maps
_MOST_INPUTS = 24  # whose pairs are tried: those that change the outputs most
_ROUNDING = 64  # units in the last place of the largest output that are no difference


class Interaction(NamedTuple):
    """What two inputs do together.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import Interaction
    >>> at, nothing = np.zeros(3), np.zeros((3, 3, 1))
    >>> Interaction(("age", "mass"), (0, 1), (at, at), nothing, np.array([0.0])).names
    ('age', 'mass')
    """

    names: tuple[str, str]  #: of the two inputs
    inputs: tuple[int, int]  #: their numbers
    x: tuple[FloatArray, FloatArray]  #: values of each (m,), over the range of the samples
    values: FloatArray  #: the map (m, m, n_out): at value a of the first input and b of the second one
    share: FloatArray  #: of the variance of each output over the samples (n_out,)


@np.errstate(over="ignore", invalid="ignore")  # numbers that leave the range of the dtype are shown as they are
def interactions(model: Network, x: Any, names: Sequence[str] | None = None, *, pairs: int = 3) -> list[Interaction]:
    """Return the strongest interactions of two inputs, as samples x (n, n_in) have them, the strongest first.

    Parameters
    ----------
    model : KAN
    x : array_like, shape (n, n_in)
        Finite; two samples at least. Several hundred of them are used, at equal steps. The network is asked at points
        that mix inputs of different samples: where inputs depend on each other, these may be far from all samples.
    names : list of str, optional
        Of the inputs; x0, x1, ... by default.
    pairs : int
        How many are returned, at most. Of more than 24 inputs, pairs of those are tried that change the outputs most.

    Returns
    -------
    list of Interaction

    Raises
    ------
    ValueError
        If `x` has fewer than two rows or values that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, interactions
    >>> x = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    >>> first, second = interactions(KAN([3, 2, 1], seed=0), x, ["mass", "speed", "angle"], pairs=2)
    >>> len(first.names), first.values.shape, bool(first.share[0] >= second.share[0])
    (2, (21, 21, 1), True)
    """
    samples, pairs = check_model(model)._samples(x), check_integer("pairs", pairs, 1)
    check_finite("x", samples, x)
    if len(samples) < 2:
        raise ValueError(f"Argument `x` must have at least two rows, not shape {samples.shape}.")
    names = [f"x{i}" for i in range(model.n_in)] if names is None else check_names("names", names, model.n_in)
    found = _shares(model, _some(samples, _SAMPLES))
    strongest = sorted(found, key=lambda pair: -float(found[pair].max()))[:pairs]  # of equals the first
    out = []
    for i, j in strongest:
        at = tuple(_range(samples[:, each]) for each in (i, j))
        values = _map(model, _some(samples, _AVERAGED), (i, j), (at[0], at[1]))
        out.append(Interaction((names[i], names[j]), (i, j), (at[0], at[1]), values, found[i, j]))
    return out


def _some(samples: FloatArray, most: int) -> FloatArray:
    """Return samples at equal steps."""
    return samples[np.unique(np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(np.int64))]


def _range(column: FloatArray) -> FloatArray:
    return np.linspace(column.min(), column.max(), _POINTS, dtype=column.dtype)


def _shares(model: Network, samples: FloatArray) -> dict[tuple[int, int], FloatArray]:
    """Return the share (n_out,) of each pair of inputs that is tried."""
    order = np.random.default_rng(0).permutation(len(samples))
    samples = samples[order]
    others = np.roll(samples, 1, axis=0)
    said = model._predict(samples).astype(np.float64)

    def moved(*inputs: int) -> FloatArray:
        at = samples.copy()
        at[:, inputs] = others[:, inputs]
        return model._predict(at).astype(np.float64)

    alone = [moved(i) for i in range(model.n_in)]
    change = [float(np.square(each - said).sum()) for each in alone]
    tried = sorted(np.argsort(-np.array(change), kind="stable")[:_MOST_INPUTS].tolist())
    if model.depth == 1:
        return {pair: np.zeros(model.n_out) for pair in combinations(tried, 2)}
    least = _ROUNDING * float(np.finfo(model.dtype).eps) * np.abs(said).max(axis=0)
    variance = said.var(axis=0)
    out = {}
    for i, j in combinations(tried, 2):
        second = said - alone[i] - alone[j] + moved(i, j)
        squares = np.square(np.where(np.abs(second) > least, second, 0.0)).mean(axis=0)
        out[i, j] = squares / (4 * np.where(variance > 0.0, variance, 1.0))
    return out


def _map(model: Network, samples: FloatArray, pair: tuple[int, int], at: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return the map (m, m, n_out) of a pair."""
    if model.depth == 1:
        return np.zeros((_POINTS, _POINTS, model.n_out), model.dtype)
    i, j = pair
    rows = np.tile(samples, (_POINTS, 1))

    def mean(points: FloatArray) -> FloatArray:
        """Return the means (m, n_out) over the samples."""
        said = model._predict(points).astype(np.float64)
        found: FloatArray = said.reshape(_POINTS, len(samples), -1).mean(axis=1)
        return found

    first, second, both = rows.copy(), rows.copy(), rows.copy()
    first[:, i], second[:, j] = np.repeat(at[0], len(samples)), np.repeat(at[1], len(samples))
    both[:, j] = second[:, j]
    values = np.empty((_POINTS, _POINTS, model.n_out))
    for place, value in enumerate(at[0]):
        both[:, i] = value
        values[place] = mean(both)
    average = model._predict(samples).astype(np.float64).mean(axis=0)
    whole: FloatArray = (values - mean(first)[:, None] - mean(second)[None] + average).astype(model.dtype)
    return whole
