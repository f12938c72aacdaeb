"""Semi-symbolic models: a network with some edges written as functions of the library, and the rest as splines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples
from numkan.export.c import c_header
from numkan.kan import KAN
from numkan.symbolic.edges import Edges
from numkan.symbolic.expression import Tape, Var
from numkan.symbolic.identify import Match
from numkan.symbolic.symbols import c_value, python_text, shortened, sympy_module, to_sympy

__all__ = ["SemiSymbolic", "semi_symbolic"]


@dataclass(frozen=True, slots=True, eq=False)
class SemiSymbolic:
    """A network with some edges written as functions, and the rest as splines.

    It is printed as one equation for each node, where ``s0_1_2(x1)`` is the spline from input 1 to output 2 of layer 0.
    A function differs from the edge of the network by the error of its identification, and outside of the grid, where
    it goes on as what it is.

    Attributes
    ----------
    names : tuple of str
        Of the inputs.
    edges : dict
        The edges that are functions, by (layer, input, output).

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, symbolic
    >>> x = np.random.default_rng(0).uniform(1, 3, (100, 1))
    >>> model = KAN([1, 1], seed=0)
    >>> result = model.fit(x, 2 * np.log(x[:, 0]))
    >>> known = symbolic.explain(model, x, 2 * np.log(x[:, 0]), names=["t"]).semi_symbolic()
    >>> known.edges[0, 0, 0].name, "log(" in str(known), "log(" in known.c()
    ('log', True, True)
    >>> known(x).shape, known.derivative(x).shape
    ((100,), (100, 1))
    """

    names: tuple[str, ...]
    edges: Edges
    _splines: tuple[KAN, ...]  # one network for each layer, without the edges that are functions
    _output: int

    def __call__(self, x: Any) -> FloatArray:
        """Return the values (n,) at samples x (n, n_in)."""
        nodes = as_samples("x", x, len(self.names), np.float64)
        for depth in range(len(self._splines)):
            nodes = self._layer(depth, nodes)
        return nodes[:, self._output]

    def _layer(self, depth: int, x: FloatArray) -> FloatArray:
        own = self._splines[depth]
        out = np.array(own(x.astype(own.dtype)), np.float64)
        for i, o, match in self._known(depth):
            out[:, o] += match(x[:, i])
        return out

    def _known(self, depth: int) -> Iterator[tuple[int, int, Match]]:
        for (layer, i, o), match in self.edges.items():
            if layer == depth:
                yield i, o, match

    def derivative(self, x: Any) -> FloatArray:
        """Return the derivatives by the inputs (n, n_in) at samples x (n, n_in)."""
        nodes = as_samples("x", x, len(self.names), np.float64)
        slopes: FloatArray | None = None
        for depth, own in enumerate(self._splines):
            local = np.array(own.derivative(nodes.astype(own.dtype)), np.float64)
            for i, o, match in self._known(depth):
                local[:, o, i] += Tape(match.expression()).gradient(nodes[:, i : i + 1])[:, 0]
            slopes = local if slopes is None else local @ slopes
            nodes = self._layer(depth, nodes)
        assert slopes is not None
        return slopes[:, self._output]

    # --- text -----------------------------------------------------------------------------------------------------

    def _inputs(self, depth: int) -> list[str]:
        return list(self.names) if depth == 0 else [f"h{depth}_{i}" for i in range(self._splines[depth].n_in)]

    def __str__(self) -> str:
        sp, lines = sympy_module(), []
        for depth, own in enumerate(self._splines):
            inputs = [sp.Symbol(name, real=True) for name in self._inputs(depth)]
            last = depth + 1 == len(self._splines)
            terms: list[list[Any]] = [[] for _ in range(own.n_out)]
            for i, o, match in self._known(depth):
                terms[o].append(shortened(to_sympy(match.expression(Var(i)), inputs), 6))
            for i, o in np.argwhere(own.act_fun[0].mask != 0.0):
                terms[o].append(sp.Function(f"s{depth}_{i}_{o}")(inputs[i]))
            shown = [("y", terms[self._output])] if last else zip(self._inputs(depth + 1), terms, strict=True)
            lines += [f"{name} = {python_text(sp.Add(*sums))}" for name, sums in shown]
        return "\n".join(lines)

    def c(self, name: str = "formula") -> str:
        """Return C99 code with a function ``double name(const double *x)``."""
        parts = []
        lines = [f"double {name}(const double *x)", "{"]
        source = "x"
        for depth, own in enumerate(self._splines):
            inner, target = f"{name}_splines{depth}", f"h{depth + 1}"
            lines += [f"    double {target}[{own.n_out}] = {{0}};"]
            if own.act_fun[0].mask.any():
                parts.append(c_header(own, inner))
                lines += _spline_lines(own, inner, source, target)
            inputs = [sympy_module().Symbol(f"{source}[{i}]", real=True) for i in range(own.n_in)]
            for i, o, match in self._known(depth):
                lines.append(f"    {target}[{o}] += {c_value(to_sympy(match.expression(Var(i)), inputs))};")
            source = target
        return "\n".join(["#include <math.h>", *parts, *lines, f"    return {source}[{self._output}];", "}", ""])


def _spline_lines(own: KAN, inner: str, source: str, target: str) -> list[str]:
    """Return the statements that fill a layer's nodes with its splines, in the precision of the network."""
    if own.dtype == np.float64:
        return [f"    {inner}({source}, {target});"]
    return [
        "    {",
        f"        float in[{own.n_in}], out[{own.n_out}];",
        f"        for (int i = 0; i < {own.n_in}; i++) in[i] = (float){source}[i];",
        f"        {inner}(in, out);",
        f"        for (int o = 0; o < {own.n_out}; o++) {target}[o] = out[o];",
        "    }",
    ]


def semi_symbolic(model: KAN, edges: Edges, names: tuple[str, ...], output: int = 0) -> SemiSymbolic:
    """Return one output of a network with these edges as functions."""
    last = model.depth - 1
    kept = {(d, i, o): match for (d, i, o), match in edges.items() if d < last or o == output}
    splines = [KAN._of([layer]) for layer in model.copy().act_fun]
    splines[last].act_fun[0].mask[:, np.arange(model.n_out) != output] = 0.0
    for d, i, o in kept:
        splines[d].act_fun[0].mask[i, o] = 0.0
    return SemiSymbolic(names, kept, tuple(splines), output)
