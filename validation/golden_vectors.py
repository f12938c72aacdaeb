"""Write numkan's golden vectors, from rational arithmetic only, or check that they are up to date.

The questions and their exact answers are those of `_golden_splines.py` and `_golden_layers.py`; here they become files,
in the format that `numkan/conformance/golden.py` describes. The files depend on nothing but these sources: no random
numbers, no floating point, no date.

    python validation/golden_vectors.py [--check]

With ``--check`` nothing is written, and the exit code is 1 where a file differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import _golden_layers as layers
import _golden_splines as splines
from _exact_layers import Sized
from _golden_splines import Question

import numkan
from numkan.conformance.golden import FORMAT, SCHEMA, SUBJECTS, nearest, seal

FOLDER = Path(numkan.__file__).parent / "conformance" / "data"

QUESTIONS: dict[str, Callable[[], Iterator[Question]]] = {
    "basis": splines.basis,
    "derivatives": splines.derivatives,
    "insertion": splines.insertion,
    "grid_update": splines.grid_update,
    "layer": layers.layer,
    "network": layers.network,
}

ABOUT = {
    "basis": "B_p(x_n), p = 0 ... G + k - 1, of degree k on the knots t_0 ... t_(G+2k): basis[n][p].",
    "derivatives": "The derivative of order nu of B_p at x_n, p = 0 ... G + k - 1: dbasis[n][p].",
    "insertion": "Knots and coefficients of the same spline after new_knots have been inserted, in the order given.",
    "grid_update": (
        "The padded grid that samples x[n][i] give each input i, with G intervals and the mix grid_eps (1 uniform, 0 "
        "adaptive), in the formula of the flavour; coef[i][o][p], where it is there, is the least-squares fit of the "
        "old splines at the samples on that grid. Flavours, for sorted x_0 <= ... <= x_(n-1): 'pykan': "
        "quantiles x_floor(n i/G), i < G, and x_(n-1); uniform from x_0 to x_(n-1); padding by the mean step of the "
        "blend. 'numkan': the same, but a constant input is first given 0.01 on both sides, and neighbours are moved "
        "apart to 1e-6 of the mean step, rightwards and then back. 'jaxkan': pykan's, with the uniform part longer by "
        "0.01 at both ends. 'efficient-kan': quantiles x_floor((n-1) i/G); uniform part as jaxkan's; padding by the "
        "step of the uniform part. 0.01 is 1/100."
    ),
    "layer": (
        "y_o = sum_i mask_io (scale_base_io b(x_i) + scale_sp_io sum_p coef_iop B_p(x_i)) for samples x[n][i]; "
        "dy_dx[n][o][i]; and the products of y_bar[n][o] with the derivatives of y by x and by the parameters. b is "
        "the identity or zero. Beyond the domain [a, b] of a grid: 'fade' the padded basis; 'clamp' the end value; "
        "'linear' the tangent at the end; 'continue' the end polynomial for 3/100 (b - a), then its tangent there."
    ),
    "network": (
        "Layers one after another, all of the same k and b; arrays of layer d have names that begin with d. "
        "loss is the mean of (y - target)^2 over all entries, *_grad are its derivatives."
    ),
}


def files() -> dict[str, bytes]:
    """Return the bytes of every file by its name."""
    return {f"{subject}.json": written(subject, QUESTIONS[subject]()) for subject in SUBJECTS}


def written(subject: str, questions: Iterator[Question]) -> bytes:
    """Lay out a file with a line for each array, so that changes can be read, and seal it."""
    head = {"format": FORMAT, "schema": SCHEMA, "subject": subject, "sha256": 64 * "0", "about": ABOUT[subject]}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    vectors = ",\n".join(_vector(question) for question in questions)
    return seal("\n".join(["{", *lines, '"vectors": [', vectors, "]", "}", ""]))


def _vector(question: Question) -> str:
    plain = {"id": question.id, "dtypes": question.dtypes, "settings": question.settings}
    inputs = {name: _given(array, question.dtypes) for name, array in question.inputs.items()}
    outputs = {name: _answer(array, units, question.dtypes) for name, (array, units) in question.outputs.items()}
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in plain.items()]
    for side, arrays in (("inputs", inputs), ("outputs", outputs)):
        listed = ",\n".join(f"  {json.dumps(name)}: {_compact(array)}" for name, array in arrays.items())
        parts.append(f"{json.dumps(side)}: {{\n{listed}}}")
    return "{" + ",\n ".join(parts) + "}"


def _compact(array: dict[str, Any]) -> str:
    return json.dumps(array, separators=(",", ":"))


def _given(array: Any, dtypes: tuple[str, ...]) -> dict[str, Any]:
    """Lay out an input: representable in every dtype, or the question is wrong."""
    shape, numbers = flat(array)
    for name in dtypes:
        assert all(Fraction(nearest(n, name)) == n for n in numbers), f"an input is no {name}"
    return {"shape": shape, "exact": list(map(str, numbers)), "float64": _hex(numbers, "float64")}


def _answer(array: Any, units: int, dtypes: tuple[str, ...]) -> dict[str, Any]:
    shape, pairs = flat(array)
    values = [pair.value for pair in pairs]
    answer = {"shape": shape, "exact": list(map(str, values)), **{name: _hex(values, name) for name in dtypes}}
    if any(pair.size != abs(pair.value) for pair in pairs):
        answer["size"] = _hex([pair.size for pair in pairs], "float64")
    return {**answer, "units": units}


def _hex(numbers: list[Fraction], dtype: str) -> list[str]:
    return [nearest(n, dtype).hex() for n in numbers]


def flat(array: Any) -> tuple[list[int], list[Any]]:
    """Return the shape of nested lists, and their entries in row-major order."""
    if isinstance(array, Sized) or not isinstance(array, list):
        return [], [array]
    inner = [flat(entry) for entry in array]
    assert all(shape == inner[0][0] for shape, _ in inner), "rows of unequal shape"
    return [len(array), *inner[0][0]], [number for _, numbers in inner for number in numbers]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say which files differ")
    options = parser.parse_args()
    stale = []
    for name, data in files().items():
        path = FOLDER / name
        if not path.exists() or path.read_bytes() != data:
            stale.append(name)
        if not options.check:
            path.write_bytes(data)
        print(f"{name:18} {len(data):8} bytes{'  differs' if name in stale else ''}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
