"""What the kit finds in scipy's BSpline."""

from __future__ import annotations

from _finding import Entry, Finding, example


def double_end(entry: Entry) -> bool:
    """Tell whether the last two knots of the domain are one; P-INS makes that itself, by an insertion at the end."""
    knots, k = example(entry, "knots"), example(entry, "k")
    return entry["id"] == "P-INS" or knots[-2 - k] == knots[-1 - k]


SCIPY = (
    Finding(
        "At a right end that is a double knot, with more knots after it, a curve drops to 0",
        (
            "P-PoU",
            "P-SUP",
            "P-RC",
            "P-EXT",
            "P-ORC",
            "P-REL",
            "P-ORD",
            "P-K0",
            "P-DCS",
            "P-DHI",
            "P-RELD",
            "P-MAR",
            "P-POLY",
            "P-CRV",
            "P-HULL",
            "P-INS",
            "P-GRV",
            "P-DREC",
            "P-D0",
            "P-SMO",
            "P-INT",
            "P-VD",
            "P-MIR",
        ),
        "Where t[n] = t[n - 1] < t[n + k], the last interval of the base interval is empty; scipy looks for the point "
        "there, and finds nothing. At degree 0, where no knots come after it, the function without width is 1 there, "
        "and the last one with some is 0. The usual clamped knots of other degrees are not concerned.",
        """
from scipy.interpolate import BSpline
curve = BSpline([-1.0, 0, 1, 1, 2], [1.0, 1, 1], 1)
print(curve(0.999), curve(1.0), curve(1.001))
""",
        lambda n: abs(n[0] - 1) < 1e-9 and n[1] == 0,
        marks=double_end,
    ),
    Finding(
        "Fits that the points do not determine are not refused",
        ("G-RANK", "G-DUP", "G-WT", "G-DRV"),
        "`make_lsq_spline` documents that points and knots must satisfy the Schoenberg-Whitney conditions, and does "
        "not check it with its default method: where they do not, it returns NaN, or numbers that mean nothing.",
        """
import numpy as np; from scipy.interpolate import make_lsq_spline
knots = [-0.5, -0.5, 0.0, 0.5, 0.5]
print(make_lsq_spline(np.array([-0.3, -0.2, -0.1]), np.ones(3), knots, 1).c.tolist())
""",
        lambda n: len(n) == 3,
        held=False,
    ),
)
