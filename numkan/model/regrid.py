"""The grids of a network: laid over samples, taken over from another network, refined, and compared with samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

from numkan._check import check_finite, check_number
from numkan.layer.grid import Coverage
from numkan.model.evaluate import check_domain
from numkan.model.layer_outputs import layer_outputs, network_activations
from numkan.model.stack import Stack, per_layer
from numkan.spline.lstsq import COND

__all__ = ["coverage", "initialize_grid_from_parent", "refine", "update_grid_from_samples"]

AnyStack = TypeVar("AnyStack", bound=Stack)


def update_grid_from_samples(self: Stack, x: Any, margin: float = 0.0, cond: float = COND) -> None:
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
        The refit leaves directions unchanged whose singular value is less than this share of the largest one. By
        default these are the directions that rounding hides. Training uses a larger share, so that a curve does not
        swing between a few samples in the tail of a grid.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model = KAN([1, 1], grid=2, k=1, seed=0)
    >>> model.update_grid_from_samples(np.linspace(-10, 10, 101)[:, None])
    >>> model.act_fun[0].grid
    array([[-20., -10.,   0.,  10.,  20.]])
    """
    samples = self._samples(x)
    check_finite("x", samples, x)
    cond = check_number("cond", cond, 0.0)
    _check_coef(self)
    updated = [copy.deepcopy(layer) for layer in self.act_fun]
    for depth, layer in enumerate(updated):
        layer.update_grid_from_samples(samples, margin, cond)
        if depth + 1 < len(updated):
            samples = layer_outputs(layer, samples)
            check_finite(f"activations[{depth + 1}]", samples)
    self._replace(updated)


def initialize_grid_from_parent(self: Stack, parent: Stack, x: Any) -> None:
    """Take over the knots and splines of a parent of the same width, layer by layer, in place.

    See :meth:`numkan.KANLayer.initialize_grid_from_parent`. Each layer sees the parent's activations.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.linspace(-1, 1, 101)[:, None]
    >>> parent, finer = KAN([1, 1], grid=3, seed=0), KAN([1, 1], grid=6, seed=1)
    >>> finer.initialize_grid_from_parent(parent, x)
    >>> curves = [model.act_fun[0].basis.values(x)[:, 0] @ model.act_fun[0].coef[0, 0] for model in (parent, finer)]
    >>> bool(np.allclose(*curves))
    True
    """
    if not isinstance(parent, Stack):
        raise TypeError(f"Argument `parent` must be a network, not {type(parent).__name__}.")
    if parent.width != self.width:
        raise ValueError(f"Argument `parent` must have width {self.width}, not {parent.width}.")
    _check_coef(parent, "parent.")
    samples = self._samples(x)
    check_finite("x", samples, x)
    seen = parent._samples(x)
    check_domain(parent._pack(), seen)
    acts = [samples, *network_activations(parent.act_fun, seen)[1:-1]]
    updated = [copy.deepcopy(layer) for layer in self.act_fun]
    for depth, (layer, from_layer, inputs) in enumerate(zip(updated, parent.act_fun, acts, strict=True)):
        if depth:
            check_finite(f"activations[{depth}]", inputs)
        layer.initialize_grid_from_parent(from_layer, inputs)
    self._replace(updated)


def refine(self: AnyStack, grid: int | Sequence[int]) -> AnyStack:
    """Return a new model with `grid` intervals (one number, or one for each layer) and the same function.

    Exact inside the grids where the new number is a multiple of the old one, otherwise, and for coarser grids, the
    best approximation in the least-squares sense. This model stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.linspace(-1, 1, 101)[:, None]
    >>> model = KAN([1, 1], grid=5, seed=0)
    >>> finer = model.refine(20)
    >>> finer.grid, bool(np.allclose(finer(x), model(x), rtol=0, atol=1e-14))
    ([20], True)
    """
    grids = per_layer("grid", grid, self.depth, 1)
    _check_coef(self)
    return self._with_layers([layer.refine(n) for layer, n in zip(self.act_fun, grids, strict=True)])


def coverage(self: Stack, x: Any) -> list[Coverage]:
    """Return, for each layer, the share of its inputs' activations outside the grid and the number of empty spans.

    Returns
    -------
    list of Coverage
        Named tuples ``outside`` (n_in,) and ``empty_spans`` (n_in,).

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model = KAN([1, 1], grid=5, grid_range=(-1, 1), seed=0)
    >>> (first,) = model.coverage(np.linspace(-1, 3, 101)[:, None])
    >>> first.outside.round(2), first.empty_spans
    (array([0.5]), array([0]))
    """
    # Where the policy is "raise", points outside are counted here, and are no error: activations after them are NaN.
    acts = network_activations(self.act_fun, self._samples(x))
    return [layer.coverage(a) for layer, a in zip(self.act_fun, acts[:-1], strict=True)]


def _check_coef(self: Stack, of: str = "") -> None:
    """Refuse to refit coefficients that are not finite."""
    for depth, layer in enumerate(self.act_fun):
        check_finite(f"{of}act_fun[{depth}].coef", layer.coef)
