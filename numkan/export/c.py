"""A model as one C99 header."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import numpy as np

from numkan._check import FloatArray
from numkan._npz import check_path
from numkan._replace_file import replace_file
from numkan._shown import shown
from numkan.base import BASE_FUNCTIONS
from numkan.export.tables import LayerTables, network_tables
from numkan.model.network import Network

__all__ = ["to_c"]

#: Points with their predictions, in the comment at the head of the file.
_SHOWN = 4


def to_c(self: Network, path: str | os.PathLike[str], *, name: str = "predict") -> None:
    r"""Write the model as a C99 header with one function, ``void predict(const double *x, double *y)``.

    It takes `n_in` numbers and fills `n_out`, in double, or in float where the model is float32. The header needs
    ``math.h`` alone, allocates nothing and keeps no state, so threads may call it at once. Each edge is a table of
    polynomials, on its grid and by its policy outside; with the policy ``"raise"`` a point outside gives NaN. The
    function agrees with the model up to a few units in the last place of the sum over a node's inputs. The head of the
    file has points to test it with.

    Parameters
    ----------
    path : str or path
        Where the header is written, as a whole or not at all. It takes about 20 bytes for each of the ``k + 1`` powers
        on each of the ``G + 4`` pieces of each edge.
    name : str
        Name of the function. Names of two headers that one file includes must differ.

    Raises
    ------
    ValueError
        If `name` is no C identifier, or the base function is a user's own.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from numkan import KAN
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     KAN([2, 3, 1], seed=0).to_c(f"{folder}/model.h")
    ...     text = pathlib.Path(folder, "model.h").read_text()
    >>> "static void predict(const double *x, double *y)" in text
    True
    """
    text = c_header(self, name)
    replace_file(check_path(path), lambda file: file.write(text.encode("ascii")))


def c_header(model: Network, name: str) -> str:
    """Return the text that :func:`to_c` writes."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"Argument `name` must be a C identifier, not {shown(name)}.")
    return "\n".join(_lines(model, network_tables(model), name)) + "\n"


def _lines(model: Network, tables: list[LayerTables], name: str) -> Iterator[str]:
    real = "float" if model.dtype == np.float32 else "double"
    yield from _head(model, name, real)
    for number, layer in enumerate(tables):
        for part in ("breaks", "centre", "inverse", "base", "poly"):
            yield _array(f"{name}_{part}{number}", real, getattr(layer, part))
    yield from _PIECE.format(name=name, real=real, limit="FLT_MAX" if real == "float" else "DBL_MAX").splitlines()
    for number, layer in enumerate(tables):
        yield from _layer(name, number, layer, real)
    yield from _network(model, name, real)
    yield f"#endif /* {name.upper()}_H */"


def _head(model: Network, name: str, real: str) -> Iterator[str]:
    yield f"/* {model!r}, written by numkan."
    yield ""
    yield f"   {name}(x, y): x[{model.n_in}] -> y[{model.n_out}]. Some points:"
    low, high = (np.array([layer[end] for layer in model.act_fun[0].grid]) for end in (0, -1))
    for share in np.linspace(0.0, 1.0, _SHOWN):
        x = (low + share * (high - low)).astype(model.dtype)[None]
        y = _prediction(model, x)
        yield f"   x = {_numbers(x)}"
        yield f"   y = {_numbers(y)}"
    yield "*/"
    yield f"#ifndef {name.upper()}_H"
    yield f"#define {name.upper()}_H"
    yield "#include <float.h>"
    yield "#include <math.h>"


def _prediction(model: Network, x: FloatArray) -> FloatArray:
    try:
        return model(x)
    except ValueError:  # the policy "raise"
        return np.full((1, model.n_out), np.nan, model.dtype)


def _numbers(values: FloatArray) -> str:
    return ", ".join(repr(float(value)) for value in values.ravel())


def _array(name: str, real: str, values: FloatArray) -> str:
    suffix = "f" if real == "float" else ""
    entries = [_constant(value, suffix) for value in values.ravel().tolist()] or ["0"]
    rows = (", ".join(entries[start : start + 6]) for start in range(0, len(entries), 6))
    return f"static const {real} {name}[{len(entries)}] = {{\n" + ",\n".join(rows) + "};"


def _constant(value: float, suffix: str) -> str:
    """Return the number in C, with enough decimals to give the same bits."""
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value!r}{suffix}"


#: The piece that holds x, and the local variable on it.
_PIECE = """
/* The number of breaks that x has reached, by halving. NaN reaches none. */
static int {name}_piece({real} x, const {real} *breaks, int count) {{
    int low = 0;
    while (count > 0) {{
        int half = count / 2;
        if (x >= breaks[low + half]) {{
            low += half + 1;
            count -= half + 1;
        }} else {{
            count = half;
        }}
    }}
    return low;
}}

static {real} {name}_local({real} x, {real} centre, {real} inverse) {{
    if (x > {limit}) x = {limit};
    if (x < -{limit}) x = -{limit};
    return (x - centre) * inverse;
}}
"""

_LAYER = """
static void {name}_layer{number}(const {real} *x, {real} *y) {{
    for (int o = 0; o < {n_out}; o++) y[o] = 0;
    for (int i = 0; i < {n_in}; i++) {{
        const int piece = i * {n_pieces} + {name}_piece(x[i], {name}_breaks{number} + i * {n_breaks}, {n_breaks});
        const {real} w = {name}_local(x[i], {name}_centre{number}[piece], {name}_inverse{number}[piece]);
        const {real} b = {base};
        const {real} *a = {name}_poly{number} + piece * {size};
        for (int o = 0; o < {n_out}; o++, a += {powers}) {{
            {real} value = a[0];
            for (int m = 1; m < {powers}; m++) value = value * w + a[m];
            if (w != w) value = w;
            y[o] += value + {name}_base{number}[i * {n_out} + o] * b;
        }}
    }}
}}
"""

#: The x at which the exponential of -x overflows, rounded a little.
_CUT = {"float": "-87", "double": "-708"}


def _layer(name: str, number: int, layer: LayerTables, real: str) -> list[str]:
    n_in, n_pieces, n_out, powers = layer.poly.shape
    return _LAYER.format(
        name=name,
        number=number,
        real=real,
        n_in=n_in,
        n_out=n_out,
        n_pieces=n_pieces,
        n_breaks=n_pieces - 1,
        powers=powers,
        size=n_out * powers,
        base=BASE_FUNCTIONS[layer.base_fun].c.format(x="x[i]", f="f" if real == "float" else "", cut=_CUT[real]),
    ).splitlines()


def _network(model: Network, name: str, real: str) -> Iterator[str]:
    yield ""
    yield f"static void {name}(const {real} *x, {real} *y) {{"
    last = model.depth - 1
    for number in range(last):
        yield f"    {real} nodes{number}[{model.act_fun[number].n_out}];"
    for number in range(model.depth):
        source = "x" if number == 0 else f"nodes{number - 1}"
        target = "y" if number == last else f"nodes{number}"
        yield f"    {name}_layer{number}({source}, {target});"
    yield "}"
