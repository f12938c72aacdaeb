"""Numba's dispatcher in two forms: for kernels that Python calls, and for kernels that kernels call.

What is private in Numba and used here, and why: ``CPUDispatcher``, because only it takes a compiler of one's own. Its
``add_overload`` keeps what was compiled, by ``insert_user_function`` of the target for callers; ``get_call_template``
and ``get_overload`` are what a calling kernel asks; its ``_cache`` finds code on disk.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from numba.core.registry import CPUDispatcher

from numkan._interrupt import uninterrupted
from numkan.compile.cache import KernelCache
from numkan.compile.compilers import CalleeCompiler, KernelCompiler

__all__ = ["KernelDispatcher"]


class _Dispatcher(CPUDispatcher):  # type: ignore[misc]
    """Numba's dispatcher, but no signal ends compiling in its middle.

    LLVM calls back into Python to hand over machine code; what is raised there is lost, and the machine code too.
    """

    def compile(self, sig: Any) -> Any:
        """Compile for a signature; handlers of signals run afterwards."""
        with uninterrupted():
            return super().compile(sig)


class _Callee(_Dispatcher):
    """The forms of a kernel that other kernels call."""

    def add_overload(self, cres: Any) -> None:
        """Make the form known to callers; there is none that Python could call."""
        cres = cres._replace(entry_point=object())
        self.targetctx.insert_user_function(cres.entry_point, cres.fndesc, [cres.library])
        self.overloads[tuple(cres.signature.args)] = cres


class KernelDispatcher(_Dispatcher):
    """The forms of a kernel that Python calls, and those that other kernels call."""

    def __init__(self, function: FunctionType, options: dict[str, Any]) -> None:
        options = {**options, "no_cfunc_wrapper": True}  # C never calls a kernel
        super().__init__(function, targetoptions=options, pipeline_class=KernelCompiler)
        unwrapped = {**options, "no_cpython_wrapper": True}
        self._callee = _Callee(function, targetoptions=unwrapped, pipeline_class=CalleeCompiler)
        self._cache = KernelCache(function)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return how another kernel calls this one."""
        return self._callee.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """Return what another kernel calls."""
        return self._callee.get_overload(sig)

    #: Recursion is not supported: Numba refuses it where this is False.
    is_compiling = False
