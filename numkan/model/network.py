"""A network of KAN layers: its function, and its derivatives by parameters and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import attrgetter, is_
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples
from numkan.base import given_base
from numkan.layer.jacobian import jacobian_kernel
from numkan.layer.layer import KANLayer
from numkan.layer.pack import Receiver, new_packed, over_inputs, pack_tangent
from numkan.layer.packed import PackedLayer
from numkan.layer.work import lent
from numkan.model import regrid
from numkan.model.blocks import Predictor, is_long_and_copied, predict_by_block
from numkan.model.cuts import chunk_rows, gradient_rows, spans
from numkan.model.direct_network import DirectNetwork
from numkan.model.direct_plan import direct_plan
from numkan.model.evaluate import (
    activations,
    all_activations,
    backward,
    check_domain,
    forward,
    loss_and_gradients,
)
from numkan.model.frozen import FrozenKAN
from numkan.model.layer_outputs import network_activations
from numkan.model.losses import Targets, targets
from numkan.model.stack import Stack
from numkan.spline.pieces import Pieces

__all__ = ["Network"]

_pieces_of = attrgetter("_pieces")


class Network(Stack):
    """Layers in a row. :class:`numkan.KAN`, which users see, adds training and files and documents the rest."""

    update_grid_from_samples = regrid.update_grid_from_samples
    initialize_grid_from_parent = regrid.initialize_grid_from_parent
    refine = regrid.refine
    coverage = regrid.coverage

    def _take(self, layers: Sequence[KANLayer]) -> None:
        super()._take(layers)
        self._planned: tuple[list[Pieces], FloatArray, DirectNetwork | None] | None = None

    # --- the function ---------------------------------------------------------------------------------------------

    @contextmanager
    def _packed(self) -> Iterator[list[PackedLayer]]:
        """Lend the layers packed into memory that this thread keeps; they are not to be used afterwards."""
        shapes = [layer._shape for layer in self._layers]
        with lent("coefficients", (self._dtype, *shapes), lambda: _new_coefficients(shapes, self._dtype)) as arrays:
            yield [layer.pack(coefs) for layer, coefs in zip(self._layers, arrays, strict=True)]

    def __call__(self, x: Any) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in), in the model's dtype.

        A long array of another dtype or layout, or a read-only one (such as a mapped file), is copied block by block.
        """
        if is_long_and_copied(x, self._n_in, self._dtype) and self._may_be_cut:
            return predict_by_block(self._predict, x, self._n_in, self._dtype)
        return self._predict(self._samples(x))

    @property
    def _may_be_cut(self) -> bool:
        """Whether samples may come in blocks: not to the policy "raise", whose error counts what is outside."""
        return all(layer.extrapolate != "raise" for layer in self._layers)

    def _predict(self, x: FloatArray) -> FloatArray:
        direct = self._direct()
        if direct is not None:
            return direct.predict(x)
        with self._packed() as layers:
            return forward(layers, x)

    def _predictor(self) -> Predictor:
        """Return the function of canonical samples that the network is with its numbers of this moment."""
        direct = self._direct()
        return partial(forward, self._pack()) if direct is None else direct.predictor()

    def _direct(self) -> DirectNetwork | None:
        """Return the network in direct form, or None where that form does not suit it."""
        planned, numbers = self._planned, self._numbers  # together, whatever another thread does to the model
        if planned is None or planned[1] is not numbers or not all(map(is_, map(_pieces_of, self._layers), planned[0])):
            pieces = [layer.pieces for layer in self._layers]
            plan = direct_plan(self._layers, numbers)
            planned = self._planned = (pieces, numbers, None if plan is None else DirectNetwork(plan, numbers))
        return planned[2]

    def frozen(self) -> FrozenKAN:
        """Return an immutable predictor with the model's numbers of this moment: the fast way to many small calls."""
        return FrozenKAN(self._predictor(), self.n_in, self.dtype, self._may_be_cut)

    def activations(self, x: Any) -> list[FloatArray]:
        """Return [x, inputs of layer 1, ..., outputs], all of them new arrays; nothing is kept on the model.

        Each is what a layer called on its own makes of the one before, to rounding; a call of the model may differ from
        the last one by rounding, and where numbers overflow.
        """
        x = self._samples(x).copy()
        if any(layer.extrapolate == "raise" for layer in self._layers):
            layers = self._pack()
            check_domain(layers, x)
            return all_activations(layers, x)
        return network_activations(self._layers, x)

    # --- derivatives ----------------------------------------------------------------------------------------------

    def loss_and_grad(self, x: Any, y: Any, loss: str = "mse", sample_weight: Any = None) -> tuple[float, FloatArray]:
        """Return the loss at samples and its gradient by the parameters.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
        y : array_like, shape (n, n_out), or (n,) where there is one output
            Integer labels (n,) for cross-entropy.
        loss : {"mse", "cross_entropy"}
            See :mod:`numkan.model.losses` for the formulas.
        sample_weight : array_like, shape (n,), optional

        Returns
        -------
        loss : float
        grad : ndarray, shape (n_params,)
            In the order of `params`.
        """
        x = self._samples(x)
        goal = targets(y, len(x), self._n_out, self._dtype, loss, sample_weight)
        return self._loss_and_grad(x, goal)

    def _loss_and_grad(self, x: FloatArray, goal: Targets) -> tuple[float, FloatArray]:
        direct = self._direct()
        if direct is not None:
            return direct.loss_and_grad(x, goal)
        grad, receivers = self._gradient()
        with self._packed() as layers:
            return loss_and_gradients(layers, x, goal, receivers), grad

    def loss(self, x: Any, y: Any, loss: str = "mse", sample_weight: Any = None) -> float:
        """Return the loss at samples: arguments and number as in :meth:`loss_and_grad`."""
        x = self._samples(x)
        goal = targets(y, len(x), self._n_out, self._dtype, loss, sample_weight)
        return self._loss(x, goal)

    def _loss(self, x: FloatArray, goal: Targets) -> float:
        direct = self._direct()
        if direct is not None:
            return direct.loss(x, goal)
        with self._packed() as layers:
            return loss_and_gradients(layers, x, goal, None)

    def _gradient(self) -> tuple[FloatArray, list[Receiver]]:
        """Return memory for a gradient by the parameters, and what receives those by packed coefficients for it."""
        grad = np.empty_like(self._theta)
        receivers, at = [], 0
        for layer in self.act_fun:
            receivers.append(_receiver(layer, grad[at : at + layer.n_params]))
            at += layer.n_params
        return grad, receivers

    def vjp(self, x: Any, y_bar: Any) -> tuple[FloatArray, FloatArray]:
        r"""Return the vector-Jacobian products :math:`\sum_{no} \bar y_{no}\, \partial y_{no}` by parameters and by x.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
        y_bar : array_like, shape (n, n_out)

        Returns
        -------
        params_bar : ndarray, shape (n_params,)
        x_bar : ndarray, shape (n, n_in)
        """
        x = self._samples(x)
        y_bar = as_samples("y_bar", y_bar, self.n_out, self.dtype)
        _check_rows("y_bar", y_bar, x)
        layers = self._pack()
        check_domain(layers, x)
        grad, receivers = self._gradient()
        x_bar = np.empty_like(x)
        for rows in spans(len(x), gradient_rows(layers)) or [slice(0, 0)]:  # no samples have a gradient too, of zeros
            acts = all_activations(layers, x[rows], rows.start)
            x_bar[rows] = backward(layers, acts[:-1], y_bar[rows], receivers, inputs=True)
        return grad, x_bar

    def jvp(self, x: Any, params_dot: Any = None, x_dot: Any = None) -> FloatArray:
        """Return the Jacobian-vector product: the change of the outputs along a change of parameters and of x.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
        params_dot : array_like, shape (n_params,), optional
            Zero unless given.
        x_dot : array_like, shape (n, n_in), optional
            Zero unless given.

        Returns
        -------
        ndarray, shape (n, n_out)
        """
        x = self._samples(x)
        change = np.zeros_like(self._theta) if params_dot is None else self._vector("params_dot", params_dot)
        x_dot = np.zeros_like(x) if x_dot is None else self._samples(x_dot, "x_dot")
        _check_rows("x_dot", x_dot, x)
        layers, tangents = self._pack(), self._pack_tangents(change)
        check_domain(layers, x)
        y_dot = np.empty((len(x), self.n_out), self.dtype)
        for rows in spans(len(x), chunk_rows(layers, len(x))):
            dot = x_dot[rows]
            acts = activations(layers, x[rows], rows.start)
            for layer, a, tangent in zip(layers, acts[:-1], tangents, strict=True):
                dot = layer.tangent(a, dot, tangent)
            y_dot[rows] = dot
        return y_dot

    def _pack_tangents(self, change: FloatArray) -> list[FloatArray]:
        """Return the changes of the packed coefficients of every layer along a change of the parameters."""
        out, at = [], 0
        for layer in self.act_fun:
            tangent = new_packed(*layer._shape, self.dtype)
            sections = layer._sections(change[at : at + layer.n_params])
            fixed = np.zeros((layer.n_in, layer.n_out), self.dtype)
            base, sp = sections.get("scale_base", fixed), sections.get("scale_sp", fixed)
            numbers = layer._coef, layer._scale_sp, layer._mask
            over_inputs(pack_tangent, *numbers, sections["coef"], base, sp, tangent)
            out.append(tangent)
            at += layer.n_params
        return out

    def derivative(self, x: Any) -> FloatArray:
        """Return the derivatives of the outputs by the inputs, dy/dx, shape (n, n_out, n_in), at x (n, n_in)."""
        x = self._samples(x)
        layers = self._pack()
        check_domain(layers, x)
        out = np.empty((len(x), self.n_out, self.n_in), self.dtype)
        for rows in spans(len(x), chunk_rows(layers, 0)):
            delta = self._identity(rows)
            acts = activations(layers, x[rows], rows.start)
            for layer, inputs in zip(layers[::-1], acts[-2::-1], strict=True):
                delta = layer.pull_back(inputs, delta)
            out[rows] = delta
        return out

    def _identity(self, rows: slice) -> FloatArray:
        eye = np.eye(self.n_out, dtype=self.dtype)
        return np.broadcast_to(eye, (rows.stop - rows.start, *eye.shape)).copy()  # of one row too: a writable array

    def jacobian(self, x: Any) -> FloatArray:
        """Return the derivatives of the outputs by the parameters, shape (n, n_out, n_params), at x (n, n_in).

        Dense, though a row has only about (k + 3) entries an edge that are not zero; a masked edge has zeros.
        """
        x = self._samples(x)
        layers = self._pack()
        check_domain(layers, x)
        jac = np.zeros((len(x), self.n_out, self.n_params), self.dtype)
        for rows in spans(len(x), chunk_rows(layers, 0)):
            delta = self._identity(rows)
            acts = activations(layers, x[rows], rows.start)
            end = self.n_params
            for depth in range(self.depth - 1, -1, -1):
                layer, packed, inputs = self.act_fun[depth], layers[depth], acts[depth]
                end -= layer.n_params
                _jacobian_columns(layer, packed, inputs, delta, end, jac[rows])
                if depth:
                    delta = packed.pull_back(inputs, delta)
        return jac

    def residuals_and_jacobian(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[FloatArray, FloatArray]:
        r"""Return residuals r with :math:`r \cdot r` the MSE loss, and their Jacobian by the parameters.

        This is what least-squares optimizers ask for. Shapes (n * n_out,) and (n * n_out, n_params).
        """
        x = self._samples(x)
        goal = targets(y, len(x), self.n_out, self.dtype, "mse", sample_weight)
        weight = goal.weight if goal.weight.size else np.ones(len(x), self.dtype)
        root = np.sqrt(weight / self.dtype.type(goal.total))[:, None]
        residuals = root * (self._predict(x) - goal.y)
        jac = root[:, :, None] * self.jacobian(x)
        return residuals.reshape(-1), jac.reshape(-1, self.n_params)


def _new_coefficients(shapes: Sequence[tuple[int, int, int]], dtype: np.dtype[Any]) -> tuple[list[Any], int]:
    """Return memory for the packed coefficients of layers, and the bytes that it takes."""
    arrays = [new_packed(*shape, dtype) for shape in shapes]
    return arrays, sum(array.nbytes for array in arrays)


def _receiver(layer: KANLayer, grad: FloatArray) -> Receiver:
    """Return what receives the gradient by packed coefficients for that by a layer's parameters (n_params,)."""
    sections = layer._sections(grad)
    base_bar, sp_bar = (
        sections[name] if name in sections else np.empty((layer.n_in, layer.n_out), layer.dtype)  # not wanted
        for name in ("scale_base", "scale_sp")
    )
    seen = np.zeros(layer.n_in, np.bool_)
    return Receiver(layer._coef, layer._scale_sp, layer._mask, sections["coef"], base_bar, sp_bar, seen)


def _jacobian_columns(
    layer: KANLayer, packed: PackedLayer, x: FloatArray, delta: FloatArray, begin: int, jac: FloatArray
) -> None:
    """Write the columns of one layer, which begin at `begin`, of the rows of jac (n, n_q, n_params)."""
    n_coef, n_edges = layer._coef.size, layer.n_in * layer.n_out
    at_base = begin + n_coef if layer.sb_trainable else -1
    at_sp = begin + n_coef + n_edges * layer.sb_trainable if layer.sp_trainable else -1
    given, slope = given_base(layer._base, x)
    kernel = jacobian_kernel(layer.k, layer.dtype)
    columns = (begin, at_base, at_sp)
    numbers = (layer._coef, layer._scale_sp, layer._mask)
    kernel(x, delta, packed.pieces, layer._base.kind, given, slope, *numbers, packed.work, columns, jac)


def _check_rows(name: str, array: FloatArray, x: FloatArray) -> None:
    if len(array) != len(x):
        raise ValueError(f"Argument `{name}` must have {len(x)} rows, one for each sample, not {len(array)}.")
