"""Kernels that Python calls with arguments of the same types every time."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from numba import config, typeof

__all__ = ["Entry"]


class Entry:
    """A kernel whose arguments have the same types at every call; it may take named tuples.

    Numba's dispatcher determines the types of all arguments at every call: half a microsecond for each named tuple,
    more than a small network takes for a sample. Here that is done once. Afterwards dtype and order of arrays are not
    checked, so callers must pass canonical ones.

    What is private in Numba and used here, and why: ``CompileResult.entry_point``, the compiled function that the
    dispatcher itself calls.

    Attributes
    ----------
    call : callable
        Takes the arguments of the kernel.
    """

    def __init__(self, kernel: Callable[..., Any]) -> None:
        self._kernel = kernel
        self.call = kernel if config.DISABLE_JIT else self._first_call

    @property
    def is_compiled(self) -> bool:
        """Whether it was called, and is not plain Python."""
        return not isinstance(self.call, FunctionType | MethodType)

    def _first_call(self, *arguments: Any) -> Any:
        """Let the dispatcher compile the kernel, or load it, and call what it would call from now on."""
        result = self._kernel(*arguments)
        compiled = self._kernel.overloads[tuple(map(typeof, arguments))]  # type: ignore[attr-defined]
        self.call = compiled.entry_point
        return result
