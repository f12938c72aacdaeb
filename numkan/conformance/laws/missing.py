"""Laws of NaN and infinity in curves, layers and networks: they affect the results of their own sample only."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from numkan.conformance import network_twin
from numkan.conformance.adapter import Array, claims
from numkan.conformance.cases import Case, NetworkCase
from numkan.conformance.law import complaint, law, require
from numkan.conformance.laws.structure import alike
from numkan.conformance.points import probes


@law("P-NANC", "8(k+1) eps C_max beside NaN", "scipy test_nan", "splines", needs=("basis", "curve"), policies=("bits",))
def nan_in_curves(impl: Any, case: Case) -> None:
    """A curve is NaN at NaN, or that is a ValueError; at the other points it does not change."""
    x = probes(case)
    mixed = np.insert(x, [0, len(x) // 2], case.dtype.type(np.nan))
    if isinstance(complaint(partial(impl.curve, mixed, case.knots, case.coef, case.k)), ValueError):
        return
    found = impl.curve(mixed, case.knots, case.coef, case.k)
    missing = np.isnan(mixed)
    require(np.isnan(found[missing]).all(), f"{found[missing]} at NaN")
    bound = 8 * (case.k + 1) * case.eps * float(np.abs(case.coef).max()) + float(np.finfo(case.dtype).tiny)
    alike(impl, found[~missing], impl.curve(x, case.knots, case.coef, case.k), bound, "beside NaN, curve")


@law(
    "N-NAN",
    "exact, or 64 eps of the terms' magnitudes, as `bits` declares",
    "scikit-learn, methods_subset_invariance; pykan's nan_to_num",
    "networks",
    needs=("layer_forward",),
    policies=("bits",),
)
def nan_and_infinity_in_networks(impl: Any, case: NetworkCase) -> None:
    """A sample with NaN or infinity changes no other; NaN comes out of each edge that it goes into, or a ValueError."""
    case = case.rows(slice(0, 9))
    layers, x = case.exact
    first, sizes = network_twin.sizes([layers[0]], x)[-1], network_twin.sizes(layers, x)[-1]
    functions: dict[str, tuple[Callable[[Array], Array], Array]] = {
        "layer_forward": (lambda x: impl.layer_forward(case.layer, x), first),
        "network_forward": (lambda x: impl.network_forward(case.layers, x), sizes),
        "network_derivative": (
            lambda x: impl.network_derivative(case.layers, x),
            network_twin.jacobian_sizes(layers, x)[1],
        ),
    }
    with np.errstate(all="ignore"):  # a warning is no fault
        for number in (np.nan, np.inf, -np.inf):
            for place in (0, len(case.x) - 1):
                other = case.x.copy()
                other[place, 0] = number
                rest = np.arange(len(other)) != place
                for name, (function, size) in functions.items():
                    if not claims(impl, name) or isinstance(complaint(partial(function, other)), ValueError):
                        continue
                    found, whole = function(other), function(case.x)
                    bound = 64 * case.eps * size[rest]
                    alike(impl, found[rest], whole[rest], bound, f"{name}, samples beside {number!s}")
                    if name == "layer_forward" and np.isnan(number):
                        _comes_out(case, found[place])


def _comes_out(case: NetworkCase, found: Array) -> None:
    """NaN in the first input comes out of every edge that has a spline."""
    layer = case.layer
    reached = (layer.mask[0] * layer.scale_sp[0] != 0) & layer.coef[0].any(axis=1)
    require(np.isnan(found[reached]).all(), f"{found} where the first input is NaN, and goes into outputs {reached}")
