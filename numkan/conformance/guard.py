"""A guard around an adapter: it checks every call, and describes a fault in one sentence.

A guarded method that raises, writes to its arguments, returns a view of one, or returns something of another type or
shape than :mod:`numkan.conformance.adapter` asks for, breaks the law that called it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from numkan.conformance.adapter import KINDS, METHODS, Array, Layer
from numkan.conformance.law import Raised, require
from numkan.conformance.scope import declared, degrees

__all__ = ["Guard"]


class Guard:
    """An adapter's proxy, which laws get: it has the same methods, and None for undeclared attributes."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter
        self.calling = ""  # the method that is running, if one is, and since when: for those who wait
        self.since = time.monotonic()
        self.alive: Callable[[], object] = lambda: None  # called again and again while a law is tried
        self.abandoned = False  # nobody waits any more for the thread that tries a law

    def __getattr__(self, name: str) -> Any:
        if name in ("float64", "float32"):
            return name in declared(self._adapter, "dtype")
        if name == "degree_zero":
            return 0 in degrees(self._adapter)
        if name == "neighbouring_degrees":
            return any(k - 1 in degrees(self._adapter) for k in degrees(self._adapter))
        value = getattr(self._adapter, name, None)
        if name == "dtype" or name not in METHODS or not callable(value):
            return value
        return self._watched(name, value)

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if self.abandoned:
                raise SystemExit  # ends the thread
            if not getattr(self._adapter, "containers", False):
                args = tuple(_in_order(one) for one in args)
            given = [*_arrays(args), *_arrays(list(options.values()))]
            before = [array.copy() for array in given]
            self.since, self.calling = time.monotonic(), name
            try:
                result = method(*args, **options)
            except (Exception, SystemExit) as error:
                failure = error if isinstance(error, Exception) else RuntimeError("SystemExit")
                said = " ".join(str(error).split())  # one line
                raise Raised(f"`{name}` raised {type(error).__name__}: {said}", failure) from error
            finally:
                self.since, self.calling = time.monotonic(), ""
                changed = [not _same_bytes(array, old) for array, old in zip(given, before, strict=True)]
                for array, old, wrong in zip(given, before, changed, strict=True):
                    if wrong and array.flags.writeable:
                        array[...] = old
            require(not any(changed), f"`{name}` wrote to its arguments")
            _check_result(name, args, result)
            # a returned layer may share memory with the given one, because nothing writes to layers
            new = _arrays([(r.grid, r.coef) if isinstance(r, Layer) else r for r in _listed(result)])
            shared = any(np.shares_memory(one, other) for one in new for other in given if one.size and other.size)
            exempt = name in ("update_grid", "refine", "save", "load", "model", "state", "set_threads")
            require(exempt or not shared, f"`{name}` returned a view of one of its arguments")
            return result

        return call


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _arrays(value: Any) -> list[Array]:
    """All arrays in nested tuples, lists, dicts and layers."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, Layer):
        return [getattr(value, name) for name in ("grid", *KINDS, "mask")]
    if isinstance(value, dict):
        value = list(value.values())
    return [array for one in value for array in _arrays(one)] if isinstance(value, list | tuple) else []


def _in_order(value: Any) -> Any:
    """Return the same arrays in C order, and free to be written to, in tuples, lists, dicts and layers."""
    if isinstance(value, np.ndarray):
        return value if value.flags.c_contiguous and value.flags.writeable else value.copy("C")
    if isinstance(value, Layer):
        return value.replace(**{name: _in_order(getattr(value, name)) for name in ("grid", *KINDS, "mask")})
    if isinstance(value, dict):
        return {name: _in_order(one) for name, one in value.items()}
    return type(value)(_in_order(one) for one in value) if isinstance(value, list | tuple) else value


def _same_bytes(array: Array, old: Array) -> bool:
    return array.shape == old.shape and array.tobytes() == old.tobytes()


# --- shapes -------------------------------------------------------------------------------------------------------


def _due(name: str, args: tuple[Any, ...]) -> Any:
    """Return the shape that a method's result must have, or a tuple or dict of shapes; None where there is no rule."""
    if name in ("basis", "dbasis", "design_rows"):
        x, knots, k = args[:3]
        return [(len(x), len(knots) - 1 - k)]
    if name == "curve":
        return [(len(args[0]),)]
    if name == "insert_knot":
        knots, coef = args[:2]
        return ((len(knots) + 1,), (len(coef) + 1,))
    if name == "fit_curve":
        return [(len(args[2]) - 1 - args[3],)]
    if name == "refinement_matrix":
        knots, finer, k = args[:3]
        return [(len(finer) - 1 - k, len(knots) - 1 - k)]
    if name == "layer_forward":
        return [(len(args[1]), args[0].n_out)]
    if name in ("network_forward", "network_jvp"):
        return [(len(args[1]), args[0][-1].n_out)]
    if name == "network_derivative":
        return [(len(args[1]), args[0][-1].n_out, args[0][0].n_in)]
    if name in ("layer_vjp", "layer_jacobian"):
        layer, x = args[:2]
        rows = () if name == "layer_vjp" else (len(x), layer.n_out)
        by_x = (len(x), layer.n_in) if name == "layer_vjp" else (len(x), layer.n_out, layer.n_in)
        return {"x": by_x, **{key: (*rows, *getattr(layer, key).shape) for key in KINDS}}
    return None


def _check_result(name: str, args: tuple[Any, ...], result: Any) -> None:
    """Break the law if a result has the wrong type or shape."""
    due = _due(name, args)
    if name in ("update_grid", "refine"):
        _check_layer(name, result)
    elif name in _TYPES:
        holds, what = _TYPES[name]
        require(holds(result), f"`{name}` returned {_named(result)}, not {what}")
    elif isinstance(due, list):
        _check_array(f"`{name}`", result, due[0])
    elif isinstance(due, tuple):
        right = isinstance(result, tuple) and len(result) == len(due)
        require(right, f"`{name}` returned {_named(result)}, not a tuple of {len(due)} arrays")
        for place, (one, shape) in enumerate(zip(result, due, strict=True)):
            _check_array(f"`{name}`, result {place},", one, shape)
    elif isinstance(due, dict):
        right = isinstance(result, dict) and {"x", "coef"} <= set(result) <= set(due)
        require(right, f"`{name}` returned {_named(result)}, not a dict with 'x', 'coef' and perhaps both scales")
        for key, one in result.items():
            _check_array(f"`{name}`, entry {key!r},", one, due[key])


def _are_dicts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, dict) for one in value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2


#: The other results of methods: a test, and a description.
_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "fit_rank": (lambda value: isinstance(value, int | np.integer), "an integer"),
    "network_loss": (
        lambda value: _is_pair(value) and np.ndim(value[0]) == 0 and value[0] is not None and _are_dicts(value[1]),
        "a number and a list of dicts, one for each layer",
    ),
    "network_vjp": (
        lambda value: _is_pair(value) and _are_dicts(value[0]) and isinstance(value[1], np.ndarray),
        "a list of dicts, one for each layer, and an array",
    ),
    "network_jacobian": (_are_dicts, "a list of dicts, one for each layer"),
    "load": (
        lambda value: isinstance(value, list | tuple) and all(isinstance(one, Layer) for one in value),
        "a list of layers",
    ),
    "model": (callable, "something that can be called"),
    "state": (lambda value: isinstance(value, bytes), "bytes"),
    "set_threads": (lambda value: isinstance(value, int | np.integer), "the number of threads before"),
}


def _check_array(who: str, result: Any, shape: tuple[int, ...]) -> None:
    right = isinstance(result, np.ndarray) and result.dtype.kind == "f" and result.shape == shape
    require(right, f"{who} returned {_named(result)}, not a float array of shape {shape}")


def _check_layer(name: str, result: Any) -> None:
    require(isinstance(result, Layer), f"`{name}` returned {_named(result)}, not a Layer")
    n_basis = result.grid.shape[1] - result.k - 1
    right = result.coef.shape == (len(result.grid), result.scale_sp.shape[1], n_basis)
    require(right, f"`{name}` returned a layer of coef {result.coef.shape} on knots {result.grid.shape}")


def _named(value: Any) -> str:
    """Name a value by its type, and by its keys, shape and dtype."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, dict):
        return f"a dict with {sorted(map(str, value))}"
    return "None" if value is None else f"an object of type {type(value).__name__}"
