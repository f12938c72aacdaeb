"""A law: a statement about implementations, the tolerance that it holds within, its source, and the check of one case.

A check takes an adapter and a case, and raises :class:`Broken` where the case breaks the law. It knows nothing of
Hypothesis, of reports, or of numkan. In tolerances, eps is the spacing of 1 of the dtype (2.2e-16, 1.2e-7), M the
largest magnitude of a knot and h the smallest positive gap between the knots that affect a point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "DEFINED",
    "Broken",
    "Law",
    "Raised",
    "assert_identical",
    "assert_within",
    "complaint",
    "law",
    "measured",
    "require",
]

Check = Callable[[Any, Any], None]

#: Every law that has been defined; :data:`numkan.conformance.LAWS` has them in order.
DEFINED: dict[str, Law] = {}


@dataclass(frozen=True)
class Law:
    """A law that implementations can be held to.

    Examples
    --------
    >>> from numkan.conformance import LAWS
    >>> LAWS["P-POS"].statement, LAWS["P-POS"].tolerance
    ('No function is ever negative.', 'exact')
    """

    id: str  #: such as "P-PoU"
    statement: str  #: what has to hold, in a sentence
    tolerance: str  #: in words
    reference: str  #: who says so
    check: Check  #: the function of an adapter and a case that tries it
    about: str  #: "splines", "grids" or "networks": the kind of its cases
    needs: tuple[str, ...] = ("basis",)  #: methods and claims that it needs; without them it is "not claimed"
    policies: tuple[str, ...] = ()  #: declarations that it needs; without them it fails
    knots: str = "as given"  #: "uneven", "repeated" or "of any ends" where the check makes such knots out of any


def law(id: str, tolerance: str, reference: str, about: str, **more: Any) -> Callable[[Check], Law]:
    """Turn a check into a registered law; its docstring's first paragraph is the statement."""

    def register(check: Check) -> Law:
        if id in DEFINED:
            raise ValueError(f"Argument `id` must be new, not {id!r}.")
        DEFINED[id] = Law(
            id, " ".join((check.__doc__ or "").partition("\n\n")[0].split()), tolerance, reference, check, about, **more
        )
        return DEFINED[id]

    return register


class Broken(AssertionError):
    """A case breaks a law."""


class Raised(Broken):
    """A method raised an exception, `error`, that the law does not allow."""

    def __init__(self, message: str, error: Exception) -> None:
        super().__init__(message)
        self.error = error


def complaint(call: Callable[[], Any]) -> Exception | None:
    """Return the exception that a call of an adapter raises, or None."""
    try:
        call()
    except Raised as raised:
        return raised.error
    except Broken:
        raise
    except Exception as error:
        return error
    return None


# --- errors in units of their bounds ------------------------------------------------------------------------------

_ratios: ContextVar[list[float] | None] = ContextVar("ratios", default=None)


@contextmanager
def measured() -> Iterator[list[float]]:
    """Collect the error of every comparison inside, in units of its bound.

    >>> with measured() as ratios:
    ...     assert_within([1.0, 2.5], [1.0, 2.0], 1.0)
    >>> ratios
    [0.5]
    """
    ratios: list[float] = []
    token = _ratios.set(ratios)
    try:
        yield ratios
    finally:
        _ratios.reset(token)


def _record(ratio: float) -> None:
    ratios = _ratios.get()
    if ratios is not None:
        ratios.append(ratio)


def require(condition: Any, what: str, ratio: float | None = None) -> None:
    """Break the law unless `condition` holds; `ratio` is an error in units of its bound, if there is one."""
    if ratio is not None:
        _record(ratio)
    if not condition:
        raise Broken(what)


def assert_within(got: Any, expected: Any, tolerance: Any, what: str = "difference", at: Any = None) -> None:
    """Require |got - expected| <= tolerance everywhere (NaN fails), in float64, and show the worst place.

    `at` are the points that the rows belong to, if they do.
    """
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    with np.errstate(all="ignore"):
        error, bound = np.broadcast_arrays(np.abs(got - expected), np.asarray(tolerance, float))
        ratio = np.where(error == 0, 0.0, error / bound)
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    if ratio.size == 0:
        return
    _record(float(ratio.max()))
    if not (error <= bound).all():
        place = tuple(int(i) for i in np.unravel_index(np.argmax(np.where(error <= bound, -1.0, ratio)), ratio.shape))
        found, due = (np.broadcast_to(a, ratio.shape)[place] for a in (got, expected))
        where = f"{place}" if at is None else f"x = {at[place[0]]!s}" + "".join(f", entry {i}" for i in place[1:])
        off = f"off by {error[place]:.3g} > {bound[place]:.3g}"
        raise Broken(f"{what} at {where}: {found!s} where {due!s} is due; {off}")


def assert_identical(got: Any, expected: Any, what: str = "values") -> None:
    """Require the same shape, dtype and numbers (NaN equals NaN, 0.0 equals -0.0)."""
    got, expected = np.asarray(got), np.asarray(expected)
    require(got.shape == expected.shape, f"{what}: shape {got.shape} against {expected.shape}")
    require(got.dtype == expected.dtype, f"{what}: dtype {got.dtype} against {expected.dtype}")
    same = (got == expected) | ((got != got) & (expected != expected))
    if not same.all():
        place = tuple(int(i) for i in np.argwhere(~same)[0])
        raise Broken(f"{what} differ at {place}: {got[place]!s} against {expected[place]!s}")
