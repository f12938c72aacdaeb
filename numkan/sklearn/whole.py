"""A fit that fails leaves the estimator as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["whole"]


@contextmanager
def whole(estimator: object) -> Iterator[None]:
    """Give an estimator its attributes back if what follows fails: arguments refused, or a stop by Ctrl-C.

    What follows must replace the values of attributes, and not change them in place.
    """
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
