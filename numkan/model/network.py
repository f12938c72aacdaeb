"""A network of KAN layers: its parameters as one vector, its function, and its derivatives."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from operator import attrgetter, is_
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from numkan._check import (
    FloatArray,
    as_float_array,
    as_samples,
    check_dtype,
    check_finite,
    check_integer,
    check_length,
    check_number,
    check_seed,
    is_list,
)
from numkan._interrupt import uninterrupted
from numkan.base import Function
from numkan.layer.grid import Coverage
from numkan.layer.jacobian import jacobian_kernel
from numkan.layer.layer import KANLayer
from numkan.layer.pack import new_packed, over_inputs, pack_tangent, unpack_gradient
from numkan.layer.packed import PackedLayer, Take, given_base
from numkan.layer.work import aligned_empty, lent
from numkan.model.evaluate import (
    activations,
    all_activations,
    backward,
    check_domain,
    chunk_rows,
    forward,
    loss_and_gradients,
    lot_rows,
    spans,
)
from numkan.model.frozen import FrozenKAN, Predictor
from numkan.model.losses import Targets, targets
from numkan.model.merged import Merged
from numkan.model.merged_plan import merged_plan
from numkan.spline.lstsq import COND
from numkan.spline.pieces import Pieces

__all__ = ["Network"]

_pieces_of = attrgetter("_pieces")


class Network:
    """Layers in a row. :class:`numkan.KAN`, which users see, adds training and files and documents the rest."""

    #: What tells the numbers that the constructor drew from all others; None where it is not known.
    _drawn: bytes | None = None

    def __init__(
        self,
        width: Sequence[int],
        grid: int | Sequence[int] = 5,
        k: int | Sequence[int] = 3,
        *,
        noise_scale: float = 0.3,
        scale_base_mu: float = 0.0,
        scale_base_sigma: float = 1.0,
        base_fun: str | tuple[Function, Function] = "silu",
        grid_eps: float = 1.0,
        grid_range: tuple[float, float] = (-1.0, 1.0),
        sp_trainable: bool = True,
        sb_trainable: bool = True,
        extrapolate: str = "continue",
        init: str = "pykan",
        seed: int | np.random.Generator | None = 1,
        dtype: DTypeLike = np.float64,
    ) -> None:
        sizes = _check_width(width)
        depth = len(sizes) - 1
        grids, degrees = _per_layer("grid", grid, depth, 1), _per_layer("k", k, depth, 0)
        rng = check_seed("seed", seed)
        self._take(
            [
                KANLayer(
                    sizes[layer],
                    sizes[layer + 1],
                    grid=grids[layer],
                    k=degrees[layer],
                    noise_scale=noise_scale,
                    scale_base_mu=scale_base_mu,
                    scale_base_sigma=scale_base_sigma,
                    base_fun=base_fun,
                    grid_eps=grid_eps,
                    grid_range=grid_range,
                    sp_trainable=sp_trainable,
                    sb_trainable=sb_trainable,
                    extrapolate=extrapolate,
                    init=init,
                    seed=rng,
                    dtype=check_dtype(dtype),
                )
                for layer in range(depth)
            ]
        )
        self._drawn = self._digest()

    # --- storage --------------------------------------------------------------------------------------------------

    def _take(self, layers: Sequence[KANLayer]) -> None:
        """Become the network of these layers, whose parameters move into one vector."""
        n_params = sum(layer.n_params for layer in layers)
        self._n_in, self._n_out, self._dtype = layers[0].n_in, layers[-1].n_out, layers[0].dtype
        n_fixed = sum(layer._n_fixed for layer in layers)
        self._numbers: FloatArray = aligned_empty(n_params + n_fixed, self._dtype)
        self._theta: FloatArray = self._numbers[:n_params]
        fixed = self._numbers[n_params:]
        at = at_fixed = 0
        for layer in layers:
            layer._move_to(self._theta[at : at + layer.n_params], fixed[at_fixed : at_fixed + layer._n_fixed])
            at, at_fixed = at + layer.n_params, at_fixed + layer._n_fixed
        self._layers = tuple(layers)
        self._planned: tuple[list[Pieces], FloatArray, Merged | None] | None = None

    def _become(self, other: Network) -> None:
        """Take over another network's grids and numbers, of any shape; views of this one's parameters turn read-only.

        The layers stay the objects that they are, so who holds one still holds a layer of this network.
        """
        for layer, new in zip(self._layers, other.copy()._layers, strict=True):
            layer._become(new)
        self._take(self._layers)

    @classmethod
    def _of(cls, layers: list[KANLayer]) -> Self:
        model = cls.__new__(cls)
        model._take(layers)
        return model

    def copy(self) -> Self:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self)._of([copy.deepcopy(layer, memo) for layer in self.act_fun])
        twin._drawn = self._drawn
        return twin

    def __copy__(self) -> Self:
        return self.copy()  # a copy that shares the vector but not its views would be neither

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": list(self._layers), "drawn": self._drawn}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._take(state["layers"])
        self._drawn = state["drawn"]

    def _digest(self) -> bytes:
        """Return a digest of all numbers and grids, byte for byte."""
        numbers = hashlib.blake2b(self._numbers.data, digest_size=16)
        for layer in self._layers:
            numbers.update(layer.grid.data)
        return numbers.digest()

    @property
    def is_as_drawn(self) -> bool:
        """Whether parameters, grids and masks are byte for byte what the constructor drew."""
        return self._drawn is not None and self._drawn == self._digest()

    # --- what a network is ----------------------------------------------------------------------------------------

    @property
    def act_fun(self) -> tuple[KANLayer, ...]:
        """The layers, from the inputs to the outputs."""
        return self._layers

    @property
    def width(self) -> list[int]:
        """Number of nodes: inputs, hidden layers, outputs."""
        return [self.act_fun[0].n_in] + [layer.n_out for layer in self.act_fun]

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.act_fun)

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self._n_in

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self._n_out

    @property
    def grid(self) -> list[int]:
        """Number of grid intervals G of each layer."""
        return [layer.G for layer in self.act_fun]

    @property
    def k(self) -> list[int]:
        """Degree of each layer."""
        return [layer.k for layer in self.act_fun]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of all numbers of the model."""
        return self._dtype

    @property
    def n_params(self) -> int:
        """Number of trainable parameters."""
        return int(self._theta.size)

    @property
    def params(self) -> FloatArray:
        """All trainable parameters (n_params,), a copy; assign a whole vector to change them.

        Layer by layer, in each `coef`, `scale_base`, `scale_sp`, without what is not trainable. The order inside is
        memory's: read such a vector through :meth:`unravel`.
        """
        return self._theta.copy()

    @params.setter
    def params(self, value: Any) -> None:
        self._theta[:] = self._vector("params", value)

    def _vector(self, name: str, value: Any) -> FloatArray:
        vector = as_float_array(name, value, self.dtype)
        if vector.shape != self._theta.shape:
            raise ValueError(f"Argument `{name}` must have shape {self._theta.shape}, not {vector.shape}.")
        return vector

    def unravel(self, vector: Any) -> list[dict[str, FloatArray]]:
        """Read a vector in the order of `params` (a gradient, a row of the Jacobian) as arrays of their natural shape.

        Parameters
        ----------
        vector : array_like, shape (n_params,)

        Returns
        -------
        list of dict
            For each layer ``coef`` (n_in, n_out, G + k), ``scale_base`` and ``scale_sp`` (n_in, n_out), as far as they
            are trainable. Views of `vector` where it is an array of the model's dtype.
        """
        vector = self._vector("vector", vector)
        out, at = [], 0
        for layer in self.act_fun:
            sections = layer._sections(vector[at : at + layer.n_params])
            sections["coef"] = sections["coef"].transpose(0, 2, 1)
            out.append(sections)
            at += layer.n_params
        return out

    def __repr__(self) -> str:
        first = self.act_fun[0]
        return (
            f"{type(self).__name__}(width={self.width}, grid={_short(self.grid)}, k={_short(self.k)}, "
            f"extrapolate={first.extrapolate!r}, dtype={self.dtype})"
        )

    # --- the function ---------------------------------------------------------------------------------------------

    def _pack(self) -> list[PackedLayer]:
        return [layer.pack() for layer in self.act_fun]

    @contextmanager
    def _packed(self) -> Iterator[list[PackedLayer]]:
        """Pack the layers into memory that this thread keeps; they are not to be used any more afterwards."""
        shapes = [layer._shape for layer in self._layers]
        with lent("coefficients", (self._dtype, *shapes), lambda: _new_coefficients(shapes, self._dtype)) as places:
            yield [layer.pack(place) for layer, place in zip(self._layers, places, strict=True)]

    def _samples(self, x: Any, name: str = "x") -> FloatArray:
        return as_samples(name, x, self._n_in, self._dtype)

    def __call__(self, x: Any) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in), in the model's dtype."""
        return self._predict(self._samples(x))

    def _predict(self, x: FloatArray) -> FloatArray:
        merged = self._merged()
        if merged is not None:
            return merged.predict(x)
        with self._packed() as layers:
            return forward(layers, x)

    def _predictor(self) -> Predictor:
        """Return the function of canonical samples that the network is with its numbers of this moment."""
        merged = self._merged()
        return partial(forward, self._pack()) if merged is None else merged.predictor()

    def _merged(self) -> Merged | None:
        """Return the network with its edges merged into polynomials, or None where that does not suit it."""
        planned, numbers = self._planned, self._numbers  # together, whatever another thread does to the model
        if planned is None or planned[1] is not numbers or not all(map(is_, map(_pieces_of, self._layers), planned[0])):
            pieces = [layer.pieces for layer in self._layers]
            plan = merged_plan(self._layers, numbers)
            planned = self._planned = (pieces, numbers, None if plan is None else Merged(plan, numbers))
        return planned[2]

    def frozen(self) -> FrozenKAN:
        """Return an immutable predictor with the model's numbers of this moment: the fast way to many small calls."""
        return FrozenKAN(self._predictor(), self.n_in, self.dtype)

    def activations(self, x: Any) -> list[FloatArray]:
        """Return [x, inputs of layer 1, ..., outputs], all of them new arrays; nothing is kept on the model.

        Each is what a layer called on its own makes of the one before; a call of the model may differ from the last one
        by rounding, and where numbers overflow.
        """
        layers, x = self._pack(), self._samples(x).copy()
        check_domain(layers, x)
        return all_activations(layers, x)

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
        merged = self._merged()
        if merged is not None:
            return merged.loss_and_grad(x, goal)
        grad, takes = self._gradient()
        with self._packed() as layers:
            return loss_and_gradients(layers, x, goal, takes), grad

    def loss(self, x: Any, y: Any, loss: str = "mse", sample_weight: Any = None) -> float:
        """Return the loss at samples: arguments and number as in :meth:`loss_and_grad`."""
        x = self._samples(x)
        goal = targets(y, len(x), self._n_out, self._dtype, loss, sample_weight)
        return self._loss(x, goal)

    def _loss(self, x: FloatArray, goal: Targets) -> float:
        merged = self._merged()
        if merged is not None:
            return merged.loss(x, goal)
        with self._packed() as layers:
            return loss_and_gradients(layers, x, goal, None)

    def _gradient(self) -> tuple[FloatArray, list[Take]]:
        """Return memory for a gradient by the parameters, and what puts those by packed coefficients into it."""
        grad = np.empty_like(self._theta)
        takes, at = [], 0
        for layer in self.act_fun:
            takes.append(_receiver(layer, grad[at : at + layer.n_params]))
            at += layer.n_params
        return grad, takes

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
        grad, takes = self._gradient()
        x_bar = np.empty_like(x)
        for rows in spans(len(x), lot_rows(layers)) or [slice(0, 0)]:  # no samples have a gradient too, of zeros
            acts = all_activations(layers, x[rows], rows.start)
            x_bar[rows] = backward(layers, acts, y_bar[rows], takes, inputs=True)
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

    # --- grids ----------------------------------------------------------------------------------------------------

    def update_grid_from_samples(self, x: Any, margin: float = 0.0, cond: float = COND) -> None:
        """Lay the grids of all layers over samples, in place, front to back.

        Each layer's grid goes over its activations, recomputed through the layers already updated, and its coefficients
        are refit so that the function stays: the least-squares solution closest to the old one.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
            Finite.
        margin : float
            Share by which the range of each grid is widened.
        cond : float
            The refit takes what the samples determine by less than this share of the largest singular value as not
            determined, and leaves it as it was. By default only what rounding hides; training uses a larger share, so
            that a curve does not swing between a few samples in the tail of a grid.
        """
        x = self._samples(x)
        cond = check_number("cond", cond, 0.0)
        self._check_coef()
        updated = [copy.deepcopy(layer) for layer in self.act_fun]
        for depth, layer in enumerate(updated):
            layer.update_grid_from_samples(x, margin, cond)
            if depth + 1 < len(updated):
                x = forward([layer.pack()], x)
                check_finite(f"activations[{depth + 1}]", x)
        self._replace(updated)

    def initialize_grid_from_parent(self, parent: Network, x: Any) -> None:
        """Take over the knots and splines of a parent of the same width, layer by layer, in place.

        See :meth:`numkan.KANLayer.initialize_grid_from_parent`. Each layer sees the parent's activations.
        """
        if not isinstance(parent, Network):
            raise TypeError(f"Argument `parent` must be a network, not {type(parent).__name__}.")
        if parent.width != self.width:
            raise ValueError(f"Argument `parent` must have width {self.width}, not {parent.width}.")
        parent._check_coef("parent.")
        samples = self._samples(x)
        check_finite("x", samples)
        acts = [samples, *parent.activations(x)[1:-1]]
        updated = [copy.deepcopy(layer) for layer in self.act_fun]
        for depth, (layer, from_layer, inputs) in enumerate(zip(updated, parent.act_fun, acts, strict=True)):
            if depth:
                check_finite(f"activations[{depth}]", inputs)
            layer.initialize_grid_from_parent(from_layer, inputs)
        self._replace(updated)

    def _replace(self, layers: Sequence[KANLayer]) -> None:
        """Take the grids and coefficients of layers of the same shapes: all of them, or none."""
        with uninterrupted():
            for layer, new in zip(self.act_fun, layers, strict=True):
                layer._replace(new.grid, new.coef)

    def _check_coef(self, of: str = "") -> None:
        """Say that coefficients which are going to be refit must be finite."""
        for depth, layer in enumerate(self.act_fun):
            check_finite(f"{of}act_fun[{depth}].coef", layer.coef)

    def refine(self, grid: int | Sequence[int]) -> Self:
        """Return a new model with `grid` intervals (one number, or one for each layer) and the same function.

        Exact inside the grids where the new number is a multiple of the old one, otherwise, and for coarser grids, the
        best approximation in the least-squares sense. This model stays as it is.
        """
        grids = _per_layer("grid", grid, self.depth, 1)
        self._check_coef()
        return type(self)._of([layer.refine(n) for layer, n in zip(self.act_fun, grids, strict=True)])

    def coverage(self, x: Any) -> list[Coverage]:
        """Return, for each layer, the share of its inputs' activations outside the grid and the number of empty spans.

        Returns
        -------
        list of Coverage
            Named tuples ``outside`` (n_in,) and ``empty_spans`` (n_in,).
        """
        # Where the policy is "raise", what is outside is the answer here, and no error: activations behind it are NaN.
        layers = [replace(layer, inside=None) for layer in self._pack()]
        acts = all_activations(layers, self._samples(x))
        return [layer.coverage(a) for layer, a in zip(self.act_fun, acts[:-1], strict=True)]


def _new_coefficients(shapes: Sequence[tuple[int, int, int]], dtype: np.dtype[Any]) -> tuple[list[Any], int]:
    """Return memory for the packed coefficients of layers, and the bytes that it takes."""
    places = [new_packed(*shape, dtype) for shape in shapes]
    return places, sum(place.nbytes for place in places)


def _receiver(layer: KANLayer, grad: FloatArray) -> Take:
    """Return what unpacks the gradient of some inputs of a layer into that of its parameters (n_params,).

    What comes for an input again, of further samples, is added.
    """
    sections = layer._sections(grad)
    scales = (
        sections[name] if name in sections else np.empty((layer.n_in, layer.n_out), layer.dtype)  # not wanted
        for name in ("scale_base", "scale_sp")
    )
    arrays = layer._coef, layer._scale_sp, layer._mask, sections["coef"], *scales
    seen = bytearray(layer.n_in)

    def take(low: int, high: int, part: FloatArray) -> None:
        unpack_gradient(part, *(array[low:high] for array in arrays), bool(seen[low]))
        seen[low:high] = b"\1" * (high - low)

    return take


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


def _check_width(width: Sequence[int]) -> list[int]:
    if not is_list(width):
        raise TypeError(f"Argument `width` must be a list of integers, not {width!r}.")
    if len(width) < 2:
        raise ValueError(f"Argument `width` must have at least 2 entries, inputs and outputs, not {list(width)}.")
    return [check_integer(f"width[{place}]", n, 1) for place, n in enumerate(width)]


def _per_layer(name: str, value: int | Sequence[int], depth: int, minimum: int) -> list[int]:
    """Return one integer for each layer, from one for all or a list."""
    if isinstance(value, Sequence | np.ndarray) and is_list(value):
        check_length(name, value, depth, "layer")
        return [check_integer(f"{name}[{place}]", n, minimum) for place, n in enumerate(value)]
    return [check_integer(name, value, minimum)] * depth


def _short(values: list[int]) -> int | list[int]:
    """Return one number where all are the same."""
    return values[0] if len(set(values)) == 1 else values
