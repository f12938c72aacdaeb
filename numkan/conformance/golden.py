"""Golden vectors: exact values and their roundings, as files that any language can read.

Six files in the folder ``data`` beside this module, one a subject: ``basis``, ``derivatives``, ``insertion``,
``grid_update``, ``layer``, ``network``. They were computed in rational arithmetic; nothing in them has been rounded
more than once. A C++ or Julia programmer needs this page, a JSON parser and SHA-256; Python has `load` and `worst`.

The format, schema 1
--------------------
A file is one JSON object, ASCII, with the entries

``format``
    ``"numkan golden vectors"``.
``schema``
    1. A reader must refuse a number that it does not know.
``subject``
    The file's name without ``.json``.
``sha256``
    64 lower-case hexadecimal digits: SHA-256 of all bytes of the file, with these 64 digits replaced by 64 zeros.
``about``
    A description of the inputs and outputs of this subject, in words.
``vectors``
    A list of objects, each with ``id``, ``dtypes``, ``settings``, ``inputs`` and ``outputs``.

``settings`` holds scalars and texts (``k``, ``nu``, ``base_fun``, ``extrapolate``, ``flavour``, ...). ``inputs`` and
``outputs`` map names to arrays. An array is an object with

``shape``
    List of lengths; entries follow in row-major order (the last index runs fastest). ``[]`` is a single number.
``exact``
    Strings, ``"n"`` or ``"n/d"``: integers in decimal notation, d > 1, in lowest terms.
``float64``, ``float32``
    The exact number rounded once to the nearest, ties to even, as C's ``%a`` and Python's ``float.hex`` write it.
``size``, ``units``
    Outputs only. With u half the spacing of 1 (2^-53, 2^-24) and tiny the smallest normal number of the dtype, a
    result r is right if

        |r - exact| <= units * (u * size + tiny).

    ``size``, written like ``float64``, is the sum of the magnitudes of the terms that the number is made of; where it
    is absent, it is |exact|. ``units`` 0 asks for the rounded number itself.

Inputs are representable in each of the vector's ``dtypes``, so that they are read without any rounding, and have no
``float32`` of their own. Outputs have the dtypes of their vector.

The conventions are numkan's, which are those of the B-spline literature: a half-open span, except for the
right end of the domain [t_k, t_{G+k}], which belongs to the last non-empty span inside; 0/0 := 0 for each term; the
plain basis on the whole padded knot vector, unless ``extrapolate`` says otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from numkan._check import FloatArray, check_dtype, check_option

__all__ = ["FORMAT", "SCHEMA", "SUBJECTS", "Numbers", "Vector", "load", "nearest", "parse", "seal", "worst"]

FORMAT = "numkan golden vectors"
SCHEMA = 1
SUBJECTS = ("basis", "derivatives", "insertion", "grid_update", "layer", "network")

_SEAL = re.compile(rb'"sha256": "([0-9a-f]{64})"')
_BLANK = b'"sha256": "' + 64 * b"0" + b'"'

#: Bits of the significand, and the exponent of the least normal number.
_PRECISION = {"float64": (53, -1022), "float32": (24, -126)}


@dataclass(frozen=True)
class Numbers:
    """An array of exact numbers, with their roundings and the bound on an error in them."""

    shape: tuple[int, ...]
    exact: tuple[Fraction, ...]
    rounded: Mapping[str, tuple[float, ...]]  # dtype -> numbers
    size: tuple[float, ...]
    units: int

    def array(self, dtype: DTypeLike) -> FloatArray:
        """Return the correctly rounded numbers as an array of `dtype`."""
        kind = check_dtype(dtype)
        if kind.name not in self.rounded:
            raise ValueError(f"Argument `dtype` must be one of the vector's, not {kind.name}.")
        return np.array(self.rounded[kind.name], kind).reshape(self.shape)


@dataclass(frozen=True)
class Vector:
    """One question with its answer."""

    id: str
    dtypes: tuple[str, ...]
    settings: Mapping[str, Any]
    inputs: Mapping[str, Numbers]
    outputs: Mapping[str, Numbers]


def load(subject: str) -> tuple[Vector, ...]:
    """Return the golden vectors of one subject.

    Parameters
    ----------
    subject : str
        One of `SUBJECTS`.

    Raises
    ------
    ValueError
        If there is no such subject, or the file has been changed since it was written.

    Examples
    --------
    >>> vector = load("basis")[0]
    >>> vector.id, vector.settings["k"], vector.inputs["x"].array("float64")[:3]
    ('integers k=0', 0, array([-1.        ,  0.        ,  0.14285715]))
    """
    name = check_option("subject", subject, SUBJECTS) + ".json"
    return parse((resources.files("numkan.conformance") / "data" / name).read_bytes(), name)


def parse(data: bytes, name: str) -> tuple[Vector, ...]:
    """Return the vectors in the bytes of a file called `name`; raise an error if it is damaged."""
    seals = _SEAL.findall(data)
    if len(seals) != 1:
        raise ValueError(f"File `{name}` must have one SHA-256 checksum, not {len(seals)}.")
    found = hashlib.sha256(_SEAL.sub(_BLANK, data)).hexdigest()
    if found != seals[0].decode():
        raise ValueError(
            f"File `{name}` must have the SHA-256 checksum {seals[0].decode()} that it states, not {found}."
        )
    content = json.loads(data)
    if content["format"] != FORMAT or content["schema"] != SCHEMA:
        raise ValueError(f"File `{name}` must have schema {SCHEMA}, not {content['schema']!r}.")
    return tuple(_vector(entry) for entry in content["vectors"])


def seal(text: str) -> bytes:
    """Return the bytes of a file whose checksum is still 64 zeros, with the right one."""
    data = text.encode("ascii")
    digest = hashlib.sha256(data).hexdigest().encode()
    return data.replace(_BLANK, _BLANK.replace(64 * b"0", digest), 1)


def _vector(entry: dict[str, Any]) -> Vector:
    dtypes = tuple(entry["dtypes"])
    inputs, outputs = (
        {name: _numbers(array, dtypes) for name, array in entry[side].items()} for side in ("inputs", "outputs")
    )
    return Vector(entry["id"], dtypes, entry["settings"], inputs, outputs)


def _numbers(array: dict[str, Any], dtypes: tuple[str, ...]) -> Numbers:
    rounded = {name: tuple(map(float.fromhex, array.get(name, array["float64"]))) for name in dtypes}
    exact = tuple(map(Fraction, array["exact"]))
    size = tuple(map(float.fromhex, array["size"])) if "size" in array else tuple(float(abs(n)) for n in exact)
    return Numbers(tuple(array["shape"]), exact, rounded, size, array.get("units", 0))


def nearest(value: Fraction, dtype: DTypeLike) -> float:
    """Return the number of `dtype` that is nearest to an exact one, ties to even: one rounding, subnormals included.

    Rounding to float64 first and to float32 then may go wrong: the first may land on a tie of the second.

    Examples
    --------
    >>> just_above_a_tie = 1 + Fraction(1, 2**24) + Fraction(1, 2**60)
    >>> nearest(just_above_a_tie, "float32") - 1, float(np.float32(float(just_above_a_tie))) - 1
    (1.1920928955078125e-07, 0.0)
    """
    bits, least = _PRECISION[check_dtype(dtype).name]
    magnitude = abs(value)
    if not magnitude:
        return 0.0
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:  # now 2^exponent <= magnitude < 2^(exponent + 1)
        exponent -= 1
    spacing = Fraction(2) ** (max(exponent, least) - bits + 1)
    whole = round(value / spacing)  # of a fraction: exact, ties to even
    limit = Fraction(2) ** (1 - least + 1)
    if abs(whole * spacing) >= limit:
        return float("inf") if value > 0 else float("-inf")
    return float(whole * spacing)  # representable: nothing is rounded here


def worst(numbers: Numbers, got: ArrayLike, dtype: DTypeLike) -> float:
    """Return the largest error of `got` in units of its bound: at most 1 if it is right, infinity for NaN.

    Parameters
    ----------
    numbers : Numbers
        An output of a vector.
    got : array_like
        The result of an implementation, in the shape of `numbers`.
    dtype : float32 or float64
        The dtype that it claims to compute in.

    Examples
    --------
    >>> vector = load("basis")[0]
    >>> worst(vector.outputs["basis"], vector.outputs["basis"].array("float32"), "float32")
    0.0
    """
    kind = check_dtype(dtype)
    values = np.asarray(got, dtype=np.float64)
    if values.shape != numbers.shape:
        raise ValueError(f"Argument `got` must have shape {numbers.shape}, not {values.shape}.")
    bits, least = _PRECISION[kind.name]
    unit, tiny = Fraction(1, 2**bits), Fraction(2) ** least
    largest = 0.0
    for value, exact, rounded, size in zip(
        values.ravel().tolist(), numbers.exact, numbers.rounded[kind.name], numbers.size, strict=True
    ):
        if value == rounded:
            continue
        if not np.isfinite(value) or not numbers.units:
            return float("inf")
        bound = numbers.units * (unit * Fraction(size) + tiny)
        largest = max(largest, float(abs(Fraction(value) - exact) / bound))
    return largest
