"""The description of an expression and of the samples by it, in bits: symbols, numbers, residuals.

A free number costs as many bits as the data give of it: two numbers that nearly cancel are known to many digits, though
the error of each is large. A known one costs what its text holds. The Bayesian criterion of the search, half of log2 n
for each number, is the least.
"""

from __future__ import annotations

import re

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Const, Node, Tape, bits, walk
from numkan.symbolic.refine import root_of

__all__ = ["description"]

_WORD = 3.0  # bits of a name in the text of a known number


def description(
    node: Node, x: FloatArray, y: FloatArray, weight: FloatArray | None = None, floor: float = 0.0
) -> float:
    """Return the bits of an expression and of what it leaves of the samples; `floor` is an rms that counts as none.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic.description import description
    >>> from numkan.symbolic.expression import Const, Var, mul, number
    >>> x = np.linspace(1, 2, 100)[:, None]
    >>> y = 2 * x[:, 0] + 1e-3 * np.sin(99 * x[:, 0])
    >>> description(mul(number(2), Var(0)), x, y) < description(mul(Const(2.0), Var(0)), x, y)
    True
    """
    root = 1.0 if weight is None else root_of(weight)
    residual = (Tape(node).value(x) - y) * root
    rms = max(float(np.sqrt(np.mean(np.square(residual)))), floor, 1e-300)
    numbers = {id(part): part for part in walk(node) if isinstance(part, Const)}.values()
    symbols = bits(node) - sum(bits(part) for part in walk(node) if isinstance(part, Const))
    known = sum(_text_bits(part.exact) for part in numbers if part.exact)
    return symbols + known + _free_bits(node, x, rms, root) + len(y) * float(np.log2(rms))


def _text_bits(text: str) -> float:
    """Return the bits of a known number: those of its integers and names."""
    integers = [float(digits) for digits in re.findall(r"\d+\.?\d*(?:e[+-]?\d+)?", text)]
    return 2.0 + sum(1.3 * float(np.log2(1.0 + i)) for i in integers) + _WORD * len(re.findall(r"[a-zA-Z]{2,}|E", text))


def _free_bits(node: Node, x: FloatArray, rms: float, root: FloatArray | float) -> float:
    """Return the bits of the free numbers, relative to their sizes: of the volume of those the data allow."""
    tape = Tape(node)
    if not len(tape.free):
        return 0.0
    jac = tape.jacobian(x, tape.theta)[1] * tape.theta * np.reshape(root, (-1, 1)) / rms
    if not np.isfinite(jac).all():
        return np.inf
    known = np.linalg.svd(np.linalg.qr(jac, mode="r"), compute_uv=False)  # in units of its error
    least = 0.5 * float(np.log2(len(x)))
    return float(np.maximum(np.log2(np.maximum(known, 1e-300)), least).sum())
