"""What the kit finds in libraries of regression: scikit-learn, patsy, statsmodels, pyGAM."""

from __future__ import annotations

from _finding import Entry, Finding, example, is_nan

_COMPARED = (
    "The range is checked by `np.min(x) < np.min(knots) or np.max(x) > np.max(knots)`. With a NaN among the points "
    "both are NaN, the comparisons are false, and points outside go through to FITPACK, which goes on as a polynomial. "
)


def at_degree_zero(entry: Entry) -> bool:
    """Tell whether the smallest example is a step function."""
    return example(entry, "k") == 0


CONSTANT = (
    Finding(
        "At degree 0 the constant beyond the knots is 0 on the left, and an error on the right",
        ("P-EXT",),
        'With `extrapolation="constant"` and `degree=0` a point left of the knots has 0 in all columns, where 1 in the '
        "first one is documented, the value at the nearest end; a point right of them is a ValueError of NumPy's.",
        """
import numpy as np; from sklearn.preprocessing import SplineTransformer
made = SplineTransformer(degree=0, n_knots=3, extrapolation="constant").fit([[0.0], [1.0]])
print(made.transform([[-0.1], [0.1]]).tolist())
try: print(made.transform([[1.1]]))
except ValueError as error: print(error)
""",
        lambda n: n[:2] == [0, 0] and n[2] == 1,
        marks=at_degree_zero,
        due="`transform` sets the first and the last `degree` columns to `f_min[:degree]` and `f_max[-degree:]`, and "
        "at degree 0 these are no columns, and (`[-0:]`) all values. `max(degree, 1)` would do for both.",
    ),
)

PERIODIC = (
    Finding(
        "Points beside a knot count as the knot",
        ("P-SUP", "P-ORC", "P-REL", "P-K0", "P-ORD", "P-MIR", "P-MAR", "P-POLY", "P-GRV", "P-RC", "P-EXT", "P-NAN"),
        "In mode periodic every point, also one of the domain, is mapped by `t[k] + (x - t[k]) % period`, which "
        "rounds. A point one rounding below a knot may then count as the knot: at degree 0 that is another column, at "
        "higher degrees a value of 1e-48 that is 0.",
        """
import numpy as np; from sklearn.preprocessing import SplineTransformer
base = np.arange(-1.0, 1.0, 0.25)[:, None]
made = SplineTransformer(degree=0, knots=base, extrapolation="periodic").fit(base)
print(made.transform([[np.nextafter(-0.25, -1)], [-0.25]]).argmax(axis=1).tolist())
""",
        lambda n: n[-2] == n[-1],
        held=False,
    ),
)

PATSY = (
    Finding(
        "At degree 0 NaN is put into the last interval",
        ("P-NAN",),
        "With `degree=0` a missing value gets the row [..., 0, 1], as if it lay in the last interval; at higher "
        "degrees it gives NaN.",
        """
import numpy as np; from patsy import bs
some = {"knots": [0.5], "include_intercept": True, "lower_bound": 0, "upper_bound": 1}
print(bs(np.array([np.nan]), degree=0, **some).tolist(), bs(np.array([np.nan]), degree=1, **some).tolist())
""",
        lambda n: n[:2] == [0, 1] and is_nan(n[-1]),
        marks=at_degree_zero,
        due="`splev` computes no difference with x at degree 0. Rows where x is NaN could be set to NaN afterwards.",
    ),
    Finding(
        "Beside a NaN, points outside are not refused",
        ("P-EXT",),
        _COMPARED + "Without the NaN the same points are a NotImplementedError.",
        """
import numpy as np; from patsy import bs
print(bs(np.array([np.nan, 7.0]), knots=[0.5], include_intercept=True, lower_bound=0, upper_bound=1)[1].tolist())
""",
        lambda n: max(map(abs, n)) > 100,
        due="`np.nanmin` and `np.nanmax`, or a comparison of each point, would refuse them.",
    ),
)

STATSMODELS = (
    Finding(
        "The derivative of order `degree` is a number at NaN",
        ("P-NAN",),
        "At degree 2 the second derivative at a missing value is that of the last interval.",
        """
import numpy as np; from statsmodels.gam.api import BSplines
smoother = BSplines(np.linspace(0, 1, 9), [5], [2], include_intercept=True).smoothers[0]
print(smoother.transform(np.array([np.nan]), deriv=2).tolist())
""",
        lambda n: not any(map(is_nan, n)) and max(map(abs, n)) > 1,
        due="NaN, as for the values and the first derivative.",
    ),
    Finding(
        "Beside a NaN, points outside are not refused",
        ("P-EXT",),
        _COMPARED + "A prediction from a frame with a gap in it may be hundreds where an error is due.",
        """
import numpy as np; from statsmodels.gam.api import BSplines
smoother = BSplines(np.linspace(0, 1, 9), [5], [2], include_intercept=True).smoothers[0]
print(smoother.transform(np.array([np.nan, 7.0]))[1].tolist())
""",
        lambda n: max(map(abs, n)) > 100,
        due="`np.nanmin` and `np.nanmax`, or a comparison of each point, would refuse them.",
    ),
    Finding(
        "BSplines of degree 1 cannot be made",
        (),
        "The class takes any degree, and differentiates twice when it is made: degrees 0 and 1 end in an error of "
        "scipy's that does not name the argument.",
        """
import numpy as np; from statsmodels.gam.api import BSplines
try: BSplines(np.linspace(0, 1, 9), [4], [1], include_intercept=True)
except ValueError as error: print(error, 1)
""",
        lambda n: bool(n),
        due="The second derivative is zero there; or a sentence that degree must be at least 2.",
    ),
)

PYGAM = (
    Finding(
        "Points beside a knot count as the knot",
        ("P-SUP", "P-RC", "P-ORC", "P-REL", "P-K0", "P-ORD", "P-MIR", "P-MAR", "P-POLY", "P-GRV"),
        "Points and knots are scaled to [0, 1], which rounds: a point one rounding beside a knot may lie on its other "
        "side. From degree 1 on the columns are right in absolute terms.",
        """
import numpy as np; from pygam.utils import b_spline_basis as basis
options = {"n_splines": 3, "spline_order": 0, "sparse": False, "periodic": False}
print(basis(np.array([np.nextafter(0.25, 0), 0.25]), [0, 0.75], **options).argmax(axis=1).tolist())
""",
        lambda n: n[-2] == n[-1],
        held=False,
    ),
    Finding(
        "At degree 0 the columns are 0 outside",
        ("P-EXT",),
        "The docstring says that the functions go on linearly past the end knots. At spline_order 0 they are 0 there.",
        """
import numpy as np; from pygam.utils import b_spline_basis as basis
print(basis(np.array([-0.5, 0.5]), [0, 1], n_splines=1, spline_order=0, sparse=False, periodic=False).tolist())
""",
        lambda n: n == [0, 1],
        marks=at_degree_zero,
        due="The line through the end of a constant is that constant.",
    ),
    Finding(
        "At degree 0 NaN is 0 in all columns",
        ("P-NAN",),
        "A missing value looks like a point outside, and a prediction for it like that of the intercept.",
        """
import numpy as np; from pygam.utils import b_spline_basis as basis
print(basis(np.array([np.nan]), [0, 1], n_splines=2, spline_order=0, sparse=False, periodic=False).tolist())
""",
        lambda n: n == [0, 0],
        marks=at_degree_zero,
        due="NaN, as at all other degrees. (`LinearGAM` itself refuses NaN.)",
    ),
)
