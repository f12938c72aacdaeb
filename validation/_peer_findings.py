"""The findings of every peer."""

from __future__ import annotations

from _finding import Finding
from _findings_efficient_kan import EFFICIENT_KAN
from _findings_geometry import BSPY, GEOMDL, SPLINEPY
from _findings_jaxkan import JAXKAN
from _findings_pykan import PYKAN
from _findings_regression import CONSTANT, PATSY, PERIODIC, PYGAM, STATSMODELS
from _findings_scipy import SCIPY
from _findings_small import BSPLINE, NDSPLINES
from _findings_uniform import FLASHKAN, INKAN

FINDINGS: dict[str, tuple[Finding, ...]] = {
    "pykan": PYKAN,
    "efficient-kan": EFFICIENT_KAN,
    "jaxkan": JAXKAN,
    "inkan": INKAN,
    "flashkan": FLASHKAN,
    "scipy": SCIPY,
    "sklearn error": (),
    "sklearn constant": CONSTANT,
    "sklearn linear": (),
    "sklearn continue": (),
    "sklearn periodic": PERIODIC,
    "patsy": PATSY,
    "statsmodels": STATSMODELS,
    "pyGAM": PYGAM,
    "geomdl": GEOMDL,
    "bspy": BSPY,
    "splinepy": SPLINEPY,
    "ndsplines": NDSPLINES,
    "bspline": BSPLINE,
}
