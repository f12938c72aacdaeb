r"""How sure a fitted network is: the Gauss-Newton posterior of its coefficients, and what follows for its outputs.

Minus the logarithm of the posterior density is half of :math:`f(c) / s^2` (:mod:`numkan.train.evidence`). With the
network linearised about the fitted coefficients it is normal,

.. math:: c \sim N(\hat c, \Sigma), \qquad \Sigma = s^2 (J^T W J + R)^{-1}, \qquad
          \hat y(x) \sim N(\hat y(x; \hat c), j(x) \Sigma j(x)^T),

with j the derivative of the outputs by c. For networks of one layer and squares this is exact for the given weights R
and noise s; :math:`\Sigma` is kept as a root A with :math:`\Sigma = A^T A`, so that variances are sums of squares and
draws are :math:`A^T z`. Constants that edges of a node can exchange change no output, whatever :math:`\Sigma` says.

Outside a grid, deviations are those of curves that go on as straight lines, under the policies "clamp" and "fade" too:
there the outputs are conventions, and a constant band would promise what no sample has shown.

References
----------
D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4 (1992). A. Immer, M. Korzepa and M. Bauer, "Improving
predictions of Bayesian neural nets via local linearization", AISTATS 2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from numkan._blas import one_blas_thread
from numkan._check import FloatArray, check_integer, check_option, check_seed
from numkan.layer.layer import KANLayer
from numkan.model.evaluate import check_domain
from numkan.model.least_squares import SplineLayer, activations, spline_layer
from numkan.model.network import Network
from numkan.model.output_jacobian import mean_jacobian, output_jacobian
from numkan.spline.spline_basis import SplineBasis

__all__ = [
    "CONVENTIONS",
    "Posterior",
    "contrast_std",
    "current_posterior",
    "group_contrast_std",
    "keep_posterior",
    "predict_std",
    "sample",
]

#: Numbers of a Jacobian that are held at a time.
_BLOCK = 1 << 20

#: Policies whose values outside say nothing of how sure they are.
CONVENTIONS = ("clamp", "fade")


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of the last effective coefficients of a network: all of them, or those of the last layer."""

    root: FloatArray  #: A, (m, m), read-only; m counts the coefficients from the last one
    noise: float  #: deviation of a target; NaN for losses that are not of targets plus noise
    loss: str  #: name of the loss
    digest: bytes  #: of the parameters and grids that it belongs to


def keep_posterior(model: Network, root: FloatArray, noise: float, loss: str) -> None:
    """Give a model the posterior of its present parameters."""
    root = np.ascontiguousarray(root)
    root.flags.writeable = False
    model._posterior = Posterior(root, noise, loss, model._digest())


def current_posterior(model: Network) -> Posterior:
    """Return a model's posterior if it is that of its present parameters, grids and masks; else drop it and raise."""
    found: Posterior | None = model._posterior
    if found is not None and found.digest == model._digest():
        return found
    model._posterior = None
    if found is not None:
        raise RuntimeError(
            "The model has no posterior any more, because its parameters, grids or masks have changed since the fit: "
            "fit it again with method='lm', or ask before they change (or ask a copy)."
        )
    raise RuntimeError(
        "The model has no posterior: fit it with method='lm' (Levenberg-Marquardt), or load a file that was saved with "
        "posterior=True."
    )


def predict_std(self: Network, x: Any, kind: str = "mean") -> FloatArray:
    r"""Return the standard deviation of the outputs, as far as the data of the fit have determined them.

    For classes and counts the outputs are logits and logarithms of rates. In a gap of x and outside the data it grows.
    It does not know what the network cannot represent, nor noise that varies with x.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
    kind : {"mean", "observation"}
        Of the function, or of a further observation: then with the variance of the noise, for squares and Huber's loss.

    Returns
    -------
    ndarray, shape (n, n_out)

    Raises
    ------
    RuntimeError
        If the model has no posterior: it was not fitted by Levenberg-Marquardt, or has changed since.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-1, 1, (200, 1))
    >>> model = KAN([1, 1], seed=0)
    >>> result = model.fit(x, np.sin(3 * x) + 0.1 * rng.standard_normal(x.shape), method="lm")
    >>> inside, outside = model.predict_std([[0.0], [2.0]])[:, 0]
    >>> bool(inside < 0.05 < outside), bool(0.09 < model.predict_std([[0.0]], kind="observation")[0, 0] < 0.12)
    (True, True)
    """
    check_option("kind", kind, ("mean", "observation"))
    posterior = current_posterior(self)
    if kind == "observation" and not posterior.noise >= 0.0:
        raise ValueError(
            f"Argument `kind` must be 'mean' for a model fitted with loss {posterior.loss!r}, whose targets are no "
            "outputs plus noise, not 'observation'."
        )
    extra = posterior.noise if kind == "observation" else 0.0
    samples = self._samples(x)
    out = np.empty((len(samples), self.n_out), self.dtype)
    with one_blas_thread(), np.errstate(all="ignore"):
        for rows, jac in _jacobians(self, samples, posterior):
            out[rows] = np.hypot(np.linalg.norm(jac @ posterior.root.T, axis=2), extra)
    return out


def sample(self: Network, x: Any, n_draws: int = 100, seed: int | np.random.Generator | None = 0) -> FloatArray:
    """Return draws of the network's function from its posterior, at x: one seed gives the same functions at any x.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
    n_draws : int
    seed : int, numpy.random.Generator or None

    Returns
    -------
    ndarray, shape (n_draws, n, n_out)
        Their mean tends to the predictions, their deviation to :meth:`predict_std`.

    Raises
    ------
    RuntimeError
        If the model has no posterior, see :meth:`predict_std`.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> model = KAN([1, 1], seed=0)
    >>> result = model.fit(x, np.sin(3 * x), method="lm")
    >>> model.sample(x, 20).shape
    (20, 50, 1)
    """
    n_draws = check_integer("n_draws", n_draws, 1)
    rng, posterior = check_seed("seed", seed), current_posterior(self)
    samples, size = self._samples(x), len(posterior.root)
    out = np.empty((n_draws, len(samples), self.n_out), self.dtype)
    with one_blas_thread(), np.errstate(all="ignore"):
        moves = rng.standard_normal((n_draws, size)) @ posterior.root
        mean = np.asarray(self._predict(samples), np.float64)
        for rows, jac in _jacobians(self, samples, posterior):
            out[:, rows] = mean[rows] + np.moveaxis(jac @ moves.T, 2, 0)
    return out


def contrast_std(model: Network, x: FloatArray, about: FloatArray) -> FloatArray:
    """Return the deviations (n, n_out) of outputs at samples x less their mean at other ones."""
    posterior, out = current_posterior(model), np.empty((len(x), model.n_out), model.dtype)
    with one_blas_thread(), np.errstate(all="ignore"):
        mean = sum(jac.sum(axis=0) for _, jac in _jacobians(model, about, posterior)) / len(about)
        for rows, jac in _jacobians(model, x, posterior):
            out[rows] = np.linalg.norm((jac - mean) @ posterior.root.T, axis=2)
    return out


def group_contrast_std(model: Network, groups: Iterable[FloatArray], weight: FloatArray) -> FloatArray:
    """Return the deviations (m, n_out) of outputs averaged over m groups (b, n_in), less a mean by weights (m,)."""
    posterior = current_posterior(model)
    tangent = _Tangent.of(model, posterior)
    with one_blas_thread(), np.errstate(all="ignore"):
        means = np.array([tangent.mean(x) for x in groups])
        found: FloatArray = np.linalg.norm((means - np.tensordot(weight, means, axes=1)) @ posterior.root.T, axis=2)
    return found


def _jacobians(model: Network, x: FloatArray, posterior: Posterior) -> Iterator[tuple[slice, FloatArray]]:
    """Yield rows, and the derivatives (n, n_out, size) of the outputs there by the coefficients of the posterior."""
    tangent = _Tangent.of(model, posterior)
    step = max(_BLOCK // (sum(coef.size for coef in tangent.coefs) * model.n_out), 1)
    for begin in range(0, len(x), step):
        rows = slice(begin, min(begin + step, len(x)))
        yield rows, tangent.jacobian(x[rows])


class _Side(NamedTuple):
    """Samples that lie inside the first grid, or outside of it, as the layers see them whose posterior there is."""

    rows: NDArray[np.bool_]
    layers: tuple[SplineLayer, ...]
    coefs: tuple[FloatArray, ...]
    x: FloatArray  # inputs of the first of these layers


class _Tangent(NamedTuple):
    """A network as its posterior sees it: linear in the coefficients, with curves that go on outside the grids."""

    model: Network
    inside: tuple[SplineLayer, ...]
    outside: tuple[SplineLayer, ...]
    coefs: tuple[FloatArray, ...]
    size: int  # of the posterior: all coefficients, or those of the last layer

    @classmethod
    def of(cls, model: Network, posterior: Posterior) -> Self:
        inside, coefs = zip(*map(spline_layer, model.act_fun), strict=True)
        outside, _ = zip(*map(_going_on, model.act_fun), strict=True)
        return cls(model, inside, outside, coefs, len(posterior.root))

    def jacobian(self, x: FloatArray) -> FloatArray:
        """Return the derivatives (n, n_out, size) of the outputs by the last coefficients."""
        out = np.empty((len(x), self.model.n_out, self.size))
        for side in self._sides(x):
            out[side.rows] = output_jacobian(side.layers, side.coefs, side.x)
        return out

    def mean(self, x: FloatArray) -> FloatArray:
        """Return their mean over x, (n_out, size)."""
        out = np.zeros((self.model.n_out, self.size))
        for side in self._sides(x):
            out += len(side.x) / len(x) * mean_jacobian(side.layers, side.coefs, side.x)
        return out

    def _sides(self, x: FloatArray) -> Iterator[_Side]:
        if not self.model._may_be_cut:
            check_domain(self.model._pack(), x)
        beyond = _beyond(self.model, self.inside[0].basis, x)
        for rows, layers in ((~beyond, self.inside), (beyond, self.outside)):
            if not rows.any():
                continue
            at = x[rows].astype(np.float64)
            if self.size < sum(coef.size for coef in self.coefs):
                yield _Side(rows, layers[-1:], self.coefs[-1:], activations(layers, self.coefs, at)[-2])
            else:
                yield _Side(rows, layers, self.coefs, at)


def _beyond(model: Network, first: SplineBasis, x: FloatArray) -> NDArray[np.bool_]:
    """Return which samples (n,) lie outside the first grid of a network some of whose policies are conventions.

    Inside, activations may leave a hidden grid. There the policy is part of the function that was fitted.
    """
    if all(layer.extrapolate not in CONVENTIONS for layer in model.act_fun):
        return np.zeros(len(x), bool)
    low, high = first.domain
    outside: NDArray[np.bool_] = np.any((x < low) | (x > high), axis=1)
    return outside


def _going_on(layer: KANLayer) -> tuple[SplineLayer, FloatArray]:
    """Return a layer and its effective coefficients, with curves that go on outside the grid."""
    described, coef = spline_layer(layer)
    if layer.extrapolate in CONVENTIONS:
        described = replace(described, basis=described.basis.under("continue"))
    return described, coef
