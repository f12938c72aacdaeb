"""What the kit finds in libraries of curves and surfaces: geomdl, bspy, splinepy."""

from __future__ import annotations

from _finding import Entry, Finding, is_nan
from _findings_scipy import SCIPY, double_end

ALL_OF_VALUES = (*SCIPY[0].laws, "P-POS", "P-SUP", "P-DTYPE", "P-POW2", "P-TP", "P-LIN", "P-PURE", "P-NAN", "P-NANC")
EMPTY = (*ALL_OF_VALUES, "P-AFF", "P-SHIFT", "P-DREC", "P-DFD", "P-D0", "P-MIR", "P-INT")


def says(*words: str) -> object:
    """Return a mark: one of some words is in the message."""
    return lambda entry: any(word in entry["message"] for word in words)


def at_nan(entry: Entry) -> bool:
    """Tell whether a law breaks at NaN."""
    return entry["message"].rstrip(".").endswith("at NaN") or "NaN" in entry["message"]


GEOMDL = (
    Finding(
        "At a right end that is a double knot, with more knots after it, there is a division by zero",
        ALL_OF_VALUES,
        "Where t[n] = t[n - 1] < t[n + p], `find_span_linear` returns an empty span for u = t[n], and "
        "`basis_function` divides by its length. Clamped knot vectors are not concerned.",
        """
from geomdl import helpers
t = [-1.0, 0, 1, 1, 2]; spans = helpers.find_spans(1, t, 3, [1.0])
try: print(helpers.basis_functions(1, t, spans, [1.0]))
except ZeroDivisionError as error: print(error, "in span", spans[0], "of length", t[spans[0] + 1] - t[spans[0]])
""",
        lambda n: n[-1] == 0,
        marks=says("ZeroDivisionError"),
        due="The span is the last one of the domain that is not empty: [0, 1], where the values are 0 and 1.",
    ),
    Finding(
        "NaN is NaN in the functions of one span only",
        ("P-NAN",),
        "The helper functions put NaN into some span, whose functions are NaN and all others 0. Curves refuse NaN.",
        """
from geomdl import helpers
print(helpers.find_spans(2, [0, 0, 0, 1, 2, 2, 2], 4, [float("nan")]))
""",
        lambda n: bool(n),
        marks=at_nan,
        held=False,
    ),
)

BSPY = (
    Finding(
        "At a right end that is a double knot, with more knots after it, a spline is NaN",
        EMPTY,
        "Where t[n] = t[n - 1] < t[n + k], `bspline_values` divides by the length of the empty last interval. Clamped "
        "knots are not concerned.",
        """
import numpy as np; from bspy import Spline
spline = Spline(1, 1, (2,), (3,), (np.array([-1.0, 0, 1, 1, 2]),), np.ones((1, 3)))
print(spline.evaluate([0.999]).tolist(), spline.evaluate([1.0]).tolist())
""",
        lambda n: abs(n[0] - 1) < 1e-9 and is_nan(n[1]),
        marks=lambda entry: "Improper knot" not in entry["message"] and double_end(entry),
        due="1; the interval is the last one of the domain that is not empty.",
    ),
    Finding(
        "At degree 0, and in the derivative of order `degree`, NaN becomes a number",
        ("P-NAN", "P-NANC"),
        "A NaN parameter passes the check of the domain, is put behind all knots, and has the value of the last "
        "interval. At higher degrees it gives NaN.",
        """
import numpy as np; from bspy import Spline
print(Spline(1, 1, (1,), (1,), (np.array([0.0, 1.0]),), np.ones((1, 1))).evaluate([np.nan]).tolist())
""",
        lambda n: n == [1],
        marks=lambda entry: "Improper knot" not in entry["message"] and at_nan(entry),
        due="NaN, or the error that other parameters outside the domain get (`not (a <= u <= b)`).",
    ),
    Finding(
        "A function without a support is refused",
        EMPTY,
        "A knot that stands more often than the order is an error when the spline is made; a function on it alone "
        "would be 0 everywhere. That is a choice.",
        """
import numpy as np; from bspy import Spline
try: Spline(1, 1, (1,), (2,), (np.array([0.0, 1, 1]),), np.ones((1, 2)))
except ValueError as error: print(error, 1)
""",
        lambda n: bool(n),
        marks=says("Improper knot"),
        held=False,
    ),
    Finding(
        "Small values near the end of an interval lose their digits",
        ("P-REL", "P-RELD", "P-MAR", "P-POLY", "P-SMO", "P-SUP", "P-D0"),
        "Shares are computed as alpha and 1 - alpha, so that a value of 6e-33 is 0. In absolute terms all is right.",
        """
import numpy as np; from bspy import Spline
spline = Spline(1, 1, (3,), (3,), (np.array([-2.0, -1, 0, 1, 2, 3]),), np.array([[1.0, 0, 0]]))
print(spline.evaluate([1 - 2.0**-53]).tolist(), "where", 2.0**-106 / 2, "is due")
""",
        lambda n: n[0] == 0 < n[1],
        held=False,
    ),
)

SPLINEPY = (
    Finding(
        "At degree 0 NaN is 0 in all functions",
        ("P-NAN", "P-NANC"),
        "A NaN query passes the check of bounds, and has the value 0 at degree 0; at higher degrees it gives NaN.",
        """
import numpy as np, splinepy
spline = splinepy.BSpline(degrees=[0], knot_vectors=[[0.0, 1.0]], control_points=np.ones((1, 1)))
print(spline.evaluate([[np.nan]]).tolist())
""",
        lambda n: n == [0],
        marks=at_nan,
        due="NaN, or a ValueError, as for other queries that are not in the bounds.",
    ),
    Finding(
        "A NaN among the queries switches off the check of bounds, and memory is read beyond the arrays",
        ("P-EXT", "P-NAN", "P-NANC"),
        "Queries outside the parametric bounds are a ValueError; beside a NaN they are not, since the minimum and the "
        "maximum of the queries are NaN. What is evaluated then is what lies in memory, and a process may crash.",
        """
import numpy as np, splinepy
spline = splinepy.BSpline(degrees=[1], knot_vectors=[[0.0, 0, 1, 1]], control_points=np.ones((2, 1)))
for queries in ([[1.0], [1.5]], [[1.0], [1.5], [np.nan]]):
    try: print(len(spline.evaluate(queries)), "values")
    except ValueError as error: print("refused: 0 values")
""",
        lambda n: n == [0, 3],
        due="The comparisons of the check are false for NaN; `not (min >= lower)` is true for it.",
    ),
)
