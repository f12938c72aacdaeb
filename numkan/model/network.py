"""A network of KAN layers: its function, and its derivatives by parameters and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import attrgetter, is_
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.layer.buffers import thread_arrays
from numkan.layer.layer import KANLayer
from numkan.layer.pack import new_packed
from numkan.layer.packed import PackedLayer
from numkan.model import derivatives, jets, regrid
from numkan.model.blocks import Predictor, is_long_and_copied, predict_by_block
from numkan.model.direct_network import DirectNetwork
from numkan.model.direct_plan import direct_plan
from numkan.model.evaluate import all_activations, check_domain, forward, loss_and_gradients
from numkan.model.frozen import FrozenKAN
from numkan.model.layer_outputs import network_activations
from numkan.model.stack import Stack
from numkan.model.targets import Targets, targets
from numkan.spline.spline_basis import SplineBasis

__all__ = ["Network", "check_model"]

_basis_of = attrgetter("_basis")


class Network(Stack):
    """Layers in a row. :class:`numkan.KAN`, which users see, adds training and files and documents the rest.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.model import Network
    >>> network = Network([2, 3, 1], seed=0)
    >>> network, network(np.zeros((4, 2))).shape
    (Network(width=[2, 3, 1], grid=5, k=3, extrapolate='continue', dtype=float64), (4, 1))
    """

    update_grid_from_samples = regrid.update_grid_from_samples
    initialize_grid_from_parent = regrid.initialize_grid_from_parent
    refine = regrid.refine
    coverage = regrid.coverage

    vjp = derivatives.vjp
    jvp = derivatives.jvp
    derivative = derivatives.derivative
    jacobian = derivatives.jacobian
    derivatives = jets.derivatives

    def _take(self, layers: Sequence[KANLayer]) -> None:
        super()._take(layers)
        self._planned: tuple[list[SplineBasis], FloatArray, DirectNetwork | None] | None = None

    # --- the function ---------------------------------------------------------------------------------------------

    @contextmanager
    def _packed(self) -> Iterator[list[PackedLayer]]:
        """Give the layers packed into memory that this thread keeps; do not use them after the block."""
        shapes = [layer._shape for layer in self._layers]
        with thread_arrays(
            "coefficients", (self._dtype, *shapes), lambda: _new_coefficients(shapes, self._dtype)
        ) as arrays:
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
        """Whether samples may come in blocks: not with the policy "raise", whose error counts all points outside."""
        return not any(layer.basis.outside.raises for layer in self._layers)

    def _predict(self, x: FloatArray) -> FloatArray:
        direct = self._direct()
        if direct is not None:
            return direct.predict(x)
        with self._packed() as layers:
            return forward(layers, x)

    def _predictor(self) -> Predictor:
        """Return the network's function of canonical samples, with its present parameters."""
        direct = self._direct()
        return partial(forward, self._pack()) if direct is None else direct.predictor()

    def _direct(self) -> DirectNetwork | None:
        """Return the network in direct form, or None if that form does not suit it."""
        planned, numbers = self._planned, self._numbers  # read once: another thread may change the model
        if planned is None or planned[1] is not numbers or not all(map(is_, map(_basis_of, self._layers), planned[0])):
            bases = [layer.basis for layer in self._layers]
            plan = direct_plan(self._layers, numbers)
            planned = self._planned = (bases, numbers, None if plan is None else DirectNetwork(plan, numbers))
        return planned[2]

    def frozen(self) -> FrozenKAN:
        """Return an immutable predictor with the model's numbers of this moment: the fast way to many small calls.

        Examples
        --------
        >>> import numpy as np
        >>> from numkan import KAN
        >>> model, x = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5], [0.7, 0.2]])
        >>> fast = model.frozen()
        >>> bool((fast(x) == model(x)).all())
        True
        """
        return FrozenKAN(self._predictor(), self.n_in, self.dtype, self._may_be_cut)

    def activations(self, x: Any) -> list[FloatArray]:
        """Return [x, inputs of layer 1, ..., outputs], all of them new arrays; nothing is kept on the model.

        Each array is the output, up to rounding, of a layer called on the array before. The last one may differ from a
        call of the model by rounding, and where values overflow.

        Examples
        --------
        >>> import numpy as np
        >>> from numkan import KAN
        >>> model, x = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5], [0.7, 0.2]])
        >>> [act.shape for act in model.activations(x)]
        [(2, 2), (2, 3), (2, 1)]
        """
        x = self._samples(x).copy()
        if not self._may_be_cut:
            layers = self._pack()
            check_domain(layers, x)
            return all_activations(layers, x)
        return network_activations(self._layers, x)

    # --- derivatives ----------------------------------------------------------------------------------------------

    def loss_and_grad(self, x: Any, y: Any, loss: Any = "mse", sample_weight: Any = None) -> tuple[float, FloatArray]:
        """Return the loss at samples and its gradient by the parameters.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
        y : array_like, shape (n, n_out), or (n,) where there is one output
            Integer labels (n,) for cross-entropy.
        loss : {"mse", "cross_entropy", "huber", "logistic", "poisson"}, or a user's own
            A user's own is a tuple (value, derivative) of functions of (prediction, target), each (n, n_out) in and
            out. See :mod:`numkan.model.losses` for the formulas.
        sample_weight : array_like, shape (n,), optional

        Returns
        -------
        loss : float
        grad : ndarray, shape (n_params,)
            In the order of `params`.

        Examples
        --------
        >>> import numpy as np
        >>> from numkan import KAN
        >>> model, x = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5], [0.7, 0.2]])
        >>> loss, grad = model.loss_and_grad(x, [0.0, 1.0])
        >>> grad.shape == model.params.shape, sorted(model.unravel(grad)[0])
        (True, ['coef', 'scale_base', 'scale_sp'])
        """
        x = self._samples(x)
        goal = targets(y, len(x), self._n_out, self._dtype, loss, sample_weight)
        return self._loss_and_grad(x, goal)

    def _loss_and_grad(self, x: FloatArray, goal: Targets) -> tuple[float, FloatArray]:
        if not goal.is_compiled:
            loss, linear = goal.linear(self._predict(x))
            return loss, self._loss_and_grad(x, linear)[1]
        direct = self._direct()
        if direct is not None:
            return direct.loss_and_grad(x, goal)
        grad, sinks = derivatives.new_gradient(self)
        with self._packed() as layers:
            return loss_and_gradients(layers, x, goal, sinks), grad

    def loss(self, x: Any, y: Any, loss: Any = "mse", sample_weight: Any = None) -> float:
        """Return the loss at samples: arguments and number as in :meth:`loss_and_grad`.

        Examples
        --------
        >>> import numpy as np
        >>> from numkan import KAN
        >>> model, x = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5], [0.7, 0.2]])
        >>> bool(np.isclose(model.loss(x, [0.0, 1.0]), np.mean((model(x)[:, 0] - [0.0, 1.0]) ** 2)))
        True
        """
        x = self._samples(x)
        goal = targets(y, len(x), self._n_out, self._dtype, loss, sample_weight)
        return self._loss(x, goal)

    def _loss(self, x: FloatArray, goal: Targets) -> float:
        if not goal.is_compiled:
            return goal.loss_of(self._predict(x))
        direct = self._direct()
        if direct is not None:
            return direct.loss(x, goal)
        with self._packed() as layers:
            return loss_and_gradients(layers, x, goal, None)

    def residuals_and_jacobian(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[FloatArray, FloatArray]:
        r"""Return residuals r with :math:`r \cdot r` the MSE loss, and their Jacobian by the parameters.

        This is what least-squares optimizers ask for. Shapes (n * n_out,) and (n * n_out, n_params).

        Examples
        --------
        >>> import numpy as np
        >>> from numkan import KAN
        >>> model, x = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5], [0.7, 0.2]])
        >>> r, jac = model.residuals_and_jacobian(x, [0.0, 1.0])
        >>> bool(np.isclose(r @ r, model.loss(x, [0.0, 1.0]))), jac.shape == (2, model.n_params)
        (True, True)
        """
        x = self._samples(x)
        goal = targets(y, len(x), self.n_out, self.dtype, "mse", sample_weight)
        weight = goal.weight if goal.weight.size else np.ones(len(x), self.dtype)
        root = np.sqrt(weight / self.dtype.type(goal.total))[:, None]
        residuals = root * (self._predict(x) - goal.y)
        jac = root[:, :, None] * self.jacobian(x)
        return residuals.reshape(-1), jac.reshape(-1, self.n_params)


def check_model(model: object, name: str = "model") -> Network:
    """Return the argument, which must be a network."""
    if not isinstance(model, Network):
        raise TypeError(f"Argument `{name}` must be a network, not {type(model).__name__}.")
    return model


def _new_coefficients(shapes: Sequence[tuple[int, int, int]], dtype: np.dtype[Any]) -> tuple[list[Any], int]:
    """Return memory for the packed coefficients of layers, and the bytes that it takes."""
    arrays = [new_packed(*shape, dtype) for shape in shapes]
    return arrays, sum(array.nbytes for array in arrays)
