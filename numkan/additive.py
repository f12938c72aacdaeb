r"""Effects: what each input does to the output of an additive network, with its band.

A network of one layer is a sum of curves, :math:`\hat y_o = \sum_i \phi_{io}(x_i)`, of which data tell all but a
constant each. Centred over the samples they are unique,

.. math:: e_{io}(x) = \phi_{io}(x) - \frac{1}{n} \sum_n \phi_{io}(x_{ni}),

and linear in the coefficients, so that their deviations are exact for the posterior of the fit. The shares
:math:`\operatorname{cov}(e_{io}, \hat y_o) / \operatorname{var}(\hat y_o)` sum to 1, of dependent inputs too.

References
----------
T. Hastie and R. Tibshirani, *Generalized Additive Models*, Chapman and Hall 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, check_length
from numkan.model.network import Network
from numkan.model.posterior import contrast_std

__all__ = ["Effect", "effects"]

_POINTS = 101  # of a curve


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


def effects(model: Network, x: Any, names: Sequence[str] | None = None) -> list[Effect]:
    """Return the effect of every input of a network of one layer, as samples x (n, n_in) have them.

    Parameters
    ----------
    model : KAN
        Of one layer, fitted by Levenberg-Marquardt.
    x : array_like, shape (n, n_in)
    names : list of str, optional
        Of the inputs; x0, x1, ... by default.

    Returns
    -------
    list of Effect
        In the order of the inputs.

    Raises
    ------
    ValueError
        If the network has hidden layers, or `x` has no row.
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
    if model.depth > 1:
        raise ValueError(f"Argument `model` must have one layer, not {model.depth}: others are no sums of curves.")
    samples = model._samples(x)
    if len(samples) == 0:
        raise ValueError(f"Argument `x` must have at least one row, not shape {samples.shape}.")
    names = [f"x{i}" for i in range(model.n_in)] if names is None else names
    check_length("names", names, model.n_in, "input")
    said = model._predict(samples).astype(np.float64)
    return [_effect(model, samples, said - said.mean(axis=0), i, str(name)) for i, name in enumerate(names)]


def _effect(model: Network, samples: FloatArray, said: FloatArray, i: int, name: str) -> Effect:
    """Return an effect: all other inputs stay at the first sample, and cancel in the difference of two outputs."""
    points = np.linspace(samples[:, i].min(), samples[:, i].max(), _POINTS, dtype=model.dtype)
    at, about = np.repeat(samples[:1], _POINTS, axis=0), np.repeat(samples[:1], len(samples), axis=0)
    at[:, i], about[:, i] = points, samples[:, i]
    own = model._predict(about).astype(np.float64)
    curve = model._predict(at) - own.mean(axis=0)
    whole = np.square(said).sum(axis=0)
    share = ((own - own.mean(axis=0)) * said).sum(axis=0) / np.where(whole > 0.0, whole, 1.0)
    return Effect(name, points, curve.astype(model.dtype), contrast_std(model, at, about), share)
