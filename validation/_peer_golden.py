"""A peer beside the golden vectors: its basis, and its grids in the flavour that it declares.

    python validation/_peer_golden.py pykan

prints the largest error of each, in units of the vectors' bounds, as JSON. Vectors that a peer's policies exclude are
left out: other degrees and dtypes, repeated or uneven knots, points outside the domain or on an open right end.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from _peer_adapters import peer

from numkan.conformance import golden
from numkan.conformance.adapter import Layer


def dtypes(adapter: Any, vector: golden.Vector) -> list[str]:
    """Return the dtypes of a vector that an adapter claims, if it has the degree."""
    claimed = (adapter.dtype,) if isinstance(adapter.dtype, str) else adapter.dtype
    return [name for name in vector.dtypes if name in claimed and vector.settings["k"] in adapter.degrees]


def rows(numbers: golden.Numbers, kept: Any) -> golden.Numbers:
    """Return some rows of an array of numbers."""
    width = numbers.shape[1]
    places = [n * width + p for n in np.flatnonzero(kept) for p in range(width)]

    def pick(entries: Any) -> tuple[Any, ...]:
        return tuple(entries[place] for place in places)

    rounded = {name: pick(entries) for name, entries in numbers.rounded.items()}
    size, exact = pick(numbers.size), pick(numbers.exact)
    return replace(numbers, shape=(int(sum(kept)), width), exact=exact, rounded=rounded, size=size)


def basis_error(adapter: Any) -> float:
    """Compare the values of the functions."""
    worst = 0.0
    for vector in golden.load("basis"):
        k = vector.settings["k"]
        for dtype in dtypes(adapter, vector):
            knots, x = vector.inputs["knots"].array(dtype), vector.inputs["x"].array(dtype)
            gaps = np.diff(knots)
            first, last = knots[k], knots[-1 - k]
            ends = (knots[: k + 1] == first).all() and (knots[-1 - k :] == last).all()
            if getattr(adapter, "knots", "any") == "clamped" and not ends:
                continue
            if len(knots) - 2 * k - 1 < getattr(adapter, "min_intervals", 1):
                continue
            if (adapter.degenerate_knots != "limit" and not gaps.all()) or (
                getattr(adapter, "uniform_only", False) and np.ptp(gaps)
            ):
                continue
            kept = np.full(len(x), True) if adapter.extrapolation == "fade" else (first <= x) & (x <= last)
            if adapter.right_end == "open":
                kept &= x != last
            numbers = rows(vector.outputs["basis"], kept)
            worst = max(worst, golden.worst(numbers, adapter.basis(x[kept], knots, k), dtype))
    return worst


def grid_error(adapter: Any) -> float:
    """Compare the knots of grid updates in the adapter's own flavour."""
    worst = 0.0
    for vector in golden.load("grid_update"):
        if vector.settings["flavour"] != adapter.grid_update:
            continue
        for dtype in dtypes(adapter, vector):
            given = {name: numbers.array(dtype) for name, numbers in vector.inputs.items()}
            ones = np.ones(given["coef"].shape[:2], dtype)
            layer = Layer(given["grid"], given["coef"], ones, ones, ones, vector.settings["k"])
            new = adapter.update_grid(layer, given["x"], float(given["grid_eps"]))
            worst = max(worst, golden.worst(vector.outputs["grid"], new.grid, dtype))
    return worst


def main() -> int:
    adapter = peer(sys.argv[1])
    if not hasattr(adapter, "degrees"):
        adapter.degrees = tuple(range(6))
    found = {"golden basis": basis_error(adapter)}
    if hasattr(adapter, "update_grid"):
        found["golden grids"] = grid_error(adapter)
    print(json.dumps({name: str(error) for name, error in found.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
