"""Numba's compiler, told to optimize once and to name functions by what they do.

What is private in Numba and used here, and why:

* ``JITCodeLibrary``: its ``finalize``, ``_optimize_functions`` and ``_finalize_final_module`` decide when LLVM
  optimizes and what other code sees of a kernel. They work on ``_final_module`` (the code), ``_linking_libraries``
  (that of the kernels it calls), ``_shared_module`` (what a caller copies) and ``_finalized``.
* ``Compiler``: its ``define_pipelines`` is the first hook that knows the argument types. ``state.func_id`` has the name
  that it changes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

from numkan.compile.key import overload_key
from numkan.compile.notice import notice

__all__ = ["CalleeCompiler", "KernelCompiler"]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let no garbage be collected: the compiler makes a million objects, nearly none of them garbage in cycles.

    Looking through them again and again takes a seventh of the time of a compilation. Whoever compiles holds Numba's
    compiler lock, so no other thread's compilation meets this one.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Library(JITCodeLibrary):  # type: ignore[misc]
    """Code that is optimized once, as a whole, except for functions whose arguments are `noalias`."""

    is_noalias = False

    def _optimize_functions(self, module: Any) -> None:
        """Leave the function as it is, for the passes over the whole do all of it again, unless it is `noalias`.

        What LLVM copies into a caller keeps that fact only for pointers that are used as they came. Code that was never
        optimized puts them into memory first: a forward pass of [256,256] then takes 1.6 times as long.
        """
        if self.is_noalias:
            super()._optimize_functions(module)


class _CalleeLibrary(_Library):
    """Code of a kernel that another kernel calls: it is linked into the caller's, and optimized there, once.

    Numba optimizes a function and generates its machine code before a caller copies it, and the caller optimizes the
    copy again: through five levels of calls that was two thirds of the time of a compilation.
    """

    def finalize(self) -> None:
        """Link what the kernel calls itself; optimize nothing, generate nothing."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = Linkage.linkonce_odr  # callers may copy it by several ways
        self._shared_module = self._final_module
        self._finalized = True


class CalleeCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, up to LLVM's unoptimized code, which is named after what it does.

    Numba tells functions of one name apart by a counter, which starts at 1 in every process. Here the counter's place
    is taken by the key of the function (code, closure, argument types): one function has one name in every process.
    """

    named_by_key = True
    library = _CalleeLibrary

    def compile_extra(self, function: Any) -> Any:
        """Compile, and say so where all compiling of this process has taken long."""
        with notice.compiling(), _no_collection():
            return super().compile_extra(function)

    def define_pipelines(self) -> Any:
        """Name the function, and say where its code goes: this is the first hook that knows the argument types."""
        identity = self.state.func_id
        identity.unique_id = int(overload_key(identity.func, self.state.args)[:15], 16)
        identity.unique_name = f"{identity.func_qualname}${identity.unique_id}"
        self.state.library = self.library(self.state.targetctx.codegen(), identity.func_qualname)
        self.state.library.enable_object_caching()
        self.state.flags.no_compile = self.library is _CalleeLibrary
        self.state.flags.noalias = self.state.library.is_noalias = getattr(identity.func, "_noalias", False)
        return super().define_pipelines()


class _KernelLibrary(_Library):
    """Machine code of a kernel with its own copies of the kernels that it calls.

    The copies become private: the linker takes the first symbol of a name that the process has, which may be that of
    another kernel's copy, compiled for other registers.
    """

    def _finalize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._finalize_final_module()


class KernelCompiler(CalleeCompiler):
    """The same for a kernel that Python calls: optimized, with machine code and a wrapper."""

    library = _KernelLibrary
