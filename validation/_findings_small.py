"""What the kit finds in small libraries of B-splines: ndsplines and bspline."""

from __future__ import annotations

from _finding import Finding, is_nan
from _findings_scipy import SCIPY, double_end

NDSPLINES = (
    Finding(
        "An order of derivative above the degree writes beyond an array",
        (),
        "For an order of degree + 2 or more `_deBoor_D` runs with negative counts, and the process ends by a signal, "
        "at once or later. (The adapter does not ask for such orders, so that other laws can be tried.)",
        """
import subprocess, sys
lines = '''import numpy as np; from ndsplines import NDSpline
NDSpline([np.arange(-2.0, 6)], np.eye(5), 2)(np.linspace(0, 3, 50)[:, None], 4)'''
print("exit code", subprocess.run([sys.executable, "-c", lines], capture_output=True).returncode)
""",
        lambda n: n[-1] < 0,
        due="Zeros; scipy's `BSpline` checks the order where its copy of this function is called.",
    ),
    Finding(
        "NaN reads an index that was never set",
        ("P-NAN", "P-NANC"),
        "For NaN `evaluate_spline` leaves the interval of the point as the workspace had it. The index is then any "
        "number: an IndexError about it, or, where it happens to be valid, NaN.",
        """
import numpy as np; from ndsplines import NDSpline
spline = NDSpline([np.array([0.0, 0, 1, 1])], np.eye(2), 1)
spline(np.array([[0.5]])); spline.interval_workspace[:] = 1000
try: print(spline(np.array([[np.nan]])))
except IndexError as error: print(str(error))
""",
        lambda n: 1000 in n,
        due="NaN; the interval of such a point can be set to 0 (in `evaluate_spline`, beside the NaN of its basis).",
    ),
    Finding(
        "At a right end that is a double knot, with more knots after it, a curve drops to 0",
        (*SCIPY[0].laws, "P-SUP", "P-POW2", "P-PURE", "P-LIN", "P-NANC"),
        "As in scipy, whose search for the interval this is: where t[n] = t[n - 1] < t[n + k] it ends in an empty one.",
        """
import numpy as np; from ndsplines import NDSpline
spline = NDSpline([np.array([-1.0, 0, 1, 1, 2])], np.ones(3), 1)
print(spline(np.array([[0.999], [1.0], [1.001]])).ravel().tolist())
""",
        lambda n: abs(n[0] - 1) < 1e-9 and n[1] == 0,
        marks=double_end,
        due="The interval is the last one of the domain that is not empty.",
    ),
    Finding(
        "Fits that the points do not determine are not refused",
        ("G-RANK", "G-DUP", "G-DRV"),
        "`make_lsq_spline` returns numbers that mean nothing where points and knots do not satisfy the "
        "Schoenberg-Whitney conditions.",
        """
import numpy as np; from ndsplines import make_lsq_spline
knots = [np.array([-1.0, -0.5, 0.0, 0.5, 1.0])]
print(make_lsq_spline(np.array([[-0.3], [-0.2], [-0.1]]), np.ones((3, 1)), knots, [1]).coefficients.ravel().tolist())
""",
        lambda n: len(n) == 3,
        held=False,
    ),
)

FAR = {
    "dtype": "float64",
    "knots": [-1.0, 0.0, 1.0, 2.0],
    "k": 1,
    "inside": [0.5],
    "anywhere": [0.5],
    "coef": [0.0] * 2,
    "closed": False,
}

BSPLINE = (
    Finding(
        "At degree 0 NaN is 0 in all functions",
        ("P-NAN",),
        "At degree 0 a missing value is 0 everywhere, like a point outside; at higher degrees it gives NaN.",
        """
import numpy as np; from bspline import Bspline
print(Bspline(np.arange(4.0), 0)(np.nan).tolist(), Bspline(np.arange(4.0), 1)(np.nan).tolist())
""",
        lambda n: n[0] == 0 and is_nan(n[-1]),
        marks=lambda entry: entry["message"].endswith("at NaN"),
        due="NaN at every degree.",
    ),
    Finding(
        "Infinity becomes NaN",
        ("P-NAN",),
        "A point that has overflowed gives NaN in every function, where the functions are 0 beyond the knots.",
        """
import numpy as np; from bspline import Bspline
print(Bspline(np.arange(-3.0, 8), 3)(np.inf).tolist())
""",
        lambda n: all(map(is_nan, n)),
        marks=lambda entry: "infinity" in entry["message"],
        case=("P-NAN", FAR),
        due="Zeros, as at every finite point outside; (x - t) * 0 is NaN there, and can be left out.",
    ),
)
