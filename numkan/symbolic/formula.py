"""The result of `find` and `explain`: a formula that can be printed, evaluated and exported, with its errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray, as_samples
from numkan.export.c import c_header
from numkan.symbolic.expression import Node, Tape
from numkan.symbolic.identify import Match
from numkan.symbolic.semi import SemiSymbolic, semi_symbolic
from numkan.symbolic.symbols import c_text, python_text, shortened, sympy_module

if TYPE_CHECKING:
    from numkan.symbolic.engine import Fitted

__all__ = ["Alternative", "Constant", "Errors", "Formula", "Part"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A number of a formula: its value, its exact form ("" if it has none), and its standard error.

    The error of a snapped number is the one before it was snapped, or 0 if it never was a free number.
    """

    value: float
    exact: str
    error: float

    @property
    def snapped(self) -> bool:
        """Whether it is known exactly."""
        return bool(self.exact)

    def __str__(self) -> str:
        return self.exact if self.exact else f"{self.value:.6g} +- {self.error:.1g}"


@dataclass(frozen=True, slots=True)
class Errors:
    """Root mean squares: of the formula on training and held-out samples, and of the network on the held-out ones.

    With `sample_weight`, of weighted residuals: squared residuals times weights whose mean is 1.
    """

    train: float
    held_out: float
    network: float


@dataclass(frozen=True, slots=True)
class Part:
    """A function of one variable that was identified on the way.

    `error` is in units of the network's error; `runners_up` are other functions with their errors.
    """

    chosen: str
    error: float
    runners_up: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another formula: its length in bits, its root mean square on the training samples, and its text."""

    bits: float
    rms: float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    r"""A formula for one output.

    Attributes
    ----------
    status : str
        ``"exact"``: the residuals on held-out samples are rounding (constants may stay numbers). ``"within noise"``:
        they are only noise. ``"approximate"``: the formula is close, but residuals are more than noise. ``"none"``: no
        formula was found, and the network itself is used in its place.
    error : Errors
    constants : tuple of Constant
    parts : tuple of Part
    alternatives : tuple of Alternative
        No other one is both shorter and closer.
    trace : tuple of str
        Every test with its figures.
    edges : dict
        The edges of the network that are functions of the library, by (layer, input, output), see
        :func:`numkan.symbolic.identify_edges`.
    stopped : str
        The reason why the search ended early, in a sentence; empty if it did not.
    notes : tuple of str
        Steps that a caller may not expect, such as a sample drawn from many rows.
    names : tuple of str
        Of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, symbolic
    >>> x = np.random.default_rng(0).uniform(1, 3, (100, 1))
    >>> model = KAN([1, 1], seed=0)
    >>> result = model.fit(x, 2 * np.log(x[:, 0]))
    >>> formula = symbolic.explain(model, x, 2 * np.log(x[:, 0]), names=["t"])
    >>> str(formula), formula.status, formula.latex()
    ('2*log(t)', 'exact', '2 \\log{\\left(t \\right)}')
    >>> formula([[1.0]]), formula.derivative([[2.0]])
    (array([0.]), array([[1.]]))
    """

    status: str
    names: tuple[str, ...]
    error: Errors
    constants: tuple[Constant, ...] = ()
    parts: tuple[Part, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    trace: tuple[str, ...] = ()
    stopped: str = ""
    notes: tuple[str, ...] = ()
    edges: dict[tuple[int, int, int], Match] = field(default_factory=dict, repr=False)
    _expression: Any = None
    _symbols: tuple[Any, ...] = ()
    _node: Node | None = None
    _network: Fitted | None = field(default=None, repr=False)

    def __call__(self, x: Any) -> FloatArray:
        """Return the values (n,) at samples x (n, n_in); those of the network if there is no formula."""
        x = as_samples("x", x, len(self.names), np.float64)
        if self._node is not None:
            return Tape(self._node).value(x)
        assert self._network is not None
        return self._network(x)

    def derivative(self, x: Any) -> FloatArray:
        """Return the derivatives by the inputs (n, n_in) at samples x (n, n_in), of the network without a formula."""
        x = as_samples("x", x, len(self.names), np.float64)
        if self._node is not None:
            return Tape(self._node).gradient(x)
        assert self._network is not None
        return self._network.slopes(x)

    def semi_symbolic(self) -> SemiSymbolic:
        """Return the network with those edges as functions that are known (`edges`), and the rest as splines.

        This is what is known where `status` is ``"none"``.

        Raises
        ------
        ValueError
            If there is no network, because the targets are constant.
        """
        if self._network is None:
            raise ValueError("A formula of constant targets has no network, and no semi-symbolic model.")
        return semi_symbolic(self._network.model, self.edges, self.names, self._network.output)

    def __str__(self) -> str:
        if self._expression is None:
            return f"network({', '.join(self.names)})"
        return python_text(self._expression)

    def sympy(self) -> Any:
        """Return the expression in sympy; constants that were snapped are exact.

        Raises
        ------
        ValueError
            If there is no formula.
        """
        if self._expression is None:
            raise ValueError(f'A formula of status "{self.status}" has no expression, only a network.')
        return self._expression

    def latex(self, digits: int = 6) -> str:
        """Return the formula in LaTeX; numbers that are not exact have `digits` digits."""
        return str(sympy_module().latex(shortened(self.sympy(), digits), full_prec=False))

    def c(self, name: str = "formula") -> str:
        """Return a C99 function ``double name(const double *x)``; without a formula it computes the network.

        It calls a user's own function by its name, which must then be there in C.
        """
        if self._expression is not None:
            return c_text(self._expression, self._symbols, name)
        assert self._network is not None
        return _network_in_c(self._network, name)


def _network_in_c(network: Fitted, name: str) -> str:
    """Return the network as a C99 function of one output."""
    model, inner = network.model, f"{name}_network"
    real = "float" if model.dtype == np.float32 else "double"
    return (
        f"{c_header(model, inner)}\ndouble {name}(const double *x)\n{{\n"
        f"    {real} in[{model.n_in}], out[{model.n_out}];\n"
        f"    for (int i = 0; i < {model.n_in}; i++) in[i] = ({real})x[i];\n"
        f"    {inner}(in, out);\n    return out[{network.output}];\n}}\n"
    )
