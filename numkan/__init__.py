"""Kolmogorov-Arnold networks in NumPy and Numba: B-spline edges, hand-written gradients, no autodiff."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numkan._threads import get_threads as get_threads
    from numkan._threads import set_threads as set_threads
    from numkan.additive import Effect as Effect
    from numkan.additive import effects as effects
    from numkan.base import silu as silu
    from numkan.interaction import Interaction as Interaction
    from numkan.interaction import interactions as interactions
    from numkan.kan import KAN as KAN
    from numkan.layer import KANLayer as KANLayer
    from numkan.model.losses import Huber as Huber
    from numkan.search import search as search
    from numkan.spline import SplineBasis as SplineBasis
    from numkan.train.many import fit_many as fit_many

__all__ = [
    "KAN", "Effect", "Huber", "Interaction", "KANLayer", "SplineBasis", "effects", "fit_many", "get_threads",
    "interactions", "search", "set_threads", "silu",
]  # fmt: skip

__version__ = "0.1.0"

#: The modules of the public names. They are imported at the first use of any name, because ``numkan --help`` needs
#: none.
_HOMES = {
    "Effect": "numkan.additive",
    "Huber": "numkan.model.losses",
    "Interaction": "numkan.interaction",
    "KAN": "numkan.kan",
    "KANLayer": "numkan.layer",
    "SplineBasis": "numkan.spline",
    "effects": "numkan.additive",
    "fit_many": "numkan.train.many",
    "get_threads": "numkan._threads",
    "interactions": "numkan.interaction",
    "search": "numkan.search",
    "set_threads": "numkan._threads",
    "silu": "numkan.base",
}


class _Package(ModuleType):
    """The class of this module. ``numkan.search`` is the function, also after an import of the module of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.search if name == "search" and isinstance(value, ModuleType) else value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Import all public names, and with them their packages, at the first use of one of them."""
    if not name.startswith("_"):
        for public, home in _HOMES.items():
            globals()[public] = getattr(import_module(home), public)
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
