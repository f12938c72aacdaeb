r"""Effects: what each input does to the outputs of a network, with its band.

The effect of input i is the output with another value there, averaged over samples and centred (partial dependence),

.. math:: e_{io}(v) = \bar f_{io}(v) - \frac{1}{n} \sum_m \bar f_{io}(x_{mi}), \qquad
          \bar f_{io}(v) = \frac{1}{n} \sum_n \hat y_o(x_n \text{ with } v \text{ as input } i).

It is linear in the outputs. So its deviation is that of the averaged derivatives under the posterior of the fit, in
which errors that differ between samples cancel. The share of the variance that it explains is
:math:`\operatorname{cov}(e_{io}(x_i), \hat y_o) / \operatorname{var}(\hat y_o)`.

A network of one layer is a sum of curves, of which data tell all but a constant each. Its effects are these curves,
whatever the samples are, and their shares sum to 1, of dependent inputs too. Those of other networks need not: of
independent inputs, what is missing are interactions (:mod:`numkan.interaction`).

References
----------
T. Hastie and R. Tibshirani, *Generalized Additive Models*, Chapman and Hall 1990. J. H. Friedman, "Greedy function
approximation: a gradient boosting machine", Annals of Statistics 29 (2001).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, check_finite, check_names
from numkan.model.network import Network, check_model
from numkan.model.posterior import contrast_std, group_contrast_std

__all__ = ["Effect", "effects"]

_POINTS = 101  # of a curve
_AVERAGED = 200  # samples that networks with hidden layers are averaged over


class Effect(NamedTuple):
    """What one input does.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import Effect
    >>> Effect("age", np.zeros(3), np.zeros((3, 1)), np.ones((3, 1)), np.array([0.5])).name
    'age'
    """

    name: str  #: of the input
    x: FloatArray  #: values of the input (m,), over the range of the samples
    curve: FloatArray  #: (m, n_out), of mean 0 over the samples
    std: FloatArray  #: standard deviations of the curve (m, n_out)
    share: FloatArray  #: of the variance of each output over the samples (n_out,)


@np.errstate(over="ignore", invalid="ignore")  # numbers that leave the range of the dtype are shown as they are
def effects(model: Network, x: Any, names: Sequence[str] | None = None) -> list[Effect]:
    """Return the effect of every input of a network, as samples x (n, n_in) have them.

    For a network of one layer it is exact. Otherwise it is an average over samples, :mod:`numkan.additive` has the
    formulas: over 200 of them at most, at equal steps. The network is asked at points that mix inputs of different
    samples: where inputs depend on each other, these may be far from all samples.

    Parameters
    ----------
    model : KAN
        Fitted by Levenberg-Marquardt. For classes and counts, effects are those on logits and logarithms of rates.
    x : array_like, shape (n, n_in)
        Finite.
    names : list of str, optional
        Of the inputs; x0, x1, ... by default.

    Returns
    -------
    list of Effect
        In the order of the inputs. Shares sum to 1 for one layer; they need not for others, which have interactions.

    Raises
    ------
    ValueError
        If `x` has no row, or values that are not finite.
    RuntimeError
        If the model has no posterior, see :meth:`numkan.KAN.predict_std`.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, effects
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-1, 1, (200, 2))
    >>> y = np.sin(3 * x[:, 0]) + 0.2 * x[:, 1] + 0.1 * rng.standard_normal(200)
    >>> model = KAN([2, 1], seed=0)
    >>> result = model.fit(x, y, method="lm")
    >>> first, second = effects(model, x, ["wave", "slope"])
    >>> first.name, first.curve.shape, bool(first.share[0] > 0.9 > 0.1 > second.share[0])
    ('wave', (101, 1), True)
    """
    samples = check_model(model)._samples(x)
    check_finite("x", samples, x)
    if len(samples) == 0:
        raise ValueError(f"Argument `x` must have at least one row, not shape {samples.shape}.")
    names = [f"x{i}" for i in range(model.n_in)] if names is None else check_names("names", names, model.n_in)
    of_input = _curve if model.depth == 1 else _average
    ranges = np.linspace(samples.min(axis=0), samples.max(axis=0), _POINTS, dtype=model.dtype).T.copy()
    if model.depth > 1:
        samples = samples[np.unique(np.linspace(0, len(samples) - 1, _AVERAGED).round().astype(np.int64))]
    said = _centred(model._predict(samples))
    whole = np.square(said).sum(axis=0)
    out = []
    for i, (name, points) in enumerate(zip(names, ranges, strict=True)):
        curve, own, std = of_input(model, samples, i, points)
        share = (_centred(own) * said).sum(axis=0) / np.where(whole > 0.0, whole, 1.0)
        curve = (curve - own.mean(axis=0)).astype(model.dtype)
        out.append(Effect(name, points, curve, std.astype(model.dtype), share))
    return out


def _centred(values: FloatArray) -> FloatArray:
    values = values.astype(np.float64)
    centred: FloatArray = values - values.mean(axis=0)
    return centred


def _curve(
    model: Network, samples: FloatArray, i: int, points: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a curve of one layer at points and at the samples, and its deviations.

    All other inputs stay at the first sample, and cancel in the difference of two outputs.
    """
    at, about = np.repeat(samples[:1], len(points), axis=0), np.repeat(samples[:1], len(samples), axis=0)
    at[:, i], about[:, i] = points, samples[:, i]
    own = model._predict(about).astype(np.float64)
    return model._predict(at).astype(np.float64), own, contrast_std(model, at, about)


def _average(
    model: Network, samples: FloatArray, i: int, points: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return an average over the samples at points of an input and at its values there, and its deviations."""
    values, count = np.concatenate([points, samples[:, i]]), len(points)
    means = np.array([model._predict(at).mean(axis=0, dtype=np.float64) for at in _moved(samples, i, values)])
    weight = np.repeat([0.0, 1.0 / len(samples)], [count, len(samples)])
    std = group_contrast_std(model, _moved(samples, i, values), weight)
    return means[:count], means[count:], std[:count]


def _moved(samples: FloatArray, i: int, values: FloatArray) -> Iterator[FloatArray]:
    """Yield the samples with each value as input i."""
    for value in values:
        at = samples.copy()
        at[:, i] = value
        yield at
