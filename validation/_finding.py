"""A finding: what the conformance kit finds in a peer, with lines that show it by the peer alone.

A finding names the laws that break by it. `conformance_peers.py` holds each failure against the findings of its peer,
runs the lines, and looks for the defect in the numbers that they print (`shown`). What a library documents is not held
against it. Numbers in sentences are of the versions in CONFORMANCE.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Entry = dict[str, Any]  # one result of the kit's report

_NUMBER = r"(?<![\w.])-?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)(?![\w.])"


@dataclass(frozen=True)
class Finding:
    """One cause, the laws that break by it, what a user sees, and lines that print numbers which show it."""

    title: str
    laws: tuple[str, ...]
    user: str
    snippet: str
    shown: Callable[[list[float]], bool]  # whether the printed numbers show it
    marks: Callable[[Entry], bool] = lambda entry: True  # whether an example has the mark of this cause
    held: bool = True  # against the library; False for documented behaviour, and for rounding without a promise
    case: tuple[str, dict[str, Any]] | None = None  # a law and a case of it, where other causes hide this one
    due: str = ""  # what is due instead, and what may cure it, for those who maintain the library

    def is_shown_by(self, printed: str) -> bool:
        """Return whether the numbers of a printout show the defect; a printout without numbers does not."""
        numbers = [
            float(word) for word in re.findall(r"(?<![\w.])-?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)(?![\w.])", printed)
        ]
        try:
            return bool(numbers) and self.shown(numbers)
        except IndexError:
            return False


def is_nan(number: float) -> bool:
    """Tell whether a number is NaN."""
    return number != number


def example(entry: Entry, name: str) -> Any:
    """Return a part of the smallest example."""
    return (entry["example"] or {}).get(name)


def coincident(entry: Entry) -> bool:
    """Tell whether knots coincide in a case of a grid update: by its samples, or by what the law makes of them."""
    from numkan.conformance.grids import interior_knots

    if entry["id"] in ("G-TIES", "G-CONST"):  # these laws tie the samples themselves
        return True
    x, G, grid_eps, flavour = (example(entry, name) for name in ("x", "G", "grid_eps", "flavour"))
    return bool((np.diff(interior_knots(x, G, grid_eps, flavour)) <= 0).any())


# --- what several peers have in common ---------------------------------------------------------------------------

AUTODIFF = (
    "Derivatives by automatic differentiation go through the recursion of the values, and lose digits where knots are "
    "very uneven: here the relative error is 3e-14 where 1e-16 is possible. On even grids nothing is lost, and hardly "
    "anybody would notice. The bounds are those that numkan sets itself."
)
DERIVATIVES = ("P-EXT", "P-D0", "P-DREC", "P-RELD")

STALE_PIVOTS = (
    "`torch.linalg.lstsq` on a CPU leaves pivots of earlier calls in place (pytorch issue 187411): columns are "
    "then not pivoted, and the rank is found too small as soon as an early column is (nearly) zero. "
)
