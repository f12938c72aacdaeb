"""Laws of dtypes: what goes in as float32 comes out as float32, from every method; P-DTYPE is among those of values."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from numkan.conformance.adapter import KINDS, Layer, claims
from numkan.conformance.cases import Case, GridCase, NetworkCase
from numkan.conformance.law import law, require
from numkan.conformance.laws.fits import problems
from numkan.conformance.laws.grids import counted
from numkan.conformance.points import probes, too_many_repeats, with_more_knots


def _hold(impl: Any, dtype: Any, calls: dict[str, Callable[[], Any]]) -> None:
    """Require that all arrays of what methods return have a dtype; numbers may be Python's."""
    for name, call in calls.items():
        if claims(impl, name):
            for what, array in _arrays(call()):
                place = f" ({what})" if what else ""
                require(array.dtype == dtype, f"`{name}`{place}: {array.dtype} comes out where {dtype} goes in")


def _arrays(value: Any, what: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, np.ndarray):
        return [(what, value)]
    if isinstance(value, Layer):
        value = {name: getattr(value, name) for name in ("grid", *KINDS, "mask")}
    if isinstance(value, dict):
        return [pair for name, one in value.items() for pair in _arrays(one, name)]
    return [pair for one in value for pair in _arrays(one, what)] if isinstance(value, list | tuple) else []


def hold_splines(impl: Any, case: Case) -> None:
    """Require the dtype of what goes in: of derivatives, designs, curves, inserted knots, matrices of refinement."""
    x, knots, coef, k = probes(case), case.knots, case.coef, case.k
    calls: dict[str, Callable[[], Any]] = {
        "dbasis": lambda: [impl.dbasis(x, knots, k, nu) for nu in range(min(k, 1) + 1)],
        "design_rows": lambda: impl.design_rows(x, knots, k, 0),
        "curve": lambda: impl.curve(x, knots, coef, k),
    }
    new = [] if getattr(impl, "uniform_only", False) else with_more_knots(case, 1, simple=True)
    if new:
        finer = np.sort(np.append(knots, np.array(new, knots.dtype)))
        calls["insert_knot"] = lambda: impl.insert_knot(knots, coef, k, new[0])
        if not too_many_repeats(knots, k):
            calls["refinement_matrix"] = lambda: impl.refinement_matrix(knots, finer, k)
    _hold(impl, case.dtype, calls)


@law("G-DTYPE", "exact", "NumPy's promotion", "grids", needs=("fit_curve",))
def dtypes_of_fits(impl: Any, case: GridCase) -> None:
    """A fit has the dtype of its samples and knots."""
    for x, knots, A in problems(impl, case):
        if len(counted(A, case.eps)[0]) == A.shape[1]:  # a fit of short rank may be an error
            _hold(impl, case.dtype, {"fit_curve": partial(impl.fit_curve, x, np.sin(x), knots, case.k)})


@law("G-UDTYPE", "exact", "NumPy's promotion", "grids", needs=("update_grid",))
def dtypes_of_updates(impl: Any, case: GridCase) -> None:
    """An update, and a refinement, keep the dtype of the layer."""
    calls: dict[str, Callable[[], Any]] = {
        "update_grid": lambda: impl.update_grid(case.layer, case.x, case.grid_eps),
        "refine": lambda: impl.refine(case.layer, 2 * case.G),
    }
    _hold(impl, case.dtype, calls)


@law("N-DTYPE", "exact", "NumPy's promotion", "networks", needs=("layer_forward",))
def dtypes_of_networks(impl: Any, case: NetworkCase) -> None:
    """Outputs, gradients and Jacobians, of layers and of networks, have the dtype of what goes in."""
    case = case.rows(slice(0, 3))
    layers, x, y = case.layers, case.x, case.y
    layer, y_bar = case.layer, case.noise(len(x), case.layer.n_out)
    dots = [{name: getattr(one, name) for name in KINDS} for one in layers]
    _hold(
        impl,
        case.dtype,
        {
            "layer_forward": lambda: impl.layer_forward(layer, x),
            "layer_vjp": lambda: impl.layer_vjp(layer, x, y_bar),
            "layer_jacobian": lambda: impl.layer_jacobian(layer, x),
            "network_forward": lambda: impl.network_forward(layers, x),
            "model": lambda: impl.model(layers)(x),
            "network_loss": lambda: impl.network_loss(layers, x, y, "mse", case.weight)[1],
            "network_vjp": lambda: impl.network_vjp(layers, x, case.noise(*y.shape)),
            "network_jvp": lambda: impl.network_jvp(layers, x, dots, x),
            "network_jacobian": lambda: impl.network_jacobian(layers, x),
            "network_derivative": lambda: impl.network_derivative(layers, x),
        },
    )
