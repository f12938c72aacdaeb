"""What exact arithmetic says of the calls that a law made: whether the adapter was right in each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan.conformance import exact, twin
from numkan.conformance.adapter import METHODS
from numkan.conformance.laws.fits import dense, slack
from numkan.conformance.laws.grids import counted

Array = np.ndarray[Any, Any]


@dataclass
class Call:
    """One call of an adapter: what went in, what came out or was raised."""

    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    result: Any = None
    error: Exception | None = None


class Recorder:
    """An adapter that keeps all its calls."""

    def __init__(self, adapter: Any) -> None:
        self._adapter, self.calls = adapter, list[Call]()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._adapter, name)
        if name not in METHODS or not callable(value):
            return value

        def call(*args: Any, **options: Any) -> Any:
            copies = tuple(np.array(one) if isinstance(one, np.ndarray) else one for one in args)
            self.calls.append(Call(name, copies, options))
            try:
                self.calls[-1].result = value(*args, **options)
            except Exception as error:
                self.calls[-1].error = error
                raise
            return self.calls[-1].result

        return call


def worst(calls: list[Call], adapter: Any) -> float | None:
    """Return the largest error of some calls in units of its bound; None where none of them can be judged."""
    errors = [_JUDGES[call.name](call, adapter) for call in calls if call.name in _JUDGES]
    return max(errors, default=None)


def _ratio(got: Any, due: Any, room: Any) -> float:
    """Return the largest error in units of its bound; NaN is due where NaN stands."""
    got, due, room = np.broadcast_arrays(np.asarray(got, float), np.asarray(due, float), np.asarray(room, float))
    with np.errstate(all="ignore"):
        share = np.where((got == due) | (np.isnan(got) & np.isnan(due)), 0.0, np.abs(got - due) / room)
    return float(np.where(np.isnan(share), np.inf, share).max(initial=0.0))


def _refused(x: Array, knots: Array, k: int, adapter: Any) -> bool:
    """Whether an error is due: a point outside where that raises, or NaN, which may always be refused."""
    low, high = knots[k], knots[len(knots) - 1 - k]
    return bool(np.isnan(x).any() or (adapter.extrapolation == "raise" and ((x < low) | (x > high)).any()))


def _functions(call: Call, adapter: Any) -> float:
    x, knots, k = call.args[:3]
    nu = call.args[3] if len(call.args) > 3 else 0
    if (np.diff(knots) < 0).any():  # the fault is the kit's
        return 0.0
    if call.error is not None:
        return 0.0 if isinstance(call.error, ValueError) and _refused(x, knots, k, adapter) else np.inf
    if call.result.dtype != x.dtype:
        return np.inf
    rows = (_row(point, knots, k, nu, adapter) for point in x)
    return max((_ratio(got, *row) for got, row in zip(call.result, rows, strict=True)), default=0.0)


def _row(point: Any, knots: Array, k: int, nu: int, adapter: Any) -> tuple[Any, Any]:
    """Return the functions at one point, and the bound on their errors: relative on the domain and in the padding."""
    low, high = knots[k], knots[len(knots) - 1 - k]
    eps, tiny = float(np.finfo(knots.dtype).eps), float(np.finfo(knots.dtype).tiny)
    if np.isnan(point):
        return np.nan, 1.0
    if (low <= point <= high and (point < high or adapter.right_end == "closed")) or adapter.extrapolation == "fade":
        at = None if adapter.right_end == "closed" or np.isinf(point) else exact.open_span(point, knots)
        if np.isinf(point):
            return 0.0, 1e-300
        truth = [float(b) for b in exact.basis(point, knots, k, nu, at_span=at)]
        size = [float(b) for b in exact.magnitudes(point, knots, k, nu)] if nu else truth
        return truth, 4 * (k + 1) * (eps * np.array(size) + 2 * tiny)
    if adapter.extrapolation == "raise":
        return np.nan, 1.0
    if adapter.extrapolation == "periodic":
        point = low + (float(point) - low) % (float(high) - float(low))
    given = np.array([[point]], float), knots.astype(float)[None], k, adapter.extrapolation, nu
    size = twin.basis(*given, sizes=True)[0, 0].sum()
    gaps = np.diff(knots.astype(float))
    return twin.basis(*given)[0, 0], 16 * (k + 1) * eps * size * np.abs(knots).max() / gaps[gaps > 0].min() + tiny


def _curve(call: Call, adapter: Any) -> float:
    x, knots, coef, k = call.args
    if call.error is not None:
        return 0.0 if isinstance(call.error, ValueError) and _refused(x, knots, k, adapter) else np.inf
    if call.result.dtype != x.dtype:
        return np.inf
    truth = [np.nan if np.isnan(point) else float(exact.curve(point, knots, coef, k)) for point in x]
    room = 8 * (k + 1) * float(np.finfo(knots.dtype).eps) * float(np.abs(coef).max()) + 1e-300
    return _ratio(call.result, truth, room)


def _insertion(call: Call, adapter: Any) -> float:
    knots, coef, k, new = call.args
    if call.error is not None:
        return np.inf
    longer, finer = exact.insert(knots, coef, k, knots.dtype.type(new))
    room = 8 * (k + 1) * float(np.finfo(knots.dtype).eps) * float(np.abs(coef).max()) + 1e-300
    found = [_ratio(got, [float(n) for n in due], room) for got, due in zip(call.result, (longer, finer), strict=True)]
    return max(found)


def _fit(call: Call, adapter: Any) -> float:
    x, y, knots, k = call.args
    weight = call.options.get("weight", np.ones_like(x)).astype(float)
    A = np.sqrt(weight)[:, None] * dense(x[:, None], knots[None], k)[0]
    rows, eps = np.sqrt(weight) * y, float(np.finfo(x.dtype).eps)
    used, plain = counted(A, eps)
    if not plain:  # how many of its functions the samples determine
        return 0.0
    if len(used) < A.shape[1] and adapter.short_rank == "error":
        return 0.0 if isinstance(call.error, ValueError) else np.inf
    if call.error is not None:
        return np.inf
    truth = np.linalg.lstsq(A, rows, rcond=500 * eps)[0]
    return _ratio(call.result, truth, 4500 * eps + slack(A, rows, used, eps))


_JUDGES: dict[str, Callable[[Call, Any], float]] = {
    "basis": _functions,
    "dbasis": _functions,
    "design_rows": _functions,
    "curve": _curve,
    "insert_knot": _insertion,
    "fit_curve": _fit,
}
