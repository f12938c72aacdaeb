r"""Which edges matter to the outputs, and a smaller network without those that do not.

The score of an edge says how much of the outputs' variation goes through it, over n samples (std with ``ddof=1``):

.. math::

    \text{score}_{io} = \text{score}_o \frac{\operatorname{std}_n \phi_{io}(x_{ni})}{\operatorname{std}_n x'_{no}},
    \qquad \text{score}_i = \sum_o \text{score}_{io},

from the last layer to the first; each of the network's outputs begins with :math:`1 / n_{out}`, and :math:`x'_{no}` is
the node that the edges into o add up to. This is pykan's attribution without the 1e-4 that it adds below the fraction:
scores have no unit, and do not depend on that of y.

The mean of a pruned edge is kept: the B-splines of a grid sum to one, so a constant added to all coefficients of
another edge into the same node is added to that node, for any input.

References
----------
Z. Liu et al., "KAN 2.0: Kolmogorov-Arnold networks meet science", arXiv 2408.10205 (2024), section 4.1: attribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray, check_finite, check_number
from numkan.layer.edges import Edges
from numkan.layer.layer import KANLayer
from numkan.layer.parameters import SETTINGS
from numkan.model.batches import chunk_rows, slices
from numkan.model.evaluate import check_domain
from numkan.model.layer_outputs import checked_activations
from numkan.model.moments import edge_moments, without_rounding
from numkan.model.network import Network

__all__ = ["edge_scores", "prune", "score_and_mean"]

Model = TypeVar("Model", bound=Network)
Flags = NDArray[np.bool_]

#: Edges whose score is below are pruned, unless another threshold is given.
THRESHOLD = 1e-2


def edge_scores(self: Network, x: Any) -> list[FloatArray]:
    r"""Return how much every edge matters to the outputs, from 0 for one that does nothing.

    The score of an edge is the standard deviation of :math:`\phi_{io}` over the samples, divided by that of the node
    that it goes into, times the score of this node. The score of a node is the sum over the edges that leave it; each
    output begins with 1 / n_out.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
        Finite, two samples at least.

    Returns
    -------
    list of ndarray, shape (n_in, n_out)
        One for each layer. Scores have no unit: that of an edge into the only output is 1 if it alone makes the output
        vary. Those into one node add up to its score, or to more where edges work against each other. A masked edge has
        score 0, and so has a constant edge, and an edge that leads only to constant nodes.

    Raises
    ------
    ValueError, TypeError
        If `x` is not as said, or activations overflow.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model = KAN([2, 1], base_fun="identity", seed=0)
    >>> model.act_fun[0].scale_sp[...] = 0
    >>> model.act_fun[0].scale_base[...] = [[4.0], [3.0]]  # y = 4 x_0 + 3 x_1
    >>> x = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    >>> model.edge_scores(x)[0][:, 0].round(12)
    array([0.8, 0.6])
    """
    return [score.astype(self.dtype) for score in _scores(_moments(self, x))]


def prune(self: Model, x: Any = None, threshold: float = THRESHOLD) -> Model:
    """Return a smaller model: without hidden nodes that nothing reaches or that reach nothing, and without weak edges.

    An edge is alive unless its mask is 0. A hidden node stays if a path of living edges leads from an input to an
    output through it; inputs and outputs stay in any case. The constants that removed parts contributed are added to
    the coefficients of edges that stay, see below. This model does not change.

    Parameters
    ----------
    x : array_like, shape (n, n_in), optional
        Samples to judge edges on. Without them only masked edges and nodes without a path are removed.
    threshold : float
        Edges whose score on `x` (see :meth:`edge_scores`) is below are masked first. From 0, which masks none.

    Returns
    -------
    model
        Of the same kind, dtype, degrees, grids, base functions, policies and flags. Its edges keep their parameters,
        except those that carry a constant.

    Raises
    ------
    ValueError, TypeError
        If `x` is not as said for :meth:`edge_scores`, or a threshold is given without it.

    Notes
    -----
    **The same function.** Without `x`, or with ``threshold=0``, the new model is the same function to rounding, inside
    the grids and outside. A hidden node that no input reaches is constant; what its edges then add to the nodes of the
    next layer goes into the strongest spline that leads there, and where no living edge leads to an output, a masked
    one becomes that constant. Under ``extrapolate="fade"`` a spline fades outside its grid and cannot carry a constant:
    there such nodes stay, unless they add exactly 0. They also stay where their own value is outside a grid and the
    policy is `"nan"` or `"raise"`. Nodes that reach no output are removed, and with them their NaN or error.

    **Nearly the same function.** Edges that go because of the threshold are replaced by their mean over `x`, carried in
    the same way (under `"fade"` inside the grids only): no other constant changes the node less, in the mean square. An
    output that depended on the inputs still does: if no path to it would be left, its strongest one stays, the path
    whose weakest edge has the largest score.

    Where masks leave no path from any input to any output, the function is a constant, and a plain copy is returned.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model, x = KAN([2, 5, 1], seed=0), np.random.default_rng(0).uniform(-1, 1, (200, 2))
    >>> model.act_fun[0].mask[:, :3] = 0                   # nothing reaches three of the five nodes
    >>> small = model.prune()
    >>> small.width, bool(np.allclose(small(x), model(x), rtol=0, atol=1e-14))
    ([2, 2, 1], True)
    >>> model.prune(x, threshold=0.7).width
    [2, 1, 1]
    """
    threshold = check_number("threshold", threshold, 0.0)
    if x is None and threshold not in (0.0, THRESHOLD):
        raise ValueError("Argument `x` must be samples to judge edges on where a threshold is given, not None.")
    old = [layer.mask != 0 for layer in self.act_fun]
    moments = None if x is None else _moments(self, x)
    if not all(nodes.any() for nodes in _between(old)):
        return self.copy()
    means, live = _constants(self, old), old
    if moments is not None and threshold > 0:
        varying = _reached(old)
        means = [np.where(v[:, None], m.mean, c) for v, m, c in zip(varying, moments, means, strict=False)]
        live = _above(old, _scores(moments), threshold)
    stay = _staying(self, old, live, means)
    layers = []
    for depth, layer in enumerate(self.act_fun):
        rows, columns = stay[depth : depth + 2]
        left = live[depth] & rows[:, None]
        gone = np.where(old[depth] & ~left, means[depth], 0).sum(axis=0)
        layers.append(_part(layer, rows, columns, left))
        for o, constant in enumerate(gone[columns]):
            _carry(layers[-1], o, constant)
    return self._with_layers(layers)


def score_and_mean(model: Network, x: Any) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return the score and the mean of every edge of every layer over samples, which are checked, in float64."""
    moments = _moments(model, x)
    return _scores(moments), [moment.mean for moment in moments]


# --- scores -------------------------------------------------------------------------------------------------------


class _Moments(NamedTuple):
    """A layer over the samples, in float64."""

    mean: FloatArray  # (n_in, n_out), of every edge
    std: FloatArray  # (n_in, n_out)
    node_std: FloatArray  # (n_out,), of the sums of the edges


def _moments(model: Network, x: Any) -> list[_Moments]:
    """Return mean and standard deviation of every edge, and of the nodes they lead to, over samples; check these."""
    samples = model._samples(x)
    if len(samples) < 2:
        raise ValueError(f"Argument `x` must have at least 2 rows to judge edges on, not {len(samples)}.")
    check_finite("x", samples, x)
    layers = model._pack()
    check_domain(layers, samples)
    acts, parts = (
        checked_activations(model.act_fun, layers, samples),
        slices(len(samples), chunk_rows(layers, len(samples))),
    )
    out = []
    for depth, (layer, inputs, outputs) in enumerate(zip(layers, acts[:-1], acts[1:], strict=True)):
        check_finite(f"activations[{depth + 1}]", outputs)
        with np.errstate(all="ignore"):
            mean, spread = (each[:, : layer.n_out] for each in edge_moments(layer, inputs, parts))
            centre = outputs.mean(axis=0, dtype=np.float64)
            node = np.square(outputs - centre).sum(axis=0)
        if not (np.isfinite(spread).all() and np.isfinite(node).all()):
            largest = float(max(np.abs(inputs).max(), np.abs(outputs).max()))
            raise ValueError(f"Argument `x` must give activations whose squares are finite, not up to {largest:.3g}.")
        size = np.maximum(np.abs(mean), np.abs(layer.coefs).max(axis=1)[:, : layer.n_out]).sum(axis=0)
        node = without_rounding(node, np.maximum(np.abs(centre), size), len(samples), samples.dtype)
        out.append(_Moments(mean, *(np.sqrt(square / (len(samples) - 1)) for square in (spread, node))))
    return out


def _scores(moments: Sequence[_Moments]) -> list[FloatArray]:
    """Return the scores of all edges, from the last layer to the first and put in order."""
    n_out = len(moments[-1].node_std)
    of_nodes, out = np.full(n_out, 1 / n_out), []
    for moment in reversed(moments):
        # Edges into an output that does not vary cancel each other, if they vary: then they share its score.
        whole = np.where(moment.node_std > 0, moment.node_std, moment.std.sum(axis=0))
        share = np.divide(moment.std, whole, out=np.zeros_like(moment.std), where=whole > 0)
        score = share * of_nodes
        of_nodes = score.sum(axis=1)
        out.append(score)
    return out[::-1]


# --- nodes and edges that stay ------------------------------------------------------------------------------------


def _reached(live: Sequence[Flags]) -> list[Flags]:
    """Return which nodes of every level a path of living edges (n_in, n_out) leads to, from any input."""
    out: list[Flags] = [np.ones(len(live[0]), np.bool_)]
    for edges in live:
        out.append(out[-1] @ edges)  # of booleans: whether any
    return out


def _between(live: Sequence[Flags]) -> list[Flags]:
    """Return which nodes of every hidden level are on a path from an input to an output."""
    back = _reached([edges.T for edges in reversed(live)])[::-1]
    return [there & on for there, on in zip(_reached(live), back, strict=True)][1:-1]


def _above(live: Sequence[Flags], scores: Sequence[FloatArray], threshold: float) -> list[Flags]:
    """Return the edges whose score reaches the threshold, and the strongest path to each output that has none left."""
    kept = [edges & (score >= threshold) for edges, score in zip(live, scores, strict=True)]
    best, came = np.full(len(live[0]), np.inf), []  # the weakest edge of the strongest path to each node; -1: none
    for edges, score in zip(live, scores, strict=True):
        through = np.where(edges, np.minimum(best[:, None], score), -1.0)
        best = through.max(axis=0)
        came.append(through.argmax(axis=0))
    for output in np.flatnonzero((best >= 0) & ~_reached(kept)[-1]):
        o = output
        for edges, before in zip(kept[::-1], came[::-1], strict=True):
            edges[before[o], o] = True
            o = before[o]
    return kept


def _staying(model: Network, old: Sequence[Flags], live: Sequence[Flags], means: Sequence[FloatArray]) -> list[Flags]:
    """Return which nodes of every level stay: inputs, outputs, those on paths, and constants that no edge can carry."""
    stay = [np.ones(model.n_in, np.bool_), *_between(live), np.ones(model.n_out, np.bool_)]
    reached = _reached(old)
    for depth in range(model.depth - 1, 0, -1):
        mean = means[depth]
        carried = model.act_fun[depth].basis.outside.keeps_constants
        stuck = ~np.isfinite(mean) if carried else mean != 0
        needed = (live[depth] & stuck & stay[depth + 1]).any(axis=1)
        stay[depth] |= needed & ~reached[depth]
    return stay


# --- constants, and the edges that carry them ---------------------------------------------------------------------


def _constants(model: Network, live: Sequence[Flags]) -> list[FloatArray]:
    """Return the values (n_in, n_out) of edges from constant nodes, which no input reaches; other entries are not used.

    Nodes that vary are set to the middle of their grid.
    """
    out: list[FloatArray] = []
    constant = np.zeros(model.n_in)
    for layer, varying, edges in zip(model.act_fun, _reached(live), live, strict=False):
        low, high = layer.basis.domain
        middle = low + (high - low) / 2
        packed = layer.pack()
        at = np.where(varying, middle, constant).astype(layer.dtype)[None, :]
        values = Edges.of(packed, at).values()[0, :, : layer.n_out].astype(np.float64)
        constant = np.where(edges & ~varying[:, None], values, 0).sum(axis=0)
        out.append(values)
    return out


def _carry(layer: KANLayer, o: int, constant: float) -> None:
    """Add a constant to output `o` of a layer, in place, through the strongest spline that leads there."""
    if constant == 0:
        return
    slope = layer.mask[:, o] * layer.scale_sp[:, o]
    i = int(np.argmax(np.abs(slope)))
    if slope[i] == 0:  # no spline is on: one is made of a living edge, or else of a masked one
        i = int(np.argmax(layer.mask[:, o] != 0))
        if layer.mask[i, o] == 0:
            layer.mask[i, o], layer.scale_base[i, o] = 1, 0
        layer.scale_sp[i, o], layer.coef[i, o] = 1, 0
        slope[i] = layer.mask[i, o]
    layer.coef[i, o] += constant / float(slope[i])


def _part(layer: KANLayer, rows: Flags, columns: Flags, live: Flags) -> KANLayer:
    """Return a new layer of some inputs and outputs, with only the living edges (n_in, n_out) of the old one on."""
    part = KANLayer.__new__(KANLayer)
    for name in SETTINGS:
        setattr(part, name, getattr(layer, name))
    part._allocate(layer.basis.on(layer.grid[rows]), int(np.count_nonzero(columns)))
    edges = np.ix_(rows, columns)
    for name in ("coef", "scale_base", "scale_sp"):
        setattr(part, name, getattr(layer, name)[edges])
    part.mask = np.where(live, layer.mask, 0)[edges]
    return part
