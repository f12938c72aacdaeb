"""The scope of an adapter: its declared policies, checked, and the cases that they allow."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from numkan.conformance.adapter import POLICIES

__all__ = ["AdapterError", "Scope", "declared", "degrees", "natural", "scope_of"]

DEGREES = range(6)


class AdapterError(Exception):
    """An adapter cannot be used at all; the message is one sentence that says why.

    Examples
    --------
    >>> from numkan.conformance import AdapterError, check
    >>> try:
    ...     check(object())
    ... except AdapterError as error:
    ...     print(error)
    An adapter must have a method `basis(x, knots, k)`, and builtins.object has none.
    """


@dataclass(frozen=True)
class Scope:
    """The range of cases. The defaults allow everything."""

    dtypes: tuple[str, ...] = ("float64", "float32")
    degrees: tuple[int, ...] = tuple(DEGREES)
    layer_degrees: tuple[int, ...] = tuple(DEGREES)
    closed: bool = True  # right ends of domains are probed
    outside: bool = True  # points may lie in the padding and beyond
    repeats: bool = True  # knots may be repeated
    uneven: bool = True  # knots may be uneven
    clamped: bool = False  # the ends of the domain are knots k + 1 times, nothing else
    min_intervals: int = 1  # of the domain
    layer_extrapolate: tuple[str, ...] = ("continue", "fade", "linear", "clamp")
    base_fun: tuple[str, ...] = ("silu", "identity", "zero")
    flavour: str = "numkan"

    @property
    def degrees_of_grids(self) -> tuple[int, ...]:
        """Degrees of layers whose grids are updated; not 0 where right ends are open, unless there is no other."""
        return tuple(k for k in self.degrees if k or self.closed) or self.degrees

    @property
    def degrees_of_networks(self) -> tuple[int, ...]:
        """The same of layers that compute."""
        return tuple(k for k in self.layer_degrees if k or self.closed) or self.layer_degrees


def declared(adapter: Any, name: str) -> tuple[Any, ...]:
    """Return what an adapter declares for a policy, as a tuple; empty where it declares nothing.

    >>> class Mine:
    ...     dtype = "float32"
    >>> declared(Mine(), "dtype"), declared(Mine(), "bits")
    (('float32',), ())
    """
    value = getattr(adapter, name, None)
    if value is None or callable(value):  # a method may have such a name
        return ()
    try:
        values = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise AdapterError(f"Policy `{name}` must be text or a tuple, not {value!r}.") from None
    known = POLICIES.get(name)
    several = len(values) != 1 and (name != "dtype" or not values)
    if known and (several or any(one not in known for one in values)):
        listed = ", ".join(repr(one) for one in known)
        raise AdapterError(f"Policy `{name}` must be one of {listed}, not {value!r}.")
    return values


def degrees(adapter: Any, name: str = "degrees") -> tuple[int, ...]:
    """Return the degrees that an adapter may be asked for; they may be declared as any integers, arrays of them too.

    >>> class Mine:
    ...     degrees = range(1, 4)
    >>> degrees(Mine())
    (1, 2, 3)
    """
    values = declared(adapter, name)
    try:
        integers = tuple(operator.index(k) for k in values)
    except TypeError:
        integers = (-1,)
    if any(k < 0 for k in integers):
        raise AdapterError(f"Policy `{name}` must hold integers of at least 0, not {values!r:.80}.")
    return integers or (tuple(DEGREES) if name == "degrees" else degrees(adapter))


def natural(adapter: Any, name: str, least: int) -> int:
    """Return a declared integer of at least `least`; that where nothing is declared."""
    value = getattr(adapter, name, None)
    try:
        number = least if value is None else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise AdapterError(f"Policy `{name}` must be an integer of at least {least}, not {value!r:.80}.")
    return number


def scope_of(adapter: Any) -> Scope:
    """Return the cases that an adapter's policies allow; features that are not declared are not used."""
    one = {name: (declared(adapter, name) or ("",))[0] for name in POLICIES}
    layers = ("fade", "clamp", "linear", "continue", "zero", "polynomial")
    inherited = one["extrapolation"] if one["extrapolation"] in layers else "fade"
    policies = declared(adapter, "layer_extrapolate") or (inherited,)
    if any(policy not in layers for policy in policies):
        raise AdapterError(f"Policy `layer_extrapolate` must hold some of {layers!r}, not {policies!r}.")
    base_fun = declared(adapter, "base_fun") or ("silu",)
    if any(name not in Scope.base_fun for name in base_fun):
        raise AdapterError(f"Policy `base_fun` must hold some of {Scope.base_fun!r}, not {base_fun!r}.")
    return Scope(
        dtypes=declared(adapter, "dtype") or ("float64",),
        degrees=degrees(adapter),
        layer_degrees=degrees(adapter, "layer_degrees"),
        closed=one["right_end"] == "closed",
        outside=one["extrapolation"] == "fade",
        repeats=one["degenerate_knots"] == "limit",
        uneven=not getattr(adapter, "uniform_only", False),
        clamped=one["knots"] == "clamped",
        min_intervals=natural(adapter, "min_intervals", 1),
        layer_extrapolate=policies,
        base_fun=base_fun,
        flavour=one["grid_update"] or "numkan",
    )
