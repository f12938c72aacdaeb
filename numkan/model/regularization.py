r"""Penalties on edges, which make a network sparse, with their exact gradients: pykan's terms under pykan's names.

With the activations :math:`x_{ni}` of a layer's inputs, std with ``ddof=1`` over the n samples of the batch,

.. math::

    V_{io} = \frac{\operatorname{std}_n \phi_{io}(x_{ni})}{\operatorname{std}_n x_{ni} + 0.1}, \qquad
    P^{row}_{io} = \frac{V_{io}}{\sum_{i'} V_{i'o} + 1}, \qquad P^{col}_{io} = \frac{V_{io}}{\sum_{o'} V_{io'} + 1},

the regularization of a network is the sum over its layers

.. math::

    R = \sum_{layers} \Big[ \texttt{lamb\_l1} \sum_{io} V_{io} + \texttt{lamb\_entropy}\, (H^{row} + H^{col})
      + \texttt{lamb\_coef} \sum_{ip} \frac{1}{n_{out}} \sum_o |c_{iop}|
      + \texttt{lamb\_coefdiff} \sum_{ip} \frac{1}{n_{out}} \sum_o |c_{io,p+1} - c_{iop}| \Big], \\
    H^{row} = -\frac{1}{n_{out}} \sum_{io} P^{row}_{io} \log_2 (P^{row}_{io} + 10^{-4}), \qquad
    H^{col} = -\frac{1}{n_{in}} \sum_{io} P^{col}_{io} \log_2 (P^{col}_{io} + 10^{-4}),

and the objective is loss + ``lamb`` R. This is the formula of pykan 0.2.8 (``reg_metric="edge_forward_spline_n"``). Its
paper describes another one: the mean of :math:`|\phi|` is the size of an edge, and the logarithms are natural and have
no constants. Its `lamb_coef` averages over outputs and sums over coefficients, where an average over the coefficients
of an edge was meant; and "spline" in the name of the metric is the whole edge, base and mask included.

numkan differs where pykan gives NaN: the std of one sample, or of a constant edge, is 0 with gradient 0. A masked edge
does not count, and neither do its coefficients. Sample weights enter the loss, and not the std.

The gradient goes through the network: hidden activations depend on all parameters before them, both through
:math:`\phi_{io}` and through the std of :math:`x_i`. Three sweeps are made, over fixed parts of the samples whose sums
are added in order, so that threads change no bit: activations; moments (``moments.py``); backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, check_finite, check_number
from numkan._threads import run_tasks
from numkan.layer.edges import edge_backward
from numkan.layer.layer import KANLayer
from numkan.layer.pack import add_gradient
from numkan.layer.packed import PackedLayer
from numkan.model.batches import chunk_rows, slices
from numkan.model.derivatives import new_gradient
from numkan.model.evaluate import check_domain
from numkan.model.layer_outputs import checked_activations
from numkan.model.moments import edge_moments, without_rounding
from numkan.model.network import Network
from numkan.model.targets import Targets, targets

__all__ = ["Objective", "Penalties", "objective_and_grad", "penalized"]

_INPUT_OFFSET = 0.1
_LOG_OFFSET = 1e-4

#: At most this many partial sums, as in gradients of direct form.
_MAX_PIECES = 16


@dataclass(frozen=True, slots=True)
class Penalties:
    """Weights of the terms of regularization; the names and defaults are pykan's.

    Examples
    --------
    >>> Penalties(lamb=0.01).active, Penalties().active
    (True, False)
    """

    lamb: float = 0.0
    lamb_l1: float = 1.0
    lamb_entropy: float = 2.0
    lamb_coef: float = 0.0
    lamb_coefdiff: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            check_number(name, getattr(self, name), 0.0)

    @property
    def active(self) -> bool:
        """Whether anything is added to the loss."""
        return self.lamb > 0 and (self.of_edges or self.lamb_coef > 0 or self.lamb_coefdiff > 0)

    @property
    def of_edges(self) -> bool:
        """Whether there are terms that depend on the activations."""
        return self.lamb_l1 > 0 or self.lamb_entropy > 0


class Objective(NamedTuple):
    """The objective and its parts: ``value = loss + lamb * regularization``."""

    value: float
    grad: FloatArray  # (n_params,), in the order of `params`
    loss: float
    regularization: float


def objective_and_grad(
    model: Network,
    x: Any,
    y: Any,
    penalties: Penalties,
    loss: Any = "mse",
    sample_weight: Any = None,
) -> Objective:
    """Return loss + lamb * regularization at samples, and its gradient by the parameters.

    Parameters
    ----------
    model : Network
    x, y, loss, sample_weight
        As for :meth:`numkan.KAN.loss_and_grad`; x must be finite where the penalties are on.
    penalties : Penalties

    Returns
    -------
    Objective
        Named tuple ``(value, grad, loss, regularization)``.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model, x = KAN([2, 3, 1], seed=0), np.random.default_rng(0).uniform(-1, 1, (50, 2))
    >>> plain, _ = model.loss_and_grad(x, x[:, 0])
    >>> objective = objective_and_grad(model, x, x[:, 0], Penalties(lamb=0.1))
    >>> bool(np.isclose(objective.value, plain + 0.1 * objective.regularization))
    True
    """
    x = model._samples(x)
    goal = targets(y, len(x), model.n_out, model.dtype, loss, sample_weight)
    if penalties.active:
        check_finite("x", x)
    return penalized(model, x, goal, penalties)


def penalized(model: Network, x: FloatArray, goal: Targets, penalties: Penalties, outputs: float = 1.0) -> Objective:
    """Return the objective for arguments that have been checked.

    The regularization is that of a network whose outputs are `outputs` times the model's.
    """
    lamb = penalties.lamb
    if not (penalties.active and penalties.of_edges):
        (loss, grad), regularization = model._loss_and_grad(x, goal), 0.0
    else:
        loss, regularization, packed = _with_edges(model, x, goal, penalties, outputs)
        grad, sinks = new_gradient(model)
        for sink, part in zip(sinks, packed, strict=True):
            add_gradient(part, 0, len(part), sink)
    if penalties.active and (penalties.lamb_coef or penalties.lamb_coefdiff):
        at = 0
        for layer in model.act_fun:
            on_coef = layer._sections(grad[at : at + layer.n_params])["coef"]
            unit = outputs if layer is model.act_fun[-1] else 1.0
            regularization += unit * _of_coefficients(layer, penalties, unit, on_coef)
            at += layer.n_params
    return Objective(loss + lamb * regularization if penalties.active else loss, grad, loss, regularization)


def _of_coefficients(layer: KANLayer, penalties: Penalties, unit: float, grad: FloatArray) -> float:
    """Return the terms of a layer's coefficients, and add lamb * unit * gradient to grad (n_in, G + k, n_out)."""
    on = layer._mask != 0
    coef = layer._coef * on[:, None, :]
    steps = np.diff(coef, axis=1)
    share = penalties.lamb * unit / layer.n_out
    grad += grad.dtype.type(share * penalties.lamb_coef) * np.sign(coef)
    pull = grad.dtype.type(share * penalties.lamb_coefdiff) * np.sign(steps)
    grad[:, 1:] += pull
    grad[:, :-1] -= pull
    size = float(np.abs(coef).sum(dtype=np.float64)) * penalties.lamb_coef
    return (size + float(np.abs(steps).sum(dtype=np.float64)) * penalties.lamb_coefdiff) / layer.n_out


# --- terms of the edges -------------------------------------------------------------------------------------------


class _Moments(NamedTuple):
    """A layer's edges over the batch, (n_in, width), the padding zero; and its inputs (n_in,). float64 but the mean."""

    mean: FloatArray  # of the dtype
    std: FloatArray
    input_mean: FloatArray
    input_std: FloatArray


def _with_edges(
    model: Network, x: FloatArray, goal: Targets, penalties: Penalties, outputs: float
) -> tuple[float, float, list[FloatArray]]:
    """Return loss, regularization of the edges, and the gradient of the objective by the packed coefficients."""
    layers = model._pack()
    check_domain(layers, x)
    n, size = x.shape[0], chunk_rows(layers, len(x))
    pieces = slices(n, size * -(-n // (size * _MAX_PIECES)))
    acts = checked_activations(model.act_fun, layers, x)
    known = 0.0
    if not goal.is_compiled:
        known, goal = goal.linear(acts[-1])  # the loss of these targets is 0
    moments = _moments(layers, acts, pieces)
    regularization = 0.0
    bars: list[tuple[FloatArray, FloatArray]] = []
    for layer, moment in zip(layers, moments, strict=True):
        unit = outputs if layer is layers[-1] else 1.0
        value, v_bar = _of_edges(moment, layer.n_out, penalties, unit)
        regularization += value
        bars.append(_cotangents(moment, penalties.lamb * v_bar, n))

    losses = np.zeros(len(pieces))
    sums: list[list[FloatArray]] = [[] for _ in pieces]

    def run_backward(index: int) -> None:
        grads = [np.zeros_like(layer.coefs) for layer in layers]
        for rows in _chunks(pieces[index], size):
            y_bar = np.empty_like(acts[-1][rows])
            losses[index] += goal.part(rows, acts[-1][rows], y_bar)
            for depth in range(len(layers) - 1, -1, -1):
                mean, (g, on_input) = moments[depth].mean, bars[depth]
                inputs = acts[depth][rows]
                y_bar = edge_backward(layers[depth], inputs, y_bar, mean, g.astype(x.dtype), grads[depth])
                y_bar += on_input.astype(x.dtype) * (inputs - moments[depth].input_mean.astype(x.dtype))
        sums[index] = grads

    run_tasks(run_backward, len(pieces))
    total = sums[0]
    for grads in sums[1:]:
        for whole, part in zip(total, grads, strict=True):
            whole += part
    return known + float(sum(losses.tolist())), regularization, total


def _chunks(rows: slice, size: int) -> list[slice]:
    return [slice(rows.start + part.start, rows.start + part.stop) for part in slices(rows.stop - rows.start, size)]


def _moments(layers: Sequence[PackedLayer], acts: Sequence[FloatArray], pieces: Sequence[slice]) -> list[_Moments]:
    """Return mean and std of every edge and every input. Of one sample the std is 0, because its spread is."""
    n, out = len(acts[0]), []
    for layer, act in zip(layers, acts, strict=False):
        mean, spread = edge_moments(layer, act, pieces)
        input_mean = act.mean(axis=0, dtype=np.float64)
        input_spread = np.square(act - input_mean).sum(axis=0)
        input_spread = without_rounding(input_spread, np.abs(input_mean), n, act.dtype)
        stds = (np.sqrt(square / max(n - 1, 1)) for square in (spread, input_spread))
        out.append(_Moments(mean.astype(act.dtype), next(stds), input_mean, next(stds)))
    return out


def _of_edges(moments: _Moments, n_out: int, penalties: Penalties, unit: float) -> tuple[float, FloatArray]:
    """Return the terms of one layer's edges, `unit` times as large, and their derivatives by V as they are."""
    V = unit * moments.std[:, :n_out] / (moments.input_std[:, None] + _INPUT_OFFSET)
    rows, on_rows = _entropy(V, axis=0)
    columns, on_columns = _entropy(V, axis=1)
    value = penalties.lamb_l1 * float(V.sum()) + penalties.lamb_entropy * (rows + columns)
    return value, unit * (penalties.lamb_l1 + penalties.lamb_entropy * (on_rows + on_columns))


def _entropy(V: FloatArray, axis: int) -> tuple[float, FloatArray]:
    r"""Return H and dH/dV, the shares P taken along `axis`, the mean over the other.

    With :math:`h(P) = -P \log_2(P + \epsilon)` and :math:`P = V / (\sum V + 1)`:
    :math:`\bar V = (h'(P) - \sum h'(P) P) / (\sum V + 1)`.
    """
    whole = V.sum(axis=axis, keepdims=True) + 1
    P = V / whole
    count = V.shape[1 - axis]
    logarithm = np.log2(P + _LOG_OFFSET)
    slope = -(logarithm + P / ((P + _LOG_OFFSET) * np.log(2)))
    return -float((P * logarithm).sum()) / count, (slope - (slope * P).sum(axis=axis, keepdims=True)) / (whole * count)


def _cotangents(moments: _Moments, v_bar: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    r"""Return g (n_in, width) and h (n_in,), the factors of the deviations in the cotangents of edges and inputs.

    :math:`\partial \operatorname{std}(z) / \partial z_n = (z_n - \bar z) / ((n - 1) \operatorname{std}(z))`.
    """
    n_out = v_bar.shape[1]
    below = moments.input_std + _INPUT_OFFSET
    std = moments.std[:, :n_out]
    g = np.zeros_like(moments.std)
    g[:, :n_out] = _over_nonzero(v_bar / below[:, None], std * (n - 1))
    on_std = -(v_bar * std).sum(axis=1) / below**2
    return g, _over_nonzero(on_std, moments.input_std * (n - 1))


def _over_nonzero(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
