"""A model is fitted by one call at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from numkan.model.network import Network

__all__ = ["one_at_a_time"]

Model = TypeVar("Model", bound=Network)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: The ids of the models that are being fitted: kept apart from the models, so that copies and files do not have them.
_fitted_now: dict[int, object] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fitted_now.clear)  # the threads that fit them exist in the parent only


def one_at_a_time(
    fit: Callable[Concatenate[Model, Arguments], Result],
) -> Callable[Concatenate[Model, Arguments], Result]:
    """Return `fit`, which refuses a model that another call of it is fitting.

    Two calls would alternate in writing to one model, and each would report a loss that is not the model's.
    """

    @wraps(fit)
    def only(model: Model, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        call = object()
        try:
            if _fitted_now.setdefault(id(model), call) is not call:
                raise RuntimeError(
                    "This model is being fitted by another call of `fit`: wait for its end, or fit a copy."
                )
            return fit(model, *args, **kwargs)
        finally:
            if _fitted_now.get(id(model)) is call:
                del _fitted_now[id(model)]

    return only
