"""Identification of the edges of a network with functions of the library.

In networks of several nodes an edge can be a mixture, because linear combinations of the nodes of a hidden layer serve
as well as the nodes themselves. An edge is named only if a function is close to it; the others stay splines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, pairwise, product
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, as_samples, check_number
from numkan._shown import shown
from numkan.kan import KAN
from numkan.plot import edge_values
from numkan.symbolic.expression import Node, Var, add
from numkan.symbolic.functions import LIBRARY, Function
from numkan.symbolic.identify import Match, match_all

__all__ = ["Edges", "composed", "identify_edges"]

Edges = dict[tuple[int, int, int], Match]

_POINTS = 64
_MOST_EDGES = 9  # of a network that is composed edge by edge
_CLOSE = 2e-3  # an edge is named if the residual is below this share of its deviation


def identify_edges(model: KAN, x: Any, functions: Mapping[str, Function] | None = None, close: float = _CLOSE) -> Edges:
    """Return the function of every edge that is one, by (layer, input, output).

    Parameters
    ----------
    model : KAN
    x : array_like, shape (n, n_in)
        Samples; an edge is looked at where 98 % of them are.
    functions : mapping, optional
        The library.
    close : float
        The largest residual, as a share of the deviation of the edge.

    Returns
    -------
    dict
        Without edges that are zero, and edges that no function is so close to.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, symbolic
    >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 1))
    >>> model = KAN([1, 1], seed=0)
    >>> result = model.fit(x, np.exp(2 * x))
    >>> symbolic.identify_edges(model, x)[0, 0, 0].function.name
    'exp'
    """
    if not isinstance(model, KAN):
        raise TypeError(f"Argument `model` must be a KAN, not {shown(model)}.")
    if not isinstance(functions, Mapping | None) or not all(
        isinstance(f, Function) for f in (functions or {}).values()
    ):
        raise TypeError(f"Argument `functions` must be a mapping of names to Function, not {shown(functions)}.")
    functions = LIBRARY if functions is None else functions
    close = check_number("close", close, 0.0)
    samples = as_samples("x", x, model.n_in, model.dtype)
    if len(samples) == 0:
        raise ValueError(f"Argument `x` must have at least one row, not shape {samples.shape}.")
    with np.errstate(over="ignore", invalid="ignore"):  # an edge that is not finite is no function
        return _identified(model, samples, functions, close)


def _identified(model: KAN, x: FloatArray, functions: Mapping[str, Function], close: float) -> Edges:
    acts, found = model.activations(x), Edges()
    for depth, layer in enumerate(model.act_fun):
        low, high = np.quantile(np.asarray(acts[depth], np.float64), [0.01, 0.99], axis=0)
        at = np.linspace(low, high, _POINTS)
        values = np.asarray(edge_values(layer, at.astype(layer.dtype)), np.float64)
        strongest = float(values.std(axis=0).max())
        for i, o in np.ndindex(layer.n_in, layer.n_out):
            curve, spread = values[:, i, o], float(values[:, i, o].std())
            if spread > 1e-6 * strongest and high[i] > low[i]:
                sigma = np.full(_POINTS, close * spread)
                best = match_all(at[:, i], curve, sigma, functions)[:1]
                if best and best[0].misfit <= 1.0:
                    found[depth, i, o] = best[0]
    return found


def composed(
    model: KAN, x: FloatArray, functions: Mapping[str, Function], output: int = 0, most: int = 14
) -> Iterator[Node]:
    """Yield expressions made of the network edge by edge, each edge a function that comes close to it.

    In a network as narrow as the truth the edges are the truth's own functions; that goes for ``h(f(x) + g(y))``.
    """
    if sum(a * b for a, b in pairwise(model.width)) > _MOST_EDGES:
        return
    acts = model.activations(as_float_array("x", x, model.dtype))
    choices: dict[tuple[int, int, int], list[Match]] = {}
    for depth, layer in enumerate(model.act_fun):
        low, high = np.quantile(np.asarray(acts[depth], np.float64), [0.01, 0.99], axis=0)
        at = np.linspace(low, high, _POINTS)
        values = np.asarray(edge_values(layer, at.astype(layer.dtype)), np.float64)
        for i, o in np.ndindex(layer.n_in, layer.n_out):
            spread = float(values[:, i, o].std())
            if spread > 0.0 and high[i] > low[i]:
                sigma = np.full(_POINTS, 1e-3 * spread)
                matches = match_all(at[:, i], values[:, i, o], sigma, functions, hopeless=1e3)
                choices[depth, i, o] = [m for m in matches if np.isfinite(m.misfit)][:3]
    if not choices or not all(choices.values()):
        return
    for chosen in islice(_by_rank([len(c) for c in choices.values()]), most):
        picked = {edge: c[k] for (edge, c), k in zip(choices.items(), chosen, strict=True)}
        nodes: list[Node] = [Var(k) for k in range(model.n_in)]
        for depth, layer in enumerate(model.act_fun):
            nodes = [
                add(*(picked[depth, i, o].expression(nodes[i]) for i in range(layer.n_in) if (depth, i, o) in picked))
                for o in range(layer.n_out)
            ]
        yield nodes[output]


def _by_rank(sizes: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield choices of one of each, those of low ranks first."""
    for total in range(3):
        for ranks in product(*(range(min(size, total + 1)) for size in sizes)):
            if sum(ranks) == total:
                yield ranks
