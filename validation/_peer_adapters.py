"""The peers that can be judged, by name, and how their adapters are loaded: only when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Name -> module of this folder, and the adapter in it: KANs, and scipy, on which many are built.
KANS = {
    "pykan": ("_adapter_pykan", "adapter"),
    "efficient-kan": ("_adapter_efficient_kan", "adapter"),
    "jaxkan": ("_adapter_jaxkan", "adapter"),
    "inkan": ("_adapter_uniform", "inkan_adapter"),
    "flashkan": ("_adapter_uniform", "flashkan_adapter"),
    "scipy": ("_adapter_scipy", "adapter"),
}
#: Libraries of B-splines.
SPLINES = {
    "sklearn error": ("_adapter_sklearn", "error"),
    "sklearn constant": ("_adapter_sklearn", "constant"),
    "sklearn linear": ("_adapter_sklearn", "linear"),
    "sklearn continue": ("_adapter_sklearn", "continued"),
    "sklearn periodic": ("_adapter_sklearn", "periodic"),
    "patsy": ("_adapter_statistics", "patsy_adapter"),
    "statsmodels": ("_adapter_statistics", "statsmodels_adapter"),
    "pyGAM": ("_adapter_statistics", "pygam_adapter"),
    "geomdl": ("_adapter_geometry", "geomdl_adapter"),
    "bspy": ("_adapter_geometry", "bspy_adapter"),
    "splinepy": ("_adapter_geometry", "splinepy_adapter"),
    "ndsplines": ("_adapter_small", "ndsplines_adapter"),
    "bspline": ("_adapter_small", "bspline_adapter"),
}
PEERS = {**KANS, **SPLINES}
#: Group -> its peers, and the packages whose versions count.
GROUPS = {
    "kans": (KANS, ("torch", "pykan", "jax", "jaxkan", "inkan", "flashkan")),
    "splines": (
        SPLINES,
        ("scikit-learn", "patsy", "statsmodels", "pygam", "geomdl", "bspy", "splinepy", "ndsplines", "bspline"),
    ),
}


def peer(name: str) -> Any:
    """Return the adapter of a peer; ImportError where its packages are missing."""
    module, attribute = PEERS[name]
    return getattr(import_module(module), attribute)
